//! Writes a large capture of small packets, to measure `ipct replay` with.
//!
//!     cargo run --release -p ipct --example big_capture -- FILE [MEGABYTES [CONNECTIONS]]
//!
//! Ethernet frames of 60 to 66 bytes, a microsecond apart, of 100,000 connections by default: four in
//! five are TCP with handshake, data and acknowledgements both ways, the others UDP questions and
//! answers. All checksums are right. Connections take turns with a stride, so that neighbours in the
//! file are no neighbours in anybody's table.

use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Steps from one connection to the next: a prime, so that every connection has its turn.
const STRIDE: usize = 611_953;
const RECORD_HEADER: usize = 16;
const SHORTEST_FRAME: usize = 60;

const SYN: u8 = 0x02;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// What the next packet of a connection depends on.
#[derive(Clone, Copy, Default)]
struct Progress {
    packets: u32,
    /// The next sequence number of the client and of the server, from 0.
    sent: [u32; 2],
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(file) = arguments.next() else {
        return Err(io::Error::other("FILE [MEGABYTES [CONNECTIONS]]"));
    };
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let megabytes: usize = number(1000).map_err(io::Error::other)?;
    let connections: usize = number(100_000).map_err(io::Error::other)?;
    write(
        BufWriter::with_capacity(1 << 20, File::create(file)?),
        megabytes * 1_000_000,
        connections,
    )
}

fn write(mut out: impl Write, bytes: usize, connections: usize) -> io::Result<()> {
    let mut progress = vec![Progress::default(); connections];
    let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1].map(u32::to_le_bytes);
    out.write_all(header.as_flattened())?;
    let (mut written, mut micros, mut turn) = (header.as_flattened().len(), 0, 0);
    let mut frame = Vec::new();
    while written < bytes {
        frame.clear();
        fill(&mut frame, turn, &mut progress[turn]);
        let length = frame.len() as u32;
        let (seconds, fraction) = (1_700_000_000 + micros / 1_000_000, micros % 1_000_000);
        let record = [seconds, fraction, length, length].map(u32::to_le_bytes);
        out.write_all(record.as_flattened())?;
        out.write_all(&frame)?;
        written += RECORD_HEADER + frame.len();
        micros += 1;
        turn = (turn + STRIDE) % connections;
    }
    out.flush()
}

/// The next frame of a connection.
fn fill(frame: &mut Vec<u8>, connection: usize, progress: &mut Progress) {
    let from_server = !progress.packets.is_multiple_of(2);
    let [_, high, middle, low] = (connection as u32).to_be_bytes();
    let (client, server) = ([10, high, middle, low], [192, 0, 2, low]);
    let port = 1024 + (connection % 60_000) as u16;
    let (src, dst) = if from_server {
        (server, client)
    } else {
        (client, server)
    };
    let is_tcp = !connection.is_multiple_of(5);
    let (sport, dport) = match (from_server, if is_tcp { 443 } else { 53_u16 }) {
        (false, service) => (port, service),
        (true, service) => (service, port),
    };
    frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    let ip = frame.len();
    let protocol = if is_tcp { 6 } else { 17 };
    frame.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
    frame.extend([src, dst].as_flattened());
    let l4 = frame.len();
    frame.extend([sport.to_be_bytes(), dport.to_be_bytes()].as_flattened());
    let sum_at = if is_tcp {
        tcp(frame, progress, from_server)
    } else {
        udp(frame)
    };
    let length = ((frame.len() - ip) as u16).to_be_bytes();
    frame[ip + 2..ip + 4].copy_from_slice(&length);
    let pseudo = u32::from(protocol) + (frame.len() - l4) as u32;
    put_checksum(frame, ip, l4, 10, 0);
    let end = frame.len();
    put_checksum(frame, l4 - 8, end, 8 + sum_at, pseudo);
    let length = frame.len().max(SHORTEST_FRAME);
    frame.resize(length, 0);
    progress.packets += 1;
}

/// => where the checksum is in the TCP header.
fn tcp(frame: &mut Vec<u8>, progress: &mut Progress, from_server: bool) -> usize {
    let (flags, data) = match progress.packets {
        0 => (SYN, 0),
        1 => (SYN | ACK, 0),
        2 => (ACK, 0),
        more => (PUSH | ACK, 6 + more as usize % 7),
    };
    let me = usize::from(from_server);
    let ack = if flags & ACK == 0 {
        0
    } else {
        progress.sent[1 - me]
    };
    frame.extend(progress.sent[me].to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0x80, 0, 0, 0, 0, 0]);
    frame.extend(std::iter::repeat_n(b'.', data));
    progress.sent[me] += data as u32 + u32::from(flags & SYN != 0);
    16
}

/// => where the checksum is in the UDP header.
fn udp(frame: &mut Vec<u8>) -> usize {
    const DATA: u8 = 18;
    frame.extend([0, 8 + DATA, 0, 0]);
    frame.extend([b'?'; DATA as usize]);
    6
}

/// Puts the Internet checksum of `frame[from..to]`, and of what else counts, at `from + at`.
fn put_checksum(frame: &mut [u8], from: usize, to: usize, at: usize, beside: u32) {
    let words = frame[from..to].chunks(2).map(|word| {
        u32::from(u16::from_be_bytes([
            word[0],
            word.get(1).copied().unwrap_or(0),
        ]))
    });
    let sum = words.sum::<u32>() + beside;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[from + at..from + at + 2].copy_from_slice(&sum.to_be_bytes());
}
