//! The hash index: buckets of one cache line that lead from a hash to slots.
//!
//! A bucket holds eight places, each a 16-bit tag and a slot number. An entry lives in its *home*
//! bucket, or, if that was full, in the *other* bucket that its tag names (partial-key cuckoo
//! hashing: Fan, Andersen, Kaminsky, "MemC3", 2013, and its follower Cuckoo++, Le Scouarnec, 2018).
//! Each bucket counts the entries that had to leave home, so a look-up that misses reads one line,
//! and reads the second only where that count is not 0.
//!
//! *Home first.* The emptier of two buckets is not chosen: an entry found at home is on its way from
//! memory as soon as its bucket is there.
//!
//! *Bounds.* An insert looks at its two buckets, then moves one entry, then two, to their other
//! buckets: at most 144 lines. The tables are sized for a load of three quarters, where the first
//! step nearly always suffices; if all fail, the insert is refused.
//!
//! Tags come from a keyed hash, so nobody outside can choose what meets where.

use alloc::vec;
use alloc::vec::Vec;

use crate::prefetch;
use crate::slab::NONE;

/// Places in a bucket.
const PLACES: usize = 8;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// Sixteen bits a place, the first lowest; 0 is an empty place.
    tags: [u64; 2],
    slots: [u32; PLACES],
    /// Entries at home here that live in their other bucket.
    absent: u16,
    /// A bit for each place whose entry is at home elsewhere.
    guests: u8,
}

const _: () = assert!(size_of::<Bucket>() == 64);

const EMPTY: Bucket = Bucket {
    tags: [0; 2],
    slots: [0; PLACES],
    absent: 0,
    guests: 0,
};

#[derive(Debug)]
pub(crate) struct Index {
    buckets: Vec<Bucket>,
}

/// No place within the bounded probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Places of a bucket: a bit for each, in an order of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Places(u64);

impl Places {
    /// Takes one out.
    #[inline(always)]
    fn pop(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit / 16 + (bit & 4))
    }
}

impl Bucket {
    /// The places with that tag: all of a word's four are compared at once.
    #[inline(always)]
    const fn matches(&self, tag: u16) -> Places {
        const LOW: u64 = 0x7fff_7fff_7fff_7fff;
        let same = tag as u64 * 0x0001_0001_0001_0001;
        let [a, b] = [self.tags[0] ^ same, self.tags[1] ^ same];
        // The highest bit of each sixteen that are all 0.
        let a = !((a & LOW) + LOW | a | LOW);
        let b = !((b & LOW) + LOW | b | LOW);
        Places(a >> 15 | b >> 11)
    }

    fn free_place(&self) -> Option<usize> {
        self.matches(0).pop()
    }

    const fn tag(&self, place: usize) -> u16 {
        (self.tags[place / 4] >> (place % 4 * 16)) as u16
    }

    fn put(&mut self, place: usize, tag: u16, slot: u32, is_guest: bool) {
        let (word, shift) = (&mut self.tags[place / 4], place % 4 * 16);
        *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
        self.slots[place] = slot;
        self.guests = self.guests & !(1 << place) | u8::from(is_guest) << place;
    }

    const fn is_guest(&self, place: usize) -> bool {
        self.guests & 1 << place != 0
    }
}

/// Never 0.
const fn tag_of(hash: u64) -> u16 {
    hash as u16 | 1 << 15
}

impl Index {
    /// An index of at least one bucket.
    pub(crate) fn new(buckets: usize) -> Index {
        Index {
            buckets: vec![EMPTY; buckets.clamp(1, u32::MAX as usize)],
        }
    }

    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// A bucket from 32 bits, without dividing.
    fn scale(&self, bits: u64) -> usize {
        ((bits * self.buckets.len() as u64) >> 32) as usize
    }

    fn home(&self, hash: u64) -> usize {
        self.scale(hash >> 32)
    }

    /// The other bucket of an entry with that tag in `bucket`; the other's other is `bucket`.
    fn other(&self, bucket: usize, tag: u16) -> usize {
        let mixed = u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let sum = self.scale(mixed);
        if sum >= bucket {
            sum - bucket
        } else {
            sum + self.buckets.len() - bucket
        }
    }

    /// Asks memory for the home bucket.
    #[inline]
    pub(crate) fn expect(&self, hash: u64) {
        prefetch::line(&self.buckets[self.home(hash)]);
    }

    /// The first slot in the home bucket that may be meant, [`NONE`] if there is none. If there may be
    /// one in the other bucket, memory is asked for that.
    #[inline(always)]
    pub(crate) fn glance(&self, hash: u64) -> u32 {
        let tag = tag_of(hash);
        let home = self.home(hash);
        let bucket = &self.buckets[home];
        if let Some(place) = bucket.matches(tag).pop() {
            return bucket.slots[place % PLACES];
        }
        if bucket.absent != 0 {
            prefetch::line(&self.buckets[self.other(home, tag)]);
        }
        NONE
    }

