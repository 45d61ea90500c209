//! Entries made and changed by hand: what `lab/tests/by_hand` cannot compare with Linux, because it differs there
//! or needs a kernel of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::IpAddr;

use ip_conntrack::{
    Change, Class, Conntrack, Counters, Direction, ExpectFlags, Family, Filter, Knob, Masked,
    NewExpectation, Protocol, Refusal, StateChange, Status, Tuple, TupleParts, Which, Zone,
};
use support::*;

fn of(tuple: Tuple) -> Change {
    Change {
        original: Some(tuple),
        reply: tuple.inverse(),
        timeout: Some(100),
        ..Change::default()
    }
}

fn tcp(number: u32) -> Tuple {
    flow(number).tuple(Protocol::TCP)
}

fn masked<T>(value: T, mask: T) -> Masked<T> {
    Masked { value, mask }
}

fn walk(conntrack: &Conntrack, most: u32) -> Vec<u32> {
    let (mut ids, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        cursor = conntrack.connections_from(from, most, |connection| ids.push(connection.id));
    }
    ids
}

#[test]
fn a_full_table_makes_place_for_an_entry_made_by_hand() {
    let mut conntrack = tracker(&[(Knob::Max, 3)]);
    let assured = Some(Status(0xe));
    for number in 0..2 {
        let status = assured;
        let change = Change {
            status,
            ..of(tcp(number))
        };
        conntrack.create(&change, START).unwrap();
    }
    ask(&mut conntrack, flow(9), START);
    let status = assured;
    conntrack
        .create(
            &Change {
                status,
                ..of(tcp(2))
            },
            START,
        )
        .unwrap();
    assert_eq!((conntrack.len(), conntrack.stats().early_drop), (3, 1));
    assert_eq!(conntrack.create(&of(tcp(3)), START), Err(Refusal::Full));
    let stats = conntrack.stats();
    assert_eq!((stats.insert, stats.drop(), conntrack.len()), (3, 0, 3));
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut conntrack = listener(&[]);
    conntrack.create(&of(tcp(1)), START).unwrap();
    events(&mut conntrack);
    let before = list(&conntrack);
    let mark = Some(masked(9, u32::MAX));
    let timeout = Some(5);
    let state = |state| StateChange::Tcp {
        state: Some(state),
        window_scales: [None; 2],
        flags: [None; 2],
    };
    for (change, refusal) in [
        (
            Change {
                status: Some(Status(0)),
                ..Change::default()
            },
            Refusal::Busy,
        ),
        (
            Change {
                state: Some(state(10)),
                ..Change::default()
            },
            Refusal::OutOfRange,
        ),
        (
            Change {
                helper: Some("ftp".to_owned()),
                ..Change::default()
            },
            Refusal::NotSupported,
        ),
    ] {
        let original = Some(tcp(1));
        let change = Change {
            original,
            mark,
            timeout,
            ..change
        };
        assert_eq!(conntrack.update(&change, START), Err(refusal));
        assert_eq!(list(&conntrack), before);
        assert_eq!(events(&mut conntrack), []);
    }
}

#[test]
fn marks_and_labels_are_changed_in_the_bits_of_the_mask() {
    let mut conntrack = tracker(&[]);
    let labels = Some(masked(0b1100, u128::MAX));
    let handle = conntrack
        .create(
            &Change {
                labels,
                ..of(tcp(1))
            },
            START,
        )
        .unwrap();
    let original = Some(tcp(1));
    let labels = Some(masked(1 << 127 | 0b0001, 1 << 127 | 0b0101));
    let mark = Some(masked(0xf0, 0xff));
    let change = Change {
        original,
        labels,
        mark,
        ..Change::default()
    };
    conntrack.update(&change, START).unwrap();
    let now = conntrack.get(handle).unwrap();
    assert_eq!((now.labels, now.mark), (1 << 127 | 0b1001, 0xf0));
}

#[test]
fn a_filter_means_what_it_says() {
    let mut conntrack = tracker(&[]);
    for number in 0..4 {
        ask(&mut conntrack, flow(number), START);
        ask(&mut conntrack, flow6(number), START);
    }
    let tuple = flow6(2).tuple(Protocol::UDP);
    let parts = TupleParts {
        src: Some(tuple.src),
        ..TupleParts::default()
    };
    let filter = Filter {
        original: Some(parts),
        ..Filter::default()
    };
    let of_all = |conntrack: &Conntrack, filter: &Filter| {
        let all = list(conntrack).into_iter();
        all.filter(|connection| filter.matches(connection)).count()
    };
    let meant = list(&conntrack)
        .iter()
        .filter(|connection| connection.original.src == tuple.src)
        .count();
    assert!((1..8).contains(&meant));
    assert_eq!(of_all(&conntrack, &filter), meant);
    let family = Some(Family::V6);
    assert_eq!(
        conntrack.flush_from(
            0,
            100,
            &Filter {
                family,
                ..Filter::default()
            }
        ),
        None
    );
    assert_eq!(of_all(&conntrack, &Filter::default()), 4);
    assert!(
        list(&conntrack)
            .iter()
            .all(|connection| !connection.original.is_ipv6())
    );
}

