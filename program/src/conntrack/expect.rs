//! The table of expectations: connections that are announced in the data of others.
//!
//! One is named by the tuple of the connection that is expected (`-s`, `-d`, `-p`, ports), which finds it also
//! where its source is left open. A new one needs a master, whose tuple the same options give; what is
//! expected is then `--tuple-*`, and which of its bits count `--mask-*`.

use std::process::ExitCode;

use ip_conntrack::format::Told;
use ip_conntrack::format::netlink::{Ask, Message, read_expectation};
use ip_conntrack::{Expectation, Family};

use super::asked;
use super::change::Tables;
use super::events::told;
use super::list::now;
use super::options::Order;
use super::output::Printer;
use super::say::{Failure, Tried, Voice};
use super::table::Table;

fn read(message: &Message<'_>) -> Result<Expectation, Failure> {
    read_expectation(message).map_err(|error| Failure::Failed(format!("netlink: {error}")))
}

/// `-L expect`.
pub(super) fn list(
    order: &Order,
    printer: &mut Printer<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let mut table = Table::open(&order.whose)?;
    let family = asked::family(order);
    let outcome = table.ask(Ask::ListExpectations(family), |message| {
        let expectation = read(message)?;
        match family.is_none_or(|family| family == Family::of(&expectation.tuple)) {
            true => printer.expectation(Told::Entry, &expectation, now()),
            false => Ok(()),
        }
    })?;
    printer.finish()?;
    outcome.done(Tried::Expectation)?;
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
    let outcome = table.ask(Ask::GetExpectation(which), |message| {
        printer.expectation(Told::Entry, &read(message)?, now())
    })?;
    printer.finish()?;
    outcome.done(Tried::Expectation)?;
    voice.say(&format!("{} expectations have been shown.", printer.count));
    Ok(ExitCode::SUCCESS)
}

/// `-I expect`.
pub(super) fn create(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let new = Ask::NewExpectation {
        new: asked::expectation(order)?,
        create: true,
        exclusive: true,
    };
    let table = tables.changing(&order.whose)?;
    table.ask(new, |_| Ok(()))?.done(Tried::CreateExpectation)
}

/// `-D expect`.
pub(super) fn delete(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let which = asked::which_expectation(order)?;
    let table = tables.changing(&order.whose)?;
    let delete = Ask::DeleteExpectation(which);
    table.ask(delete, |_| Ok(()))?.done(Tried::Expectation)
}

/// Prints an expectation's event.
pub(super) fn event(message: &Message<'_>, printer: &mut Printer<'_>) -> Result<(), Failure> {
    match told(message) {
        Some(told) => printer.expectation(told, &read(message)?, now()),
        None => Ok(()),
    }
}
