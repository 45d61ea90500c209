//! The threads that track. Each owns one tracker and one source of packets; nobody else touches either.
//!
//! *Life.* A worker goes round: it does one thing that others asked for, has a batch of packets tracked, lets
//! a bounded number of entries run out, tells events, and says that it is alive. While packets wait, they get at
//! least as much time as requests: however many ask, the tracker keeps half of its speed. When there is nothing to do
//! it sleeps, but never longer than [`LONGEST_SLEEP`]. It ends when its [`Workers`] are dropped.
//!
//! *Asking.* A request is a function that is run between two batches ([`Workers::ask`]); who asks waits for
//! its result. No packet waits longer than such a function takes, so each must be short: a listing is a
//! cursor and [`SLOTS_AT_ONCE`] slots at a time. Who asks waits, so there are never more requests than threads
//! that ask.
//!
//! *Panics.* A worker that panics is gone, and whoever asks it is told so; the daemon sees it and ends.

mod complaints;
mod load;
mod shard;
mod sketch;
mod wake;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ip_conntrack::Dispatch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{debug, error};

pub(crate) use complaints::Voice;
pub(crate) use shard::Shard;
pub(crate) use wake::Bell;

use super::source::{Next, Source};

/// Slots of the table that one step of a listing looks at.
pub(crate) const SLOTS_AT_ONCE: u32 = 1024;

/// Expectations that one step of a listing looks at.
pub(crate) const EXPECTATIONS_AT_ONCE: u32 = 256;

/// So often at least does a worker say that it is alive.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// So old are the source's counts at most that a request sees.
const FRESH: Duration = Duration::from_millis(100);

type Request = Box<dyn FnOnce(&mut Shard) + Send>;

/// The worker does not answer any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gone;

/// All workers, as other threads see them.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    dispatch: Dispatch,
}

struct Worker {
    requests: Option<Sender<Request>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a worker and those who ask it share.
struct Shared {
    bell: Bell,
    /// Whether the bell has to be rung.
    sleeps: AtomicBool,
    /// Rounds gone.
    rounds: AtomicU64,
    /// No more packets come: the source has failed.
    failed: AtomicBool,
}

impl Workers {
    /// Starts a worker for each shard, with its source.
    ///
    /// # Errors
    ///
    /// The system gives no thread or no file descriptor.
    pub(crate) fn start(
        dispatch: Dispatch,
        shards: Vec<(Shard, Box<dyn Source>)>,
    ) -> io::Result<Workers> {
        let mut workers = Vec::with_capacity(shards.len());
        for (number, (shard, source)) in shards.into_iter().enumerate() {
            let (sender, requests) = channel();
            let shared = Arc::new(Shared {
                bell: Bell::new()?,
                sleeps: AtomicBool::new(false),
                rounds: AtomicU64::new(0),
                failed: AtomicBool::new(false),
            });
            let round = Round {
                shard,
                source,
                requests,
                shared: Arc::clone(&shared),
                ticked: Instant::now(),
                counted: Instant::now(),
                broken: false,
            };
            let thread = thread::Builder::new().name(format!("worker {number}"));
            workers.push(Worker {
                requests: Some(sender),
                shared,
                thread: Some(thread.spawn(|| round.run())?),
            });
        }
        Ok(Workers { workers, dispatch })
    }

    /// How many there are; they are numbered from 0.
    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// Which worker has which packets and connections.
    pub(crate) const fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Has a worker run a function between two batches of packets, and waits for what it returns.
    ///
    /// # Errors
    ///
    /// The worker is gone.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        worker: usize,
        work: impl FnOnce(&mut Shard) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let worker = self.workers.get(worker).ok_or(Gone)?;
        let (answer, answered) = sync_channel(1);
        let request: Request = Box::new(move |shard| {
            // Who asked waits, or its thread is gone and nobody misses the answer.
            let _ = answer.send(work(shard));
        });
        let requests = worker.requests.as_ref().ok_or(Gone)?;
        requests.send(request).map_err(|_| Gone)?;
        if worker.shared.sleeps.swap(false, SeqCst) {
            worker.shared.bell.ring();
        }
        answered.recv().map_err(|_| Gone)
    }

