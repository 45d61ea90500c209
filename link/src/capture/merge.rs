//! Several captures as one, in the order of time.
//!
//! **Purpose.** A connection whose two directions were captured on two interfaces, or a ring of
//! files given in any order, must reach a tracker as it happened.
//!
//! **Life cycle.** Every file that is not finished has its next packets read and waiting in its own
//! window; a heap knows whose first is the earliest. As many are lent at once as come before all
//! other files' packets. The file that was lent from last is read further at the next call and not
//! before, so the lent packets stay where they are and nothing is copied.
//!
//! **Invariants.** A file's packets keep the file's order: only the first waiting packet of each
//! competes. So a clock that runs backwards inside a file is passed on as it is. Equal times go
//! in the order in which the files were given. An error ends its file and no other, and comes
//! after that file's last packet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Capture, CaptureError, Frames};

/// Reads several captures in the order of time.
#[derive(Debug)]
pub struct Merge {
    captures: Vec<Capture>,
    /// The files that have a packet waiting, by its time and then by their number.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    /// The files whose next packet is still to be read: all at first, then the one lent from.
    unread: Vec<usize>,
}

impl Merge {
    /// Merges captures. Files are known by their place in the list.
    #[must_use]
    pub fn new(captures: Vec<Capture>) -> Merge {
        Merge {
            waiting: BinaryHeap::with_capacity(captures.len()),
            unread: (0..captures.len()).rev().collect(),
            captures,
        }
    }

    /// The earliest packets that are waiting in any file, with the number of that file: at least one,
    /// and at most [`MAX_BATCH`](super::MAX_BATCH). `None` when all are finished. After an error of
    /// one file the others go on.
    pub fn next_frames(&mut self) -> Option<Result<(usize, Frames<'_>), (usize, CaptureError)>> {
        while let Some(file) = self.unread.pop() {
            let Some(capture) = self.captures.get_mut(file) else {
                continue;
            };
            if let Err(error) = capture.look_ahead() {
                return Some(Err((file, error)));
            }
            if let Some(first) = capture.ahead.waiting().first() {
                self.waiting.push(Reverse((first.time_ns, file)));
            }
        }
        let Reverse((_, file)) = self.waiting.pop()?;
        self.unread.push(file);
        let capture = self.captures.get_mut(file)?;
        let goes_first = |time| match self.waiting.peek() {
            Some(Reverse(other)) => (time, file) < *other,
            None => true,
        };
        let waiting = capture.ahead.waiting().iter();
        let count = waiting.take_while(|head| goes_first(head.time_ns)).count();
        Some(Ok((file, capture.lend(count))))
    }

    /// The captures, as they were given: for their names and how far each was read.
    #[must_use]
    pub fn captures(&self) -> &[Capture] {
        &self.captures
    }
}
