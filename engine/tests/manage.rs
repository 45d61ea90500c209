//! What is read and changed by hand, and time.

mod support;

use ip_conntrack::{
    Class, ConfigError, Conntrack, Counters, Direction, Handle, Knob, LinkType, Packet, Protocol,
    Time, Zone, ZoneDirections,
};
use support::*;

fn send_in(conntrack: &mut Conntrack, zone: Zone, bytes: &[u8]) -> Option<Handle> {
    let packet = Packet::parse(LinkType::Raw, bytes).ok()?;
    conntrack.track_in(zone, &packet, START).connection
}

/// Asserts that nothing can be done through a handle.
fn assert_stale(conntrack: &mut Conntrack, handle: Handle) {
    let before = list(conntrack);
    assert_eq!(conntrack.get(handle), None);
    assert!(!conntrack.set_mark(handle, 1));
    assert!(!conntrack.set_secmark(handle, 1));
    assert!(!conntrack.set_labels(handle, 1));
    assert!(!conntrack.delete(handle));
    assert_eq!(list(conntrack), before);
}

#[test]
fn marks_and_labels_stay_with_their_connection_only() {
    let mut conntrack = tracker(&[]);
    let [first, second] = [flow(1), flow6(2)].map(|flow| ask(&mut conntrack, flow, START));
    assert!(conntrack.set_mark(first, 0xffff_ffff));
    assert!(conntrack.set_secmark(first, 9));
    assert!(conntrack.set_labels(first, u128::MAX));
    ask(&mut conntrack, flow(1).back(), at(1));

    let told = |handle| {
        let connection = conntrack.get(handle).unwrap();
        (connection.mark, connection.secmark, connection.labels)
    };
    assert_eq!(told(first), (u32::MAX, 9, u128::MAX));
    assert_eq!(told(second), (0, 0, 0));
    assert!(conntrack.delete(first));
    let third = ask(&mut conntrack, flow(3), at(1));
    let reused = conntrack.get(third).unwrap();
    assert_eq!((reused.mark, reused.secmark, reused.labels), (0, 0, 0));
}

#[test]
fn timestamps_tell_start_and_age() {
    let mut conntrack = tracker(&[]);
    let before = ask(&mut conntrack, flow(1), START);
    conntrack.set(Knob::Timestamp, 1).unwrap();
    let after = ask(&mut conntrack, flow(2), at_ms(1_500));
    conntrack.advance(at_ms(9_400));
    let connection = conntrack.get(after).unwrap();
    assert_eq!(connection.start, Some(at_ms(1_500)));
    assert_eq!(connection.delta_time, Some(7));
    assert_eq!(connection.stop, None);
    assert_eq!(conntrack.get(before).unwrap().start, None);
    assert_eq!(conntrack.get(before).unwrap().delta_time, None);
}

#[test]
fn turning_accounting_on_or_off_affects_new_entries_only() {
    let mut conntrack = tracker(&[]);
    let uncounted = ask(&mut conntrack, flow(1), START);
    conntrack.set(Knob::Acct, 1).unwrap();
    let counted = ask(&mut conntrack, flow(2), START);
    conntrack.set(Knob::Acct, 0).unwrap();
    for number in [1, 2] {
        send(&mut conntrack, &flow(number).udp(10), START);
        send(&mut conntrack, &flow(number).back().udp(72), START);
    }
    assert_eq!(conntrack.get(uncounted).unwrap().counters, None);
    let counter = |packets, bytes| Counters { packets, bytes };
    assert_eq!(
        conntrack.get(counted).unwrap().counters,
        Some([counter(2, 29 + 38), counter(1, 100)])
    );
}

#[test]
fn a_handle_is_stale_once_its_entry_ended_however_it_ended() {
    let mut conntrack = tracker(&[(Knob::Max, 4)]);
    let deleted = ask(&mut conntrack, flow(1), START);
    assert!(conntrack.delete(deleted));
    assert_stale(&mut conntrack, deleted);

    let evicted = ask(&mut conntrack, flow(2), START);
    for number in 3..20 {
        ask(&mut conntrack, flow(number), START);
    }
    assert_stale(&mut conntrack, evicted);

    let flushed = ask(&mut conntrack, flow(20), START);
    conntrack.flush();
    assert_stale(&mut conntrack, flushed);

    let expired = ask(&mut conntrack, flow(21), START);
    conntrack.advance(at(30));
    assert_stale(&mut conntrack, expired);
}

