//! IEEE 802.11, bare or behind one of four capture headers.
//!
//! Only data frames that carry data and are not encrypted can hold a readable packet, behind LLC
//! and SNAP. The MAC header is 24 bytes, six more with a fourth address (both distribution system
//! bits set) and two more with a QoS control field. The capture headers matter for their length
//! alone.

use super::{Segment, bytes, ether, le16};
use crate::verdict::Reason;

/// First byte of frame control: bits of the type, and the type of data frames.
const TYPE_MASK: u8 = 0x0c;
const TYPE_DATA: u8 = 0x08;
/// Subtype bits of data frames.
const NO_DATA: u8 = 0x40;
const QOS: u8 = 0x80;
/// Second byte: to and from the distribution system.
const BOTH_DS: u8 = 0x03;
const PROTECTED: u8 = 0x40;

/// The length of every Prism header.
const PRISM_LEN: usize = 144;
/// What a PPI header gives as the link type of 802.11.
const PPI_WIFI: [u8; 4] = [105, 0, 0, 0];

/// The IP packet in an 802.11 frame.
pub(super) fn data(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let [kind, flags] = bytes(frame, 0)?;
    if kind & TYPE_MASK != TYPE_DATA || kind & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Reason::NotIp);
    }
    let fourth_address = if flags & BOTH_DS == BOTH_DS { 6 } else { 0 };
    let qos_control = if kind & QOS != 0 { 2 } else { 0 };
    ether::llc(frame.skip(24 + fourth_address + qos_control))
}

/// The IP packet behind a Prism header.
pub(super) fn prism(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    data(frame.skip(PRISM_LEN))
}

/// The IP packet behind an AVS header: magic and version, then its length.
pub(super) fn avs(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let len = u32::from_be_bytes(bytes(frame, 4)?);
    data(frame.skip(usize::try_from(len).unwrap_or(usize::MAX)))
}

/// The IP packet behind a radiotap header: version, a zero, then its length.
pub(super) fn radiotap(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let len = le16(frame, 2)?;
    data(frame.skip(usize::from(len)))
}

/// The IP packet behind a Per-Packet Information header: version, flags, its length and the link
/// type of what follows.
pub(super) fn ppi(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let len = le16(frame, 2)?;
    match bytes(frame, 4)? {
        PPI_WIFI => data(frame.skip(usize::from(len))),
        _ => Err(Reason::NotIp),
    }
}
