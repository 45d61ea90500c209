//! A capture as a source: its packets at its own pace, faster, or as fast as they can be tracked.
//!
//! *Time.* The first packet comes at the moment at which the daemon started, and the others as long after it
//! as in the capture; a faster replay has a clock that runs so much faster, timeouts included. Without
//! waiting, the clock is that of the last packet. When the capture begins again, its first packet comes a
//! millisecond after its last one. When it is over, time goes on.
//!
//! *Workers.* Each reads the whole file and keeps the packets that are its own: nothing is handed over.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ip_conntrack::{Arrival, Dispatch, LinkType, Time, Verdict};
use ip_conntrack_link::{Capture, Frame};
use tracing::{info, warn};

use super::{BATCH, Batch, Clock, Next, Source, Track};
use crate::daemon::settings::Speed;

/// Between the last packet and the first one of the next round.
const BETWEEN_ROUNDS: u64 = 1_000_000;

/// How a capture is replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) speed: Speed,
    pub(crate) repeat: bool,
}

/// A capture that is replayed for one worker.
pub(crate) struct Replay {
    path: PathBuf,
    capture: Option<Capture>,
    pace: Pace,
    clock: Clock,
    /// Whose packets are taken.
    dispatch: Dispatch,
    shard: usize,
    ahead: Ahead,
    round: Round,
    /// Packets whose link type is not known were told.
    noted: bool,
}

/// One pass through the capture.
struct Round {
    /// The tracker's time when it began.
    begins: Time,
    /// The capture's time of its first packet.
    first: Option<u64>,
    /// The tracker's latest time of a packet so far, of any worker.
    latest: Time,
}

/// Packets that were read and are not due yet.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    heads: Vec<Head>,
    taken: usize,
}

struct Head {
    time: Time,
    link: LinkType,
    wire_len: usize,
    /// Where its bytes begin and end.
    place: (usize, usize),
}

impl Replay {
    /// Opens a capture for worker `shard` of those among whom `dispatch` decides.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no capture.
    pub(crate) fn open(
        path: &Path,
        pace: Pace,
        clock: Clock,
        dispatch: Dispatch,
        shard: usize,
    ) -> io::Result<Replay> {
        let capture = Capture::open(path).map_err(io::Error::other)?;
        let rate = match pace.speed {
            Speed::Times(times) => times,
            Speed::Max => 0.0,
        };
        Ok(Replay {
            path: path.to_owned(),
            capture: Some(capture),
            pace,
            clock: clock.at_rate(rate),
            dispatch,
            shard,
            ahead: Ahead::default(),
            round: Round {
                begins: clock.origin(),
                first: None,
                latest: clock.origin(),
            },
            noted: false,
        })
    }

    /// Reads on. => whether there may be more.
    fn read_on(&mut self) -> bool {
        let Some(capture) = &mut self.capture else {
            return false;
        };
        self.ahead.clear();
        match capture.next_frames() {
            Ok(Some(frames)) => {
                for frame in frames {
                    if LinkType::from_number(frame.link_type).is_none() {
                        note_link_type(&mut self.noted, self.shard, &self.path, &frame);
                        continue;
                    }
                    let time = self.round.time_of(frame.time_ns);
                    self.ahead.take(&frame, time, |arrival| {
                        self.dispatch.shard_of_frame(arrival) == self.shard
                    });
                }
                return true;
            }
            Ok(None) => {}
            Err(error) if self.shard == 0 => warn!("{error}"),
            Err(_) => {}
        }
        self.end_round()
    }

    /// Begins the next round, if there is to be one.
    fn end_round(&mut self) -> bool {
        self.capture = None;
        let Round { first, latest, .. } = self.round;
        if self.pace.repeat && first.is_some() {
            match Capture::open(&self.path) {
                Ok(capture) => self.capture = Some(capture),
                Err(error) => warn!("{error}"),
            }
        }
        self.round = Round {
            begins: latest.plus(Duration::from_nanos(BETWEEN_ROUNDS)),
            first: None,
            latest,
        };
        if self.capture.is_none() {
            if self.shard == 0 {
                info!("{}: every packet was replayed", self.path.display());
            }
            if self.pace.speed == Speed::Max {
                self.clock = Clock::set(self.clock.now(), 1.0);
            }
        }
        self.capture.is_some()
    }
}

/// Says once, for all workers, that packets are passed over.
fn note_link_type(noted: &mut bool, shard: usize, path: &Path, frame: &Frame<'_>) {
    if shard == 0 && !*noted {
        let Frame {
            offset, link_type, ..
        } = frame;
        let name = path.display();
        warn!(
            "{name}: offset {offset}: link type {link_type} is not known; its packets are passed over"
        );
    }
    *noted = true;
}

impl Round {
    /// The tracker's time of a packet.
    fn time_of(&mut self, nanos: u64) -> Time {
        let first = *self.first.get_or_insert(nanos);
        let begins = self.begins.as_nanos();
        // A capture's clock that runs backwards is the tracker's to count.
        let time = match nanos.checked_sub(first) {
            Some(later) => begins.saturating_add(later),
            None => begins.saturating_sub(first - nanos),
        };
        let time = Time::from_nanos(time);
        self.latest = self.latest.max(time);
        time
    }
}

impl Ahead {
    fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
        self.taken = 0;
    }

    /// Keeps a packet, if its link type is known and it is wanted.
    fn take(&mut self, frame: &Frame<'_>, time: Time, wanted: impl Fn(&Arrival<'_>) -> bool) {
        let Some(link) = LinkType::from_number(frame.link_type) else {
            return;
        };
        let wire_len = frame.wire_len as usize;
        let arrival = Arrival {
            link,
            bytes: frame.bytes,
            wire_len,
            time,
        };
        if !wanted(&arrival) {
            return;
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(frame.bytes);
        self.heads.push(Head {
            time,
            link,
            wire_len,
            place: (from, self.bytes.len()),
        });
    }

    fn arrival(&self, head: &Head) -> Arrival<'_> {
        let (from, to) = head.place;
        Arrival {
            link: head.link,
            bytes: self.bytes.get(from..to).unwrap_or_default(),
            wire_len: head.wire_len,
            time: head.time,
        }
    }
}

impl Source for Replay {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn until(&self, time: Time) -> Duration {
        self.clock.until(time)
    }

    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next> {
        if self.ahead.taken == self.ahead.heads.len() && !self.read_on() {
            return Ok(Next::Readable);
        }
        let waiting = self.ahead.heads.get(self.ahead.taken..).unwrap_or_default();
        let now = match self.pace.speed {
            Speed::Max => Time::MAX,
            Speed::Times(_) => self.clock.now(),
        };
        let due: Vec<Arrival<'_>> = waiting
            .iter()
            .take(BATCH)
            .take_while(|head| head.time <= now)
            .map(|head| self.ahead.arrival(head))
            .collect();
        let mut verdicts = [Verdict::default(); BATCH];
        if let (Some(verdicts), Some(last)) = (verdicts.get_mut(..due.len()), due.last()) {
            if self.pace.speed == Speed::Max {
                let latest = self.clock.now().max(last.time);
                self.clock = Clock::set(latest, 0.0);
            }
            track.batch(&Batch::of(&due), verdicts);
        }
        let next = waiting
            .get(due.len())
            .map(|head| self.clock.until(head.time));
        self.ahead.taken += due.len();
        Ok(match next {
            Some(wait) if self.pace.speed != Speed::Max => Next::After(wait),
            _ => Next::Now,
        })
    }
}
