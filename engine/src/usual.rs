//! The usual packet, taken a shorter way.
//!
//! Nearly every packet belongs to a connection that was answered, says nothing new about its state,
//! and only counts and prolongs. For such a packet everything that may follow from others is asked
//! once, together; what is left is to look at its header, to count it and to write a deadline. TCP
//! does the same with the segment itself (header prediction: Jacobson, "4BSD Header Prediction",
//! 1990).
//!
//! *Invariant.* The short way ends as the long one (`conntrack.rs`) would, or changes nothing and says
//! so; then the packet goes the long way. The tests take the same packets both ways and compare.

use crate::connection::Status;
use crate::conntrack::{Conntrack, Handle, account};
use crate::entry::Entry;
use crate::hash::Key;
use crate::packet::Packet;
use crate::proto;
use crate::time::Time;
use crate::tuple::Direction;
use crate::verdict::{Action, Class, Verdict};

/// Where a packet's entry probably is, and what tells whether it is the one.
#[derive(Clone, Copy)]
pub(crate) struct Guess {
    pub(crate) slot: u32,
    pub(crate) key: Key,
    pub(crate) flipped: bool,
}

impl Conntrack {
    /// Tracks a packet if it is a usual one of the connection that is guessed. `false`, and nothing
    /// was changed, if it is not.
    #[inline(always)]
    pub(crate) fn follow_usually(
        &mut self,
        guess: &Guess,
        packet: &Packet<'_>,
        now: Time,
        verdict: &mut Verdict,
    ) -> bool {
        if !self.table.has_addresses(guess.slot, &guess.key) {
            return false;
        }
        let Some((entry, wheel)) = self.table.entry_and_wheel(guess.slot) else {
            return false;
        };
        if !is_usual(entry, &guess.key, now) {
            return false;
        }
        let direction = match guess.flipped == entry.has(Entry::FLIPPED) {
            true => Direction::Original,
            false => Direction::Reply,
        };
        let status = entry.status;
        let continued = proto::continue_usually(
            &mut entry.proto,
            packet,
            direction,
            status,
            &self.config,
            now,
        );
        let Some(secs) = continued else {
            return false;
        };
        account(entry, direction, packet);
        entry.deadline = now.plus_timeout(secs);
        *verdict = Verdict {
            connection: Some(Handle::of(guess.slot, entry)),
            ..Verdict::new(Action::Accept, Class::Established, direction)
        };
        if wheel.comes_late(entry) {
            self.table.rearm(guess.slot);
        }
        true
    }
}

/// Whether an entry is the one meant, lives, was answered, and has nothing about it that the long way
/// would have to look at.
#[inline(always)]
fn is_usual(entry: &Entry, key: &Key, now: Time) -> bool {
    const ODD: u8 = Entry::TWO_KEYS | Entry::UNTOLD_STATE | Entry::UNTOLD_ASSURED;
    const LOOKED_AT: u16 = Status::SEEN_REPLY.0 | Status::FIXED_TIMEOUT.0;
    entry.ends == key.ends
        && entry.parts == key.parts
        && entry.deadline > now
        && entry.bits & ODD == 0
        && entry.status.0 & LOOKED_AT == Status::SEEN_REPLY.0
}
