//! Complete Ethernet frames in memory, many of them, made before the clock runs.
//!
//! A [`Ring`] holds frames at a fixed distance, each at the beginning of a cache line. Connection
//! number `n` has its client at `10.0.0.0 + n` (mod 2²²) with a port that tells the rounds apart, and
//! one of 64 servers. What the frames of a TCP connection say is in order: [`Talk`] remembers how far
//! each side of each connection has come, so that every frame is in its window wherever in the ring
//! its turn comes.

use super::linux::Family;
use crate::rng::Rng;

/// TCP flags.
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Opens.
    pub const SYN: u8 = 0x02;
    /// Pushes data.
    pub const PSH: u8 = 0x08;
    /// Acknowledges.
    pub const ACK: u8 = 0x10;
}

const ETHERNET: usize = 14;
/// Clients that differ by address; beyond them, ports differ.
const CLIENTS: u32 = 1 << 22;

/// One frame, before it is bytes.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Number of the connection.
    pub connection: u32,
    /// From the server to the client.
    pub reply: bool,
    /// What it carries.
    pub body: Body,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// A TCP segment.
    Tcp {
        /// Flags.
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement.
        ack: u32,
        /// Bytes of payload, at most 8.
        len: usize,
    },
    /// A datagram of that many bytes of payload, at most 8.
    Udp {
        /// Bytes of payload.
        len: usize,
    },
}

/// Frames at a fixed distance.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    /// Where the first frame begins.
    start: usize,
    lens: Vec<u8>,
    stride: usize,
    family: Family,
}

impl Ring {
    /// No frames yet, but room for `frames`.
    pub fn new(family: Family, frames: usize) -> Ring {
        let stride = match family {
            Family::V4 => 64,
            Family::V6 => 128,
        };
        // One more, so that the first can begin at a line.
        let mut bytes: Vec<u8> = Vec::with_capacity((frames + 1) * stride);
        let start = bytes.as_ptr().align_offset(64).min(stride);
        bytes.resize(start, 0);
        Ring {
            bytes,
            start,
            lens: Vec::with_capacity(frames),
            stride,
            family,
        }
    }

    /// Forgets all frames, and keeps their memory.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
        self.lens.clear();
    }

    /// Frames of one cache line's distance (two of IPv6) that are as large together as this.
    pub const fn frames_of(family: Family, bytes: usize) -> usize {
        match family {
            Family::V4 => bytes / 64,
            Family::V6 => bytes / 128,
        }
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.lens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Bytes of memory that the frames take.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Frame number `at`.
    #[inline]
    pub fn frame(&self, at: usize) -> &[u8] {
        let from = self.start + at * self.stride;
        self.bytes
            .get(from..from + usize::from(self.lens[at]))
            .unwrap_or_default()
    }

    /// Appends a frame that is bytes already, of no more than fit.
    pub fn push_bytes(&mut self, frame: &[u8]) {
        let from = self.bytes.len();
        self.bytes.resize(from + self.stride, 0);
        let len = frame.len().min(self.stride);
        self.bytes[from..from + len].copy_from_slice(&frame[..len]);
        self.lens.push(len as u8);
    }

    /// Appends a frame.
    pub fn push(&mut self, segment: &Segment) {
        let from = self.bytes.len();
        self.bytes.resize(from + self.stride, 0);
        let frame = &mut self.bytes[from..];
        let len = write(frame, self.family, segment);
        self.lens.push(len as u8);
    }
}

/// Writes a frame into zeroed memory; returns its length.
fn write(frame: &mut [u8], family: Family, segment: &Segment) -> usize {
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    let (protocol, l4_len) = match segment.body {
        Body::Tcp { len, .. } => (6, 20 + len),
        Body::Udp { len } => (17, 8 + len),
    };
    let (ip, pseudo) = match family {
        Family::V4 => (20, ipv4(&mut frame[12..], segment, protocol, l4_len)),
        Family::V6 => (40, ipv6(&mut frame[12..], segment, protocol, l4_len)),
    };
    let l4 = &mut frame[ETHERNET + ip..][..l4_len];
    let (client, server) = (client_port(segment.connection), 443u16);
    let (src, dst) = if segment.reply {
        (server, client)
    } else {
        (client, server)
    };
    l4[..2].copy_from_slice(&src.to_be_bytes());
    l4[2..4].copy_from_slice(&dst.to_be_bytes());
    let sum_at = match segment.body {
        Body::Tcp {
            flags, seq, ack, ..
        } => {
            l4[4..8].copy_from_slice(&seq.to_be_bytes());
            l4[8..12].copy_from_slice(&ack.to_be_bytes());
            l4[12..16].copy_from_slice(&[0x50, flags, 0xff, 0xff]);
            16
        }
        Body::Udp { .. } => {
            l4[4..6].copy_from_slice(&(l4_len as u16).to_be_bytes());
            6
        }
    };
    let sum = fold(pseudo + u32::from(protocol) + l4_len as u32 + sum(l4));
    l4[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    ETHERNET + ip + l4_len
}

const fn client_port(connection: u32) -> u16 {
    1_024 + (connection / CLIENTS % 60_000) as u16
}

/// From the ethertype on; returns the sum of the addresses.
fn ipv4(out: &mut [u8], segment: &Segment, protocol: u8, l4_len: usize) -> u32 {
    let client = 0x0a00_0000 + segment.connection % CLIENTS;
    let server = 0xc0a8_0000 + segment.connection % 64;
    let (src, dst) = if segment.reply {
        (server, client)
    } else {
        (client, server)
    };
    out[..2].copy_from_slice(&[0x08, 0x00]);
    let header = &mut out[2..22];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + l4_len as u16).to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&u32::to_be_bytes(src));
    header[16..20].copy_from_slice(&u32::to_be_bytes(dst));
    let checksum = fold(sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    sum(&header[12..])
}

