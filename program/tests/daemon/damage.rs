//! State files that are not as they were written.

use std::fs;

use crate::bench::{Bench, web};

/// A state file of eleven entries.
fn saved(bench: &Bench) -> Vec<u8> {
    let daemon = bench.run(&["--replay", &web(), "--speed", "max"]);
    daemon.says("every packet was replayed");
    assert_eq!(daemon.stop().code(), Some(0));
    fs::read(bench.path("state")).unwrap()
}

/// Starts a daemon on these bytes. => what it says of them.
fn starts_empty_with(bench: &Bench, bytes: &[u8]) -> String {
    let _ = fs::remove_file(bench.path("state.refused-1"));
    fs::write(bench.path("state"), bytes).unwrap();
    let mut daemon = bench.run(&[]);
    assert_eq!(bench.asks(&["-C"]), "0\n");
    let log = daemon.log();
    daemon.child.kill().unwrap();
    daemon.ends();
    assert!(
        log.contains("state.refused-1, and the table begins empty"),
        "{log}"
    );
    assert_eq!(
        fs::read(bench.path("state.refused-1")).unwrap(),
        bytes,
        "it is kept as it was"
    );
    assert!(!bench.path("state").exists());
    log
}

#[test]
fn each_kind_of_damage_is_refused_by_name_and_set_aside() {
    let bench = Bench::new();
    let good = saved(&bench);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    let cases: [(Vec<u8>, &str); 10] = [
        (b"something else".to_vec(), "it is no state file"),
        (vec![0; 4096], "it is no state file"),
        (Vec::new(), "it is no state file"),
        (
            changed(8, 3),
            "it has version 2, and only version 1 can be read",
        ),
        (good[..3].to_vec(), "it is cut short: it has 3 of 48 bytes"),
        (
            good[..20].to_vec(),
            "it is cut short: it has 20 of 48 bytes",
        ),
        (good[..good.len() - 1].to_vec(), "it is cut short: it has"),
        (changed(20, 1), "the checksum of its header is wrong"),
        (
            changed(good.len() / 2, 0x40),
            "the checksum of its entries is wrong",
        ),
        (
            [&good[..], b"more"].concat(),
            "it has more bytes than it should",
        ),
    ];
    for (bytes, expected) in cases {
        let log = starts_empty_with(&bench, &bytes);
        assert!(log.contains(expected), "{expected}\nis not in\n{log}");
    }
    // One that is whole is still taken.
    fs::write(bench.path("state"), &good).unwrap();
    let daemon = bench.run(&[]);
    assert!(
        daemon.log().contains("11 entries were taken back"),
        "{}",
        daemon.log()
    );
}

#[test]
fn refused_files_do_not_replace_each_other() {
    let bench = Bench::new();
    for number in 1..=3 {
        fs::write(bench.path("state"), format!("foreign {number}")).unwrap();
        drop(bench.run(&[]));
    }
    for number in 1..=3 {
        let name = format!("state.refused-{number}");
        assert_eq!(bench.text_of(&name), format!("foreign {number}"));
    }
}

#[test]
fn entries_that_make_no_sense_behind_a_right_checksum_are_left_out() {
    let bench = Bench::new();
    let good = saved(&bench);
    // Zeros in the middle of the first message, and checksums as a forger would make them.
    let mut forged = good.clone();
    forged[48 + 24..48 + 64].fill(0);
    let body = crc32(&forged[48..]);
    forged[40..44].copy_from_slice(&body.to_le_bytes());
    let header = crc32(&forged[..44]);
    forged[44..48].copy_from_slice(&header.to_le_bytes());
    fs::write(bench.path("state"), &forged).unwrap();
    let daemon = bench.run(&[]);
    assert!(
        daemon.log().contains("10 entries were taken back"),
        "{}",
        daemon.log()
    );
    assert!(
        daemon.log().contains("1 entries do not fit"),
        "{}",
        daemon.log()
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            crc >> 1 ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
