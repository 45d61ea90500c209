//! Packets byte by byte, and what may befall a frame on its way.

use ip_conntrack::{Arrival, LinkType, Packet, Reason, Time};

use crate::support::{Flow, internet_sum};

/// A frame as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) link: LinkType,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: usize,
    pub(crate) time: Time,
}

impl Frame {
    pub(crate) fn parse(&self) -> Result<Packet<'_>, Reason> {
        Packet::parse_cut(self.link, &self.bytes, self.wire_len)
    }

    pub(crate) fn arrival(&self) -> Arrival<'_> {
        Arrival {
            link: self.link,
            bytes: &self.bytes,
            wire_len: self.wire_len,
            time: self.time,
        }
    }
}

/// What befalls a packet. Numbers choose a place, whatever the packet's length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Twist {
    Nothing,
    /// A bit of the last byte is wrong, and so the transport's checksum.
    WrongSum,
    /// A bit of the IPv4 header's checksum is wrong.
    WrongHeaderSum,
    /// The checksum of UDP is left out.
    NoSum,
    /// Only the first part was captured.
    Cut(u8),
    /// Only the first part arrived.
    Short(u8),
    /// The link layer added bytes behind it.
    Padded(u8),
    Vlan,
    /// There is no link header.
    Raw,
    Cooked,
    /// It carries IP options, or an extension header.
    Options,
    /// The IPv6 header says that nothing follows.
    NothingFollows,
    /// It comes in two pieces, perhaps the second first, or one is lost.
    Pieces {
        at: u8,
        first: bool,
        second: bool,
        reversed: bool,
    },
    Changed(u8, u8),
    /// Something else comes in its place.
    NotIp,
}

/// A TCP segment's own numbers.
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) len: u16,
}

impl Segment {
    pub(crate) fn over(&self, flow: Flow) -> Vec<u8> {
        let mut bytes = flow.ports();
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([(20 + self.options.len() as u8) << 2, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.options);
        bytes.resize(bytes.len() + usize::from(self.len), b'x');
        flow.sum_into(&mut bytes, 6, 16);
        flow.ip(6, &bytes)
    }
}

/// A datagram whose checksum covers everything.
pub(crate) fn udp_lite(flow: Flow, len: u16) -> Vec<u8> {
    let mut bytes = flow.ports();
    bytes.extend([0; 4]);
    bytes.resize(8 + usize::from(len), b'x');
    flow.sum_into(&mut bytes, 136, 6);
    flow.ip(136, &bytes)
}

/// An ICMP message of any kind. Over IPv6 a pseudo-header counts too.
pub(crate) fn icmp(flow: Flow, is_v6: bool, kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind[0], kind[1], 0, 0];
    bytes.extend(rest);
    if is_v6 {
        flow.sum_into(&mut bytes, 58, 2);
        return flow.ip(58, &bytes);
    }
    let sum = internet_sum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    flow.ip(1, &bytes)
}

