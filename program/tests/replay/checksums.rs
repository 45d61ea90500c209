//! Captures whose packets are not whole, or whose checksums were left to the network card.

use crate::bench::{Bench, replay_web};
use crate::build::{Record, web_with};

/// What `tcpdump -s 96` would have kept.
fn snapped() -> Bench {
    Bench::of(
        "snapped.pcap",
        &web_with(|record| record.frame.truncate(96)),
    )
}

/// Where the checksum of an IPv4 packet's transport is in its Ethernet frame.
fn transport_checksum(record: &Record) -> Option<usize> {
    let is_ipv4 = record.frame.get(12..14)? == [8, 0];
    match record.frame.get(23)? {
        6 if is_ipv4 => Some(34 + 16),
        17 if is_ipv4 => Some(34 + 6),
        _ => None,
    }
}

/// What a host captures of its own packets if its network card is to fill in the checksums.
fn offloaded() -> Bench {
    let file = web_with(|record| {
        if let Some(at) = transport_checksum(record) {
            record.frame[at] ^= 0x5a;
        }
    });
    Bench::of("offloaded.pcap", &file)
}

#[test]
fn captures_cut_by_snap_length_give_the_same_table_as_whole_ones() {
    for format in ["nf_conntrack", "json"] {
        let arguments = format!("--seed 1 --format {format}");
        let whole = replay_web(&arguments).exits(0);
        assert_eq!(whole.stdout.lines().count(), 11, "{whole:?}");
        let cut = snapped().replay(&format!("{arguments} snapped.pcap"));
        cut.exits(0).shows(&whole.stdout).says(&whole.stderr);
    }
}

#[test]
fn captures_cut_by_snap_length_call_no_checksum_wrong() {
    let ran = snapped().replay("--stats snapped.pcap").exits(0);
    assert_eq!(ran.count("packets"), 119);
    let wrong: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|l| l.contains("checksum="))
        .collect();
    assert!(wrong.len() >= 5, "{ran:?}");
    assert!(wrong.iter().all(|line| line.ends_with("=0")), "{wrong:?}");
}

#[test]
fn many_wrong_checksums_are_said_once_with_the_mend() {
    let ran = offloaded().replay("offloaded.pcap").exits(0);
    assert!(!ran.stdout.contains("ipv4     2 tcp"), "{ran:?}");
    let about: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|l| l.contains("checksum"))
        .collect();
    assert_eq!(about.len(), 1, "{ran:?}");
    assert!(
        about[0].contains("--sysctl nf_conntrack_checksum=0"),
        "{ran:?}"
    );
}

#[test]
fn wrong_checksums_are_ignored_where_that_was_asked_for() {
    let whole = replay_web("").exits(0);
    let ran = offloaded().replay("--sysctl nf_conntrack_checksum=0 offloaded.pcap");
    ran.exits(0).shows(&whole.stdout).says(&whole.stderr);
}

#[test]
fn wrong_checksums_of_ip_headers_are_named_and_can_be_ignored() {
    let file = web_with(|record| {
        if record.frame.get(12..14) == Some(&[8, 0]) {
            record.frame[24] ^= 0x5a;
        }
    });
    let bench = Bench::of("offloaded.pcap", &file);
    let ran = bench.replay("offloaded.pcap").exits(0);
    ran.mentions(&[
        "wrong checksum in the IP header",
        "nf_conntrack_checksum=0",
        "ip_checksum",
    ]);
    let whole = replay_web("").exits(0);
    let ran = bench.replay("--sysctl nf_conntrack_checksum=0 offloaded.pcap");
    ran.exits(0).shows(&whole.stdout);
}

#[test]
fn a_single_wrong_checksum_is_no_sign_of_offload() {
    let broken = web_with(|record| {
        if record.micros % 1_000_000 == 844_812 {
            record.frame[34 + 6] ^= 0x5a;
        }
    });
    let bench = Bench::of("one.pcap", &broken);
    assert_eq!(
        bench
            .replay("--stats one.pcap")
            .exits(0)
            .count("udp_checksum"),
        1
    );
    assert!(
        !bench
            .replay("one.pcap")
            .exits(0)
            .stderr
            .contains("checksum")
    );
}
