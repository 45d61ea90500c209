//! Packets that are not right.

use crate::daemon::Daemon;
use crate::frames::{Sender, frame, header_sum, udp, v4};
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
fn fragments_whose_datagrams_never_come_leave_room_for_others() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ipct.conf");
    std::fs::write(&config, "[queue]\nlength = 100\n").unwrap();
    let daemon = Daemon::start(
        &road.ours,
        &format!("--config {} --queue 0", config.display()),
    );
    assert!(road.is_open());
    let mut sender = Sender::new(&road.client, "c0");
    for number in 0..200_u16 {
        // Each begins a datagram.
        let mut packet = v4(17, [10, 1, 0, 3], [10, 3, 0, 9], &udp(7, 53, &[0; 16]));
        packet[4..6].copy_from_slice(&number.to_be_bytes());
        packet[6] = 0x20;
        packet[10..12].fill(0);
        let sum = header_sum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        sender.send(&frame(0x0800, &packet));
        sender.finish();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let waiting = daemon.counter("queue_fragments_waiting");
    assert!((40..=50).contains(&waiting), "{waiting}");
    assert_eq!(daemon.counter("queue_full"), 0);
    assert!(road.is_open(), "{}", daemon.ask("-S"));
}

#[test]
fn bytes_of_any_kind_in_a_tun_device_do_no_harm() {
    let Some(road) = Road::new() else { return };
    let daemon = Daemon::start(&road.ours, &format!("--tun ipct0 {LIMIT}"));
    road.through("ipct0");
    let mut sender = Sender::new(&road.ours, "ipct0");
    pour(&road, &daemon, 300_000, &mut sender, Whole::Nothing);
}
