//! The limit: what is said when the table is full, how often, and what is counted.

use crate::bench::{Bench, Ran, replay_web};
use crate::build::{CLIENT, Pcap, RAW, SERVER, handshake, udp};

const FULL: &str = "ipct: ip_conntrack: table full, dropping packet.\n";
const SECOND: u64 = 1_000_000;

/// A table of two ASSURED connections, and then so many strangers at each of the times, in seconds.
fn flood(times: &[u64], strangers: u16, arguments: &str) -> Ran {
    let mut file = Pcap::new(RAW);
    for packet in [handshake(1001), handshake(1002)].as_flattened() {
        file = file.at(0, packet);
    }
    for (second, number) in times
        .iter()
        .flat_map(|t| (0..strangers).map(move |n| (t, n)))
    {
        file = file.at(
            second * SECOND,
            &udp((CLIENT, 5000 + number), (SERVER, 53), 1),
        );
    }
    let bench = Bench::of("flood.pcap", &file.bytes);
    bench.replay(&format!(
        "flood.pcap --sysctl nf_conntrack_max=2 {arguments}"
    ))
}

#[test]
fn a_full_table_says_so_keeps_the_assured_and_is_no_failure() {
    let ran = flood(&[1], 3, "").exits(0).says(&FULL.repeat(3));
    let assured = |line: &str| line.contains("[ASSURED]") && line.contains("ESTABLISHED");
    assert_eq!(
        ran.stdout.lines().filter(|line| assured(line)).count(),
        2,
        "{ran:?}"
    );
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
}

#[test]
fn a_full_table_says_so_at_most_ten_times_in_five_seconds_of_the_capture() {
    let more = "ipct: 60 more messages of this kind were not written\n";
    let expected = format!("{}{more}", FULL.repeat(20));
    flood(&[1, 3, 5, 6], 20, "").exits(0).says(&expected);
}

#[test]
fn packets_that_a_full_table_drops_are_counted() {
    let ran = flood(&[1, 2], 50, "--stats").exits(0);
    assert!(
        ran.stdout.lines().next().unwrap().contains(" drop=100 "),
        "{ran:?}"
    );
    assert_eq!(ran.count("table_full"), 100);
    assert_eq!(ran.count("entries"), 2);
}

#[test]
fn packets_that_a_full_table_drops_have_that_verdict() {
    let ran = flood(&[1], 1, "--verdicts").exits(0);
    assert_eq!(ran.stdout.lines().last(), Some("6 DROPPED - table_full"));
}

#[test]
fn a_limit_of_two_holds_for_real_traffic() {
    let ran = replay_web("--sysctl nf_conntrack_max=2").exits(0);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert_eq!(ran.stderr.matches(FULL).count(), 10, "{ran:?}");
}

#[test]
fn unanswered_connections_make_room_and_nothing_is_said() {
    let mut file = Pcap::new(RAW);
    for number in 0..10 {
        file = file.at(0, &udp((CLIENT, 5000 + number), (SERVER, 53), 1));
    }
    let bench = Bench::of("a.pcap", &file.bytes);
    let ran = bench.replay("a.pcap --stats --sysctl nf_conntrack_max=2");
    let ran = ran.exits(0).says("");
    assert!(
        ran.stdout
            .lines()
            .next()
            .unwrap()
            .contains(" early_drop=8 "),
        "{ran:?}"
    );
    assert_eq!(ran.count("entries"), 2);
}

#[test]
fn a_limit_of_zero_is_none() {
    let unlimited = replay_web("").exits(0);
    let ran = replay_web("--sysctl nf_conntrack_max=0").exits(0);
    ran.shows(&unlimited.stdout).says(&unlimited.stderr);
}
