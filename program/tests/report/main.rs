//! `ipct report` and `ipct size` as their users meet them: the real program, sources in, stdout, stderr
//! and the exit status out. Each test is named by the behaviour that it shows.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod captures;
mod daemon;
mod listings;
mod page;
mod run;
mod size;
mod top;

#[allow(dead_code, reason = "these tests use a part of it")]
#[path = "../replay/build.rs"]
mod build;
