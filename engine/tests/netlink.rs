//! ctnetlink's messages: what is written is read again, and any bytes can be read.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod any;

use any::{any_connection, any_event, any_tuple};
use ip_conntrack::format::netlink::names::{entry, flag, kind};
use ip_conntrack::format::netlink::own::{self, Groups, Told};
use ip_conntrack::format::netlink::{
    Answer, Ask, Entry, LONGEST, List, Malformed, Message, Messages, Origin, Request, TableStats,
    errno, put_ack, put_done, put_entry, put_error, put_event, put_expectation,
    put_expectation_stats, put_stats, read_expectation, read_stats,
};
use ip_conntrack::format::stats::CpuStats;
use ip_conntrack::{
    Cause, Change, Changes, Connection, Direction, EventKind, ExpectFlags, Expectation, Family,
    Filter, Masked, NatRange, NewExpectation, Refusal, State, StateChange, Status, Time, Tuple,
    TupleParts, Which, WhichExpectation, Zone, ZoneDirections,
};
use proptest::prelude::*;

const ORIGIN: Origin = Origin {
    sequence: 0x0102_0304,
    port: 77,
};

/// The only message in some bytes.
fn only(bytes: &[u8]) -> Message<'_> {
    let (message, used) = Message::first(bytes).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    message
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    // Whatever is there before stays, and does not matter.
    let mut out = vec![0xff; 3];
    write(&mut out);
    assert_eq!(out[..3], [0xff; 3]);
    out.split_off(3)
}

/// A name as it can be told: it ends at a NUL, and is not endless.
fn told(name: Option<String>) -> Option<String> {
    name.map(|name| name.split('\0').next().unwrap_or_default().to_owned())
}

/// One that has addresses of one family in each tuple, as all that are real.
fn any_real_connection() -> impl Strategy<Value = Connection> {
    let tuples = [any_real_tuple(), any_real_tuple(), any_real_tuple()];
    (any_connection(), tuples).prop_map(|(mut connection, [original, reply, master])| {
        connection.original = original;
        connection.reply = reply;
        connection.master = connection.master.map(|_| master);
        connection
    })
}

fn any_real_tuple() -> impl Strategy<Value = Tuple> {
    any_tuple().prop_filter_map("families", |tuple| {
        (tuple.src.is_ipv4() == tuple.dst.is_ipv4()).then_some(tuple)
    })
}

/// What is left of an entry in an answer.
fn in_answer(connection: &Connection) -> Connection {
    let mut left = connection.clone();
    left.timeout = left.timeout.map(|secs| secs.min(u32::MAX.into()));
    left.secmark = 0;
    left.helper = told(left.helper);
    left.secctx = told(left.secctx);
    if let State::Gre { .. } = left.state {
        left.state = State::Stateless;
    }
    if left.zone.id == 0 {
        left.zone = Zone::default();
    }
    if left.start.is_none() {
        left.stop = None;
    }
    left.delta_time = left
        .start
        .zip(left.stop)
        .map(|(start, stop)| stop.secs_since(start));
    left
}

fn any_zone() -> impl Strategy<Value = Zone> {
    let applies = prop::sample::select(vec![
        ZoneDirections::Both,
        ZoneDirections::Original,
        ZoneDirections::Reply,
    ]);
    (1u16.., applies).prop_map(|(id, applies)| Zone { id, applies })
}

fn any_which() -> impl Strategy<Value = Which> {
    let parts = (any_real_tuple(), any::<(bool, u16, Option<u32>)>());
    parts.prop_map(|(tuple, (reply, zone, id))| Which {
        tuple,
        direction: if reply {
            Direction::Reply
        } else {
            Direction::Original
        },
        zone: Zone::both(zone),
        id,
    })
}

fn any_family() -> impl Strategy<Value = Option<Family>> {
    prop::sample::select(vec![None, Some(Family::V4), Some(Family::V6)])
}

fn masked<T>((value, mask): (T, T)) -> Masked<T> {
    Masked { value, mask }
}

