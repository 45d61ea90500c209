//! The laboratory: packets written down as a person would trace them, and what becomes of them in the
//! engine and in the running Linux kernel.
//!
//! A *script* (`script/`) is a text file with one packet a line and what is expected of it. Packets
//! are made from their descriptions by `craft/`, which shares nothing with the engine's parser: if
//! the two misunderstood a header in the same way, no test would notice. `play.rs` plays a script into
//! the engine (`ours.rs`) or into the kernel (`theirs.rs`, `linux/`), there in real time. `duel/` plays
//! the same packets into both, side by side.

#![forbid(unsafe_code)]

pub mod bench;
pub mod counts;
pub mod craft;
pub mod duel;
pub mod entry;
pub mod linux;
pub mod listing;
pub mod ours;
pub mod play;
pub mod random;
pub mod report_cost;
pub mod rng;
pub mod router;
pub mod rule;
pub mod script;
pub mod theirs;
pub mod write;
