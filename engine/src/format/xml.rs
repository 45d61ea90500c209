//! `-o xml`: the form of conntrack-tools, one `<flow>` element a line.
//!
//! A document is [`header`], flows, [`footer`]; the tool prints neither of the two if there was no
//! flow. ICMP's type, code and identifier have no elements in this form, and `<id>` is always there.
//!
//! One deviation is deliberate. The library behind the tool looks up the `<state>` of an SCTP
//! association in TCP's list of names, so that `COOKIE_WAIT` comes out as `SYN_RECV`. Here it is the
//! association's own name, as in every other form.

use alloc::vec::Vec;

use super::attributes::{Attributes, Told};
use super::date::Date;
use super::netlink::Entry;
use super::put::Put;
use super::{Options, UtcOffset, named_labels, tool_has_ports, tool_name};
use crate::connection::{Connection, Counters};
use crate::event::{Event, EventKind};
use crate::time::Time;
use crate::tuple::{Direction, Protocol, Tuple, ZoneDirections};

/// Appends the two lines that open a document.
pub fn header(out: &mut Vec<u8>) {
    out.text("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n");
}

/// Appends the line that closes a document.
pub fn footer(out: &mut Vec<u8>) {
    out.text("</conntrack>\n");
}

/// Appends one entry. Of the options, `ktimestamp` and `labels` count.
pub fn entry(out: &mut Vec<u8>, connection: &Connection, options: &Options<'_>) {
    out.text("<flow>");
    let carried = Attributes::of_entry(connection);
    metas(out, connection, carried, options);
    end(out, connection, carried);
}

/// Appends one event. Of the options, `timestamp`, `ktimestamp`, `labels` and `utc_offset` count.
pub fn event(out: &mut Vec<u8>, event: &Event, options: &Options<'_>) {
    out.text(match event.kind {
        EventKind::New => "<flow type=\"new\">",
        EventKind::Update => "<flow type=\"update\">",
        EventKind::Destroy(_) => "<flow type=\"destroy\">",
    });
    let carried = Attributes::of_event(event);
    metas(out, &event.connection, carried, options);
    if options.timestamp {
        when(out, event.time, options.utc_offset);
    }
    end(out, &event.connection, carried);
}

/// Appends what a message that was received tells: with what it has, and nothing else. Of the options,
/// `timestamp`, `ktimestamp`, `labels` and `utc_offset` count.
pub fn message(out: &mut Vec<u8>, told: Told, message: &Entry, options: &Options<'_>) {
    out.text(flow(told));
    let carried = Attributes::of_message(message);
    metas(out, &message.connection, carried, options);
    if let Some(time) = message.time.filter(|_| options.timestamp) {
        when(out, time, options.utc_offset);
    }
    end(out, &message.connection, carried);
}

/// How the element begins.
pub(super) const fn flow(told: Told) -> &'static str {
    match told {
        Told::Entry => "<flow>",
        Told::New => "<flow type=\"new\">",
        Told::Update => "<flow type=\"update\">",
        Told::Destroy => "<flow type=\"destroy\">",
        Told::Sync => "<flow type=\"sync\">",
    }
}

/// What follows `<meta>` and `<when>`.
fn end(out: &mut Vec<u8>, connection: &Connection, carried: Attributes) {
    if let Some(helper) = connection.helper.as_ref().filter(|_| carried.helper) {
        text(out, "helper", helper);
    }
    out.text("</flow>\n");
}

fn metas(out: &mut Vec<u8>, connection: &Connection, carried: Attributes, options: &Options<'_>) {
    out.text("<meta direction=\"original\">");
    side(out, connection, Direction::Original, carried);
    out.text("</meta><meta direction=\"reply\">");
    side(out, connection, Direction::Reply, carried);
    out.text("</meta><meta direction=\"independent\">");
    independent(out, connection, carried, options);
    out.text("</meta>");
}

fn side(out: &mut Vec<u8>, connection: &Connection, direction: Direction, carried: Attributes) {
    let tuple = connection.tuple(direction);
    layer3(out, tuple);
    layer4(out, tuple);
    let zone = connection.zone;
    if zone.applies != ZoneDirections::Both && zone.id_of(direction) != 0 {
        number(out, "zone", zone.id.into());
    }
    if let Some(both) = connection.counters.filter(|_| carried.counters) {
        counters(out, both[direction.index()]);
    }
}

fn layer3(out: &mut Vec<u8>, tuple: &Tuple) {
    out.text(if tuple.is_ipv6() {
        "<layer3 protonum=\"10\" protoname=\"ipv6\"><src>"
    } else {
        "<layer3 protonum=\"2\" protoname=\"ipv4\"><src>"
    });
    out.short_address(tuple.src);
    out.text("</src><dst>");
    out.short_address(tuple.dst);
    out.text("</dst></layer3>");
}

