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
//! buckets: at most 146 lines. The tables are sized for a load of three quarters, where the first
//! step nearly always suffices; if all fail, the insert is refused.
//!
//! Tags come from a keyed hash, so nobody outside can choose what meets where.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::prefetch;
use crate::slab::NONE;

/// Places in a bucket.
pub(crate) const PLACES: usize = 8;

/// Words in a bucket: one cache line.
///
/// | words | what |
/// | --- | --- |
/// | 0, 1 | tags of 16 bits; that of place *p* is number *p* / 2 of word *p* mod 2; 0 is an empty place |
/// | 2 to 5 | slots of 32 bits, in the order of the places |
/// | 6 | low half: entries at home here that live in their other bucket; above it a bit for each place whose entry is at home elsewhere |
///
/// Words, because memory for these comes zeroed from the system and is not written before it is used.
type Bucket = [u64; WORDS];
const WORDS: usize = 8;
const LINE: usize = 64;
const COUNTS: usize = 6;
/// What a bucket that was given back looks like: empty, and perhaps the home of entries elsewhere.
const GONE: Bucket = [0, 0, 0, 0, 0, 0, 1, 0];

/// Buckets that a retired index gives back at a time: 2 MiB.
const GIVEN_BACK: usize = 1 << 15;

pub(crate) struct Index {
    words: Vec<u64>,
    /// The first word that begins a line.
    start: usize,
    /// Buckets that hashes are spread over; those at the end may be gone already.
    buckets: usize,
}

/// The buckets alone: at which word they begin is the allocator's business.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from_start = self.words.get(self.start..).unwrap_or_default();
        let len = from_start.len().min(self.buckets * WORDS);
        f.debug_struct("Index")
            .field("buckets", &self.buckets)
            .field("words", &&from_start[..len])
            .finish()
    }
}

/// No place within the bounded probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Where an entry may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Glance {
    /// In this slot; nowhere, if it is [`NONE`].
    At(u32),
    /// In this other bucket, for which memory was asked.
    Away(u32),
}

/// Places of a bucket: a bit for each, eight bits apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Places(u64);

impl Places {
    /// Takes one out.
    #[inline(always)]
    const fn pop(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(place % PLACES)
    }
}

/// The places with that tag: the four of a word are compared at once.
#[inline(always)]
const fn matches(bucket: &Bucket, tag: u16) -> Places {
    const LOW: u64 = 0x7fff_7fff_7fff_7fff;
    let same = tag as u64 * 0x0001_0001_0001_0001;
    let [even, odd] = [bucket[0] ^ same, bucket[1] ^ same];
    // The highest bit of each sixteen that are all 0.
    let even = !(((even & LOW) + LOW) | even | LOW);
    let odd = !(((odd & LOW) + LOW) | odd | LOW);
    Places(even >> 15 | odd >> 7)
}

/// The first of the places with that tag, with less work: taking 1 from a number sets its highest bit, if that
/// was not set, only if it is 0; what is borrowed then spoils only numbers that come after it.
#[inline(always)]
const fn first_match(bucket: &Bucket, tag: u16) -> Option<usize> {
    const ONES: u64 = 0x0001_0001_0001_0001;
    const HIGHEST: u64 = ONES << 15;
    let same = tag as u64 * ONES;
    let [even, odd] = [bucket[0] ^ same, bucket[1] ^ same];
    let even = even.wrapping_sub(ONES) & !even & HIGHEST;
    let odd = odd.wrapping_sub(ONES) & !odd & HIGHEST;
    Places(even >> 8 | odd).pop()
}

#[inline(always)]
const fn free_place(bucket: &Bucket) -> Option<usize> {
    first_match(bucket, 0)
}

const fn tag_at(bucket: &Bucket, place: usize) -> u16 {
    (bucket[place % 2] >> (place / 2 * 16)) as u16
}

#[inline(always)]
const fn slot_at(bucket: &Bucket, place: usize) -> u32 {
    (bucket[2 + place / 2] >> (place % 2 * 32)) as u32
}

const fn is_guest(bucket: &Bucket, place: usize) -> bool {
    bucket[COUNTS] >> (32 + place) & 1 != 0
}

/// Entries at home here that live elsewhere.
#[inline(always)]
const fn absent(bucket: &Bucket) -> u32 {
    bucket[COUNTS] as u32
}

