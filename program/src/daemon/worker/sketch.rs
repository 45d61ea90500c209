//! Who asks for new entries, in bounded memory.
//!
//! *Space-saving* (Metwally, Agrawal, El Abbadi 2005): a fixed number of counters, each for a source. A source that
//! has none takes the one that counts least, and its count with it, which is remembered as what the count may be
//! too high by. Whoever has more than one part in [`SIZE`] of everything has a counter, whatever else comes.
//! Counts are halved now and then, so that what is shown is of today.

use std::net::IpAddr;

/// Counters.
const SIZE: usize = 64;

/// Sources that are shown, at most.
const SHOWN: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counter {
    source: IpAddr,
    count: u64,
    /// At most so much of the count is others'.
    error: u64,
}

/// Sources of what was counted, the greatest of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    counters: Vec<Counter>,
    total: u64,
}

impl Sketch {
    pub(super) fn add(&mut self, source: IpAddr, count: u64) {
        self.total += count;
        if let Some(counter) = self
            .counters
            .iter_mut()
            .find(|counter| counter.source == source)
        {
            counter.count += count;
        } else if self.counters.len() < SIZE {
            self.counters.push(Counter {
                source,
                count,
                error: 0,
            });
        } else if let Some(least) = self.counters.iter_mut().min_by_key(|counter| counter.count) {
            *least = Counter {
                source,
                count: least.count + count,
                error: least.count,
            };
        }
    }

    /// Adds what another counted, and empties that.
    pub(super) fn take(&mut self, other: &mut Sketch) {
        let certain: u64 = other
            .counters
            .iter()
            .map(|counter| counter.count - counter.error)
            .sum();
        for counter in other
            .counters
            .drain(..)
            .filter(|counter| counter.count > counter.error)
        {
            self.add(counter.source, counter.count - counter.error);
        }
        self.total += std::mem::take(&mut other.total).saturating_sub(certain);
    }

    pub(super) fn halve(&mut self) {
        self.total /= 2;
        for counter in &mut self.counters {
            counter.count /= 2;
            counter.error = counter.error.div_ceil(2).min(counter.count);
        }
        self.counters.retain(|counter| counter.count > 0);
    }

    /// In words, sources with the part of everything that is certainly theirs; those with a hundredth at least.
    pub(super) fn describe(&self) -> String {
        let percent = |counter: &Counter| 100 * (counter.count - counter.error) / self.total.max(1);
        let mut top: Vec<_> = self
            .counters
            .iter()
            .map(|counter| (percent(counter), counter.source))
            .collect();
        top.sort_unstable_by(|a, b| b.cmp(a));
        let top: Vec<_> = top
            .into_iter()
            .filter(|(percent, _)| *percent > 0)
            .take(SHOWN)
            .collect();
        if top.is_empty() {
            return "very many sources, none of which has a hundredth".to_owned();
        }
        let rest = 100_u64.saturating_sub(top.iter().map(|(percent, _)| percent).sum());
        let top: Vec<_> = top
            .iter()
            .map(|(percent, source)| format!("{source} ({percent} %)"))
            .collect();
        match rest {
            0 | 1 => top.join(", "),
            rest => format!("{}, others ({rest} %)", top.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_few_that_ask_much_are_found_among_very_many() {
        let mut sketch = Sketch::default();
        for number in 0..100_000 {
            sketch.add(address(0x0b00_0000 + number), 1);
            if number % 4 == 0 {
                sketch.add(address(0x0a00_0001), 1);
            }
        }
        assert!(sketch.counters.len() <= SIZE);
        // A fifth of everything, less what may be an error.
        let told = sketch.describe();
        assert!(
            told.starts_with("10.0.0.1 (") && told.contains("others ("),
            "{told}"
        );
        let percent: u64 = told[10..]
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!((18..=20).contains(&percent), "{told}");
    }

    #[test]
    fn no_source_is_blamed_for_what_random_ones_ask() {
        let mut sketch = Sketch::default();
        (0..100_000).for_each(|number| sketch.add(address(number), 1));
        assert_eq!(
            sketch.describe(),
            "very many sources, none of which has a hundredth"
        );
    }

    #[test]
    fn what_several_counted_is_added_up_and_fades() {
        let (mut all, mut one, mut other) =
            (Sketch::default(), Sketch::default(), Sketch::default());
        one.add(address(1), 30);
        other.add(address(1), 20);
        other.add(address(2), 50);
        all.take(&mut one);
        all.take(&mut other);
        assert_eq!(all.describe(), "0.0.0.2 (50 %), 0.0.0.1 (50 %)");
        assert_eq!((one.total, one.counters.len()), (0, 0));
        (0..7).for_each(|_| all.halve());
        assert_eq!((all.total, all.counters.len()), (0, 0));
    }
}
