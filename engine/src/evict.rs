//! Which entries may be evicted when the table is full, least worth keeping first.
//!
//! Two sets of slots: connections that were never answered, and answered ones that are not ASSURED.
//! ASSURED connections are in neither. A set is a bitmap with two levels of summary above it, so that
//! the next member after a place is found by looking at a few words, however few members there are.
//!
//! The place moves on behind each victim, and the slot freed last is used again first, so under a
//! flood the victims go round the table: about the oldest goes first.
//!
//! *Ahead.* An entry that is evicted has long left the cache, and so has its bucket of the index. So
//! the next few victims are chosen in advance and what their removal needs is asked for; one that was
//! answered meanwhile is passed over when its turn comes.

use alloc::vec::Vec;

/// Victims that are chosen in advance.
const AHEAD: usize = 8;

/// A slot that goes soon, with the hash of the key that was found in it when it was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Victim {
    pub(crate) slot: u32,
    pub(crate) hashed: Hashed,
}

/// The words of a key and their hash, so that it need not be computed twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed {
    pub(crate) ends: u64,
    /// 0 if nothing was hashed yet.
    pub(crate) parts: u64,
    pub(crate) hash: u64,
}

/// A set of slots, and those of them that go next.
#[derive(Debug, Default)]
pub(crate) struct Victims {
    set: SlotSet,
    queue: [Victim; AHEAD],
    /// The place of the first, and how many there are.
    first: usize,
    queued: usize,
}

impl Victims {
    pub(crate) fn insert(&mut self, slot: u32) {
        self.set.insert(slot);
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        self.set.remove(slot);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.set.len == 0
    }

    /// Makes room for slots below this number.
    pub(crate) fn reserve(&mut self, slots: usize) {
        self.set.reserve(slots);
    }

    /// The next to go; it stays in the set until it is removed.
    pub(crate) fn next(&mut self) -> Option<Victim> {
        for _ in 0..=AHEAD {
            while self.queued < AHEAD.min(self.set.len) {
                self.queue[(self.first + self.queued) % AHEAD] = Victim {
                    slot: self.set.next()?,
                    hashed: Hashed::default(),
                };
                self.queued += 1;
            }
            if self.queued == 0 {
                return None;
            }
            let victim = self.queue[self.first];
            self.first = (self.first + 1) % AHEAD;
            self.queued -= 1;
            if self.set.contains(victim.slot) {
                return Some(victim);
            }
        }
        None
    }

    /// The one that goes after so many others.
    pub(crate) fn after(&mut self, others: usize) -> Option<&mut Victim> {
        let is_queued = others < self.queued;
        is_queued.then(|| &mut self.queue[(self.first + others) % AHEAD])
    }
}

/// A set of slots.
#[derive(Debug, Default)]
struct SlotSet {
    /// `levels[0]` has a bit a slot, each next level a bit for each word below that is not 0.
    levels: [Vec<u64>; 3],
    hand: usize,
    len: usize,
}

impl SlotSet {
    fn insert(&mut self, slot: u32) {
        if self.contains(slot) {
            return;
        }
        self.len += 1;
        let mut bit = slot as usize;
        for level in &mut self.levels {
            let word = bit / 64;
            if word >= level.len() {
                level.resize(word + 1, 0);
            }
            level[word] |= 1 << (bit % 64);
            bit = word;
        }
    }

    fn contains(&self, slot: u32) -> bool {
        let word = self.levels[0].get(slot as usize / 64);
        word.is_some_and(|word| word >> (slot % 64) & 1 != 0)
    }

    fn reserve(&mut self, slots: usize) {
        let mut words = slots;
        for level in &mut self.levels {
            words = words.div_ceil(64);
            level.reserve(words.saturating_sub(level.len()));
        }
    }

