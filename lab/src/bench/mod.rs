//! Benchmarks: the tracker's cost a packet, beside what the memory of this machine allows and beside
//! what the running kernel's tracking adds to forwarding.

pub mod floor;
pub mod frames;
pub mod linux;
pub mod run;