    /// The first slot under `hash` that `is_it` accepts.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let home = self.home(hash);
        if let Some(place) = self.place_in(home, tag, &mut is_it) {
            return Some(self.buckets[home].slots[place]);
        }
        if self.buckets[home].absent == 0 {
            return None;
        }
        let other = self.other(home, tag);
        let place = self.place_in(other, tag, &mut is_it)?;
        Some(self.buckets[other].slots[place])
    }

    fn place_in(
        &self,
        bucket: usize,
        tag: u16,
        is_it: &mut impl FnMut(u32) -> bool,
    ) -> Option<usize> {
        let bucket = &self.buckets[bucket];
        let mut found = bucket.matches(tag);
        core::iter::from_fn(|| found.pop()).find(|place| is_it(bucket.slots[*place]))
    }

    pub(crate) fn insert(&mut self, hash: u64, slot: u32) -> Result<(), Full> {
        let tag = tag_of(hash);
        let home = self.home(hash);
        let other = self.other(home, tag);
        let buckets = [home, other];
        let (bucket, place) = self.make_room(buckets).ok_or(Full)?;
        let is_guest = bucket != home;
        self.buckets[bucket].put(place, tag, slot, is_guest);
        self.buckets[home].absent += u16::from(is_guest);
        Ok(())
    }

    /// A free place in one of two buckets, if need be after moving others.
    fn make_room(&mut self, buckets: [usize; 2]) -> Option<(usize, usize)> {
        let free = |index: &Index, bucket: usize| {
            let place = index.buckets[bucket].free_place()?;
            Some((bucket, place))
        };
        if let Some(found) = buckets.iter().find_map(|bucket| free(self, *bucket)) {
            return Some(found);
        }
        for bucket in buckets {
            if let Some(place) = (0..PLACES).find(|place| self.move_away(bucket, *place)) {
                return Some((bucket, place));
            }
        }
        for bucket in buckets {
            for place in 0..PLACES {
                let next = self.other(bucket, self.buckets[bucket].tag(place));
                let makes_room = |index: &mut Index| (0..PLACES).any(|p| index.move_away(next, p));
                if !buckets.contains(&next) && makes_room(self) && self.move_away(bucket, place) {
                    return Some((bucket, place));
                }
            }
        }
        None
    }

    /// Moves an entry to its other bucket, if that has a free place.
    fn move_away(&mut self, bucket: usize, place: usize) -> bool {
        let from = self.buckets[bucket];
        let (tag, slot) = (from.tag(place), from.slots[place]);
        let other = self.other(bucket, tag);
        if other == bucket {
            return false;
        }
        let Some(free) = self.buckets[other].free_place() else {
            return false;
        };
        let was_guest = from.is_guest(place);
        self.buckets[other].put(free, tag, slot, !was_guest);
        self.buckets[bucket].put(place, 0, 0, false);
        if was_guest {
            self.buckets[other].absent -= 1;
        } else {
            self.buckets[bucket].absent += 1;
        }
        true
    }

    /// Whether `slot` was there under `hash`.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) -> bool {
        let tag = tag_of(hash);
        let home = self.home(hash);
        for bucket in [home, self.other(home, tag)] {
            let place = self.place_in(bucket, tag, &mut |other| other == slot);
            if let Some(place) = place {
                let was_guest = self.buckets[bucket].is_guest(place);
                self.buckets[bucket].put(place, 0, 0, false);
                self.buckets[home].absent -= u16::from(was_guest);
                return true;
            }
        }
        false
    }

    /// Takes every slot out of one bucket, for moving to another index. Look-ups that end here
    /// because of it must go on elsewhere.
    pub(crate) fn drain(&mut self, bucket: usize) -> impl Iterator<Item = u32> + use<> {
        let taken = self.buckets[bucket];
        self.buckets[bucket].tags = [0; 2];
        self.buckets[bucket].guests = 0;
        (0..PLACES)
            .filter(move |place| taken.tag(*place) != 0)
            .map(move |place| taken.slots[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(n: u32) -> u64 {
        let mut x = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x ^= x >> 32;
        x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^ x >> 32
    }

    #[test]
    fn the_other_bucket_of_the_other_is_home() {
        let index = Index::new(1000);
        for n in 0..10_000 {
            let (hash, tag) = (hash_of(n), tag_of(hash_of(n)));
            let home = index.home(hash);
            assert_eq!(index.other(index.other(home, tag), tag), home);
        }
    }

    #[test]
    fn at_nine_tenths_full_everything_is_found_and_can_be_removed() {
        let mut index = Index::new(1000);
        for n in 0..7200 {
            assert_eq!(index.insert(hash_of(n), n), Ok(()), "insert {n}");
        }
        for n in 0..7200 {
            assert_eq!(index.find(hash_of(n), |slot| slot == n), Some(n));
        }
        for n in 0..7200 {
            assert!(index.remove(hash_of(n), n));
            assert_eq!(index.find(hash_of(n), |slot| slot == n), None);
        }
        assert!(index.buckets.iter().all(|bucket| bucket.absent == 0));
        assert!(index.buckets.iter().all(|bucket| bucket.guests == 0));
    }

    #[test]
    fn an_index_without_room_refuses_and_stays_whole() {
        let mut index = Index::new(1);
        for n in 0..8 {
            assert_eq!(index.insert(hash_of(n), n), Ok(()));
        }
        assert_eq!(index.insert(hash_of(8), 8), Err(Full));
        assert_eq!(index.find(hash_of(3), |slot| slot == 3), Some(3));
    }
}
