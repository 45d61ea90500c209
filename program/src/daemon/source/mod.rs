//! Where a worker's packets come from.
//!
//! A [`Source`] lends packets in batches and hears what became of each: a source in the path of packets
//! says so to whoever waits for it, one that only listens or replays passes over it. It also says what
//! time it is. Packets and the worker's own doings must go by one clock, and that of a replayed capture is
//! not ours.
//!
//! *Life.* The worker calls [`take`](Source::take) again and again, and does other things in between. When
//! there is nothing to take, it sleeps until the source's file descriptor can be read, until the time
//! that the source names, or until it has something else to do.

mod bridge;
mod census;
mod clock;
mod held;
pub(crate) mod marking;
pub(crate) mod queue;
mod replay;
mod tap;
mod tun;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ip_conntrack::{Arrival, Handle, Time, Verdict};

pub(crate) use bridge::{Bridge, Policy};
pub(crate) use census::Sources;
pub(crate) use clock::Clock;
pub(crate) use held::MOST as HELD_AT_MOST;
pub(crate) use replay::{Pace, Replay};
pub(crate) use tap::Tap;
pub(crate) use tun::Tun;

/// Packets that go to the tracker together, at most.
pub(crate) const BATCH: usize = 32;

/// Packets that go to the tracker together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) arrivals: &'a [Arrival<'a>],
    /// Whether they may open connections.
    pub(crate) may_open: bool,
    /// Whether their checksums are known to be right, or will be made right when they are sent: then they are
    /// not verified.
    pub(crate) is_checked: bool,
}

impl<'a> Batch<'a> {
    pub(crate) const fn of(arrivals: &'a [Arrival<'a>]) -> Batch<'a> {
        Batch {
            arrivals,
            may_open: true,
            is_checked: false,
        }
    }
}

/// What a source has its packets tracked by.
pub(crate) trait Track {
    /// Tracks a batch: the verdict on each packet goes to the same place.
    fn batch(&mut self, batch: &Batch<'_>, verdicts: &mut [Verdict]);

    /// The mark of a connection, while it lives.
    fn mark(&self, connection: Handle) -> Option<u32>;
}

/// What a source counted, by name.
pub(crate) type Counts = Vec<(&'static str, u64)>;

/// A source of packets, for one worker.
pub(crate) trait Source: Send {
    /// The tracker's time. It may stand still, but not run backwards.
    fn now(&self) -> Time;

    /// How long it takes until the tracker's time is `time`, if nothing comes meanwhile.
    fn until(&self, time: Time) -> Duration;

    /// Has the packets tracked that are there, at most [`BATCH`] of them.
    ///
    /// # Errors
    ///
    /// No more will come from here, and the daemon ends. The text says what is broken, and where.
    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next>;

    /// What becomes readable when there are packets.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Packets are to end: where the kernel lets it, no more are received. => whether those that were received
    /// are waited for, by whoever sent them; they come from [`take`](Source::take) until it says
    /// [`Next::Readable`].
    fn drain(&mut self) -> bool {
        false
    }

    /// What it counted itself: packets that were lost, above all. It is asked once a second, and before requests are
    /// answered.
    fn counts(&self) -> Counts {
        Counts::new()
    }
}

/// When to ask a source again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// At once.
    Now,
    /// After that long.
    After(Duration),
    /// When its file descriptor can be read; if it has none, never.
    Readable,
}

/// No packets: entries are made by hand, and run out.
pub(crate) struct Nothing(pub(crate) Clock);

impl Source for Nothing {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn until(&self, time: Time) -> Duration {
        self.0.until(time)
    }

    fn take(&mut self, _: &mut dyn Track) -> io::Result<Next> {
        Ok(Next::Readable)
    }
}
