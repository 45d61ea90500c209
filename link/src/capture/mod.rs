//! Capture files, read as a stream.
//!
//! **Purpose.** A [`Capture`] is one file (or pipe) in pcap or pcapng, plain or in gzip; it hands
//! out the packets one at a time, each with its time in nanoseconds since the Unix epoch.
//!
//! **Life cycle.** [`Capture::open`] reads as far as it must to know the format, so a file that is
//! no capture is refused there. [`Capture::next_frame`] then lends frame after frame, and
//! [`Capture::next_frames`] several at once. It ends once: with `Ok(None)` where the file ends
//! between two packets, or with an error that names the place. After either it says `Ok(None)` for
//! ever.
//!
//! **Invariants.**
//! - Memory is one window over the file (`window.rs`), 128 KiB at first. It grows only to hold a
//!   single record and only as its bytes arrive, so a length that lies allocates nothing; it
//!   never exceeds [`MAX_BLOCK`]. The one other thing that grows is a pcapng section's list of
//!   interfaces, and that stops at [`MAX_INTERFACES`].
//! - The bytes of a frame lie in the window and are not copied. They hold until the next call.
//! - What lies before a defect is delivered before the defect is reported.
//! - A read asks for no more than the next record needs, and several frames at once are those that
//!   are in the window anyway, so packets come out of a pipe as they come in.
//!
//! **Layout.** `window` is bytes, `pcap` and `pcapng` say what the bytes are, `frames` is what was
//! found in them, this file joins them, `merge` joins files, `error` says what was wrong.
//!
//! **Source.** draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. The file header and the
//! formats' numbers come from the `pcap-parser` crate. Records and blocks are decoded here: they
//! are the hot path, the crate collects a block's options into a list (a block of 16 MiB of empty
//! options would cost several times that), and it does not read the obsolete Packet Block.

mod error;
mod frames;
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
pub use frames::{Frame, Frames, MAX_BATCH};
pub use merge::Merge;
pub use pcap::MAX_PACKET;
pub use pcapng::{MAX_BLOCK, MAX_INTERFACES};

use frames::{Ahead, Head};
use pcap::Pcap;
use pcapng::Pcapng;
use window::Window;

/// One capture file that is being read.
#[derive(Debug)]
pub struct Capture {
    name: String,
    size: Option<u64>,
    window: Window,
    format: Format,
    packets: u64,
    ahead: Ahead,
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
                ahead: Ahead::default(),
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
        let more = self.look_ahead()?;
        Ok(more.then(|| self.lend(1).next()).flatten())
    }

    /// The next packets: at least one, and at most [`MAX_BATCH`], of those that are in memory
    /// already, so that nobody waits for the last of them. `Ok(None)` at the end.
    ///
    /// # Errors
    /// As for [`Capture::next_frame`]. The packets before an error come first.
    pub fn next_frames(&mut self) -> Result<Option<Frames<'_>>, CaptureError> {
        let more = self.look_ahead()?;
        Ok(more.then(|| self.lend(MAX_BATCH)))
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

    /// Unless there are packets that were read and not lent: reads one, and takes as many more as
    /// are in the window. => `false`: there is none.
    fn look_ahead(&mut self) -> Result<bool, CaptureError> {
        if !self.ahead.is_empty() {
            return Ok(true);
        }
        self.ahead.clear();
        match self.format.next_record(&mut self.window) {
            Ok(Some(record)) => self.take(&record),
            Ok(None) => {
                self.format = Format::Done;
                return Ok(false);
            }
            Err(kind) => return Err(self.fail(kind)),
        }
        self.window.hold(true);
        while !self.ahead.is_full() {
            // Whatever the window is too short for is asked again when it may be read further,
            // and so is what is wrong.
            let Ok(Some(record)) = self.format.next_record(&mut self.window) else {
                break;
            };
            self.take(&record);
        }
        self.window.hold(false);
        Ok(true)
    }

    fn take(&mut self, record: &Record) {
        let offset = self.window.offset();
        let start = self.window.consume(record.size);
        let length = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        self.ahead.push(Head {
            time_ns: record.time_ns,
            link_type: record.link_type,
            wire_len: record.wire_len.max(length),
            index: self.packets,
            offset,
            place: start + record.bytes.start..start + record.bytes.end,
        });
        self.packets += 1;
    }

    /// At most `limit` of the packets that were read ahead.
    fn lend(&mut self, limit: usize) -> Frames<'_> {
        Frames::new(&self.window, self.ahead.take(limit))
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

impl Format {
    /// Finds the next packet. => it is not consumed; `None` where the file ends.
    #[inline]
    fn next_record(&mut self, window: &mut Window) -> Result<Option<Record>, CaptureErrorKind> {
        match self {
            Format::Pcap(pcap) => pcap.next_record(window),
            Format::Pcapng(pcapng) => pcapng.next_record(window),
            Format::Done => Ok(None),
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
