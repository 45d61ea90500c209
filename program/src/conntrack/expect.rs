//! The table of expectations: connections that are announced in the data of others.
//!
//! One is named by the tuple of the connection that is expected (`-s`, `-d`, `-p`, ports), which finds it also
//! where its source is left open. A new one needs a master, whose tuple the same options give; what is
//! expected is then `--tuple-*`, and which of its bits count `--mask-*`.

use std::process::ExitCode;

use ip_conntrack::Expectation;
use ip_conntrack::format::Told;
use ip_conntrack::format::netlink::{self, Message};

use super::asked;
use super::change::Tables;
use super::events::told;
use super::list::now;
use super::options::{Family, Order};
use super::output::Printer;
use super::request;
use super::say::{Failure, Tried, Voice, refusal};
use super::table::Table;

fn read(message: &Message<'_>) -> Result<Expectation, Failure> {
    netlink::read_expectation(message)
        .map_err(|error| Failure::Failed(format!("netlink: {error}")))
}

/// `-L expect`.
pub(super) fn list(
    order: &Order,
    printer: &mut Printer<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let mut table = Table::open(&order.whose)?;
    let answer = table.ask(
        |out, origin| request::dump_expectations(out, origin, order.family),
        |message| {
            let expectation = read(message)?;
            let is_v6 = expectation.tuple.is_ipv6();
            let is_wanted = order.family.is_none_or(|family| (family == Family::V6) == is_v6);
            match is_wanted {
                true => printer.expectation(Told::Entry, &expectation, now()),
                false => Ok(()),
            }
        },
    )?;
    printer.finish()?;
    answer.done(Tried::Expectation)?;
    voice.say(&format!("{} expectations have been shown.", printer.count));
    Ok(ExitCode::SUCCESS)
}

/// `-G expect`.
pub(super) fn get(
    order: &Order,
    printer: &mut Printer<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let which = asked::which_expectation(order)?;
    let mut table = Table::open(&order.whose)?;
    let answer = table.ask(
        |out, origin| request::get_expectation(out, origin, &which),
        |message| printer.expectation(Told::Entry, &read(message)?, now()),
    )?;
    printer.finish()?;
    answer.done(Tried::Expectation)?;
    voice.say(&format!("{} expectations have been shown.", printer.count));
    Ok(ExitCode::SUCCESS)
}

/// `-I expect`.
pub(super) fn create(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let Some(expectation) = asked::expectation(order) else {
        return Err(refusal(Tried::CreateExpectation, rustix::io::Errno::INVAL.raw_os_error()));
    };
    let table = tables.changing(&order.whose)?;
    let answer = table.ask(
        |out, origin| request::create_expectation(out, origin, &expectation),
        |_| Ok(()),
    )?;
    answer.done(Tried::CreateExpectation)
}

/// `-D expect`.
pub(super) fn delete(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let which = asked::which_expectation(order)?;
    let table = tables.changing(&order.whose)?;
    let answer = table.ask(
        |out, origin| request::delete_expectation(out, origin, &which),
        |_| Ok(()),
    )?;
    answer.done(Tried::Expectation)
}

/// Prints an expectation's event.
pub(super) fn event(message: &Message<'_>, printer: &mut Printer<'_>) -> Result<(), Failure> {
    match told(message) {
        Some(told) => printer.expectation(told, &read(message)?, now()),
        None => Ok(()),
    }
}
