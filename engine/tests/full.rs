//! The limit and the size of the index: who fits, who goes, and that nobody is lost meanwhile.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use ip_conntrack::{
    Action, Cause, Class, Conntrack, Direction, EventKind, Kind, Knob, Protocol, Reason, Time, Zone,
};
use proptest::prelude::*;
use support::*;

/// The numbers of the flows of [`flow`] that were evicted, in that order.
fn evicted(conntrack: &mut Conntrack) -> Vec<u32> {
    let gone = events(conntrack)
        .into_iter()
        .filter(|event| event.kind == EventKind::Destroy(Cause::EarlyDrop));
    gone.map(|event| event.connection.original)
        .map(|tuple| match tuple.src {
            std::net::IpAddr::V4(src) => src.to_bits() - 0x0a00_0000,
            std::net::IpAddr::V6(_) => u32::MAX,
        })
        .collect()
}

#[test]
fn exactly_as_many_entries_fit_as_the_limit_says() {
    for max in [1, 2, 7, 63, 64, 65, 1_000, 20_000] {
        let mut conntrack = tracker(&[(Knob::Max, max)]);
        for number in 0..max as u32 {
            ask(&mut conntrack, flow(number), START);
        }
        assert_eq!(conntrack.len() as i64, max);
        assert_eq!(conntrack.stats().early_drop, 0, "limit {max}");

        ask(&mut conntrack, flow(max as u32), START);
        assert_eq!(conntrack.len() as i64, max);
        assert_eq!(conntrack.stats().early_drop, 1, "limit {max}");
    }
}

#[test]
fn exactly_as_many_fit_into_the_smallest_index_that_the_limit_allows() {
    for seed in 0..8 {
        let mut conntrack = seeded(seed, &[(Knob::Max, 6_000), (Knob::Buckets, 1)]);
        assert!(conntrack.buckets() <= 1_000, "{}", conntrack.buckets());
        for number in 0..6_000 {
            ask(&mut conntrack, flow(number), START);
        }
        assert_eq!(conntrack.len(), 6_000);
        assert_eq!(conntrack.stats().drop(), 0);
    }
}

#[test]
fn unanswered_entries_go_before_answered_ones() {
    let mut conntrack = listener(&[(Knob::Max, 6)]);
    for number in 0..6 {
        match number {
            0 | 3 => converse(&mut conntrack, flow(number), START),
            1 => connect(&mut conntrack, flow(number), START),
            _ => ask(&mut conntrack, flow(number), START),
        };
    }
    for number in 10..13 {
        converse(&mut conntrack, flow(number), START);
    }
    assert_eq!(evicted(&mut conntrack), [2, 4, 5], "the unanswered ones");
    converse(&mut conntrack, flow(13), START);
    assert_eq!(evicted(&mut conntrack), [0], "the oldest that was answered");
    assert!(has(&conntrack, flow(1), Protocol::TCP), "ASSURED stays");
}

#[test]
fn a_flood_evicts_about_the_oldest_first() {
    let mut conntrack = listener(&[(Knob::Max, 1_000)]);
    for number in 0..3_000 {
        ask(&mut conntrack, flow(number), START);
    }
    let evicted = evicted(&mut conntrack);
    assert_eq!(evicted.len(), 2_000);
    for (turn, number) in evicted.into_iter().enumerate() {
        let age = number.abs_diff(turn as u32);
        assert!(age < 250, "number {number} went as the {turn}th");
    }
}

#[test]
fn one_new_connection_evicts_one_entry() {
    let mut conntrack = tracker(&[(Knob::Max, 100)]);
    for number in 0..100 {
        converse(&mut conntrack, flow(number), START);
    }
    for number in 100..150 {
        ask(&mut conntrack, flow(number), START);
        assert_eq!(conntrack.len(), 100);
        assert_eq!(conntrack.stats().early_drop, u64::from(number) - 99);
    }
}

#[test]
fn a_table_full_of_assured_entries_drops_new_connections_and_keeps_the_old() {
    let mut conntrack = listener(&[(Knob::Max, 50), (Knob::Acct, 1)]);
    for number in 0..50 {
        connect(&mut conntrack, flow(number), START);
    }
    events(&mut conntrack);
    let entries = list(&conntrack);
    for number in 50..60 {
        let verdict = send(&mut conntrack, &flow(number).udp(1), START);
        assert_eq!(verdict.action, Action::Drop);
        assert_eq!(verdict.reason, Some(Reason::TableFull));
        assert_eq!(verdict.connection, None);
    }
    assert_eq!(conntrack.stats().drop(), 10);
    assert_eq!(conntrack.stats().reason(Reason::TableFull), 10);
    assert_eq!(conntrack.stats().early_drop, 0);
    assert_eq!(list(&conntrack), entries);
    assert_eq!(events(&mut conntrack), []);

    let bytes = flow(7).back().tcp(ACK, 5001, 1001);
    let verdict = send(&mut conntrack, &bytes, at(1));
    assert_eq!(verdict.class, Class::Established);
    assert_eq!(verdict.action, Action::Accept);
}

