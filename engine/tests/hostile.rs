//! Hostile bytes, in any order, at any time. What must hold is in `hostile/drive.rs`, which the fuzzers
//! share: an input that a fuzzer found is given to `drive` in a test named by what was wrong.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::expect_used)]

#[path = "hostile/drive.rs"]
mod drive;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The numbers of all link types, as `drive` writes them.
fn link_types() -> Vec<u8> {
    let known = |number: &u8| drive::link_type(*number).is_some();
    (0..=u8::MAX).filter(known).collect()
}

/// `captures/web.pcap`.
fn web() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures/web.pcap");
    std::fs::read(file).expect("the capture of the repository")
}

/// The frames of `captures/web.pcap`, which are Ethernet, and what stands before each of them.
fn records() -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = web();
    let (mut at, mut records) = (24, Vec::new());
    while at < bytes.len() {
        let length = bytes[at + 8..at + 12].try_into().expect("four bytes");
        let end = at + 16 + u32::from_le_bytes(length) as usize;
        records.push((bytes[at..at + 16].to_vec(), bytes[at + 16..end].to_vec()));
        at = end;
    }
    records
}

/// Bytes that are changed, at places that fit any length.
fn changes() -> impl Strategy<Value = Vec<(Index, u8)>> {
    vec((any::<Index>(), any::<u8>()), 0..6)
}

fn change(bytes: &mut [u8], changes: &[(Index, u8)]) {
    for (place, value) in changes {
        if !bytes.is_empty() {
            bytes[place.index(bytes.len())] = *value;
        }
    }
}

/// A record at any time with a length that may lie, of a real frame that was changed and perhaps cut.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let frame = (select(records()), changes(), any::<Index>(), any::<bool>());
    let lies = prop_oneof![8 => Just(None), 1 => any::<[u8; 16]>().prop_map(Some)];
    (frame, lies).prop_map(|(((header, mut frame), changes, end, is_cut), lies)| {
        change(&mut frame, &changes);
        if is_cut {
            frame.truncate(end.index(frame.len() + 1));
        }
        let mut record = lies.map_or(header, Vec::from);
        record[8..12].copy_from_slice(&(frame.len() as u32).to_le_bytes());
        record.extend(frame);
        record
    })
}

/// A file header: any limit, any switches, batches of any length, this link type.
fn header(link_type: u8) -> impl Strategy<Value = Vec<u8>> {
    (0_u8..20, any::<u8>(), any::<u8>()).prop_map(move |(limit, switches, length)| {
        let mut header = vec![0; 24];
        (header[8], header[9], header[10]) = (limit, switches, length);
        header[20] = link_type;
        header
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(link in select(link_types()), mut frame in vec(any::<u8>(), 0..200)) {
        frame.insert(0, link);
        drive::packet(&frame);
    }

    #[test]
    fn real_frames_that_were_changed_are_read_or_refused(
        (_, mut frame) in select(records()),
        changes in changes(),
    ) {
        change(&mut frame, &changes);
        frame.insert(0, 1);
        drive::packet(&frame);
    }

    #[test]
    fn any_ip_packets_at_any_time_leave_a_table_within_its_limit_that_ends(
        mut file in header(101),
        packets in vec((any::<[u8; 16]>(), select(&[0x45_u8, 0x46, 0x60][..]), vec(any::<u8>(), 0..120)), 0..20),
    ) {
        for (mut record, version, mut packet) in packets {
            packet.insert(0, version);
            record[8..12].copy_from_slice(&(packet.len() as u32).to_le_bytes());
            file.extend([&record[..], &packet].concat());
        }
        drive::track(&file);
    }

    #[test]
    fn real_frames_changed_and_shuffled_leave_a_table_within_its_limit_that_ends(
        header in header(1),
        records in vec(record(), 0..60),
    ) {
        drive::track(&[header, records.concat()].concat());
    }
}

#[test]
fn a_real_capture_leaves_a_table_within_its_limit_that_ends() {
    let mut file = web();
    for limit in 0..20 {
        for switches in 0..=u8::MAX {
            (file[8], file[9], file[10]) = (limit, switches, limit * 3);
            drive::track(&file);
        }
    }
}

#[test]
fn real_frames_are_read_however_they_are_cut() {
    for (_, mut frame) in records() {
        frame.insert(0, 1);
        drive::packet(&frame);
    }
}
