//! Measuring the kernel: as little of it as shows that it works.
//!
//! Needs root; without, it says so and passes, unless `IP_CONNTRACK_REQUIRE_KERNEL=1`.

#![allow(clippy::unwrap_used)]

use std::fs;

use lab::bench::linux::{Family, Workload, measure, memory_per_connection};
use lab::linux::Globals;

fn knobs() -> [String; 2] {
    ["nf_conntrack_max", "nf_conntrack_buckets"]
        .map(|name| fs::read_to_string(format!("/proc/sys/net/netfilter/{name}")).unwrap())
}

#[test]
fn conntrack_costs_something_and_the_knobs_are_put_back() {
    if let Err(why) = Globals::open() {
        assert!(
            std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none(),
            "the kernel is required, but: {why}"
        );
        eprintln!("skipped: {why}");
        return;
    }
    let before = knobs();
    for family in [Family::V4, Family::V6] {
        let share = measure(Workload::Established, 1000, family).unwrap();
        assert!(
            share.ns > 0.0 && share.ns_with > share.ns_without,
            "{share:?}"
        );
        assert_eq!(share.refused, 0.0);
    }

    // The table is full: of the new connections many are refused, and those that are not take the
    // places of others; ASSURED connections stay, or there would be an error.
    let share = measure(Workload::Flood, 1000, Family::V4).unwrap();
    assert!(share.refused > 0.0 && share.ns > 0.0, "{share:?}");

    // An entry of 256 bytes and its counters.
    let bytes = memory_per_connection(100_000, Family::V4).unwrap();
    assert!((300.0..600.0).contains(&bytes), "{bytes}");
    assert_eq!(knobs(), before);
}
