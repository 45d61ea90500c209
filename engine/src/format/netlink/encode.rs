//! Entries and events into messages, attribute by attribute in Linux's order.
//!
//! | message | attributes |
//! |---|---|
//! | answer | tuples, zone, status, mark, secctx, id, use, master, timeout, protoinfo, counters, timestamp, help, labels |
//! | NEW, UPDATE | tuples, zone, id, status, timeout, \[protoinfo\], \[help\], \[secctx\], \[labels\], \[master\], \[mark\], \[time\] |
//! | DESTROY | tuples, zone, id, status, \[timeout\], counters, timestamp, protoinfo's state, \[mark\], \[time\] |
//!
//! Linux adds an empty `SYNPROXY` to entries that were made by hand, and shifted sequence numbers to those
//! in whose data a helper replaced an address; neither exists here.

use alloc::vec::Vec;

use super::entries::labels_bytes;
use super::names::{entry, flag, kind, protoinfo};
use super::tuple::{family_of, put};
use super::write::{Body, Head, Origin, netfilter};
use crate::connection::{Connection, Counters, State};
use crate::event::{Cause, Changes, Event, EventKind};
use crate::time::Time;
use crate::tuple::ZoneDirections;

/// Appends an entry as an answer tells it. In an answer of several messages `flags` are
/// [`flag::MULTI`], and [`flag::DUMP_FILTERED`] if it is filtered.
pub fn put_entry(out: &mut Vec<u8>, origin: Origin, flags: u16, connection: &Connection) {
    let head = Head {
        kind: kind::CT_NEW,
        flags,
        origin,
    };
    netfilter(out, head, family_of(&connection.original), 0, |body| {
        tuples(body, connection);
        body.u32(entry::STATUS, connection.status.0.into());
        body.u32(entry::MARK, connection.mark);
        secctx(body, connection);
        body.u32(entry::ID, connection.id);
        body.u32(entry::USE, connection.uses);
        master(body, connection);
        timeout(body, connection.timeout);
        protocol_state(body, &connection.state, true);
        counters(body, connection.counters);
        timestamp(body, connection);
        helper(body, connection);
        if connection.labels != 0 {
            body.raw(entry::LABELS, labels_bytes(connection.labels));
        }
    });
}

/// Appends an event as a multicast group tells it.
pub fn put_event(out: &mut Vec<u8>, origin: Origin, event: &Event) {
    let (kind, flags) = match event.kind {
        EventKind::New => (kind::CT_NEW, flag::CREATE | flag::EXCL),
        EventKind::Update => (kind::CT_NEW, 0),
        EventKind::Destroy(_) => (kind::CT_DELETE, 0),
    };
    let head = Head {
        kind,
        flags,
        origin,
    };
    let connection = &event.connection;
    netfilter(out, head, family_of(&connection.original), 0, |body| {
        tuples(body, connection);
        body.u32(entry::ID, connection.id);
        body.u32(entry::STATUS, connection.status.0.into());
        match event.kind {
            EventKind::Destroy(cause) => end(body, connection, cause),
            EventKind::New | EventKind::Update => change(body, event),
        }
        if connection.mark != 0 || event.changes.has(Changes::MARK) {
            body.u32(entry::MARK, connection.mark);
        }
        if connection.start.is_some() {
            body.u64(entry::TIMESTAMP_EVENT, event.time.as_nanos());
        }
    });
}

/// The group of an event, see [`group`](super::names::group).
pub const fn group_of(event: &Event) -> u32 {
    match event.kind {
        EventKind::New => super::names::group::CONNTRACK_NEW,
        EventKind::Update => super::names::group::CONNTRACK_UPDATE,
        EventKind::Destroy(_) => super::names::group::CONNTRACK_DESTROY,
    }
}

