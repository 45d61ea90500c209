//! SipHash-1-3 of two words: the hash that keys of connections get, under a secret key.
//!
//! One round for each word, one for the length, three to finish. (Aumasson and Bernstein, "SipHash:
//! a fast short-input PRF", 2012; that 1-3 is enough for hash tables is the judgement of its authors
//! and of the languages that use it so.) Only keys of 16 bytes are hashed, so the input needs no
//! buffer and the four words that the key makes are made once. The tests hold it against the
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

    /// The hash of two words, as of their 16 bytes in little-endian order.
    #[inline]
    pub(crate) fn hash(&self, a: u64, b: u64) -> u64 {
        const LENGTH: u64 = 16 << 56;
        let mut v = self.0;
        for word in [a, b, LENGTH] {
            v[3] ^= word;
            round(&mut v);
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
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
        fn it_is_siphash_1_3_of_sixteen_bytes(k0: u64, k1: u64, a: u64, b: u64) {
            let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
            let expected = SipHasher13::new_with_keys(k0, k1).hash(&bytes);
            prop_assert_eq!(Sip::new(k0, k1).hash(a, b), expected);
        }
    }
}
