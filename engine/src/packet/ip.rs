//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, and the chain of IPv6 extension headers.
//!
//! The checks are those of Linux's IP input: a packet that fails them never reaches connection
//! tracking there. The IPv4 header checksum is left to the tracker, which knows whether checksums
//! count. Bytes behind the IP total length are padding of the link layer and are cut off.

use super::{Missing, Packet, Segment};
use crate::tuple::{Addresses, Protocol};
use crate::verdict::Reason;

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fragment {
    /// Identification; 16 bits in IPv4.
    pub(crate) id: u32,
    /// Offset of its payload in the datagram's payload, in bytes.
    pub(crate) offset: u32,
    /// Whether more follow.
    pub(crate) more: bool,
    /// Length of the headers before the fragmented part (IPv6: without the fragment header).
    pub(crate) header_len: usize,
    /// IPv6: where in those headers the number of the next header stands.
    pub(crate) next_header_at: usize,
    /// Congestion notification (RFC 3168).
    pub(crate) ecn: u8,
}

const IPV4_MIN: usize = 20;
const IPV6_MIN: usize = 40;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const FRAGMENT_LEN: usize = 8;
const DESTINATION: u8 = 60;

/// Reads the IP packet that begins at `ip`.
#[inline(always)]
pub(crate) fn parse(ip: Segment<'_>) -> Result<Packet<'_>, Reason> {
    let [first] = header(ip, 0)?;
    match first >> 4 {
        4 => parse_v4(ip),
        6 => parse_v6(ip, true),
        _ => Err(Reason::NotIp),
    }
}

/// Reads a packet that was put together from fragments. A fragment header that is still in it is
/// not followed a second time.
pub(crate) fn parse_reassembled(ip: Segment<'_>) -> Result<Packet<'_>, Reason> {
    let [first] = header(ip, 0)?;
    match first >> 4 {
        4 => parse_v4(ip),
        _ => parse_v6(ip, false),
    }
}

/// Bytes that the IP layer cannot do without.
#[inline(always)]
fn header<const N: usize>(ip: Segment<'_>, offset: usize) -> Result<[u8; N], Reason> {
    ip.array(offset).map_err(|missing| match missing {
        Missing::Absent => Reason::IpHeader,
        Missing::Snapped => Reason::Snapped,
    })
}

/// Cuts off what the link layer added behind the packet.
#[inline(always)]
fn trim(ip: Segment<'_>, len: usize) -> Result<Segment<'_>, Reason> {
    if len > ip.len {
        return Err(Reason::IpTruncated);
    }
    Ok(Segment {
        bytes: ip.bytes.get(..len).unwrap_or(ip.bytes),
        len,
    })
}

/// Reads an IPv4 packet, whose version was seen.
#[inline(always)]
pub(super) fn parse_v4(ip: Segment<'_>) -> Result<Packet<'_>, Reason> {
    let fixed: [u8; IPV4_MIN] = header(ip, 0)?;
    let header_len = usize::from(fixed[0] & 15) * 4;
    let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if header_len < IPV4_MIN || total_len < header_len {
        return Err(Reason::IpHeader);
    }
    let ip = trim(ip, total_len)?;
    if ip.bytes.len() < header_len {
        return Err(Reason::Snapped);
    }
    let fragment_word = u16::from_be_bytes([fixed[6], fixed[7]]);
    Ok(Packet {
        ip,
        l4_at: header_len as u32,
        protocol: Protocol(fixed[9]),
        is_v6: false,
        is_fragment: fragment_word & (MORE_FRAGMENTS | OFFSET_MASK) != 0,
        unusable: None,
    })
}

#[inline(never)]
fn parse_v6(ip: Segment<'_>, may_be_fragment: bool) -> Result<Packet<'_>, Reason> {
    let fixed: [u8; IPV6_MIN] = header(ip, 0)?;
    let payload_len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let next = fixed[6];
    let ip = trim(ip, IPV6_MIN + payload_len)?;
    if may_be_fragment {
        // Once for each packet that arrives, and not again for what is put together from several.
        check_addresses(be128(&fixed, 8), be128(&fixed, 24))?;
        if next == HOP_BY_HOP {
            check_hop_by_hop(ip)?;
        }
    }
    let walk = walk_extensions(ip, next, may_be_fragment)?;
    Ok(v6_packet(ip, &walk))
}

fn v6_packet<'a>(ip: Segment<'a>, walk: &Walk) -> Packet<'a> {
    Packet {
        ip,
        l4_at: walk.l4_at as u32,
        protocol: walk.protocol,
        is_v6: true,
        is_fragment: walk.fragment.is_some(),
        unusable: walk.unusable,
    }
}

/// Source and destination of a header that was read before.
#[inline(always)]
pub(super) fn addresses(ip: &[u8], is_v6: bool) -> Addresses {
    if is_v6 {
        let fixed = ip.first_chunk::<IPV6_MIN>().unwrap_or(&[0; IPV6_MIN]);
        return Addresses::V6 {
            src: be128(fixed, 8),
            dst: be128(fixed, 24),
        };
    }
    let fixed = ip.first_chunk::<IPV4_MIN>().unwrap_or(&[0; IPV4_MIN]);
    Addresses::V4 {
        src: u32::from_be_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]),
        dst: u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]),
    }
}

