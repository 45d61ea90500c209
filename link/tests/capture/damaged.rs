//! Files with a defect: what is before it is delivered, and the message says where and what it is.

use crate::build::*;
use ip_conntrack_link::{Capture, CaptureErrorKind, Part};

/// Two packets of 60 bytes in pcap, and the offset of the second.
fn two_packets() -> (Vec<u8>, usize) {
    let file = Out::new(Order::Little)
        .pcap(MICRO, 1)
        .record(1, 0, &[1; 60]);
    let second = file.bytes.len();
    (file.record(2, 0, &[2; 60]).bytes, second)
}

/// One packet in pcapng, and the file so far.
fn one_packet() -> (Out, usize) {
    let file = Out::new(Order::Little)
        .section()
        .interface(1)
        .enhanced(0, 1, &[1; 60]);
    let end = file.bytes.len();
    (file, end)
}

#[test]
fn empty_file() {
    let (frames, error) = read_broken(b"");
    assert_eq!(frames, 0);
    assert_eq!(
        error,
        "test: offset 0: the file is empty, it has not even a header"
    );
    assert!(matches!(
        read(&gzip(b"")).1.unwrap().kind,
        CaptureErrorKind::Empty
    ));
}

#[test]
fn not_a_capture_says_what_the_file_begins_with() {
    let (_, error) = read_broken(b"\x7fELF\x02\x01\x01\x00\x00\x00");
    let begins = r#"it begins with 7f 45 4c 46 02 01 01 00 ("\x7fELF\x02\x01\x01\x00")"#;
    assert!(error.contains(begins), "{error}");
    assert!(error.contains("pcap and pcapng are read"), "{error}");
    assert!(read_broken(b"a").1.contains(r#"it begins with 61 ("a")"#));
    assert!(read_broken(&gzip(b"hello")).1.contains(r#"("hello")"#));
}

#[test]
fn other_compressions_are_named() {
    let (_, error) = read_broken(b"\x28\xb5\x2f\xfd\x00\x00\x00\x00");
    assert!(
        error.contains("this is zstd: decompress it first"),
        "{error}"
    );
    let (_, error) = read_broken(&gzip(&gzip(&two_packets().0)));
    assert!(error.contains("gzip inside of gzip"), "{error}");
}

#[test]
fn cut_at_any_place_delivers_what_is_before_and_says_how_much_is_there() {
    let (file, second) = two_packets();
    for length in 4..file.len() {
        let (packets, error) = read(&file[..length]);
        let expected = match length {
            ..24 => (0, Some((0, Part::FileHeader, length, 24))),
            24 => (0, None),
            25..40 => (0, Some((24, Part::PacketHeader, length - 24, 16))),
            40..100 => (0, Some((24, Part::Packet, length - 40, 60))),
            100 => (1, None),
            101..116 => (1, Some((second, Part::PacketHeader, length - second, 16))),
            _ => (1, Some((second, Part::Packet, length - second - 16, 60))),
        };
        let cut = error.map(|error| match error.kind {
            CaptureErrorKind::Cut { part, have, want } => {
                (error.offset as usize, part, have as usize, want as usize)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!((packets.len(), cut), expected, "{length} bytes");
    }
}

#[test]
fn cut_packet_is_said_in_words() {
    let (file, _) = two_packets();
    let (frames, error) = read_broken(&file[..file.len() - 16]);
    assert_eq!(frames, 1);
    let text = "test: offset 100: cut in the middle of a packet: 44 of 60 bytes";
    assert!(error.starts_with(text), "{error}");
}

#[test]
fn cut_block() {
    let (file, second) = one_packet();
    let file = file.enhanced(0, 2, &[2; 60]).bytes;
    for length in second + 1..file.len() {
        let (packets, error) = read(&file[..length]);
        let error = error.unwrap();
        assert_eq!((packets.len(), error.offset), (1, second as u64));
        let CaptureErrorKind::Cut { part, have, want } = error.kind else {
            panic!("{error:?}");
        };
        let have_now = (length - second) as u64;
        let (part_now, want_now) = if have_now < 12 {
            (Part::BlockHeader, 12)
        } else {
            (Part::Block, 92)
        };
        assert_eq!((part, have, want), (part_now, have_now, want_now));
    }
}

#[test]
fn packet_length_that_lies_is_named_with_its_offset() {
    let (file, second) = two_packets();
    for lie in [1024 * 1024 + 1, 0x8000_0000, u32::MAX] {
        let mut file = file.clone();
        file[second + 8..second + 12].copy_from_slice(&lie.to_le_bytes());
        let (frames, error) = read_broken(&file);
        assert_eq!(frames, 1);
        let text = format!("test: offset {second}: a packet of {lie} bytes is not believed");
        assert!(error.starts_with(&text), "{error}");
    }
}

#[test]
fn block_length_that_lies_is_named_with_its_offset() {
    let (file, second) = one_packet();
    for (lie, text) in [
        (0, "a block cannot be 0 bytes long"),
        (8, "a block cannot be 8 bytes long"),
        (33, "a block cannot be 33 bytes long"),
        (
            16 * 1024 * 1024 + 4,
            "a block of 16777220 bytes is not believed",
        ),
        (u32::MAX, "a block of 4294967295 bytes is not believed"),
    ] {
        let broken = file.clone().u32(6).u32(lie).raw(&[0; 60]).bytes;
        let (frames, error) = read_broken(&broken);
        assert_eq!(frames, 1);
        assert!(
            error.starts_with(&format!("test: offset {second}: {text}")),
            "{error}"
        );
    }
}

#[test]
fn block_whose_lengths_differ() {
    let (file, second) = one_packet();
    let broken = file.u32(77).u32(16).u32(0).u32(20).raw(&[0; 60]).bytes;
    let (frames, error) = read_broken(&broken);
    assert_eq!(frames, 1);
    let text = format!("test: offset {second}: a block of 16 bytes says at its end that it has 20");
    assert!(error.starts_with(&text), "{error}");
}

#[test]
fn block_too_short_for_its_type() {
    for (kind, least) in [(1, 20), (2, 32), (3, 16), (6, 32)] {
        let (file, _) = one_packet();
        let (frames, error) = read_broken(&file.block(kind, |b| b).bytes);
        assert_eq!(frames, 1);
        let text = format!("a block of type {kind} has at least {least} bytes, this one has 12");
        assert!(error.contains(&text), "{error}");
    }
}

#[test]
fn packet_longer_than_its_block() {
    for kind in [2, 6] {
        let (file, _) = one_packet();
        let file = file.block(kind, |b| b.u32(0).u32(0).u32(0).u32(9).u32(9).raw(&[0; 8]));
        let (frames, error) = read_broken(&file.bytes);
        assert_eq!(frames, 1);
        assert!(error.contains("a packet of 9 bytes does not fit its block, which has 8"));
    }
}

#[test]
fn packet_of_an_interface_that_is_not_there() {
    let (file, second) = one_packet();
    let (frames, error) = read_broken(&file.enhanced(1, 0, b"abcd").bytes);
    assert_eq!(frames, 1);
    let text = "a packet names interface 1, but the section describes only 1";
    assert_eq!(error, format!("test: offset {second}: {text}"));

    let (_, error) = read_broken(&Out::new(Order::Big).section().simple(b"abcd").bytes);
    assert!(
        error.contains("names interface 0, but the section describes only 0"),
        "{error}"
    );
}

#[test]
fn option_longer_than_its_block() {
    let file = Out::new(Order::Big).section();
    let file = file.block(1, |b| b.u16(1).u16(0).u32(0).u16(9).u16(5).u32(0));
    let (_, error) = read_broken(&file.bytes);
    assert!(
        error.contains("option 9 of 5 bytes does not fit its block, which has 4"),
        "{error}"
    );
}

#[test]
fn section_without_a_byte_order() {
    let file = Out::new(Order::Little).block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4e).u32(1).i64(-1));
    let (_, error) = read_broken(&file.bytes);
    assert!(error.contains("byte-order mark is 4e 3c 2b 1a"), "{error}");
}

#[test]
fn interfaces_are_counted_and_bounded() {
    let most = ip_conntrack_link::capture::MAX_INTERFACES;
    let mut file = Out::new(Order::Little).section();
    for _ in 0..most {
        file = file.interface(1);
    }
    let file = file.enhanced(most as u32 - 1, 0, b"");
    assert_eq!(
        read_sound(&file.clone().section().interface(1).bytes).len(),
        1
    );
    let (frames, error) = read_broken(&file.interface(1).bytes);
    assert_eq!(frames, 1);
    assert!(
        error.ends_with("a section describes more than 65536 interfaces"),
        "{error}"
    );
}

#[test]
fn damaged_gzip_is_not_taken_for_a_cut_capture() {
    let mut file = Out::new(Order::Little).pcap(MICRO, 1);
    for i in 0..20_000_u32 {
        file = file.record(i, 0, &i.wrapping_mul(2_654_435_761).to_le_bytes().repeat(4));
    }
    let packed = gzip(&file.bytes);

    let (packets, error) = read(&packed[..packed.len() / 2]);
    assert!(packets.len() > 1_000, "only {} packets", packets.len());
    let error = error.unwrap();
    assert!(matches!(error.kind, CaptureErrorKind::Gzip(_)), "{error:?}");
    assert!(
        error.to_string().contains("test it with gzip -t"),
        "{error}"
    );

    let mut broken = packed.clone();
    let middle = packed.len() / 2;
    broken[middle..middle + 64].fill(0xff);
    let (_, error) = read(&broken);
    assert!(error.is_some(), "damage was not noticed");

    let mut broken = packed;
    let checksum = broken.len() - 8;
    broken[checksum] ^= 1;
    let (packets, error) = read(&broken);
    assert_eq!(packets.len(), 20_000);
    assert!(matches!(error.unwrap().kind, CaptureErrorKind::Gzip(_)));
}

#[test]
fn file_that_is_not_there_is_named() {
    let place = tempfile::tempdir().unwrap().path().join("no-such.pcap");
    let error = Capture::open(&place).unwrap_err();
    assert!(matches!(error.kind, CaptureErrorKind::Open(_)));
    let text = format!("{}: cannot be opened: ", place.display());
    assert!(error.to_string().starts_with(&text), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn directory_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    assert!(Capture::open(place.path()).is_err());
}
