//! What the memory of this machine allows: the cost of touching the same lines in the same order as
//! tracking does, and doing nothing else.
//!
//! For each frame its first line is read, as it streams by; then one random line of an index, and two
//! neighbouring lines of a random entry, which are written. The index line tells nothing, but the
//! entry's place is computed from it, so that it cannot be fetched before. 32 frames are in flight:
//! each step is done for all of them before the next.

use std::hint::black_box;
use std::ops::Range;

use super::clock::cpu_ns;
use super::frames::Ring;

const AT_ONCE: usize = 32;
/// Words in a line.
const LINE: usize = 8;

/// Memory laid out like a table of that many connections.
#[derive(Debug)]
pub struct Floor {
    index: Vec<[u64; LINE]>,
    entries: Vec<[u64; 2 * LINE]>,
    seed: u64,
}

impl Floor {
    /// Takes the memory and touches all of it.
    pub fn new(connections: u32) -> Floor {
        let fill = |n: usize| n as u64 + 1;
        Floor {
            index: (0..connections.div_ceil(6) as usize)
                .map(|n| [fill(n); LINE])
                .collect(),
            entries: (0..connections as usize)
                .map(|n| [fill(n); 2 * LINE])
                .collect(),
            seed: 88_172_645_463_325_252,
        }
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Walks once for each of some frames; returns nanoseconds a frame.
    pub fn measure(&mut self, ring: &Ring, frames: Range<usize>) -> f64 {
        let started = cpu_ns();
        let mut sum = 0u64;
        let mut at = frames.start;
        let mut numbers = [0u64; AT_ONCE];
        let mut entries = [0usize; AT_ONCE];
        while at + AT_ONCE <= frames.end {
            for (lane, number) in numbers.iter_mut().enumerate() {
                let first = ring.frame(at + lane).first_chunk::<8>();
                let word = first.map_or(0, |bytes| u64::from_ne_bytes(*bytes));
                *number = self.random() ^ (word >> 63);
            }
            for (entry, number) in entries.iter_mut().zip(numbers) {
                let line = scale(number, self.index.len());
                let found = self.index[line];
                *entry = scale(number ^ (found[7] >> 63), self.entries.len());
            }
            for entry in entries {
                let lines = &mut self.entries[entry];
                sum = sum.wrapping_add(lines[0]);
                lines[3] = sum;
                lines[LINE + 3] = lines[LINE].wrapping_add(sum);
            }
            at += AT_ONCE;
        }
        black_box(sum);
        (cpu_ns() - started) as f64 / (at - frames.start).max(1) as f64
    }
}

/// A place from 32 random bits, without dividing.
const fn scale(bits: u64, len: usize) -> usize {
    (((bits & 0xffff_ffff) * len as u64) >> 32) as usize
}
