//! The timing wheel: which entries may have run out, without looking at all of them.
//!
//! Three levels of 64 lists (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987). A
//! list of level 0 covers 2²⁴ ns (17 ms), of level 1 1.07 s, of level 2 69 s; what is farther away
//! than level 2 reaches (73 minutes) is put into its last list and looked at again then.
//!
//! *Lazy re-arm.* A packet that prolongs a connection only writes the entry's deadline. The entry
//! stays in its list, which is never later than the deadline; when the list falls due, the entry is
//! put where its deadline says. Only a deadline that comes earlier than the list moves the entry at
//! once.
//!
//! *Invariants.* Every live entry is in exactly one list, named by `Entry::timer`. A list's time is
//! not after the deadline of its entries by more than one tick of its level. `hands` are the ticks up
//! to which each level was emptied.
//!
//! *Bounded work.* [`Wheel::pop`] hands out one entry at a time; the caller stops when it likes and
//! goes on at the next call.

use crate::entry::Entry;
use crate::slab::{NONE, Slab};
use crate::time::Time;

const LEVELS: usize = 3;
const LISTS: u64 = 64;
/// Nanoseconds of a list of each level, as powers of two.
const SHIFT: [u32; LEVELS] = [24, 30, 36];
const _: () = assert!(SHIFT[1] - SHIFT[0] == SHIFT[2] - SHIFT[1]);

#[derive(Debug)]
pub(crate) struct Wheel {
    heads: [[u32; LISTS as usize]; LEVELS],
    /// A bit for each list that is not empty.
    occupied: [u64; LEVELS],
    /// With one more, which is never used, so that a list's number always has one.
    hands: [u64; LEVELS + 1],
}

/// The tick at which a list falls due: the first one not before the hand with its number.
#[inline(always)]
const fn due_tick(hand: u64, list: u64) -> u64 {
    hand + list.wrapping_sub(hand) % LISTS
}

impl Wheel {
    pub(crate) const fn new() -> Wheel {
        Wheel {
            heads: [[NONE; LISTS as usize]; LEVELS],
            occupied: [0; LEVELS],
            hands: [0; LEVELS + 1],
        }
    }

    /// Begins at a moment, while all lists are empty.
    pub(crate) fn start(&mut self, now: Time) {
        for (level, shift) in SHIFT.into_iter().enumerate() {
            let hand = (now.as_nanos() >> shift) + u64::from(level > 0);
            self.hands[level] = self.hands[level].max(hand);
        }
    }

    /// The list for a deadline, and the tick of its level at which it falls due.
    fn place(&self, deadline: Time) -> (usize, u64) {
        let nanos = deadline.as_nanos();
        for (level, (shift, hand)) in SHIFT.into_iter().zip(self.hands).enumerate() {
            let tick = (nanos >> shift).max(hand);
            if tick - hand < LISTS {
                return (level, tick);
            }
        }
        (LEVELS - 1, self.hands[LEVELS - 1] + LISTS - 1)
    }

    /// Puts an entry that is in no list into the list of its deadline.
    pub(crate) fn insert(&mut self, slab: &mut Slab, slot: u32) {
        let (level, tick) = self.place(slab[slot].deadline);
        let list = (tick % LISTS) as usize;
        let head = self.heads[level][list];
        if head != NONE {
            slab[head].prev = slot;
        }
        let entry = &mut slab[slot];
        entry.prev = NONE;
        entry.next = head;
        entry.timer = (level * LISTS as usize + list) as u8;
        self.heads[level][list] = slot;
        self.occupied[level] |= 1 << list;
    }

    /// Takes an entry out of its list.
    pub(crate) fn remove(&mut self, slab: &mut Slab, slot: u32) {
        let entry = &slab[slot];
        let (prev, next, timer) = (entry.prev, entry.next, usize::from(entry.timer));
        let (level, list) = (timer / LISTS as usize, timer % LISTS as usize);
        if next != NONE {
            slab[next].prev = prev;
        }
        if prev != NONE {
            slab[prev].next = next;
            return;
        }
        self.heads[level][list] = next;
        if next == NONE {
            self.occupied[level] &= !(1 << list);
        }
    }

