//! Frames as the tracker takes them, several at a time.

use ip_conntrack::config::Unit;
use ip_conntrack::{Arrival, Config, Conntrack, Knob, LinkType, Reason, Time, Verdict, Zone};
use ip_conntrack_link::{Frame, Frames, MAX_BATCH};

/// What the tracker's timing wheel counts time in: within a tick, nothing falls due that was not
/// there when it began, and telling the time changes nothing.
const TICK_NS: u64 = 1 << 24;

/// When the tick after this one begins.
pub(super) fn next_tick(now: Time) -> Time {
    Time::from_nanos((now.as_nanos() | (TICK_NS - 1)).saturating_add(1))
}

/// Whether all timeouts are positive. If not, fragments may be over in the tick in which they came.
pub(super) fn all_last(config: &Config) -> bool {
    let mut knobs = Knob::ALL.iter();
    knobs.all(|knob| knob.info().unit != Unit::Seconds || config.get(*knob) > 0)
}

/// The first of some frames, or as many more as can be tracked with it at once.
pub(super) struct Batch<'a> {
    arrivals: [Arrival<'a>; MAX_BATCH],
    /// 0 if the first frame is of a link type that is not known: it is a batch by itself.
    count: usize,
    /// The time of the last one.
    latest: Time,
}

impl<'a> Batch<'a> {
    /// Takes the first frame, and those after it that are of a known link type, before `ends`, and not
    /// earlier than the one before them or than `now`, to which the tracker's clock is set.
    pub(super) fn gather(frames: Frames<'a>, now: Time, ends: Time) -> Batch<'a> {
        let mut batch = Batch {
            arrivals: [NO_ARRIVAL; MAX_BATCH],
            count: 0,
            latest: now,
        };
        for (place, frame) in batch.arrivals.iter_mut().zip(frames) {
            let fits = |time| batch.count == 0 || batch.latest <= time && time < ends;
            let Some(arrival) = arrival(&frame).filter(|arrival| fits(arrival.time)) else {
                break;
            };
            batch.latest = batch.latest.max(arrival.time);
            batch.count += 1;
            *place = arrival;
        }
        batch
    }

    /// => how many frames were in the batch; there are as many verdicts.
    pub(super) fn track(&self, conntrack: &mut Conntrack, verdicts: &mut [Verdict]) -> usize {
        match (self.count, verdicts) {
            (0, [first, ..]) => *first = conntrack.skip(Reason::LinkType),
            (count, verdicts) => {
                conntrack.track_batch(Zone::default(), &self.arrivals[..count], verdicts);
            }
        }
        // The clock goes on with frames in which there was nothing to track, too.
        if conntrack.now() < self.latest {
            conntrack.advance(self.latest);
        }
        self.count.max(1)
    }
}

const NO_ARRIVAL: Arrival<'static> = Arrival {
    link: LinkType::Ethernet,
    bytes: &[],
    wire_len: 0,
    time: Time::ZERO,
};

/// `None` if the link type is not known.
fn arrival<'a>(frame: &Frame<'a>) -> Option<Arrival<'a>> {
    Some(Arrival {
        link: LinkType::from_number(frame.link_type)?,
        bytes: frame.bytes,
        wire_len: frame.wire_len as usize,
        time: Time::from_nanos(frame.time_ns),
    })
}
