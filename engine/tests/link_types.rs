//! Where the IP packet is found under each link type, from literal frames.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ip_conntrack::{LinkType, Packet, Protocol, Reason};
use proptest::prelude::*;

/// UDP from 10.0.0.1 to 10.0.0.2, ports 1000 and 2000, without data.
const IPV4: [u8; 28] = [
    0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0x66, 0xcf, 10, 0, 0, 1, 10, 0, 0, 2, // IP
    0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0, // UDP
];

/// The same from 2001:db8::1 to 2001:db8::2.
const IPV6: [u8; 48] = [
    0x60, 0, 0, 0, 0, 8, 17, 64, // version to hop limit
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination
    0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0, // UDP
];

/// Destination and source.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const LLC_SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

/// All numbers that the parser knows.
#[rustfmt::skip]
const KNOWN: [u32; 23] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 107, 108, 109, 113, 117, 119, 127, 163, 192, 228, 229,
    239, 276,
];

fn link(number: u32) -> LinkType {
    LinkType::from_number(number).unwrap()
}

/// The packet's length, as far as a frame has the UDP packet that it should.
fn udp_len(number: u32, frame: &[u8]) -> Result<u32, Reason> {
    let packet = Packet::parse(link(number), frame)?;
    assert_eq!(packet.protocol(), Protocol::UDP);
    Ok(packet.ip_len())
}

/// That both versions are found behind the header that `parts` make up.
#[track_caller]
fn carries_ip(number: u32, parts: &[&[u8]]) {
    carries_ipv4(number, parts);
    carries_ipv6(number, parts);
}

#[track_caller]
fn carries_ipv4(number: u32, parts: &[&[u8]]) {
    let frame = [&parts.concat()[..], &IPV4].concat();
    assert_eq!(udp_len(number, &frame), Ok(28));
    let padded = [&frame[..], &[0; 6]].concat();
    assert_eq!(udp_len(number, &padded), Ok(28));
}

#[track_caller]
fn carries_ipv6(number: u32, parts: &[&[u8]]) {
    let frame = [&parts.concat()[..], &IPV6].concat();
    assert_eq!(udp_len(number, &frame), Ok(48));
}

#[track_caller]
fn not_ip(number: u32, parts: &[&[u8]]) {
    assert_eq!(udp_len(number, &parts.concat()), Err(Reason::NotIp));
}

#[track_caller]
fn short(number: u32, parts: &[&[u8]]) {
    assert_eq!(udp_len(number, &parts.concat()), Err(Reason::LinkShort));
}

/// An 802.11 data frame's header with `control` first, `len` bytes long, and LLC/SNAP for IPv4.
fn wifi(control: [u8; 2], len: usize) -> Vec<u8> {
    let mut header = vec![0; len];
    header[..2].copy_from_slice(&control);
    [&header, &LLC_SNAP[..], &[0x08, 0x00]].concat()
}

/// The same behind a capture header that is padded to `len`.
fn wifi_behind(capture: &[u8], len: usize) -> Vec<u8> {
    let mut header = capture.to_vec();
    header.resize(len, 0);
    [header, wifi([0x08, 0x01], 24)].concat()
}

#[test]
fn unknown_numbers_have_no_link_type() {
    for number in [2, 147, 189, 249, 0x1_0001, u32::MAX] {
        assert_eq!(LinkType::from_number(number), None);
    }
}

#[test]
fn raw_frames_begin_with_the_packet() {
    for number in [12, 14, 101, 228, 229] {
        carries_ip(number, &[&[]]);
        not_ip(number, &[&[0x50; 40]]);
        short(number, &[&[]]);
    }
}

#[test]
fn null_families_are_skipped_in_either_byte_order() {
    carries_ip(0, &[&[2, 0, 0, 0]]);
    carries_ip(108, &[&[0, 0, 0, 2]]);
    not_ip(0, &[&[2, 0, 0, 0, 0xff]]);
    short(0, &[&[2, 0, 0, 0]]);
}

