//! Packets of connections that were made by hand: what the tracker did not see, it has to learn from them.

use std::net::{IpAddr, SocketAddr};

use ip_conntrack::{Change, Masked, Protocol, StateChange, Status};
use lab::craft::{Body, Craft, Ends, Sum, Tcp};

use crate::both::Both;
use crate::entries::{CLIENT, SERVER, entry, of, tuple};

const ACK: u8 = 0x10;
const PSH: u8 = 0x18;
const FIN: u8 = 0x11;
const RST: u8 = 0x04;
const SYN: u8 = 0x02;

/// From the client's port to port 80 of the server, or back.
fn packet(port: u16, back: bool, body: Body) -> Vec<u8> {
    let client = SocketAddr::new(IpAddr::from(CLIENT), port);
    let server = SocketAddr::new(IpAddr::from(SERVER), 80);
    let (src, dst) = if back {
        (server, client)
    } else {
        (client, server)
    };
    Craft::new(Ends { src, dst }, body).bytes()
}

fn send(both: &mut Both, what: &str, port: u16, back: bool, body: Body) {
    let what = format!("{what}, port {port}{}", if back { " back" } else { "" });
    both.send(&what, &packet(port, back, body));
    both.compare_tables(&what);
}

fn segment(flags: u8, seq: u32, ack: u32, len: usize) -> Body {
    Body::Tcp(Tcp {
        flags,
        seq,
        ack,
        len,
        window: 1000,
        ..Tcp::default()
    })
}

pub(crate) fn that_follow(both: &mut Both) {
    tcp(both);
    udp(both);
    others(both);
}

fn tcp(both: &mut Both) {
    let liberal = Some(Masked {
        value: 0x08,
        mask: 0x08,
    });
    let mut port = 1000;
    for state in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
        for (status, flags) in [(0x8, None), (0xe, None), (0xe, liberal)] {
            port += 1;
            let state = Some(StateChange::Tcp {
                state: Some(state),
                window_scales: [None; 2],
                flags: [flags; 2],
            });
            let status = Some(Status(status));
            let change = Change {
                state,
                status,
                ..entry(Protocol::TCP, port)
            };
            both.make("a connection", &change);
            send(both, "data", port, false, segment(PSH, 5000, 9000, 100));
            send(both, "an answer", port, true, segment(ACK, 9000, 5100, 0));
            send(both, "data back", port, true, segment(PSH, 9000, 5100, 50));
            send(
                both,
                "far out",
                port,
                false,
                segment(PSH, 99_000_000, 9050, 9),
            );
            send(both, "a FIN", port, false, segment(FIN, 5100, 9050, 0));
            send(both, "a RST", port, true, segment(RST, 9050, 0, 0));
            send(both, "a SYN", port, false, segment(SYN, 7777, 0, 0));
        }
    }
}

fn udp(both: &mut Both) {
    let datagram = || Body::Udp {
        len: 4,
        length: None,
        sum: Sum::Right,
    };
    for (port, status) in [(2000, 0x8), (2001, 0xa), (2002, 0xe), (2003, 0x40a)] {
        let change = Change {
            status: Some(Status(status)),
            ..entry(Protocol::UDP, port)
        };
        both.make("an exchange", &change);
        send(both, "a question", port, false, datagram());
        send(both, "an answer", port, true, datagram());
        send(both, "another question", port, false, datagram());
    }
}

fn others(both: &mut Both) {
    let other = || Body::Other {
        protocol: 99,
        bytes: vec![1; 8],
    };
    let original = tuple(Protocol(99), CLIENT, SERVER, (0, 0));
    both.make("made", &of(original, original.inverse().unwrap()));
    for back in [false, true, false, true] {
        send(both, "protocol 99", 0, back, other());
    }
}

/// Linux forgets to give such an entry its times: the first packet ends it. Here it has those that are set.
pub(crate) fn of_gre(both: &mut Both) {
    let body = Body::Gre {
        version: 0,
        protocol: 0x0800,
        call: 0,
        key: None,
    };
    let original = tuple(Protocol::GRE, CLIENT, SERVER, (0, 0));
    both.make("made", &of(original, original.inverse().unwrap()));
    both.compare_tables("before the packet");
    both.send("a packet", &packet(0, false, body));
    assert_eq!(both.theirs(), 0, "Linux has learned it");
    assert_eq!(both.ours.connections().count(), 1);
}
