//! Capture files, read as a stream.
//!
//! **Purpose.** A [`Capture`] is one file (or pipe) in pcap or pcapng, plain or in gzip; it hands
//! out the packets one at a time, each with its time in nanoseconds since the Unix epoch.
//!
//! **Life cycle.** [`Capture::open`] reads as far as it must to know the format, so a file that is
//! no capture is refused there. [`Capture::next_frame`] then lends frame after frame. It ends once:
//! with `Ok(None)` where the file ends between two packets, or with an error that names the place.
//! After either it says `Ok(None)` for ever.
//!
//! **Invariants.**
//! - Memory is one window over the file (`window.rs`), 128 KiB at first. It grows only to hold a
//!   single record and only as its bytes arrive, so a length that lies allocates nothing; it
//!   never exceeds [`MAX_BLOCK`]. The one other thing that grows is a pcapng section's list of
//!   interfaces, and that stops at [`MAX_INTERFACES`].
//! - The bytes of a frame lie in the window and are not copied. They hold until the next call.
//! - What lies before a defect is delivered before the defect is reported.
//! - A read asks for no more than the next record needs, so packets come out of a pipe as they
//!   come in.
//!
//! **Layout.** `window` is bytes, `pcap` and `pcapng` say what the bytes are, this file joins
//! them, `merge` joins files, `error` says what was wrong.
//!
//! **Source.** draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. The file header and the
//! formats' numbers come from the `pcap-parser` crate. Records and blocks are decoded here: they
//! are the hot path, the crate collects a block's options into a list (a block of 16 MiB of empty
//! options would cost several times that), and it does not read the obsolete Packet Block.

mod error;
mod merge;
mod order;
mod pcap;
mod pcapng;
mod window;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

pub use error::{CaptureError, CaptureErrorKind, Part};
pub use merge::Merge;
pub use pcap::MAX_PACKET;
pub use pcapng::{MAX_BLOCK, MAX_INTERFACES};

use pcap::Pcap;
use pcapng::Pcapng;
use window::Window;

/// One captured packet. It borrows its bytes from the [`Capture`] it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured, in nanoseconds since the Unix epoch. Times outside of what the type
    /// can hold are clamped. A Simple Packet Block has no time and takes that of the packet
    /// before it in the file, or 0.
    pub time_ns: u64,
    /// What `bytes` begins with: a `LINKTYPE_` number of the tcpdump.org registry.
    pub link_type: u32,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How long the packet was on the wire: at least `bytes.len()`, whatever the file says.
    pub wire_len: u32,
    /// The packet's number in its file, from 0.
    pub index: u64,
    /// Where its record or block begins in the file, after decompression.
    pub offset: u64,
}

/// One capture file that is being read.
#[derive(Debug)]
pub struct Capture {
    name: String,
    size: Option<u64>,
    window: Window,
    format: Format,
    packets: u64,
    head: Head,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// Nothing more comes: the end was reached, or an error was reported.
    Done,
}

/// A packet as a format reader finds it: the next `size` bytes of the window.
#[derive(Debug)]
struct Record {
    time_ns: u64,
    link_type: u32,
    wire_len: u32,
    /// Where the captured bytes are, counted from the beginning of the record.
    bytes: Range<usize>,
    size: usize,
}

/// The packet that was read last: a [`Frame`] whose bytes are a place in the window.
#[derive(Debug, Default)]
struct Head {
    time_ns: u64,
    link_type: u32,
    wire_len: u32,
    index: u64,
    offset: u64,
    place: Range<usize>,
}

impl Capture {
    /// Opens a capture file; `-` is the standard input.
    ///
    /// # Errors
    /// The file cannot be opened or read, is empty, is no capture, or ends inside its header.
    pub fn open(path: &Path) -> Result<Capture, CaptureError> {
        if path.as_os_str() == "-" {
            return Capture::from_reader("standard input".to_owned(), Box::new(io::stdin()), None);
        }
        let name = path.display().to_string();
        match open_file(path) {
            Ok((file, size)) => Capture::from_reader(name, Box::new(file), size),
            Err(error) => Err(CaptureError {
                file: name,
                offset: 0,
                kind: CaptureErrorKind::Open(error),
            }),
        }
    }

