//! What most frames are, read at once: Ethernet without tags, IPv4 without options, whole and no
//! fragment, TCP or UDP, from one host to another. Everything is at a place that is known before.
//!
//! A short cut of [`Packet::parse_cut`], which finds the same in such frames; the tests hold the two
//! against each other.

use super::{LinkType, Packet, Segment};
use crate::tuple::Protocol;

/// A packet, with what a connection is looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) packet: Packet<'a>,
    /// Source and destination, as they stand in the header.
    pub(crate) addresses: u64,
    pub(crate) ports: u32,
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
        // Ethertype 0x0800, version 4, a header of five words; the type of service may be any. No
        // fragment.
        let odd = word(12) & 0xffff_ff00 ^ 0x0800_4500 | word(20) & 0x3fff_0000;
        if odd != 0 || link != LinkType::Ethernet || wire_len > frame.len() {
            return None;
        }
        let protocol = Protocol(head[23]);
        let total_len = usize::from(u16::from_be_bytes([head[16], head[17]]));
        let addresses = u64::from(word(26)) << 32 | u64::from(word(30));
        let is_known = protocol == Protocol::TCP || protocol == Protocol::UDP;
        if !is_known || total_len < IP + 4 || addresses == addresses.rotate_left(32) {
            return None;
        }
        Some(Plain {
            packet: Packet {
                ip: Segment {
                    bytes: frame.get(ETHERNET..ETHERNET + total_len)?,
                    len: total_len,
                },
                l4_at: IP as u32,
                protocol,
                is_v6: false,
                is_fragment: false,
                unusable: None,
            },
            addresses,
            ports: word(34),
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
    }
}
