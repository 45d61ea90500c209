//! Frames as the tracker takes them, several at a time.

use ip_conntrack::config::Unit;
use ip_conntrack::{
    Action, Class, Config, Conntrack, Direction, Knob, LinkType, Packet, Reason, Time, Verdict,
    Zone,
};
use ip_conntrack_link::{Frame, Frames, MAX_BATCH};

/// What stands where there is no verdict yet.
pub(super) const NO_VERDICT: Verdict = Verdict {
    action: Action::Accept,
    class: Class::Untracked,
    direction: Direction::Original,
    reason: None,
    state: None,
    connection: None,
};

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
}

impl<'a> Batch<'a> {
    /// Takes the first frame, and those after it that are of a known link type and before `ends`. The
    /// tracker's clock, which stands at `now`, does not run backwards, whatever the capture's does.
    pub(super) fn gather(frames: Frames<'a>, now: Time, ends: Time) -> Batch<'a> {
        let mut batch = Batch {
            arrivals: [NO_ARRIVAL; MAX_BATCH],
            count: 0,
        };
        let mut latest = now;
        for (place, frame) in batch.arrivals.iter_mut().zip(frames) {
            latest = latest.max(Time::from_nanos(frame.time_ns));
            let Some(arrival) = arrival(&frame).filter(|_| batch.count == 0 || latest < ends)
            else {
                break;
            };
            *place = arrival;
            batch.count += 1;
        }
        batch
    }

    /// => how many frames were in the batch; there are as many verdicts.
    pub(super) fn track(&self, conntrack: &mut Conntrack, verdicts: &mut [Verdict]) -> usize {
        match (self.count, verdicts) {
            (0, [first, ..]) => *first = conntrack.skip(Reason::LinkType),
            (count, verdicts) => {
                let (arrivals, verdicts) = (&self.arrivals[..count], &mut verdicts[..count]);
                track_batch(conntrack, Zone::default(), arrivals, verdicts);
            }
        }
        self.count.max(1)
    }
}

/// One frame for [`track_batch`].
#[derive(Clone, Copy)]
struct Arrival<'a> {
    link: LinkType,
    bytes: &'a [u8],
    wire_len: usize,
    time: Time,
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

/// Tracks frames in turn, each at its time. A frame in which there is nothing to track moves the clock
/// all the same.
fn track_batch(
    conntrack: &mut Conntrack,
    zone: Zone,
    arrivals: &[Arrival<'_>],
    verdicts: &mut [Verdict],
) {
    for (arrival, verdict) in arrivals.iter().zip(verdicts) {
        let now = arrival.time;
        *verdict = match Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) {
            Ok(packet) => conntrack.track_in(zone, &packet, now),
            Err(reason) => {
                conntrack.advance(now);
                conntrack.skip(reason)
            }
        };
    }
}