#[test]
fn entries_that_ran_out_and_were_collected_make_room() {
    let mut conntrack = tracker(&[(Knob::Max, 2)]);
    connect(&mut conntrack, flow(0), START);
    connect(&mut conntrack, flow(1), START);
    let later = at(432_001);
    assert!(conntrack.advance(later));
    assert!(conntrack.is_empty());
    ask(&mut conntrack, flow(2), later);
    assert_eq!(conntrack.stats().drop(), 0);
}

#[test]
fn each_table_has_a_limit_of_its_own() {
    let mut tables = [1, 3].map(|max| tracker(&[(Knob::Max, max)]));
    for table in &mut tables {
        for number in 0..5 {
            ask(table, flow(number), START);
        }
    }
    assert_eq!(tables.map(|table| table.len()), [1, 3]);
}

#[test]
fn a_limit_of_zero_is_none() {
    let mut conntrack = tracker(&[(Knob::Max, 0), (Knob::Buckets, 1)]);
    for number in 0..100_000 {
        ask(&mut conntrack, flow(number), START);
    }
    assert_eq!(conntrack.len(), 100_000);
    assert_eq!(conntrack.stats().early_drop, 0);
    assert_eq!(conntrack.stats().kind(Kind::Dropped), 0);
    assert!((0..100_000).all(|number| has(&conntrack, flow(number), Protocol::UDP)));
}

#[test]
fn raising_the_limit_of_a_full_table_ends_the_drops_at_once() {
    let mut conntrack = tracker(&[(Knob::Max, 20), (Knob::Buckets, 1)]);
    for number in 0..20 {
        connect(&mut conntrack, flow(number), START);
    }
    assert_eq!(
        send(&mut conntrack, &flow(20).udp(1), START).action,
        Action::Drop
    );
    conntrack.set(Knob::Max, 2_000).unwrap();
    for number in 20..2_000 {
        ask(&mut conntrack, flow(number), START);
    }
    assert_eq!(conntrack.len(), 2_000);
    assert_eq!(conntrack.stats().drop(), 1);
    assert_eq!(conntrack.stats().early_drop, 0);
}

#[test]
fn lowering_the_limit_keeps_the_entries_and_admits_none_beyond() {
    let mut conntrack = tracker(&[(Knob::Max, 20)]);
    for number in 0..20 {
        connect(&mut conntrack, flow(number), START);
    }
    conntrack.set(Knob::Max, 5).unwrap();
    conntrack.advance(at(1));
    assert_eq!(conntrack.len(), 20);
    assert!((0..20).all(|number| has(&conntrack, flow(number), Protocol::TCP)));
    for left in (5..=20).rev() {
        assert_eq!(conntrack.len(), left);
        let verdict = send(&mut conntrack, &flow(100).udp(1), at(1));
        assert_eq!(verdict.reason, Some(Reason::TableFull), "{left} entries");
        let tuple = flow(left as u32 - 1).tuple(Protocol::TCP);
        let (handle, _) = conntrack.find(&tuple, Zone::default()).unwrap();
        assert!(conntrack.delete(handle));
    }
    ask(&mut conntrack, flow(100), at(1));
    assert_eq!(conntrack.len(), 5);
}

#[test]
fn a_lowered_limit_holds_for_entries_that_may_be_evicted_too() {
    let mut conntrack = tracker(&[(Knob::Max, 20)]);
    for number in 0..20 {
        ask(&mut conntrack, flow(number), START);
    }
    conntrack.set(Knob::Max, 5).unwrap();
    assert_eq!(list(&conntrack).len(), 20);
    for number in 20..40 {
        let before = conntrack.len();
        ask(&mut conntrack, flow(number), START);
        assert!(conntrack.len() <= before, "it grew to {}", conntrack.len());
    }
}

#[test]
fn every_flow_is_found_while_the_index_grows_and_shrinks_under_it() {
    const FLOWS: u32 = 50_000;
    let mut conntrack = tracker(&[(Knob::Max, 60_000), (Knob::Buckets, 1)]);
    let either = |number: u32| match number % 2 {
        0 => flow(number),
        _ => flow6(number),
    };
    for number in 0..FLOWS {
        ask(&mut conntrack, either(number), START);
    }
    for places in [400_000, 1, 1_000_000, 100_000] {
        conntrack.set(Knob::Buckets, places).unwrap();
        assert!(conntrack.buckets() * 8 >= 60_000.max(places as usize));
        for steps in [0, 1, 500, 40_000] {
            for _ in 0..steps {
                conntrack.advance(START);
            }
            for number in 0..FLOWS {
                let flow = either(number);
                let found = |tuple| conntrack.find(&tuple, Zone::default());
                let (there, way) = found(flow.tuple(Protocol::UDP)).unwrap();
                let back = found(flow.back().tuple(Protocol::UDP));
                assert_eq!(way, Direction::Original);
                assert_eq!(back, Some((there, Direction::Reply)));
            }
            let originals = conntrack.connections().map(|entry| entry.original);
            let distinct: BTreeSet<_> = originals.map(|tuple| tuple.src).collect();
            assert_eq!(distinct.len(), FLOWS as usize);
            assert_eq!(conntrack.connections().count(), FLOWS as usize);
        }
    }
    assert_eq!(conntrack.len(), FLOWS as usize);
}

