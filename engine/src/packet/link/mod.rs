//! Link layers: from a frame to the IP packet in it.
//!
//! Numbers are the LINKTYPE values of the capture formats. [`strip`] takes off what a link type
//! puts first and hands the rest to the module whose idea it is:
//!
//! - `ether`: ethertypes, and what may stand between one and the packet (VLAN tags, MPLS, LLC);
//! - `ppp`: PPP and PPPoE;
//! - `serial`: the framings of serial lines, Cisco HDLC and Frame Relay;
//! - `wifi`: IEEE 802.11 and the four headers that captures put before it;
//! - `host`: what a host's loopback, IPsec or packet filter writes.
//!
//! All of them work on a [`Segment`] of which they only ever take more off the front. A loop ends
//! because each turn of it reads bytes and the frame has an end. A byte that the frame never had is
//! [`Reason::LinkShort`], one that the capture cut off is [`Reason::Snapped`], and a frame that can
//! be read but carries something else is [`Reason::NotIp`]. Lengths that link headers state for
//! their payload are not used: the IP header says how long its packet is.

mod ether;
mod host;
mod ppp;
mod serial;
mod wifi;

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
    /// PPP, with or without HDLC framing (RFC 1661, 1662), or Cisco HDLC in its place.
    Ppp,
    /// A PPPoE header without Ethernet.
    Pppoe,
    /// Cisco HDLC.
    CiscoHdlc,
    /// Frame Relay (RFC 2427).
    FrameRelay,
    /// IEEE 802.11.
    Wifi,
    /// IEEE 802.11 behind a Prism monitor header.
    WifiPrism,
    /// IEEE 802.11 behind an AVS header.
    WifiAvs,
    /// IEEE 802.11 behind a radiotap header.
    WifiRadiotap,
    /// IEEE 802.11 behind a Per-Packet Information header.
    WifiPpi,
    /// Linux cooked capture, version 1.
    LinuxSll,
    /// Linux cooked capture, version 2.
    LinuxSll2,
    /// Linux NFLOG messages.
    Nflog,
    /// OpenBSD's packet filter log.
    Pflog,
    /// OpenBSD's encapsulating interface: IPsec traffic, decrypted.
    Enc,
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
            12 | 14 | 101 | 228 | 229 => LinkType::Raw,
            51 => LinkType::Pppoe,
            104 => LinkType::CiscoHdlc,
            105 => LinkType::Wifi,
            107 => LinkType::FrameRelay,
            109 => LinkType::Enc,
            113 => LinkType::LinuxSll,
            117 => LinkType::Pflog,
            119 => LinkType::WifiPrism,
            127 => LinkType::WifiRadiotap,
            163 => LinkType::WifiAvs,
            192 => LinkType::WifiPpi,
            239 => LinkType::Nflog,
            276 => LinkType::LinuxSll2,
            _ => return None,
        })
    }
}

/// The IP packet inside a frame.
#[inline(always)]
pub(super) fn strip(link: LinkType, frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match link {
        LinkType::Ethernet => ether::at(frame, 12),
        LinkType::Raw => ip_or_not(frame),
        _ => strip_other(link, frame),
    }
}

#[inline(never)]
fn strip_other(link: LinkType, frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match link {
        LinkType::Ethernet => ether::at(frame, 12),
        LinkType::Raw => ip_or_not(frame),
        LinkType::LinuxSll => ether::at(frame, 14),
        LinkType::LinuxSll2 => ether::payload(be16(frame, 0)?, frame.skip(20)),
        LinkType::Null => host::null(frame),
        LinkType::Enc => host::enc(frame),
        LinkType::Pflog => host::pflog(frame),
        LinkType::Nflog => host::nflog(frame),
        LinkType::Ppp => serial::ppp_or_cisco(frame),
        LinkType::Pppoe => ppp::over_ethernet(frame),
        LinkType::CiscoHdlc => serial::cisco_hdlc(frame),
        LinkType::FrameRelay => serial::frame_relay(frame),
        LinkType::Wifi => wifi::data(frame),
        LinkType::WifiPrism => wifi::prism(frame),
        LinkType::WifiAvs => wifi::avs(frame),
        LinkType::WifiRadiotap => wifi::radiotap(frame),
        LinkType::WifiPpi => wifi::ppi(frame),
    }
}

/// For link layers that do not say which version follows, or whether it is IP.
#[inline]
fn ip_or_not(datagram: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match byte(datagram, 0)? >> 4 {
        4 | 6 => Ok(datagram),
        _ => Err(Reason::NotIp),
    }
}

fn byte(frame: Segment<'_>, offset: usize) -> Result<u8, Reason> {
    let [byte] = bytes(frame, offset)?;
    Ok(byte)
}

#[inline(always)]
fn be16(frame: Segment<'_>, offset: usize) -> Result<u16, Reason> {
    bytes(frame, offset).map(u16::from_be_bytes)
}

fn le16(frame: Segment<'_>, offset: usize) -> Result<u16, Reason> {
    bytes(frame, offset).map(u16::from_le_bytes)
}

#[inline(always)]
fn bytes<const N: usize>(frame: Segment<'_>, offset: usize) -> Result<[u8; N], Reason> {
    frame.array(offset).map_err(|missing| match missing {
        Missing::Absent => Reason::LinkShort,
        Missing::Snapped => Reason::Snapped,
    })
}
