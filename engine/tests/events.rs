//! Events: which ones, when, to whom, and that they are the same for the same packets.

mod support;

use ip_conntrack::{
    Cause, Changes, Connection, Conntrack, Event, EventKind, Knob, Protocol, State, Status,
    TcpState, Zone,
};
use support::*;

const NEW: EventKind = EventKind::New;
const UPDATE: EventKind = EventKind::Update;

const fn gone(cause: Cause) -> EventKind {
    EventKind::Destroy(cause)
}

/// Exactly these changes and no others.
fn changes(list: &[Changes]) -> Changes {
    Changes(list.iter().fold(0, |sum, one| sum | one.0))
}

fn tcp_state(connection: &Connection) -> Option<TcpState> {
    match connection.state {
        State::Tcp { state, .. } => Some(state),
        _ => None,
    }
}

#[test]
fn a_datagram_its_answer_and_a_stream_are_new_reply_and_assured() {
    let mut conntrack = listener(&[]);
    converse(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(1), at(1));
    ask(&mut conntrack, flow(1), at(3));
    ask(&mut conntrack, flow(1), at(4));
    let events = events(&mut conntrack);
    let told: Vec<_> = events.iter().map(|e| (e.kind, e.changes, e.time)).collect();
    assert_eq!(
        told,
        [
            (NEW, Changes::NEW, START),
            (UPDATE, Changes::REPLY, START),
            (UPDATE, Changes::ASSURED, at(3)),
        ]
    );
    assert!(!events[0].connection.is_replied());
    assert!(events[1].connection.is_replied() && !events[1].connection.is_assured());
    assert!(events[2].connection.is_assured());
    assert_eq!(events[2].connection.timeout, Some(120));
}

#[test]
fn several_changes_by_one_packet_are_one_update() {
    let mut conntrack = listener(&[]);
    connect(&mut conntrack, flow(1), START);
    let events = events(&mut conntrack);
    let told: Vec<_> = events.iter().map(|e| (e.kind, e.changes)).collect();
    assert_eq!(
        told,
        [
            (NEW, changes(&[Changes::NEW, Changes::PROTOINFO])),
            (UPDATE, changes(&[Changes::REPLY, Changes::PROTOINFO])),
            (UPDATE, changes(&[Changes::ASSURED, Changes::PROTOINFO])),
        ]
    );
    let states: Vec<_> = events.iter().map(|e| tcp_state(&e.connection)).collect();
    let expected = [TcpState::SynSent, TcpState::SynRecv, TcpState::Established];
    assert_eq!(states, expected.map(Some));
}

#[test]
fn packets_that_change_nothing_and_invalid_ones_tell_nothing() {
    let mut conntrack = listener(&[]);
    connect(&mut conntrack, flow(1), START);
    events(&mut conntrack);
    send(&mut conntrack, &flow(1).tcp(ACK, 1001, 5001), at(1));
    send(&mut conntrack, &flow(1).tcp(SYN | FIN, 1001, 5001), at(1));
    send(&mut conntrack, &flow(2).tcp(SYN | ACK, 1, 1), at(1));
    assert_eq!(conntrack.stats().invalid(), 2);
    assert_eq!(events(&mut conntrack), []);
}

#[test]
fn an_expiry_is_told_with_its_deadline_however_late_it_is_collected() {
    let mut conntrack = listener(&[]);
    ask(&mut conntrack, flow(1), at_ms(250));
    conntrack.advance(at(5_000));
    let told = events(&mut conntrack);
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].kind, gone(Cause::Expired));
    assert_eq!(told[1].time, at_ms(30_250));
    assert_eq!(told[1].connection.timeout, None);
    assert!(told[1].connection.status.has(Status::DYING));
    assert!(!told[0].connection.status.has(Status::DYING));
    assert_eq!(told[1].connection.id, told[0].connection.id);
    assert_eq!(conntrack.stats().expired, 1);
}

#[test]
fn a_packet_that_meets_an_entry_past_its_deadline_ends_it_first() {
    let mut conntrack = listener(&[]);
    ask(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(1), at(30));
    let told = events(&mut conntrack);
    let kinds: Vec<_> = told.iter().map(|e| (e.kind, e.time)).collect();
    assert_eq!(
        kinds,
        [(NEW, START), (gone(Cause::Expired), at(30)), (NEW, at(30))]
    );
}

#[test]
fn a_reset_that_answers_a_syn_destroys_it_as_refused() {
    let mut conntrack = listener(&[]);
    send(&mut conntrack, &flow(1).tcp(SYN, 1000, 0), START);
    let reset = flow(1).back().tcp(RST | ACK, 0, 1001);
    send(&mut conntrack, &reset, at(1));
    assert_eq!(kinds(&mut conntrack), [NEW, gone(Cause::Refused)]);
    assert!(conntrack.is_empty());
}

