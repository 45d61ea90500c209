//! A window that slides over the bytes of a file.
//!
//! **Purpose.** The format readers want the next record in one piece; files come in pieces of any
//! size. [`Window::fill`] makes the next `want` bytes contiguous, [`Window::consume`] passes over
//! them.
//!
//! **Life cycle.** Bytes that were consumed stay where they are until the next `fill` that has to
//! read. That is what lets a packet be lent out of the window without a copy; and several at once
//! while the window is held ([`Window::hold`]), since it is not read into then.
//!
//! **Files are read, not mapped.** Reading copies each byte once, into a window that stays in the
//! second-level cache. Mapping the file instead was measured with `examples/read_speed.rs` and took
//! longer, a page fault for every few pages being dearer than the copy, with and without
//! `MAP_POPULATE` or `MADV_SEQUENTIAL`; windows from 32 KiB to 1 MiB made no difference. And a mapped
//! file that somebody truncates ends the program with SIGBUS, where a read only finds the end.
//!
//! **Invariants.** `start <= end <= buffer.len()`. `offset` is the place of `start` in the
//! decompressed file. The buffer doubles only when it is full of bytes that are there, up to what
//! was wanted: a caller that bounds `want` bounds the memory, and a `want` beyond the end of the
//! file costs at most twice the bytes that the file has left.

use std::io::{self, Cursor, Read};
use std::ops::Range;

use flate2::read::MultiGzDecoder;

use super::error::CaptureErrorKind;

/// Large enough that a read's cost disappears, small enough to stay in the second-level cache.
const INITIAL: usize = 128 * 1024;

pub(super) struct Window {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    /// Nothing may be read.
    held: bool,
}

enum Stream {
    Plain(Counted),
    /// The bytes that had been read when the gzip magic was seen, then the rest of the file.
    Gzip(Box<MultiGzDecoder<io::Chain<Cursor<Vec<u8>>, Counted>>>),
}

/// Counts the bytes that a reader has yielded.
struct Counted {
    reader: Box<dyn Read + Send>,
    count: u64,
}

impl Window {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Window {
        Window {
            stream: Stream::Plain(Counted { reader, count: 0 }),
            buffer: vec![0; INITIAL],
            start: 0,
            end: 0,
            offset: 0,
            held: false,
        }
    }

    /// Makes at least `want` bytes available, fewer only where the file ends or while it is held.
    /// => how many are there, which may be more than `want`.
    #[inline]
    pub(super) fn fill(&mut self, want: usize) -> Result<usize, CaptureErrorKind> {
        let have = self.end - self.start;
        if have >= want || self.held {
            return Ok(have);
        }
        self.refill(want)
    }

    /// While it is held, nothing is read: bytes that were consumed stay where they are.
    #[inline]
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// All the bytes that are available.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Passes over `size` bytes, which must be available.
    /// => where they began, for [`Window::place`]; valid until the next `fill`.
    #[inline]
    pub(super) fn consume(&mut self, size: usize) -> usize {
        debug_assert!(size <= self.end - self.start);
        let start = self.start;
        self.start = (start + size).min(self.end);
        self.offset += size as u64;
        start
    }

    /// Bytes that were consumed and are still there.
    #[inline]
    pub(super) fn place(&self, place: &Range<usize>) -> &[u8] {
        self.buffer.get(place.clone()).unwrap_or_default()
    }

    /// Where the next byte is in the decompressed file.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes of the file as it is stored were read.
    pub(super) fn consumed(&self) -> u64 {
        match &self.stream {
            Stream::Plain(counted) => counted.count,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref().1.count,
        }
    }

    /// Takes what was read and what follows it for gzip. Only before anything was consumed.
    pub(super) fn gunzip(&mut self) {
        let head = self.bytes().to_vec();
        let nothing = Stream::Plain(Counted {
            reader: Box::new(io::empty()),
            count: 0,
        });
        self.stream = match std::mem::replace(&mut self.stream, nothing) {
            Stream::Plain(counted) => {
                let whole = Cursor::new(head).chain(counted);
                Stream::Gzip(Box::new(MultiGzDecoder::new(whole)))
            }
            gzip @ Stream::Gzip(_) => gzip,
        };
        (self.start, self.end) = (0, 0);
    }

    fn refill(&mut self, want: usize) -> Result<usize, CaptureErrorKind> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < want {
            if self.end == self.buffer.len() {
                self.buffer.resize((self.end * 2).min(want), 0);
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            let room = free.len();
            match self.stream.read(free) {
                Ok(0) => break,
                Ok(read) => self.end += read.min(room),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stream.blame(error)),
            }
        }
        Ok(self.end)
    }
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(counted) => counted.read(buffer),
            Stream::Gzip(decoder) => decoder.read(buffer),
        }
    }

    /// Tells a damaged gzip stream from a file that cannot be read.
    fn blame(&self, error: io::Error) -> CaptureErrorKind {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match (self, error.kind()) {
            (Stream::Gzip(_), InvalidData | InvalidInput | UnexpectedEof) => {
                CaptureErrorKind::Gzip(error)
            }
            _ => CaptureErrorKind::Read(error),
        }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window")
            .field("offset", &self.offset)
            .field("available", &(self.end - self.start))
            .field("buffer", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_depend_on_the_size_of_the_file() {
        let mut window = Window::new(Box::new(io::repeat(7).take(64 * INITIAL as u64)));
        while window.fill(1_000).unwrap() > 0 {
            window.consume(window.bytes().len().min(1_000));
        }
        assert_eq!(window.offset(), 64 * INITIAL as u64);
        assert_eq!(window.buffer.len(), INITIAL);
    }

    #[test]
    fn memory_is_not_taken_for_bytes_that_are_not_there() {
        let mut window = Window::new(Box::new(io::repeat(7).take(100)));
        assert_eq!(window.fill(usize::MAX).unwrap(), 100);
        assert_eq!(window.buffer.len(), INITIAL);
    }

    #[test]
    fn memory_grows_to_what_is_wanted_and_no_further() {
        let mut window = Window::new(Box::new(io::repeat(7)));
        assert_eq!(window.fill(3 * INITIAL).unwrap(), 3 * INITIAL);
        assert_eq!(window.buffer.len(), 3 * INITIAL);
    }
}
