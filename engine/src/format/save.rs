//! `-o save`: the command that would make the entry, one a line, to be read with `-R`.
//!
//! The verb tells what to do with it: `-A` for an entry and for NEW, `-U` for UPDATE, `-D` for DESTROY. A reply
//! address that is not the original's mirror is written as what translation made of it: `-g` for the
//! destination's address, `-n` for the source's. Counters, mark, helper and id are not in this form.
//! SCTP's verification tags are numbers whose bytes in the machine's order are those of the packet, so on most
//! machines not the tags that a packet analyser shows: the tool writes and reads them so.

use alloc::vec::Vec;

use super::attributes::{Attributes, Told};
use super::netlink::Entry;
use super::put::Put;
use super::{Options, named_labels};
use crate::connection::{Connection, State, Status};
use crate::tuple::{Direction, Protocol, Tuple, ZoneDirections};

/// Status bits that a command may set, in the order in which they are written.
const STATUS: [(&str, Status); 4] = [
    ("EXPECTED", Status::EXPECTED),
    ("SEEN_REPLY", Status::SEEN_REPLY),
    ("ASSURED", Status::ASSURED),
    ("FIXED_TIMEOUT", Status::FIXED_TIMEOUT),
];

/// Appends the command that makes the entry. Of the options, `labels` counts.
pub fn entry(out: &mut Vec<u8>, connection: &Connection, options: &Options<'_>) {
    let carried = Attributes::of_entry(connection);
    command(out, "-A", connection, carried, options);
}

/// Appends the command that does what a message tells: with what it has, and nothing else. Of the
/// options, `labels` counts.
pub fn message(out: &mut Vec<u8>, told: Told, message: &Entry, options: &Options<'_>) {
    let verb = match told {
        Told::Entry | Told::New | Told::Sync => "-A",
        Told::Update => "-U",
        Told::Destroy => "-D",
    };
    let carried = Attributes::of_message(message);
    command(out, verb, &message.connection, carried, options);
}

fn command(
    out: &mut Vec<u8>,
    verb: &str,
    connection: &Connection,
    carried: Attributes,
    options: &Options<'_>,
) {
    out.text(verb);
    if let Some(secs) = carried.timeout {
        option(out, " -t ", secs);
    }
    status(out, connection);
    zone(out, connection);
    addresses(out, connection);
    protocol(out, connection, carried);
    if let Some(names) = options.labels.filter(|_| carried.labels) {
        for name in named_labels(connection.labels, names) {
            out.text(" --label-add ");
            out.word(name);
        }
    }
    out.text("\n");
}

fn option(out: &mut Vec<u8>, name: &str, n: u64) {
    out.text(name);
    out.decimal(n);
}

fn status(out: &mut Vec<u8>, connection: &Connection) {
    let set = STATUS.iter().filter(|(_, bit)| connection.status.has(*bit));
    let mut names = set.map(|(name, _)| *name);
    out.text(" -u ");
    out.text(names.next().unwrap_or("UNSET"));
    for name in names {
        out.text(",");
        out.text(name);
    }
}

fn zone(out: &mut Vec<u8>, connection: &Connection) {
    if connection.zone.id != 0 {
        let name = match connection.zone.applies {
            ZoneDirections::Both => " -w ",
            ZoneDirections::Original => " --orig-zone ",
            ZoneDirections::Reply => " --reply-zone ",
        };
        option(out, name, connection.zone.id.into());
    }
}

fn addresses(out: &mut Vec<u8>, connection: &Connection) {
    let (original, reply) = (&connection.original, &connection.reply);
    // A reply tuple that is other may have been given by hand; then nothing is translated.
    let is = |status| connection.status.has(status);
    let translated = |is_translated, yes, no| if is_translated { yes } else { no };
    let addresses = [
        (" -s ", original.src),
        (" -d ", original.dst),
        (
            translated(
                is(Status::DST_NAT) && reply.src != original.dst,
                " -g ",
                " -r ",
            ),
            reply.src,
        ),
        (
            translated(
                is(Status::SRC_NAT) && reply.dst != original.src,
                " -n ",
                " -q ",
            ),
            reply.dst,
        ),
    ];
    for (name, address) in addresses {
        out.text(name);
        out.short_address(address);
    }
}

fn protocol(out: &mut Vec<u8>, connection: &Connection, carried: Attributes) {
    let protocol = connection.original.protocol;
    out.text(" -p ");
    match super::tool_name(protocol) {
        "unknown" => out.decimal(protocol.0.into()),
        name => out.text(name),
    }
    match protocol {
        Protocol::ICMP => icmp(out, &connection.original, " --icmp-"),
        Protocol::ICMPV6 => icmp(out, &connection.original, " --icmpv6-"),
        Protocol::GRE => parts(
            out,
            connection,
            [
                " --srckey ",
                " --dstkey ",
                " --reply-key-src ",
                " --reply-key-dst ",
            ],
        ),
        _ if protocol.has_ports() => parts(
            out,
            connection,
            [
                " --sport ",
                " --dport ",
                " --reply-port-src ",
                " --reply-port-dst ",
            ],
        ),
        _ => {}
    }
    if carried.state {
        state(out, &connection.state);
    }
}

fn icmp(out: &mut Vec<u8>, tuple: &Tuple, prefix: &str) {
    let values = [
        ("type ", tuple.icmp_type().into()),
        ("code ", tuple.icmp_code().into()),
        ("id ", tuple.src_part.into()),
    ];
    for (name, value) in values {
        out.text(prefix);
        option(out, name, value);
    }
}

fn parts(out: &mut Vec<u8>, connection: &Connection, names: [&str; 4]) {
    let (original, reply) = (
        connection.tuple(Direction::Original),
        connection.tuple(Direction::Reply),
    );
    let values = [
        original.src_part,
        original.dst_part,
        reply.src_part,
        reply.dst_part,
    ];
    for (name, value) in names.into_iter().zip(values) {
        option(out, name, value.into());
    }
}

fn state(out: &mut Vec<u8>, state: &State) {
    if let Some(name) = state.name() {
        out.text(" --state ");
        out.text(name);
    }
    if let State::Sctp { tags, .. } = state {
        option(out, " --orig-vtag ", tags[0].to_be().into());
        option(out, " --reply-vtag ", tags[1].to_be().into());
    }
}