prop_compose! {
    fn any_parts()(tuple in any_tuple(), zone in any::<Option<u16>>(), given in any::<u8>())
        -> TupleParts {
        let all = TupleParts { zone, ..TupleParts::of(&tuple) };
        let has = |bit: u8| given >> bit & 1 == 1;
        // The protocol says how the others are written, so it is there if one of them is.
        TupleParts {
            src: all.src.filter(|_| has(0)),
            dst: all.dst.filter(|_| has(1)),
            protocol: all.protocol,
            src_part: all.src_part.filter(|_| has(3)),
            dst_part: all.dst_part.filter(|_| has(4)),
            icmp_type: all.icmp_type.filter(|_| has(5)),
            icmp_code: all.icmp_code.filter(|_| has(6)),
            zone: all.zone,
        }
    }
}

prop_compose! {
    fn any_filter()(
        family in any_family(),
        mark in any::<Option<(u32, u32)>>(),
        status in prop::option::of((any::<u16>(), 1u16..)),
        zone in any::<Option<u16>>(),
        original in prop::option::of(any_parts()),
        reply in prop::option::of(any_parts()),
    ) -> Filter {
        Filter {
            family,
            mark: mark.map(masked),
            status: status.map(masked),
            zone,
            original,
            reply,
        }
    }
}

fn any_state_change() -> impl Strategy<Value = StateChange> {
    let tcp = any::<(Option<u8>, [Option<u8>; 2], [Option<(u8, u8)>; 2])>();
    let tcp = tcp.prop_map(|(state, window_scales, flags)| StateChange::Tcp {
        state,
        window_scales,
        flags: flags.map(|flags| flags.map(masked)),
    });
    let sctp = any::<(Option<u8>, [Option<u32>; 2])>();
    let sctp = sctp.prop_map(|(state, tags)| StateChange::Sctp { state, tags });
    prop_oneof![tcp, sctp]
}

fn any_nat() -> impl Strategy<Value = NatRange> {
    (any_real_tuple(), any::<(bool, Option<(u16, u16)>)>()).prop_map(|(tuple, (has, ports))| {
        NatRange {
            addresses: has.then_some((tuple.src, tuple.dst)),
            ports,
        }
    })
}

prop_compose! {
    fn any_change()(
        (original, reply, master) in (any_real_tuple(), any_real_tuple(), any_real_tuple()),
        (has_reply, has_master) in any::<(bool, bool)>(),
        zone in prop_oneof![Just(Zone::default()), any_zone()],
        (timeout, status) in any::<(Option<u32>, Option<u16>)>(),
        state in prop::option::of(any_state_change()),
        mark in any::<Option<(u32, u32)>>(),
        labels in any::<Option<(u128, u128)>>(),
        helper in prop::option::of("[a-z]{0,9}"),
        (src_nat, dst_nat) in (prop::option::of(any_nat()), prop::option::of(any_nat())),
    ) -> Change {
        let like = |other: Tuple| if other.is_ipv6() == original.is_ipv6() { other } else { original };
        Change {
            original: Some(original),
            reply: (has_reply || zone.applies == ZoneDirections::Reply).then_some(like(reply)),
            zone,
            timeout,
            status: status.map(Status),
            state,
            mark: mark.map(masked),
            labels: labels.map(masked),
            helper,
            master: has_master.then_some(like(master)),
            src_nat,
            dst_nat,
        }
    }
}

fn any_which_expectation() -> impl Strategy<Value = WhichExpectation> {
    let parts = (any_real_tuple(), any::<(u16, Option<u32>)>());
    parts.prop_map(|(tuple, (zone, id))| WhichExpectation {
        tuple,
        zone: Zone::both(zone),
        id,
    })
}

