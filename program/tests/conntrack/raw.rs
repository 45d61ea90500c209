//! Protocols that the kernel has no sockets of: an SCTP association of raw packets, INIT, INIT ACK, COOKIE ECHO,
//! COOKIE ACK, each with its CRC32c (RFC 9260), and GRE (RFC 2784).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType, sendto, socket};

use crate::space::Space;

const CLIENT_PORT: u16 = 5000;
const SERVER_PORT: u16 = 9;

const SCTP: u32 = 132;
const GRE: u32 = 47;

/// Two hosts and their addresses.
pub(crate) struct Ends<'a> {
    pub(crate) client: (&'a Space, Ipv4Addr),
    pub(crate) server: (&'a Space, Ipv4Addr),
}

impl Ends<'_> {
    /// Associates client and server.
    pub(crate) fn associate(&self) {
        let (ours, theirs) = (0x1111_1111, 0x2222_2222);
        let init = |tag: u32| {
            [
                &tag.to_be_bytes()[..],
                &[0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 1],
            ]
            .concat()
        };
        let (there, back) = ([CLIENT_PORT, SERVER_PORT], [SERVER_PORT, CLIENT_PORT]);
        self.client_sends(SCTP, &packet(there, 0, 1, &init(ours)));
        self.server_sends(SCTP, &packet(back, ours, 2, &init(theirs)));
        self.client_sends(SCTP, &packet(there, theirs, 10, &[0; 8]));
        self.server_sends(SCTP, &packet(back, ours, 11, &[]));
    }

    /// Has both send through a tunnel.
    pub(crate) fn tunnel(&self) {
        // No checksum, no key, IPv4 within.
        let packet = [&[0, 0, 8, 0][..], &[0x45; 40]].concat();
        for _ in 0..2 {
            self.client_sends(GRE, &packet);
            self.server_sends(GRE, &packet);
        }
    }

    fn client_sends(&self, protocol: u32, packet: &[u8]) {
        send(self.client.0, protocol, self.server.1, packet);
    }

    fn server_sends(&self, protocol: u32, packet: &[u8]) {
        send(self.server.0, protocol, self.client.1, packet);
    }
}

fn packet(ports: [u16; 2], tag: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(ports[0].to_be_bytes());
    packet.extend(ports[1].to_be_bytes());
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend([kind, 0]);
    packet.extend((4 + body.len() as u16).to_be_bytes());
    packet.extend(body);
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet
}

fn crc32c(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| match sum & 1 {
            1 => sum >> 1 ^ 0x82f6_3b78,
            _ => sum >> 1,
        })
    });
    !sum
}

/// The other host's kernel answers with ICMP errors, since it has no such protocol; they are dropped there.
fn send(space: &Space, protocol: u32, to: Ipv4Addr, packet: &[u8]) {
    space.inside(|| {
        let protocol = Protocol::from_raw(protocol.try_into().unwrap());
        let socket = socket(AddressFamily::INET, SocketType::RAW, Some(protocol)).unwrap();
        let to = SocketAddrV4::new(to, 0);
        sendto(&socket, packet, SendFlags::empty(), &to).unwrap();
    });
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
