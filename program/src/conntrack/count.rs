//! `-C` and `-S`: numbers. Where ctnetlink may not be asked, the kernel's are in `/proc` as well.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use ip_conntrack::format::netlink::own::{self, Told};
use ip_conntrack::format::netlink::{Ask, TableStats, read_stats};
use ip_conntrack::format::stats::{self, CpuStats};

use super::options::{Order, TableName, Whose};
use super::say::{Failure, Tried, failed};
use super::table::{Outcome, Table};

/// `-C`.
pub(super) fn count(order: &Order) -> Result<ExitCode, Failure> {
    let number = match order.table {
        TableName::Expect => expectations(order)?,
        _ => connections(order)?,
    };
    writeln!(std::io::stdout().lock(), "{number}")?;
    Ok(ExitCode::SUCCESS)
}

fn connections(order: &Order) -> Result<u64, Failure> {
    let mut table = Table::open(&order.whose)?;
    let mut entries = None;
    let outcome = table.ask(Ask::Stats, |message| {
        entries = Some(TableStats::read(message).entries.into());
        Ok(())
    })?;
    if entries.is_none() && order.whose == Whose::Kernels {
        entries = from_proc();
    }
    match entries {
        Some(entries) => Ok(entries),
        None => outcome.done(Tried::Connection).map(|()| 0),
    }
}

fn from_proc() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").ok()?;
    text.trim().parse().ok()
}

fn expectations(order: &Order) -> Result<u64, Failure> {
    let mut table = Table::open(&order.whose)?;
    let mut number = 0;
    let outcome = table.ask(Ask::ListExpectations(None), |_| {
        number += 1;
        Ok(())
    })?;
    outcome.done(Tried::Expectation)?;
    Ok(number)
}

/// `-S`.
pub(super) fn stats(order: &Order) -> Result<ExitCode, Failure> {
    let is_expect = order.table == TableName::Expect;
    let mut table = Table::open(&order.whose)?;
    let mut out = Vec::new();
    let ask = match is_expect {
        true => Ask::StatsExpectations,
        false => Ask::StatsCpu,
    };
    let outcome = table.ask(ask, |message| {
        let mut counted = CpuStats::default();
        match read_stats(message, &mut counted) {
            Some(cpu) if is_expect => stats::cpu_expect(&mut out, cpu, &counted),
            Some(cpu) => stats::cpu(&mut out, cpu, &counted),
            None => {}
        }
        Ok(())
    })?;
    match outcome {
        Outcome::Refused(..) if order.whose == Whose::Kernels => {
            stats_from_proc(&mut out, is_expect)?;
        }
        outcome => outcome.done(Tried::Connection)?,
    }
    if order.whose != Whose::Kernels && !is_expect {
        put_own(&mut table, &mut out)?;
    }
    std::io::stdout().lock().write_all(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// What the daemon counts beside: packets by reason, and what each of its workers has to do. A line each.
fn put_own(table: &mut Table, out: &mut Vec<u8>) -> Result<(), Failure> {
    let outcome = table.ask(Ask::Own(own::Ask::Reasons), |message| {
        if let Some(Told::Reason(name, count)) = Told::read(message) {
            writeln!(out, "{name}={count}")?;
        }
        Ok(())
    })?;
    outcome.done(Tried::Connection)
}

fn stats_from_proc(out: &mut Vec<u8>, is_expect: bool) -> Result<(), Failure> {
    const FILE: &str = "/proc/net/stat/nf_conntrack";
    let text = match fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(error) => return failed(format!("Operation failed: {FILE}: {error}")),
    };
    for (cpu, counted) in (0..).zip(stats::read(&text)) {
        match is_expect {
            true => stats::cpu_expect(out, cpu, &counted),
            false => stats::cpu(out, cpu, &counted),
        }
    }
    Ok(())
}
