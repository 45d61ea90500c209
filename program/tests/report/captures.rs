//! Captures: replayed, reported at their fullest moment, and what left no entry is told all the same.

use super::build::{ACK, Pcap, RAW, SYN, gzip, tcp, udp};
use super::run::{report, run};

pub(crate) const VICTIM: [u8; 4] = [198, 51, 100, 80];

pub(crate) fn somebody(n: u64) -> [u8; 4] {
    let mixed = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as u32;
    let [_, b, c, d] = mixed.to_be_bytes();
    [11 + (n % 90) as u8, b, c, d]
}

/// So many packets, `apart` microseconds from each other.
pub(crate) fn capture(packets: u64, apart: u64, packet: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    capture_at(packets, |n| n * apart, packet)
}

/// So many packets, each `at` its own microsecond.
pub(crate) fn capture_at(
    packets: u64,
    at: impl Fn(u64) -> u64,
    packet: impl Fn(u64) -> Vec<u8>,
) -> Vec<u8> {
    let mut pcap = Pcap::new(RAW);
    for n in 0..packets {
        let packet = packet(n);
        pcap.push(at(n), &packet, packet.len() as u32);
    }
    pcap.bytes
}

pub(crate) fn syns(packets: u64) -> Vec<u8> {
    capture(packets, 1_000, |n| {
        tcp(
            (somebody(n), 1_024 + n as u16),
            (VICTIM, 80),
            SYN,
            n as u32,
            0,
        )
    })
}

#[test]
fn the_capture_of_this_repository_is_ordinary() {
    let told = run("report web.pcap --json", b"").exits(0).json();
    assert_eq!(
        (&told["class"], &told["source"]["kind"]),
        (&"normal".into(), &"capture".into())
    );
    assert_eq!(
        (&told["max"], &told["traffic"]["packets"]),
        (&262_144.into(), &119.into())
    );
}

#[test]
fn a_flood_of_syns() {
    let told = report("", &syns(2_000));
    assert_eq!(
        (&told["class"], &told["entries"]),
        (&"spoofed_syn_flood".into(), &2_000.into())
    );
    assert_eq!(
        told["top_destinations"][0]["peers"],
        told["spread"]["sources"]
    );
}

#[test]
fn the_fullest_moment_is_reported_unless_another_is_asked_for() {
    // Datagrams live 30 s without an answer; the last two come when the others are gone.
    let mut pcap = Pcap::new(RAW);
    for n in 0..300 {
        let packet = udp((somebody(n), 4_000), (VICTIM, 9_000), 20);
        pcap.push(n * 1_000, &packet, packet.len() as u32);
    }
    for n in 0..2 {
        let packet = udp(([10, 0, 0, 9], 5_000 + n), (VICTIM, 9_000), 20);
        pcap.push(90_000_000, &packet, packet.len() as u32);
    }
    let entries = |at: &str| {
        report(&format!("--at {at}"), &pcap.bytes)["entries"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(
        [entries("fullest"), entries("end"), entries("0.0995")],
        [300, 2, 100]
    );
    let zipped = report("", &gzip(&pcap.bytes));
    assert_eq!(
        (&zipped["entries"], &zipped["source"]["at"]),
        (&300.into(), &0.299.into())
    );
}

#[test]
fn acks_that_leave_no_entry_are_a_flood_all_the_same() {
    let acks = capture(1_500, 1_000, |n| {
        tcp(
            (somebody(n), 1_024 + n as u16),
            (VICTIM, 443),
            ACK,
            n as u32,
            7,
        )
    });
    let refused = report("--sysctl nf_conntrack_tcp_loose=0", &acks);
    assert_eq!(
        (&refused["class"], &refused["entries"]),
        (&"ack_flood".into(), &0.into())
    );
    assert_eq!(refused["refused"]["flows"], 1_500);
    assert_eq!(
        refused["refused"]["top_destinations"][0]["address"],
        "198.51.100.80"
    );
    assert_eq!(
        refused["traffic"]["reasons"][0],
        serde_json::json!(["tcp_new", 1_500])
    );
    let picked_up = report("", &acks);
    assert_eq!(
        (&picked_up["class"], &picked_up["entries"]),
        (&"ack_flood".into(), &1_500.into())
    );
}

#[test]
fn syn_acks_that_nobody_asked_for() {
    let syn_acks = capture(900, 1_000, |n| {
        tcp(
            (somebody(n), 443),
            (VICTIM, 1_024 + n as u16),
            SYN | ACK,
            n as u32,
            7,
        )
    });
    assert_eq!(report("", &syn_acks)["class"], "reflection");
}

#[test]
fn a_scan_of_closed_ports_leaves_no_entry_either() {
    const RST: u8 = 0x04;
    let scan = capture(1_200, 1_000, |n| {
        let (scanner, door) = (([203, 0, 113, 7], 40_000), (VICTIM, 1 + (n / 2) as u16));
        match n % 2 {
            0 => tcp(scanner, door, SYN, 77, 0),
            _ => tcp(door, scanner, RST | ACK, 0, 78),
        }
    });
    let told = report("", &scan);
    assert_eq!(told["class"], "scan");
    assert!(told["entries"].as_u64().unwrap() < 3);
}

#[test]
fn wrong_checksums_are_told_and_not_held_against_the_packets() {
    let mut bytes = syns(400);
    // The checksum of each TCP header: 24 + n × (16 + 40) + 16 + 20 + 16.
    for at in (24..bytes.len()).step_by(56) {
        bytes[at + 16 + 36] ^= 0x55;
    }
    let told = report("", &bytes);
    assert_eq!(
        (&told["class"], &told["entries"]),
        (&"spoofed_syn_flood".into(), &400.into())
    );
    assert!(
        told["source"]["notes"][0]
            .as_str()
            .unwrap()
            .contains("many checksums are wrong")
    );
}

#[test]
fn the_limit_is_that_of_the_replay() {
    let told = report("--max 500", &syns(2_000));
    assert_eq!(
        (&told["entries"], &told["max"], &told["fill"]),
        (&500.into(), &500.into(), &1.0.into())
    );
    assert_eq!(told["class"], "spoofed_syn_flood");
}

#[test]
fn a_cut_capture_is_reported_as_far_as_it_goes() {
    let bytes = syns(300);
    let ran = run("report - --json", &bytes[..bytes.len() - 10]).exits(1);
    assert_eq!(ran.json()["entries"], 299);
    ran.mentions(&["standard input"]);
}
