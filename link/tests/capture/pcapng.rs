//! pcapng files that are sound.

use crate::build::*;

const SECOND: u64 = 1_000_000_000;

/// The time of one packet with this resolution, offset and stamp.
fn time_of(tsresol: u8, offset: i64, stamp: u64) -> u64 {
    let times: Vec<_> = ORDERS
        .iter()
        .map(|order| {
            let file = Out::new(*order).section().timed_interface(tsresol, offset);
            read_sound(&file.enhanced(0, stamp, b"abcde").bytes)[0].time_ns
        })
        .collect();
    assert_eq!(times[0], times[1], "the byte orders differ");
    times[0]
}

#[test]
fn enhanced_packets_in_both_byte_orders() {
    for order in ORDERS {
        let stamp = 1_700_000_000_123_456;
        let file = Out::new(order)
            .section()
            .interface(276)
            .enhanced(0, stamp, b"abcde");
        let packet = Packet {
            time_ns: stamp * 1_000,
            link_type: 276,
            bytes: b"abcde".to_vec(),
            wire_len: 5,
            index: 0,
            offset: 28 + 20,
        };
        assert_eq!(read_sound(&file.bytes), [packet], "{order:?}");
    }
}

#[test]
fn resolutions_that_are_powers_of_ten() {
    assert_eq!(time_of(0, 0, 7), 7 * SECOND);
    assert_eq!(time_of(3, 0, 7_001), 7_001_000_000);
    assert_eq!(time_of(6, 0, 7_000_001), 7_000_001_000);
    assert_eq!(
        time_of(9, 0, 1_722_705_809_121_409_461),
        1_722_705_809_121_409_461
    );
    assert_eq!(time_of(12, 0, 7_000_000_001_999), 7_000_000_001);
    assert_eq!(time_of(127, 0, u64::MAX), 0);
}

#[test]
fn resolutions_that_are_powers_of_two() {
    assert_eq!(time_of(0x80, 0, 7), 7 * SECOND);
    assert_eq!(time_of(0x80 | 10, 0, 1024 + 512), 1_500_000_000);
    assert_eq!(time_of(0x80 | 30, 0, 7 << 30 | 1), 7 * SECOND);
    assert_eq!(
        time_of(0x80 | 32, 0, 7 << 32 | 1 << 31),
        7 * SECOND + SECOND / 2
    );
    assert_eq!(time_of(0xff, 0, u64::MAX), 0);
}

#[test]
fn offset_of_time_stamps_is_in_seconds_and_has_a_sign() {
    assert_eq!(time_of(6, 100, 5), 100 * SECOND + 5_000);
    assert_eq!(time_of(6, -2, 3_000_001), SECOND + 1_000);
}

#[test]
fn times_that_do_not_fit_are_clamped() {
    assert_eq!(time_of(0, 0, u64::MAX), u64::MAX);
    assert_eq!(time_of(0x80, 0, u64::MAX), u64::MAX);
    assert_eq!(time_of(6, -100, 5), 0);
    assert_eq!(time_of(9, i64::MAX, u64::MAX), u64::MAX);
    assert_eq!(time_of(9, i64::MIN, 5), 0);
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    let file = Out::new(Order::Little)
        .section()
        .interface(101)
        .timed_interface(9, 0);
    let file = file
        .enhanced(1, 5, b"ab")
        .enhanced(0, 5, b"cd")
        .interface(113);
    let packets = read_sound(&file.enhanced(2, 6, b"ef").bytes);
    let seen: Vec<_> = packets.iter().map(|p| (p.link_type, p.time_ns)).collect();
    assert_eq!(seen, [(1, 5), (101, 5_000), (113, 6_000)]);
}

#[test]
fn a_section_forgets_interfaces_and_may_change_the_byte_order() {
    let little = Out::new(Order::Little).section().interface(1).interface(2);
    let little = little.enhanced(1, 1, b"ab").bytes;
    let big = Out::new(Order::Big)
        .section()
        .interface(101)
        .enhanced(0, 2, b"cd")
        .bytes;
    let packets = read_sound(&[little.clone(), big.clone()].concat());
    let seen: Vec<_> = packets
        .iter()
        .map(|p| (p.index, p.link_type, p.time_ns))
        .collect();
    assert_eq!(seen, [(0, 2, 1_000), (1, 101, 2_000)]);

    let unknown = Out::new(Order::Big).section().enhanced(0, 2, b"cd").bytes;
    let (before, error) = read_broken(&[little, unknown].concat());
    assert_eq!(before, 1);
    assert!(
        error.contains("names interface 0, but the section describes only 0"),
        "{error}"
    );
}

