//! JSON of our own: one object a line (RFC 8259 inside, newline between), made for `jq`.
//!
//! The schema is stable: fields may be added, never renamed or given another meaning. A field that
//! does not apply is absent, never `null`. Times are seconds since the epoch with nine decimals,
//! exact as text; a reader that keeps numbers as doubles, like `jq`, rounds them to about 0.2 µs,
//! and counters beyond 2⁵³ likewise. Unlike the tool's forms an event tells the whole entry.
//!
//! | Field | Type | Meaning | Absent |
//! |---|---|---|---|
//! | `event` | string | `new`, `update` or `destroy` | in listings |
//! | `time` | number, s | when it happened | in listings |
//! | `cause` | string | `expired`, `early_drop`, `refused`, `reopened`, `deleted` or `flushed` | unless `destroy` |
//! | `changes` | array of strings | `new`, `related`, `reply`, `assured`, `protoinfo`, `helper`, `mark`, `secmark`, `label` | unless `update` |
//! | `id` | number | stable for the life of the entry | |
//! | `family` | string | `ipv4` or `ipv6` | |
//! | `protocol` | string | `tcp`, `udp`, `icmp`, `icmpv6`, `udplite`, `sctp`, `gre`, `dccp` or `unknown` | |
//! | `protonum` | number | IP protocol number | |
//! | `state` | string | state of the TCP connection or SCTP association | other protocols |
//! | `timeout` | number, s | whole seconds to expiry | if there is none to tell |
//! | `gre_timeout` | number, s | timeout until the stream is established | unless GRE |
//! | `gre_stream_timeout` | number, s | timeout afterwards | unless GRE |
//! | `original` | object | direction of the first packet, below | |
//! | `reply` | object | direction of the answers, below | |
//! | `replied` | boolean | a reply was seen | |
//! | `assured` | boolean | safe from early drop | |
//! | `expected` | boolean | child of an expectation | |
//! | `snat` | boolean | the source is translated | |
//! | `dnat` | boolean | the destination is translated | |
//! | `mark` | number | connection mark | |
//! | `secmark` | number | security mark | if 0 |
//! | `secctx` | string | security context | if there is none |
//! | `zone` | number | 0 is the default zone | |
//! | `zone_direction` | string | `original` or `reply`: the only direction that the zone applies to | if it applies to both |
//! | `labels` | array | labels that are set: the name, or the number of a bit without one | if none is set |
//! | `helper` | string | name of the helper | if there is none |
//! | `start` | number, s | when it was confirmed | without timestamps |
//! | `stop` | number, s | when it ended | while it lives, or without timestamps |
//! | `age` | number, s | whole seconds from `start` to `stop` or now | without timestamps |
//! | `use` | number | references: 1 for the table, 1 for each child | |
//!
//! `original` and `reply`:
//!
//! | Field | Type | Meaning | Absent |
//! |---|---|---|---|
//! | `src`, `dst` | string | addresses, IPv6 as in RFC 5952 | |
//! | `sport`, `dport` | number | ports | unless TCP, UDP, UDP-Lite or SCTP |
//! | `icmp_type`, `icmp_code`, `icmp_id` | number | type, code and identifier | unless ICMP or ICMPv6 |
//! | `srckey`, `dstkey` | number | GRE keys | unless GRE |
//! | `wscale` | number | TCP window scale of this side | unless TCP |
//! | `tcp_flags` | number | TCP flags of this side, ctnetlink's bits | unless TCP |
//! | `vtag` | number | SCTP verification tag of this side | unless SCTP |
//! | `packets` | number | packets in this direction | without accounting |
//! | `bytes` | number | bytes in this direction, IP headers included | without accounting |

use alloc::vec::Vec;

use super::put::Put;
use super::{Options, label_bits, label_name, tool_name};
use crate::connection::{Connection, State, Status};
use crate::event::{Cause, Changes, Event, EventKind};
use crate::time::Time;
use crate::tuple::{Direction, Protocol, Tuple, Zone, ZoneDirections};

/// Appends one entry. Of the options, only the names of `labels` count: the rest is always shown.
pub fn entry(out: &mut Vec<u8>, connection: &Connection, options: &Options<'_>) {
    line(out, |object| connection_fields(object, connection, options));
}

