//! One entry, one line: the forms that `/proc` and the `conntrack` tool print.
//!
//! All of them are the same sentence: protocol, seconds left, state, the original direction, the
//! reply direction, then `name=value` pairs. Every piece ends with a blank, and the line's last
//! blank becomes its newline. The dialects differ in this:
//!
//! | | [`ip_conntrack`] | [`nf_conntrack`] | [`list`], [`event`] |
//! |---|---|---|---|
//! | source | `/proc`, Linux 2.6.18 on | `/proc`, Linux 2.6.15 to now | conntrack-tools |
//! | network protocol | no | yes | if `extended` |
//! | IPv6 addresses | eight full groups | eight full groups | RFC 5952 |
//! | protocol 33 | `unknown` | `unknown` | `dccp`, with ports 0 |
//! | GRE's timeouts | yes | yes | no |
//! | `zone=`, `zone-orig=`, `zone-reply=` | no | zone 0 too | if not 0 |
//! | `mark=` | yes | yes | events: not if 0 |
//! | `secmark=` | yes | no | no |
//! | `use=` | as it is | one more, the reader's | as it is; not in events |
//! | helper, labels, id, times | no | age only | yes |
//!
//! Entries with IPv6 addresses were not in the 2.6 file at all: whoever imitates it leaves them out.

use alloc::vec::Vec;

use super::attributes::{Attributes, Told};
use super::date::Date;
use super::netlink::Entry;
use super::put::Put;
use super::{Options, named_labels, tool_has_ports, tool_name};
use crate::connection::{Connection, State};
use crate::event::{Event, EventKind};
use crate::time::Time;
use crate::tuple::{Direction, Protocol, Tuple, ZoneDirections};

/// Whose habits to follow where they differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `/proc/net/ip_conntrack`.
    Historic,
    /// `/proc/net/nf_conntrack`.
    Proc,
    /// `conntrack`.
    Tool,
}

/// Appends a line of `/proc/net/ip_conntrack`, as Linux 2.6.18 and later 2.6 kernels print it.
///
/// That file has IPv4 entries only; an IPv6 entry comes out in the same form, its addresses in
/// full, and skipping it is the caller's business.
pub fn ip_conntrack(out: &mut Vec<u8>, connection: &Connection) {
    protocol(out, connection.original.protocol, Dialect::Historic);
    timer(out, connection.timeout);
    proc_state(out, &connection.state);
    sides(out, connection, Dialect::Historic, true);
    out.field("mark=", connection.mark.into());
    out.field("secmark=", connection.secmark.into());
    out.field("use=", connection.uses.into());
    end(out);
}

/// Appends a line of `/proc/net/nf_conntrack`.
pub fn nf_conntrack(out: &mut Vec<u8>, connection: &Connection) {
    family(out, &connection.original);
    protocol(out, connection.original.protocol, Dialect::Proc);
    timer(out, connection.timeout);
    proc_state(out, &connection.state);
    sides(out, connection, Dialect::Proc, true);
    out.field("mark=", connection.mark.into());
    security_context(out, connection);
    if connection.zone.applies == ZoneDirections::Both {
        out.field("zone=", connection.zone.id.into());
    }
    age(out, connection);
    out.field("use=", u64::from(connection.uses) + 1);
    end(out);
}

/// Appends a line of `conntrack -L`.
pub fn list(out: &mut Vec<u8>, connection: &Connection, options: &Options<'_>) {
    tool_line(out, connection, Attributes::of_entry(connection), options);
}

/// Appends a line of `conntrack -E`.
///
/// It tells what netlink's message about the event would hold, which is less than a listing: no
/// counters before DESTROY, and in an UPDATE the state only if it is what changed.
pub fn event(out: &mut Vec<u8>, event: &Event, options: &Options<'_>) {
    if options.timestamp {
        event_time(out, event.time);
    }
    out.text(tag(match event.kind {
        EventKind::New => Told::New,
        EventKind::Update => Told::Update,
        EventKind::Destroy(_) => Told::Destroy,
    }));
    let carried = Attributes::of_event(event);
    tool_line(out, &event.connection, carried, options);
}