#[test]
fn ethernet_is_read_by_its_ethertype() {
    carries_ipv4(1, &[&MACS, &[0x08, 0x00]]);
    carries_ipv6(1, &[&MACS, &[0x86, 0xdd]]);
    short(1, &[&MACS, &[0x08]]);
}

#[test]
fn arp_is_not_ip() {
    let arp = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    not_ip(1, &[&MACS, &arp]);
    not_ip(1, &[&MACS, &[0x81, 0, 0, 1], &arp]);
}

#[test]
fn vlan_tags_stack_to_any_depth() {
    carries_ipv4(1, &[&MACS, &[0x81, 0x00, 0, 5, 0x08, 0x00]]);
    for outer in [[0x88, 0xa8], [0x91, 0x00], [0x92, 0x00]] {
        let tags = [&outer[..], &[0, 5, 0x81, 0x00, 0, 6, 0x86, 0xdd]].concat();
        carries_ipv6(1, &[&MACS, &tags]);
    }
    let tags = [0x81, 0x00, 0, 7].repeat(9);
    carries_ipv4(1, &[&MACS, &tags, &[0x08, 0x00]]);
    short(1, &[&MACS, &tags]);
}

#[test]
fn mpls_stacks_are_read_to_their_bottom() {
    let labels = [0, 1, 0x00, 64, 0, 2, 0x00, 64, 0, 3, 0x01, 64];
    carries_ip(1, &[&MACS, &[0x88, 0x47], &labels]);
    carries_ip(1, &[&MACS, &[0x88, 0x48], &labels[8..]]);
    carries_ip(1, &[&MACS, &[0x81, 0, 0, 5, 0x88, 0x47], &labels]);
}

#[test]
fn mpls_stacks_may_lack_a_bottom_or_carry_something_else() {
    let bottom = [0x88, 0x47, 0, 3, 0x01, 64];
    short(1, &[&MACS, &bottom]);
    not_ip(1, &[&MACS, &bottom, &[0; 40]]);
    let bottomless = [&[0x88, 0x47], &[0; 40][..]].concat();
    short(1, &[&MACS, &bottomless]);
}

#[test]
fn lengths_in_place_of_an_ethertype_bring_llc() {
    for length in [[0x00, 36], [0x05, 0xdc], [0x05, 0xff]] {
        let snap = [&length[..], &LLC_SNAP].concat();
        carries_ipv4(1, &[&MACS, &snap, &[0x08, 0x00]]);
        carries_ipv6(1, &[&MACS, &snap, &[0x86, 0xdd]]);
        carries_ipv4(1, &[&MACS, &snap, &[0x81, 0, 0, 5, 0x08, 0x00]]);
        carries_ipv4(1, &[&MACS, &length, &[0x06, 0x06, 0x03]]);
        let bridges = [0xaa, 0xaa, 0x03, 0, 0, 0xf8, 0x08, 0x00];
        carries_ipv4(1, &[&MACS, &length, &bridges]);
    }
    not_ip(1, &[&MACS, &[0x06, 0x00], &LLC_SNAP]);
}

#[test]
fn llc_of_other_services_is_not_ip() {
    let spanning_tree = [0x00, 0x26, 0x42, 0x42, 0x03, 0, 0, 0, 0, 0];
    not_ip(1, &[&MACS, &spanning_tree]);
    let cisco_discovery = [0x00, 0x26, 0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00];
    not_ip(1, &[&MACS, &cisco_discovery]);
    short(1, &[&MACS, &[0x00, 0x26, 0xaa, 0xaa, 0x03, 0]]);
}

#[test]
fn snap_inside_snap_ends_with_the_frame() {
    let nested = [&LLC_SNAP[..], &[0x00, 0x10]].concat().repeat(30_000);
    short(1, &[&MACS, &[0x00, 0x10], &nested]);
}