#[inline(always)]
const fn put(bucket: &mut Bucket, place: usize, tag: u16, slot: u32, is_guest: bool) {
    let shift = place / 2 * 16;
    let tags = bucket[place % 2];
    bucket[place % 2] = tags & !(0xffff << shift) | (tag as u64) << shift;
    let shift = place % 2 * 32;
    let slots = bucket[2 + place / 2];
    bucket[2 + place / 2] = slots & !(0xffff_ffff << shift) | (slot as u64) << shift;
    let guest = 1 << (32 + place);
    bucket[COUNTS] = bucket[COUNTS] & !guest | if is_guest { guest } else { 0 };
}

/// Never 0.
#[inline(always)]
const fn tag_of(hash: u64) -> u16 {
    hash as u16 | 1 << 15
}

impl Index {
    /// An index of at least one bucket. Its memory is taken, not touched.
    pub(crate) fn new(buckets: usize) -> Index {
        let buckets = buckets.clamp(1, u32::MAX as usize);
        let words = vec![0u64; (buckets + 1) * WORDS];
        let start = words.as_ptr().align_offset(LINE).min(WORDS);
        Index {
            words,
            start,
            buckets,
        }
    }

    pub(crate) const fn buckets(&self) -> usize {
        self.buckets
    }

    #[inline(always)]
    fn bucket(&self, number: usize) -> &Bucket {
        let (buckets, _) = self.words.get(self.start..).unwrap_or_default().as_chunks();
        buckets.get(number).unwrap_or(&GONE)
    }

    /// `None` for a bucket that was given back.
    #[inline(always)]
    fn bucket_mut(&mut self, number: usize) -> Option<&mut Bucket> {
        let (buckets, _) = self.words.get_mut(self.start..)?.as_chunks_mut();
        buckets.get_mut(number)
    }

    fn put(&mut self, number: usize, place: usize, tag: u16, slot: u32, is_guest: bool) {
        if let Some(bucket) = self.bucket_mut(number) {
            put(bucket, place, tag, slot, is_guest);
        }
    }

    fn count_absent(&mut self, number: usize, more: i8) {
        if let Some(bucket) = self.bucket_mut(number) {
            bucket[COUNTS] = bucket[COUNTS].wrapping_add_signed(i64::from(more));
        }
    }

    /// A bucket from 32 bits, without dividing.
    #[inline(always)]
    const fn scale(&self, bits: u64) -> usize {
        ((bits * self.buckets as u64) >> 32) as usize
    }

    #[inline(always)]
    pub(crate) const fn home(&self, hash: u64) -> usize {
        self.scale(hash >> 32)
    }

    /// The other bucket of an entry with that tag in `bucket`; the other's other is `bucket`.
    const fn other(&self, bucket: usize, tag: u16) -> usize {
        let mixed = (tag as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let sum = self.scale(mixed);
        if sum >= bucket {
            sum - bucket
        } else {
            sum + self.buckets - bucket
        }
    }

    /// Asks memory for a bucket, there or not.
    #[inline(always)]
    pub(crate) fn expect(&self, number: usize) {
        let at = number.wrapping_mul(WORDS).wrapping_add(self.start);
        prefetch::line(&self.words, at);
    }

    /// Where the entry that is meant may be, from a look at its home bucket.
    #[inline(always)]
    pub(crate) fn glance(&self, home: usize, hash: u64) -> Glance {
        let tag = tag_of(hash);
        let bucket = self.bucket(home);
        match first_match(bucket, tag) {
            Some(place) => Glance::At(slot_at(bucket, place)),
            None if absent(bucket) == 0 => Glance::At(NONE),
            None => self.glance_beyond(home, tag),
        }
    }

    /// `home` may be that of an index that is no more.
    #[inline(never)]
    fn glance_beyond(&self, home: usize, tag: u16) -> Glance {
        if home >= self.buckets {
            return Glance::At(NONE);
        }
        let other = self.other(home, tag);
        self.expect(other);
        Glance::Away(other as u32)
    }

    /// The first slot in its other bucket that may be meant, or [`NONE`].
    #[inline(never)]
    pub(crate) fn glance_away(&self, other: usize, hash: u64) -> u32 {
        let bucket = self.bucket(other);
        let place = first_match(bucket, tag_of(hash));
        place.map_or(NONE, |place| slot_at(bucket, place))
    }

    /// The first slot under `hash` that `is_it` accepts.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let home = self.home(hash);
        let found = self.place_in(home, tag, &mut is_it);
        if let Some(place) = found {
            return Some(slot_at(self.bucket(home), place));
        }
        if absent(self.bucket(home)) == 0 {
            return None;
        }
        let other = self.other(home, tag);
        let place = self.place_in(other, tag, &mut is_it)?;
        Some(slot_at(self.bucket(other), place))
    }

