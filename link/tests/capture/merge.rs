//! Several captures in the order of time.

use crate::build::*;
use ip_conntrack_link::{Capture, MAX_BATCH, Merge};

/// A capture with a packet at each of these seconds.
fn at(seconds: &[u32]) -> Vec<u8> {
    let file = Out::new(Order::Little).pcap(MICRO, 1);
    seconds
        .iter()
        .fold(file, |file, s| file.record(*s, 0, &s.to_be_bytes()))
        .bytes
}

/// What a merge of these files yields: (file, second), or (file, message).
fn merged(files: &[Vec<u8>]) -> Vec<(usize, Result<u32, String>)> {
    let captures: Vec<Capture> = files.iter().map(|file| capture(file).unwrap()).collect();
    let mut merge = Merge::new(captures);
    let mut seen = Vec::new();
    while let Some(next) = merge.next_frames() {
        match next {
            Ok((file, frames)) => {
                assert!((1..=MAX_BATCH).contains(&frames.len()));
                seen.extend(frames.map(|frame| {
                    let second = u32::from_be_bytes(frame.bytes.try_into().unwrap());
                    assert_eq!(frame.time_ns, u64::from(second) * 1_000_000_000);
                    (file, Ok(second))
                }));
            }
            Err((file, error)) => seen.push((file, Err(error.to_string()))),
        }
    }
    assert!(merge.next_frames().is_none(), "the end is no end");
    seen
}

/// The same, of files without defects.
fn order(files: &[Vec<u8>]) -> Vec<(usize, u32)> {
    merged(files)
        .into_iter()
        .map(|(file, second)| (file, second.unwrap()))
        .collect()
}

#[test]
fn earliest_packet_of_all_files_is_first() {
    let files = [at(&[3, 4, 9]), at(&[1, 5]), at(&[]), at(&[2, 10])];
    let expected = [(1, 1), (3, 2), (0, 3), (0, 4), (1, 5), (0, 9), (3, 10)];
    assert_eq!(order(&files), expected);
}

#[test]
fn equal_times_go_in_the_order_of_the_files() {
    let files = [at(&[5, 5]), at(&[5]), at(&[4, 5])];
    assert_eq!(order(&files), [(2, 4), (0, 5), (0, 5), (1, 5), (2, 5)]);
}

#[test]
fn a_clock_that_runs_backwards_keeps_the_order_of_its_file() {
    let files = [at(&[10, 2, 20]), at(&[1, 15])];
    assert_eq!(order(&files), [(1, 1), (0, 10), (0, 2), (1, 15), (0, 20)]);
}

#[test]
fn one_file_is_read_as_it_is() {
    assert_eq!(order(&[at(&[3, 1, 2])]), [(0, 3), (0, 1), (0, 2)]);
    assert_eq!(order(&[]), []);
}

#[test]
fn an_error_ends_its_file_and_no_other() {
    let mut cut = at(&[2, 3, 4]);
    cut.truncate(cut.len() - 1);
    let seen = merged(&[at(&[1, 6]), cut, at(&[5])]);
    let files: Vec<_> = seen
        .iter()
        .map(|(file, s)| (*file, s.as_ref().ok().copied()))
        .collect();
    let expected = [
        (0, Some(1)),
        (1, Some(2)),
        (1, Some(3)),
        (1, None),
        (2, Some(5)),
        (0, Some(6)),
    ];
    assert_eq!(files, expected);
    let error = seen[3].1.as_ref().unwrap_err();
    assert!(
        error.starts_with("test: offset 64: cut in the middle of a packet: 3 of 4"),
        "{error}"
    );
}

#[test]
fn captures_are_known_by_their_place() {
    let files = [at(&[1]), at(&[2, 3])];
    let mut merge = Merge::new(files.iter().map(|file| capture(file).unwrap()).collect());
    while merge.next_frames().is_some() {}
    let consumed: Vec<_> = merge.captures().iter().map(Capture::consumed).collect();
    assert_eq!(consumed, [44, 64]);
}
