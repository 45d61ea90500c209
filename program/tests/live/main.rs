//! `ipct run` in the path of live packets: real programs on both sides, in namespaces, and behind us a router of
//! Linux's that tracks the same traffic.

#![cfg(target_os = "linux")]

mod daemon;
mod flood;
mod killed;
mod lives;
mod overload;
mod road;
#[path = "../conntrack/run.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod run;
#[path = "../conntrack/space.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod space;
mod table;
mod traffic;
