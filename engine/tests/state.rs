//! State that is saved and given back: the tracker goes on as if nothing had been.
//!
//! Random hosts talk (`batch/talk.rs`); in the middle one tracker's entries are saved and given to another one,
//! and both hear the rest. Every verdict must be the same, and at the end all that they show.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "batch/frame.rs"]
#[allow(dead_code)]
mod frame;
mod support;
#[path = "batch/talk.rs"]
#[allow(dead_code)]
mod talk;

use ip_conntrack::format::netlink::{Message, Messages};
use ip_conntrack::{
    Change, Connection, Conntrack, Knob, Masked, Refusal, Status, Time, Verdict, Zone,
    ZoneDirections,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use frame::Frame;
use support::{START, at, connect, flow, flow6, tracker};
use talk::{Step, Talks, step};

/// Saves everything, a few places at a time.
fn save(conntrack: &Conntrack) -> Vec<u8> {
    let mut saved = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        cursor = conntrack.save_from(from, 3, &mut saved);
    }
    saved
}

/// Gives back everything to an empty tracker that is set like another.
fn restore(saved: &[u8], like: &Conntrack, now: Time) -> Conntrack {
    let mut conntrack = Conntrack::new(like.config().clone(), 99);
    conntrack.advance(now);
    for message in Messages::new(saved) {
        let message = message.unwrap();
        conntrack.restore(&message, now).unwrap();
    }
    conntrack.reunite();
    conntrack
}

/// All that is shown of a table, but for what is each table's own.
fn shown(conntrack: &Conntrack) -> Vec<(Connection, Time)> {
    let mut shown: Vec<_> = conntrack
        .connections()
        .zip(conntrack.deadlines())
        .map(|(connection, deadline)| {
            (
                Connection {
                    id: 0,
                    ..connection
                },
                deadline,
            )
        })
        .collect();
    shown.sort_by_key(|(connection, _)| (connection.original, connection.zone));
    shown
}

fn track(conntrack: &mut Conntrack, zone: Zone, frame: &Frame) -> Verdict {
    conntrack.advance(frame.time);
    let verdict = match frame.parse() {
        Ok(packet) => conntrack.track_in(zone, &packet, frame.time),
        Err(reason) => conntrack.skip(reason),
    };
    Verdict {
        connection: None,
        ..verdict
    }
}

/// The zones of a case. Zones of one direction are not mixed with others there: entries of both may have
/// the same key, and which of them a packet meets depends on the places of the index.
fn zones() -> impl Strategy<Value = Vec<Zone>> {
    let zone = |id, applies| Zone { id, applies };
    select(vec![
        vec![Zone::default(), Zone::both(7)],
        vec![zone(3, ZoneDirections::Original)],
        vec![zone(3, ZoneDirections::Reply)],
    ])
}

/// Steps, each in one of the zones.
fn steps(most: usize) -> impl Strategy<Value = Vec<(Step, Zone)>> {
    let steps = vec((step(), any::<Index>()), 1..most);
    (steps, zones()).prop_map(|(steps, zones)| {
        let in_zone = |(step, index): (Step, Index)| (step, *index.get(&zones));
        steps.into_iter().map(in_zone).collect()
    })
}

