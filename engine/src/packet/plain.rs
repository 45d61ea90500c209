//! What most frames are, read at once: Ethernet without tags, IPv4 without options, whole and no
//! fragment, TCP or UDP. Everything is at a place that is known before.
//!
//! A short cut of [`Packet::parse_cut`], which finds the same in such frames; the tests hold the two
//! against each other.

use super::{LinkType, Packet, Segment};
use crate::tuple::Protocol;

/// A packet, with what a connection is looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) packet: Packet<'a>,
    pub(crate) src: u32,
    pub(crate) dst: u32,
    pub(crate) ports: (u16, u16),
}

const ETHERNET: usize = 14;
const IP: usize = 20;
/// Up to the ports.
const HEAD: usize = ETHERNET + IP + 4;

impl<'a> Plain<'a> {
    /// `None` for any other frame.
    #[inline(always)]
    pub(crate) fn read(link: LinkType, frame: &'a [u8], wire_len: usize) -> Option<Plain<'a>> {
        let head: &[u8; HEAD] = frame.first_chunk()?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        // Ethertype 0x0800, version 4, a header of five words; the type of service may be any.
        let is_plain = link == LinkType::Ethernet
            && word(12) & 0xffff_ff00 == 0x0800_4500
            && wire_len <= frame.len();
        let total_len = (word(16) >> 16) as usize;
        let ip = frame.get(ETHERNET..ETHERNET + total_len)?;
        let (protocol, fragment) = (Protocol(head[23]), word(20) >> 16 & 0x3fff);
        let is_known = protocol == Protocol::TCP || protocol == Protocol::UDP;
        if !is_plain || !is_known || fragment != 0 || total_len < IP + 4 {
            return None;
        }
        let ports = word(34);
        Some(Plain {
            packet: Packet {
                ip: Segment {
                    bytes: ip,
                    len: total_len,
                },
                l4_at: IP as u32,
                protocol,
                is_v6: false,
                is_fragment: false,
                unusable: None,
            },
            src: word(26),
            dst: word(30),
            ports: ((ports >> 16) as u16, ports as u16),
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
            let addresses = Addresses::V4 { src: plain.src, dst: plain.dst };
            prop_assert_eq!(packet.addresses(), addresses);
            prop_assert_eq!(packet.parts(), Ok(plain.ports));
        }
    }
}
