//! `conntrack -L`, byte for byte against conntrack 1.4.7.

mod format_builder;

use format_builder::*;
use ip_conntrack::format::{Options, line};
use ip_conntrack::{Connection, Protocol, TcpState, Zone};

#[track_caller]
fn listed(connection: Connection, options: &Options<'_>, expected: &str) {
    let line = written(|out| line::list(out, &connection, options));
    assert_eq!(line, format!("{expected}\n"));
}

/// An unreplied datagram of the bench: 1 packet, 1 s old.
fn lone_udp(dport: u16) -> Connection {
    udp(40030, dport).secs(28).counted((1, 29), (0, 0)).aged(1)
}

#[test]
fn the_tool_lists_plain_entries() {
    let plain = Options::default();
    listed(
        tcp(40003, 80, TcpState::Established)
            .secs(431_999)
            .replied()
            .assured(),
        &plain,
        "tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40003 dport=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40003 [ASSURED] mark=0 use=1",
    );
    listed(
        ping(77).secs(29),
        &plain,
        "icmp     1 29 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=77 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=77 mark=0 use=1",
    );
    listed(
        entry(tuple(Protocol(99), "10.7.0.1", "10.7.0.2", (0, 0))).secs(59),
        &plain,
        "unknown  99 59 src=10.7.0.1 dst=10.7.0.2 [UNREPLIED] src=10.7.0.2 dst=10.7.0.1 mark=0 use=1",
    );
}

#[test]
fn the_tool_shortens_ipv6_addresses() {
    listed(
        ipv6(Protocol::UDP, (40001, 53)).secs(29),
        &Options::default(),
        "udp      17 29 src=2001:db8:1::2 dst=2001:db8:2::2 sport=40001 dport=53 [UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 sport=53 dport=40001 mark=0 use=1",
    );
}

#[test]
fn the_tool_leaves_out_gre_timeouts() {
    listed(
        gre(0, 0x1234).secs(28).counted((1, 32), (0, 0)).aged(1),
        &Options::default(),
        "gre      47 28 src=10.0.1.2 dst=10.0.2.2 srckey=0x0 dstkey=0x1234 packets=1 bytes=32 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 srckey=0x1234 dstkey=0x0 packets=0 bytes=0 mark=0 delta-time=1 use=1",
    );
}

#[test]
fn the_tool_names_dccp_and_its_ports() {
    listed(
        entry(tuple(Protocol::DCCP, "10.7.0.1", "10.7.0.2", (0, 0))).secs(59),
        &Options::default(),
        "dccp     33 59 src=10.7.0.1 dst=10.7.0.2 sport=0 dport=0 [UNREPLIED] src=10.7.0.2 dst=10.7.0.1 sport=0 dport=0 mark=0 use=1",
    );
}

/// A control connection of FTP, as the tool's samples have it.
fn ftp() -> Connection {
    tcp(40004, 21, TcpState::Established)
        .secs(431_998)
        .counted((2, 80), (1, 40))
        .replied()
        .assured()
        .aged(1)
        .helped("ftp")
}

#[test]
fn the_tool_shows_the_helper() {
    listed(
        ftp(),
        &Options::default(),
        "tcp      6 431998 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40004 dport=21 packets=2 bytes=80 src=10.0.2.2 dst=10.0.1.2 sport=21 dport=40004 packets=1 bytes=40 [ASSURED] mark=0 delta-time=1 helper=ftp use=1",
    );
}

const START: u64 = 1_795_446_396_042_184_222;

#[test]
fn the_tool_shows_what_its_options_ask_for() {
    let options = Options {
        extended: true,
        id: true,
        ktimestamp: true,
        ..Options::default()
    };
    listed(
        ftp().started(START).numbered(2_812_902_766).labelled(1),
        &options,
        "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40004 dport=21 packets=2 bytes=80 src=10.0.2.2 dst=10.0.1.2 sport=21 dport=40004 packets=1 bytes=40 [ASSURED] mark=0 delta-time=1 [start=Mon Nov 23 15:06:36 2026] helper=ftp use=1 id=2812902766",
    );
    let options = Options {
        id: true,
        ktimestamp: true,
        labels: Some(&[(3, "bulk"), (5, "voip")]),
        ..Options::default()
    };
    listed(
        lone_udp(7002)
            .started(START)
            .numbered(3_743_353_781)
            .labelled(1 << 5),
        &options,
        "udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=7002 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=7002 dport=40030 packets=0 bytes=0 mark=0 delta-time=1 [start=Mon Nov 23 15:06:36 2026] use=1 id=3743353781 labels=voip",
    );
    listed(
        lone_udp(6001)
            .started(START)
            .numbered(1_790_409_865)
            .zoned(Zone::both(7)),
        &options,
        "udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40030 dport=6001 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=6001 dport=40030 packets=0 bytes=0 mark=0 zone=7 delta-time=1 [start=Mon Nov 23 15:06:36 2026] use=1 id=1790409865",
    );
}

#[test]
fn labels_come_in_the_order_of_their_bits_and_only_with_names() {
    let options = Options {
        labels: Some(&[(127, "last"), (0, "first")]),
        ..Options::default()
    };
    listed(
        udp(1, 2).labelled(1 | 1 << 64 | 1 << 127),
        &options,
        "udp      17 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 mark=0 use=1 labels=first,last",
    );
    listed(
        udp(1, 2).labelled(1 << 64),
        &options,
        "udp      17 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 mark=0 use=1",
    );
}

#[test]
fn a_name_from_outside_cannot_break_the_line() {
    listed(
        udp(1, 2).helped("a b\nuse=9"),
        &Options::default(),
        "udp      17 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 mark=0 helper=a_b_use=9 use=1",
    );
}
