//! SipHash-1-3 of a few words: the hash that keys of connections get, under a secret key.
//!
//! One round for each word, one for the length, three to finish. (Aumasson and Bernstein, "SipHash:
//! a fast short-input PRF", 2012; that 1-3 is enough for hash tables is the judgement of its authors
//! and of the languages that use it so.) What is hashed has a length that is known before, so the input
//! needs no buffer and the four words that the key makes are made once. The word of the length has room
//! for seven bytes of input: a key that fits there saves a round. The tests hold it against the
//! `siphasher` crate.

/// A key, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Sip([u64; 4]);

impl Sip {
    pub(crate) const fn new(k0: u64, k1: u64) -> Sip {
        Sip([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    /// The hash of words, as of their bytes in little-endian order.
    #[inline(always)]
    pub(crate) fn hash<const N: usize>(&self, words: [u64; N]) -> u64 {
        self.finish(words, (N as u64 * 8) << 56)
    }

    /// The hash of 15 bytes: of a word and the lower seven bytes of another.
    #[inline(always)]
    pub(crate) fn hash_15(&self, word: u64, rest: u64) -> u64 {
        self.finish([word], rest & u64::MAX >> 8 | 15 << 56)
    }

    #[inline(always)]
    fn finish<const N: usize>(&self, words: [u64; N], last: u64) -> u64 {
        let mut v = self.0;
        for word in words {
            take(&mut v, word);
        }
        take(&mut v, last);
        v[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[inline(always)]
fn take(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::Sip;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    proptest! {
        #[test]
        fn it_is_siphash_1_3_of_the_same_bytes(k0: u64, k1: u64, words: [u64; 4]) {
            let [a, b, ..] = words;
            let bytes = words.map(u64::to_le_bytes).concat();
            let expected = |len: usize| SipHasher13::new_with_keys(k0, k1).hash(&bytes[..len]);
            let sip = Sip::new(k0, k1);
            prop_assert_eq!(sip.hash_15(a, b), expected(15));
            prop_assert_eq!(sip.hash([a, b]), expected(16));
            prop_assert_eq!(sip.hash(words), expected(32));
        }
    }
}
