//! Messages about real connections.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use ip_conntrack::format::netlink::names::{flag, kind};
use ip_conntrack::format::netlink::{
    Ask, Entry, List, Message, Origin, put_entry, put_event, put_expectation, put_expectation_end,
    put_expectation_new, read_expectation,
};
use ip_conntrack::{Filter, Time};

use crate::both::{Both, compare_bytes, read};

/// Real connections through the loopback device: each message that the kernel sends about them is read, and
/// written again as it was.
pub(crate) fn messages(both: &mut Both) {
    both.linux.set("nf_conntrack_timestamp", "1").unwrap();
    run_there("ip link set lo up");
    run_there("nft flush ruleset");
    run_there("nft add table inet real");
    run_there("nft add chain inet real in { type filter hook input priority 0 ; }");
    run_there("nft add rule inet real in ct state new accept");
    let _ = both.events();

    for host in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (one, two) = (
            UdpSocket::bind((host, 0)).unwrap(),
            UdpSocket::bind((host, 0)).unwrap(),
        );
        for _ in 0..2 {
            one.send_to(b"?", two.local_addr().unwrap()).unwrap();
            two.send_to(b"!", one.local_addr().unwrap()).unwrap();
        }
        let dump = real_listing(both);
        assert!(dump >= 2, "{dump} entries of {host}");
        drop((client, server));
        std::thread::sleep(Duration::from_millis(20));
        let _ = real_listing(both);
        let family = if host == "::1" { "ipv6" } else { "ipv4" };
        run_there(&format!("conntrack -U -m 7 -f {family}"));
        let _ = real_listing(both);
    }
    run_there("conntrack -F");
    let events = real_events(both);
    assert!(events >= 12, "{events} events");
}

/// Runs a command in this thread's namespace.
fn run_there(command: &str) {
    let mut words = command.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn real_listing(both: &mut Both) -> usize {
    let ask = Ask::List {
        list: List::Table,
        filter: Filter::default(),
        zero: false,
    };
    let bytes = both.request(&ask);
    let (entries, _) = both.exchange(&bytes);
    for theirs in &entries {
        let (message, _) = Message::first(theirs).unwrap().unwrap();
        let mut written = Vec::new();
        let connection = read(theirs).connection;
        put_entry(
            &mut written,
            Origin::of(&message),
            message.flags,
            &connection,
        );
        compare_bytes("a listing", &written, theirs);
    }
    entries.len()
}

fn real_events(both: &mut Both) -> usize {
    let events = both.events();
    for theirs in &events {
        let (message, _) = Message::first(theirs).unwrap().unwrap();
        let mut written = Vec::new();
        match message.kind {
            kind::CT_NEW | kind::CT_DELETE => {
                let mut event = Entry::event(&message, Time::ZERO).unwrap();
                // It is not told, but that there is a time of the event tells that there is one.
                event.connection.start = event.connection.start.or(read(theirs).time);
                put_event(&mut written, Origin::of(&message), &event);
                compare_bytes("an event", &written, theirs);
            }
            _ => {
                let expectation = read_expectation(&message).unwrap();
                let put = match message.kind {
                    kind::EXP_DELETE => put_expectation_end,
                    _ if message.has(flag::CREATE) => put_expectation_new,
                    _ => |out: &mut Vec<u8>, origin, it: &_| put_expectation(out, origin, 0, it),
                };
                put(&mut written, Origin::of(&message), &expectation);
                assert_eq!(written, *theirs);
            }
        }
    }
    events.len()
}
