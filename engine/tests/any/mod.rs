//! Any entry and any event, for property tests. Not a test itself.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::net::IpAddr;

use ip_conntrack::{
    Cause, Changes, Connection, Counters, Event, EventKind, Protocol, SctpState, State, Status,
    TcpSide, TcpState, Time, Tuple, Zone, ZoneDirections,
};
use proptest::prelude::*;

pub(crate) fn any_tuple() -> impl Strategy<Value = Tuple> {
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

pub(crate) fn any_state() -> impl Strategy<Value = State> {
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

pub(crate) fn any_zone() -> impl Strategy<Value = Zone> {
    let applies = prop::sample::select(vec![
        ZoneDirections::Both,
        ZoneDirections::Original,
        ZoneDirections::Reply,
    ]);
    (prop_oneof![Just(0), any::<u16>()], applies).prop_map(|(id, applies)| Zone { id, applies })
}

prop_compose! {
    pub(crate) fn any_connection()(
        (original, reply) in (any_tuple(), any_tuple()),
        (zone, state) in (any_zone(), any_state()),
        (id, mark, secmark, uses) in any::<(u32, u32, u32, u32)>(),
        (status, labels) in any::<(u16, u128)>(),
        (timeout, delta_time) in any::<(Option<u64>, Option<u64>)>(),
        (start, stop) in any::<(Option<u64>, Option<u64>)>(),
        counters in any::<Option<[(u64, u64); 2]>>(),
        (secctx, helper) in any::<(Option<String>, Option<String>)>(),
        master in prop::option::of(any_tuple()),
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
            master,
        }
    }
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
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
