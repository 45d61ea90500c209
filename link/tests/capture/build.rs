//! Writes capture files, and reads them back into plain values.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use ip_conntrack_link::{Capture, CaptureError, Frame};

/// Both byte orders.
pub(crate) const ORDERS: [Order; 2] = [Order::Little, Order::Big];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// Bytes that are appended in one byte order.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    pub(crate) bytes: Vec<u8>,
    order: Order,
}

impl Out {
    pub(crate) fn new(order: Order) -> Out {
        Out {
            bytes: Vec::new(),
            order,
        }
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Out {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn put(mut self, mut big_endian: Vec<u8>) -> Out {
        if self.order == Order::Little {
            big_endian.reverse();
        }
        self.bytes.append(&mut big_endian);
        self
    }

    pub(crate) fn u16(self, value: u16) -> Out {
        self.put(value.to_be_bytes().to_vec())
    }

    pub(crate) fn u32(self, value: u32) -> Out {
        self.put(value.to_be_bytes().to_vec())
    }

    pub(crate) fn i64(self, value: i64) -> Out {
        self.put(value.to_be_bytes().to_vec())
    }

    /// A pcap file header.
    pub(crate) fn pcap(self, magic: u32, link_type: u32) -> Out {
        self.u32(magic)
            .u16(2)
            .u16(4)
            .u32(0)
            .u32(0)
            .u32(65_535)
            .u32(link_type)
    }

    /// A pcap record whose lengths are true.
    pub(crate) fn record(self, seconds: u32, fraction: u32, packet: &[u8]) -> Out {
        let length = packet.len() as u32;
        self.u32(seconds)
            .u32(fraction)
            .u32(length)
            .u32(length)
            .raw(packet)
    }

    /// A pcapng block around a body that is written by `body`, padded to 32 bits.
    pub(crate) fn block(self, kind: u32, body: impl FnOnce(Out) -> Out) -> Out {
        let mut body = body(Out::new(self.order)).bytes;
        body.resize(body.len().next_multiple_of(4), 0);
        let length = body.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&body).u32(length)
    }

    /// A pcapng section header.
    pub(crate) fn section(self) -> Out {
        self.block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4d).u16(1).u16(0).i64(-1))
    }

    /// An interface without options.
    pub(crate) fn interface(self, link_type: u16) -> Out {
        self.block(1, |b| b.u16(link_type).u16(0).u32(0))
    }

    /// An interface whose time stamps are in the resolution that `tsresol` says, and which are to
    /// be moved by `offset` seconds.
    pub(crate) fn timed_interface(self, tsresol: u8, offset: i64) -> Out {
        self.block(1, |b| {
            let b = b.u16(1).u16(0).u32(0);
            let b = b.u16(2).u16(3).raw(b"lo0\0");
            let b = b.u16(9).u16(1).raw(&[tsresol, 0, 0, 0]);
            b.u16(14).u16(8).i64(offset).u16(0).u16(0)
        })
    }

    /// An Enhanced Packet Block whose lengths are true.
    pub(crate) fn enhanced(self, interface: u32, stamp: u64, packet: &[u8]) -> Out {
        let length = packet.len() as u32;
        self.block(6, |b| {
            let b = b.u32(interface).u32((stamp >> 32) as u32).u32(stamp as u32);
            b.u32(length).u32(length).raw(packet)
        })
    }

    /// A Simple Packet Block.
    pub(crate) fn simple(self, packet: &[u8]) -> Out {
        self.block(3, |b| b.u32(packet.len() as u32).raw(packet))
    }
}

pub(crate) const MICRO: u32 = 0xa1b2_c3d4;
pub(crate) const NANO: u32 = 0xa1b2_3c4d;
pub(crate) const MODIFIED: u32 = 0xa1b2_cd34;

/// A frame that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packet {
    pub(crate) time_ns: u64,
    pub(crate) link_type: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) index: u64,
    pub(crate) offset: u64,
}

impl Packet {
    pub(crate) fn of(frame: &Frame<'_>) -> Packet {
        Packet {
            time_ns: frame.time_ns,
            link_type: frame.link_type,
            bytes: frame.bytes.to_vec(),
            wire_len: frame.wire_len,
            index: frame.index,
            offset: frame.offset,
        }
    }
}

/// What a reader is said to be; yields bytes as given.
pub(crate) fn capture(bytes: &[u8]) -> Result<Capture, CaptureError> {
    let size = bytes.len() as u64;
    Capture::from_reader(
        "test".to_owned(),
        Box::new(io::Cursor::new(bytes.to_vec())),
        Some(size),
    )
}

/// All packets of a capture, and the error that ended it.
pub(crate) fn drain(mut capture: Capture) -> (Vec<Packet>, Option<CaptureError>) {
    let mut packets = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => packets.push(Packet::of(&frame)),
            Ok(None) => return (packets, None),
            Err(error) => {
                let after = capture.next_frame().expect("an error is reported once");
                assert!(after.is_none(), "a frame after an error");
                return (packets, Some(error));
            }
        }
    }
}

/// All packets of a file, and the error of opening or reading it.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Packet>, Option<CaptureError>) {
    match capture(bytes) {
        Ok(capture) => drain(capture),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// The packets of a file that has no defect.
pub(crate) fn read_sound(bytes: &[u8]) -> Vec<Packet> {
    let (packets, error) = read(bytes);
    assert!(error.is_none(), "{error:?}");
    packets
}

/// The message of a file that has a defect, and how many packets came before it.
pub(crate) fn read_broken(bytes: &[u8]) -> (usize, String) {
    let (packets, error) = read(bytes);
    (packets.len(), error.expect("an error").to_string())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A pipe that is written to slowly: a byte a read, and now and then an interruption.
pub(crate) struct Trickle {
    bytes: io::Cursor<Vec<u8>>,
    reads: usize,
}

impl Trickle {
    pub(crate) fn new(bytes: &[u8]) -> Trickle {
        Trickle {
            bytes: io::Cursor::new(bytes.to_vec()),
            reads: 0,
        }
    }
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = buffer.len().min(1);
        self.bytes.read(&mut buffer[..one])
    }
}

/// A sound file of each format, with a few packets of different lengths.
pub(crate) fn samples() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for order in ORDERS {
        for magic in [MICRO, NANO] {
            let file = Out::new(order).pcap(magic, 1).record(1, 2, &[7; 60]);
            files.push(file.record(3, 4, &[]).record(5, 6, &[8; 1]).bytes);
        }
        let file = Out::new(order)
            .section()
            .interface(1)
            .timed_interface(0x89, -3);
        let file = file
            .enhanced(0, 1 << 40, &[1; 61])
            .block(5, |b| b.u32(0))
            .simple(&[2; 9]);
        files.push(
            file.section()
                .timed_interface(12, 3)
                .enhanced(0, 77, b"abc")
                .bytes,
        );
    }
    files
}