#[test]
fn pppoe_sessions_are_found_in_qinq() {
    let session = [0x88, 0x64, 0x11, 0x00, 0, 1, 0, 30];
    let tags = [0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 6];
    carries_ipv4(1, &[&MACS, &session, &[0x00, 0x21]]);
    carries_ipv4(1, &[&MACS, &tags, &session, &[0x00, 0x21]]);
    carries_ipv6(1, &[&MACS, &tags, &session, &[0x00, 0x57]]);
}

#[test]
fn pppoe_begins_with_its_header() {
    carries_ipv4(51, &[&[0x11, 0x00, 0, 1, 0, 30, 0x00, 0x21]]);
    carries_ipv6(51, &[&[0x11, 0x00, 0, 1, 0, 50, 0x57]]);
    not_ip(51, &[&[0x11, 0x09, 0, 0, 0, 4, 1, 1, 0, 0]]);
    short(51, &[&[0x11, 0x00, 0, 1, 0]]);
    not_ip(51, &[&[0x11, 0x00, 0, 1, 0, 4, 0xc0, 0x21, 9, 0]]);
}

#[test]
fn ppp_is_read_with_and_without_hdlc_framing() {
    for number in [9, 50] {
        carries_ipv4(number, &[&[0x00, 0x21]]);
        carries_ipv6(number, &[&[0x00, 0x57]]);
        carries_ipv4(number, &[&[0xff, 0x03, 0x00, 0x21]]);
        carries_ipv6(number, &[&[0xff, 0x03, 0x00, 0x57]]);
        not_ip(number, &[&[0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4]]);
    }
}

#[test]
fn ppp_protocols_may_be_compressed_to_a_byte() {
    carries_ipv4(9, &[&[0x21]]);
    carries_ipv6(9, &[&[0xff, 0x03, 0x57]]);
    not_ip(9, &[&[0xff, 0x03, 0xfd, 1, 2, 3]]);
}

#[test]
fn ppp_lines_may_turn_out_to_run_cisco_hdlc() {
    for number in [9, 50] {
        carries_ipv4(number, &[&[0x0f, 0x00, 0x08, 0x00]]);
        carries_ipv6(number, &[&[0x8f, 0x00, 0x86, 0xdd]]);
    }
}

#[test]
fn cisco_hdlc_has_an_ethertype() {
    carries_ipv4(104, &[&[0x0f, 0x00, 0x08, 0x00]]);
    carries_ipv6(104, &[&[0x0f, 0x00, 0x86, 0xdd]]);
    carries_ip(104, &[&[0x0f, 0x00, 0x88, 0x47, 0, 1, 0x01, 64]]);
    not_ip(104, &[&[0x8f, 0x00, 0x80, 0x35, 0, 0, 0, 2]]);
    short(104, &[&[0x0f, 0x00, 0x08]]);
}

#[test]
fn frame_relay_names_ip_in_either_encapsulation() {
    carries_ipv4(107, &[&[0x18, 0x41, 0x03, 0xcc]]);
    carries_ipv6(107, &[&[0x18, 0x41, 0x03, 0x8e]]);
    carries_ipv4(107, &[&[0x18, 0x41, 0x08, 0x00]]);
    carries_ipv6(107, &[&[0x18, 0x41, 0x86, 0xdd]]);
    not_ip(107, &[&[0x00, 0x01, 0x03, 0x08, 0x00, 0x75]]);
    short(107, &[&[0x18, 0x41, 0x03]]);
}

#[test]
fn linux_cooked_captures_have_an_ethertype_last() {
    let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    carries_ipv4(113, &[&header, &[0x08, 0x00]]);
    carries_ipv6(113, &[&header, &[0x81, 0x00, 0, 5, 0x86, 0xdd]]);
    carries_ip(113, &[&header, &[0x88, 0x47, 0, 1, 0x01, 64]]);
    carries_ipv4(113, &[&header, &[0x00, 0x04], &LLC_SNAP, &[0x08, 0x00]]);
    short(113, &[&header]);
}

