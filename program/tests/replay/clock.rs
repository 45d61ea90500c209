//! Clocks that do not run as clocks should, and tables of another moment than the end.

use crate::bench::{Bench, Ran};
use crate::build::{CLIENT, Pcap, RAW, SERVER, udp};

const SECOND: u64 = 1_000_000;
const YEAR: u64 = 365 * 86_400 * SECOND;

/// Runs packets of one UDP connection, each at its time, each 16 + 29 bytes of the file.
fn at(times: &[u64], arguments: &str) -> Ran {
    let packet = udp((CLIENT, 4000), (SERVER, 53), 1);
    let file = times
        .iter()
        .fold(Pcap::new(RAW), |file, time| file.at(*time, &packet));
    Bench::of("clock.pcap", &file.bytes).replay(&format!("clock.pcap {arguments}"))
}

/// The timeout that the entry has left, and its packets.
#[track_caller]
fn timeout_and_packets(ran: &Ran) -> (&str, &str) {
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    (words[4], words[9])
}

#[test]
fn a_clock_that_runs_backwards_is_said_and_its_packets_are_tracked() {
    let ran = at(&[1000 * SECOND, 900 * SECOND, 901 * SECOND], "").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("30", "packets=3"));
    ran.says(
        "ipct: clock.pcap: offset 69: the clock runs backwards by 100.000 s; time stands still \
         until it has caught up\n",
    );
}

#[test]
fn packets_that_changed_places_while_they_were_captured_are_nothing_to_speak_of() {
    let ran = at(&[1000 * SECOND, 1000 * SECOND - 50], "")
        .exits(0)
        .says("");
    assert_eq!(timeout_and_packets(&ran), ("30", "packets=2"));
}

#[test]
fn a_clock_that_jumps_years_is_said_and_tracking_goes_on() {
    let ran = at(&[1000 * SECOND, 1000 * SECOND + 2 * YEAR], "").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("30", "packets=1"));
    ran.says(
        "ipct: clock.pcap: offset 69: the clock leaps 730 days ahead; connections before that have \
         run out\n",
    );
}

#[test]
fn a_time_ago_that_is_days_is_no_jump() {
    at(&[1000 * SECOND, 1000 * SECOND + YEAR / 2], "")
        .exits(0)
        .says("");
}

#[test]
fn the_table_at_0_is_that_of_the_first_packet() {
    let ran = at(&[1000 * SECOND, 1001 * SECOND], "--at 0").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("30", "packets=1"));
}

#[test]
fn the_table_at_a_moment_has_what_came_before_it_and_has_aged() {
    let times = [1000 * SECOND, 1001 * SECOND, 1020 * SECOND];
    let ran = at(&times, "--at 10.5").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("20", "packets=2"));
}

#[test]
fn the_table_at_the_end_is_that_of_the_last_packet() {
    let ran = at(&[1000 * SECOND, 1020 * SECOND], "--at end").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("30", "packets=2"));
}

#[test]
fn the_table_of_a_moment_after_the_end_has_aged_until_then() {
    let ran = at(&[1000 * SECOND], "--at 29.5").exits(0);
    assert_eq!(timeout_and_packets(&ran), ("0", "packets=1"));
    at(&[1000 * SECOND], "--at 31").exits(0).shows("");
    at(&[1000 * SECOND], "--at 10000000000").exits(0).shows("");
}

#[test]
fn a_moment_that_is_none_is_refused() {
    for moment in ["-1", "soon", "nan", "1e11"] {
        let ran = at(&[0], &format!("--at={moment}")).exits(2).shows("");
        ran.mentions(&[moment, "--at", "accepts"]);
    }
}