proptest! {
    #[test]
    fn a_tracker_that_was_saved_and_given_back_goes_on_as_before(
        steps in steps(120),
        cut in any::<Index>(),
        [acct, timestamp, loose, liberal] in any::<[bool; 4]>(),
    ) {
        let knobs = [
            (Knob::Acct, acct),
            (Knob::Timestamp, timestamp),
            (Knob::TcpLoose, loose),
            (Knob::TcpBeLiberal, liberal),
        ];
        let knobs = knobs.map(|(knob, on)| (knob, i64::from(on)));
        let mut talks = Talks::new();
        let mut one = tracker(&knobs);
        let (before, after): (&[(Step, Zone)], _) = steps.split_at(cut.index(steps.len()));
        for (step, zone) in before {
            for frame in talks.play(step) {
                track(&mut one, *zone, &frame);
            }
        }
        let now = one.now();
        let mut other = restore(&save(&one), &one, now);
        prop_assert_eq!(shown(&other), shown(&one));
        for (n, (step, zone)) in after.iter().enumerate() {
            for frame in talks.play(step) {
                // Pieces of datagrams are not kept, so their rest would be something else.
                if frame.parse().is_ok_and(|packet| packet.is_fragment()) {
                    continue;
                }
                let verdicts = [&mut one, &mut other].map(|it| track(it, *zone, &frame));
                prop_assert_eq!(verdicts[0], verdicts[1], "step {}: {:?}", n, step);
            }
        }
        prop_assert_eq!(shown(&other), shown(&one));
    }

    #[test]
    fn damaged_state_is_refused_or_an_entry_that_there_can_be(
        steps in steps(40),
        damage in vec((any::<Index>(), any::<u8>()), 1..20),
        more in vec(step(), 0..40),
    ) {
        let mut talks = Talks::new();
        let mut one = tracker(&[(Knob::Acct, 1)]);
        for (step, zone) in &steps {
            for frame in talks.play(step) {
                track(&mut one, *zone, &frame);
            }
        }
        let mut saved = save(&one);
        if saved.is_empty() {
            return Ok(());
        }
        for (place, byte) in damage {
            let place = place.index(saved.len());
            saved[place] = byte;
        }
        let mut other = tracker(&[(Knob::Acct, 1)]);
        for message in Messages::new(&saved).flatten() {
            let _ = other.restore(&message, one.now());
        }
        other.reunite();
        let before = other.len();
        prop_assert!(before <= steps.len() * 2);
        for step in &more {
            for frame in talks.play(step) {
                track(&mut other, Zone::default(), &frame);
            }
        }
        other.advance(Time::MAX);
        while !other.advance(Time::MAX) {}
        prop_assert_eq!(other.len(), 0);
    }
}

#[test]
fn what_only_few_entries_have_is_given_back_too() {
    let mut one = tracker(&[]);
    let [parent, child] = [flow(1), flow(2)].map(|flow| flow.tuple(ip_conntrack::Protocol::TCP));
    let of = |tuple: ip_conntrack::Tuple| Change {
        original: Some(tuple),
        reply: tuple.inverse(),
        timeout: Some(1000),
        ..Change::default()
    };
    // The child has the first place.
    let spare = one
        .create(&of(flow(3).tuple(ip_conntrack::Protocol::TCP)), START)
        .unwrap();
    let helper = Some("ftp".to_owned());
    let parent_handle = one
        .create(
            &Change {
                helper,
                ..of(parent)
            },
            START,
        )
        .unwrap();
    one.delete(spare);
    let change = Change {
        master: Some(parent),
        labels: Some(Masked {
            value: 1 << 127 | 1,
            mask: u128::MAX,
        }),
        mark: Some(Masked {
            value: 9,
            mask: u32::MAX,
        }),
        status: Some(Status(0x40e)),
        ..of(child)
    };
    // EXPECTED is not for hands to give.
    let child_handle = one.create(&change, START).unwrap();
    one.set_secmark(child_handle, 77);
    connect(&mut one, flow6(1), START);

    let mut other = restore(&save(&one), &one, at(10));
    let get = |conntrack: &Conntrack, tuple| {
        let (handle, _) = conntrack.find(&tuple, Zone::default()).unwrap();
        conntrack.get(handle).unwrap()
    };
    let back = get(&other, child);
    assert_eq!(back.master, Some(parent));
    assert_eq!(
        (back.labels, back.secmark, back.mark),
        (1 << 127 | 1, 77, 9)
    );
    assert_eq!(back.timeout, Some(1000), "time stood still meanwhile");
    assert_eq!(get(&other, parent).uses, 2);
    assert_eq!(get(&other, parent).helper.as_deref(), Some("ftp"));
    let (handle, _) = other.find(&child, Zone::default()).unwrap();
    other.delete(handle);
    assert_eq!(get(&other, parent).uses, 1);
    assert!(one.get(parent_handle).is_some());
}

#[test]
fn what_is_there_already_or_is_no_state_is_refused() {
    let mut one = tracker(&[]);
    connect(&mut one, flow(1), START);
    let saved = save(&one);
    let (message, _) = Message::first(&saved).unwrap().unwrap();
    assert_eq!(one.restore(&message, START), Err(Refusal::Exists));
    let other = Message {
        kind: 0x100,
        ..message
    };
    assert_eq!(one.restore(&other, START), Err(Refusal::Invalid));
    let mut full = tracker(&[(Knob::Max, 1)]);
    connect(&mut full, flow(2), START);
    assert_eq!(full.restore(&message, START), Err(Refusal::Full));
}