/// Where a fragment belongs, from a packet that was read before.
pub(super) fn fragment(packet: &Packet<'_>) -> Option<Fragment> {
    let ip = packet.ip;
    if packet.is_v6 {
        let [next] = ip.array(6).ok()?;
        return walk_extensions(ip, next, true).ok()?.fragment;
    }
    let fixed: [u8; IPV4_MIN] = ip.array(0).ok()?;
    let word = u16::from_be_bytes([fixed[6], fixed[7]]);
    Some(Fragment {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset: u32::from(word & OFFSET_MASK) * 8,
        more: word & MORE_FRAGMENTS != 0,
        header_len: packet.l4_at as usize,
        next_header_at: 0,
        ecn: fixed[1] & 3,
    })
}

/// No packet comes from a multicast or IPv4-mapped address, and none goes to multicast of scope 0.
#[inline(always)]
pub(super) fn check_addresses(src: u128, dst: u128) -> Result<(), Reason> {
    let to_scope_0 = dst >> 120 == 0xff && (dst >> 112) & 15 == 0;
    if src >> 120 == 0xff || src >> 32 == 0xffff || to_scope_0 {
        return Err(Reason::IpAddress);
    }
    Ok(())
}

fn be128(fixed: &[u8; IPV6_MIN], offset: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&fixed[offset..offset + 16]);
    u128::from_be_bytes(bytes)
}

const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | NO_NEXT_HEADER | DESTINATION
    )
}

/// Where the chain of extension headers leads.
struct Walk {
    protocol: Protocol,
    l4_at: usize,
    fragment: Option<Fragment>,
    unusable: Option<Reason>,
}

/// Follows the extension headers to the transport header, or to the first fragment header that is
/// not merely decoration.
fn walk_extensions(
    ip: Segment<'_>,
    mut next: u8,
    mut may_be_fragment: bool,
) -> Result<Walk, Reason> {
    let mut next_at = 6;
    let mut offset = IPV6_MIN;
    let mut unusable = None;
    while is_extension(next) {
        if next == FRAGMENT && may_be_fragment {
            may_be_fragment = false;
            if let Some((protocol, fragment)) = read_fragment(ip, offset, next_at)? {
                return Ok(Walk {
                    protocol: Protocol(protocol),
                    l4_at: offset + FRAGMENT_LEN,
                    fragment: Some(fragment),
                    unusable,
                });
            }
        }
        let Some((following, len)) = step_over(ip, offset, next)? else {
            unusable = Some(Reason::NoTransport);
            break;
        };
        next_at = offset;
        offset += len;
        next = following;
    }
    Ok(Walk {
        protocol: Protocol(next),
        l4_at: offset.min(ip.len),
        fragment: None,
        unusable,
    })
}

/// What follows an extension header, and its length; `None` where the chain ends: the header is cut
/// short, says that nothing follows, or belongs to a fragment that is not the first.
fn step_over(ip: Segment<'_>, offset: usize, kind: u8) -> Result<Option<(u8, usize)>, Reason> {
    let ends = |missing| match missing {
        Missing::Absent => Ok(None),
        Missing::Snapped => Err(Reason::Snapped),
    };
    if kind == NO_NEXT_HEADER {
        return Ok(None);
    }
    if kind == FRAGMENT {
        return match ip.array(offset) {
            Ok([_, _, high, low]) if u16::from_be_bytes([high, low]) & !7 != 0 => Ok(None),
            Ok([next, ..]) => Ok(Some((next, FRAGMENT_LEN))),
            Err(missing) => ends(missing),
        };
    }
    match ip.array(offset) {
        Ok([next, len]) => Ok(Some((next, extension_len(kind, len)))),
        Err(missing) => ends(missing),
    }
}

/// RFC 8200, section 4; the authentication header counts in units of four bytes (RFC 4302).
fn extension_len(kind: u8, len: u8) -> usize {
    let len = usize::from(len);
    match kind {
        AUTHENTICATION => (len + 2) * 4,
        _ => (len + 1) * 8,
    }
}

/// The fragment header at `offset` and the number of what it carries; `None` if it is to be treated
/// as any other extension, because a first fragment lacks the headers that it must have (RFC 8200,
/// 4.5), or because the chain ended before it.
fn read_fragment(
    ip: Segment<'_>,
    offset: usize,
    next_header_at: usize,
) -> Result<Option<(u8, Fragment)>, Reason> {
    if offset > ip.len || ip.len == IPV6_MIN {
        return Ok(None);
    }
    if let Ok([next, _, high, low]) = ip.array(offset)
        && u16::from_be_bytes([high, low]) & !7 == 0
        && lacks_headers(ip, offset + FRAGMENT_LEN, next)
    {
        return Ok(None);
    }
    let bytes: [u8; FRAGMENT_LEN] = ip.array(offset).map_err(|missing| match missing {
        Missing::Absent => Reason::FragmentBad,
        Missing::Snapped => Reason::Snapped,
    })?;
    let word = u16::from_be_bytes([bytes[2], bytes[3]]);
    let fragment = Fragment {
        id: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        offset: u32::from(word & !7),
        more: word & 1 != 0,
        header_len: offset,
        next_header_at,
        ecn: traffic_class(ip) & 3,
    };
    Ok(Some((bytes[0], fragment)))
}