    /// Asks every worker in turn.
    ///
    /// # Errors
    ///
    /// One of them is gone.
    pub(crate) fn ask_all<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Shard) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, Gone> {
        let workers = 0..self.count();
        workers
            .map(|worker| self.ask(worker, work.clone()))
            .collect()
    }

    /// Rounds that each has gone: who does not go on is stuck.
    pub(crate) fn rounds(&self) -> Vec<u64> {
        let rounds = |worker: &Worker| worker.shared.rounds.load(Relaxed);
        self.workers.iter().map(rounds).collect()
    }

    /// Whether the source of one of them has failed. It answers all the same.
    pub(crate) fn has_failed(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.shared.failed.load(Relaxed))
    }

    /// Whether one of them has ended.
    pub(crate) fn is_broken(&self) -> bool {
        let has_ended =
            |worker: &Worker| worker.thread.as_ref().is_none_or(JoinHandle::is_finished);
        self.workers.iter().any(has_ended)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.requests = None;
            worker.shared.bell.ring();
        }
        for worker in &mut self.workers {
            if worker
                .thread
                .take()
                .is_some_and(|thread| thread.join().is_err())
            {
                error!("a worker has panicked");
            }
        }
    }
}

/// Whether anything was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Something,
    Nothing,
    /// Nobody will ask any more.
    Over,
}

/// What a worker's thread has.
struct Round {
    shard: Shard,
    source: Box<dyn Source>,
    requests: Receiver<Request>,
    shared: Arc<Shared>,
    /// When what is done once a second was done last.
    ticked: Instant,
    /// When the source's counts were looked at last.
    counted: Instant,
    /// The source has failed.
    broken: bool,
}

impl Round {
    fn run(mut self) {
        // Time that went into requests, and that packets have not had yet.
        let mut owed = Duration::ZERO;
        loop {
            let begun = Instant::now();
            if owed.is_zero() && self.answer() == Asked::Over {
                break;
            }
            let answered = Instant::now();
            owed += answered - begun;
            let next = self.take();
            let all_collected = self.shard.conntrack.advance(self.source.now());
            self.shard.tell();
            self.tick();
            self.shared.rounds.fetch_add(1, Relaxed);
            owed = match next {
                Next::Now => owed.saturating_sub(answered.elapsed()),
                Next::After(_) | Next::Readable => Duration::ZERO,
            };
            if all_collected && next != Next::Now {
                self.sleep(next);
            }
        }
        debug!("a worker ends");
    }

    fn tick(&mut self) {
        if self.ticked.elapsed() >= LONGEST_SLEEP {
            self.ticked = Instant::now();
            self.count();
            self.shard.tick();
        }
    }

    /// Looks at the source's counts, if they are old.
    fn count(&mut self) {
        if self.counted.elapsed() >= FRESH {
            self.counted = Instant::now();
            self.shard.load.source = self.source.counts();
        }
    }

    /// Does the next thing that was asked for.
    fn answer(&mut self) -> Asked {
        match self.requests.try_recv() {
            Ok(request) => {
                self.shard.conntrack.advance(self.source.now());
                self.count();
                request(&mut self.shard);
                self.shard.tell();
                Asked::Something
            }
            Err(TryRecvError::Empty) => Asked::Nothing,
            Err(TryRecvError::Disconnected) => Asked::Over,
        }
    }

    fn take(&mut self) -> Next {
        if self.broken {
            return Next::Readable;
        }
        let taken = self.source.take(&mut self.shard);
        taken.unwrap_or_else(|error| {
            error!("{error}");
            self.broken = true;
            self.shared.failed.store(true, Relaxed);
            Next::Readable
        })
    }

    fn sleep(&mut self, next: Next) {
        let mut longest = LONGEST_SLEEP;
        if let Next::After(wait) = next {
            longest = longest.min(wait);
        }
        if let Some(deadline) = self.shard.conntrack.next_deadline() {
            longest = longest.min(self.source.until(deadline));
        }
        self.shared.sleeps.store(true, SeqCst);
        // What was asked before the line above rang no bell.
        if self.answer() == Asked::Nothing {
            self.wait(longest, next == Next::Readable && !self.broken);
        }
        self.shared.sleeps.store(false, SeqCst);
        self.shared.bell.hear();
    }

    fn wait(&self, longest: Duration, for_packets: bool) {
        let timeout = Timespec::try_from(longest).ok();
        let bell = PollFd::new(&self.shared.bell, PollFlags::IN);
        // An interrupted wait is a short one.
        let _ = match self.source.fd().filter(|_| for_packets) {
            Some(fd) => {
                let packets = PollFd::from_borrowed_fd(fd, PollFlags::IN);
                poll(&mut [bell, packets], timeout.as_ref())
            }
            None => poll(&mut [bell], timeout.as_ref()),
        };
    }
}
