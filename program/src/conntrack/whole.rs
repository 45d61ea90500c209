//! A whole table, entry by entry, for those who look at it rather than print it.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ip_conntrack::format::netlink::names::kind;
use ip_conntrack::format::netlink::own::{self, Told};
use ip_conntrack::format::netlink::{Ask, List, Message, TableStats, read_stats};
use ip_conntrack::format::stats::CpuStats;
use ip_conntrack::{Connection, Knob, Time};

use super::list::{entry, now};
use super::options::{SOCKET, Whose};
use super::say::{Failure, Tried};
use super::table::{Outcome, Table};

/// Batches that may wait to be read.
const AHEAD: usize = 4;

/// Messages of entries, on their way from who receives them to who reads them: the kernel makes a listing while it is
/// received, so meanwhile another thread has time for what came before.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Bytes from which it is passed on.
    const BYTES: usize = 64 << 10;

    fn push(&mut self, message: &Message<'_>) {
        self.bytes.extend_from_slice(message.body);
        self.ends.push(self.bytes.len());
    }

    /// Hands over the entry of each message, and is empty then.
    fn drain(&mut self, now: Time, each: &mut impl FnMut(&Connection)) -> Result<(), Failure> {
        let mut start = 0;
        for end in self.ends.drain(..) {
            let message = Message {
                kind: kind::CT_NEW,
                flags: 0,
                sequence: 0,
                port: 0,
                body: self.bytes.get(start..end).unwrap_or_default(),
            };
            each(&entry(&message, now)?.connection);
            start = end;
        }
        self.bytes.clear();
        Ok(())
    }
}

/// Reads batches until no more come.
fn read(
    to_read: &Receiver<Batch>,
    empty: &SyncSender<Batch>,
    mut each: impl FnMut(&Connection),
) -> Result<(), Failure> {
    let now = now();
    for mut batch in to_read {
        batch.drain(now, &mut each)?;
        // Where there are enough empty ones, it is thrown away.
        let _ = empty.try_send(batch);
    }
    Ok(())
}

/// A table that answers.
pub(crate) struct Whole {
    table: Table,
}

/// Where the daemon listens if nothing else is said.
pub(crate) const DAEMONS: &str = SOCKET;

impl Whole {
    /// The kernel's.
    ///
    /// # Errors
    ///
    /// What could not be opened, in words.
    pub(crate) fn kernels() -> Result<Whole, String> {
        Whole::open(&Whose::Kernels)
    }

    /// That of the daemon that listens on `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there, in words.
    pub(crate) fn daemons(path: &Path) -> Result<Whole, String> {
        Whole::open(&Whose::Daemons(path.to_owned()))
    }

    fn open(whose: &Whose) -> Result<Whole, String> {
        let table = Table::open(whose).map_err(words)?;
        Ok(Whole { table })
    }

    /// Hands over every entry. => whether it was as quiet meanwhile that none was missed.
    ///
    /// # Errors
    ///
    /// The table was refused, in words.
    pub(crate) fn each(&mut self, each: impl FnMut(&Connection) + Send) -> Result<bool, String> {
        let outcome = thread::scope(|scope| {
            let (full, to_read) = sync_channel(AHEAD);
            let (empty, to_fill) = sync_channel(AHEAD);
            let reader = scope.spawn(move || read(&to_read, &empty, each));
            let received = self.receive(full, &to_fill);
            let read = reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            read.and(received)
        });
        let outcome = outcome.map_err(words)?;
        let is_whole = outcome == Outcome::Whole;
        outcome.done(Tried::Connection).map_err(words)?;
        Ok(is_whole)
    }

    /// Asks for the table, and passes its messages on.
    fn receive(
        &mut self,
        full: SyncSender<Batch>,
        to_fill: &Receiver<Batch>,
    ) -> Result<Outcome, Failure> {
        let ask = Ask::List {
            list: List::Table,
            filter: Default::default(),
            zero: false,
        };
        // Who reads ends early only with an error of its own, which is the one that counts.
        let gone = |_| Failure::ReaderGone;
        let mut batch = Batch::default();
        let outcome = self.table.ask(ask, |message| {
            batch.push(message);
            if batch.bytes.len() < Batch::BYTES {
                return Ok(());
            }
            let next = to_fill.try_recv().unwrap_or_default();
            full.send(std::mem::replace(&mut batch, next)).map_err(gone)
        })?;
        full.send(batch).map_err(gone)?;
        Ok(outcome)
    }

    /// How many entries there are, and may be.
    ///
    /// # Errors
    ///
    /// It was refused, in words.
    pub(crate) fn stats(&mut self) -> Result<TableStats, String> {
        let mut stats = TableStats::default();
        let outcome = self.table.ask(Ask::Stats, |message| {
            stats = TableStats::read(message);
            Ok(())
        });
        outcome
            .and_then(|outcome| outcome.done(Tried::Connection))
            .map_err(words)?;
        Ok(stats)
    }
}

impl Whole {
    /// The knobs of a daemon's table that are no less than 0.
    ///
    /// # Errors
    ///
    /// It was refused, in words.
    pub(crate) fn knobs(&mut self) -> Result<Vec<(Knob, u64)>, String> {
        let mut knobs = Vec::new();
        let outcome = self.table.ask(Ask::Own(own::Ask::Knobs), |message| {
            if let Some(Told::Knob(name, value)) = Told::read(message) {
                knobs.extend(Knob::by_name(name).zip(u64::try_from(value).ok()));
            }
            Ok(())
        });
        outcome
            .and_then(|outcome| outcome.done(Tried::Connection))
            .map_err(words)?;
        Ok(knobs)
    }

    /// What was counted since the table began, by all CPUs together.
    ///
    /// # Errors
    ///
    /// It was refused, in words.
    pub(crate) fn counted(&mut self) -> Result<CpuStats, String> {
        let mut sum = CpuStats::default();
        let outcome = self.table.ask(Ask::StatsCpu, |message| {
            let mut of_cpu = CpuStats::default();
            read_stats(message, &mut of_cpu);
            sum.invalid += of_cpu.invalid;
            sum.insert_failed += of_cpu.insert_failed;
            sum.drop += of_cpu.drop;
            sum.early_drop += of_cpu.early_drop;
            sum.error += of_cpu.error;
            sum.clash_resolve += of_cpu.clash_resolve;
            sum.chaintoolong += of_cpu.chaintoolong;
            Ok(())
        });
        outcome
            .and_then(|outcome| outcome.done(Tried::Connection))
            .map_err(words)?;
        Ok(sum)
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Usage(text) | Failure::Failed(text) => text,
        Failure::ReaderGone => "the reader is gone".to_owned(),
    }
}