/// Appends one event: the entry's fields, after those that tell what happened to it.
pub fn event(out: &mut Vec<u8>, event: &Event, options: &Options<'_>) {
    line(out, |object| {
        event_fields(object, event);
        connection_fields(object, &event.connection, options);
    });
}

fn event_fields(object: &mut Object<'_>, event: &Event) {
    let name = match event.kind {
        EventKind::New => "new",
        EventKind::Update => "update",
        EventKind::Destroy(_) => "destroy",
    };
    object.string("event", name);
    object.time("time", Some(event.time));
    match event.kind {
        EventKind::New => {}
        EventKind::Update => object.array("changes", changes(event.changes).map(Value::String)),
        EventKind::Destroy(cause) => object.string("cause", cause_name(cause)),
    }
}

const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Expired => "expired",
        Cause::EarlyDrop => "early_drop",
        Cause::Refused => "refused",
        Cause::Reopened => "reopened",
        Cause::Deleted => "deleted",
        Cause::Flushed => "flushed",
    }
}

fn changes(changes: Changes) -> impl Iterator<Item = &'static str> {
    const NAMES: [(Changes, &str); 9] = [
        (Changes::NEW, "new"),
        (Changes::RELATED, "related"),
        (Changes::REPLY, "reply"),
        (Changes::ASSURED, "assured"),
        (Changes::PROTOINFO, "protoinfo"),
        (Changes::HELPER, "helper"),
        (Changes::MARK, "mark"),
        (Changes::SECMARK, "secmark"),
        (Changes::LABEL, "label"),
    ];
    let set = NAMES.iter().filter(move |(change, _)| changes.has(*change));
    set.map(|(_, name)| *name)
}

fn connection_fields(object: &mut Object<'_>, connection: &Connection, options: &Options<'_>) {
    let tuple = &connection.original;
    object.number("id", connection.id.into());
    object.string("family", if tuple.is_ipv6() { "ipv6" } else { "ipv4" });
    object.string("protocol", tool_name(tuple.protocol));
    object.number("protonum", tuple.protocol.0.into());
    state(object, &connection.state);
    if let Some(secs) = connection.timeout {
        object.number("timeout", secs);
    }
    object.object("original", |o| side(o, connection, Direction::Original));
    object.object("reply", |o| side(o, connection, Direction::Reply));
    status(object, connection.status);
    object.number("mark", connection.mark.into());
    security(object, connection);
    zone(object, connection.zone);
    labels(object, connection.labels, options.labels.unwrap_or(&[]));
    if let Some(helper) = &connection.helper {
        object.string("helper", helper);
    }
    times(object, connection);
    object.number("use", connection.uses.into());
}

fn state(object: &mut Object<'_>, state: &State) {
    if let Some(name) = state.name() {
        object.string("state", name);
    }
    if let State::Gre {
        timeout,
        stream_timeout,
    } = *state
    {
        object.number("gre_timeout", timeout.into());
        object.number("gre_stream_timeout", stream_timeout.into());
    }
}

fn side(object: &mut Object<'_>, connection: &Connection, direction: Direction) {
    tuple(object, connection.tuple(direction));
    match connection.state {
        State::Tcp { sides, .. } => {
            let side = sides[direction.index()];
            object.number("wscale", side.window_scale.into());
            object.number("tcp_flags", side.flags.into());
        }
        State::Sctp { tags, .. } => object.number("vtag", tags[direction.index()].into()),
        State::Stateless | State::Gre { .. } => {}
    }
    if let Some(counters) = connection.counters {
        object.number("packets", counters[direction.index()].packets);
        object.number("bytes", counters[direction.index()].bytes);
    }
}

fn tuple(object: &mut Object<'_>, tuple: &Tuple) {
    for (name, address) in [("src", tuple.src), ("dst", tuple.dst)] {
        object.key(name);
        object.out.text("\"");
        object.out.short_address(address);
        object.out.text("\"");
    }
    if tuple.protocol.has_ports() {
        object.number("sport", tuple.src_part.into());
        object.number("dport", tuple.dst_part.into());
    } else if tuple.protocol.is_icmp() {
        object.number("icmp_type", tuple.icmp_type().into());
        object.number("icmp_code", tuple.icmp_code().into());
        object.number("icmp_id", tuple.src_part.into());
    } else if tuple.protocol == Protocol::GRE {
        object.number("srckey", tuple.src_part.into());
        object.number("dstkey", tuple.dst_part.into());
    }
}

