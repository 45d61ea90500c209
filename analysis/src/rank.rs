//! Rankings: how often each key occurs, exactly, by sorting.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How the keys of a column are distributed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ranking {
    /// The most frequent keys, most frequent first.
    pub(crate) top: Vec<(u64, u64)>,
    /// Keys in all.
    pub(crate) total: u64,
    /// Different keys.
    pub(crate) distinct: u64,
    /// Shannon's entropy in bits.
    pub(crate) entropy: f64,
}

impl Ranking {
    /// Counts the keys; `most` of the most frequent are kept.
    pub(crate) fn of(keys: impl Iterator<Item = u64>, most: usize) -> Ranking {
        Column::of(keys).ranking(most)
    }

    /// Counts keys that are in order.
    pub(crate) fn of_sorted<K: Copy + Eq + Into<u64>>(keys: &[K], most: usize) -> Ranking {
        let mut counts = Counts::new(most);
        counts.add_sorted(keys);
        counts.ranking()
    }

    /// The share of the most frequent key.
    pub(crate) fn top_share(&self) -> f64 {
        let first = self.top.first().map_or(0, |(_, count)| *count);
        share(first, self.total)
    }

    /// Different keys for each key: 1 if none occurs twice.
    pub(crate) fn spread(&self) -> f64 {
        share(self.distinct, self.total)
    }

    /// The share of the `n` most frequent keys.
    pub(crate) fn share_of_first(&self, n: usize) -> f64 {
        let first = self.top.iter().take(n).map(|(_, count)| count).sum();
        share(first, self.total)
    }
}

/// Keys as short as they all may be: addresses and ports of IPv4 take half the memory, and are sorted sooner.
pub(crate) enum Column {
    Short(Vec<u32>),
    Long(Vec<u64>),
}

impl Default for Column {
    fn default() -> Column {
        Column::Short(Vec::new())
    }
}

impl Column {
    pub(crate) fn of(keys: impl Iterator<Item = u64>) -> Column {
        let mut column = Column::default();
        // `for_each`, since chained iterators are fast only from within.
        keys.for_each(|key| column.push(key));
        column
    }

    #[inline]
    pub(crate) fn push(&mut self, key: u64) {
        match (&mut *self, u32::try_from(key)) {
            (Column::Short(keys), Ok(key)) => keys.push(key),
            (Column::Long(keys), _) => keys.push(key),
            (Column::Short(keys), Err(_)) => {
                let mut long: Vec<u64> = keys.iter().copied().map(u64::from).collect();
                long.push(key);
                *self = Column::Long(long);
            }
        }
    }

    /// Counts the keys; `most` of the most frequent are kept. Time n, or n log n where they are long.
    pub(crate) fn ranking(self, most: usize) -> Ranking {
        match self {
            Column::Short(keys) => Counts::new(most).of_short(keys),
            Column::Long(mut keys) => {
                keys.sort_unstable();
                Ranking::of_sorted(&keys, most)
            }
        }
    }
}

/// Fewer keys than this are sorted by comparing them.
const FEW: usize = 1 << 12;

