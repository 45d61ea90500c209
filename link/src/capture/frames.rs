//! Packets that were found in the window: noted when they are read, lent one at a time or several.
//!
//! A [`Head`] is a packet without its bytes, a [`Frame`] is one with them. What is read ahead is noted
//! as heads, since bytes can be borrowed only when nothing is read any more.

use std::ops::Range;

use super::window::Window;

/// Packets that are lent at once, at most.
pub const MAX_BATCH: usize = 32;

/// One captured packet. It borrows its bytes from the [`Capture`](super::Capture) it came from.
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

/// A [`Frame`] whose bytes are a place in the window.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) time_ns: u64,
    pub(super) link_type: u32,
    pub(super) wire_len: u32,
    pub(super) index: u64,
    pub(super) offset: u64,
    pub(super) place: Range<usize>,
}

/// The packets that were read and are in the window, those already lent included.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    heads: Vec<Head>,
    lent: usize,
}

impl Ahead {
    /// Whether all were lent.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lent == self.heads.len()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.heads.len() >= MAX_BATCH
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.lent = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, head: Head) {
        self.heads.push(head);
    }

    /// Those that were not lent yet.
    pub(super) fn waiting(&self) -> &[Head] {
        self.heads.get(self.lent..).unwrap_or_default()
    }

    /// The next ones to lend, at most `limit`.
    pub(super) fn take(&mut self, limit: usize) -> &[Head] {
        let from = self.lent;
        self.lent = self.heads.len().min(from.saturating_add(limit));
        self.heads.get(from..self.lent).unwrap_or_default()
    }
}

/// Packets of one file that are in memory together, in the file's order.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    window: &'a Window,
    heads: std::slice::Iter<'a, Head>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(window: &'a Window, heads: &'a [Head]) -> Frames<'a> {
        Frames {
            window,
            heads: heads.iter(),
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        let head = self.heads.next()?;
        Some(Frame {
            time_ns: head.time_ns,
            link_type: head.link_type,
            bytes: self.window.place(&head.place),
            wire_len: head.wire_len,
            index: head.index,
            offset: head.offset,
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl ExactSizeIterator for Frames<'_> {}
