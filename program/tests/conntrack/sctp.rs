//! An SCTP association of raw packets, where the kernel has no SCTP of its own: INIT, INIT ACK, COOKIE ECHO,
//! COOKIE ACK, each with its CRC32c (RFC 9260).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType, sendto, socket};

use crate::run::THEIRS;
use crate::traffic::Network;

const CLIENT_PORT: u16 = 5000;
const SERVER_PORT: u16 = 9;

/// Associates client and server.
pub(crate) fn associate(network: &Network) {
    let (client, server) = (Ipv4Addr::new(10, 91, 1, 2), Ipv4Addr::new(10, 91, 2, 2));
    let (ours, theirs) = (0x1111_1111, 0x2222_2222);
    let init = |tag: u32| {
        [
            &tag.to_be_bytes()[..],
            &[0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 1],
        ]
        .concat()
    };
    let steps = [
        (true, 0, 1, init(ours)),
        (false, ours, 2, init(theirs)),
        (true, theirs, 10, vec![0; 8]),
        (false, ours, 11, Vec::new()),
    ];
    for (from_client, tag, kind, body) in steps {
        let (space, to, ports) = match from_client {
            true => (&network.client, server, [CLIENT_PORT, SERVER_PORT]),
            false => (&network.server, client, [SERVER_PORT, CLIENT_PORT]),
        };
        let packet = packet(ports, tag, kind, &body);
        space.inside(|| send(to, &packet));
        std::thread::sleep(Duration::from_millis(50));
    }
    let listed = network.router.must(THEIRS, &["-L", "-p", "sctp"]);
    assert!(listed.contains("ESTABLISHED"), "{listed}");
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

/// The other host's kernel answers with ICMP errors, since it has no SCTP; they are dropped there.
fn send(to: Ipv4Addr, packet: &[u8]) {
    let sctp = Protocol::from_raw(132.try_into().unwrap());
    let socket = socket(AddressFamily::INET, SocketType::RAW, Some(sctp)).unwrap();
    sendto(
        &socket,
        packet,
        SendFlags::empty(),
        &SocketAddrV4::new(to, 0),
    )
    .unwrap();
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
