//! The two phases: what a proposed connection is before it is confirmed, and what may happen between.

mod support;

use ip_conntrack::{
    Action, Begin, Cause, Changes, Class, Conntrack, Counters, EventKind, Kind, Knob, LinkType,
    Packet, Protocol, Reason, Status, Unconfirmed, Zone, ZoneDirections,
};
use support::*;

#[allow(clippy::unwrap_used, clippy::panic)]
fn propose_in(conntrack: &mut Conntrack, zone: Zone, bytes: &[u8]) -> Unconfirmed {
    let packet = Packet::parse(LinkType::Raw, bytes).unwrap();
    match conntrack.begin(zone, &packet, START) {
        Begin::New(unconfirmed) => unconfirmed,
        Begin::Done(verdict) => panic!("{verdict:?} instead of a new connection"),
    }
}

#[test]
fn a_connection_that_policy_refuses_leaves_nothing_not_even_on_a_full_table() {
    let mut conntrack = listener(&[(Knob::Max, 2), (Knob::Acct, 1)]);
    ask(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(2), START);
    events(&mut conntrack);
    let before = (list(&conntrack), conntrack.stats().clone());

    for number in 3..10 {
        drop(propose(&mut conntrack, &flow(number).udp(1), START));
    }

    let (entries, mut stats) = before;
    stats.packets += 7;
    assert_eq!(list(&conntrack), entries);
    assert_eq!(conntrack.stats(), &stats);
    assert_eq!(conntrack.len(), 2);
    assert_eq!(events(&mut conntrack), []);
}

#[test]
fn a_refused_connection_is_proposed_again_by_its_next_packet() {
    let mut conntrack = tracker(&[]);
    drop(propose(&mut conntrack, &flow(1).udp(1), START));
    let again = propose(&mut conntrack, &flow(1).udp(1), at(1));
    assert_eq!(conntrack.confirm(again, at(1)).class, Class::New);
    assert_eq!(conntrack.len(), 1);
}

#[test]
fn a_proposed_connection_is_not_in_the_table_until_it_is_confirmed() {
    let mut conntrack = listener(&[]);
    let proposed = propose(&mut conntrack, &flow(1).udp(1), START);
    assert!(conntrack.is_empty());
    assert!(!has(&conntrack, flow(1), Protocol::UDP));
    assert_eq!(conntrack.stats().confirmed, 0);
    assert_eq!(events(&mut conntrack), []);

    let verdict = conntrack.confirm(proposed, START);
    assert_eq!(
        (verdict.action, verdict.class),
        (Action::Accept, Class::New)
    );
    assert!(has(&conntrack, flow(1), Protocol::UDP));
    assert_eq!(conntrack.stats().confirmed, 1);
    assert_eq!(conntrack.stats().packets, 1);
    assert_eq!(kinds(&mut conntrack), [EventKind::New]);
}

#[test]
fn mark_and_labels_given_before_confirmation_are_in_the_entry_and_in_its_event() {
    let mut conntrack = listener(&[]);
    let mut proposed = propose(&mut conntrack, &flow(1).udp(1), START);
    proposed.set_mark(42);
    proposed.set_labels(1 << 127 | 1);
    let handle = conntrack.confirm(proposed, START).connection.unwrap();

    let connection = conntrack.get(handle).unwrap();
    assert_eq!((connection.mark, connection.labels), (42, 1 << 127 | 1));
    let events = events(&mut conntrack);
    assert_eq!(events.len(), 1);
    let told = events[0].changes;
    assert!(told.has(Changes::NEW) && told.has(Changes::MARK) && told.has(Changes::LABEL));
    assert_eq!(events[0].connection, connection);
}

