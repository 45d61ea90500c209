//! A whole table, entry by entry, for those who look at it rather than print it.

use std::path::Path;

use ip_conntrack::Connection;
use ip_conntrack::format::netlink::{Ask, List, TableStats, read_stats};
use ip_conntrack::format::stats::CpuStats;

use super::list::{entry, now};
use super::options::{SOCKET, Whose};
use super::say::{Failure, Tried};
use super::table::{Outcome, Table};

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
    pub(crate) fn each(&mut self, mut each: impl FnMut(&Connection)) -> Result<bool, String> {
        let ask = Ask::List {
            list: List::Table,
            filter: Default::default(),
            zero: false,
        };
        let now = now();
        let outcome = self.table.ask(ask, |message| {
            each(&entry(message, now)?.connection);
            Ok(())
        });
        let outcome = outcome.map_err(words)?;
        let is_whole = outcome == Outcome::Whole;
        outcome.done(Tried::Connection).map_err(words)?;
        Ok(is_whole)
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
