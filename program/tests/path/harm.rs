//! Packets that are not right.

use crate::daemon::Daemon;
use crate::frames::Sender;
use crate::mangled::{Into, Mangler, Whole};
use crate::road::Road;

const LIMIT: &str = "--sysctl nf_conntrack_max=20000";

fn pour(road: &Road, daemon: &Daemon, rate: u32, sender: &mut Sender, whole: Whole) {
    let into = Into {
        rate,
        seen: &|| daemon.counter("packets"),
        memory: &|| daemon.memory(),
        works: &|| road.is_open(),
    };
    into.pour(sender, &mut Mangler::new(7, whole));
}

#[test]
fn packets_of_any_kind_in_a_queue_do_no_harm() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(&road.ours, &format!("--queue 0 {LIMIT}"));
    let mut sender = Sender::new(&road.client, "c0");
    pour(&road, &daemon, 150_000, &mut sender, Whole::Header);
}

#[test]
fn bytes_of_any_kind_in_a_tun_device_do_no_harm() {
    let Some(road) = Road::new() else { return };
    let daemon = Daemon::start(&road.ours, &format!("--tun ipct0 {LIMIT}"));
    road.through("ipct0");
    let mut sender = Sender::new(&road.ours, "ipct0");
    pour(&road, &daemon, 300_000, &mut sender, Whole::Nothing);
}