/// What only NEW and UPDATE have.
fn change(body: &mut Body<'_>, event: &Event) {
    let connection = &event.connection;
    timeout(body, connection.timeout);
    if event.kind == EventKind::New || event.changes.has(Changes::PROTOINFO) {
        protocol_state(body, &connection.state, true);
    }
    helper(body, connection);
    secctx(body, connection);
    if event.changes.has(Changes::LABEL) && connection.labels != 0 {
        body.raw(entry::LABELS, labels_bytes(connection.labels));
    }
    if event.changes.has(Changes::RELATED) {
        master(body, connection);
    }
}

/// What only DESTROY has. Time that ran out is not told, and of a protocol only its state.
fn end(body: &mut Body<'_>, connection: &Connection, cause: Cause) {
    if cause != Cause::Expired {
        timeout(body, connection.timeout.filter(|secs| *secs > 0));
    }
    counters(body, connection.counters);
    timestamp(body, connection);
    protocol_state(body, &connection.state, false);
}

pub(super) fn tuples(body: &mut Body<'_>, connection: &Connection) {
    let zone = connection.zone;
    let only = |applies| (zone.id != 0 && zone.applies == applies).then_some(zone.id);
    let (original, reply) = (&connection.original, &connection.reply);
    put(
        body,
        entry::TUPLE_ORIG,
        original,
        only(ZoneDirections::Original),
    );
    put(body, entry::TUPLE_REPLY, reply, only(ZoneDirections::Reply));
    if let Some(id) = only(ZoneDirections::Both) {
        body.u16(entry::ZONE, id);
    }
}

fn timeout(body: &mut Body<'_>, secs: Option<u64>) {
    if let Some(secs) = secs {
        body.u32(entry::TIMEOUT, u32::try_from(secs).unwrap_or(u32::MAX));
    }
}

fn protocol_state(body: &mut Body<'_>, state: &State, whole: bool) {
    match state {
        State::Tcp { state, sides } => body.nest(entry::PROTOINFO, |info| {
            info.nest(protoinfo::TCP, |tcp| {
                tcp.u8(1, *state as u8);
                if whole {
                    tcp.u8(2, sides[0].window_scale);
                    tcp.u8(3, sides[1].window_scale);
                    tcp.raw(4, [sides[0].flags, 0]);
                    tcp.raw(5, [sides[1].flags, 0]);
                }
            });
        }),
        State::Sctp { state, tags } => body.nest(entry::PROTOINFO, |info| {
            info.nest(protoinfo::SCTP, |sctp| {
                sctp.u8(1, *state as u8);
                if whole {
                    sctp.u32(2, tags[0]);
                    sctp.u32(3, tags[1]);
                }
            });
        }),
        State::Stateless | State::Gre { .. } => {}
    }
}

pub(super) fn counters(body: &mut Body<'_>, counters: Option<[Counters; 2]>) {
    let Some([original, reply]) = counters else {
        return;
    };
    for (number, counters) in [
        (entry::COUNTERS_ORIG, original),
        (entry::COUNTERS_REPLY, reply),
    ] {
        body.nest(number, |nest| {
            nest.u64(1, counters.packets);
            nest.u64(2, counters.bytes);
        });
    }
}

pub(super) fn timestamp(body: &mut Body<'_>, connection: &Connection) {
    let Some(start) = connection.start else {
        return;
    };
    body.nest(entry::TIMESTAMP, |nest| {
        nest.u64(1, start.as_nanos());
        if let Some(stop) = connection.stop.map(Time::as_nanos) {
            nest.u64(2, stop);
        }
    });
}

fn secctx(body: &mut Body<'_>, connection: &Connection) {
    if let Some(context) = &connection.secctx {
        body.nest(entry::SECCTX, |nest| nest.text(1, context));
    }
}

pub(super) fn helper(body: &mut Body<'_>, connection: &Connection) {
    if let Some(name) = &connection.helper {
        body.nest(entry::HELP, |nest| nest.text(1, name));
    }
}

pub(super) fn master(body: &mut Body<'_>, connection: &Connection) {
    if let Some(master) = &connection.master {
        put(body, entry::TUPLE_MASTER, master, None);
    }
}
