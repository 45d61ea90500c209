//! `-L` and `-G`: entries that are there.
//!
//! Entries are printed as they come, so a listing of any length takes the same memory; none is printed
//! twice ([`super::seen`]). Whether it is whole is said at the end: a dump that was interrupted is repeated,
//! and only what is new then is printed.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ip_conntrack::Time;
use ip_conntrack::format::Told;
use ip_conntrack::format::netlink::{Entry, Message};

use super::asked;
use super::filter::Filter;
use super::options::{Opt, Order};
use super::output::Printer;
use super::request;
use super::say::{Failure, Tried, Voice};
use super::seen::Seen;
use super::table::{Outcome, Table};

/// How often an interrupted dump is repeated before it is left at that.
const REPEATS: usize = 3;

/// The present, as entries' times are counted.
pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    });
    Time::from_nanos(nanos)
}

/// The entry of a message, with its age.
pub(super) fn entry(message: &Message<'_>, now: Time) -> Result<Entry, Failure> {
    let mut entry =
        Entry::read(message).map_err(|error| Failure::Failed(format!("netlink: {error}")))?;
    entry.age(now);
    Ok(entry)
}

/// `-L` of a table of connections.
pub(super) fn list(
    order: &Order,
    filter: &Filter<'_>,
    printer: &mut Printer<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let mut table = Table::open(&order.whose)?;
    let buckets = buckets(&table);
    let mut seen = Seen::new();
    let mut outcome = Outcome::Whole;
    for _ in 0..REPEATS {
        outcome = dump(&mut table, order, filter, printer, &mut seen)?;
        // Counters that were zeroed cannot be read twice.
        let may_repeat = !order.given.has(Opt::Zero) && seen.again();
        if outcome != Outcome::Interrupted || !may_repeat {
            break;
        }
    }
    printer.finish()?;
    let interrupted = outcome == Outcome::Interrupted;
    outcome.done(Tried::Connection)?;
    if interrupted {
        voice
            .say("WARNING: the table changed too much while it was listed: entries may be missing");
    } else if buckets != self::buckets(&table) {
        voice.say("WARNING: the table was resized while it was listed: entries may be missing");
    }
    voice.say(&format!("{} flow entries have been shown.", printer.count));
    Ok(ExitCode::SUCCESS)
}

fn dump(
    table: &mut Table,
    order: &Order,
    filter: &Filter<'_>,
    printer: &mut Printer<'_>,
    seen: &mut Seen,
) -> Result<Outcome, Failure> {
    let ask = request::list(order, !table.is_daemons());
    table.ask(ask, |message| {
        let entry = entry(message, now())?;
        if filter.takes(&entry.connection) && seen.is_new(&entry.connection) {
            printer.entry(Told::Entry, &entry, None)?;
        }
        Ok(())
    })
}

/// How many buckets the kernel's table has: if that changes during a dump, entries are passed over, and
/// the kernel does not tell.
fn buckets(table: &Table) -> Option<String> {
    const FILE: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";
    match table.is_daemons() {
        true => None,
        false => std::fs::read_to_string(FILE).ok(),
    }
}

/// `-G` of a connection.
pub(super) fn get(
    order: &Order,
    printer: &mut Printer<'_>,
    filter: &Filter<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let which = asked::which(order)?;
    let mut table = Table::open(&order.whose)?;
    let outcome = table.ask(request::get(which), |message| {
        let entry = entry(message, now())?;
        if filter.takes(&entry.connection) {
            printer.entry(Told::Entry, &entry, None)?;
        }
        Ok(())
    })?;
    printer.finish()?;
    outcome.done(Tried::Connection)?;
    voice.say(&format!("{} flow entries have been shown.", printer.count));
    Ok(match printer.count {
        0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}