#[test]
fn linux_cooked_captures_v2_have_an_ethertype_first() {
    let rest = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    carries_ipv4(276, &[&[0x08, 0x00], &rest]);
    carries_ipv6(276, &[&[0x81, 0x00], &rest, &[0, 5, 0x86, 0xdd]]);
    not_ip(276, &[&[0x08, 0x06], &rest, &[0; 28]]);
    short(276, &[&[0x08]]);
}

#[test]
fn wifi_data_frames_carry_snap() {
    carries_ipv4(105, &[&wifi([0x08, 0x01], 24)]);
    carries_ipv4(105, &[&wifi([0x88, 0x02], 26)]);
    carries_ipv4(105, &[&wifi([0x08, 0x03], 30)]);
    carries_ipv4(105, &[&wifi([0x88, 0x03], 32)]);
    short(105, &[&[0x08, 0x01, 0, 0]]);
}

#[test]
fn wifi_without_readable_data_is_not_ip() {
    let beacon = [0x80, 0x00];
    let acknowledgement = [0xd4, 0x00];
    let no_data = [0x48, 0x01];
    let encrypted = [0x08, 0x41];
    for control in [beacon, acknowledgement, no_data, encrypted] {
        not_ip(105, &[&wifi(control, 24), &IPV4]);
    }
}

#[test]
fn radiotap_headers_give_their_length() {
    carries_ipv4(127, &[&wifi_behind(&[0, 0, 8, 0], 8)]);
    carries_ipv4(127, &[&wifi_behind(&[0, 0, 0x2c, 0x01], 300)]);
    short(127, &[&[0, 0, 0xff, 0xff, 0, 0, 0, 0]]);
}

#[test]
fn prism_headers_have_one_length() {
    carries_ipv4(119, &[&wifi_behind(&[0x44, 0, 0, 0, 0x90, 0, 0, 0], 144)]);
    short(119, &[&[0; 144]]);
}

#[test]
fn avs_headers_give_their_length() {
    let header = [0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64];
    carries_ipv4(163, &[&wifi_behind(&header, 64)]);
    let endless = [0x80, 0x21, 0x10, 0x01, 0xff, 0xff, 0xff, 0xff];
    short(163, &[&endless]);
}

#[test]
fn ppi_headers_give_their_length_and_what_follows() {
    carries_ipv4(192, &[&wifi_behind(&[0, 0, 32, 0, 105, 0, 0, 0], 32)]);
    not_ip(192, &[&wifi_behind(&[0, 0, 32, 0, 1, 0, 0, 0], 32), &IPV4]);
}

#[test]
fn nflog_packets_are_an_attribute() {
    let header = [2, 0, 0, 0];
    let prefix = [5, 0, 10, 0, 0, 0xff, 0xff, 0xff];
    let payload = [&[32, 0, 9, 0], &IPV4[..]].concat();
    let mark = [8, 0, 3, 0, 0, 0, 0, 1];
    let frame = [&header, &prefix[..], &payload, &mark].concat();
    assert_eq!(udp_len(239, &frame), Ok(28));
    carries_ipv6(239, &[&header, &prefix, &[52, 0, 9, 0]]);
    not_ip(239, &[&header, &prefix, &mark]);
    short(239, &[&header[..3]]);
    short(239, &[&header, &prefix, &[32, 0, 9]]);
}

#[test]
fn nflog_packets_end_with_their_attribute() {
    let cut_off = [&[2, 0, 0, 0, 31, 0, 9, 0], &IPV4[..], &[0; 8]].concat();
    assert_eq!(udp_len(239, &cut_off), Err(Reason::IpTruncated));
    not_ip(239, &[&[2, 0, 0, 0, 3, 0, 9, 0], &IPV4]);
    short(239, &[&[2, 0, 0, 0, 4, 0, 9, 0]]);
}

#[test]
fn enc_headers_are_skipped() {
    carries_ip(109, &[&[2, 0, 0, 0, 0, 0, 0x10, 0, 2, 0, 0, 0]]);
    short(109, &[&[2, 0, 0, 0, 0, 0, 0x10, 0, 2, 0, 0, 0]]);
}