/// Sorts by bytes, the last first (radix sort): two fifths of the time that comparing takes for a million. A byte that
/// all keys have in common, as addresses of one network do, is passed over. For longer keys, of which there may be
/// as many, the second list would be too much memory.
pub(crate) fn sort(keys: &mut Vec<u32>) {
    if keys.len() < FEW {
        return keys.sort_unstable();
    }
    let mut counts = [[0_u32; 256]; 4];
    for key in keys.iter() {
        for (byte, counts) in key.to_le_bytes().iter().zip(&mut counts) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let mut other = vec![0; keys.len()];
    for (n, places) in counts.iter_mut().enumerate() {
        let byte = |key: u32| usize::from(key.to_le_bytes()[n]);
        if places[byte(keys[0])] as usize == keys.len() {
            continue;
        }
        let mut next = 0;
        for place in places.iter_mut() {
            next += std::mem::replace(place, next);
        }
        for key in keys.iter() {
            let place = &mut places[byte(*key)];
            other[*place as usize] = *key;
            *place += 1;
        }
        std::mem::swap(keys, &mut other);
    }
}

/// Keys below are counted in an array, of 2 MiB at most.
const SMALL: u32 = 1 << 18;

/// Counts of keys, as they come in the order of the keys.
struct Counts {
    heap: BinaryHeap<Reverse<(u64, Reverse<u64>)>>,
    most: usize,
    least: u64,
    total: u64,
    distinct: u64,
    weighted: f64,
}

impl Counts {
    fn new(most: usize) -> Counts {
        Counts {
            heap: BinaryHeap::with_capacity(most + 1),
            most,
            least: 0,
            total: 0,
            distinct: 0,
            weighted: 0.0,
        }
    }

    fn of_short(mut self, mut keys: Vec<u32>) -> Ranking {
        match keys.iter().max().filter(|key| **key < SMALL) {
            Some(greatest) => self.add_small(&keys, *greatest),
            None => {
                sort(&mut keys);
                self.add_sorted(&keys);
            }
        }
        self.ranking()
    }

    fn add_small(&mut self, keys: &[u32], greatest: u32) {
        let mut by_key = vec![0_u64; greatest as usize + 1];
        for key in keys {
            by_key[*key as usize] += 1;
        }
        for (key, count) in (0..).zip(by_key).filter(|(_, count)| *count > 0) {
            self.add(key, count);
        }
    }

    fn add_sorted<K: Copy + Eq + Into<u64>>(&mut self, keys: &[K]) {
        for run in keys.chunk_by(|a, b| a == b) {
            self.add(run[0].into(), run.len() as u64);
        }
    }

    fn add(&mut self, key: u64, count: u64) {
        self.total += count;
        self.distinct += 1;
        if count > 1 {
            self.weighted += count as f64 * (count as f64).log2();
        }
        // Keys come in their order, so of equally frequent ones the first stay.
        if self.heap.len() < self.most || count > self.least {
            self.heap.push(Reverse((count, Reverse(key))));
            if self.heap.len() > self.most {
                self.heap.pop();
            }
            self.least = self.heap.peek().map_or(0, |Reverse((count, _))| *count);
        }
    }

    fn ranking(self) -> Ranking {
        let n = self.total as f64;
        let entropy = if n > 0.0 {
            n.log2() - self.weighted / n
        } else {
            0.0
        };
        let top = self.heap.into_sorted_vec().into_iter();
        Ranking {
            top: top
                .map(|Reverse((count, Reverse(key)))| (key, count))
                .collect(),
            total: self.total,
            distinct: self.distinct,
            entropy: entropy.max(0.0),
        }
    }
}

pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_equal_ones_by_number() {
        let ranking = Ranking::of([7, 3, 7, 9, 3, 7, 1].into_iter(), 3);
        assert_eq!(ranking.top, [(7, 3), (3, 2), (1, 1)]);
        assert_eq!((ranking.total, ranking.distinct), (7, 4));
    }

    #[test]
    fn small_keys_and_great_ones_are_counted_alike() {
        let small: Vec<u64> = (0..10_000).map(|n| n * n % 997).collect();
        let great: Vec<u64> = small.iter().map(|key| key + (1 << 40)).collect();
        let middle = Ranking::of(small.iter().map(|key| key + (1 << 20)), 7);
        let (small, mut great) = (
            Ranking::of(small.into_iter(), 7),
            Ranking::of(great.into_iter(), 7),
        );
        assert_eq!(middle.top[0].1, small.top[0].1);
        great.top.iter_mut().for_each(|(key, _)| *key -= 1 << 40);
        assert_eq!(small, great);
    }

    #[test]
    fn many_are_sorted_as_few_are() {
        let scattered = |n: u32| n.wrapping_mul(2_654_435_761);
        for shift in [0, 9, 20, 31] {
            let mut keys: Vec<u32> = (0..20_000)
                .map(|n| 0x0a00_0000 | scattered(n) >> shift)
                .collect();
            let mut compared = keys.clone();
            sort(&mut keys);
            compared.sort_unstable();
            assert!(keys == compared, "shifted by {shift}");
        }
    }

    #[test]
    fn entropy_is_that_of_a_fair_coin_and_of_a_certain_thing() {
        assert!((Ranking::of([1, 2, 1, 2].into_iter(), 1).entropy - 1.0).abs() < 1e-12);
        assert_eq!(Ranking::of([5; 9].into_iter(), 1).entropy, 0.0);
        assert_eq!(Ranking::of([].into_iter(), 1), Ranking::default());
    }
}