#[test]
fn a_syn_to_a_closed_connection_destroys_it_as_reopened() {
    let mut conntrack = listener(&[]);
    connect(&mut conntrack, flow(1), START);
    send(&mut conntrack, &flow(1).tcp(FIN | ACK, 1001, 5001), START);
    let answer = flow(1).back().tcp(FIN | ACK, 5001, 1002);
    send(&mut conntrack, &answer, START);
    send(&mut conntrack, &flow(1).tcp(ACK, 1002, 5002), START);
    assert_eq!(
        tcp_state(&list(&conntrack)[0]),
        Some(TcpState::TimeWait),
        "closed"
    );
    events(&mut conntrack);
    send(&mut conntrack, &flow(1).tcp(SYN, 9000, 0), at(5));
    let told = events(&mut conntrack);
    let kinds: Vec<_> = told.iter().map(|e| (e.kind, e.time)).collect();
    assert_eq!(kinds, [(gone(Cause::Reopened), at(5)), (NEW, at(5))]);
    assert_eq!(conntrack.len(), 1);
    assert_eq!(conntrack.stats().expired, 0);
}

#[test]
fn eviction_deletion_and_flush_are_told_as_such() {
    let mut conntrack = listener(&[(Knob::Max, 2)]);
    ask(&mut conntrack, flow(1), START);
    ask(&mut conntrack, flow(2), START);
    let third = ask(&mut conntrack, flow(3), at(1));
    assert!(conntrack.delete(third));
    conntrack.flush();
    let told = events(&mut conntrack);
    let kinds: Vec<_> = told.iter().map(|e| e.kind).collect();
    let early_drop = gone(Cause::EarlyDrop);
    let (deleted, flushed) = (gone(Cause::Deleted), gone(Cause::Flushed));
    assert_eq!(kinds, [NEW, NEW, early_drop, NEW, deleted, flushed]);
    let who = |number: usize| told[number].connection.original;
    assert_eq!(who(2), flow(1).tuple(Protocol::UDP));
    assert_eq!(who(4), flow(3).tuple(Protocol::UDP));
    assert_eq!(who(5), flow(2).tuple(Protocol::UDP));
    assert_eq!(told[5].time, at(1));
    assert_eq!(told[5].connection.timeout, Some(29), "it had so much left");
}

#[test]
fn changes_by_hand_are_updates() {
    let mut conntrack = listener(&[]);
    let handle = ask(&mut conntrack, flow(1), START);
    events(&mut conntrack);
    conntrack.set_mark(handle, 5);
    conntrack.set_secmark(handle, 6);
    conntrack.set_labels(handle, 7);
    let told = events(&mut conntrack);
    let what: Vec<_> = told.iter().map(|e| (e.kind, e.changes)).collect();
    let expected = [Changes::MARK, Changes::SECMARK, Changes::LABEL].map(|c| (UPDATE, c));
    assert_eq!(what, expected);
    assert_eq!(told[0].connection.mark, 5);
    assert_eq!(told[1].connection.secmark, 6);
    assert_eq!(told[2].connection.labels, 7);
}

#[test]
fn a_destroyed_entry_tells_when_it_began_and_ended() {
    let mut conntrack = listener(&[(Knob::Timestamp, 1)]);
    ask(&mut conntrack, flow(1), START);
    let handle = ask(&mut conntrack, flow(2), at(10));
    conntrack.advance(at(17));
    conntrack.delete(handle);
    conntrack.advance(at(100));
    let told = events(&mut conntrack);
    let span = |event: &Event| {
        let connection = &event.connection;
        (connection.start, connection.stop, connection.delta_time)
    };
    assert_eq!(span(&told[1]), (Some(at(10)), None, Some(0)));
    assert_eq!(span(&told[2]), (Some(at(10)), Some(at(17)), Some(7)));
    assert_eq!(span(&told[3]), (Some(START), Some(at(30)), Some(30)));
}

/// The kinds of events of an entry opened before anybody listened, and of one opened after.
fn told_with(setting: i64) -> [Vec<EventKind>; 2] {
    let mut conntrack = tracker(&[(Knob::Events, setting)]);
    ask(&mut conntrack, flow(1), START);
    conntrack.set_event_capacity(100);
    ask(&mut conntrack, flow(1).back(), START);
    converse(&mut conntrack, flow(2), START);
    conntrack.advance(at(100));
    let told = events(&mut conntrack);
    [1, 2].map(|number| {
        let original = flow(number).tuple(Protocol::UDP);
        let mine = told.iter().filter(|e| e.connection.original == original);
        mine.map(|e| e.kind).collect()
    })
}

#[test]
fn events_0_tells_nothing() {
    assert_eq!(told_with(0), [vec![], vec![]]);
}

#[test]
fn events_1_tells_also_of_what_began_before_anybody_listened() {
    let expired = gone(Cause::Expired);
    let expected = [vec![UPDATE, expired], vec![NEW, UPDATE, expired]];
    assert_eq!(told_with(1), expected);
}

