//! Which entries may be evicted when the table is full, least worth keeping first.
//!
//! Two sets of slots: connections that were never answered, and answered ones that are not ASSURED.
//! ASSURED connections are in neither. A set is a bitmap with two levels of summary above it, so that
//! the next member after a place is found by looking at a few words, however few members there are.
//!
//! The place moves on behind each victim, and the slot freed last is used again first, so under a
//! flood the victims go round the table: about the oldest goes first.

use alloc::vec::Vec;

/// A set of slots.
#[derive(Debug, Default)]
pub(crate) struct SlotSet {
    /// `levels[0]` has a bit a slot, each next level a bit for each word below that is not 0.
    levels: [Vec<u64>; 3],
    hand: usize,
}

impl SlotSet {
    /// Takes memory in advance for the slots below this number.
    pub(crate) fn reserve(&mut self, slots: usize) {
        let mut bits = slots;
        for level in &mut self.levels {
            let words = bits.div_ceil(64);
            level.reserve(words.saturating_sub(level.len()));
            bits = words;
        }
    }

    pub(crate) fn insert(&mut self, slot: u32) {
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

    pub(crate) fn remove(&mut self, slot: u32) {
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
    pub(crate) fn next(&mut self) -> Option<u32> {
        let found = self
            .at_or_after(self.hand)
            .or_else(|| self.at_or_after(0))?;
        self.hand = found + 1;
        Some(found as u32)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels[2].iter().all(|word| *word == 0)
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
    use super::SlotSet;
    use alloc::collections::BTreeSet;

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
            assert_eq!(set.is_empty(), model.is_empty());
            assert_eq!(set.next(), expected.copied());
        }
    }

    #[test]
    fn an_empty_set_has_no_next() {
        let mut set = SlotSet::default();
        set.insert(3);
        set.remove(3);
        assert!(set.is_empty());
        assert_eq!(set.next(), None);
    }
}