/// What may happen to a table; flows by their numbers.
#[derive(Clone, Debug)]
enum Op {
    Packets(u32, u32),
    Delete(u32, u32),
    Places(i64),
    Limit(i64),
    Wait(u64),
    Steps(u32),
}

const NUMBERS: u32 = 1_500;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..NUMBERS, 0..600_u32).prop_map(|(from, count)| Op::Packets(from, count)),
        2 => (0..NUMBERS, 0..600_u32).prop_map(|(from, count)| Op::Delete(from, count)),
        2 => prop_oneof![Just(1_i64), 1..40_000_i64].prop_map(Op::Places),
        1 => prop_oneof![Just(0), 1_500..6_000_i64].prop_map(Op::Limit),
        2 => (0..20_000_u64).prop_map(Op::Wait),
        2 => (0..200_u32).prop_map(Op::Steps),
    ]
}

/// IPv4 and IPv6 by turns.
fn mixed(number: u32) -> Flow {
    match number % 3 {
        0 => flow6(number),
        _ => flow(number),
    }
}

#[allow(clippy::unwrap_used)]
fn apply(conntrack: &mut Conntrack, model: &mut BTreeMap<u32, Time>, now: &mut u64, op: &Op) {
    match *op {
        Op::Packets(from, count) => {
            for number in from..(from + count).min(NUMBERS) {
                ask(conntrack, mixed(number), at_ms(*now));
                model.insert(number, at_ms(*now + 30_000));
            }
        }
        Op::Delete(from, count) => {
            for number in from..(from + count).min(NUMBERS) {
                let tuple = mixed(number).tuple(Protocol::UDP);
                let found = conntrack.find(&tuple, Zone::default());
                let was_there = found.is_some_and(|(handle, _)| conntrack.delete(handle));
                assert_eq!(was_there, model.remove(&number).is_some(), "{number}");
            }
        }
        Op::Places(places) => conntrack.set(Knob::Buckets, places).unwrap(),
        Op::Limit(max) => conntrack.set(Knob::Max, max).unwrap(),
        Op::Wait(millis) => {
            *now += millis;
            conntrack.advance(at_ms(*now));
            model.retain(|_, deadline| *deadline > at_ms(*now));
        }
        Op::Steps(count) => {
            for _ in 0..count {
                conntrack.advance(at_ms(*now));
            }
        }
    }
}

fn assert_same(conntrack: &Conntrack, model: &BTreeMap<u32, Time>) {
    for number in 0..NUMBERS {
        let is_there = has(conntrack, mixed(number), Protocol::UDP);
        assert_eq!(is_there, model.contains_key(&number), "flow {number}");
    }
    let originals = conntrack.connections().map(|entry| entry.original.src);
    let mut listed: Vec<_> = originals.zip(conntrack.deadlines()).collect();
    let modelled = model.iter().map(|(number, deadline)| {
        let tuple = mixed(*number).tuple(Protocol::UDP);
        (tuple.src, *deadline)
    });
    let mut modelled: Vec<_> = modelled.collect();
    listed.sort();
    modelled.sort();
    assert_eq!(listed, modelled);
    assert!(conntrack.len() >= model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_table_agrees_with_a_map_whatever_is_done_to_it(ops in prop::collection::vec(op(), 1..30)) {
        let mut conntrack = tracker(&[(Knob::Max, 1_500), (Knob::Buckets, 1)]);
        let (mut model, mut now) = (BTreeMap::new(), 0);
        conntrack.advance(START);
        for op in &ops {
            apply(&mut conntrack, &mut model, &mut now, op);
            assert_same(&conntrack, &model);
        }
        apply(&mut conntrack, &mut model, &mut now, &Op::Wait(1_000));
        assert_eq!(conntrack.len(), model.len(), "what ran out is collected");
    }
}

#[test]
fn a_packet_with_a_wrong_checksum_evicts_nobody_from_a_full_table() {
    let mut conntrack = tracker(&[(Knob::Max, 2), (Knob::Checksum, 1)]);
    ask(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(2), START);
    let mut wrong = flow(3).tcp(SYN, 1, 0);
    let last = wrong.len() - 4;
    wrong[last] ^= 0x55;
    let verdict = send(&mut conntrack, &wrong, START);
    assert_eq!(verdict.reason, Some(Reason::TcpChecksum));
    assert_eq!((conntrack.len(), conntrack.stats().early_drop), (2, 0));
}

#[test]
fn an_assured_connection_that_is_closing_is_not_evicted_either() {
    let mut conntrack = tracker(&[(Knob::Max, 1)]);
    connect(&mut conntrack, flow(1), START);
    let fin = flow(1).tcp(FIN | ACK, 1001, 5001);
    send(&mut conntrack, &fin, START);
    for _ in 0..100 {
        let verdict = send(&mut conntrack, &flow(2).udp(1), START);
        assert_eq!(verdict.reason, Some(Reason::TableFull));
    }
    assert!(has(&conntrack, flow(1), Protocol::TCP));
}
