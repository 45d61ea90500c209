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
    /// Counts the keys; `most` of the most frequent are kept. Time n log n, or n where all keys are small.
    pub(crate) fn of(keys: impl IntoIterator<Item = u64>, most: usize) -> Ranking {
        let mut counts = Counts::new(most);
        match Column::of(keys.into_iter()) {
            Column::Short(keys) => counts.add_short(keys),
            Column::Long(keys) => counts.add_sorted(keys),
        }
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
enum Column {
    Short(Vec<u32>),
    Long(Vec<u64>),
}

impl Column {
    fn of(mut keys: impl Iterator<Item = u64>) -> Column {
        let mut short = Vec::new();
        while let Some(key) = keys.next() {
            match u32::try_from(key) {
                Ok(key) => short.push(key),
                Err(_) => {
                    let mut long: Vec<u64> = short.into_iter().map(u64::from).collect();
                    long.push(key);
                    long.extend(keys);
                    return Column::Long(long);
                }
            }
        }
        Column::Short(short)
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

    fn add_short(&mut self, keys: Vec<u32>) {
        let Some(greatest) = keys.iter().max().filter(|key| **key < SMALL) else {
            return self.add_sorted(keys);
        };
        let mut by_key = vec![0_u64; *greatest as usize + 1];
        for key in &keys {
            by_key[*key as usize] += 1;
        }
        for (key, count) in by_key
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            self.add(key as u64, count);
        }
    }

    fn add_sorted<K: Copy + Ord + Into<u64>>(&mut self, mut keys: Vec<K>) {
        keys.sort_unstable();
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
        let ranking = Ranking::of(vec![7, 3, 7, 9, 3, 7, 1], 3);
        assert_eq!(ranking.top, [(7, 3), (3, 2), (1, 1)]);
        assert_eq!((ranking.total, ranking.distinct), (7, 4));
    }

    #[test]
    fn small_keys_and_great_ones_are_counted_alike() {
        let small: Vec<u64> = (0..10_000).map(|n| n * n % 997).collect();
        let great: Vec<u64> = small.iter().map(|key| key + (1 << 40)).collect();
        let middle = Ranking::of(small.iter().map(|key| key + (1 << 20)), 7);
        let (small, mut great) = (Ranking::of(small, 7), Ranking::of(great, 7));
        assert_eq!(middle.top[0].1, small.top[0].1);
        great.top.iter_mut().for_each(|(key, _)| *key -= 1 << 40);
        assert_eq!(small, great);
    }

    #[test]
    fn entropy_is_that_of_a_fair_coin_and_of_a_certain_thing() {
        assert!((Ranking::of(vec![1, 2, 1, 2], 1).entropy - 1.0).abs() < 1e-12);
        assert_eq!(Ranking::of(vec![5; 9], 1).entropy, 0.0);
        assert_eq!(Ranking::of(Vec::new(), 1), Ranking::default());
    }
}