    /// Whether an entry's list falls due after its deadline.
    #[inline]
    pub(crate) fn comes_late(&self, entry: &Entry) -> bool {
        let (level, list) = (entry.timer / LISTS as u8, u64::from(entry.timer) % LISTS);
        let shift = SHIFT[0] + u32::from(level) * (SHIFT[1] - SHIFT[0]);
        let hand = self.hands[usize::from(level)];
        entry.deadline.as_nanos() >> shift < due_tick(hand, list)
    }

    /// Puts an entry into the list of its deadline, from whichever it is in.
    pub(crate) fn rearm(&mut self, slab: &mut Slab, slot: u32) {
        self.remove(slab, slot);
        self.insert(slab, slot);
    }

    /// Takes out one entry whose list has fallen due by `now`; it is in no list afterwards.
    ///
    /// Level 0 goes first, so that what the other levels hand down fits below them. Its lists are
    /// due when they have passed entirely, those of the others when they begin.
    pub(crate) fn pop(&mut self, slab: &mut Slab, now: Time) -> Option<u32> {
        for (level, shift) in SHIFT.into_iter().enumerate() {
            let mut target = now.as_nanos() >> shift;
            // At the end of time, its list will never have passed.
            if level > 0 || now == Time::MAX {
                target += 1;
            }
            while self.hands[level] < target {
                let distance = self.next_occupied(level);
                if self.hands[level] + distance >= target {
                    self.hands[level] = target;
                    break;
                }
                self.hands[level] += distance;
                let slot = self.heads[level][(self.hands[level] % LISTS) as usize];
                if slot != NONE {
                    self.remove(slab, slot);
                    return Some(slot);
                }
            }
        }
        None
    }

    /// Ticks from the hand to the next list that is not empty; very many if all are empty.
    fn next_occupied(&self, level: usize) -> u64 {
        if self.occupied[level] == 0 {
            return u64::MAX / 2;
        }
        let turned = self.occupied[level].rotate_right((self.hands[level] % LISTS) as u32);
        u64::from(turned.trailing_zeros())
    }

    /// When [`pop`](Wheel::pop) will next have something to hand out.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let due = |level: usize| {
            if self.occupied[level] == 0 {
                return None;
            }
            let tick = self.hands[level] + self.next_occupied(level);
            let tick = if level == 0 { tick + 1 } else { tick };
            let nanos = u128::from(tick) << SHIFT[level];
            Some(u64::try_from(nanos).map_or(Time::MAX, Time::from_nanos))
        };
        (0..LEVELS).filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Conntrack, LinkType, Packet, Time};

    const UDP: [u8; 29] = [
        0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 99, 204, 10, 0, 1, 2, 10, 0, 2, 2, // IP
        0x9c, 0x40, 0, 53, 0, 9, 0, 0, b'?',
    ];

    fn tracked_at(now: Time) -> Conntrack {
        let mut conntrack = Conntrack::new(Config::default(), 1);
        let packet = Packet::parse(LinkType::Raw, &UDP).unwrap();
        conntrack.advance(now);
        conntrack.track(&packet, now);
        assert_eq!(conntrack.len(), 1);
        conntrack
    }

    #[test]
    fn following_the_deadlines_collects_an_entry_soon_after_it_ran_out() {
        for start in [0, 1, 1_000_000_007, 1_700_000_000_123_456_789] {
            let start = Time::from_nanos(start);
            let mut conntrack = tracked_at(start);
            let mut now = start;
            while let Some(next) = conntrack.next_deadline() {
                assert!(next > now, "{next:?} after {now:?}");
                now = next;
                conntrack.advance(now);
            }
            let late = now.nanos_since(start.plus_secs(30));
            assert!(
                now >= start.plus_secs(30) && late < 300_000_000,
                "{late} ns late"
            );
        }
    }

    #[test]
    fn at_the_end_of_time_everything_runs_out() {
        let mut conntrack = tracked_at(Time::from_nanos(u64::MAX - 1_000_000_000));
        assert_eq!(conntrack.next_deadline(), Some(Time::MAX));
        conntrack.advance(Time::MAX);
        assert!(conntrack.is_empty());
    }
}
