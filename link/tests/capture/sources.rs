//! Where the bytes come from: files, gzip, slow pipes; and what is said about progress.

use std::fs;
use std::io::{self, Read, Write};
use std::sync::mpsc;

use crate::build::*;
use ip_conntrack_link::Capture;

/// A pcap file of about 1 MB, larger than the window several times over.
fn large() -> Vec<u8> {
    let mut file = Out::new(Order::Little).pcap(MICRO, 1);
    for i in 0..3_000_u32 {
        file = file.record(i, i, &vec![i as u8; (i % 700) as usize]);
    }
    file.bytes
}

#[test]
fn file_on_disk_has_a_name_a_size_and_an_end() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("edge.pcap");
    let bytes = large();
    fs::write(&path, &bytes).unwrap();

    let mut capture = Capture::open(&path).unwrap();
    assert_eq!(capture.name(), path.to_str().unwrap());
    assert_eq!(capture.size(), Some(bytes.len() as u64));
    assert!(
        capture.consumed() < bytes.len() as u64,
        "read whole when opened"
    );
    while let Some(frame) = capture.next_frame().unwrap() {
        let (index, length) = (frame.index, frame.bytes.len() as u64);
        assert_eq!(length, index % 700);
        assert!(frame.bytes.iter().all(|byte| *byte == index as u8));
        assert!(frame.offset + 16 + length <= bytes.len() as u64);
    }
    assert_eq!(capture.consumed(), bytes.len() as u64);
    assert!(capture.next_frame().unwrap().is_none(), "the end is no end");
}

#[test]
fn gzip_reads_as_the_file_inside() {
    let place = tempfile::tempdir().unwrap();
    for (i, bytes) in samples().into_iter().chain([large()]).enumerate() {
        let path = place.path().join(format!("{i}.gz"));
        let packed = gzip(&bytes);
        fs::write(&path, &packed).unwrap();
        let capture = Capture::open(&path).unwrap();
        assert_eq!(capture.size(), Some(packed.len() as u64));
        let (packets, error) = drain(capture);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets, read_sound(&bytes));
    }
}

#[test]
fn progress_through_gzip_is_counted_in_compressed_bytes() {
    let packed = gzip(&large());
    let mut capture = capture(&packed).unwrap();
    while capture.next_frame().unwrap().is_some() {
        assert!(capture.consumed() <= packed.len() as u64);
    }
    assert_eq!(capture.consumed(), packed.len() as u64);
}

#[test]
fn gzip_of_several_members_is_one_file() {
    let bytes = large();
    let (left, right) = bytes.split_at(bytes.len() / 2 + 5);
    assert_eq!(
        read_sound(&[gzip(left), gzip(b""), gzip(right)].concat()),
        read_sound(&bytes)
    );
}

#[test]
fn a_byte_at_a_time_reads_as_the_file_at_once() {
    for bytes in samples() {
        for stored in [bytes.clone(), gzip(&bytes)] {
            let reader = Box::new(Trickle::new(&stored));
            let capture = Capture::from_reader("pipe".to_owned(), reader, None).unwrap();
            assert_eq!(capture.size(), None);
            let (packets, error) = drain(capture);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(packets, read_sound(&bytes));
        }
    }
}

/// The far end of a pipe: blocks until something is sent.
struct Pipe(mpsc::Receiver<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let sent = self.0.try_recv().expect("read before it had to be");
        buffer.write_all(&sent)?;
        Ok(sent.len())
    }
}

#[test]
fn packets_come_out_of_a_pipe_as_they_come_in() {
    let (sender, receiver) = mpsc::channel();
    let header = Out::new(Order::Little).pcap(MICRO, 1).bytes;
    sender.send(header).unwrap();
    let mut capture = Capture::from_reader("pipe".to_owned(), Box::new(Pipe(receiver)), None);
    let capture = capture.as_mut().unwrap();
    for i in 0..5 {
        sender
            .send(Out::new(Order::Little).record(i, 0, b"abc").bytes)
            .unwrap();
        let frame = capture.next_frame().unwrap().unwrap();
        assert_eq!((frame.index, frame.bytes), (u64::from(i), &b"abc"[..]));
    }
}

/// Yields some bytes, then fails.
struct Failing(io::Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn read_error_comes_after_the_packets_before_it() {
    let file = Out::new(Order::Little)
        .pcap(MICRO, 1)
        .record(1, 0, b"abcd")
        .bytes;
    let reader = Box::new(Failing(io::Cursor::new(file)));
    let capture = Capture::from_reader("disk".to_owned(), reader, None).unwrap();
    let (packets, error) = drain(capture);
    assert_eq!(packets.len(), 1);
    let text = "disk: offset 44: cannot be read: the disk is gone";
    assert_eq!(error.unwrap().to_string(), text);
}