    /// Reads a capture from anything that yields bytes. `name` is what errors call it, `size`
    /// how many bytes the reader will yield, where that is known.
    ///
    /// # Errors
    /// As for [`Capture::open`].
    pub fn from_reader(
        name: String,
        reader: Box<dyn Read + Send>,
        size: Option<u64>,
    ) -> Result<Capture, CaptureError> {
        let mut window = Window::new(reader);
        match detect(&mut window) {
            Ok(format) => Ok(Capture {
                name,
                size,
                window,
                format,
                packets: 0,
                head: Head::default(),
            }),
            Err(kind) => Err(CaptureError {
                file: name,
                offset: window.offset(),
                kind,
            }),
        }
    }

    /// The next packet, or `Ok(None)` at the end.
    ///
    /// # Errors
    /// The file is cut, damaged or cannot be read at the offset that the error names. There is
    /// nothing after an error: further calls return `Ok(None)`.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let more = self.advance()?;
        Ok(more.then(|| self.frame()))
    }

    /// What errors call the file: its path, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of the file in bytes, as it is stored; `None` for a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many bytes of the file, as it is stored, were read so far. Runs ahead of the packets
    /// by at most the window.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.window.consumed()
    }

    /// Reads the next packet's record. => `false`: there is none, and [`Capture::frame`] must not
    /// be asked.
    fn advance(&mut self) -> Result<bool, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next_record(&mut self.window),
            Format::Pcapng(pcapng) => pcapng.next_record(&mut self.window),
            Format::Done => return Ok(false),
        };
        match found {
            Ok(Some(record)) => {
                self.take(record);
                Ok(true)
            }
            Ok(None) => {
                self.format = Format::Done;
                Ok(false)
            }
            Err(kind) => Err(self.fail(kind)),
        }
    }

    fn take(&mut self, record: Record) {
        let offset = self.window.offset();
        let start = self.window.consume(record.size);
        let length = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        self.head = Head {
            time_ns: record.time_ns,
            link_type: record.link_type,
            wire_len: record.wire_len.max(length),
            index: self.packets,
            offset,
            place: start + record.bytes.start..start + record.bytes.end,
        };
        self.packets += 1;
    }

    /// The packet that [`Capture::advance`] has read.
    fn frame(&self) -> Frame<'_> {
        let head = &self.head;
        Frame {
            time_ns: head.time_ns,
            link_type: head.link_type,
            bytes: self.window.place(&head.place),
            wire_len: head.wire_len,
            index: head.index,
            offset: head.offset,
        }
    }

    #[cold]
    fn fail(&mut self, kind: CaptureErrorKind) -> CaptureError {
        self.format = Format::Done;
        CaptureError {
            file: self.name.clone(),
            offset: self.window.offset(),
            kind,
        }
    }
}

fn open_file(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    Ok((file, about.is_file().then_some(about.len())))
}

/// Finds out what the file is from its first bytes, looking through gzip.
fn detect(window: &mut Window) -> Result<Format, CaptureErrorKind> {
    window.fill(2)?;
    if window.bytes().starts_with(&[0x1f, 0x8b]) {
        window.gunzip();
    }
    window.fill(4)?;
    match window.bytes() {
        [] => Err(CaptureErrorKind::Empty),
        first if pcapng::is_pcapng(first) => Ok(Format::Pcapng(Pcapng::new())),
        first if pcap::is_pcap(first) => Pcap::open(window).map(Format::Pcap),
        _ => {
            window.fill(8)?;
            let first = window.bytes().iter().take(8).copied().collect();
            Err(CaptureErrorKind::NotACapture { first })
        }
    }
}
