//! The laboratory: packets written down as a person would trace them, and what becomes of them.
//!
//! A *script* (`script.rs`) is a text file with one packet a line and what is expected of it. Packets
//! are made from their descriptions by `craft.rs`, which shares nothing with the engine's parser: if
//! the two misunderstood a header in the same way, no test would notice. `ours.rs` plays a script
//! into the engine.

pub mod craft;
pub mod ours;
pub mod script;

/// What a packet did, as far as both the engine and the kernel can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// `new`, `established`, `related`, `invalid`, `untracked`, `held` or `dropped`.
    pub class: String,
    /// The entry of the packet's connection afterwards.
    pub entry: Option<Seen>,
}

/// An entry, as listings show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The protocol's state, if it has any.
    pub state: Option<String>,
    /// Whole seconds to expiry.
    pub timeout: u64,
    /// Whether it is ASSURED.
    pub assured: bool,
    /// Whether it was answered.
    pub replied: bool,
    /// Packets and bytes, original and reply.
    pub counters: [(u64, u64); 2],
}