fn layer4(out: &mut Vec<u8>, tuple: &Tuple) {
    out.text("<layer4 protonum=\"");
    out.decimal(tuple.protocol.0.into());
    out.text("\" protoname=\"");
    out.text(tool_name(tuple.protocol));
    out.text("\">");
    if tool_has_ports(tuple.protocol) {
        number(out, "sport", tuple.src_part.into());
        number(out, "dport", tuple.dst_part.into());
    } else if tuple.protocol == Protocol::GRE {
        element(out, "srckey", |out| key(out, tuple.src_part));
        element(out, "dstkey", |out| key(out, tuple.dst_part));
    }
    out.text("</layer4>");
}

fn key(out: &mut Vec<u8>, key: u16) {
    out.text("0x");
    out.hex(key);
}

fn counters(out: &mut Vec<u8>, counters: Counters) {
    element(out, "counters", |out| {
        number(out, "packets", counters.packets);
        number(out, "bytes", counters.bytes);
    });
}

/// What belongs to no direction.
fn independent(
    out: &mut Vec<u8>,
    connection: &Connection,
    carried: Attributes,
    options: &Options<'_>,
) {
    if let Some(name) = connection.state.name().filter(|_| carried.state) {
        text(out, "state", name);
    }
    if let Some(secs) = carried.timeout {
        number(out, "timeout", secs);
    }
    if carried.mark {
        number(out, "mark", connection.mark.into());
    }
    if let Some(names) = options.labels.filter(|_| carried.labels) {
        labels(out, connection.labels, names);
    }
    if carried.security {
        security(out, connection);
    }
    if connection.zone.applies == ZoneDirections::Both && connection.zone.id != 0 {
        number(out, "zone", connection.zone.id.into());
    }
    if carried.uses {
        number(out, "use", connection.uses.into());
    }
    number(out, "id", connection.id.into());
    flag(out, "<assured/>", connection.is_assured());
    flag(out, "<unreplied/>", !connection.is_replied());
    if carried.timestamps {
        timestamps(out, connection, options);
    }
}

fn security(out: &mut Vec<u8>, connection: &Connection) {
    if connection.secmark != 0 {
        number(out, "secmark", connection.secmark.into());
    }
    if let Some(context) = &connection.secctx {
        text(out, "secctx", context);
    }
}

fn timestamps(out: &mut Vec<u8>, connection: &Connection, options: &Options<'_>) {
    if let Some(start) = connection.start.filter(|_| options.ktimestamp) {
        element(out, "timestamp", |out| {
            number(out, "start", start.as_nanos());
            if let Some(stop) = connection.stop {
                number(out, "stop", stop.as_nanos());
            }
        });
    }
    if let Some(secs) = connection.delta_time {
        number(out, "deltatime", secs);
    }
}

/// `<labels>`, or nothing if no label that is set has a name.
fn labels(out: &mut Vec<u8>, labels: u128, names: &[(u8, &str)]) {
    if named_labels(labels, names).next().is_some() {
        element(out, "labels", |out| {
            for name in named_labels(labels, names) {
                text(out, "label", name);
            }
        });
    }
}

/// Local time in pieces; the week begins with Sunday, 1.
fn when(out: &mut Vec<u8>, time: Time, offset: UtcOffset) {
    let date = Date::local(time, offset);
    element(out, "when", |out| {
        number(out, "hour", date.hour);
        element(out, "min", |out| out.digits(date.minute, 2));
        element(out, "sec", |out| out.digits(date.second, 2));
        number(out, "wday", date.weekday + 1);
        number(out, "day", date.day);
        number(out, "month", date.month);
        element(out, "year", |out| date.put_year(out));
    });
}

fn flag(out: &mut Vec<u8>, tag: &str, set: bool) {
    if set {
        out.text(tag);
    }
}

fn number(out: &mut Vec<u8>, name: &str, n: u64) {
    element(out, name, |out| out.decimal(n));
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    element(out, name, |out| escaped(out, value));
}

pub(super) fn element(out: &mut Vec<u8>, name: &str, content: impl FnOnce(&mut Vec<u8>)) {
    out.text("<");
    out.text(name);
    out.text(">");
    content(out);
    out.text("</");
    out.text(name);
    out.text(">");
}

/// `value` as character data. Control characters, most of which XML 1.0 cannot hold and some of
/// which would break the line, become the replacement character.
pub(super) fn escaped(out: &mut Vec<u8>, value: &str) {
    let mut utf8 = [0; 4];
    for c in value.chars() {
        out.text(match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
            c if c.is_control() => "\u{fffd}",
            c => c.encode_utf8(&mut utf8),
        });
    }
}
