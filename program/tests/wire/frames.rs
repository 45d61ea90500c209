//! Frames of any kind, put on an interface as they are.

use ip_conntrack_link::Interface;
use ip_conntrack_link::sys::xsk::{Frame, Frames, Port};

use crate::space::Space;

/// A generator of numbers that are random enough (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 32) as usize % bound
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// An Ethernet frame to everybody.
pub(crate) fn frame(kind: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 7]);
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    frame
}

/// An IPv4 packet.
pub(crate) fn v4(protocol: u8, src: [u8; 4], dst: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    let sum = header_sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// The checksum of an IPv4 header.
pub(crate) fn header_sum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// A UDP datagram without a checksum.
pub(crate) fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let numbers = [from, to, (8 + data.len()) as u16, 0];
    let mut datagram: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    datagram.extend(data);
    datagram
}

/// A sender on an interface.
pub(crate) struct Sender {
    frames: Frames,
    free: Vec<Frame>,
    port: Port,
}

impl Sender {
    pub(crate) fn new(space: &Space, interface: &str) -> Sender {
        space.inside(|| {
            let interface = Interface::named(interface).unwrap();
            let (mut frames, free) = Frames::new(512, 2048).unwrap();
            let port = frames.port(interface.index, 0, 512, false).unwrap();
            Sender { frames, free, port }
        })
    }

    /// Sends a frame, of 14 bytes or more.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        while self.free.is_empty() {
            self.flush();
        }
        let mut frame = self.free.pop().unwrap();
        self.frames.write(&mut frame, bytes);
        if let Err(frame) = self.port.send(frame) {
            self.free.push(frame);
            self.flush();
        }
        if self.free.len().is_multiple_of(16) {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.port.flush().unwrap();
        self.port.sent(&mut self.free);
    }

    /// Sends what was not sent yet.
    pub(crate) fn finish(&mut self) {
        while self.port.has_unsent() {
            self.flush();
        }
    }
}
