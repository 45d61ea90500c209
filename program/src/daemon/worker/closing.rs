//! The end of packets, before that of the workers.

use std::thread::sleep;
use std::time::{Duration, Instant};

use ip_conntrack::Time;

use super::{Round, Workers};
use crate::daemon::source::{Counts, Next, Source, Track};

/// So long at most are packets waited for that were received and not passed on.
const LONGEST: Duration = Duration::from_secs(1);

/// How often it is looked whether there are any.
const LOOK: Duration = Duration::from_millis(1);

impl Workers {
    /// Has the packets decided on that wait for it, and closes all sources. When it returns, what they had open
    /// is free for others.
    pub(crate) fn close(&self) {
        let end = Instant::now() + LONGEST;
        let drain = |round: &mut Round| {
            // Not what it was before: it has to be asked once more.
            round.next = Next::Now;
            round.source.drain()
        };
        if self.any(drain) {
            // Workers hand packets to each other, so all have to be quiet twice.
            let mut quiet = 0;
            while quiet < 2 && Instant::now() < end {
                sleep(LOOK);
                quiet = match self.any(|round| round.next != Next::Readable) {
                    true => 0,
                    false => quiet + 1,
                };
            }
        }
        self.any(|round| {
            round.close();
            false
        });
    }

    /// Asks all workers, each of them. One that is gone has nothing.
    fn any(&self, ask: impl Fn(&mut Round) -> bool + Copy + Send + 'static) -> bool {
        let mut any = false;
        for worker in 0..self.count() {
            any |= self.ask_round(worker, ask).unwrap_or(false);
        }
        any
    }
}

impl Round {
    fn close(&mut self) {
        let counts = self.source.counts();
        self.shard.load.source.clone_from(&counts);
        self.source = Box::new(Closed {
            time: self.source.now(),
            counts,
        });
    }
}

/// What is left of a source.
struct Closed {
    time: Time,
    counts: Counts,
}

impl Source for Closed {
    fn now(&self) -> Time {
        self.time
    }

    fn until(&self, _: Time) -> Duration {
        Duration::MAX
    }

    fn take(&mut self, _: &mut dyn Track) -> std::io::Result<Next> {
        Ok(Next::Readable)
    }

    fn counts(&self) -> Counts {
        self.counts.clone()
    }
}