/// Whether the transport header of a first fragment is too short. A chain that breaks off before is
/// none of this question's business.
fn lacks_headers(ip: Segment<'_>, mut offset: usize, mut next: u8) -> bool {
    while is_extension(next) {
        let Ok(Some((following, len))) = step_over(ip, offset, next) else {
            return false;
        };
        offset += len;
        next = following;
    }
    let needed = match Protocol(next) {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMPV6 => 8,
        _ => 1,
    };
    offset + needed > ip.len
}

fn traffic_class(ip: Segment<'_>) -> u8 {
    ip.array(0)
        .map_or(0, |[first, second]: [u8; 2]| first << 4 | second >> 4)
}

/// Hop-by-hop options are examined by every router (RFC 8200, 4.2 and 4.3). Jumbograms
/// (RFC 2675) are refused: no link here carries them.
fn check_hop_by_hop(ip: Segment<'_>) -> Result<(), Reason> {
    let [_, len] = ip.array(IPV6_MIN).map_err(hop_by_hop)?;
    let options = ip.skip(IPV6_MIN);
    let len = extension_len(HOP_BY_HOP, len);
    let (mut offset, mut padding, mut count) = (2, 0, 0);
    if len > options.len {
        return Err(Reason::HopByHop);
    }
    while offset < len {
        let [kind] = options.array(offset).map_err(hop_by_hop)?;
        let size = match kind {
            PAD_1 => 1,
            _ => {
                let [_, size] = options.array(offset).map_err(hop_by_hop)?;
                2 + usize::from(size)
            }
        };
        let is_padding = matches!(kind, PAD_1 | PAD_N);
        padding = if is_padding { padding + size } else { 0 };
        count += u32::from(!is_padding);
        let is_good = offset + size <= len
            && padding <= PADDING_MAX
            && count <= OPTIONS_MAX
            && is_acceptable_option(kind, size, offset, options.skip(offset));
        if !is_good {
            return Err(Reason::HopByHop);
        }
        offset += size;
    }
    Ok(())
}

const PAD_1: u8 = 0;
const PAD_N: u8 = 1;
const ROUTER_ALERT: u8 = 5;
/// CALIPSO (RFC 5570): a security label, which nobody here can check.
const LABEL: u8 = 7;
/// In-situ measurements (RFC 9486), aligned to four bytes.
const IOAM: u8 = 0x31;
const JUMBO: u8 = 0xc2;
/// Linux's bounds against abuse.
const PADDING_MAX: usize = 7;
const OPTIONS_MAX: u32 = 8;

fn is_acceptable_option(kind: u8, size: usize, offset: usize, option: Segment<'_>) -> bool {
    match kind {
        PAD_1 => true,
        PAD_N => {
            let filler = option.bytes.iter().take(size).skip(2);
            filler.copied().all(|byte| byte == 0)
        }
        ROUTER_ALERT => size == 4,
        LABEL | JUMBO => false,
        IOAM => offset.is_multiple_of(4),
        // The two highest bits say what to do with an unknown option: 0 is to skip it.
        _ => kind >> 6 == 0,
    }
}

fn hop_by_hop(missing: Missing) -> Reason {
    match missing {
        Missing::Absent => Reason::HopByHop,
        Missing::Snapped => Reason::Snapped,
    }
}

/// Reads a packet quoted in an ICMP error: headers only, and the lengths in them do not count. A
/// fragment other than the first has no transport header.
pub(crate) fn parse_quoted(quoted: Segment<'_>, is_v4: bool) -> Result<Packet<'_>, Reason> {
    let quote = |missing| match missing {
        Missing::Absent => Reason::IcmpQuote,
        Missing::Snapped => Reason::Snapped,
    };
    if is_v4 {
        let fixed: [u8; IPV4_MIN] = quoted.array(0).map_err(quote)?;
        let word = u16::from_be_bytes([fixed[6], fixed[7]]);
        let header_len = usize::from(fixed[0] & 15) * 4;
        if word & OFFSET_MASK != 0 || header_len > quoted.len {
            return Err(Reason::IcmpQuote);
        }
        return Ok(Packet {
            ip: quoted,
            l4_at: header_len as u32,
            protocol: Protocol(fixed[9]),
            is_v6: false,
            is_fragment: false,
            unusable: None,
        });
    }
    let fixed: [u8; IPV6_MIN] = quoted.array(0).map_err(quote)?;
    let walk = walk_extensions(quoted, fixed[6], false)?;
    Ok(v6_packet(quoted, &walk))
}
