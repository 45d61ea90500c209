//! `ipct run` on live packets: real programs talk between namespaces, and the daemon listens or is in their way.
//!
//! Needs root, `ip`, `nft`, `ethtool`, and the programs that talk: curl, nginx, dig, dnsmasq, ping, iperf3. Without
//! namespaces the tests are passed over, unless `IP_CONNTRACK_REQUIRE_KERNEL` is set.

#![cfg(target_os = "linux")]
// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bridge;
mod closing;
mod daemon;
mod frames;
mod listing;
mod mangled;
mod path;
#[path = "../path/ping.rs"]
mod ping;
#[path = "../conntrack/raw.rs"]
mod raw;
mod replace;
#[path = "../conntrack/run.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod run;
#[path = "../conntrack/space.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod space;
mod spread;
mod tap;
#[path = "../daemon/threads.rs"]
#[allow(dead_code, reason = "shared with another test program")]
mod threads;