fn any_new_expectation() -> impl Strategy<Value = NewExpectation> {
    let parts = (
        any_real_tuple(),
        any_real_tuple(),
        any::<(u16, Option<u32>, u32, u32)>(),
    );
    parts.prop_map(
        |(tuple, master, (zone, timeout, flags, class))| NewExpectation {
            tuple,
            mask: Some(tuple),
            // Of the same family as what it expects.
            master: Some(match master.is_ipv6() == tuple.is_ipv6() {
                true => master,
                false => tuple,
            }),
            zone: Zone::both(zone),
            timeout,
            flags: ExpectFlags(flags),
            class,
        },
    )
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let list = (any_filter(), any::<bool>());
    let list = list.prop_map(|(filter, zero)| Ask::List {
        list: List::Table,
        filter,
        zero,
    });
    let other = any_filter().prop_map(|filter| Ask::List {
        list: List::Dying,
        filter,
        zero: false,
    });
    let get = (any_which(), any::<bool>()).prop_map(|(which, zero)| Ask::Get { which, zero });
    let new = (any_change(), any::<(bool, bool)>());
    let new = new.prop_map(|(change, (create, exclusive))| Ask::New {
        change,
        create,
        exclusive,
    });
    let new_expectation = (any_new_expectation(), any::<(bool, bool)>());
    let new_expectation =
        new_expectation.prop_map(|(new, (create, exclusive))| Ask::NewExpectation {
            new,
            create,
            exclusive,
        });
    let flush = any_filter().prop_map(|filter| Filter {
        original: None,
        reply: None,
        ..filter
    });
    let entries = prop_oneof![
        list.boxed(),
        other.boxed(),
        get.boxed(),
        new.boxed(),
        any_which().prop_map(Ask::Delete).boxed(),
        flush.prop_map(Ask::Flush).boxed(),
        Just(Ask::Stats),
        Just(Ask::StatsCpu),
    ];
    let expectations = prop_oneof![
        any_family().prop_map(Ask::ListExpectations),
        any_which_expectation()
            .prop_map(Ask::GetExpectation)
            .boxed(),
        any_which_expectation()
            .prop_map(Ask::DeleteExpectation)
            .boxed(),
        new_expectation.boxed(),
        prop::option::of("[a-z]{1,9}").prop_map(Ask::FlushExpectations),
        Just(Ask::StatsExpectations),
    ];
    let ours = prop_oneof![
        any::<u32>().prop_map(|groups| own::Ask::Subscribe(Groups(groups))),
        "[a-z_]{1,40}".prop_map(own::Ask::Knob),
        ("[a-z_]{1,40}", any::<i64>()).prop_map(|(name, value)| own::Ask::SetKnob(name, value)),
        prop::sample::select(vec![own::Ask::Knobs, own::Ask::Reasons, own::Ask::Save]),
        any::<i64>().prop_map(own::Ask::HandOver),
    ];
    prop_oneof![
        entries.boxed(),
        expectations.boxed(),
        ours.prop_map(Ask::Own)
    ]
}