    fn remove(&mut self, slot: u32) {
        if !self.contains(slot) {
            return;
        }
        self.len -= 1;
        let mut bit = slot as usize;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(bit / 64) else {
                return;
            };
            *word &= !(1 << (bit % 64));
            if *word != 0 {
                return;
            }
            bit /= 64;
        }
    }

    /// The next member, going round; the one after it is next in turn.
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let word = self.levels[0].get(self.hand / 64).copied().unwrap_or(0);
        let here = word >> (self.hand % 64);
        let found = match here {
            0 => self.next_beyond()?,
            here => self.hand + here.trailing_zeros() as usize,
        };
        self.hand = found + 1;
        Some(found as u32)
    }

    #[inline(never)]
    fn next_beyond(&self) -> Option<usize> {
        self.at_or_after(self.hand).or_else(|| self.at_or_after(0))
    }

    fn at_or_after(&self, start: usize) -> Option<usize> {
        let mut bit = start;
        let mut level = 0;
        // Up until a word has a bit at or after the place …
        let mut found = loop {
            let words = self.levels.get(level)?;
            let here = words.get(bit / 64).map_or(0, |word| word >> (bit % 64));
            if here != 0 {
                break bit + here.trailing_zeros() as usize;
            }
            bit = bit / 64 + 1;
            level += 1;
            if level == self.levels.len() {
                let top = &self.levels[level - 1];
                let rest = top.iter().enumerate().skip(bit);
                let (word, bits) = rest.into_iter().find(|(_, bits)| **bits != 0)?;
                level -= 1;
                break word * 64 + bits.trailing_zeros() as usize;
            }
        };
        // … and down along the first bit of each word below.
        while level > 0 {
            level -= 1;
            found = found * 64 + self.levels[level][found].trailing_zeros() as usize;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{SlotSet, Victim, Victims};
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    #[test]
    fn members_are_handed_out_in_turn_and_around() {
        let mut set = SlotSet::default();
        for slot in [5, 70, 300_000, 20_000_000] {
            set.insert(slot);
        }
        let order: [Option<u32>; 5] = core::array::from_fn(|_| set.next());
        assert_eq!(
            order,
            [Some(5), Some(70), Some(300_000), Some(20_000_000), Some(5)]
        );
    }

    #[test]
    fn it_agrees_with_an_ordered_set_over_random_changes() {
        let mut set = SlotSet::default();
        let mut model = BTreeSet::new();
        let mut x = 7u32;
        for _ in 0..20_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = x >> 8 & 0xffff;
            if x >> 31 == 0 {
                set.insert(slot);
                model.insert(slot);
            } else {
                set.remove(slot);
                model.remove(&slot);
            }
            let start = set.hand as u32;
            let expected = model.range(start..).next().or_else(|| model.iter().next());
            assert_eq!(set.len, model.len());
            assert_eq!(set.next(), expected.copied());
        }
    }

    #[test]
    fn an_empty_set_has_no_next() {
        let mut set = SlotSet::default();
        set.insert(3);
        set.remove(3);
        assert_eq!(set.len, 0);
        assert_eq!(set.next(), None);
    }

    #[test]
    fn a_victim_that_was_spared_meanwhile_is_passed_over() {
        let mut victims = Victims::default();
        (0..20).for_each(|slot| victims.insert(slot));
        assert_eq!(victims.next().map(|victim| victim.slot), Some(0));
        victims.remove(0);
        assert_eq!(victims.after(0).map(|victim| victim.slot), Some(1));
        (1..12).for_each(|slot| victims.remove(slot));
        assert_eq!(victims.next().map(|victim| victim.slot), Some(12));
    }

    #[test]
    fn all_members_go_in_turn_and_none_twice() {
        let mut victims = Victims::default();
        (0..30).for_each(|slot| victims.insert(slot));
        let mut gone = Vec::new();
        while let Some(Victim { slot, .. }) = victims.next() {
            victims.remove(slot);
            gone.push(slot);
        }
        assert_eq!(gone, (0..30).collect::<Vec<u32>>());
        assert!(victims.is_empty());
    }
}
