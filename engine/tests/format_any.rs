//! Whatever the entry, every form is well formed.

mod format_builder;

use std::net::IpAddr;

use format_builder::written;
use ip_conntrack::format::{Options, json, line, xml};
use ip_conntrack::{
    Cause, Changes, Connection, Counters, Event, EventKind, Protocol, SctpState, State, Status,
    TcpSide, TcpState, Time, Tuple, Zone, ZoneDirections,
};
use proptest::prelude::*;

const NAMES: &[(u8, &str)] = &[(0, "zero"), (1, "one two"), (2, ""), (127, "last\n")];

fn any_tuple() -> impl Strategy<Value = Tuple> {
    let protocol = prop_oneof![
        prop::sample::select(vec![1u8, 6, 17, 33, 47, 58, 132, 136]),
        any::<u8>()
    ];
    let addresses = any::<(IpAddr, IpAddr)>();
    (addresses, protocol, any::<(u16, u16)>()).prop_map(|((src, dst), protocol, parts)| Tuple {
        src,
        dst,
        protocol: Protocol(protocol),
        src_part: parts.0,
        dst_part: parts.1,
    })
}

fn any_state() -> impl Strategy<Value = State> {
    let side = any::<(u8, u8)>().prop_map(|(window_scale, flags)| TcpSide {
        window_scale,
        flags,
    });
    let tcp = (
        prop::sample::select(&TcpState::ALL[..]),
        [side.clone(), side],
    )
        .prop_map(|(state, sides)| State::Tcp { state, sides });
    let sctp = (prop::sample::select(&SctpState::ALL[..]), any::<[u32; 2]>())
        .prop_map(|(state, tags)| State::Sctp { state, tags });
    let gre = any::<(u32, u32)>().prop_map(|(timeout, stream_timeout)| State::Gre {
        timeout,
        stream_timeout,
    });
    prop_oneof![Just(State::Stateless), tcp, sctp, gre]
}

fn any_zone() -> impl Strategy<Value = Zone> {
    let applies = prop::sample::select(vec![
        ZoneDirections::Both,
        ZoneDirections::Original,
        ZoneDirections::Reply,
    ]);
    (prop_oneof![Just(0), any::<u16>()], applies).prop_map(|(id, applies)| Zone { id, applies })
}

prop_compose! {
    fn any_connection()(
        (original, reply) in (any_tuple(), any_tuple()),
        (zone, state) in (any_zone(), any_state()),
        (id, mark, secmark, uses) in any::<(u32, u32, u32, u32)>(),
        (status, labels) in any::<(u16, u128)>(),
        (timeout, delta_time) in any::<(Option<u64>, Option<u64>)>(),
        (start, stop) in any::<(Option<u64>, Option<u64>)>(),
        counters in any::<Option<[(u64, u64); 2]>>(),
        (secctx, helper) in any::<(Option<String>, Option<String>)>(),
    ) -> Connection {
        Connection {
            id,
            original,
            reply,
            zone,
            status: Status(status),
            state,
            timeout,
            counters: counters.map(|both| {
                both.map(|(packets, bytes)| Counters { packets, bytes })
            }),
            mark,
            secmark,
            secctx,
            labels,
            helper,
            start: start.map(Time::from_nanos),
            stop: stop.map(Time::from_nanos),
            delta_time,
            uses,
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(vec![
        EventKind::New,
        EventKind::Update,
        EventKind::Destroy(Cause::Expired),
        EventKind::Destroy(Cause::Flushed),
    ]);
    let parts = (kind, any::<u16>(), any::<u64>(), any_connection());
    parts.prop_map(|(kind, changes, time, connection)| Event {
        kind,
        changes: Changes(changes),
        time: Time::from_nanos(time),
        connection,
    })
}

prop_compose! {
    fn any_options()(
        [extended, id, timestamp, ktimestamp, labels] in any::<[bool; 5]>(),
    ) -> Options<'static> {
        Options {
            extended,
            id,
            timestamp,
            ktimestamp,
            labels: labels.then_some(NAMES),
            utc_offset: |_| -3600,
        }
    }
}

/// One line; single blanks, but for the padding of names and of `asctime`'s day; none at the end.
fn check_line(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(text.ends_with('\n'));
    prop_assert_eq!(text.lines().count(), 1, "{:?}", text);
    prop_assert!(!text.ends_with(" \n"));
    let Some((_, fields)) = text.split_once("src=") else {
        return Err(TestCaseError::fail("no tuple"));
    };
    for piece in fields.split("  ").skip(1) {
        let day = piece.split(' ').next().unwrap_or_default();
        prop_assert!(day.len() == 1, "double blank in {:?}", text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_entry_is_one_line_of_single_blanks(c in any_connection(), options in any_options()) {
        check_line(&written(|out| line::ip_conntrack(out, &c)))?;
        check_line(&written(|out| line::nf_conntrack(out, &c)))?;
        check_line(&written(|out| line::list(out, &c, &options)))?;
    }

    #[test]
    fn any_event_is_one_line_of_single_blanks(event in any_event(), options in any_options()) {
        check_line(&written(|out| line::event(out, &event, &options)))?;
    }

    #[test]
    fn any_entry_or_event_is_one_object(event in any_event(), options in any_options()) {
        for text in [
            written(|out| json::entry(out, &event.connection, &options)),
            written(|out| json::event(out, &event, &options)),
        ] {
            prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
            let value: serde_json::Value = serde_json::from_str(&text)?;
            prop_assert_eq!(value["id"].as_u64(), Some(event.connection.id.into()));
            if let Some(helper) = &event.connection.helper {
                prop_assert_eq!(value["helper"].as_str(), Some(helper.as_str()));
            }
        }
    }

    #[test]
    fn any_flow_closes_what_it_opens(event in any_event(), options in any_options()) {
        for text in [
            written(|out| xml::entry(out, &event.connection, &options)),
            written(|out| xml::event(out, &event, &options)),
        ] {
            prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
            let mut open = Vec::new();
            for tag in text.split('<').skip(1) {
                let (tag, _) = tag.split_once('>').unwrap();
                if let Some(name) = tag.strip_prefix('/') {
                    prop_assert_eq!(open.pop(), Some(name));
                } else if !tag.ends_with('/') {
                    open.push(tag.split(' ').next().unwrap());
                }
            }
            prop_assert!(open.is_empty());
        }
    }
}
