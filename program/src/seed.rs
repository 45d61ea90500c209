//! Randomness for hash keys.

use std::hash::{BuildHasher, RandomState};

/// A hash key that nobody can guess.
pub(crate) fn random_seed() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0));
    half() << 64 | half()
}