/// An SCTP packet of one chunk. INIT and INIT ACK have their own tag in it.
pub(crate) fn sctp(flow: Flow, tag: u32, kind: u8, init_tag: u32) -> Vec<u8> {
    let mut bytes = flow.ports();
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([kind, 0, 0, 20]);
    bytes.extend(init_tag.to_be_bytes());
    bytes.extend([0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&bytes);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    flow.ip(132, &bytes)
}

/// What of an IP packet arrives as frames at a time.
pub(crate) fn frames(packet: &[u8], twist: Twist, time: Time) -> Vec<Frame> {
    let mut packet = packet.to_vec();
    match twist {
        Twist::WrongSum => *at(&mut packet, u8::MAX) ^= 4,
        Twist::WrongHeaderSum => packet[10] ^= 4,
        Twist::NoSum => leave_sum_out(&mut packet),
        Twist::Changed(place, mask) => *at(&mut packet, place) ^= mask,
        Twist::NothingFollows if is_v6(&packet) => packet[6] = 59,
        Twist::Options => packet = with_options(&packet),
        Twist::Pieces {
            at,
            first,
            second,
            reversed,
        } => {
            let [one, two] = pieces(&packet, at);
            let mut kept = [first.then_some(one), second.then_some(two)];
            if reversed {
                kept.reverse();
            }
            let kept = kept.iter().flatten();
            return kept.map(|piece| ethernet(piece, time)).collect();
        }
        _ => {}
    }
    let mut frame = ethernet(&packet, time);
    change_link(&mut frame, &packet, twist);
    vec![frame]
}

fn change_link(frame: &mut Frame, packet: &[u8], twist: Twist) {
    match twist {
        Twist::Cut(part) => frame.bytes.truncate(share(frame.bytes.len(), part)),
        Twist::Short(part) => {
            frame.bytes.truncate(share(frame.bytes.len(), part));
            frame.wire_len = frame.bytes.len();
        }
        Twist::Padded(more) => {
            frame.wire_len += usize::from(more);
            frame.bytes.resize(frame.wire_len, 0);
        }
        Twist::Vlan => {
            frame.bytes.splice(12..12, [0x81, 0, 0, 7]);
            frame.wire_len += 4;
        }
        Twist::Raw => {
            (frame.link, frame.bytes) = (LinkType::Raw, packet.to_vec());
            frame.wire_len = packet.len();
        }
        Twist::Cooked => {
            frame.link = LinkType::LinuxSll;
            frame.bytes.splice(0..0, [0, 0]);
            frame.wire_len += 2;
        }
        Twist::NotIp => frame.bytes[12..14].copy_from_slice(&[8, 6]),
        _ => {}
    }
}

fn ethernet(packet: &[u8], time: Time) -> Frame {
    let kind = if is_v6(packet) { [0x86, 0xdd] } else { [8, 0] };
    let mut bytes = vec![2; 12];
    bytes.extend(kind);
    bytes.extend(packet);
    Frame {
        link: LinkType::Ethernet,
        wire_len: bytes.len(),
        bytes,
        time,
    }
}

pub(crate) fn is_v6(packet: &[u8]) -> bool {
    packet[0] >> 4 == 6
}

fn share(len: usize, part: u8) -> usize {
    len * usize::from(part) / 255
}

fn at(bytes: &mut [u8], place: u8) -> &mut u8 {
    let last = bytes.len() - 1;
    &mut bytes[share(last, place)]
}

fn leave_sum_out(packet: &mut [u8]) {
    let (protocol, header) = match is_v6(packet) {
        true => (packet[6], 40),
        false => (packet[9], 20),
    };
    if protocol == 17 {
        packet[header + 6..header + 8].fill(0);
    }
}

fn sum_header(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = internet_sum(&packet[..len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn with_options(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if is_v6(&packet) {
        let next = std::mem::replace(&mut packet[6], 60);
        packet.splice(40..40, [next, 0, 1, 4, 0, 0, 0, 0]);
    } else {
        packet[0] += 1;
        packet.splice(20..20, [1, 1, 1, 1]);
    }
    tell_length(&mut packet);
    packet
}

fn tell_length(packet: &mut [u8]) {
    let len = packet.len() as u16;
    if is_v6(packet) {
        packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
    } else {
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        sum_header(packet);
    }
}

/// A packet without options in two, at a multiple of eight bytes.
fn pieces(packet: &[u8], at: u8) -> [Vec<u8>; 2] {
    let header_len = if is_v6(packet) { 40 } else { 20 };
    let (header, payload) = packet.split_at(header_len);
    let middle = share(payload.len(), at) / 8 * 8;
    let (first, second) = payload.split_at(middle);
    [(first, 0, true), (second, middle as u16, false)].map(|(part, offset, more)| {
        let mut piece = header.to_vec();
        if is_v6(packet) {
            let next = std::mem::replace(&mut piece[6], 44);
            piece.extend([next, 0]);
            piece.extend((offset | u16::from(more)).to_be_bytes());
            piece.extend([0, 0, 0, 9]);
        } else {
            let word = (offset / 8) | (u16::from(more) << 13);
            piece[6..8].copy_from_slice(&word.to_be_bytes());
        }
        piece.extend(part);
        tell_length(&mut piece);
        piece
    })
}
