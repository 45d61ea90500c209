//! GRE headers: version 0 (RFC 2784, 2890) has nothing for the tuple; version 1 (RFC 2637, PPTP)
//! has a call id.

use super::{Missing, Segment};
use crate::verdict::Reason;

const VERSION_MASK: u16 = 0x0007;
const VERSION_PPTP: u16 = 1;
const PROTOCOL_PPP: u16 = 0x880b;

/// Source and destination key. The source key would come from the PPTP helper.
pub(crate) fn parts(segment: Segment<'_>) -> Result<(u16, u16), Reason> {
    let [a, b, c, d] = match segment.array(0) {
        Ok(bytes) => bytes,
        Err(Missing::Absent) => return Ok((0, 0)),
        Err(Missing::Snapped) => return Err(Reason::Snapped),
    };
    if u16::from_be_bytes([a, b]) & VERSION_MASK != VERSION_PPTP {
        return Ok((0, 0));
    }
    let [_, _, _, _, _, _, id_high, id_low]: [u8; 8] = match segment.array(0) {
        Ok(bytes) => bytes,
        Err(Missing::Absent) => return Ok((0, 0)),
        Err(Missing::Snapped) => return Err(Reason::Snapped),
    };
    if u16::from_be_bytes([c, d]) != PROTOCOL_PPP {
        return Err(Reason::NoTuple);
    }
    Ok((0, u16::from_be_bytes([id_high, id_low])))
}