#[test]
fn an_id_stays_with_its_entry_and_the_next_of_the_same_tuple_in_the_same_place_has_another() {
    let mut conntrack = tracker(&[]);
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        let handle = send_in(&mut conntrack, Zone::default(), &flow(1).udp(1)).unwrap();
        let id = conntrack.get(handle).unwrap().id;
        send_in(&mut conntrack, Zone::default(), &flow(1).back().udp(1));
        assert_eq!(conntrack.get(handle).unwrap().id, id);
        assert!(conntrack.delete(handle));
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn a_handle_does_not_lead_to_another_connection_in_the_same_place() {
    let mut conntrack = tracker(&[(Knob::Max, 1)]);
    let mut handles = Vec::new();
    for number in 0..500 {
        handles.push(ask(&mut conntrack, flow(number), START));
        handles.push(ask(&mut conntrack, flow6(number), START));
    }
    let last = handles.pop().unwrap();
    for handle in handles {
        assert_stale(&mut conntrack, handle);
    }
    let survivor = conntrack.get(last).unwrap();
    assert_eq!(survivor.original, flow6(499).tuple(Protocol::UDP));
    assert_eq!(survivor.mark, 0);
}

#[test]
fn a_connection_is_found_by_either_tuple_in_its_zone_only() {
    let mut conntrack = tracker(&[]);
    let zone = Zone::both(5);
    let handle = send_in(&mut conntrack, zone, &flow(1).udp(1)).unwrap();
    let there = flow(1).tuple(Protocol::UDP);
    let back = flow(1).back().tuple(Protocol::UDP);
    let found = |tuple, zone| conntrack.find(&tuple, zone);
    assert_eq!(found(there, zone), Some((handle, Direction::Original)));
    assert_eq!(found(back, zone), Some((handle, Direction::Reply)));
    assert_eq!(found(there, Zone::default()), None);
    assert_eq!(found(there, Zone::both(6)), None);
    assert_eq!(found(flow(1).tuple(Protocol::TCP), zone), None);
    assert_eq!(found(flow(2).tuple(Protocol::UDP), zone), None);
}

#[test]
fn a_zone_of_one_direction_counts_for_that_direction_only() {
    let mut conntrack = tracker(&[]);
    let zone = |id| Zone {
        id,
        applies: ZoneDirections::Original,
    };
    let handle = send_in(&mut conntrack, zone(6), &flow(1).udp(1)).unwrap();
    let there = flow(1).tuple(Protocol::UDP);
    let back = flow(1).back().tuple(Protocol::UDP);
    let found = |tuple, zone| conntrack.find(&tuple, zone);
    assert_eq!(found(there, zone(6)), Some((handle, Direction::Original)));
    assert_eq!(found(back, zone(6)), Some((handle, Direction::Reply)));
    assert_eq!(
        found(back, Zone::default()),
        Some((handle, Direction::Reply)),
        "answers have no zone"
    );
    assert_eq!(found(there, Zone::default()), None);
    assert_eq!(found(there, zone(7)), None);
    assert_eq!(conntrack.get(handle).unwrap().zone, zone(6));
}

#[test]
fn a_deleted_connection_is_gone_and_its_next_packet_is_new() {
    let mut conntrack = tracker(&[]);
    let handle = converse(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(2), START);
    assert!(conntrack.delete(handle));
    assert_eq!(conntrack.len(), 1);
    assert!(!has(&conntrack, flow(1), Protocol::UDP));
    assert!(has(&conntrack, flow(2), Protocol::UDP));
    let verdict = send(&mut conntrack, &flow(1).back().udp(1), START);
    assert_eq!(
        (verdict.class, verdict.direction),
        (Class::New, Direction::Original)
    );
}

#[test]
fn after_a_flush_the_table_is_empty_and_usable() {
    let mut conntrack = tracker(&[]);
    for number in 0..1_000 {
        ask(&mut conntrack, flow(number), START);
        connect(&mut conntrack, flow6(number), START);
    }
    conntrack.flush();
    assert!(conntrack.is_empty());
    assert_eq!(list(&conntrack), []);
    assert!((0..1_000).all(|n| !has(&conntrack, flow(n), Protocol::UDP)));
    assert_eq!(conntrack.next_deadline(), None);
    assert_eq!(conntrack.stats().confirmed, 2_000);
    for number in 0..1_000 {
        ask(&mut conntrack, flow(number), START);
    }
    assert_eq!(list(&conntrack).len(), 1_000);
}

#[test]
fn a_bad_value_is_refused_and_changes_nothing() {
    let mut conntrack = tracker(&[(Knob::Max, 10)]);
    let (config, buckets) = (conntrack.config().clone(), conntrack.buckets());
    let bad = [
        (Knob::Max, -1),
        (Knob::Max, i64::MAX),
        (Knob::Buckets, 0),
        (Knob::Acct, 2),
        (Knob::Events, 3),
        (Knob::UdpTimeout, -2),
    ];
    for (knob, value) in bad {
        let error = conntrack.set(knob, value).unwrap_err();
        assert!(matches!(error, ConfigError::OutOfBounds { .. }), "{error}");
    }
    let error = conntrack.set(Knob::Count, 1).unwrap_err();
    assert!(matches!(error, ConfigError::ReadOnly { .. }), "{error}");
    let error = conntrack.set(Knob::IpfragHighThresh, 1).unwrap_err();
    assert!(
        matches!(error, ConfigError::ThresholdOrder { .. }),
        "{error}"
    );
    assert_eq!(conntrack.config(), &config);
    assert_eq!(conntrack.buckets(), buckets);
}

#[test]
fn a_changed_timeout_applies_to_the_next_refresh_only() {
    let mut conntrack = tracker(&[]);
    for number in 0..2 {
        ask(&mut conntrack, flow(number), START);
    }
    conntrack.set(Knob::UdpTimeout, 5).unwrap();
    ask(&mut conntrack, flow(0), at(1));
    let deadlines: Vec<_> = conntrack.deadlines().collect();
    assert_eq!(deadlines, [at(6), at(30)]);
    conntrack.set(Knob::UdpTimeout, 500).unwrap();
    conntrack.advance(at(7));
    assert_eq!(conntrack.len(), 1, "the shorter one is not missed");
    ask(&mut conntrack, flow(1), at(7));
    assert_eq!(conntrack.deadlines().collect::<Vec<_>>(), [at(507)]);
}

#[test]
fn with_a_timeout_of_minus_one_every_packet_is_new_and_nothing_is_listed() {
    let mut conntrack = tracker(&[(Knob::UdpTimeout, -1)]);
    for secs in 0..5 {
        let flow = if secs % 2 == 0 {
            flow(1)
        } else {
            flow(1).back()
        };
        let verdict = send(&mut conntrack, &flow.udp(1), at(secs));
        assert_eq!(
            (verdict.class, verdict.direction),
            (Class::New, Direction::Original)
        );
        assert_eq!(list(&conntrack), []);
        assert!(!has(&conntrack, flow, Protocol::UDP));
        if let Some(handle) = verdict.connection {
            assert_stale(&mut conntrack, handle);
        }
    }
    assert_eq!(conntrack.stats().confirmed, 5);
    assert!(conntrack.advance(at(6)));
    assert!(conntrack.is_empty());
}

#[test]
fn a_clock_that_goes_backwards_is_clamped_and_counted() {
    let mut conntrack = tracker(&[]);
    ask(&mut conntrack, flow(1), at(100));
    let late = ask(&mut conntrack, flow(1), at(50));
    assert_eq!(conntrack.now(), at(100));
    assert_eq!(conntrack.stats().clock_backwards, 1);
    assert_eq!(conntrack.get(late).unwrap().timeout, Some(30));
    let new = ask(&mut conntrack, flow(2), at(50));
    assert_eq!(conntrack.get(new).unwrap().timeout, Some(30));
    assert_eq!(conntrack.stats().clock_backwards, 2, "once a packet");
    conntrack.advance(Time::ZERO);
    assert_eq!(conntrack.now(), at(100));
    conntrack.advance(at(100));
    ask(&mut conntrack, flow(1), at(100));
    let after = conntrack.stats().clock_backwards;
    assert_eq!(after, 2, "the same is not back");
    assert_eq!(conntrack.len(), 2);
}

#[test]
fn following_the_next_deadline_collects_everything_soon_after_it_ran_out() {
    let mut conntrack = listener(&[]);
    assert_eq!(conntrack.next_deadline(), None);
    for number in 0..300 {
        let now = at_ms(u64::from(number) * 70);
        match number % 3 {
            0 => ask(&mut conntrack, flow(number), now),
            1 => connect(&mut conntrack, flow6(number), now),
            _ => converse(&mut conntrack, flow(number), now),
        };
    }
    events(&mut conntrack);
    let mut calls = 0;
    while let Some(next) = conntrack.next_deadline() {
        conntrack.advance(next);
        for event in events(&mut conntrack) {
            let late = conntrack.now().nanos_since(event.time);
            assert!(late < 300_000_000, "{late} ns late");
        }
        calls += 1;
        assert!(calls < 10_000, "it does not end");
    }
    assert!(conntrack.is_empty());
    assert_eq!(conntrack.stats().expired, 300);
}

#[test]
fn one_advance_does_bounded_work_and_hides_at_once_what_it_did_not_collect() {
    const FLOWS: u32 = 100_000;
    let mut conntrack = tracker(&[]);
    for number in 0..FLOWS {
        ask(&mut conntrack, flow(number), START);
    }
    while !conntrack.advance(at_ms(29_999)) {}
    assert_eq!(conntrack.stats().expired, 0);
    assert_eq!(conntrack.connections().count(), FLOWS as usize);

    let (mut calls, mut left) = (1, conntrack.len());
    while !conntrack.advance(at(31)) {
        assert_eq!(conntrack.connections().count(), 0);
        assert!(
            !(0..FLOWS)
                .step_by(97)
                .any(|n| has(&conntrack, flow(n), Protocol::UDP))
        );
        assert!(left - conntrack.len() <= 10_000, "too much at once");
        left = conntrack.len();
        calls += 1;
    }
    assert!(calls > 5, "{calls} calls");
    assert!(conntrack.is_empty());
    assert_eq!(conntrack.stats().expired, u64::from(FLOWS));
    assert!(conntrack.advance(at(31)), "nothing is left to do");
}
