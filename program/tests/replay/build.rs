//! Writes packets and capture files.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(crate) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(crate) const RAW: u32 = 101;
pub(crate) const ETHERNET: u32 = 1;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// One end of a connection.
pub(crate) type End = ([u8; 4], u16);

/// The Internet checksum.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|word| {
        let low = word.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([word[0], low]))
    });
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

/// An IPv4 packet; the transport's checksum, at `sum_at`, is filled in.
fn ipv4(protocol: u8, src: [u8; 4], dst: [u8; 4], mut l4: Vec<u8>, sum_at: usize) -> Vec<u8> {
    let l4_len = (l4.len() as u16).to_be_bytes();
    let sum = checksum(&[&src, &dst, &[0, protocol], &l4_len, &l4]);
    l4[sum_at..sum_at + 2].copy_from_slice(&sum);
    let len = (20 + l4.len() as u16).to_be_bytes();
    let mut header = vec![
        0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0, src[0], src[1], src[2], src[3],
    ];
    header.extend(dst);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    header.extend(l4);
    header
}

/// A UDP packet with `size` bytes of payload.
pub(crate) fn udp((src, sport): End, (dst, dport): End, size: usize) -> Vec<u8> {
    let mut l4 = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    l4.extend((8 + size as u16).to_be_bytes());
    l4.resize(8 + size, 0);
    ipv4(UDP, src, dst, l4, 6)
}

/// A TCP packet without payload.
pub(crate) fn tcp((src, sport): End, (dst, dport): End, flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let mut l4 = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    l4.extend(seq.to_be_bytes());
    l4.extend(ack.to_be_bytes());
    l4.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    ipv4(TCP, src, dst, l4, 16)
}

/// The three packets that open a TCP connection.
pub(crate) fn handshake(sport: u16) -> [Vec<u8>; 3] {
    let (client, server) = ((CLIENT, sport), (SERVER, 80));
    [
        tcp(client, server, SYN, 100, 0),
        tcp(server, client, SYN | ACK, 900, 101),
        tcp(client, server, ACK, 101, 901),
    ]
}

pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend(packet);
    frame
}

/// A pcap file that grows.
#[derive(Clone)]
pub(crate) struct Pcap {
    pub(crate) bytes: Vec<u8>,
}

impl Pcap {
    /// Only the header; times are in microseconds.
    pub(crate) fn new(link_type: u32) -> Pcap {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0]);
        bytes.extend([0; 8]);
        bytes.extend(262_144_u32.to_le_bytes());
        bytes.extend(link_type.to_le_bytes());
        Pcap { bytes }
    }

    /// A record at a time in microseconds.
    pub(crate) fn at(mut self, micros: u64, frame: &[u8]) -> Pcap {
        self.push(micros, frame, frame.len() as u32);
        self
    }

    /// A record of a packet that had `wire_len` bytes.
    pub(crate) fn push(&mut self, micros: u64, frame: &[u8], wire_len: u32) {
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        for word in [
            seconds as u32,
            fraction as u32,
            frame.len() as u32,
            wire_len,
        ] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(frame);
    }
}

/// One packet of a capture: its time in microseconds, its bytes, its length on the wire.
pub(crate) struct Record {
    pub(crate) micros: u64,
    pub(crate) frame: Vec<u8>,
    pub(crate) wire_len: u32,
}

/// The packets of `captures/web.pcap`, which is a little-endian pcap of Ethernet frames.
pub(crate) fn web() -> Vec<Record> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures/web.pcap");
    let bytes = std::fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut records) = (24, Vec::new());
    while at < bytes.len() {
        let end = at + 16 + word(at + 8) as usize;
        records.push(Record {
            micros: u64::from(word(at)) * 1_000_000 + u64::from(word(at + 4)),
            frame: bytes[at + 16..end].to_vec(),
            wire_len: word(at + 12),
        });
        at = end;
    }
    records
}

/// `captures/web.pcap` again, after `change` to each packet.
pub(crate) fn web_with(change: impl Fn(&mut Record)) -> Vec<u8> {
    let mut file = Pcap::new(ETHERNET);
    for mut record in web() {
        change(&mut record);
        file.push(record.micros, &record.frame, record.wire_len);
    }
    file.bytes
}

/// A pcapng block.
pub(crate) fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_le_bytes();
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(length);
    bytes.extend(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

/// The beginning of a pcapng file: a section with an interface of each link type.
pub(crate) fn pcapng(link_types: &[u16]) -> Vec<u8> {
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    for link_type in link_types {
        let [low, high] = link_type.to_le_bytes();
        file.extend(block(1, &[low, high, 0, 0, 0, 0, 0, 0]));
    }
    file
}

/// A packet of a pcapng file, at a time in microseconds.
pub(crate) fn enhanced(interface: u32, micros: u64, frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let (high, low) = ((micros >> 32) as u32, micros as u32);
    let words = [interface, high, low, len, len].map(u32::to_le_bytes);
    block(6, &[words.as_flattened(), frame].concat())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