    fn place_in(
        &self,
        number: usize,
        tag: u16,
        is_it: &mut impl FnMut(u32) -> bool,
    ) -> Option<usize> {
        let bucket = self.bucket(number);
        let mut found = matches(bucket, tag);
        core::iter::from_fn(|| found.pop()).find(|place| is_it(slot_at(bucket, *place)))
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) -> Result<(), Full> {
        let (tag, home) = (tag_of(hash), self.home(hash));
        if let Some(bucket) = self.bucket_mut(home)
            && let Some(place) = free_place(bucket)
        {
            put(bucket, place, tag, slot, false);
            return Ok(());
        }
        self.insert_elsewhere(home, tag, slot)
    }

    /// Its home bucket is full.
    #[inline(never)]
    fn insert_elsewhere(&mut self, home: usize, tag: u16, slot: u32) -> Result<(), Full> {
        let other = self.other(home, tag);
        let (number, place) = self.make_room([home, other]).ok_or(Full)?;
        let is_guest = number != home;
        self.put(number, place, tag, slot, is_guest);
        self.count_absent(home, i8::from(is_guest));
        Ok(())
    }

    /// A free place in one of two buckets, if need be after moving others.
    fn make_room(&mut self, buckets: [usize; 2]) -> Option<(usize, usize)> {
        let free = |index: &Index, number: usize| {
            let place = free_place(index.bucket(number))?;
            Some((number, place))
        };
        if let Some(found) = buckets.iter().find_map(|number| free(self, *number)) {
            return Some(found);
        }
        for number in buckets {
            if let Some(place) = (0..PLACES).find(|place| self.move_away(number, *place)) {
                return Some((number, place));
            }
        }
        for number in buckets {
            for place in 0..PLACES {
                let next = self.other(number, tag_at(self.bucket(number), place));
                let makes_room = |index: &mut Index| (0..PLACES).any(|p| index.move_away(next, p));
                if !buckets.contains(&next) && makes_room(self) && self.move_away(number, place) {
                    return Some((number, place));
                }
            }
        }
        None
    }

    /// Moves an entry to its other bucket, if that has a free place.
    fn move_away(&mut self, number: usize, place: usize) -> bool {
        let from = *self.bucket(number);
        let (tag, slot) = (tag_at(&from, place), slot_at(&from, place));
        let other = self.other(number, tag);
        if other == number {
            return false;
        }
        let Some(free) = free_place(self.bucket(other)) else {
            return false;
        };
        let was_guest = is_guest(&from, place);
        self.put(other, free, tag, slot, !was_guest);
        self.put(number, place, 0, 0, false);
        if was_guest {
            self.count_absent(other, -1);
        } else {
            self.count_absent(number, 1);
        }
        true
    }

    /// Whether `slot` was there under `hash`.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) -> bool {
        let tag = tag_of(hash);
        let home = self.home(hash);
        for number in [home, self.other(home, tag)] {
            let place = self.place_in(number, tag, &mut |other| other == slot);
            if let Some(place) = place {
                let was_guest = is_guest(self.bucket(number), place);
                self.put(number, place, 0, 0, false);
                self.count_absent(home, -i8::from(was_guest));
                return true;
            }
        }
        false
    }

    /// Takes every slot out of the last bucket that was not drained yet, for moving to another index,
    /// and gives memory back from time to time. `None` when all are drained. Look-ups that end here
    /// because of it must go on elsewhere.
    pub(crate) fn drain_last(
        &mut self,
        left: &mut usize,
    ) -> Option<impl Iterator<Item = u32> + use<>> {
        *left = left.checked_sub(1)?;
        let taken = *self.bucket(*left);
        if let Some(bucket) = self.bucket_mut(*left) {
            bucket[0] = 0;
            bucket[1] = 0;
            bucket[COUNTS] &= 0xffff_ffff;
        }
        if left.is_multiple_of(GIVEN_BACK) {
            self.words.truncate(self.start + *left * WORDS);
            self.words.shrink_to_fit();
        }
        let places = (0..PLACES).filter(move |place| tag_at(&taken, *place) != 0);
        Some(places.map(move |place| slot_at(&taken, place)))
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
        let counts = (0..1000).map(|number| index.bucket(number)[COUNTS]);
        assert_eq!(counts.max(), Some(0));
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
