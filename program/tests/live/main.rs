//! `ipct report --kernel` on floods that real tools make, through a router whose table is the kernel's, beside
//! ordinary traffic: the class, the culprits and what the advice says it frees must be right.
//!
//! The tests need root, network namespaces, hping3, nmap, dnsmasq and conntrack; where those are not to be
//! had they pass over, unless `IP_CONNTRACK_REQUIRE_KERNEL` is set.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod advice;
mod classes;
mod forecast;
mod net;
