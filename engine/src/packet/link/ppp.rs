//! PPP (RFC 1661), alone or in a PPPoE session (RFC 2516).
//!
//! A peer may have negotiated to leave out the zero byte of a protocol number. The two forms can be
//! told apart: the last byte of a number is odd, the first of two is even.

use super::{Segment, be16, byte, bytes};
use crate::verdict::Reason;

const IPV4: u16 = 0x0021;
const IPV6: u16 = 0x0057;
/// The PPPoE code of session data.
const SESSION_DATA: u8 = 0;

/// The IP packet behind a PPPoE header: version and type, code, session, length, then PPP.
pub(super) fn over_ethernet(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let [_, code, ..] = bytes::<6>(frame, 0)?;
    match code {
        SESSION_DATA => payload(frame.skip(6)),
        _ => Err(Reason::NotIp),
    }
}

/// The IP packet behind a PPP protocol number of one byte or two.
pub(super) fn payload(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let first = byte(frame, 0)?;
    let (protocol, len) = match first & 1 {
        1 => (u16::from(first), 1),
        _ => (be16(frame, 0)?, 2),
    };
    match protocol {
        IPV4 | IPV6 => Ok(frame.skip(len)),
        _ => Err(Reason::NotIp),
    }
}
