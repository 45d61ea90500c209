//! Benchmarks.

pub mod linux;
