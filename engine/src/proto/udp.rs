//! UDP (RFC 768) and UDP-Lite (RFC 3828).
//!
//! A UDP exchange that goes on for more than two seconds after its first packet is a stream: it gets
//! the longer timeout and becomes ASSURED. A question with its answer does not. UDP-Lite knows no
//! such clock: the first packet after a reply makes the stream.

use super::{Scene, Step};
use crate::config::Knob;
use crate::connection::Status;
use crate::event::Changes;
use crate::packet::{Missing, udp::Header};
use crate::time::Time;
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

    pub(super) fn track(
        &self,
        status: &mut Status,
        scene: &Scene<'_>,
        changes: &mut Changes,
    ) -> Step {
        if let Err(reason) = check(scene) {
            return Step::Invalid(reason);
        }
        if status.has(Status::SEEN_REPLY) && scene.now > self.stream_after {
            return stream(status, scene, changes);
        }
        Step::Refresh(scene.config.get(Knob::UdpTimeout))
    }
}

pub(super) fn track_lite(status: &mut Status, scene: &Scene<'_>, changes: &mut Changes) -> Step {
    if let Err(reason) = check_lite(scene) {
        return Step::Invalid(reason);
    }
    if status.has(Status::SEEN_REPLY) {
        return stream(status, scene, changes);
    }
    Step::Refresh(scene.config.get(Knob::UdpTimeout))
}

fn stream(status: &mut Status, scene: &Scene<'_>, changes: &mut Changes) -> Step {
    if !status.has(Status::ASSURED) && !status.has(Status::NAT_CLASH) {
        *status = status.with(Status::ASSURED);
        changes.add(Changes::ASSURED);
    }
    Step::Refresh(scene.config.get(Knob::UdpTimeoutStream))
}

/// A checksum of 0 is none, also over IPv6.
fn check(scene: &Scene<'_>) -> Result<(), Reason> {
    let segment = scene.packet.l4();
    let header = Header::parse(segment).map_err(|missing| match missing {
        Missing::Absent => Reason::UdpShort,
        Missing::Snapped => Reason::Snapped,
    })?;
    let length = usize::from(header.length);
    if length < HEADER_LEN || length > segment.len {
        return Err(Reason::UdpLength);
    }
    if header.checksum != 0 && !scene.has_right_checksum(Protocol::UDP, segment.len) {
        return Err(Reason::UdpChecksum);
    }
    Ok(())
}

/// RFC 3828, 3.1: coverage 0 is everything, 1 to 7 is illegal; the checksum is never absent.
fn check_lite(scene: &Scene<'_>) -> Result<(), Reason> {
    let segment = scene.packet.l4();
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
    if header.checksum == 0 || !scene.has_right_checksum(Protocol::UDPLITE, covered) {
        return Err(Reason::UdpliteChecksum);
    }
    Ok(())
}
