//! Tables that were made up, beside those that were captured: each is what one kind of traffic leaves,
//! and must be named so, whatever its size and whatever else is in the table.
//!
//! `world` makes flows; `attacks` and `ordinary` say what is made. The numbers are chosen apart from the
//! thresholds: a case that is on the edge is no case.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod ordinary;
mod world;