#[test]
fn pflog_headers_give_their_length_without_padding() {
    for len in [61_u8, 64] {
        let mut header = [0; 64];
        header[..2].copy_from_slice(&[len, 2]);
        carries_ip(117, &[&header]);
    }
    short(117, &[&[61, 2, 0, 0]]);
}

/// What a frame is, cut to `kept` bytes of which the wire had all.
#[track_caller]
fn cut(number: u32, frame: &[u8], kept: usize) -> Reason {
    Packet::parse_cut(link(number), &frame[..kept], frame.len()).unwrap_err()
}

#[test]
fn bytes_cut_by_the_capture_are_snapped_and_not_short() {
    let vlan_and_mpls = [0x81, 0, 0, 5, 0x88, 0x47, 0, 1, 0, 64, 0, 1, 1, 64];
    let frames = [
        (1, [&MACS[..], &vlan_and_mpls].concat()),
        (1, [&MACS[..], &[0, 36], &LLC_SNAP, &[0x08, 0x00]].concat()),
        (50, vec![0x0f, 0x00, 0x08, 0x00]),
        (51, vec![0x11, 0x00, 0, 1, 0, 30, 0x00, 0x21]),
        (105, wifi([0x88, 0x03], 32)),
        (119, wifi_behind(&[0x44], 144)),
        (127, wifi_behind(&[0, 0, 8, 0], 8)),
        (163, wifi_behind(&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64], 64)),
        (192, wifi_behind(&[0, 0, 32, 0, 105, 0, 0, 0], 32)),
        (239, vec![2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0, 32, 0, 9, 0]),
    ];
    for (number, header) in frames {
        let frame = [&header[..], &IPV4].concat();
        for kept in 0..header.len() + 20 {
            let reason = cut(number, &frame, kept);
            assert_eq!(reason, Reason::Snapped, "{number} at {kept}");
        }
        assert!(Packet::parse_cut(link(number), &frame[..header.len() + 20], frame.len()).is_ok());
    }
}

#[test]
fn frames_that_ended_early_are_short_however_they_were_cut() {
    let frame = [&MACS[..], &[0x81, 0x00, 0, 5]].concat();
    short(1, &[&frame]);
    assert_eq!(cut(1, &frame, 14), Reason::LinkShort);
    assert_eq!(cut(1, &frame, 13), Reason::Snapped);
}

/// Bytes of which many mean something to a link layer.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            vec![0x08, 0x00],
            vec![0x86, 0xdd],
            vec![0x81, 0x00, 0, 1],
            vec![0x88, 0x47],
            vec![0x88, 0x64, 0x11, 0x00, 0, 1, 0, 9],
            vec![0xaa, 0xaa, 0x03, 0, 0, 0, 0, 40],
            vec![0, 21],
            vec![0xff, 0x03],
            vec![0, 0, 8, 0],
            vec![8, 0, 9, 0],
            MACS.to_vec(),
            IPV4.to_vec(),
            IPV6.to_vec(),
        ]),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_under_any_link_type(frame in tokens(), beyond in 0_usize..100) {
        for number in KNOWN {
            let _ = Packet::parse_cut(link(number), &frame, frame.len() + beyond);
        }
    }
}

/// A UDP datagram of 70,000 bytes behind a hop-by-hop header that says so (RFC 2675, 2 and 3).
#[test]
fn a_jumbogram_is_refused() {
    const DATA: usize = 70_000;
    let mut packet = IPV6[..40].to_vec();
    (packet[4], packet[5], packet[6]) = (0, 0, 0);
    packet.extend([17, 0, 0xc2, 4]);
    packet.extend((8 + 8 + DATA as u32).to_be_bytes());
    packet.extend([0x03, 0xe8, 0x07, 0xd0, 0, 0, 0, 0]);
    packet.resize(packet.len() + DATA, b'x');
    let refused = Packet::parse(LinkType::Raw, &packet).err();
    assert_eq!(refused, Some(Reason::HopByHop));
}
