//! `ipct replay` as its users meet it: the real program, capture files in, stdout, stderr and the exit
//! status out. Each test is named by the behaviour that it shows.
//!
//! `build` writes packets and captures and knows their forms independently of the crates; `bench` is a
//! directory of files and runs the program in it.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batches;
mod bench;
mod build;
mod checksums;
mod clock;
mod damaged;
mod forms;
mod full;
mod knobs;
mod sources;
mod streams;
