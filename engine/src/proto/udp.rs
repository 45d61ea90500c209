//! UDP (RFC 768) and UDP-Lite (RFC 3828).
//!
//! A UDP exchange that goes on for more than two seconds after its first packet is a stream: it gets
//! the longer timeout and becomes ASSURED. A question with its answer does not. UDP-Lite knows no
//! such clock: the first packet after a reply makes the stream.

use core::time::Duration;

use super::{Scene, Step, has_right_checksum};
use crate::config::{Config, Knob};
use crate::connection::Status;
use crate::event::Changes;
use crate::packet::{Missing, Packet, udp::Header};
use crate::time::{Time, nanos};
use crate::tuple::Protocol;
use crate::verdict::Reason;

/// Seconds from the first packet to the moment after which an exchange is a stream.
const STREAM_AFTER: i64 = 2;
const HEADER_LEN: usize = 8;

/// When the exchange becomes a stream.
#[derive(Clone, Debug)]
pub(crate) struct Udp {
    stream_after: Time,
}

impl Udp {
    pub(super) fn new(now: Time) -> Udp {
        Udp {
            stream_after: now.plus_secs(STREAM_AFTER),
        }
    }

    /// As numbers that can be kept: nanoseconds until it is a stream, plus one; 0 if it is one.
    pub(super) fn memory(&self, now: Time) -> [u32; 2] {
        let left = match now > self.stream_after {
            true => 0,
            false => self.stream_after.nanos_since(now).saturating_add(1),
        };
        [(left >> 32) as u32, left as u32]
    }

    pub(super) fn remembering([high, low]: [u32; 2], now: Time) -> Udp {
        let left = u64::from(high) << 32 | u64::from(low);
        let left = left.checked_sub(1).map(Duration::from_nanos);
        Udp {
            stream_after: left.map_or(Time::ZERO, |left| now.plus(left)),
        }
    }

    pub(super) fn track(
        &self,
        status: &mut Status,
        scene: &Scene<'_>,
        changes: &mut Changes,
    ) -> Step {
        if let Err(reason) = check(scene.packet, scene.config.flag(Knob::Checksum)) {
            return Step::Invalid(reason);
        }
        if status.has(Status::SEEN_REPLY) && scene.now > self.stream_after {
            return stream(status, scene, changes);
        }
        Step::Refresh(scene.config.secs(Knob::UdpTimeout))
    }

    /// A datagram of a stream, or of an exchange that is none yet and was answered.
    #[inline(never)]
    pub(super) fn continue_usually(
        &self,
        packet: &Packet<'_>,
        status: Status,
        now: Time,
        terms: &super::Terms,
    ) -> Option<Time> {
        check(packet, terms.verifies).ok()?;
        let is_stream = now > self.stream_after;
        let timeout = match (is_stream, status.has(Status::ASSURED)) {
            (true, true) => terms.udp.stream,
            (true, false) => return None,
            (false, _) => terms.udp.exchange,
        };
        Some(now.plus_nanos(timeout))
    }
}

/// The timeouts, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    stream: i64,
    exchange: i64,
}

impl Terms {
    pub(super) const fn of(config: &Config) -> Terms {
        Terms {
            stream: nanos(config.secs(Knob::UdpTimeoutStream)),
            exchange: nanos(config.secs(Knob::UdpTimeout)),
        }
    }
}

pub(super) fn track_lite(status: &mut Status, scene: &Scene<'_>, changes: &mut Changes) -> Step {
    if let Err(reason) = check_lite(scene.packet, scene.config) {
        return Step::Invalid(reason);
    }
    if status.has(Status::SEEN_REPLY) {
        return stream(status, scene, changes);
    }
    Step::Refresh(scene.config.secs(Knob::UdpTimeout))
}

fn stream(status: &mut Status, scene: &Scene<'_>, changes: &mut Changes) -> Step {
    if !status.has(Status::ASSURED) && !status.has(Status::NAT_CLASH) {
        *status = status.with(Status::ASSURED);
        changes.add(Changes::ASSURED);
    }
    Step::Refresh(scene.config.secs(Knob::UdpTimeoutStream))
}

/// A checksum of 0 is none, also over IPv6.
#[inline(always)]
fn check(packet: &Packet<'_>, verifies: bool) -> Result<(), Reason> {
    let segment = packet.l4();
    let header = Header::parse(segment).map_err(|missing| match missing {
        Missing::Absent => Reason::UdpShort,
        Missing::Snapped => Reason::Snapped,
    })?;
    let length = usize::from(header.length);
    if length < HEADER_LEN || length > segment.len {
        return Err(Reason::UdpLength);
    }
    if header.checksum != 0 && !has_right_checksum(packet, verifies, Protocol::UDP, segment.len) {
        return Err(Reason::UdpChecksum);
    }
    Ok(())
}

/// RFC 3828, 3.1: coverage 0 is everything, 1 to 7 is illegal; the checksum is never absent.
fn check_lite(packet: &Packet<'_>, config: &Config) -> Result<(), Reason> {
    let segment = packet.l4();
    let header = Header::parse(segment).map_err(|missing| match missing {
        Missing::Absent => Reason::UdpliteShort,
        Missing::Snapped => Reason::Snapped,
    })?;
    let covered = match usize::from(header.length) {
        0 => segment.len,
        covered => covered,
    };
    if covered < HEADER_LEN || covered > segment.len {
        return Err(Reason::UdpliteCoverage);
    }
    let verifies = config.flag(Knob::Checksum);
    if header.checksum == 0 || !has_right_checksum(packet, verifies, Protocol::UDPLITE, covered) {
        return Err(Reason::UdpliteChecksum);
    }
    Ok(())
}