/// Appends a line about a message that was received, as `conntrack -L` or, if it tells an event,
/// `conntrack -E` prints it: with what the message has, and nothing else.
pub fn message(out: &mut Vec<u8>, told: Told, message: &Entry, options: &Options<'_>) {
    if let Some(time) = message.time.filter(|_| options.timestamp) {
        event_time(out, time);
    }
    out.text(tag(told));
    tool_line(
        out,
        &message.connection,
        Attributes::of_message(message),
        options,
    );
}

/// What an event's line begins with.
pub(super) const fn tag(told: Told) -> &'static str {
    match told {
        Told::Entry => "",
        Told::New => "    [NEW] ",
        Told::Update => " [UPDATE] ",
        Told::Destroy => "[DESTROY] ",
        Told::Sync => "   [SYNC] ",
    }
}

fn tool_line(
    out: &mut Vec<u8>,
    connection: &Connection,
    carried: Attributes,
    options: &Options<'_>,
) {
    if options.extended {
        family(out, &connection.original);
    }
    protocol(out, connection.original.protocol, Dialect::Tool);
    timer(out, carried.timeout);
    if carried.state {
        state(out, &connection.state);
    }
    sides(out, connection, Dialect::Tool, carried.counters);
    tool_fields(out, connection, carried, options);
    end(out);
}

/// What the tool prints after the tuples.
fn tool_fields(
    out: &mut Vec<u8>,
    connection: &Connection,
    carried: Attributes,
    options: &Options<'_>,
) {
    if carried.mark {
        out.field("mark=", connection.mark.into());
    }
    if carried.security {
        security_context(out, connection);
    }
    if connection.zone.applies == ZoneDirections::Both && connection.zone.id != 0 {
        out.field("zone=", connection.zone.id.into());
    }
    if carried.timestamps {
        age(out, connection);
    }
    if carried.timestamps && options.ktimestamp {
        moment(out, "[start=", connection.start, options);
        moment(out, "[stop=", connection.stop, options);
    }
    if let Some(helper) = connection.helper.as_ref().filter(|_| carried.helper) {
        name(out, "helper=", helper);
    }
    if carried.uses {
        out.field("use=", connection.uses.into());
    }
    if options.id {
        out.field("id=", connection.id.into());
    }
    if let Some(names) = options.labels.filter(|_| carried.labels) {
        labels(out, connection.labels, names);
    }
}

/// `ipv4     2 `: the family's name and number.
fn family(out: &mut Vec<u8>, tuple: &Tuple) {
    out.text(if tuple.is_ipv6() {
        "ipv6     10 "
    } else {
        "ipv4     2 "
    });
}

/// `tcp      6 `: the protocol's name and number.
fn protocol(out: &mut Vec<u8>, protocol: Protocol, dialect: Dialect) {
    let name = match dialect {
        Dialect::Historic | Dialect::Proc => protocol.name(),
        Dialect::Tool => tool_name(protocol),
    };
    out.padded(name, 9);
    out.field("", protocol.0.into());
}

fn timer(out: &mut Vec<u8>, timeout: Option<u64>) {
    if let Some(secs) = timeout {
        out.field("", secs);
    }
}

fn state(out: &mut Vec<u8>, state: &State) {
    if let Some(name) = state.name() {
        out.text(name);
        out.text(" ");
    }
}

/// The state as `/proc` shows it, which has something to say of GRE too.
fn proc_state(out: &mut Vec<u8>, shown: &State) {
    let State::Gre {
        timeout,
        stream_timeout,
    } = *shown
    else {
        return state(out, shown);
    };
    out.text("timeout=");
    out.decimal(timeout.into());
    out.field(", stream_timeout=", stream_timeout.into());
}

