//! `-C` and `-S`: numbers. Where ctnetlink may not be asked, the kernel's are in `/proc` as well.

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use ip_conntrack::format::netlink;
use ip_conntrack::format::stats;

use super::options::{Order, TableName, Whose};
use super::request;
use super::say::{Failure, Tried, failed};
use super::table::{Answer, Table};

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
    let answer = table.ask(request::stats, |message| {
        entries = request::entries(message);
        Ok(())
    })?;
    match (answer, entries, &order.whose) {
        (Answer::Whole | Answer::Interrupted, Some(entries), _) => Ok(entries),
        (_, _, Whose::Kernels) => match from_proc() {
            Some(entries) => Ok(entries),
            None => answer.done(Tried::Connection).map(|()| 0),
        },
        _ => answer.done(Tried::Connection).map(|()| 0),
    }
}

fn from_proc() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").ok()?;
    text.trim().parse().ok()
}

fn expectations(order: &Order) -> Result<u64, Failure> {
    let mut table = Table::open(&order.whose)?;
    let mut number = 0;
    let answer = table.ask(|out, origin| request::dump_expectations(out, origin, None), |_| {
        number += 1;
        Ok(())
    })?;
    answer.done(Tried::Expectation)?;
    Ok(number)
}

/// `-S`.
pub(super) fn stats(order: &Order) -> Result<ExitCode, Failure> {
    let is_expect = order.table == TableName::Expect;
    let mut table = Table::open(&order.whose)?;
    let mut out = Vec::new();
    let answer = table.ask(
        |out, origin| netlink::put_stats_cpu(out, origin, is_expect),
        |message| {
            let (cpu, counted) = netlink::read_cpu(message);
            match is_expect {
                true => stats::cpu_expect(&mut out, cpu, &counted),
                false => stats::cpu(&mut out, cpu, &counted),
            }
            Ok(())
        },
    )?;
    if let Answer::Refused(_) = answer {
        match order.whose {
            Whose::Kernels => stats_from_proc(&mut out, is_expect)?,
            Whose::Daemons(_) => answer.done(Tried::Connection)?,
        }
    }
    std::io::stdout().lock().write_all(&out)?;
    Ok(ExitCode::SUCCESS)
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
