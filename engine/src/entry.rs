//! One connection in the table: 128 bytes, two cache lines.
//!
//! The first line is what every packet touches: key, deadline, status, counters. The second is the
//! protocol tracker's, with the links of the timing wheel behind it. IPv6 addresses, start times and
//! rare parts are kept beside the slab (`slab.rs`, `extra` in `table.rs`), so that an IPv4 entry never
//! pays for them. The sizes are checked when the crate is compiled.
//!
//! A slot that holds no connection has `parts == 0`, which no key has, since the family is part of it.

use crate::connection::{Counters, Status};
use crate::event::Changes;
use crate::proto::Proto;
use crate::time::Time;

/// Packed form of a connection.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// [`Key::ends`](crate::hash::Key::ends).
    pub(crate) ends: u64,
    /// [`Key::parts`](crate::hash::Key::parts).
    pub(crate) parts: u64,
    /// When it runs out; set at confirmation.
    pub(crate) deadline: Time,
    pub(crate) status: Status,
    pub(crate) bits: u8,
    /// The list of the timing wheel that it is in.
    pub(crate) timer: u8,
    pub(crate) mark: u32,
    pub(crate) counters: [Counters; 2],

    pub(crate) proto: Proto,
    /// Neighbours in the list of the timing wheel; `next` links free slots.
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

const _: () = assert!(size_of::<Entry>() == 128);
const _: () = assert!(core::mem::offset_of!(Entry, proto) == 64);

const UNTOLD: [(Changes, u8); 2] = [
    (Changes::PROTOINFO, Entry::UNTOLD_STATE),
    (Changes::ASSURED, Entry::UNTOLD_ASSURED),
];

impl Entry {
    /// The original direction runs from the key's second end to its first.
    pub(crate) const FLIPPED: u8 = 1;
    /// Accounting was on when it was made.
    pub(crate) const ACCOUNTED: u8 = 1 << 1;
    /// Something about it is in the table of extras.
    pub(crate) const EXTRA: u8 = 1 << 2;
    /// The reply tuple has a key of its own, in the extras.
    pub(crate) const TWO_KEYS: u8 = 1 << 3;
    /// Its changes are told as events.
    pub(crate) const EVENTS: u8 = 1 << 4;
    /// A refused packet changed the protocol's state: the next packet that is accepted tells it.
    pub(crate) const UNTOLD_STATE: u8 = 1 << 5;
    /// The same, for becoming ASSURED.
    pub(crate) const UNTOLD_ASSURED: u8 = 1 << 6;

    pub(crate) const fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    pub(crate) const fn is_replied(&self) -> bool {
        self.status.has(Status::SEEN_REPLY)
    }

    pub(crate) const fn is_assured(&self) -> bool {
        self.status.has(Status::ASSURED)
    }

    /// Puts off telling changes until a packet is accepted.
    pub(crate) fn put_off(&mut self, changes: Changes) {
        for (change, bit) in UNTOLD {
            if changes.has(change) {
                self.bits |= bit;
            }
        }
    }

    /// Changes that were put off.
    pub(crate) fn take_untold(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (change, bit) in UNTOLD {
            if self.has(bit) {
                changes.add(change);
            }
            self.bits &= !bit;
        }
        changes
    }

    /// Gives it that many seconds from now, unless its time is fixed.
    #[inline(always)]
    pub(crate) fn prolong(&mut self, now: Time, secs: i64) -> bool {
        let may = !self.status.has(Status::FIXED_TIMEOUT);
        if may {
            self.deadline = now.plus_secs(secs);
        }
        may
    }

    pub(crate) fn set(&mut self, bits: Status) {
        self.status = self.status.with(bits);
    }
}