fn status(object: &mut Object<'_>, status: Status) {
    object.boolean("replied", status.has(Status::SEEN_REPLY));
    object.boolean("assured", status.has(Status::ASSURED));
    object.boolean("expected", status.has(Status::EXPECTED));
    object.boolean("snat", status.has(Status::SRC_NAT));
    object.boolean("dnat", status.has(Status::DST_NAT));
}

fn security(object: &mut Object<'_>, connection: &Connection) {
    if connection.secmark != 0 {
        object.number("secmark", connection.secmark.into());
    }
    if let Some(context) = &connection.secctx {
        object.string("secctx", context);
    }
}

fn zone(object: &mut Object<'_>, zone: Zone) {
    object.number("zone", zone.id.into());
    match zone.applies {
        ZoneDirections::Both => {}
        ZoneDirections::Original => object.string("zone_direction", "original"),
        ZoneDirections::Reply => object.string("zone_direction", "reply"),
    }
}

fn labels(object: &mut Object<'_>, labels: u128, names: &[(u8, &str)]) {
    if labels != 0 {
        let name_or_bit = |bit| label_name(names, bit).map_or(Value::Number(bit), Value::String);
        object.array("labels", label_bits(labels).map(name_or_bit));
    }
}

fn times(object: &mut Object<'_>, connection: &Connection) {
    object.time("start", connection.start);
    object.time("stop", connection.stop);
    if let Some(secs) = connection.delta_time {
        object.number("age", secs);
    }
}

/// An element of an array.
enum Value<'a> {
    String(&'a str),
    Number(u8),
}

/// An object that is being written. Names of fields are ours and need no escaping.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// One object and a newline.
fn line(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    braces(out, fill);
    out.text("\n");
}

fn braces(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.text("{");
    fill(&mut Object {
        out: &mut *out,
        empty: true,
    });
    out.text("}");
}

impl Object<'_> {
    fn key(&mut self, name: &str) {
        self.out.text(if self.empty { "\"" } else { ",\"" });
        self.empty = false;
        self.out.text(name);
        self.out.text("\":");
    }

    fn number(&mut self, name: &str, n: u64) {
        self.key(name);
        self.out.decimal(n);
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.key(name);
        self.out.text(if value { "true" } else { "false" });
    }

    fn string(&mut self, name: &str, value: &str) {
        self.key(name);
        quoted(self.out, value);
    }

    /// Seconds with nine decimals, if there is a time.
    fn time(&mut self, name: &str, time: Option<Time>) {
        if let Some(time) = time {
            self.number(name, time.as_secs());
            self.out.text(".");
            self.out.digits(time.as_nanos(), 9);
        }
    }

    fn array<'v>(&mut self, name: &str, values: impl Iterator<Item = Value<'v>>) {
        self.key(name);
        self.out.text("[");
        for (n, value) in values.enumerate() {
            self.out.text(if n == 0 { "" } else { "," });
            match value {
                Value::String(value) => quoted(self.out, value),
                Value::Number(value) => self.out.decimal(value.into()),
            }
        }
        self.out.text("]");
    }

    fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(name);
        braces(self.out, fill);
    }
}

/// A string in quotes, escaped where RFC 8259 demands it.
fn quoted(out: &mut Vec<u8>, value: &str) {
    let mut utf8 = [0; 4];
    out.text("\"");
    for c in value.chars() {
        match c {
            '"' => out.text("\\\""),
            '\\' => out.text("\\\\"),
            '\n' => out.text("\\n"),
            '\r' => out.text("\\r"),
            '\t' => out.text("\\t"),
            '\0'..='\u{1f}' => {
                out.text("\\u00");
                out.text(if c < '\u{10}' { "0" } else { "1" });
                out.hex(c as u16 & 15);
            }
            c => out.text(c.encode_utf8(&mut utf8)),
        }
    }
    out.text("\"");
}