/// Both directions, with the tags that belong to them.
fn sides(out: &mut Vec<u8>, connection: &Connection, dialect: Dialect, counted: bool) {
    side(out, connection, Direction::Original, dialect, counted);
    if !connection.is_replied() {
        out.text("[UNREPLIED] ");
    }
    side(out, connection, Direction::Reply, dialect, counted);
    if connection.is_assured() {
        out.text("[ASSURED] ");
    }
}

fn side(
    out: &mut Vec<u8>,
    connection: &Connection,
    direction: Direction,
    dialect: Dialect,
    counted: bool,
) {
    tuple(out, connection.tuple(direction), dialect);
    let zone = connection.zone;
    if dialect == Dialect::Proc || dialect == Dialect::Tool && zone.id != 0 {
        match (direction, zone.applies) {
            (Direction::Original, ZoneDirections::Original) => {
                out.field("zone-orig=", zone.id.into());
            }
            (Direction::Reply, ZoneDirections::Reply) => out.field("zone-reply=", zone.id.into()),
            _ => {}
        }
    }
    if let Some(counters) = connection.counters.filter(|_| counted) {
        let counters = counters[direction.index()];
        out.field("packets=", counters.packets);
        out.field("bytes=", counters.bytes);
    }
}

pub(super) fn tuple(out: &mut Vec<u8>, tuple: &Tuple, dialect: Dialect) {
    for (name, address) in [("src=", tuple.src), (" dst=", tuple.dst)] {
        out.text(name);
        match dialect {
            Dialect::Historic | Dialect::Proc => out.address(address),
            Dialect::Tool => out.short_address(address),
        }
    }
    out.text(" ");
    parts(out, tuple, dialect);
}

/// What the protocol adds to the addresses.
pub(super) fn parts(out: &mut Vec<u8>, tuple: &Tuple, dialect: Dialect) {
    if tuple.protocol.has_ports() || dialect == Dialect::Tool && tool_has_ports(tuple.protocol) {
        out.field("sport=", tuple.src_part.into());
        out.field("dport=", tuple.dst_part.into());
    } else if tuple.protocol.is_icmp() {
        out.field("type=", tuple.icmp_type().into());
        out.field("code=", tuple.icmp_code().into());
        out.field("id=", tuple.src_part.into());
    } else if tuple.protocol == Protocol::GRE {
        out.text("srckey=0x");
        out.hex(tuple.src_part);
        out.text(" dstkey=0x");
        out.hex(tuple.dst_part);
        out.text(" ");
    }
}

fn security_context(out: &mut Vec<u8>, connection: &Connection) {
    if let Some(context) = &connection.secctx {
        name(out, "secctx=", context);
    }
}

fn age(out: &mut Vec<u8>, connection: &Connection) {
    if let Some(secs) = connection.delta_time {
        out.field("delta-time=", secs);
    }
}

/// `[start=Mon Nov 23 15:06:36 2026] `.
fn moment(out: &mut Vec<u8>, tag: &str, time: Option<Time>, options: &Options<'_>) {
    if let Some(time) = time {
        out.text(tag);
        Date::local(time, options.utc_offset).asctime(out);
        out.text("] ");
    }
}

/// `[1795447594.040871]` and a tabulator.
pub(super) fn event_time(out: &mut Vec<u8>, time: Time) {
    out.text("[");
    out.decimal(time.as_secs());
    out.text(".");
    out.digits(time.as_nanos() / 1000, 6);
    out.text("]\t");
}

/// A field whose value is a name.
fn name(out: &mut Vec<u8>, field: &str, value: &str) {
    out.text(field);
    out.word(value);
    out.text(" ");
}

/// `labels=a,b `, or nothing if no label that is set has a name.
fn labels(out: &mut Vec<u8>, labels: u128, names: &[(u8, &str)]) {
    for (n, name) in named_labels(labels, names).enumerate() {
        out.text(if n == 0 { "labels=" } else { "," });
        out.word(name);
    }
    if named_labels(labels, names).next().is_some() {
        out.text(" ");
    }
}

/// Makes the line's last blank its newline.
pub(super) fn end(out: &mut Vec<u8>) {
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}