/// From the ethertype on; returns the sum of the addresses.
fn ipv6(out: &mut [u8], segment: &Segment, protocol: u8, l4_len: usize) -> u32 {
    let client = 0x2001_0db8_0001_u128 << 80 | u128::from(segment.connection % CLIENTS);
    let server = 0x2001_0db8_0002_u128 << 80 | u128::from(segment.connection % 64);
    let (src, dst) = if segment.reply {
        (server, client)
    } else {
        (client, server)
    };
    out[..2].copy_from_slice(&[0x86, 0xdd]);
    let header = &mut out[2..42];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(l4_len as u16).to_be_bytes());
    header[6] = protocol;
    header[7] = 64;
    header[8..24].copy_from_slice(&src.to_be_bytes());
    header[24..40].copy_from_slice(&dst.to_be_bytes());
    sum(&header[8..])
}

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| match word {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    words.sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// How far the two sides of many TCP connections have come.
#[derive(Debug)]
pub struct Talk(Vec<[u32; 2]>);

/// Bytes of payload of a data segment.
const DATA: u32 = 6;

/// A datagram of any of the connections, in either direction.
pub fn datagram(connections: u32, rng: &mut Rng) -> Segment {
    Segment {
        connection: rng.below(connections.into()) as u32,
        reply: rng.one_in(2),
        body: Body::Udp { len: 6 },
    }
}

/// The packets of a short connection, from SYN to TIME_WAIT.
pub fn life(connection: u32) -> [Segment; 8] {
    const DATA_ACK: u8 = flag::PSH | flag::ACK;
    const FIN_ACK: u8 = flag::FIN | flag::ACK;
    let segment = |reply, flags, seq, ack, len| Segment {
        connection,
        reply,
        body: Body::Tcp {
            flags,
            seq,
            ack,
            len,
        },
    };
    [
        segment(false, flag::SYN, 100, 0, 0),
        segment(true, flag::SYN | flag::ACK, 500, 101, 0),
        segment(false, flag::ACK, 101, 501, 0),
        segment(false, DATA_ACK, 101, 501, 8),
        segment(true, DATA_ACK, 501, 109, 8),
        segment(false, FIN_ACK, 109, 509, 0),
        segment(true, FIN_ACK, 509, 110, 0),
        segment(false, flag::ACK, 110, 510, 0),
    ]
}

impl Talk {
    /// Connections that have shaken hands.
    pub fn new(connections: u32) -> Talk {
        Talk((0..connections).map(|n| [1_000 + n, 77 + n]).collect())
    }

    /// How many there are.
    pub const fn connections(&self) -> u32 {
        self.0.len() as u32
    }

    /// The three segments that open a connection.
    pub fn handshake(&self, connection: u32) -> [Segment; 3] {
        let [client, server] = self.0[connection as usize];
        let (client, server) = (client.wrapping_sub(1), server.wrapping_sub(1));
        let segment = |reply, flags, seq, ack| Segment {
            connection,
            reply,
            body: Body::Tcp {
                flags,
                seq,
                ack,
                len: 0,
            },
        };
        [
            segment(false, flag::SYN, client, 0),
            segment(true, flag::SYN | flag::ACK, server, client + 1),
            segment(false, flag::ACK, client + 1, server + 1),
        ]
    }

    /// Data or an acknowledgement, in either direction, of any connection.
    pub fn next(&mut self, rng: &mut Rng) -> Segment {
        let connection = rng.below(self.0.len() as u64) as u32;
        let kind = rng.below(4);
        let (from, is_data) = ((kind & 1) as usize, kind & 2 != 0);
        let sides = &mut self.0[connection as usize];
        let (seq, ack) = (sides[from], sides[1 - from]);
        let len = if is_data { DATA } else { 0 };
        sides[from] = seq.wrapping_add(len);
        Segment {
            connection,
            reply: from == 1,
            body: Body::Tcp {
                flags: flag::ACK | if is_data { flag::PSH } else { 0 },
                seq,
                ack,
                len: len as usize,
            },
        }
    }
}
