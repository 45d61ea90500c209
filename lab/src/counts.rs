//! The counters of `conntrack -S` that packets can move, the engine's and the kernel's.
//!
//! Not among them: `search_restart`, which counts how often two of the kernel's processors got into each
//! other's way. `found` and `insert` no packet moves as long as addresses are not translated; they are
//! compared all the same.

use std::fmt;
use std::ops::{Add, Sub};

use ip_conntrack::Stats;

/// Names, and the numbers of ctnetlink's attributes.
const COLUMNS: [(&str, usize); 9] = [
    ("found", 2),
    ("invalid", 4),
    ("insert", 8),
    ("insert_failed", 9),
    ("drop", 10),
    ("early_drop", 11),
    ("error", 12),
    ("clash_resolve", 14),
    ("chaintoolong", 15),
];

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts([u64; COLUMNS.len()]);

impl Counts {
    /// From the kernel's counters by attribute number.
    pub fn of_kernel(by_attribute: &[u64; 16]) -> Counts {
        Counts(COLUMNS.map(|(_, attribute)| by_attribute[attribute]))
    }

    /// From the engine's.
    pub fn of_engine(stats: &Stats) -> Counts {
        Counts([
            0,
            stats.invalid(),
            0,
            stats.insert_failed(),
            stats.drop(),
            stats.early_drop,
            stats.error(),
            stats.clash_resolve,
            stats.reason(ip_conntrack::Reason::ChainTooLong),
        ])
    }

    /// One of them by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let at = COLUMNS.iter().position(|(known, _)| *known == name)?;
        Some(self.0[at])
    }
}

impl Sub for Counts {
    type Output = Counts;

    fn sub(self, earlier: Counts) -> Counts {
        let mut counts = self;
        let pairs = counts.0.iter_mut().zip(earlier.0);
        pairs.for_each(|(count, earlier)| *count = count.saturating_sub(earlier));
        counts
    }
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, more: Counts) -> Counts {
        let mut counts = self;
        let pairs = counts.0.iter_mut().zip(more.0);
        pairs.for_each(|(count, more)| *count += more);
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for ((name, _), count) in COLUMNS.iter().zip(self.0) {
            if count != 0 {
                write!(f, "{separator}{name}={count}")?;
                separator = " ";
            }
        }
        if separator.is_empty() {
            write!(f, "nothing counted")?;
        }
        Ok(())
    }
}
