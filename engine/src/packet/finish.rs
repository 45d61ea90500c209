//! Checksums that somebody else was to put in.
//!
//! A packet that is taken from the middle of a system may not have its checksum yet: it was left to a network
//! card, or to nobody, if the packet never leaves the machine. The system says so beside the packet. To be
//! tracked as what it is, it gets its checksum here, in the copy that the tracker looks at. One that is not
//! there as a whole needs none: what cannot be counted over is not called wrong.

use super::{LinkType, Packet, checksum};
use crate::tuple::Protocol;

/// Puts the right transport checksum into an IP packet, if it is there as a whole. `len` is the length that it
/// had, in bytes.
pub fn finish_checksum(ip: &mut [u8], len: usize) {
    let Some((at, sum)) = missing(ip, len) else {
        return;
    };
    if let Some(place) = ip.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Where the checksum stands, and what it is to be.
fn missing(ip: &[u8], len: usize) -> Option<(usize, u16)> {
    let packet = Packet::parse_cut(LinkType::Raw, ip, len).ok()?;
    let l4 = packet.l4();
    let place = match packet.protocol {
        Protocol::TCP => 16,
        Protocol::UDP => 6,
        _ => return None,
    };
    let [high, low] = l4.array(place).ok()?;
    if packet.is_fragment || !l4.is_whole() {
        return None;
    }
    let there = u16::from_be_bytes([high, low]);
    let is_left_out = packet.protocol == Protocol::UDP && there == 0;
    let sum = checksum::with_pseudo_header(packet.addresses(), packet.protocol, l4.bytes);
    // Taking out what is there is adding its complement.
    let sum = !checksum::fold(u64::from(sum) + u64::from(!there));
    let sum = if sum == 0 && packet.protocol == Protocol::UDP {
        0xffff
    } else {
        sum
    };
    (!is_left_out).then_some((packet.l4_at as usize + place, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn udp(payload: &[u8]) -> Vec<u8> {
        let len = 28 + payload.len();
        let mut packet = vec![
            0x45, 0, 0, len as u8, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend([0x12, 0x34, 0, 53, 0, (8 + payload.len()) as u8, 0xbe, 0xef]);
        packet.extend(payload);
        packet
    }

    fn is_right(packet: &[u8]) -> bool {
        let packet = Packet::parse(LinkType::Raw, packet).expect("a packet");
        let l4 = packet.l4().bytes;
        checksum::is_right_with_pseudo_header(packet.addresses(), packet.protocol, l4, l4.len())
    }

    #[test]
    fn an_unfinished_checksum_is_right_afterwards() {
        for payload in [&b""[..], b"a", b"ab", &[0xff; 40]] {
            let mut packet = udp(payload);
            assert!(!is_right(&packet));
            let len = packet.len();
            finish_checksum(&mut packet, len);
            assert!(is_right(&packet), "{payload:?}");
        }
    }

    #[test]
    fn a_packet_that_was_cut_stays_as_it_is() {
        let mut packet = udp(b"abcdef");
        let len = packet.len();
        packet.truncate(30);
        let before = packet.clone();
        finish_checksum(&mut packet, len);
        assert_eq!(packet, before);
    }
}
