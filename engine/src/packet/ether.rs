//! Link layers: from a frame to the IP packet in it.
//!
//! Numbers are the LINKTYPE values of the capture formats. Ethernet frames may carry any stack of
//! VLAN tags (802.1Q, 802.1ad and the older QinQ numbers) and PPPoE sessions (RFC 2516).

use super::{Missing, Segment};
use crate::verdict::Reason;

/// How the bytes before the IP header are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum LinkType {
    /// BSD loopback: four bytes of address family.
    Null,
    /// Ethernet.
    Ethernet,
    /// PPP, with or without HDLC framing (RFC 1661, 1662).
    Ppp,
    /// A PPPoE header without Ethernet.
    Pppoe,
    /// Linux cooked capture, version 1.
    LinuxSll,
    /// Linux cooked capture, version 2.
    LinuxSll2,
    /// Nothing: the IP packet itself.
    Raw,
}

impl LinkType {
    /// The link type that a capture file's LINKTYPE number stands for, if the parser knows it.
    pub const fn from_number(number: u32) -> Option<LinkType> {
        Some(match number {
            0 | 108 => LinkType::Null,
            1 => LinkType::Ethernet,
            9 | 50 => LinkType::Ppp,
            51 => LinkType::Pppoe,
            12 | 14 | 101 | 228 | 229 => LinkType::Raw,
            113 => LinkType::LinuxSll,
            276 => LinkType::LinuxSll2,
            _ => return None,
        })
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
/// 802.1Q, 802.1ad, and the numbers that QinQ had before it was standardised.
const VLAN_TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The IP packet inside a frame.
pub(super) fn strip(link: LinkType, frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match link {
        LinkType::Raw => ip_or_not(frame),
        LinkType::Null => ip_or_not(frame.skip(4)),
        LinkType::Ethernet => by_ethertype(frame, 12),
        LinkType::LinuxSll => by_ethertype(frame, 14),
        LinkType::LinuxSll2 => {
            let inside = by_ethertype_at(frame, be16(frame, 0)?, 20)?;
            Ok(inside)
        }
        LinkType::Ppp => ppp(frame, hdlc_len(frame)?),
        LinkType::Pppoe => pppoe(frame, 0),
    }
}

fn by_ethertype(frame: Segment<'_>, offset: usize) -> Result<Segment<'_>, Reason> {
    by_ethertype_at(frame, be16(frame, offset)?, offset + 2)
}

/// `offset` is where the payload of `ethertype` begins. Each VLAN tag takes four bytes of a frame
/// that has an end, so the loop ends.
fn by_ethertype_at(
    frame: Segment<'_>,
    mut ethertype: u16,
    mut offset: usize,
) -> Result<Segment<'_>, Reason> {
    while VLAN_TAGS.contains(&ethertype) {
        ethertype = be16(frame, offset + 2)?;
        offset += 4;
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(frame.skip(offset)),
        ETHERTYPE_PPPOE_SESSION => pppoe(frame, offset),
        _ => Err(Reason::NotIp),
    }
}

/// RFC 2516: version and type, code (0 for session data), session id, length, then PPP.
fn pppoe(frame: Segment<'_>, offset: usize) -> Result<Segment<'_>, Reason> {
    let [_, code, ..] = bytes::<6>(frame, offset)?;
    if code != 0 {
        return Err(Reason::NotIp);
    }
    ppp(frame, offset + 6)
}

/// Length of the HDLC address and control bytes, which PPP over serial lines has (RFC 1662).
fn hdlc_len(frame: Segment<'_>) -> Result<usize, Reason> {
    Ok(match be16(frame, 0)? {
        0xff03 => 2,
        _ => 0,
    })
}

/// The protocol number of PPP takes one byte if that is odd (RFC 1661, protocol field compression).
fn ppp(frame: Segment<'_>, offset: usize) -> Result<Segment<'_>, Reason> {
    let [first] = bytes::<1>(frame, offset)?;
    let (protocol, len) = if first & 1 == 1 {
        (u16::from(first), 1)
    } else {
        (be16(frame, offset)?, 2)
    };
    match protocol {
        PPP_IPV4 | PPP_IPV6 => Ok(frame.skip(offset + len)),
        _ => Err(Reason::NotIp),
    }
}

/// For link layers that do not say which version follows.
fn ip_or_not(datagram: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match bytes::<1>(datagram, 0)?[0] >> 4 {
        4 | 6 => Ok(datagram),
        _ => Err(Reason::NotIp),
    }
}

fn be16(frame: Segment<'_>, offset: usize) -> Result<u16, Reason> {
    bytes::<2>(frame, offset).map(u16::from_be_bytes)
}

fn bytes<const N: usize>(frame: Segment<'_>, offset: usize) -> Result<[u8; N], Reason> {
    frame.array(offset).map_err(|missing| match missing {
        Missing::Absent => Reason::LinkShort,
        Missing::Snapped => Reason::Snapped,
    })
}
