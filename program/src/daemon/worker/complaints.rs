//! What the log says of packets that are refused: above all `table full, dropping packet`, and who fills the
//! table; and, if `nf_conntrack_log_invalid` asks for it, why a packet is INVALID.
//!
//! Each kind is said at most ten times in five seconds, by all workers together, as the kernel does; how
//! often it was not said is told afterwards. Who asks for new entries is counted by every worker for
//! itself ([`Sketch`]) and put together when it is told. Packets of known connections cost nothing but a look
//! at their verdict.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ip_conntrack::{Arrival, Class, Config, Kind, Knob, Packet, Reason, Time, Tuple, Verdict};
use tracing::{info, warn};

use super::sketch::Sketch;
use crate::often::Often;

/// `nf_conntrack_log_invalid`: all protocols.
const ALL: i64 = 255;

/// So often do counts of who asks lose half of their weight.
const FADES_AFTER: u64 = 60_000_000_000;

/// What all workers say together.
#[derive(Debug)]
pub(crate) struct Voice {
    said: Mutex<Said>,
    /// The log goes by a clock of its own, however fast a capture is replayed.
    born: Instant,
}

#[derive(Debug, Default)]
struct Said {
    full: Often,
    invalid: Often,
    asked: Sketch,
    faded: Option<Time>,
}

/// What one worker has to say.
#[derive(Debug)]
pub(super) struct Complaints {
    voice: Arc<Voice>,
    asked: Sketch,
}

impl Voice {
    pub(crate) fn new() -> Voice {
        Voice {
            said: Mutex::default(),
            born: Instant::now(),
        }
    }

    /// What was said, and the time.
    fn said(&self) -> (MutexGuard<'_, Said>, Time) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (said, Time::ZERO.plus(self.born.elapsed()))
    }
}

impl Complaints {
    pub(super) fn new(voice: Arc<Voice>) -> Complaints {
        Complaints {
            voice,
            asked: Sketch::default(),
        }
    }

    /// Looks through the verdicts of a batch.
    pub(super) fn note(
        &mut self,
        config: &Config,
        entries: usize,
        arrivals: &[Arrival<'_>],
        verdicts: &[Verdict],
    ) {
        let mut full = 0;
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            match verdict.class {
                Class::Established | Class::Related | Class::Untracked => {}
                Class::New => self.note_asked(arrival),
                Class::Invalid if verdict.reason == Some(Reason::TableFull) => {
                    full += 1;
                    self.note_asked(arrival);
                }
                Class::Invalid => self.note_invalid(config, arrival, verdict),
            }
        }
        if full > 0 {
            self.tell_full(config, entries, full);
        }
    }

    #[inline(never)]
    fn note_asked(&mut self, arrival: &Arrival<'_>) {
        let packet = Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len);
        if let Some(tuple) = packet.ok().and_then(|packet| packet.tuple()) {
            self.asked.add(tuple.src, 1);
        }
    }

    /// Tells that so many packets were dropped.
    fn tell_full(&mut self, config: &Config, entries: usize, packets: u64) {
        let (mut said, now) = self.voice.said();
        let mut begins = false;
        for _ in 0..packets {
            if said.full.may_say(now) {
                begins |= said.full.is_first();
                tell_suppressed("table full, dropping packet", said.full.take_suppressed());
                warn!("ip_conntrack: table full, dropping packet.");
            }
        }
        if begins {
            said.asked.take(&mut self.asked);
            warn!(
                "ip_conntrack: {entries} entries with this worker, at most {} in all; new ones are asked for by {}",
                config.get(Knob::Max),
                said.asked.describe()
            );
        }
    }

    #[inline(never)]
    fn note_invalid(&mut self, config: &Config, arrival: &Arrival<'_>, verdict: &Verdict) {
        let wanted = config.get(Knob::LogInvalid);
        let is_invalid = |reason: &Reason| matches!(reason.kind(), Kind::Invalid | Kind::IcmpError);
        let Some(reason) = verdict
            .reason
            .filter(|reason| wanted != 0 && is_invalid(reason))
        else {
            return;
        };
        let Ok(packet) = Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) else {
            return;
        };
        let protocol = packet.protocol().0;
        if wanted != ALL && wanted != i64::from(protocol) {
            return;
        }
        let (mut said, now) = self.voice.said();
        if said.invalid.may_say(now) {
            tell_suppressed("invalid packet", said.invalid.take_suppressed());
            let (name, len) = (reason.name(), packet.ip_len());
            match packet.tuple() {
                Some(Tuple { src, dst, .. }) => info!(
                    "ip_conntrack: invalid packet: {name}: SRC={src} DST={dst} LEN={len} PROTO={protocol}"
                ),
                None => info!("ip_conntrack: invalid packet: {name}: LEN={len} PROTO={protocol}"),
            }
        }
    }

    /// Tells what was not said, once nothing more of its kind comes, and has old counts fade. For once a second.
    pub(super) fn tick(&mut self) {
        let (mut said, now) = self.voice.said();
        said.asked.take(&mut self.asked);
        if said
            .faded
            .is_none_or(|faded| now.nanos_since(faded) >= FADES_AFTER)
        {
            said.faded = Some(now);
            said.asked.halve();
        }
        let Said { full, invalid, .. } = &mut *said;
        for (kind, often) in [
            ("table full, dropping packet", full),
            ("invalid packet", invalid),
        ] {
            if often.is_over(now) {
                tell_suppressed(kind, often.take_suppressed());
            }
        }
    }
}

fn tell_suppressed(kind: &str, count: u64) {
    if count > 0 {
        warn!("ip_conntrack: {count} more messages were suppressed: {kind}");
    }
}
