//! `/proc` lines, byte for byte against what Linux 6.18 prints. (The lines of 2.6's file are built
//! from its format, not captured.)

mod format_builder;

use format_builder::*;
use ip_conntrack::format::line;
use ip_conntrack::{Connection, Protocol, SctpState, TcpState, Zone, ZoneDirections};

#[track_caller]
fn in_proc(connection: Connection, expected: &str) {
    let line = written(|out| line::nf_conntrack(out, &connection));
    assert_eq!(line, format!("{expected}\n"));
}

#[track_caller]
fn historic(connection: Connection, expected: &str) {
    let line = written(|out| line::ip_conntrack(out, &connection));
    assert_eq!(line, format!("{expected}\n"));
}

/// An unreplied datagram of the bench: 1 packet, 1 s old.
fn lone_udp(dport: u16) -> Connection {
    udp(40030, dport).secs(28).counted((1, 29), (0, 0)).aged(1)
}

const fn one_way(id: u16, applies: ZoneDirections) -> Zone {
    Zone { id, applies }
}

#[test]
fn proc_shows_an_established_connection() {
    in_proc(
        tcp(40003, 80, TcpState::Established)
            .secs(431_998)
            .counted((2, 80), (1, 40))
            .replied()
            .assured()
            .aged(1),
        "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40003 dport=80 packets=2 bytes=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40003 packets=1 bytes=40 [ASSURED] mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_tags_an_unreplied_connection_before_the_reply_tuple() {
    in_proc(
        tcp(40001, 80, TcpState::SynSent)
            .secs(118)
            .counted((1, 40), (0, 0))
            .aged(1),
        "ipv4     2 tcp      6 118 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=40001 dport=80 packets=1 bytes=40 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40001 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_shows_replied_connections_without_a_tag() {
    in_proc(
        tcp(40002, 80, TcpState::SynRecv)
            .secs(58)
            .counted((1, 40), (1, 40))
            .replied()
            .aged(1),
        "ipv4     2 tcp      6 58 SYN_RECV src=10.0.1.2 dst=10.0.2.2 sport=40002 dport=80 packets=1 bytes=40 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40002 packets=1 bytes=40 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        tcp(40010, 80, TcpState::SynSent2)
            .secs(118)
            .counted((1, 40), (0, 0))
            .replied()
            .aged(1),
        "ipv4     2 tcp      6 118 SYN_SENT2 src=10.0.1.2 dst=10.0.2.2 sport=40010 dport=80 packets=1 bytes=40 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40010 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        tcp(40008, 80, TcpState::TimeWait)
            .secs(118)
            .counted((4, 160), (2, 80))
            .replied()
            .assured()
            .aged(1),
        "ipv4     2 tcp      6 118 TIME_WAIT src=10.0.1.2 dst=10.0.2.2 sport=40008 dport=80 packets=4 bytes=160 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40008 packets=2 bytes=80 [ASSURED] mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_leaves_out_counters_and_age_of_entries_without_them() {
    in_proc(
        udp(40000, 53).secs(30),
        "ipv4     2 udp      17 30 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=53 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40000 mark=0 zone=0 use=2",
    );
}

#[test]
fn proc_shows_a_zone_where_it_applies() {
    in_proc(
        lone_udp(6001).zoned(Zone::both(7)),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=6001 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=6001 dport=40030 packets=0 bytes=0 mark=0 zone=7 delta-time=1 use=2",
    );
    in_proc(
        lone_udp(6002).zoned(one_way(8, ZoneDirections::Original)),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=6002 zone-orig=8 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=6002 dport=40030 packets=0 bytes=0 mark=0 delta-time=1 use=2",
    );
    in_proc(
        lone_udp(6003).zoned(one_way(9, ZoneDirections::Reply)),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=6003 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=6003 dport=40030 zone-reply=9 packets=0 bytes=0 mark=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_shows_the_mark() {
    in_proc(
        lone_udp(7001).marked(42),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=7001 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=7001 dport=40030 packets=0 bytes=0 mark=42 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_never_shows_helper_labels_or_id() {
    in_proc(
        lone_udp(7001).helped("sip").labelled(3).numbered(9),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=7001 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=7001 dport=40030 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_knows_udplite_icmp_sctp_and_gre() {
    in_proc(
        usual(Protocol::UDPLITE, (4000, 5000))
            .secs(28)
            .counted((1, 33), (0, 0))
            .aged(1),
        "ipv4     2 udplite  136 28 src=10.0.1.2 dst=10.0.2.2 sport=4000 dport=5000 packets=1 bytes=33 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=5000 dport=4000 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        ping(78).secs(28).counted((1, 28), (0, 0)).aged(1),
        "ipv4     2 icmp     1 28 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=78 packets=1 bytes=28 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=78 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        sctp(5000, 9, SctpState::CookieWait)
            .secs(1)
            .counted((1, 52), (1, 52))
            .replied()
            .aged(1),
        "ipv4     2 sctp     132 1 COOKIE_WAIT src=10.0.1.2 dst=10.0.2.2 sport=5000 dport=9 packets=1 bytes=52 src=10.0.2.2 dst=10.0.1.2 sport=9 dport=5000 packets=1 bytes=52 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        gre(0, 0x1234).secs(28).counted((1, 32), (0, 0)).aged(1),
        "ipv4     2 gre      47 28 timeout=30, stream_timeout=180 src=10.0.1.2 dst=10.0.2.2 srckey=0x0 dstkey=0x1234 packets=1 bytes=32 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 srckey=0x1234 dstkey=0x0 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn proc_calls_other_protocols_unknown() {
    in_proc(
        usual(Protocol(99), (0, 0))
            .secs(598)
            .counted((1, 24), (0, 0))
            .aged(1),
        "ipv4     2 unknown  99 598 src=10.0.1.2 dst=10.0.2.2 packets=1 bytes=24 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        usual(Protocol::DCCP, (0, 0)).secs(59),
        "ipv4     2 unknown  33 59 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 mark=0 zone=0 use=2",
    );
}

#[test]
fn proc_writes_ipv6_in_eight_full_groups() {
    in_proc(
        ipv6(Protocol::ICMPV6, (5, 128 << 8))
            .secs(28)
            .counted((1, 48), (1, 48))
            .replied()
            .aged(1),
        "ipv6     10 icmpv6   58 28 src=2001:0db8:0001:0000:0000:0000:0000:0002 dst=2001:0db8:0002:0000:0000:0000:0000:0002 type=128 code=0 id=5 packets=1 bytes=48 src=2001:0db8:0002:0000:0000:0000:0000:0002 dst=2001:0db8:0001:0000:0000:0000:0000:0002 type=129 code=0 id=5 packets=1 bytes=48 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        ipv6(Protocol::UDP, (40001, 53))
            .secs(28)
            .counted((1, 49), (0, 0))
            .aged(1),
        "ipv6     10 udp      17 28 src=2001:0db8:0001:0000:0000:0000:0000:0002 dst=2001:0db8:0002:0000:0000:0000:0000:0002 sport=40001 dport=53 packets=1 bytes=49 [UNREPLIED] src=2001:0db8:0002:0000:0000:0000:0000:0002 dst=2001:0db8:0001:0000:0000:0000:0000:0002 sport=53 dport=40001 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        ipv6(Protocol(99), (0, 0))
            .secs(598)
            .counted((1, 44), (0, 0))
            .aged(1),
        "ipv6     10 unknown  99 598 src=2001:0db8:0001:0000:0000:0000:0000:0002 dst=2001:0db8:0002:0000:0000:0000:0000:0002 packets=1 bytes=44 [UNREPLIED] src=2001:0db8:0002:0000:0000:0000:0000:0002 dst=2001:0db8:0001:0000:0000:0000:0000:0002 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
}

#[test]
fn translation_shows_as_a_reply_tuple_that_is_not_the_mirror() {
    in_proc(
        tcp(40020, 80, TcpState::SynSent)
            .change(|c| c.original.dst = "192.0.2.80".parse().unwrap())
            .answered_by("10.0.2.2", "10.0.1.2", (8080, 40020))
            .secs(118)
            .counted((1, 40), (0, 0))
            .aged(1),
        "ipv4     2 tcp      6 118 SYN_SENT src=10.0.1.2 dst=192.0.2.80 sport=40020 dport=80 packets=1 bytes=40 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=8080 dport=40020 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        tcp(40022, 443, TcpState::SynSent)
            .change(|c| c.original.dst = "198.51.100.9".parse().unwrap())
            .answered_by("198.51.100.9", "10.0.2.1", (443, 40022))
            .secs(118)
            .counted((1, 40), (0, 0))
            .aged(1),
        "ipv4     2 tcp      6 118 SYN_SENT src=10.0.1.2 dst=198.51.100.9 sport=40022 dport=443 packets=1 bytes=40 [UNREPLIED] src=198.51.100.9 dst=10.0.2.1 sport=443 dport=40022 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        udp(40021, 53)
            .change(|c| c.original.dst = "198.51.100.5".parse().unwrap())
            .answered_by("198.51.100.5", "10.0.2.1", (53, 2007))
            .secs(28)
            .counted((1, 29), (0, 0))
            .aged(1),
        "ipv4     2 udp      17 28 src=10.0.1.2 dst=198.51.100.5 sport=40021 dport=53 packets=1 bytes=29 [UNREPLIED] src=198.51.100.5 dst=10.0.2.1 sport=53 dport=2007 packets=0 bytes=0 mark=0 zone=0 delta-time=1 use=2",
    );
    in_proc(
        ping(77)
            .change(|c| c.original.src = "10.0.1.3".parse().unwrap())
            .answered_by("10.0.2.2", "10.0.2.1", (23716, 0))
            .secs(30),
        "ipv4     2 icmp     1 30 src=10.0.1.3 dst=10.0.2.2 type=8 code=0 id=77 [UNREPLIED] src=10.0.2.2 dst=10.0.2.1 type=0 code=0 id=23716 mark=0 zone=0 use=2",
    );
}

#[test]
fn the_historic_file_has_secmark_and_neither_family_nor_zone() {
    historic(
        tcp(40003, 80, TcpState::Established)
            .secs(431_999)
            .counted((2, 80), (1, 40))
            .replied()
            .assured(),
        "tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40003 dport=80 packets=2 bytes=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40003 packets=1 bytes=40 [ASSURED] mark=0 secmark=0 use=1",
    );
    historic(
        udp(40030, 53).secs(28).zoned(Zone::both(7)).aged(1),
        "udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=53 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40030 mark=0 secmark=0 use=1",
    );
    historic(
        ping(77).secs(29).zoned(one_way(7, ZoneDirections::Reply)),
        "icmp     1 29 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=77 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=77 mark=0 secmark=0 use=1",
    );
    historic(
        usual(Protocol(99), (0, 0)).secs(598),
        "unknown  99 598 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 mark=0 secmark=0 use=1",
    );
}
