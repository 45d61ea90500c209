//! Benchmarks: the tracker's cost a packet, beside what the memory of this machine allows.

pub mod floor;
pub mod frames;
pub mod run;
