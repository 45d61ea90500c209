//! The buffer that messages are received into, and where the whole ones end.
//!
//! Invariant: `whole <= filled <= buffer.len()`. What lies below `whole` was handed over and is
//! forgotten at the next read; what lies between the two is the beginning of a message.

use std::io;

use super::MAX_MESSAGE;

/// Bytes of the buffer: a dump's datagrams are half of that, and the beginning of a message always leaves room.
const SIZE: usize = 2 * MAX_MESSAGE;

/// Bytes of a message's header, whose first four are its length.
const HEADER: usize = 16;

/// Why no more messages will come.
enum End {
    Closed,
    Damaged(usize),
}

pub(super) struct Frames {
    buffer: Box<[u8]>,
    whole: usize,
    filled: usize,
    end: Option<End>,
}

impl Frames {
    pub(super) fn new() -> Frames {
        Frames {
            buffer: vec![0; SIZE].into_boxed_slice(),
            whole: 0,
            filled: 0,
            end: None,
        }
    }

    /// The whole messages that were received last.
    pub(super) fn whole(&self) -> &[u8] {
        &self.buffer[..self.whole]
    }

    /// Room for a datagram.
    pub(super) fn empty(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// A datagram of `len` bytes was read. Its messages are whole by nature.
    pub(super) fn took(&mut self, len: usize) {
        self.whole = len.min(self.buffer.len());
        self.filled = self.whole;
    }

    /// Room behind the beginning of a message, which moves to the front.
    pub(super) fn behind(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.whole..self.filled, 0);
        self.filled -= self.whole;
        self.whole = 0;
        &mut self.buffer[self.filled..]
    }

    /// `len` bytes of a stream were read, 0 at its end. Returns whether there are whole messages.
    pub(super) fn grew(&mut self, len: usize) -> bool {
        self.filled = (self.filled + len).min(self.buffer.len());
        if len == 0 {
            self.end = Some(End::Closed);
        }
        while let Some(end) = self.next_end() {
            self.whole = end;
        }
        self.whole > 0
    }

    /// Where the message at `whole` ends, if all of it is there, its padding included.
    fn next_end(&mut self) -> Option<usize> {
        let header = self.buffer[self.whole..self.filled].first_chunk::<HEADER>()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if !(HEADER..=MAX_MESSAGE).contains(&len) {
            self.end = Some(End::Damaged(len));
            return None;
        }
        let end = self.whole + len.next_multiple_of(4);
        (end <= self.filled).then_some(end)
    }

    /// Whether there is nothing more to read.
    pub(super) fn has_closed(&self) -> bool {
        self.end.is_some()
    }

    /// # Errors
    ///
    /// No more messages will come.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.end {
            None => Ok(()),
            Some(End::Closed) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed",
            )),
            Some(End::Damaged(len)) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a message of {len} bytes: {HEADER} to {MAX_MESSAGE} are possible"),
            )),
        }
    }
}
