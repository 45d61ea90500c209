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
use crate::packet::Packet;
use crate::proto::{self, Terms};
use crate::time::Time;
use crate::tuple::Direction;
use crate::verdict::{Action, Class, Verdict};

/// Where a packet's entry probably is, and what tells whether it is the one.
#[derive(Clone, Copy)]
pub(crate) struct Guess {
    pub(crate) slot: u32,
    pub(crate) ends: u64,
    pub(crate) parts: u64,
    pub(crate) flipped: bool,
}

impl Conntrack {
    /// Tracks a packet if it is a usual one of the connection that is guessed. `false`, and nothing
    /// but the verdict was changed, if it is not.
    #[inline(always)]
    pub(crate) fn follow_usually(
        &mut self,
        guess: &Guess,
        packet: &Packet<'_>,
        now: Time,
        terms: &Terms,
        verdict: &mut Verdict,
    ) -> bool {
        let Some((entry, wheel)) = self.table.entry_and_wheel(guess.slot) else {
            return false;
        };
        if !is_usual(entry, guess, now) {
            return false;
        }
        let direction = match guess.flipped ^ entry.has(Entry::FLIPPED) {
            false => Direction::Original,
            true => Direction::Reply,
        };
        *verdict = Verdict {
            connection: Some(Handle::of(guess.slot, entry)),
            ..Verdict::new(Action::Accept, Class::Established, direction)
        };
        let status = entry.status;
        let continued =
            proto::continue_usually(&mut entry.proto, packet, direction, status, now, terms);
        let Some(deadline) = continued else {
            return false;
        };
        account(entry, direction, packet);
        entry.deadline = deadline;
        if wheel.comes_late(entry) {
            self.table.rearm(guess.slot);
        }
        true
    }
}

/// Whether an entry is the one meant, lives, was answered, and has nothing about it that the long way
/// would have to look at.
#[inline(always)]
fn is_usual(entry: &Entry, guess: &Guess, now: Time) -> bool {
    const ODD: u8 = Entry::TWO_KEYS | Entry::UNTOLD_STATE | Entry::UNTOLD_ASSURED;
    const LOOKED_AT: u16 = Status::SEEN_REPLY.0 | Status::FIXED_TIMEOUT.0;
    entry.ends == guess.ends
        && entry.parts == guess.parts
        && entry.deadline > now
        && entry.bits & ODD == 0
        && entry.status.0 & LOOKED_AT == Status::SEEN_REPLY.0
}

#[cfg(test)]
mod tests {
    use crate::connection::Status;
    use crate::entry::Entry;
    use crate::{Arrival, Config, Conntrack, LinkType, Packet, Time, Verdict, Zone};
    use alloc::format;

    const UDP: [u8; 29] = [
        0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 99, 204, 10, 0, 1, 2, 10, 0, 2, 2, // IP
        0x9c, 0x40, 0, 53, 0, 9, 0, 0, b'?',
    ];

    fn answer() -> [u8; 29] {
        let mut answer = UDP;
        answer[12..20].rotate_left(4);
        answer[20..24].rotate_left(2);
        answer
    }

    /// A connection that was answered and then changed, and one more packet of it, which arrives alone
    /// or in a batch.
    fn last(bytes: &[u8], change: &impl Fn(&mut Entry), in_batch: bool) -> (Conntrack, Verdict) {
        let mut conntrack = Conntrack::new(Config::default(), 1);
        conntrack.set_event_capacity(10);
        for bytes in [UDP, answer()] {
            conntrack.track(&Packet::parse(LinkType::Raw, &bytes).unwrap(), Time::ZERO);
        }
        change(&mut conntrack.table.slab[0]);
        let arrival = Arrival {
            link: LinkType::Raw,
            bytes,
            wire_len: bytes.len(),
            time: Time::from_secs(1),
        };
        let mut verdicts = [Verdict::default()];
        if in_batch {
            conntrack.track_batch(Zone::default(), &[arrival], &mut verdicts);
        } else {
            let packet = Packet::parse(LinkType::Raw, bytes).unwrap();
            verdicts = [conntrack.track(&packet, arrival.time)];
        }
        (conntrack, verdicts[0])
    }

    fn assert_same_in_a_batch(change: impl Fn(&mut Entry)) {
        for bytes in [UDP, answer()] {
            let [alone, batch] = [false, true].map(|in_batch| last(&bytes, &change, in_batch));
            assert_eq!(format!("{alone:?}"), format!("{batch:?}"));
        }
    }

    #[test]
    fn an_entry_with_something_to_look_at_is_not_a_usual_one() {
        // Some of these no packet brings about yet.
        for bit in 0..7 {
            assert_same_in_a_batch(|entry| entry.bits ^= 1 << bit);
        }
        for bit in 0..16 {
            assert_same_in_a_batch(|entry| entry.status = Status(entry.status.0 ^ 1 << bit));
        }
        assert_same_in_a_batch(|entry| entry.deadline = Time::from_secs(1));
    }
}
