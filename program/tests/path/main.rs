//! `ipct run` in the path of live packets: real programs on both sides, in namespaces, and behind us a router of
//! Linux's that tracks the same traffic.

#![cfg(target_os = "linux")]
// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod closing;
mod daemon;
mod documents;
mod flood;
#[path = "../wire/frames.rs"]
mod frames;
mod harm;
mod killed;
mod lives;
#[path = "../wire/mangled.rs"]
mod mangled;
mod overload;
mod ping;
#[path = "../conntrack/raw.rs"]
mod raw;
mod replace;
mod road;
#[path = "../conntrack/run.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod run;
#[path = "../conntrack/space.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod space;
mod table;
#[path = "../daemon/threads.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod threads;
mod traffic;
