//! `-I`, `-A`, `-U`, `-D` and `-F`: what changes the table.
//!
//! `-U` and `-D` list the table on one socket and change the entries that match on another, so that no more than
//! one entry is kept. An entry is changed by its tuple, its zone and its id: if it ended meanwhile and another
//! took its place, that one is left alone, and not counted.

use ip_conntrack::Status;
use ip_conntrack::format::Told;
use ip_conntrack::format::netlink::{Ask, Entry};
use rustix::io::Errno;

use super::asked::{self, LabelBits};
use super::filter::Filter;
use super::labels::LabelNames;
use super::list::{entry, now};
use super::options::{Command, Opt, Order, TableName, Whose};
use super::output::Printer;
use super::request;
use super::say::{Failure, Tried, failed};
use super::table::Table;

/// The sockets of several commands that follow each other.
#[derive(Default)]
pub(super) struct Tables {
    asking: Option<Table>,
    changing: Option<Table>,
}

/// Opens a table, or takes the one that is open.
fn open<'a>(place: &'a mut Option<Table>, whose: &Whose) -> Result<&'a mut Table, Failure> {
    match place.take().filter(|table| table.is(whose)) {
        Some(table) => Ok(place.insert(table)),
        None => Ok(place.insert(Table::open(whose)?)),
    }
}

/// Carries out a command that changes a table. Returns how many entries it changed.
pub(super) fn run(order: &Order, tables: &mut Tables) -> Result<u64, Failure> {
    let names = LabelNames::of(order);
    let bits = names.bits(order)?;
    let pairs = names.pairs();
    match (order.command, order.table) {
        (Command::Flush, _) => flush(order, tables).map(|()| 0),
        (Command::Create, TableName::Expect) => super::expect::create(order, tables).map(|()| 1),
        (Command::Delete, TableName::Expect) => super::expect::delete(order, tables).map(|()| 1),
        (Command::Create | Command::Add, _) => create(order, tables, bits),
        _ => {
            let filter = Filter::new(order, bits.wanted);
            let mut printer = Printer::new(order, &pairs);
            let changed = each(order, tables, bits, &filter, &mut printer)?;
            printer.finish()?;
            Ok(changed)
        }
    }
}

impl Tables {
    /// The socket for changes.
    pub(super) fn changing(&mut self, whose: &Whose) -> Result<&mut Table, Failure> {
        open(&mut self.changing, whose)
    }
}

fn create(order: &Order, tables: &mut Tables, bits: LabelBits) -> Result<u64, Failure> {
    let change = asked::creation(order, bits)?;
    let table = tables.changing(&order.whose)?;
    let new = Ask::New {
        change,
        create: true,
        exclusive: true,
    };
    match table.ask(new, |_| Ok(()))? {
        outcome if order.command == Command::Add && outcome.is(Errno::EXIST) => Ok(0),
        outcome => outcome.done(Tried::Connection).map(|()| 1),
    }
}

fn flush(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let table = tables.changing(&order.whose)?;
    let flush = match order.table {
        TableName::Expect => Ask::FlushExpectations(None),
        _ => Ask::Flush(asked::filter(order, true)),
    };
    table.ask(flush, |_| Ok(()))?.done(Tried::Connection)
}

/// `-U` and `-D`: changes each entry that matches.
fn each(
    order: &Order,
    tables: &mut Tables,
    bits: LabelBits,
    filter: &Filter<'_>,
    printer: &mut Printer<'_>,
) -> Result<u64, Failure> {
    let is_kernels = order.whose == Whose::Kernels;
    let changing = open(&mut tables.changing, &order.whose)?;
    let asking = open(&mut tables.asking, &order.whose)?;
    let mut changed = 0;
    let outcome = asking.ask(request::list(order, is_kernels), |message| {
        let entry = entry(message, now())?;
        if filter.takes(&entry.connection) && one(order, changing, bits, &entry, printer)? {
            changed += 1;
        }
        Ok(())
    })?;
    outcome.done(Tried::Connection)?;
    Ok(changed)
}

/// Returns whether the entry was still there.
fn one(
    order: &Order,
    table: &mut Table,
    bits: LabelBits,
    found: &Entry,
    printer: &mut Printer<'_>,
) -> Result<bool, Failure> {
    let connection = &found.connection;
    let which = asked::this(connection);
    let ask = match order.command {
        Command::Delete => Ask::Delete(which),
        _ => Ask::New {
            change: asked::update(order, bits, connection),
            create: false,
            exclusive: false,
        },
    };
    let outcome = table.ask(ask, |_| Ok(()))?;
    if outcome.is(Errno::NOENT) {
        return Ok(false);
    }
    let is_fixed = connection.status.has(Status::FIXED_TIMEOUT);
    if is_fixed && order.given.has(Opt::Timeout) && outcome.is(Errno::PERM) {
        return failed("Operation failed: the timeout of this entry is fixed");
    }
    outcome.done(Tried::Connection)?;
    if order.command == Command::Delete {
        printer.deleted(found)?;
        return Ok(true);
    }
    let shown = table.ask(request::get(which), |message| {
        printer.entry(Told::Entry, &entry(message, now())?, None)
    })?;
    match shown.is(Errno::NOENT) {
        true => Ok(true),
        false => shown.done(Tried::Connection).map(|()| true),
    }
}
