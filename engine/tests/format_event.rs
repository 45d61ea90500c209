//! `conntrack -E`, byte for byte against conntrack 1.4.7 on Linux 6.18. Its suffix
//! ` [USERSPACE] portid=…` tells which process made a change over netlink, and is not ours to print.

mod format_builder;

use format_builder::*;
use ip_conntrack::format::{Options, line};
use ip_conntrack::{Cause, Changes, Connection, Event, EventKind, Protocol, TcpState, Time, Zone};

#[track_caller]
fn told(event: &Event, options: &Options<'_>, expected: &str) {
    let line = written(|out| line::event(out, event, options));
    assert_eq!(line, format!("{expected}\n"));
}

#[track_caller]
fn told_plainly(kind: EventKind, changes: &[Changes], connection: Connection, expected: &str) {
    told(
        &event(kind, changes, connection),
        &Options::default(),
        expected,
    );
}

/// An entry with everything that NEW and UPDATE leave out.
fn full(connection: Connection) -> Connection {
    connection
        .counted((1, 60), (1, 60))
        .aged(1)
        .started(1)
        .labelled(1)
}

#[test]
fn new_and_update_tell_state_and_helper_but_no_mark_counters_or_use() {
    told_plainly(
        EventKind::New,
        &[Changes::NEW, Changes::PROTOINFO, Changes::HELPER],
        full(tcp(44100, 21, TcpState::SynSent).secs(120).helped("ftp")),
        "    [NEW] tcp      6 120 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=44100 dport=21 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=21 dport=44100 helper=ftp",
    );
    told_plainly(
        EventKind::Update,
        &[Changes::REPLY, Changes::PROTOINFO],
        full(tcp(44100, 21, TcpState::SynRecv).secs(60).helped("ftp")).replied(),
        " [UPDATE] tcp      6 60 SYN_RECV src=10.0.1.2 dst=10.0.2.2 sport=44100 dport=21 src=10.0.2.2 dst=10.0.1.2 sport=21 dport=44100 helper=ftp",
    );
    told_plainly(
        EventKind::Update,
        &[Changes::ASSURED, Changes::PROTOINFO],
        full(
            tcp(44100, 21, TcpState::Established)
                .secs(432_000)
                .helped("ftp"),
        )
        .replied()
        .assured(),
        " [UPDATE] tcp      6 432000 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=44100 dport=21 src=10.0.2.2 dst=10.0.1.2 sport=21 dport=44100 [ASSURED] helper=ftp",
    );
}

#[test]
fn an_update_tells_the_mark() {
    told_plainly(
        EventKind::Update,
        &[Changes::MARK],
        udp(40000, 60).secs(29).marked(7),
        " [UPDATE] udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=60 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=60 dport=40000 mark=7",
    );
}

#[test]
fn an_update_that_clears_the_mark_says_so() {
    told_plainly(
        EventKind::Update,
        &[Changes::MARK],
        udp(40000, 60).secs(29),
        " [UPDATE] udp      17 29 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=60 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=60 dport=40000 mark=0",
    );
}

#[test]
fn an_update_of_something_else_does_not_tell_the_state() {
    told_plainly(
        EventKind::Update,
        &[Changes::MARK],
        tcp(1, 2, TcpState::Established).secs(9).marked(1).replied(),
        " [UPDATE] tcp      6 9 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1 mark=1",
    );
}

#[test]
fn destroy_tells_no_time_left_of_what_ran_out() {
    told_plainly(
        EventKind::Destroy(Cause::Expired),
        &[],
        tcp(40000, 80, TcpState::SynSent).secs(1).aged(1),
        "[DESTROY] tcp      6 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=80 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40000 delta-time=1",
    );
    told_plainly(
        EventKind::Destroy(Cause::Expired),
        &[],
        udp(40000, 55).counted((1, 29), (0, 0)).aged(1),
        "[DESTROY] udp      17 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=55 packets=1 bytes=29 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=55 dport=40000 packets=0 bytes=0 delta-time=1",
    );
    told_plainly(
        EventKind::Destroy(Cause::Deleted),
        &[],
        udp(1, 2).secs(0),
        "[DESTROY] udp      17 src=10.0.1.2 dst=10.0.2.2 sport=1 dport=2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=2 dport=1",
    );
}

#[test]
fn destroy_tells_the_last_state_and_the_time_that_was_left() {
    told_plainly(
        EventKind::Destroy(Cause::Refused),
        &[],
        tcp(3, 80, TcpState::Close).secs(120).aged(0).helped("ftp"),
        "[DESTROY] tcp      6 120 CLOSE src=10.0.1.2 dst=10.0.2.2 sport=3 dport=80 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=80 dport=3 delta-time=0",
    );
}

#[test]
fn an_event_begins_with_its_time_if_asked() {
    let mut gone = event(
        EventKind::Destroy(Cause::Deleted),
        &[],
        udp(40000, 60)
            .secs(76)
            .assured()
            .marked(7)
            .aged(1)
            .numbered(3_724_613_927),
    );
    gone.time = Time::from_nanos(1_795_447_594_040_871_999);
    let options = Options {
        extended: true,
        timestamp: true,
        id: true,
        ..Options::default()
    };
    told(
        &gone,
        &options,
        "[1795447594.040871]\t[DESTROY] ipv4     2 udp      17 76 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=60 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=60 dport=40000 [ASSURED] mark=7 delta-time=1 id=3724613927",
    );
}

#[test]
fn destroy_tells_both_ends_of_the_life_but_no_labels() {
    let start = 1_795_447_595_100_000_000;
    let gone = event(
        EventKind::Destroy(Cause::Deleted),
        &[],
        ping(9)
            .secs(29)
            .replied()
            .aged(0)
            .started(start)
            .stopped(start + 5)
            .labelled(1),
    );
    let options = Options {
        ktimestamp: true,
        labels: Some(&[(0, "seen")]),
        ..Options::default()
    };
    told(
        &gone,
        &options,
        "[DESTROY] icmp     1 29 src=10.0.1.2 dst=10.0.2.2 type=8 code=0 id=9 src=10.0.2.2 dst=10.0.1.2 type=0 code=0 id=9 delta-time=0 [start=Mon Nov 23 15:26:35 2026] [stop=Mon Nov 23 15:26:35 2026]",
    );
}

#[test]
fn an_update_tells_labels_that_changed() {
    let options = Options {
        labels: Some(&[(0, "seen")]),
        ..Options::default()
    };
    let entry = ipv6(Protocol::UDP, (1, 2)).labelled(1).zoned(Zone::both(7));
    told(
        &event(EventKind::Update, &[Changes::LABEL], entry.clone()),
        &options,
        " [UPDATE] udp      17 src=2001:db8:1::2 dst=2001:db8:2::2 sport=1 dport=2 [UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 sport=2 dport=1 zone=7 labels=seen",
    );
    told(
        &event(EventKind::Update, &[Changes::REPLY], entry),
        &options,
        " [UPDATE] udp      17 src=2001:db8:1::2 dst=2001:db8:2::2 sport=1 dport=2 [UNREPLIED] src=2001:db8:2::2 dst=2001:db8:1::2 sport=2 dport=1 zone=7",
    );
}
