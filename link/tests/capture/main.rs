//! Capture files, written byte by byte and read back. Each test names the behaviour it is about;
//! `build` writes files, and knows the formats independently of the crate.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batches;
mod build;
mod damaged;
mod hostile;
mod merge;
mod pcap;
mod pcapng;
mod sources;
