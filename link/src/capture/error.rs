//! What can be wrong with a capture file, and how to say it: the file, the place, the value that
//! is wrong there, and what to do about it where something can be done.

use std::fmt::{self, Display, Formatter};
use std::io;

use super::MAX_INTERFACES;

/// Why a capture file could not be read, or not be read further.
#[derive(Debug)]
pub struct CaptureError {
    /// The name of the file, as it was given.
    pub file: String,
    /// Where the defective record or block begins, in the decompressed file.
    pub offset: u64,
    /// What is wrong there.
    pub kind: CaptureErrorKind,
}

/// What is wrong with a capture file.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureErrorKind {
    /// The file cannot be opened.
    Open(io::Error),
    /// Reading failed.
    Read(io::Error),
    /// The gzip stream is damaged or cut.
    Gzip(io::Error),
    /// There is not one byte.
    Empty,
    /// The file is neither pcap nor pcapng.
    NotACapture {
        /// Its first bytes, 8 at most.
        first: Vec<u8>,
    },
    /// The file ends inside of something.
    Cut {
        /// Inside of what.
        part: Part,
        /// How many of its bytes are there.
        have: u64,
        /// How many there should be.
        want: u64,
    },
    /// A length that is not believed.
    TooLong {
        /// What is said to be so long.
        part: Part,
        /// The length, as the file says.
        length: u64,
        /// The greatest that is believed.
        limit: u64,
    },
    /// A pcapng block of a length that no block can have.
    BlockLength {
        /// The length, as the file says.
        length: u32,
    },
    /// A pcapng block that is too short for the fields that its type has.
    BlockTooShort {
        /// The type of the block.
        block_type: u32,
        /// Its length.
        length: u64,
        /// The least length for that type.
        least: u64,
    },
    /// A pcapng block whose two lengths differ.
    BlockEnd {
        /// The one at its beginning.
        length: u32,
        /// The one at its end.
        repeated: u32,
    },
    /// A pcapng section header whose byte-order mark is not one.
    ByteOrder {
        /// What stands in its place.
        mark: [u8; 4],
    },
    /// A packet that is longer than the pcapng block it is in.
    PacketOverruns {
        /// The captured length, as the file says.
        captured: u64,
        /// How many bytes there are for it.
        room: u64,
    },
    /// An option that is longer than the pcapng block it is in.
    OptionOverruns {
        /// The option's code.
        code: u16,
        /// Its length, as the file says.
        length: u16,
        /// How many bytes there are for it.
        room: u64,
    },
    /// A packet of an interface that the pcapng section has not described.
    NoInterface {
        /// The number of the interface.
        number: u32,
        /// How many were described.
        known: usize,
    },
    /// A pcapng section that describes more interfaces than are kept.
    TooManyInterfaces,
}

/// A part of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The header of a pcap file.
    FileHeader,
    /// The header of a pcap record.
    PacketHeader,
    /// The captured bytes of a pcap record.
    Packet,
    /// Type and lengths of a pcapng block.
    BlockHeader,
    /// A pcapng block.
    Block,
}

/// Beginnings of files that are often given in place of a capture, and what to do about them.
const KNOWN: [(&[u8], &str); 7] = [
    (
        b"\x28\xb5\x2f\xfd",
        "this is zstd: decompress it first, with zstd -d",
    ),
    (b"\xfd7zXZ", "this is xz: decompress it first, with xz -d"),
    (b"BZh", "this is bzip2: decompress it first, with bzip2 -d"),
    (
        b"\x04\x22\x4d\x18",
        "this is lz4: decompress it first, with lz4 -d",
    ),
    (b"PK\x03\x04", "this is a zip archive: unpack it first"),
    (
        b"snoop\0",
        "this is a snoop file: convert it first, with editcap -F pcapng",
    ),
    (
        b"\x1f\x8b",
        "this is gzip inside of gzip: decompress it first, with gzip -d",
    ),
];

impl CaptureErrorKind {
    pub(super) fn cut(part: Part, have: usize, want: usize) -> CaptureErrorKind {
        let (have, want) = (have as u64, want as u64);
        CaptureErrorKind::Cut { part, have, want }
    }

    pub(super) fn too_long(part: Part, length: usize, limit: usize) -> CaptureErrorKind {
        let (length, limit) = (length as u64, limit as u64);
        CaptureErrorKind::TooLong {
            part,
            length,
            limit,
        }
    }
}

impl Display for CaptureError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CaptureErrorKind::Open(error) => write!(f, "{}: cannot be opened: {error}", self.file),
            kind => write!(f, "{}: offset {}: {kind}", self.file, self.offset),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            CaptureErrorKind::Open(error)
            | CaptureErrorKind::Read(error)
            | CaptureErrorKind::Gzip(error) => Some(error),
            _ => None,
        }
    }
}

impl Display for CaptureErrorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot be opened: {error}"),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Gzip(error) => write!(
                f,
                "the gzip stream is damaged or cut after this ({error}); test it with gzip -t"
            ),
            Self::Empty => write!(f, "the file is empty, it has not even a header"),
            Self::NotACapture { first } => not_a_capture(f, first),
            Self::Cut { part, have, want } => write!(
                f,
                "cut in the middle of a {part}: {have} of {want} bytes; what is before it was read"
            ),
            Self::TooLong {
                part,
                length,
                limit,
            } => write!(
                f,
                "a {part} of {length} bytes is not believed (the limit is {limit}): the file is \
                 damaged here"
            ),
            Self::ByteOrder { mark } => write!(
                f,
                "the section header's byte-order mark is {}, not 1a 2b 3c 4d in either order",
                Hex(mark)
            ),
            Self::NoInterface { number, known } => write!(
                f,
                "a packet names interface {number}, but the section describes only {known}"
            ),
            Self::TooManyInterfaces => {
                write!(
                    f,
                    "a section describes more than {MAX_INTERFACES} interfaces"
                )
            }
            _ => self.fmt_block(f),
        }
    }
}

impl CaptureErrorKind {
    /// The lengths that contradict each other inside of a pcapng block.
    fn fmt_block(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockLength { length } => write!(
                f,
                "a block cannot be {length} bytes long: it is at least 12, and a multiple of 4"
            ),
            Self::BlockTooShort {
                block_type,
                length,
                least,
            } => write!(
                f,
                "a block of type {block_type} has at least {least} bytes, this one has {length}"
            ),
            Self::BlockEnd { length, repeated } => write!(
                f,
                "a block of {length} bytes says at its end that it has {repeated}: the file is \
                 damaged here"
            ),
            Self::PacketOverruns { captured, room } => write!(
                f,
                "a packet of {captured} bytes does not fit its block, which has {room} for it"
            ),
            Self::OptionOverruns { code, length, room } => write!(
                f,
                "option {code} of {length} bytes does not fit its block, which has {room} for it"
            ),
            _ => Ok(()),
        }
    }
}

fn not_a_capture(f: &mut Formatter<'_>, first: &[u8]) -> fmt::Result {
    let bytes = Hex(first);
    let text = first.escape_ascii();
    write!(f, "not a capture: it begins with {bytes} (\"{text}\"); ")?;
    match KNOWN.iter().find(|(magic, _)| first.starts_with(magic)) {
        Some((_, advice)) => f.write_str(advice),
        None => f.write_str("pcap and pcapng are read, plain or in gzip"),
    }
}

/// Bytes as a hex dump shows them.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::FileHeader => "file header",
            Part::PacketHeader => "packet header",
            Part::Packet => "packet",
            Part::BlockHeader => "block header",
            Part::Block => "block",
        })
    }
}