#[test]
fn events_2_tells_of_what_began_while_somebody_listened() {
    let expected = [vec![], vec![NEW, UPDATE, gone(Cause::Expired)]];
    assert_eq!(told_with(2), expected);
}

#[test]
fn nobody_who_listens_is_nobody_who_loses() {
    let mut conntrack = tracker(&[(Knob::Events, 1)]);
    converse(&mut conntrack, flow(1), START);
    assert_eq!(conntrack.poll_event(), None);
    assert_eq!(conntrack.stats().events_lost, 0);

    conntrack.set_event_capacity(10);
    converse(&mut conntrack, flow(2), START);
    conntrack.set_event_capacity(0);
    assert_eq!(conntrack.poll_event(), None, "it stopped");
    converse(&mut conntrack, flow(3), START);
    assert_eq!(conntrack.poll_event(), None);
    assert_eq!(conntrack.stats().events_lost, 0);
}

#[test]
fn what_the_queue_cannot_hold_is_lost_and_counted() {
    let mut conntrack = tracker(&[]);
    conntrack.set_event_capacity(5);
    for number in 0..12 {
        ask(&mut conntrack, flow(number), START);
    }
    assert_eq!(conntrack.stats().events_lost, 7);
    let told = events(&mut conntrack);
    let kept: Vec<_> = told.iter().map(|e| e.connection.original).collect();
    let oldest: Vec<_> = (0..5).map(|n| flow(n).tuple(Protocol::UDP)).collect();
    assert_eq!(kept, oldest);

    ask(&mut conntrack, flow(50), START);
    assert_eq!(kinds(&mut conntrack), [NEW], "there is room again");
    assert_eq!(conntrack.stats().events_lost, 7);
}

/// A few thousand packets on a table that is too small for them, and what was told and is left.
fn play(seed: u128) -> (Vec<Event>, Vec<Connection>, Conntrack) {
    let knobs = [(Knob::Max, 150), (Knob::Acct, 1), (Knob::Timestamp, 1)];
    let mut conntrack = seeded(seed, &knobs);
    conntrack.set_event_capacity(1_000_000);
    let mut random = 1_u32;
    for step in 0..5_000_u64 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (number, what) = (random >> 16 & 0xff, random >> 28);
        let flow = if number.is_multiple_of(5) {
            flow6(number)
        } else {
            flow(number)
        };
        let now = at_ms(step * 90);
        match what {
            0..6 => drop(send(&mut conntrack, &flow.udp(9), now)),
            6..9 => drop(send(&mut conntrack, &flow.back().udp(9), now)),
            9..12 => drop(send(&mut conntrack, &flow.tcp(SYN, 1000, 0), now)),
            12..14 => {
                let answer = flow.back().tcp(SYN | ACK, 5000, 1001);
                send(&mut conntrack, &answer, now);
            }
            14 => drop(send(&mut conntrack, &flow.tcp(RST, 1001, 0), now)),
            _ => drop(conntrack.advance(now)),
        }
    }
    (events(&mut conntrack), list(&conntrack), conntrack)
}

#[test]
fn the_same_packets_and_seed_give_the_same_events_and_entries() {
    let (events, entries, conntrack) = play(7);
    let (again, left, twin) = play(7);
    assert!(events.len() > 2_000 && entries.len() > 50);
    assert!(conntrack.stats().early_drop > 100 && conntrack.stats().expired > 100);
    assert!(events == again, "the events differ");
    assert_eq!(entries, left);
    assert_eq!(conntrack.stats(), twin.stats());
    assert_eq!(conntrack.next_deadline(), twin.next_deadline());
}

#[test]
fn another_seed_gives_other_ids_and_else_the_same() {
    let strip = |connections: Vec<Connection>| -> (Vec<u32>, Vec<Connection>) {
        let anonymous = |c: &Connection| Connection { id: 0, ..c.clone() };
        let ids = connections.iter().map(|c| c.id).collect();
        (ids, connections.iter().map(anonymous).collect())
    };
    let (ids, entries) = strip(play(7).1);
    let (other_ids, other_entries) = strip(play(8).1);
    assert_ne!(ids, other_ids);
    assert_eq!(entries, other_entries);
}

#[test]
fn an_event_is_the_entry_as_it_was_then() {
    let mut conntrack = listener(&[(Knob::Acct, 1)]);
    let handle = ask(&mut conntrack, flow(1), START);
    let then = conntrack.get(handle);
    ask(&mut conntrack, flow(1), at(1));
    conntrack.set_mark(handle, 3);
    let told = events(&mut conntrack);
    assert_eq!(Some(&told[0].connection), then.as_ref());
    assert_eq!(Some(&told[1].connection), conntrack.get(handle).as_ref());
    assert_eq!(told[0].connection.zone, Zone::default());
}