/// Reads a message in all ways that there are.
fn read_as_anything(message: &Message<'_>) {
    let _ = Answer::read(message);
    let _ = Entry::read(message);
    let _ = Entry::event(message, Time::ZERO);
    let _ = Request::read(message);
    let _ = TableStats::read(message);
    let _ = read_stats(message, &mut CpuStats::default());
    let _ = read_expectation(message);
    let _ = Told::read(message);
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(connection in any_real_connection()) {
        let bytes = written(|out| put_entry(out, ORIGIN, flag::MULTI, &connection));
        let message = only(&bytes);
        prop_assert_eq!((message.kind, message.flags), (kind::CT_NEW, flag::MULTI));
        prop_assert_eq!(Origin::of(&message), ORIGIN);
        let read = Entry::read(&message).unwrap();
        prop_assert_eq!(read.connection, in_answer(&connection));
        prop_assert_eq!(read.present.has(entry::COUNTERS_ORIG), connection.counters.is_some());
        prop_assert_eq!(read.present.has(entry::LABELS), connection.labels != 0);
    }

    #[test]
    fn an_event_tells_the_same_entry(mut event in any_event(), connection in any_real_connection()) {
        event.connection = connection;
        let bytes = written(|out| put_event(out, Origin::default(), &event));
        let message = only(&bytes);
        let read = Entry::event(&message, event.time).unwrap();
        prop_assert_eq!(read.time, event.time);
        let same = matches!(
            (read.kind, event.kind),
            (EventKind::New, EventKind::New)
                | (EventKind::Update, EventKind::Update)
                | (EventKind::Destroy(_), EventKind::Destroy(_))
        );
        prop_assert!(same, "{:?}", read.kind);
        let all = in_answer(&event.connection);
        let got = read.connection;
        prop_assert_eq!(got.original, all.original);
        prop_assert_eq!(got.reply, all.reply);
        prop_assert_eq!((got.id, got.status, got.zone), (all.id, all.status, all.zone));
        prop_assert_eq!(got.mark, all.mark);
        match event.kind {
            EventKind::Destroy(cause) => {
                prop_assert_eq!(got.counters, all.counters);
                prop_assert_eq!((got.start, got.stop), (all.start, all.stop));
                let left = all.timeout.filter(|secs| *secs > 0 && cause != Cause::Expired);
                prop_assert_eq!(got.timeout, left);
            }
            EventKind::New => prop_assert_eq!(got.state, all.state),
            EventKind::Update => {
                let told = event.changes.has(Changes::PROTOINFO);
                prop_assert_eq!(got.state, if told { all.state } else { State::Stateless });
            }
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written(ask in any_ask(), ack in any::<bool>()) {
        let request = Request { origin: ORIGIN, ack, ask };
        let bytes = written(|out| request.write(out));
        let message = only(&bytes);
        prop_assert!(message.has(flag::REQUEST));
        prop_assert_eq!(Request::read(&message), Ok(request));
    }

    #[test]
    fn counters_are_read_as_they_were_written(numbers in any::<[u32; 13]>(), cpu in any::<u16>()) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = numbers.map(u64::from);
        let stats = CpuStats {
            entries: 0,
            found: a,
            invalid: b,
            insert: c,
            insert_failed: d,
            drop: e,
            early_drop: f,
            error: g,
            search_restart: h,
            clash_resolve: i,
            chaintoolong: j,
            expect_new: k,
            expect_create: l,
            expect_delete: m,
        };
        let mut read = CpuStats::default();
        for put in [put_stats, put_expectation_stats] {
            let bytes = written(|out| put(out, ORIGIN, cpu, &stats));
            prop_assert_eq!(read_stats(&only(&bytes), &mut read), Some(cpu.into()));
        }
        prop_assert_eq!(read, stats);
    }

    #[test]
    fn an_expectation_is_read_as_it_was_written(
        [tuple, master] in [any_real_tuple(), any_real_tuple()],
        (id, flags, class, timeout) in any::<(u32, u32, u32, Option<u32>)>(),
        helper in prop::option::of("[a-z]{1,9}"),
    ) {
        let expectation = Expectation {
            id,
            tuple,
            mask: tuple,
            master,
            zone: Zone::default(),
            timeout: timeout.map(u64::from),
            flags: ExpectFlags(flags),
            class,
            helper,
        };
        let bytes = written(|out| put_expectation(out, ORIGIN, flag::MULTI, &expectation));
        prop_assert_eq!(read_expectation(&only(&bytes)), Ok(expectation));
    }

    #[test]
    fn any_bytes_are_messages_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut messages = 0;
        for message in Messages::new(&bytes) {
            match message {
                Ok(message) => read_as_anything(&message),
                Err(_) => break,
            }
            messages += 1;
        }
        prop_assert!(messages <= bytes.len() / 16);
    }

    #[test]
    fn any_body_of_any_kind_can_be_read(
        kind in prop_oneof![
            0u16..5, 0x100u16..0x108, 0x200u16..0x204, 0xc000u16..0xc006, any::<u16>()
        ],
        flags in any::<u16>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read_as_anything(&Message { kind, flags, sequence: 0, port: 0, body: &body });
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        connection in any_real_connection(),
        ask in any_ask(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let request = Request { origin: ORIGIN, ack: true, ask };
        let mut bytes = written(|out| {
            put_entry(out, ORIGIN, 0, &connection);
            request.write(out);
        });
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        for message in Messages::new(&bytes).flatten() {
            read_as_anything(&message);
        }
    }

    #[test]
    fn a_stream_is_read_message_by_message_wherever_it_is_cut(
        connections in prop::collection::vec(any_real_connection(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = written(|out| {
            for connection in &connections {
                put_entry(out, ORIGIN, flag::MULTI, connection);
            }
            put_done(out, ORIGIN);
        });
        let (first, _) = bytes.split_at(cut.index(bytes.len()));
        let (mut at, mut whole) = (0, 0);
        while let Some((_, used)) = Message::first(&first[at..]).unwrap() {
            at += used;
            whole += 1;
        }
        let rest: Vec<_> = Messages::new(&bytes[at..]).map(Result::unwrap).collect();
        prop_assert_eq!(whole + rest.len(), connections.len() + 1);
        prop_assert_eq!(Answer::read(rest.last().unwrap()), Some(Answer::Done(0)));
    }
}

#[test]
fn a_length_that_no_message_has_ends_the_stream() {
    for len in [0, 15, LONGEST as u32 + 1, u32::MAX] {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        assert_eq!(Message::first(&bytes).unwrap_err(), Malformed::Length(len));
    }
    assert!(Message::first(&[0; 15]).unwrap().is_none());
}

#[test]
fn acknowledgements_and_errors_name_the_request() {
    let request = Request {
        origin: ORIGIN,
        ack: true,
        ask: Ask::Stats,
    };
    let asked = written(|out| request.write(out));
    let asked = only(&asked);
    let bytes = written(|out| put_ack(out, &asked));
    let message = only(&bytes);
    assert_eq!(Answer::read(&message), Some(Answer::Ack));
    assert_eq!(message.sequence, ORIGIN.sequence);
    assert_eq!(bytes.len(), 36, "as Linux's");

    for words in [None, Some("the table is full")] {
        let number = errno(Refusal::Full);
        let bytes = written(|out| put_error(out, &asked, number, words));
        assert_eq!(Answer::read(&only(&bytes)), Some(Answer::Error(12, words)));
    }
}

#[test]
fn our_own_answers_are_read_as_they_were_written() {
    for told in [
        Told::Knob("nf_conntrack_max", -1),
        Told::Reason("tcp_state", u64::MAX),
    ] {
        let bytes = written(|out| told.write(out, ORIGIN, flag::MULTI));
        assert_eq!(Told::read(&only(&bytes)), Some(told));
    }
    let groups = Groups::of(&[1, 3]);
    assert_eq!(
        [1, 2, 3, 4, 0, 33, u32::MAX].map(|group| groups.has(group)),
        [true, false, true, false, false, false, false]
    );
}

#[test]
fn a_request_without_a_tuple_or_a_family_is_refused_as_linux_does() {
    let read = |kind, flags, family: u8, attributes: &[u8]| {
        let mut body = vec![family, 0, 0, 0];
        body.extend(attributes);
        Request::read(&Message {
            kind,
            flags,
            sequence: 0,
            port: 0,
            body: &body,
        })
    };
    assert_eq!(read(kind::CT_GET, 0, 2, &[]), Err(Refusal::Invalid));
    let which = Which::original(Tuple {
        src: [10, 0, 0, 1].into(),
        dst: [10, 0, 0, 2].into(),
        protocol: ip_conntrack::Protocol::UDP,
        src_part: 1,
        dst_part: 2,
    });
    let ask = Ask::Get { which, zero: false };
    let bytes = written(|out| {
        let (origin, ack) = (ORIGIN, false);
        Request { origin, ack, ask }.write(out);
    });
    let tuple = &bytes[20..];
    assert!(read(kind::CT_GET, 0, 2, tuple).is_ok());
    for kind in [kind::CT_GET, kind::CT_DELETE, kind::CT_NEW] {
        assert_eq!(read(kind, 0, 0, tuple), Err(Refusal::NotSupported));
    }
    assert_eq!(read(0x7fff, 0, 2, tuple), Err(Refusal::NotSupported));
}
