//! Tracking takes no memory from the allocator: what a table of its size needs, it has from the start.
//!
//! Counted by `allocation-counter`, whose allocator counts for this test program only and for each
//! thread apart. Not meant: fragments, events that are kept, a zone of one direction, a table without
//! a limit, and the first IPv6 connection of each 16,384, for whose addresses there is room then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use allocation_counter::measure;
use ip_conntrack::format::netlink::{Entry, Messages, Origin, put_entry};
use ip_conntrack::{Arrival, Class, Conntrack, Knob, LinkType, Reason, Time, Verdict, Zone};

use support::{ACK, Flow, START, SYN, at, connect, converse, flow, flow6, tracker};

/// As many connections as there are packets in a batch, and more than a group.
const FLOWS: u32 = 64;

/// Tracks IP packets as batches; returns the verdicts and how often memory was asked for.
fn track(conntrack: &mut Conntrack, packets: &[Vec<u8>], time: Time) -> (Vec<Verdict>, u64) {
    let arrival = |bytes| Arrival {
        link: LinkType::Raw,
        bytes,
        wire_len: bytes.len(),
        time,
    };
    let arrivals: Vec<_> = packets.iter().map(|bytes| arrival(&bytes[..])).collect();
    let mut verdicts = vec![Verdict::default(); packets.len()];
    let info = measure(|| {
        conntrack.advance(time);
        for (arrivals, verdicts) in arrivals.chunks(32).zip(verdicts.chunks_mut(32)) {
            conntrack.track_batch(Zone::default(), arrivals, verdicts);
        }
    });
    (verdicts, info.count_total)
}

fn each(flows: impl Iterator<Item = Flow>, packet: impl Fn(Flow) -> Vec<u8>) -> Vec<Vec<u8>> {
    flows.map(packet).collect()
}

fn limited(max: i64) -> Conntrack {
    tracker(&[(Knob::Max, max), (Knob::Buckets, 1), (Knob::Acct, 1)])
}

#[test]
fn packets_of_established_connections_take_no_memory() {
    let mut conntrack = limited(1000);
    for number in 0..FLOWS {
        connect(&mut conntrack, flow(number), START);
        connect(&mut conntrack, flow6(number), START);
        converse(&mut conntrack, flow(number), START);
        converse(&mut conntrack, flow6(number), START);
    }
    let flows = || (0..FLOWS).flat_map(|number| [flow(number), flow6(number)]);
    let tcp = each(flows(), |flow| flow.tcp(ACK, 1001, 5001));
    let back = each(flows(), |flow| flow.back().tcp(ACK, 5001, 1001));
    let udp = each(flows(), |flow| flow.udp(100));
    for packets in [tcp, back, udp] {
        // The second time a datagram makes a stream, the third goes on with it.
        for secs in [1, 5, 6] {
            let (verdicts, count) = track(&mut conntrack, &packets, at(secs));
            let mut classes = verdicts.iter().map(|verdict| verdict.class);
            assert!(classes.all(|class| class == Class::Established));
            assert_eq!(count, 0, "{secs} s");
        }
    }
}

#[test]
fn new_connections_take_no_memory_from_the_first_to_the_last_that_fits() {
    const MAX: u32 = 40_000;
    let mut conntrack = limited(i64::from(MAX));
    for from in [0, MAX / 2] {
        let flows = (from..from + MAX / 2).map(flow);
        let packets = each(flows, |flow| flow.tcp(SYN, 1, 0));
        let (verdicts, count) = track(&mut conntrack, &packets, START);
        assert!(verdicts.iter().all(|verdict| verdict.connection.is_some()));
        assert_eq!(count, 0, "from {from}");
    }
    assert_eq!(conntrack.len(), MAX as usize);
}

#[test]
fn new_ipv6_connections_take_no_memory_after_the_first() {
    let mut conntrack = limited(1000);
    converse(&mut conntrack, flow6(0), START);
    let packets = each((1..900).map(flow6), |flow| flow.udp(1));
    let (verdicts, count) = track(&mut conntrack, &packets, START);
    assert!(verdicts.iter().all(|verdict| verdict.class == Class::New));
    assert_eq!((conntrack.len(), count), (900, 0));
}

#[test]
fn a_full_table_evicts_refuses_and_collects_without_taking_memory() {
    const MAX: u32 = 1000;
    let mut conntrack = limited(i64::from(MAX));
    for number in 0..MAX / 2 {
        connect(&mut conntrack, flow(number), START);
    }
    let flood = each((MAX..MAX * 4).map(flow), |flow| flow.tcp(SYN, 1, 0));
    let (_, count) = track(&mut conntrack, &flood, at(1));
    assert_eq!(count, 0, "evicting");
    let stats = conntrack.stats();
    assert_eq!(stats.early_drop, u64::from(MAX * 3 - MAX / 2));

    // SYN_SENT lasts 120 seconds.
    let (_, count) = track(&mut conntrack, &flood, at(200));
    assert_eq!(count, 0, "collecting");
    assert!(conntrack.stats().expired >= u64::from(MAX / 2));

    for number in MAX / 2..MAX {
        connect(&mut conntrack, flow(number), at(200));
    }
    let (verdicts, count) = track(&mut conntrack, &flood, at(201));
    assert_eq!(count, 0, "refusing");
    let mut reasons = verdicts.iter().map(|verdict| verdict.reason);
    assert!(reasons.all(|reason| reason == Some(Reason::TableFull)));
}

#[test]
fn an_entry_without_names_is_read_from_its_message_without_memory() {
    let mut conntrack = limited(1000);
    let mut bytes = Vec::new();
    for number in 0..FLOWS {
        connect(&mut conntrack, flow(number), START);
        converse(&mut conntrack, flow6(number), START);
    }
    for connection in conntrack.connections() {
        put_entry(&mut bytes, Origin::default(), 0, &connection);
    }
    let mut read = 0;
    let info = measure(|| {
        for message in Messages::new(&bytes) {
            read += u32::from(Entry::read(&message.unwrap()).is_ok());
        }
    });
    assert_eq!((read, info.count_total), (2 * FLOWS, 0));
}
