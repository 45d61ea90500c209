//! A file that somebody has open: what its next bytes are.
//!
//! *Listings* are made while they are read, a step of the table at a time, and never from two steps back: a
//! read that goes on where the last one ended goes on in the table, one that goes back begins anew, as with
//! the kernel's files. Every entry is whole and met once.
//!
//! *Small files* are made at a read from the beginning, and stay as they are until the next one.

use ip_conntrack::Conntrack;
use ip_conntrack::format::{expect, line, stats};

use super::tree::Content;
use crate::daemon::tracker::{Tracker, Walk};
use crate::daemon::worker::{EXPECTATIONS_AT_ONCE, Gone, SLOTS_AT_ONCE};

/// An open file.
pub(super) struct Open {
    content: Content,
    walk: Walk,
    /// Where in the file the buffer begins.
    position: u64,
    /// Bytes that were made and not read.
    buffer: Vec<u8>,
}

impl Open {
    pub(super) fn new(content: Content) -> Open {
        Open {
            content,
            walk: Walk::default(),
            position: 0,
            buffer: Vec::new(),
        }
    }

    /// The bytes at `offset`, at most `size`; fewer only at the end of the file.
    pub(super) fn read(
        &mut self,
        tracker: &Tracker,
        offset: u64,
        size: usize,
    ) -> Result<Vec<u8>, Gone> {
        match self.content {
            Content::OldEntries
            | Content::Entries
            | Content::OldExpectations
            | Content::Expectations => self.read_on(tracker, offset, size),
            Content::Knob(_) if offset > 0 => Ok(Vec::new()),
            _ => self.read_small(tracker, offset, size),
        }
    }

    fn read_on(&mut self, tracker: &Tracker, offset: u64, size: usize) -> Result<Vec<u8>, Gone> {
        if offset < self.position {
            *self = Open::new(self.content);
        }
        loop {
            let skipped = usize::try_from(offset - self.position).unwrap_or(usize::MAX);
            let skipped = skipped.min(self.buffer.len());
            self.buffer.drain(..skipped);
            self.position += skipped as u64;
            let is_there = self.position == offset && self.buffer.len() >= size;
            if is_there || self.walk.is_over(tracker) {
                break;
            }
            self.make_more(tracker)?;
        }
        let rest = self.buffer.split_off(size.min(self.buffer.len()));
        let read = std::mem::replace(&mut self.buffer, rest);
        self.position += read.len() as u64;
        Ok(if self.position >= offset {
            read
        } else {
            Vec::new()
        })
    }

    fn make_more(&mut self, tracker: &Tracker) -> Result<(), Gone> {
        let content = self.content;
        let mut out = std::mem::take(&mut self.buffer);
        let step = self.walk.step(tracker, move |shard, cursor| {
            let next = append(&mut out, content, &shard.conntrack, cursor);
            (out, next)
        })?;
        self.buffer = step.unwrap_or_default();
        Ok(())
    }

    fn read_small(&mut self, tracker: &Tracker, offset: u64, size: usize) -> Result<Vec<u8>, Gone> {
        if offset == 0 {
            self.buffer.clear();
            self.make_small(tracker)?;
        }
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.buffer.get(offset..));
        let rest = rest.unwrap_or_default();
        Ok(rest.get(..size).unwrap_or(rest).to_vec())
    }

    fn make_small(&mut self, tracker: &Tracker) -> Result<(), Gone> {
        match self.content {
            Content::OldCounters => stats::ip_conntrack(&mut self.buffer, &tracker.cpus()?),
            Content::Counters => stats::nf_conntrack(&mut self.buffer, &tracker.cpus()?),
            Content::Everything => {
                for (name, count) in tracker.everything()? {
                    self.buffer
                        .extend_from_slice(format!("{name}={count}\n").as_bytes());
                }
            }
            Content::Knob(knob) => {
                self.buffer = format!("{}\n", tracker.knob(knob)?).into_bytes();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Appends a step of a listing. => where to go on.
fn append(out: &mut Vec<u8>, content: Content, conntrack: &Conntrack, cursor: u32) -> Option<u32> {
    match content {
        Content::OldEntries => conntrack.connections_from(cursor, SLOTS_AT_ONCE, |connection| {
            // That file never had others.
            if !connection.original.is_ipv6() {
                line::ip_conntrack(out, &connection);
            }
        }),
        Content::Entries => conntrack.connections_from(cursor, SLOTS_AT_ONCE, |connection| {
            line::nf_conntrack(out, &connection);
        }),
        Content::OldExpectations => {
            conntrack.expectations_from(cursor, EXPECTATIONS_AT_ONCE, |expectation| {
                expect::ip_conntrack_expect(out, &expectation);
            })
        }
        Content::Expectations => {
            conntrack.expectations_from(cursor, EXPECTATIONS_AT_ONCE, |expectation| {
                expect::nf_conntrack_expect(out, &expectation, None);
            })
        }
        _ => None,
    }
}
