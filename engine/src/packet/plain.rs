//! What most frames are, read at once: Ethernet without tags, IPv4 without options or IPv6 without
//! extension headers, whole and no fragment, TCP or UDP, from one host to another. Everything is at a
//! place that is known before.
//!
//! A short cut of [`Packet::parse_cut`], which finds the same in such frames; the tests hold the two
//! against each other.

use super::ip::check_addresses;
use super::{LinkType, Packet, Segment};
use crate::tuple::Protocol;

/// A packet of IPv4, with what a connection is looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) packet: Packet<'a>,
    /// Source and destination, as they stand in the header.
    pub(crate) addresses: u64,
    pub(crate) ports: u32,
}

/// The same of IPv6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainWide<'a> {
    pub(crate) packet: Packet<'a>,
    /// Source and destination.
    pub(crate) addresses: [u128; 2],
    pub(crate) ports: u32,
}

const ETHERNET: usize = 14;
const PORTS: usize = 4;

#[inline(always)]
fn is_known(protocol: Protocol) -> bool {
    protocol == Protocol::TCP || protocol == Protocol::UDP
}

/// Bytes of a beginning that has them, taken at once.
#[inline(always)]
fn bytes<const LEN: usize, const N: usize>(head: &[u8; N], at: usize) -> [u8; LEN] {
    let tail = head.get(at..).unwrap_or_default();
    *tail.first_chunk().unwrap_or(&[0; LEN])
}

#[inline(always)]
fn word<const N: usize>(head: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes(bytes(head, at))
}

/// The packet of `len` bytes behind the link header, if all of it is there.
#[inline(always)]
fn packet<const IP: usize>(
    frame: &[u8],
    len: usize,
    protocol: Protocol,
    is_v6: bool,
) -> Option<Packet<'_>> {
    Some(Packet {
        ip: Segment {
            bytes: frame.get(ETHERNET..ETHERNET + len)?,
            len,
        },
        l4_at: IP as u32,
        protocol,
        is_v6,
        is_fragment: false,
        unusable: None,
    })
}

