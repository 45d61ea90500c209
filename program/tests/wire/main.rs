//! `ipct run` on live packets: real programs talk between namespaces, and the daemon listens or is in their way.
//!
//! Needs root, `ip`, `nft`, `ethtool`, and the programs that talk: curl, nginx, dig, dnsmasq, ping, iperf3. Without
//! namespaces the tests are passed over, unless `IP_CONNTRACK_REQUIRE_KERNEL` is set.

#![cfg(target_os = "linux")]

mod bridge;
mod daemon;
mod frames;
mod listing;
mod path;
#[path = "../conntrack/run.rs"]
#[allow(dead_code)]
mod run;
#[path = "../conntrack/space.rs"]
#[allow(dead_code)]
mod space;
mod spread;
mod tap;
