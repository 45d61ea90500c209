//! `-I`, `-A`, `-U`, `-D` and `-F`: what changes the table.
//!
//! `-U` and `-D` list the table on one socket and change the entries that match on another, so that no more than
//! one entry is kept. An entry is changed by its tuple, its zone and its id: if it ended meanwhile and another
//! took its place, that one is left alone, and not counted.

use ip_conntrack::format::Told;
use rustix::io::Errno;

use super::asked::{self, LabelBits};
use super::filter::Filter;
use super::labels::LabelNames;
use super::list::{entry, now};
use super::options::{Command, Order, TableName, Whose};
use super::output::Printer;
use super::request;
use super::say::{Failure, Tried};
use super::table::{Answer, Table};

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
    let answer = table.ask(|out, origin| request::create(out, origin, &change), |_| Ok(()))?;
    match answer {
        Answer::Refused(errno) if order.command == Command::Add && is(errno, Errno::EXIST) => Ok(0),
        answer => answer.done(Tried::Connection).map(|()| 1),
    }
}

/// Whether an error number is this one.
const fn is(errno: i32, wanted: Errno) -> bool {
    errno == wanted.raw_os_error()
}

fn flush(order: &Order, tables: &mut Tables) -> Result<(), Failure> {
    let table = tables.changing(&order.whose)?;
    let is_expect = order.table == TableName::Expect;
    let answer = table.ask(
        |out, origin| match is_expect {
            true => request::flush_expectations(out, origin),
            false => request::flush(out, origin, order),
        },
        |_| Ok(()),
    )?;
    answer.done(Tried::Connection)
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
    let answer = asking.ask(
        |out, origin| request::dump(out, origin, order, is_kernels),
        |message| {
            let entry = entry(message, now())?;
            if filter.takes(&entry.connection) && one(order, changing, bits, &entry, printer)? {
                changed += 1;
            }
            Ok(())
        },
    )?;
    answer.done(Tried::Connection)?;
    Ok(changed)
}

/// Returns whether the entry was still there.
fn one(
    order: &Order,
    table: &mut Table,
    bits: LabelBits,
    found: &ip_conntrack::format::netlink::Entry,
    printer: &mut Printer<'_>,
) -> Result<bool, Failure> {
    let connection = &found.connection;
    let which = asked::this(connection);
    let answer = match order.command {
        Command::Delete => table.ask(|out, o| request::delete(out, o, &which), |_| Ok(()))?,
        _ => {
            let change = asked::update(order, bits, connection);
            table.ask(|out, o| request::update(out, o, &change), |_| Ok(()))?
        }
    };
    match answer {
        Answer::Refused(errno) if is(errno, Errno::NOENT) => return Ok(false),
        answer => answer.done(Tried::Connection)?,
    }
    if order.command == Command::Delete {
        printer.deleted(found)?;
        return Ok(true);
    }
    let shown = table.ask(
        |out, o| request::get(out, o, &which),
        |message| printer.entry(Told::Entry, &entry(message, now())?, None),
    )?;
    match shown {
        Answer::Refused(errno) if is(errno, Errno::NOENT) => Ok(true),
        answer => answer.done(Tried::Connection).map(|()| true),
    }
}
