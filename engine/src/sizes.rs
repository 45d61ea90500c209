//! How large the index is made: for its limit, but never too small for what is in it.
//!
//! An index of another size is filled in steps, at least one for each new entry (`table.rs`). So it
//! must hold, beside the present keys, those that may come until the last step; then no move ever has
//! to be hurried, and no entry is left without a place.

use crate::index::PLACES;

/// Entries for each bucket of eight places: three quarters full.
pub(crate) const ENTRIES_PER_BUCKET: usize = 6;

/// Buckets moved to a new index at each step.
pub(crate) const MOVED_AT_ONCE: usize = 4;

/// A very small index would be too lumpy.
const LEAST: usize = 8;

/// 32 MiB of buckets; a table that needs more gets them as it fills.
const MOST_AT_FIRST: usize = 1 << 19;

/// Buckets for `max` entries, and for at least `places` places.
fn asked(max: u32, places: usize) -> usize {
    let wanted = (max as usize).div_ceil(ENTRIES_PER_BUCKET);
    wanted.max(places / PLACES).max(LEAST)
}

/// Buckets of an empty table's index.
pub(crate) fn first(max: u32, places: usize) -> usize {
    asked(max, places).min(MOST_AT_FIRST)
}

/// Buckets that an index of `present` ones should have for another limit, where 0 is none. Without a
/// limit, and where one asks for more than is made at first, it stays as it has grown.
pub(crate) fn wanted(present: usize, max: u32, places: usize) -> usize {
    let asked = asked(max, places);
    if max == 0 || asked >= present {
        return asked.min(MOST_AT_FIRST).max(present);
    }
    asked
}

/// Buckets for so many keys, and for those that may come while `present` buckets are moved: up to two for
/// each step.
pub(crate) const fn least(present: usize, keys: usize) -> usize {
    let meanwhile = present.div_ceil(MOVED_AT_ONCE) * 2;
    (keys + meanwhile).div_ceil(ENTRIES_PER_BUCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_has_grown_beyond_what_is_made_at_first_stays() {
        let grown = 2 * MOST_AT_FIRST;
        assert_eq!(wanted(grown, 10_000_000, 0), grown);
        assert_eq!(wanted(grown, 0, 0), grown);
        assert_eq!(wanted(8, 10_000_000, 0), MOST_AT_FIRST);
    }

    #[test]
    fn a_lower_limit_makes_it_smaller_but_not_too_small_for_its_keys() {
        let grown = 2 * MOST_AT_FIRST;
        assert_eq!(wanted(grown, 6_000, 0), 1_000);
        let keys = 4_600_000;
        assert!(least(grown, keys) * ENTRIES_PER_BUCKET >= keys + grown / 2);
    }

    #[test]
    fn twice_as_large_is_always_enough() {
        for present in [8, 9, 100, 1_000_000] {
            assert!(least(present, present * ENTRIES_PER_BUCKET) <= 2 * present);
        }
    }
}
