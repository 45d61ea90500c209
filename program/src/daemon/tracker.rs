//! The workers' trackers as one table.
//!
//! An entry is with the worker that its addresses name; if it is not there, because its reply goes to another
//! address, the others are asked. A listing goes from worker to worker ([`Walk`]). What concerns all
//! workers, a knob for instance, is done by one after the other, and by one asker at a time.

use std::sync::{Mutex, PoisonError};

use ip_conntrack::format::stats::CpuStats;
use ip_conntrack::{Config, ConfigError, Knob, Limit, Refusal, Tuple};

use super::source::Counts;
use super::worker::{Gone, Shard, Workers};
use crate::counters;

/// All trackers.
pub(crate) struct Tracker {
    pub(crate) workers: Workers,
    limit: Limit,
    /// Held by who changes knobs.
    knobs: Mutex<()>,
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The tracker refuses.
    Refused(Refusal),
    /// A worker is gone.
    Gone,
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Failure {
        Failure::Gone
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

/// How far a listing has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    worker: usize,
    cursor: u32,
}

impl Walk {
    /// Whether all workers were through.
    pub(crate) fn is_over(&self, tracker: &Tracker) -> bool {
        self.worker >= tracker.workers.count()
    }

    /// Takes a step with the worker whose turn it is. `work` is told where to begin, and says where that
    /// worker goes on, if it has more. => `None` when all were through.
    pub(crate) fn step<T: Send + 'static>(
        &mut self,
        tracker: &Tracker,
        work: impl FnOnce(&mut Shard, u32) -> (T, Option<u32>) + Send + 'static,
    ) -> Result<Option<T>, Gone> {
        if self.is_over(tracker) {
            return Ok(None);
        }
        let cursor = self.cursor;
        let step = tracker
            .workers
            .ask(self.worker, move |shard| work(shard, cursor));
        let (result, next) = step?;
        self.cursor = next.unwrap_or(0);
        if next.is_none() {
            self.worker += 1;
        }
        Ok(Some(result))
    }
}

impl Tracker {
    pub(crate) fn new(workers: Workers, limit: Limit) -> Tracker {
        Tracker {
            workers,
            limit,
            knobs: Mutex::new(()),
        }
    }

    /// Has a request done by the worker that has the entry of a tuple: by the one that should have it, and
    /// if that does not find it, by the others.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        tuple: &Tuple,
        work: impl Fn(&mut Shard) -> Result<T, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let first = self.home(tuple);
        let others = (0..self.workers.count()).filter(|worker| *worker != first);
        for worker in std::iter::once(first).chain(others) {
            match self.workers.ask(worker, work.clone())? {
                Err(Refusal::NotFound) => {}
                done => return Ok(done?),
            }
        }
        Err(Refusal::NotFound.into())
    }

    /// The worker that has the connection of a tuple, or would have it.
    pub(crate) fn home(&self, tuple: &Tuple) -> usize {
        self.workers.dispatch().shard_of_tuple(tuple)
    }

    /// Entries, those included that ran out and are not collected yet.
    pub(crate) fn len(&self) -> Result<u64, Gone> {
        let lengths = self.workers.ask_all(|shard| shard.conntrack.len() as u64)?;
        Ok(lengths.into_iter().sum())
    }

    /// The most entries; 0 is no limit.
    pub(crate) fn max(&self) -> u32 {
        self.limit.max()
    }

    /// Each worker's counters.
    pub(crate) fn cpus(&self) -> Result<Vec<CpuStats>, Gone> {
        let entries = usize::try_from(self.len()?).unwrap_or(usize::MAX);
        self.workers
            .ask_all(move |shard| CpuStats::of(shard.conntrack.stats(), entries))
    }

    /// What each worker has had to do, by name.
    pub(crate) fn loads(&self) -> Result<Vec<Counts>, Gone> {
        self.workers
            .ask_all(|shard| shard.load.named(shard.conntrack.now()))
    }

    /// All workers' counters together, by name.
    pub(crate) fn named_counters(&self) -> Result<Vec<(&'static str, u64)>, Gone> {
        let counted = self.workers.ask_all(|shard| {
            let entries = shard.conntrack.len() as u64;
            counters::named(shard.conntrack.stats(), entries).collect::<Vec<_>>()
        })?;
        let mut counted = counted.into_iter();
        let mut sums = counted.next().unwrap_or_default();
        for worker in counted {
            for (sum, (_, count)) in sums.iter_mut().zip(worker) {
                sum.1 += count;
            }
        }
        Ok(sums)
    }

    /// All workers' counters together, and then what each has to do, as `worker0.packets`.
    pub(crate) fn everything(&self) -> Result<Vec<(String, u64)>, Gone> {
        let named = self.named_counters()?.into_iter();
        let mut all: Vec<_> = named
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        for (worker, counts) in self.loads()?.into_iter().enumerate() {
            let counts = counts.into_iter();
            all.extend(counts.map(|(name, count)| (format!("worker{worker}.{name}"), count)));
        }
        Ok(all)
    }

    /// The knobs, as they are set for all.
    pub(crate) fn config(&self) -> Result<Config, Gone> {
        self.workers
            .ask(0, |shard| shard.conntrack.config().clone())
    }

    /// A knob's value.
    pub(crate) fn knob(&self, knob: Knob) -> Result<i64, Gone> {
        match knob {
            Knob::Count => Ok(i64::try_from(self.len()?).unwrap_or(i64::MAX)),
            Knob::Max => Ok(self.max().into()),
            knob => Ok(self.config()?.get(knob)),
        }
    }

    /// Sets a knob by any of its names, for all workers.
    ///
    /// # Errors
    ///
    /// A worker is gone; inside, that the knob does not take the value.
    pub(crate) fn set_knob(
        &self,
        name: &str,
        value: &str,
    ) -> Result<Result<(), ConfigError>, Gone> {
        let _one_at_a_time = self.knobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut config = self.config()?;
        let knob = match config.set_by_name(name, value) {
            Ok(knob) => knob,
            Err(error) => return Ok(Err(error)),
        };
        let value = config.get(knob);
        let set = self
            .workers
            .ask_all(move |shard| shard.conntrack.set(knob, value))?;
        Ok(set.into_iter().collect())
    }
}