#[test]
fn simple_packet_has_the_time_of_the_packet_before_it() {
    let file = Out::new(Order::Big).section().interface(101).simple(b"abc");
    let file = file.enhanced(0, 9, b"d").simple(b"efgh");
    let packets = read_sound(&file.bytes);
    let times: Vec<_> = packets.iter().map(|p| p.time_ns).collect();
    assert_eq!(times, [0, 9_000, 9_000]);
    assert_eq!(
        (packets[0].bytes.as_slice(), packets[0].link_type),
        (&b"abc"[..], 101)
    );
    assert_eq!(packets[2].bytes, b"efgh");
}

#[test]
fn simple_packet_is_limited_by_the_snap_length_and_by_its_block() {
    let file = Out::new(Order::Little)
        .section()
        .block(1, |b| b.u16(1).u16(0).u32(6));
    let file = file.block(3, |b| b.u32(1500).raw(b"abcdef\0\0"));
    let packets = read_sound(&file.bytes);
    assert_eq!(
        (packets[0].bytes.as_slice(), packets[0].wire_len),
        (&b"abcdef"[..], 1500)
    );

    let file = Out::new(Order::Little).section().interface(1);
    let packets = read_sound(&file.block(3, |b| b.u32(1500).raw(b"abcdefgh")).bytes);
    assert_eq!(
        (packets[0].bytes.as_slice(), packets[0].wire_len),
        (&b"abcdefgh"[..], 1500)
    );
}

#[test]
fn obsolete_packet_block_is_read() {
    for order in ORDERS {
        let file = Out::new(order).section().interface(1).interface(101);
        let file = file.block(2, |b| {
            let b = b.u16(1).u16(0xffff).u32(1).u32(2).u32(3).u32(99);
            b.raw(b"abc\0").u16(2).u16(4).u32(0)
        });
        let packets = read_sound(&file.bytes);
        assert_eq!(packets[0].time_ns, ((1 << 32) + 2) * 1_000, "{order:?}");
        assert_eq!((packets[0].link_type, packets[0].wire_len), (101, 99));
        assert_eq!(packets[0].bytes, b"abc");
    }
}

#[test]
fn options_after_a_packet_are_no_part_of_it() {
    let file = Out::new(Order::Little)
        .section()
        .interface(1)
        .block(6, |b| {
            let b = b.u32(0).u32(0).u32(1).u32(3).u32(3).raw(b"abc\0");
            b.u16(2).u16(4).u32(1).u16(0).u16(0)
        });
    assert_eq!(read_sound(&file.bytes)[0].bytes, b"abc");
}

#[test]
fn blocks_of_other_types_are_passed_over() {
    let file = Out::new(Order::Little)
        .section()
        .block(4, |b| b.raw(&[9; 300]));
    let file = file.interface(1).block(0x0bad, |b| b).enhanced(0, 1, b"ab");
    let file = file
        .block(5, |b| b.raw(&[6; 40]))
        .enhanced(0, 2, b"cd")
        .block(77, |b| b);
    let packets = read_sound(&file.bytes);
    assert_eq!(packets.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn options_of_an_interface_end_at_the_end_mark() {
    let file = Out::new(Order::Little).section().block(1, |b| {
        let b = b.u16(1).u16(0).u32(0).u16(0).u16(0);
        b.u16(9).u16(1).raw(&[9, 0, 0, 0])
    });
    assert_eq!(
        read_sound(&file.enhanced(0, 5, b"").bytes)[0].time_ns,
        5_000
    );
}

#[test]
fn largest_block_is_read() {
    let packet = vec![5; ip_conntrack_link::capture::MAX_BLOCK - 32];
    let file = Out::new(Order::Little)
        .section()
        .interface(1)
        .enhanced(0, 1, &packet);
    let packets = read_sound(&file.enhanced(0, 2, b"x").bytes);
    assert!(packets[0].bytes == packet);
    assert_eq!(packets[1].bytes, b"x");
}