#[test]
fn a_walk_in_steps_meets_each_entry_that_lives_through_it_once() {
    let mut conntrack = tracker(&[]);
    for number in 0..100 {
        ask(&mut conntrack, flow(number), START);
    }
    let (mut ids, mut cursor, mut number) = (Vec::new(), Some(0), 100);
    let old: Vec<u32> = list(&conntrack)
        .iter()
        .map(|connection| connection.id)
        .collect();
    while let Some(from) = cursor {
        cursor = conntrack.connections_from(from, 7, |connection| ids.push(connection.id));
        // Others come and go meanwhile.
        let handle = ask(&mut conntrack, flow(number), START);
        if number % 2 == 0 {
            conntrack.delete(handle);
        }
        number += 1;
    }
    for id in old {
        assert_eq!(ids.iter().filter(|met| **met == id).count(), 1);
    }
    assert_eq!(walk(&conntrack, 1), walk(&conntrack, 1000));
    assert_eq!(walk(&tracker(&[]), 5), []);
}

#[test]
fn counters_that_are_read_and_zeroed_begin_anew() {
    let mut conntrack = tracker(&[(Knob::Acct, 1)]);
    let handle = converse(&mut conntrack, flow(1), START);
    let before = conntrack.get(handle).unwrap().counters;
    assert_ne!(before, Some([Counters::default(); 2]));
    let which = Which {
        direction: Direction::Reply,
        ..Which::original(flow(1).tuple(Protocol::UDP))
    };
    assert_eq!(conntrack.zero(&which).unwrap().counters, before);
    assert_eq!(
        conntrack.get(handle).unwrap().counters,
        Some([Counters::default(); 2])
    );
    let mut told = Vec::new();
    ask(&mut conntrack, flow(1), START);
    conntrack.zero_from(0, 9, &Filter::default(), |connection| {
        told.push(connection.counters);
    });
    assert_eq!(told.len(), 1);
    assert_ne!(told[0], Some([Counters::default(); 2]));
    assert_eq!(
        conntrack.get(handle).unwrap().counters,
        Some([Counters::default(); 2])
    );
}

#[test]
fn one_that_asks_for_an_entry_is_counted_as_holding_it() {
    let mut conntrack = tracker(&[]);
    conntrack.create(&of(tcp(1)), START).unwrap();
    let which = Which::original(tcp(1));
    assert_eq!(conntrack.answer(&which).unwrap().uses, 2);
    let zone = Zone::both(1);
    assert_eq!(
        conntrack.answer(&Which { zone, ..which }),
        Err(Refusal::NotFound)
    );
}

/// What the connection from one flow expects: anything from the server to a port of the client.
fn expectation(master: Tuple, port: u16) -> NewExpectation {
    let all = |address: IpAddr| match address {
        IpAddr::V4(_) => [u8::MAX; 4].into(),
        IpAddr::V6(_) => [u8::MAX; 16].into(),
    };
    let tuple = Tuple {
        src: master.dst,
        dst: master.src,
        src_part: 0,
        dst_part: port,
        ..master
    };
    let [src, dst] = [all(tuple.src), all(tuple.dst)];
    NewExpectation {
        tuple,
        mask: Some(Tuple {
            src,
            dst,
            dst_part: u16::MAX,
            ..tuple
        }),
        master: Some(master),
        zone: Zone::default(),
        timeout: None,
        flags: ExpectFlags(0),
        class: 0,
    }
}

fn with_helper(conntrack: &mut Conntrack, number: u32) -> Tuple {
    let helper = Some("ftp".to_owned());
    let change = Change {
        helper,
        timeout: Some(1000),
        ..of(tcp(number))
    };
    conntrack.create(&change, START).unwrap();
    tcp(number)
}

#[test]
fn there_are_no_more_expectations_than_the_limit_allows() {
    let mut conntrack = tracker(&[(Knob::ExpectMax, 5)]);
    for number in 0..6 {
        let master = with_helper(&mut conntrack, number);
        let outcome = conntrack.create_expectation(&expectation(master, 5), true, true, START);
        let expected = if number < 5 {
            Ok(())
        } else {
            Err(Refusal::TooMany)
        };
        assert_eq!(outcome, expected);
    }
    // One that takes the place of another of its master needs no more.
    let new = expectation(tcp(0), 6);
    assert_eq!(
        conntrack.create_expectation(&new, true, true, START),
        Ok(())
    );
    assert_eq!(conntrack.expectations(), 5);
    conntrack.flush();
    assert_eq!(conntrack.expectations(), 0);
    let stats = conntrack.stats();
    assert_eq!(
        (stats.expect_create, stats.expect_delete, stats.expect_new),
        (6, 6, 0)
    );
}

#[test]
fn an_expectation_that_ran_out_expects_nothing() {
    let mut conntrack = listener(&[]);
    let master = with_helper(&mut conntrack, 1);
    let new = expectation(master, 5);
    conntrack
        .create_expectation(&new, true, true, START)
        .unwrap();
    let back = Flow {
        src: (master.dst, 9),
        dst: (master.src, 5),
    };
    assert!(
        conntrack
            .next_deadline()
            .is_some_and(|next| next <= at(300))
    );
    // Nothing collected it yet.
    let verdict = send(&mut conntrack, &back.tcp(SYN, 1, 0), at(300));
    assert_eq!(verdict.class, Class::New);
    let mut told = 0;
    conntrack.expectations_from(0, 10, |_| told += 1);
    assert_eq!(told, 0);
    conntrack.advance(at(300));
    assert_eq!(conntrack.expectations(), 0);
    let events: Vec<bool> = std::iter::from_fn(|| conntrack.poll_expect_event())
        .map(|event| event.is_new)
        .collect();
    assert_eq!(events, [true, false]);
}
