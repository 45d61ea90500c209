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
    /// Counts the keys; `most` of the most frequent are kept. Time n log n, no memory but a few keys.
    pub(crate) fn of(mut keys: Vec<u64>, most: usize) -> Ranking {
        keys.sort_unstable();
        let mut heap = BinaryHeap::with_capacity(most + 1);
        let (mut distinct, mut weighted, mut least) = (0, 0.0, 0);
        for run in keys.chunk_by(|a, b| a == b) {
            let count = run.len() as u64;
            distinct += 1;
            if count > 1 {
                weighted += count as f64 * (count as f64).log2();
            }
            // Keys come in their order, so of equally frequent ones the first stay.
            if heap.len() < most || count > least {
                heap.push(Reverse((count, Reverse(run[0]))));
                if heap.len() > most {
                    heap.pop();
                }
                least = heap.peek().map_or(0, |Reverse((count, _))| *count);
            }
        }
        let top = heap.into_sorted_vec().into_iter();
        let n = keys.len() as f64;
        let entropy = if n > 0.0 {
            n.log2() - weighted / n
        } else {
            0.0
        };
        Ranking {
            top: top
                .map(|Reverse((count, Reverse(key)))| (key, count))
                .collect(),
            total: keys.len() as u64,
            distinct,
            entropy: entropy.max(0.0),
        }
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
    fn entropy_is_that_of_a_fair_coin_and_of_a_certain_thing() {
        assert!((Ranking::of(vec![1, 2, 1, 2], 1).entropy - 1.0).abs() < 1e-12);
        assert_eq!(Ranking::of(vec![5; 9], 1).entropy, 0.0);
        assert_eq!(Ranking::of(Vec::new(), 1), Ranking::default());
    }
}
