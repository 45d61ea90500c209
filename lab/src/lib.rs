//! The laboratory: packets written down as a person would trace them, and what becomes of them in the
//! engine and in the running Linux kernel.
//!
//! A *script* (`script.rs`) is a text file with one packet a line and what is expected of it. Packets
//! are made from their descriptions by `craft.rs`, which shares nothing with the engine's parser: if
//! the two misunderstood a header in the same way, no test would notice. `ours.rs` plays a script
//! into the engine, `theirs.rs` into the kernel (`linux/`), in real time.

#![forbid(unsafe_code)]

pub mod bench;
pub mod craft;
pub mod duel;
pub mod entry;
pub mod linux;
pub mod ours;
pub mod random;
pub mod rng;
pub mod script;
pub mod theirs;
pub mod write;

use entry::Entry;

/// What a packet did, as far as both the engine and the kernel can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// `new`, `established`, `related`, `invalid`, `untracked`, `held` or `dropped`.
    pub class: String,
    /// The entry of the packet's connection afterwards.
    pub entry: Option<Entry>,
}

/// A packet that did not do what was expected of it.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The line of the script.
    pub line: usize,
    /// The case's title.
    pub case: String,
    /// What happened.
    pub seen: Observation,
    /// The reason that was given, if any.
    pub reason: Option<&'static str>,
}
