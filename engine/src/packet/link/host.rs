//! What a host writes about its own packets: loopback, IPsec, and the logs of packet filters.
//!
//! These headers give an address family in the numbering of the system that wrote them. It is not
//! used: the packet's first nibble says the same everywhere.

use super::{Segment, byte, bytes, ip_or_not, le16};
use crate::verdict::Reason;

/// The address family.
const NULL_LEN: usize = 4;
/// Address family, security parameter index and flags.
const ENC_LEN: usize = 12;
/// Address family, version and resource of an NFLOG message.
const NFLOG_LEN: usize = 4;
/// Length and type of an attribute.
const ATTRIBUTE_LEN: usize = 4;
const ATTRIBUTE_PAYLOAD: u16 = 9;

/// The IP packet behind a BSD loopback header.
pub(super) fn null(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    ip_or_not(frame.skip(NULL_LEN))
}

/// The IP packet behind an OpenBSD `enc` header.
pub(super) fn enc(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    ip_or_not(frame.skip(ENC_LEN))
}

/// The IP packet behind a `pflog` header, whose first byte is its length without the padding to
/// four bytes.
pub(super) fn pflog(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let len = usize::from(byte(frame, 0)?);
    ip_or_not(frame.skip(len.next_multiple_of(4)))
}

/// The IP packet in the attributes of an NFLOG message. Their numbers are in the byte order of the
/// host that captured; little-endian is assumed. Each turn takes at least four bytes off.
pub(super) fn nflog(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    bytes::<NFLOG_LEN>(frame, 0)?;
    let mut attributes = frame.skip(NFLOG_LEN);
    while attributes.len > 0 {
        let len = usize::from(le16(attributes, 0)?);
        let kind = le16(attributes, 2)?;
        if len < ATTRIBUTE_LEN {
            break;
        }
        if kind == ATTRIBUTE_PAYLOAD {
            return ip_or_not(first(attributes, len).skip(ATTRIBUTE_LEN));
        }
        attributes = attributes.skip(len.next_multiple_of(4));
    }
    Err(Reason::NotIp)
}

/// The first `len` bytes, or as many as there were.
fn first(segment: Segment<'_>, len: usize) -> Segment<'_> {
    Segment {
        bytes: segment.bytes.get(..len).unwrap_or(segment.bytes),
        len: len.min(segment.len),
    }
}
