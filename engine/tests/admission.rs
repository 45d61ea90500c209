//! Who may open connections: a side that is closed, and sources that are counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ip_conntrack::{
    Action, Census, Class, Config, Conntrack, Filter, Knob, LinkType, Packet, Reason, Time, Verdict,
};

/// A UDP packet between two hosts of 10.0.0.0/8, without a checksum.
fn packet(from: u8, to: u8, ports: (u16, u16)) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to,
    ];
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    let sum: u32 = packet.chunks(2).map(word).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(ports.0.to_be_bytes());
    packet.extend(ports.1.to_be_bytes());
    packet.extend([0, 8, 0, 0]);
    packet
}

fn track(conntrack: &mut Conntrack, bytes: &[u8], secs: u64) -> Verdict {
    let packet = Packet::parse(LinkType::Raw, bytes).unwrap();
    conntrack.track(&packet, Time::from_secs(secs))
}

#[test]
fn from_a_closed_side_only_known_connections_pass() {
    let mut conntrack = Conntrack::new(Config::default(), 1);
    let (there, back) = (packet(1, 2, (1000, 53)), packet(2, 1, (53, 1000)));
    track(&mut conntrack, &there, 1);
    conntrack.set_open(false);
    assert_eq!(track(&mut conntrack, &back, 2).class, Class::Established);
    let refused = track(&mut conntrack, &packet(2, 1, (53, 1001)), 3);
    assert_eq!(
        (refused.action, refused.reason),
        (Action::Drop, Some(Reason::SideClosed))
    );
    assert_eq!((conntrack.len(), conntrack.stats().drop()), (1, 0));
    conntrack.set_open(true);
    let opened = track(&mut conntrack, &packet(2, 1, (53, 1001)), 4);
    assert_eq!((opened.action, opened.class), (Action::Accept, Class::New));
}

/// A TCP segment without data between two hosts of 10.0.0.0/8, its checksum wrong.
fn segment(from: u8, to: u8, ports: (u16, u16), (seq, ack): (u32, u32), flags: u8) -> Vec<u8> {
    let mut packet = packet(from, to, ports);
    packet.truncate(20);
    packet[3] = 40;
    packet[9] = 6;
    // The length went up by 12, the protocol down by 11.
    let sum = u16::from_be_bytes([packet[10], packet[11]]) - 1;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(ports.0.to_be_bytes());
    packet.extend(ports.1.to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.extend(ack.to_be_bytes());
    packet.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    packet
}

#[test]
fn a_closed_side_ends_no_connection_by_opening_it_again() {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN: u8 = 1;
    for is_open in [false, true] {
        let mut config = Config::default();
        config.set(Knob::Checksum, 0).unwrap();
        let mut conntrack = Conntrack::new(config, 1);
        let (there, back) = ((1, 2, (1000, 80)), (2, 1, (80, 1000)));
        for ((from, to, ports), numbers, flags) in [
            (there, (100, 0), SYN),
            (back, (500, 101), SYN | ACK),
            (there, (101, 501), ACK),
            (there, (101, 501), FIN | ACK),
            (back, (501, 102), FIN | ACK),
            (there, (102, 502), ACK),
        ] {
            track(&mut conntrack, &segment(from, to, ports, numbers, flags), 1);
        }
        assert_eq!(conntrack.len(), 1);
        conntrack.set_open(is_open);
        let again = segment(2, 1, (80, 1000), (9_000, 0), SYN);
        let verdict = track(&mut conntrack, &again, 2);
        let wanted = match is_open {
            true => (Action::Accept, None),
            false => (Action::Drop, Some(Reason::SideClosed)),
        };
        assert_eq!((verdict.action, verdict.reason), wanted);
        assert_eq!(conntrack.len(), 1, "{is_open}");
    }
}

#[derive(Debug, Default)]
struct Counts(Mutex<HashMap<IpAddr, u32>>);

impl Counts {
    fn of(&self, host: u8) -> u32 {
        let counts = self.0.lock().unwrap();
        counts
            .get(&IpAddr::from([10, 0, 0, host]))
            .copied()
            .unwrap_or(0)
    }
}

impl Census for Counts {
    fn may_enter(&self, source: IpAddr) -> bool {
        self.0
            .lock()
            .unwrap()
            .get(&source)
            .is_none_or(|count| *count < 3)
    }

    fn entered(&self, source: IpAddr) {
        *self.0.lock().unwrap().entry(source).or_default() += 1;
    }

    fn left(&self, source: IpAddr) {
        *self.0.lock().unwrap().get_mut(&source).unwrap() -= 1;
    }
}

#[test]
fn a_census_hears_of_every_entry_however_it_comes_and_goes() {
    let mut config = Config::default();
    config.set(Knob::Max, 4).unwrap();
    let mut conntrack = Conntrack::new(config, 1);
    track(&mut conntrack, &packet(1, 9, (1, 53)), 1);
    let counts = Arc::new(Counts::default());
    conntrack.set_census(counts.clone());
    assert_eq!(counts.of(1), 1);

    for port in 2..6 {
        track(&mut conntrack, &packet(1, 9, (port, 53)), 2);
    }
    assert_eq!(counts.of(1), 3);
    assert_eq!(conntrack.stats().reason(Reason::SourceLimit), 2);
    // An answer is of the same connection, and nobody's entry; the next, after two seconds, makes a stream of it, which
    // outlives the others.
    track(&mut conntrack, &packet(9, 1, (53, 2)), 3);
    track(&mut conntrack, &packet(9, 1, (53, 2)), 5);
    assert_eq!(counts.of(9), 0);

    // Two more of another source: the table is full at the second, and one of the first's is evicted.
    track(&mut conntrack, &packet(2, 9, (1, 53)), 5);
    track(&mut conntrack, &packet(2, 9, (2, 53)), 5);
    assert_eq!(
        (counts.of(1) + counts.of(2), conntrack.stats().early_drop),
        (4, 1)
    );

    conntrack.advance(Time::from_secs(5).plus(Duration::from_secs(31)));
    let left = counts.of(1) + counts.of(2);
    assert_eq!((left as usize, conntrack.len()), (1, 1));
    while conntrack.flush_from(0, 1024, &Filter::default()).is_some() {}
    assert_eq!((counts.of(1) + counts.of(2), conntrack.len()), (0, 0));
}
