//! `-o save`, byte for byte against conntrack 1.4.7.

mod format_builder;

use format_builder::*;
use ip_conntrack::format::netlink::names::{entry as attribute, kind};
use ip_conntrack::format::netlink::{Entry, Message, Origin, put_entry, put_event};
use ip_conntrack::format::{Options, Told, line, save, xml};
use ip_conntrack::{
    Cause, Changes, Connection, EventKind, Protocol, SctpState, Status, TcpState, Time, Zone,
    ZoneDirections,
};

fn command(connection: &Connection) -> String {
    written(|out| save::entry(out, connection, &Options::default()))
}

#[test]
fn a_connection_is_the_command_that_makes_it() {
    let connection = tcp(40005, 80, TcpState::FinWait)
        .secs(118)
        .replied()
        .assured();
    assert_eq!(
        command(&connection),
        "-A -t 118 -u SEEN_REPLY,ASSURED -s 10.0.1.2 -d 10.0.2.2 -r 10.0.2.2 -q 10.0.1.2 -p tcp \
         --sport 40005 --dport 80 --reply-port-src 80 --reply-port-dst 40005 --state FIN_WAIT\n"
    );
}

#[test]
fn translated_addresses_are_written_as_what_translated_them() {
    let dnat = tcp(40020, 80, TcpState::SynSent).secs(118);
    let mut dnat = dnat.answered_by("10.0.2.9", "10.0.1.2", (8080, 40020));
    assert!(command(&dnat).contains(" -r 10.0.2.9 -q 10.0.1.2 -p tcp"));
    dnat.status = dnat.status.with(Status::DST_NAT);
    let text = command(&dnat);
    assert!(text.contains(" -g 10.0.2.9 -q 10.0.1.2 -p tcp"), "{text}");
    assert!(
        text.contains("--reply-port-src 8080 --reply-port-dst 40020"),
        "{text}"
    );
    let mut snat = udp(1, 2)
        .secs(9)
        .answered_by("10.0.2.2", "10.0.2.1", (2, 1));
    snat.status = snat.status.with(Status::SRC_NAT);
    assert!(command(&snat).contains(" -r 10.0.2.2 -n 10.0.2.1 "));
}

#[test]
fn every_protocol_has_its_own_options() {
    let tail = |connection: Connection| {
        let text = command(&connection.secs(5));
        text.split(" -p ").nth(1).unwrap().trim_end().to_owned()
    };
    assert_eq!(
        tail(ping(77)),
        "icmp --icmp-type 8 --icmp-code 0 --icmp-id 77"
    );
    let ping6 = ipv6(Protocol::ICMPV6, (5, 128 << 8));
    assert_eq!(
        tail(ping6),
        "icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 5"
    );
    assert_eq!(
        tail(gre(0, 0x1234)),
        "gre --srckey 0 --dstkey 4660 --reply-key-src 4660 --reply-key-dst 0"
    );
    assert_eq!(tail(usual(Protocol(99), (0, 0))), "99");
    assert_eq!(tail(usual(Protocol::DCCP, (0, 0))), "dccp");
    // The sample's tags, as the packet has them.
    let tags = [16_825_275u32.to_be(), 858_993_459];
    let sctp = sctp(5000, 9, SctpState::CookieWait);
    let sctp = sctp.state(ip_conntrack::State::Sctp {
        state: SctpState::CookieWait,
        tags,
    });
    assert_eq!(
        tail(sctp),
        "sctp --sport 5000 --dport 9 --reply-port-src 9 --reply-port-dst 5000 --state COOKIE_WAIT \
         --orig-vtag 16825275 --reply-vtag 858993459"
    );
}

#[test]
fn zones_status_and_labels_are_written_where_there_are_any() {
    let zone = |id, applies| Zone { id, applies };
    let text = |zone| command(&udp(1, 2).zoned(zone));
    assert!(text(zone(7, ZoneDirections::Both)).starts_with("-A -u UNSET -w 7 -s "));
    assert!(text(zone(7, ZoneDirections::Original)).contains(" --orig-zone 7 -s "));
    assert!(text(zone(7, ZoneDirections::Reply)).contains(" --reply-zone 7 -s "));
    assert!(text(Zone::default()).starts_with("-A -u UNSET -s "));
    let all = Status::EXPECTED
        .with(Status::FIXED_TIMEOUT)
        .with(Status::SRC_NAT);
    let fixed = udp(1, 2)
        .replied()
        .change(|c| c.status = c.status.with(all));
    assert!(command(&fixed).contains("-u EXPECTED,SEEN_REPLY,FIXED_TIMEOUT "));
    let labelled = udp(1, 2).labelled(0b11);
    let options = Options {
        labels: Some(&[(1, "a b")]),
        ..Options::default()
    };
    let text = written(|out| save::entry(out, &labelled, &options));
    assert!(text.ends_with(" --label-add a_b\n"), "{text}");
    assert!(!command(&labelled).contains("label"));
}

/// An entry as it comes out of a message.
#[allow(clippy::unwrap_used, reason = "only tests call it")]
fn received(bytes: &[u8]) -> (Entry, u16) {
    let (message, _) = Message::first(bytes).unwrap().unwrap();
    (Entry::read(&message).unwrap(), message.kind)
}

#[test]
fn a_message_is_printed_with_what_it_has() {
    let options = Options {
        timestamp: true,
        id: true,
        ..Options::default()
    };
    let connection = tcp(5, 6, TcpState::SynSent).secs(60).numbered(9).started(1);
    let connection = connection.counted((1, 40), (0, 0));
    let mut bytes = Vec::new();
    let mut new = event(EventKind::New, &[Changes::NEW], connection.clone());
    new.time = Time::from_nanos(1_795_447_594_040_871_000);
    put_event(&mut bytes, Origin::default(), &new);
    let (entry, _) = received(&bytes);
    let text = written(|out| line::message(out, Told::New, &entry, &options));
    assert_eq!(
        text,
        "[1795447594.040871]\t    [NEW] tcp      6 60 SYN_SENT src=10.0.1.2 dst=10.0.2.2 sport=5 \
         dport=6 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=6 dport=5 id=9\n"
    );
    assert_eq!(text, written(|out| line::event(out, &new, &options)));
    let text = written(|out| xml::message(out, Told::New, &entry, &options));
    assert_eq!(text, written(|out| xml::event(out, &new, &options)));

    bytes.clear();
    put_entry(&mut bytes, Origin::default(), 0, &connection);
    let (entry, _) = received(&bytes);
    let sync = written(|out| line::message(out, Told::Sync, &entry, &Options::default()));
    assert!(
        sync.starts_with("   [SYNC] tcp      6 60 SYN_SENT "),
        "{sync}"
    );
    assert!(
        sync.contains("packets=1 bytes=40 ") && sync.ends_with(" mark=0 use=1\n"),
        "{sync}"
    );
}

#[test]
fn an_entry_that_ended_is_the_command_that_deletes_it() {
    let mut bytes = Vec::new();
    let ended = udp(1, 2).secs(0);
    let ended = event(EventKind::Destroy(Cause::Expired), &[], ended);
    put_event(&mut bytes, Origin::default(), &ended);
    let (entry, kind) = received(&bytes);
    assert_eq!(kind, kind::CT_DELETE);
    assert!(!entry.present.has(attribute::TIMEOUT));
    let text = written(|out| save::message(out, Told::Destroy, &entry, &Options::default()));
    assert!(text.starts_with("-D -u UNSET -s 10.0.1.2 "), "{text}");
    let text = written(|out| save::message(out, Told::Update, &entry, &Options::default()));
    assert!(text.starts_with("-U "), "{text}");
}
