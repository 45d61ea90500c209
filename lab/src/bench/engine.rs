//! The engine under measurement: a tracker, its clock, and what it made of the frames it was fed.

use std::ops::Range;

use ip_conntrack::{
    Action, Arrival, Class, Config, ConfigError, Conntrack, Knob, LinkType, Time, Verdict, Zone,
};

use super::frames::Ring;

/// Frames that are handed over in one call, unless fewer are asked for.
const BATCH: usize = 256;

/// When the tracker's time begins.
const START: Time = Time::from_secs(1_000_000);

/// A frame takes that long on the wire: the least of 10 Gbit/s.
const FRAME_NS: u64 = 67;

const NO_ARRIVAL: Arrival<'static> = Arrival {
    link: LinkType::Ethernet,
    bytes: &[],
    wire_len: 0,
    time: Time::ZERO,
};

/// A tracker that is fed.
#[derive(Debug)]
pub struct Engine {
    /// The tracker.
    pub conntrack: Conntrack,
    now: Time,
    batch: usize,
}

/// How many packets had which class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// NEW.
    pub new: u64,
    /// ESTABLISHED.
    pub established: u64,
    /// Dropped.
    pub dropped: u64,
    /// Whatever else, and whatever had a reason but the two above.
    pub other: u64,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        let sum = match (verdict.action, verdict.class) {
            (Action::Drop, _) => &mut self.dropped,
            (Action::Accept, Class::New) => &mut self.new,
            (Action::Accept, Class::Established) => &mut self.established,
            _ => &mut self.other,
        };
        *sum += 1;
    }
}

impl Engine {
    /// An empty table with accounting, for `max` entries.
    ///
    /// # Errors
    ///
    /// More entries than the knob allows.
    pub fn new(max: u32, verifies_checksums: bool) -> Result<Engine, ConfigError> {
        let mut config = Config::default();
        config.set(Knob::Acct, 1)?;
        config.set(Knob::Checksum, verifies_checksums.into())?;
        config.set(Knob::Max, max.into())?;
        Ok(Engine {
            conntrack: Conntrack::new(config, 0x5eed),
            now: START,
            batch: BATCH,
        })
    }

    /// The same, with batches of so many frames, 1 to 256.
    #[must_use]
    pub fn in_batches_of(self, frames: usize) -> Engine {
        Engine {
            batch: frames.clamp(1, BATCH),
            ..self
        }
    }

    /// The time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass, and collects what ran out.
    pub fn pass(&mut self, nanos: u64) {
        self.now = Time::from_nanos(self.now.as_nanos() + nanos);
        while !self.conntrack.advance(self.now) {}
    }

    /// Tracks some frames of a ring, as [`feed`](Engine::feed) does, where that is measured: a function of
    /// its own, so that a profiler can tell it from what goes before.
    #[inline(never)]
    pub fn measured(&mut self, ring: &Ring, frames: Range<usize>) -> Tally {
        self.feed(ring, frames)
    }

    /// Tracks some frames of a ring.
    pub fn feed(&mut self, ring: &Ring, frames: Range<usize>) -> Tally {
        let mut tally = Tally::default();
        self.feed_each(ring, frames, |_, verdicts| {
            for verdict in verdicts {
                tally.count(verdict);
            }
        });
        tally
    }

    /// The same; `each` gets the number of the first frame of a batch, and the verdicts on it.
    pub fn feed_each(
        &mut self,
        ring: &Ring,
        frames: Range<usize>,
        mut each: impl FnMut(usize, &[Verdict]),
    ) {
        let mut verdicts = [Verdict::default(); BATCH];
        let mut arrivals = [NO_ARRIVAL; BATCH];
        for from in frames.clone().step_by(self.batch) {
            let count = self.batch.min(frames.end - from);
            let now = Time::from_nanos(self.now.as_nanos() + FRAME_NS * count as u64);
            self.now = now;
            self.conntrack.advance(now);
            for (at, arrival) in arrivals[..count].iter_mut().enumerate() {
                let bytes = ring.frame(from + at);
                (arrival.bytes, arrival.wire_len, arrival.time) = (bytes, bytes.len(), now);
            }
            let verdicts = &mut verdicts[..count];
            self.conntrack
                .track_batch(Zone::default(), &arrivals[..count], verdicts);
            each(from, verdicts);
        }
    }
}
