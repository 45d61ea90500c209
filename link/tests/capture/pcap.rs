//! pcap files that are sound.

use crate::build::*;

#[test]
fn microseconds_in_both_byte_orders() {
    for order in ORDERS {
        let file = Out::new(order)
            .pcap(MICRO, 1)
            .record(1_700_000_000, 123_456, b"abcd");
        let packets = read_sound(&file.record(1_700_000_001, 7, b"ef").bytes);
        let first = Packet {
            time_ns: 1_700_000_000_123_456_000,
            link_type: 1,
            bytes: b"abcd".to_vec(),
            wire_len: 4,
            index: 0,
            offset: 24,
        };
        let second = Packet {
            time_ns: 1_700_000_001_000_007_000,
            link_type: 1,
            bytes: b"ef".to_vec(),
            wire_len: 2,
            index: 1,
            offset: 24 + 16 + 4,
        };
        assert_eq!(packets, [first, second], "{order:?}");
    }
}

#[test]
fn nanoseconds_in_both_byte_orders() {
    for order in ORDERS {
        let file = Out::new(order)
            .pcap(NANO, 1)
            .record(9, 123_456_789, b"abcd");
        let packets = read_sound(&file.bytes);
        assert_eq!(packets[0].time_ns, 9_123_456_789, "{order:?}");
    }
}

#[test]
fn modified_format_has_eight_more_bytes_before_a_packet() {
    for order in ORDERS {
        let mut file = Out::new(order).pcap(MODIFIED, 113);
        for packet in [b"abcd", b"efgh"] {
            file = file
                .u32(2)
                .u32(3)
                .u32(4)
                .u32(90)
                .raw(&[0xee; 8])
                .raw(packet);
        }
        let packets = read_sound(&file.bytes);
        assert_eq!(packets.len(), 2, "{order:?}");
        assert_eq!(packets[1].time_ns, 2_000_003_000);
        assert_eq!((packets[1].link_type, packets[1].wire_len), (113, 90));
        assert_eq!(
            (packets[1].bytes.as_slice(), packets[1].offset),
            (&b"efgh"[..], 52)
        );
    }
}

#[test]
fn link_type_is_the_low_half_of_its_field() {
    let file = Out::new(Order::Big)
        .pcap(MICRO, 0xf400_0114)
        .record(0, 0, b"x");
    assert_eq!(read_sound(&file.bytes)[0].link_type, 0x114);
}

#[test]
fn wire_length_is_kept_when_longer_and_raised_when_shorter() {
    let file = Out::new(Order::Little).pcap(MICRO, 1);
    let file = file.u32(0).u32(0).u32(4).u32(1500).raw(b"abcd");
    let file = file.u32(0).u32(0).u32(4).u32(3).raw(b"abcd");
    let lengths: Vec<_> = read_sound(&file.bytes).iter().map(|p| p.wire_len).collect();
    assert_eq!(lengths, [1500, 4]);
}

#[test]
fn absurd_fraction_of_a_second_is_added() {
    let file = Out::new(Order::Little)
        .pcap(MICRO, 1)
        .record(10, 2_500_000, b"");
    let packets = read_sound(&file.record(u32::MAX, u32::MAX, b"").bytes);
    assert_eq!(packets[0].time_ns, 12_500_000_000);
    let most = u64::from(u32::MAX);
    assert_eq!(packets[1].time_ns, most * 1_000_000_000 + most * 1_000);
}

#[test]
fn packet_without_bytes_is_a_packet() {
    let file = Out::new(Order::Little)
        .pcap(MICRO, 1)
        .record(1, 0, b"")
        .record(2, 0, b"");
    assert_eq!(read_sound(&file.bytes).len(), 2);
}

#[test]
fn header_alone_is_a_capture_without_packets() {
    assert_eq!(read_sound(&Out::new(Order::Big).pcap(NANO, 1).bytes), []);
}

#[test]
fn largest_packet_is_read() {
    let packet = vec![5; ip_conntrack_link::capture::MAX_PACKET];
    let file = Out::new(Order::Little)
        .pcap(MICRO, 1)
        .record(1, 0, &packet)
        .record(2, 0, b"x");
    let packets = read_sound(&file.bytes);
    assert!(packets[0].bytes == packet);
    assert_eq!(packets[1].bytes, b"x");
}
