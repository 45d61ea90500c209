//! ICMP (RFC 792) and ICMPv6 (RFC 4443).
//!
//! Queries open connections, which answers of the same identifier and code belong to; one timeout,
//! renewed by every packet, never ASSURED. Errors belong to the connection of the packet that they
//! quote: [`examine`] finds out which of the three a message is, before any look-up.

use super::{Scene, Step};
use crate::config::{Config, Knob};
use crate::packet::icmp::{HEADER_LEN, Header};
use crate::packet::{Missing, Packet, checksum, ip};
use crate::tuple::{Addresses, Protocol, icmp_is_request, invert_parts};
use crate::verdict::Reason;

/// The highest ICMP type there is.
const ICMP_TYPE_MAX: u8 = 18;
const ICMPV6_REDIRECT: u8 = 137;
/// Bytes of a redirect before its options (RFC 4861, 4.5).
const REDIRECT_LEN: usize = 40;
const OPTION_REDIRECTED_HEADER: u8 = 4;

/// What an ICMP message is about.
pub(crate) enum Message {
    /// A query or an answer, which has a connection of its own.
    Query,
    /// About the link, not about connections.
    Untracked,
    /// About the connection to which an answer to the quoted packet would belong.
    Error(Quote),
}

/// The inverse of a quoted packet's tuple.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    pub(crate) addresses: Addresses,
    pub(crate) protocol: Protocol,
    pub(crate) parts: (u16, u16),
}

pub(super) fn track(scene: &Scene<'_>) -> Step {
    let protocol = scene.packet.protocol;
    let kind = scene.packet.l4().bytes.first().copied().unwrap_or_default();
    if scene.opens && !icmp_is_request(protocol, kind) {
        return Step::Invalid(Reason::IcmpNew);
    }
    Step::Refresh(scene.config.secs(match protocol {
        Protocol::ICMP => Knob::IcmpTimeout,
        _ => Knob::Icmpv6Timeout,
    }))
}

/// Sorts a message before any look-up.
#[inline(never)]
pub(crate) fn examine(packet: &Packet<'_>, config: &Config) -> Result<Message, Reason> {
    let examine_own = match (packet.addresses(), packet.protocol) {
        (Addresses::V4 { .. }, Protocol::ICMP) => examine_v4,
        (Addresses::V6 { .. }, Protocol::ICMPV6) => examine_v6,
        _ => return Err(Reason::WrongFamily),
    };
    let header = Header::parse(packet.l4()).map_err(|missing| match missing {
        Missing::Absent => Reason::IcmpShort,
        Missing::Snapped => Reason::Snapped,
    })?;
    examine_own(packet, header, config)
}

fn examine_v4(packet: &Packet<'_>, header: Header, config: &Config) -> Result<Message, Reason> {
    let checks = config.flag(Knob::Checksum) && packet.l4().is_whole();
    if checks && !checksum::is_right(packet.l4().bytes) {
        return Err(Reason::IcmpChecksum);
    }
    if header.kind > ICMP_TYPE_MAX {
        return Err(Reason::IcmpType);
    }
    if header.is_v4_error() {
        return quote(packet, HEADER_LEN);
    }
    Ok(Message::Query)
}

fn examine_v6(packet: &Packet<'_>, header: Header, config: &Config) -> Result<Message, Reason> {
    let l4 = packet.l4();
    let checks = config.flag(Knob::Checksum) && l4.is_whole();
    let is_right = |addresses| {
        checksum::is_right_with_pseudo_header(addresses, Protocol::ICMPV6, l4.bytes, l4.len)
    };
    if checks && !is_right(packet.addresses()) {
        return Err(Reason::IcmpChecksum);
    }
    if header.is_v6_untracked() {
        return Ok(Message::Untracked);
    }
    if header.kind == ICMPV6_REDIRECT {
        return redirect(packet, header.code);
    }
    if header.is_v6_error() {
        return quote(packet, HEADER_LEN);
    }
    Ok(Message::Query)
}

/// RFC 4861, 8.1: from a link-local router one hop away, with the redirected packet as first option.
fn redirect(packet: &Packet<'_>, code: u8) -> Result<Message, Reason> {
    if packet.l4().len < REDIRECT_LEN {
        return Err(Reason::IcmpRedirect);
    }
    if code != 0 {
        return Ok(Message::Query);
    }
    let options = packet.l4().skip(REDIRECT_LEN);
    let option: [u8; 2] = options.array(0).map_err(|_| Reason::IcmpRedirect)?;
    let hop_limit = packet.ip.array(7).map_or(0, |[hop_limit]| hop_limit);
    let is_link_local = match packet.addresses() {
        Addresses::V6 { src, .. } => src >> 118 == 0xfe80 >> 6,
        Addresses::V4 { .. } => false,
    };
    if hop_limit != 255 || !is_link_local || option[1] == 0 {
        return Err(Reason::IcmpRedirect);
    }
    if option[0] != OPTION_REDIRECTED_HEADER {
        return Ok(Message::Query);
    }
    quote(packet, REDIRECT_LEN + HEADER_LEN)
}

/// Reads the packet that an error quotes, which is of the same family. Its lengths are those of the
/// quotation: routers send as much as they like.
fn quote(error: &Packet<'_>, offset: usize) -> Result<Message, Reason> {
    let is_v4 = matches!(error.addresses(), Addresses::V4 { .. });
    let packet = ip::parse_quoted(error.l4().skip(offset), is_v4)?;
    if packet.unusable.is_some() {
        return Err(Reason::IcmpQuote);
    }
    let protocol = packet.protocol;
    let inverse = match packet.parts() {
        Ok((src, dst)) => invert_parts(protocol, src, dst),
        Err(Reason::Snapped) => return Err(Reason::Snapped),
        Err(_) => None,
    };
    Ok(Message::Error(Quote {
        addresses: packet.addresses().exchanged(),
        protocol,
        parts: inverse.ok_or(Reason::IcmpQuote)?,
    }))
}