#[test]
fn a_helper_given_before_confirmation_is_shown_with_its_status_bit() {
    let mut conntrack = listener(&[]);
    let mut proposed = propose(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    assert_eq!(proposed.protocol(), Protocol::TCP);
    proposed.set_helper("ftp");
    let handle = conntrack.confirm(proposed, START).connection.unwrap();

    let connection = conntrack.get(handle).unwrap();
    assert_eq!(connection.helper.as_deref(), Some("ftp"));
    assert!(connection.status.has(Status::HELPER));
    let events = events(&mut conntrack);
    assert!(events[0].changes.has(Changes::HELPER));
    assert_eq!(events[0].connection, connection);
}

#[test]
fn two_proposals_of_one_udp_flow_are_joined_and_both_packets_are_counted() {
    let mut conntrack = listener(&[(Knob::Acct, 1)]);
    let first = propose(&mut conntrack, &flow(1).udp(1), START);
    let mut second = propose(&mut conntrack, &flow(1).udp(100), START);
    second.set_mark(7);

    let winner = conntrack.confirm(first, START);
    let joined = conntrack.confirm(second, START);

    assert_eq!((joined.action, joined.class), (Action::Accept, Class::New));
    assert_eq!(joined.connection, winner.connection);
    let connection = conntrack.get(winner.connection.unwrap()).unwrap();
    let both = Counters {
        packets: 2,
        bytes: 28 + 1 + 28 + 100,
    };
    assert_eq!(connection.counters, Some([both, Counters::default()]));
    assert_eq!(connection.mark, 0, "the entry is the winner's");
    let stats = conntrack.stats();
    assert_eq!((stats.clash_resolve, stats.confirmed), (1, 1));
    assert_eq!((stats.insert_failed(), stats.drop()), (0, 0));
    assert_eq!(conntrack.len(), 1);
    assert_eq!(kinds(&mut conntrack), [EventKind::New]);
}

#[test]
fn two_proposals_of_one_tcp_connection_are_not_joined_and_the_second_is_dropped() {
    let mut conntrack = listener(&[(Knob::Acct, 1)]);
    let syn = flow(1).tcp(SYN, 1000, 0);
    let first = propose(&mut conntrack, &syn, START);
    let second = propose(&mut conntrack, &syn, START);

    conntrack.confirm(first, START);
    let entries = list(&conntrack);
    let dropped = conntrack.confirm(second, START);

    assert_eq!(dropped.action, Action::Drop);
    assert_eq!(dropped.reason, Some(Reason::Clash));
    assert_eq!(dropped.connection, None);
    assert_eq!(list(&conntrack), entries);
    let stats = conntrack.stats();
    assert_eq!((stats.insert_failed(), stats.drop()), (1, 1));
    assert_eq!((stats.clash_resolve, stats.confirmed), (0, 1));
    assert_eq!(kinds(&mut conntrack), [EventKind::New]);
}

#[test]
fn a_datagram_each_way_before_either_was_confirmed_is_joined_too() {
    let mut conntrack = tracker(&[(Knob::Acct, 1)]);
    let there = propose(&mut conntrack, &flow(1).udp(1), START);
    let back = propose(&mut conntrack, &flow(1).back().udp(1), START);
    let handle = conntrack.confirm(there, START).connection.unwrap();
    let joined = conntrack.confirm(back, START);
    assert_eq!(
        (joined.action, joined.connection),
        (Action::Accept, Some(handle))
    );
    assert_eq!(conntrack.len(), 1);
    assert_eq!(conntrack.stats().clash_resolve, 1);
    let connection = conntrack.get(handle).unwrap();
    assert!(!connection.is_replied());
    assert_eq!(connection.counters.unwrap()[0].packets, 2);

    let repeated = send(&mut conntrack, &flow(1).back().udp(1), START);
    assert_eq!(repeated.class, Class::Established);
}

#[test]
fn a_syn_each_way_before_either_was_confirmed_cannot_be_joined() {
    let mut conntrack = tracker(&[]);
    let there = propose(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    let back = propose(&mut conntrack, &flow(1).back().tcp(SYN, 5000, 0), START);
    conntrack.confirm(there, START);
    assert_eq!(conntrack.confirm(back, START).reason, Some(Reason::Clash));
    assert_eq!(conntrack.stats().insert_failed(), 1);
}

#[test]
fn an_entry_that_ran_out_clashes_with_nothing() {
    let mut conntrack = listener(&[]);
    let early = propose(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    let late = propose(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    conntrack.confirm(early, START);
    let verdict = conntrack.confirm(late, at(120));
    assert_eq!(verdict.action, Action::Accept);
    assert_eq!(
        kinds(&mut conntrack),
        [
            EventKind::New,
            EventKind::Destroy(Cause::Expired),
            EventKind::New
        ]
    );
    assert_eq!(conntrack.len(), 1);
}

#[test]
fn the_same_flow_in_two_zones_does_not_clash() {
    let mut conntrack = tracker(&[]);
    let bytes = flow(1).tcp(SYN, 1000, 0);
    let here = propose_in(&mut conntrack, Zone::both(1), &bytes);
    let there = propose_in(&mut conntrack, Zone::both(2), &bytes);
    assert_eq!(conntrack.confirm(here, START).action, Action::Accept);
    assert_eq!(conntrack.confirm(there, START).action, Action::Accept);
    assert_eq!(conntrack.len(), 2);
}

#[test]
fn two_flows_whose_answers_would_look_the_same_cannot_both_be_confirmed() {
    let mut conntrack = tracker(&[]);
    let zone = |id| Zone {
        id,
        applies: ZoneDirections::Original,
    };
    let here = propose_in(&mut conntrack, zone(1), &flow(1).udp(1));
    let there = propose_in(&mut conntrack, zone(2), &flow(1).udp(1));
    assert_eq!(conntrack.confirm(here, START).action, Action::Accept);
    let verdict = conntrack.confirm(there, START);
    assert_eq!(verdict.reason, Some(Reason::Clash));
    assert_eq!(conntrack.len(), 1);
}

#[test]
fn the_timeout_starts_at_confirmation() {
    let mut conntrack = tracker(&[(Knob::Timestamp, 1)]);
    let proposed = propose(&mut conntrack, &flow(1).udp(1), START);
    conntrack.confirm(proposed, at(10));
    let deadlines: Vec<_> = conntrack.deadlines().collect();
    assert_eq!(deadlines, [at(40)]);
    assert_eq!(list(&conntrack)[0].start, Some(at(10)));
}

#[test]
fn a_table_that_becomes_full_between_the_phases_evicts_at_confirmation() {
    let mut conntrack = listener(&[(Knob::Max, 2)]);
    ask(&mut conntrack, flow(1), START);
    let second = propose(&mut conntrack, &flow(2).udp(1), START);
    let third = propose(&mut conntrack, &flow(3).udp(1), START);
    conntrack.confirm(second, START);
    assert_eq!(conntrack.stats().early_drop, 0);

    assert_eq!(conntrack.confirm(third, START).action, Action::Accept);
    assert_eq!(conntrack.len(), 2);
    assert_eq!(conntrack.stats().early_drop, 1);
    assert!(!has(&conntrack, flow(1), Protocol::UDP));
    let early_drop = EventKind::Destroy(Cause::EarlyDrop);
    let expected = [EventKind::New, EventKind::New, early_drop, EventKind::New];
    assert_eq!(kinds(&mut conntrack), expected);
}

#[test]
fn a_table_whose_last_victim_became_assured_between_the_phases_drops_the_packet() {
    let mut conntrack = listener(&[(Knob::Max, 1)]);
    send(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    let proposed = propose(&mut conntrack, &flow(2).udp(1), START);
    connect(&mut conntrack, flow(1), START);
    events(&mut conntrack);

    let verdict = conntrack.confirm(proposed, START);
    assert_eq!(verdict.action, Action::Drop);
    assert_eq!(verdict.reason, Some(Reason::TableFull));
    assert_eq!(conntrack.stats().kind(Kind::Dropped), 1);
    assert_eq!(conntrack.stats().insert_failed(), 0);
    assert!(has(&conntrack, flow(1), Protocol::TCP));
    assert_eq!(conntrack.len(), 1);
    assert_eq!(events(&mut conntrack), []);
}

#[test]
fn a_proposal_outlives_whatever_happens_to_the_table() {
    let mut conntrack = tracker(&[(Knob::Max, 5_000)]);
    let proposed = propose(&mut conntrack, &flow(0).udp(1), START);
    for number in 1..5_000 {
        ask(&mut conntrack, flow(number), START);
    }
    conntrack.set(Knob::Buckets, 1).unwrap();
    conntrack.flush();
    conntrack.set(Knob::Max, 1).unwrap();
    let verdict = conntrack.confirm(proposed, at(1));
    assert_eq!(verdict.action, Action::Accept);
    let (found, _) = conntrack
        .find(&flow(0).tuple(Protocol::UDP), Zone::default())
        .unwrap();
    assert_eq!(Some(found), verdict.connection);
    assert_eq!(conntrack.len(), 1);
}

#[test]
fn a_packet_whose_zone_is_for_one_direction_clashes_with_no_connection_of_another_zone() {
    let mut conntrack = tracker(&[]);
    let other = ask(&mut conntrack, flow(1), START);
    let zone = Zone {
        id: 5,
        applies: ZoneDirections::Reply,
    };
    // As an answer it would have to be in zone 5; as a question it is in none, like that answer.
    let bytes = flow(1).back().udp(1);
    let unconfirmed = propose_in(&mut conntrack, zone, &bytes);
    let own = conntrack.confirm(unconfirmed, START).connection.unwrap();
    assert_ne!(own, other);

    let packet = Packet::parse(LinkType::Raw, &bytes).unwrap();
    let again = conntrack.track_in(zone, &packet, START);
    assert_eq!(again.connection, Some(own));
    assert_eq!(conntrack.len(), 2);
}