impl<'a> Plain<'a> {
    /// `None` for any other frame.
    #[inline(always)]
    pub(crate) fn read(link: LinkType, frame: &'a [u8], wire_len: usize) -> Option<Plain<'a>> {
        const IP: usize = 20;
        let head: &[u8; ETHERNET + IP + PORTS] = frame.first_chunk()?;
        // Ethertype 0x0800, version 4, a header of five words; the type of service may be any. No
        // fragment.
        let odd = word(head, 12) & 0xffff_ff00 ^ 0x0800_4500 | word(head, 20) & 0x3fff_0000;
        if odd != 0 || link != LinkType::Ethernet || wire_len > frame.len() {
            return None;
        }
        let protocol = Protocol(head[23]);
        let total_len = usize::from(u16::from_be_bytes([head[16], head[17]]));
        let addresses = u64::from_be_bytes(bytes(head, 26));
        let is_to_itself = addresses == addresses.rotate_left(32);
        if !is_known(protocol) || total_len < IP + PORTS || is_to_itself {
            return None;
        }
        Some(Plain {
            packet: packet::<IP>(frame, total_len, protocol, false)?,
            addresses,
            ports: word(head, 34),
        })
    }
}

impl<'a> PlainWide<'a> {
    /// `None` for any other frame.
    #[inline(always)]
    pub(crate) fn read(link: LinkType, frame: &'a [u8], wire_len: usize) -> Option<PlainWide<'a>> {
        const IP: usize = 40;
        let head: &[u8; ETHERNET + IP + PORTS] = frame.first_chunk()?;
        // Ethertype 0x86dd, version 6; traffic class and flow label may be any.
        let is_v6 = word(head, 12) & 0xffff_f000 == 0x86dd_6000;
        if !is_v6 || link != LinkType::Ethernet || wire_len > frame.len() {
            return None;
        }
        let protocol = Protocol(head[20]);
        let payload_len = usize::from(u16::from_be_bytes([head[18], head[19]]));
        let [src, dst] = [22, 38].map(|at| u128::from_be_bytes(bytes(head, at)));
        if !is_known(protocol) || payload_len < PORTS || src == dst {
            return None;
        }
        check_addresses(src, dst).ok()?;
        Some(PlainWide {
            packet: packet::<IP>(frame, IP + payload_len, protocol, true)?,
            addresses: [src, dst],
            ports: word(head, 54),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::Addresses;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        /// Random bytes behind a beginning that often is plain.
        #[test]
        fn a_plain_frame_is_read_as_any_other(
            mut frame in prop::collection::vec(any::<u8>(), 0..90),
            header in prop::sample::select(vec![
                [0x08, 0x00, 0x45], [0x08, 0x00, 0x46], [0x86, 0xdd, 0x60], [0x81, 0x00, 0x45],
            ]),
            total_len in 0u16..100,
            fragment in prop::sample::select(vec![0u16, 0, 0, 0x4000, 0x2000, 1]),
            protocol in prop::sample::select(vec![6u8, 6, 17, 1, 47]),
            more in 0usize..3,
        ) {
            let mut put = |at: usize, bytes: &[u8]| {
                if let Some(place) = frame.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            };
            put(12, &header);
            put(16, &total_len.to_be_bytes());
            put(20, &fragment.to_be_bytes());
            put(23, &[protocol]);
            let wire_len = frame.len() + more;
            let Some(plain) = Plain::read(LinkType::Ethernet, &frame, wire_len) else {
                return Ok(());
            };
            let packet = Packet::parse_cut(LinkType::Ethernet, &frame, wire_len).expect("a packet");
            prop_assert_eq!(packet.bytes(), plain.packet.bytes());
            prop_assert_eq!(packet.ip.len, plain.packet.ip.len);
            prop_assert_eq!(packet.l4_at, plain.packet.l4_at);
            prop_assert_eq!(packet.protocol, plain.packet.protocol);
            prop_assert!(!packet.is_v6 && !packet.is_fragment && packet.unusable.is_none());
            let (src, dst) = ((plain.addresses >> 32) as u32, plain.addresses as u32);
            prop_assert_eq!(packet.addresses(), Addresses::V4 { src, dst });
            let ports = ((plain.ports >> 16) as u16, plain.ports as u16);
            prop_assert_eq!(packet.parts(), Ok(ports));
        }

        /// The same of IPv6.
        #[test]
        fn a_plain_wide_frame_is_read_as_any_other(
            mut frame in prop::collection::vec(any::<u8>(), 0..110),
            header in prop::sample::select(vec![
                [0x86, 0xdd, 0x60], [0x86, 0xdd, 0x6f], [0x86, 0xdd, 0x40], [0x08, 0x00, 0x60],
            ]),
            payload_len in 0u16..70,
            next in prop::sample::select(vec![6u8, 6, 17, 0, 44, 58, 60]),
            high in prop::sample::select(vec![0x20u8, 0x20, 0xff, 0]),
            to_itself in prop::bool::weighted(0.1),
            more in 0usize..3,
        ) {
            let mut put = |at: usize, bytes: &[u8]| {
                if let Some(place) = frame.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            };
            put(12, &header);
            put(18, &payload_len.to_be_bytes());
            put(20, &[next]);
            put(22, &[high]);
            if to_itself && frame.len() > 54 {
                frame.copy_within(22..38, 38);
            }
            let wire_len = frame.len() + more / 2;
            let Some(plain) = PlainWide::read(LinkType::Ethernet, &frame, wire_len) else {
                return Ok(());
            };
            let packet = Packet::parse_cut(LinkType::Ethernet, &frame, wire_len).expect("a packet");
            prop_assert_eq!(packet.bytes(), plain.packet.bytes());
            prop_assert_eq!(packet.ip.len, plain.packet.ip.len);
            prop_assert_eq!(packet.l4_at, plain.packet.l4_at);
            prop_assert_eq!(packet.protocol, plain.packet.protocol);
            prop_assert!(packet.is_v6 && !packet.is_fragment && packet.unusable.is_none());
            let [src, dst] = plain.addresses;
            prop_assert_eq!(packet.addresses(), Addresses::V6 { src, dst });
            let ports = ((plain.ports >> 16) as u16, plain.ports as u16);
            prop_assert_eq!(packet.parts(), Ok(ports));
        }
    }
}
