//! Ethertypes: what follows one, down to the IP packet.
//!
//! Between the first ethertype and the packet there may be any stack of VLAN tags (802.1Q, 802.1ad
//! and the older QinQ numbers), and in place of an ethertype an 802.3 length, with LLC and perhaps
//! SNAP behind it, which brings an ethertype again (RFC 1042). MPLS (RFC 3032) and PPPoE (RFC 2516)
//! end the chain. An MPLS stack does not say what it carries; as routers do, the first nibble below
//! it is taken for the IP version.

use super::{Segment, be16, byte, bytes, ip_or_not, ppp};
use crate::verdict::Reason;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const PPPOE_SESSION: u16 = 0x8864;
const MPLS_UNICAST: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
/// 802.1Q, 802.1ad, and the numbers that QinQ had before it was standardised.
const VLAN_TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
/// Up to here the number is the length of an 802.3 frame. There are none longer than 1500 bytes, but from the first
/// ethertype on only, 0x600, do hosts take it for one.
const LENGTH_MAX: u16 = 0x5ff;

/// Destination and source service access point and the control byte for unnumbered information.
const LLC_SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
const LLC_IP: [u8; 3] = [0x06, 0x06, 0x03];
/// The organisations whose SNAP protocol numbers are ethertypes: nobody's (RFC 1042), and that of bridges
/// (802.1H), which wireless hosts take off as well.
const SNAP_ETHERTYPES: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];

/// The IP packet in a header whose ethertype is at `offset`, and the last of the header.
#[inline(always)]
pub(super) fn at(frame: Segment<'_>, offset: usize) -> Result<Segment<'_>, Reason> {
    payload(be16(frame, offset)?, frame.skip(offset + 2))
}

/// The IP packet in what `ethertype` announced.
#[inline(always)]
pub(super) fn payload(ethertype: u16, inside: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match ethertype {
        IPV4 | IPV6 => Ok(inside),
        _ => unwrap(ethertype, inside),
    }
}

/// Takes off what stands between. Each turn takes at least three bytes off.
#[inline(never)]
fn unwrap(mut ethertype: u16, mut inside: Segment<'_>) -> Result<Segment<'_>, Reason> {
    loop {
        (ethertype, inside) = match ethertype {
            IPV4 | IPV6 => return Ok(inside),
            PPPOE_SESSION => return ppp::over_ethernet(inside),
            MPLS_UNICAST | MPLS_MULTICAST => return mpls(inside),
            tag if VLAN_TAGS.contains(&tag) => (be16(inside, 2)?, inside.skip(4)),
            ..=LENGTH_MAX => below_llc(inside)?,
            _ => return Err(Reason::NotIp),
        };
    }
}

/// The IP packet behind an LLC header.
pub(super) fn llc(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    let (ethertype, inside) = below_llc(frame)?;
    payload(ethertype, inside)
}

/// The ethertype that an LLC header, with SNAP or not, amounts to, and what follows the header.
fn below_llc(frame: Segment<'_>) -> Result<(u16, Segment<'_>), Reason> {
    match bytes::<3>(frame, 0)? {
        LLC_IP => Ok((IPV4, frame.skip(3))),
        LLC_SNAP if SNAP_ETHERTYPES.contains(&bytes(frame, 3)?) => {
            Ok((be16(frame, 6)?, frame.skip(8)))
        }
        _ => Err(Reason::NotIp),
    }
}

/// Four bytes a label; the lowest bit of the third marks the bottom of the stack.
fn mpls(mut stack: Segment<'_>) -> Result<Segment<'_>, Reason> {
    loop {
        let is_bottom = byte(stack, 2)? & 1 == 1;
        stack = stack.skip(4);
        if is_bottom {
            return ip_or_not(stack);
        }
    }
}
