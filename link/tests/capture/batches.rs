//! Several packets at once.

use std::io::{self, Read};

use crate::build::*;
use ip_conntrack_link::{Capture, MAX_BATCH, Merge};

/// A capture of many packets of different lengths, larger than the window.
fn large() -> Vec<u8> {
    let mut file = Out::new(Order::Little).pcap(MICRO, 1);
    for i in 0..2_000_u32 {
        file = file.record(i, i, &vec![i as u8; (i % 300) as usize]);
    }
    file.bytes
}

/// All packets of a capture, read several at a time, and how many there were each time.
fn in_batches(mut capture: Capture) -> (Vec<Packet>, Vec<usize>) {
    let (mut packets, mut lengths) = (Vec::new(), Vec::new());
    while let Some(frames) = capture.next_frames().unwrap() {
        lengths.push(frames.len());
        packets.extend(frames.map(|frame| Packet::of(&frame)));
    }
    (packets, lengths)
}

#[test]
fn batches_hold_what_is_read_one_at_a_time() {
    for bytes in samples().into_iter().chain([large()]) {
        let (packets, lengths) = in_batches(capture(&bytes).unwrap());
        assert_eq!(packets, read_sound(&bytes));
        assert!(
            lengths
                .iter()
                .all(|length| (1..=MAX_BATCH).contains(length))
        );
    }
}

#[test]
fn a_batch_is_full_unless_the_window_or_the_file_ends() {
    let (_, lengths) = in_batches(capture(&large()).unwrap());
    let short = lengths.iter().filter(|length| **length < MAX_BATCH).count();
    assert!(short <= 5, "{lengths:?}");
}

#[test]
fn one_and_several_take_turns() {
    let bytes = large();
    let mut capture = capture(&bytes).unwrap();
    let mut packets = Vec::new();
    while let Some(frame) = capture.next_frame().unwrap() {
        packets.push(Packet::of(&frame));
        let frames = capture.next_frames().unwrap().into_iter().flatten();
        packets.extend(frames.map(|frame| Packet::of(&frame)));
    }
    assert_eq!(packets, read_sound(&bytes));
}

#[test]
fn an_error_comes_after_the_packets_before_it() {
    let mut bytes = Out::new(Order::Little).pcap(MICRO, 1).record(1, 0, b"abc");
    bytes = bytes.record(2, 0, b"def");
    bytes.bytes.pop();
    let mut capture = capture(&bytes.bytes).unwrap();
    assert_eq!(capture.next_frames().unwrap().unwrap().len(), 1);
    let error = capture.next_frames().unwrap_err();
    assert_eq!(error.offset, 43);
    assert!(capture.next_frames().unwrap().is_none());
}

/// Yields the pieces one at a time.
struct Pieces(std::vec::IntoIter<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.next().unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn nothing_is_read_for_more_than_the_first_of_a_batch() {
    let record = |i| Out::new(Order::Little).record(i, 0, b"abcd").bytes;
    let header = Out::new(Order::Little).pcap(MICRO, 1).bytes;
    let half = record(4)[..11].to_vec();
    let rest = record(4)[11..].to_vec();
    let pieces = vec![
        header,
        record(1),
        [record(2), record(3), half].concat(),
        rest,
    ];
    let reader = Box::new(Pieces(pieces.into_iter()));
    let capture = Capture::from_reader("pipe".to_owned(), reader, None).unwrap();
    let (packets, lengths) = in_batches(capture);
    assert_eq!(lengths, [1, 2, 1]);
    assert!(
        packets
            .iter()
            .map(|packet| packet.time_ns / 1_000_000_000)
            .eq(1..=4)
    );
}

#[test]
fn the_state_of_pcapng_survives_a_batch_that_ends_in_the_middle_of_a_section() {
    let file = Out::new(Order::Little)
        .section()
        .interface(1)
        .enhanced(0, 7, b"abc");
    let head = file.bytes.clone();
    let section = Out::new(Order::Big)
        .section()
        .interface(101)
        .enhanced(0, 9, b"de")
        .bytes;
    for cut in 1..section.len() {
        let (left, right) = section.split_at(cut);
        let pieces = vec![[head.as_slice(), left].concat(), right.to_vec()];
        let reader = Box::new(Pieces(pieces.into_iter()));
        let capture = Capture::from_reader("pipe".to_owned(), reader, None).unwrap();
        let (packets, _) = in_batches(capture);
        let whole = [head.as_slice(), section.as_slice()].concat();
        assert_eq!(packets, read_sound(&whole), "cut at {cut}");
    }
}

#[test]
fn of_several_files_as_many_as_come_before_the_others_are_lent() {
    let at = |seconds: &mut dyn Iterator<Item = u32>| {
        let file = Out::new(Order::Little).pcap(MICRO, 1);
        capture(&seconds.fold(file, |file, s| file.record(s, 0, b"x")).bytes).unwrap()
    };
    let mut merge = Merge::new(vec![at(&mut (0..50)), at(&mut [10, 40, 60].into_iter())]);
    let mut batches = Vec::new();
    while let Some(Ok((file, frames))) = merge.next_frames() {
        let seconds: Vec<_> = frames.map(|frame| frame.time_ns / 1_000_000_000).collect();
        batches.push((file, seconds[0], seconds[seconds.len() - 1]));
    }
    let expected = [
        (0, 0, 10),
        (1, 10, 10),
        (0, 11, 31),
        (0, 32, 40),
        (1, 40, 40),
        (0, 41, 49),
        (1, 60, 60),
    ];
    assert_eq!(batches, expected);
}
