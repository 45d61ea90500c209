//! Expectations: `/proc/net/nf_conntrack_expect`, `conntrack -L expect`, `conntrack -E expect`, and its XML.
//!
//! The tool's line is the expected tuple, the mask laid on it, the master's tuple, and what the helper said. An
//! expectation without a time to live begins with `- ` in `/proc`, and with the tuple in the tool's line.

use alloc::vec::Vec;

use super::attributes::Told;
use super::put::Put;
use super::xml::element;
use super::{line as lines, tool_has_ports, tool_name};
use crate::expectation::{ExpectFlags, Expectation};
use crate::time::Time;
use crate::tuple::{Protocol, Tuple};

/// Flags and their names, in the order in which they are written.
const FLAGS: [(&str, ExpectFlags); 3] = [
    ("PERMANENT", ExpectFlags::PERMANENT),
    ("INACTIVE", ExpectFlags::INACTIVE),
    ("USERSPACE", ExpectFlags::USERSPACE),
];

/// Appends a line of `/proc/net/nf_conntrack_expect`. `class` is the name of its class, if that has one.
pub fn nf_conntrack_expect(out: &mut Vec<u8>, expectation: &Expectation, class: Option<&str>) {
    seconds(out, expectation, "- ");
    out.field(
        "l3proto = ",
        if expectation.tuple.is_ipv6() { 10 } else { 2 },
    );
    out.field("proto=", expectation.tuple.protocol.0.into());
    lines::tuple(out, &expectation.tuple, lines::Dialect::Proc);
    flags(out, expectation);
    if let Some(helper) = &expectation.helper {
        out.word(helper);
    }
    if let Some(class) = class {
        out.text("/");
        out.word(class);
    }
    lines::end(out);
}

/// Appends a line of `/proc/net/ip_conntrack_expect`, as 2.6 kernels print it.
pub fn ip_conntrack_expect(out: &mut Vec<u8>, expectation: &Expectation) {
    seconds(out, expectation, "- ");
    out.field("proto=", expectation.tuple.protocol.0.into());
    lines::tuple(out, &expectation.tuple, lines::Dialect::Historic);
    lines::end(out);
}

/// Appends a line of `conntrack -L expect`, or of `-E expect`, which may begin with its time.
pub fn line(out: &mut Vec<u8>, told: Told, expectation: &Expectation, time: Option<Time>) {
    if let Some(time) = time {
        lines::event_time(out, time);
    }
    out.text(lines::tag(told));
    seconds(out, expectation, "");
    let Expectation {
        tuple,
        mask,
        master,
        ..
    } = expectation;
    out.field("proto=", tuple.protocol.0.into());
    ends(out, tuple, ["src=", "dst="]);
    ends(out, mask, ["mask-src=", "mask-dst="]);
    ends(out, master, ["master-src=", "master-dst="]);
    if expectation.zone.id != 0 {
        out.field("zone=", expectation.zone.id.into());
    }
    flags(out, expectation);
    out.field("class=", expectation.class.into());
    if let Some(helper) = &expectation.helper {
        out.text("helper=");
        out.word(helper);
    }
    lines::end(out);
}

fn seconds(out: &mut Vec<u8>, expectation: &Expectation, never: &str) {
    match expectation.timeout {
        Some(secs) => out.field("", secs),
        None => out.text(never),
    }
}

fn ends(out: &mut Vec<u8>, tuple: &Tuple, names: [&str; 2]) {
    for (name, address) in names.into_iter().zip([tuple.src, tuple.dst]) {
        out.text(name);
        out.short_address(address);
        out.text(" ");
    }
    lines::parts(out, tuple, lines::Dialect::Tool);
}

/// `PERMANENT,INACTIVE ` or nothing.
fn flags(out: &mut Vec<u8>, expectation: &Expectation) {
    let set = FLAGS
        .iter()
        .filter(|(_, flag)| expectation.flags.has(*flag));
    for (n, (name, _)) in set.enumerate() {
        out.text(if n == 0 { "" } else { "," });
        out.text(name);
    }
    if FLAGS.iter().any(|(_, flag)| expectation.flags.has(*flag)) {
        out.text(" ");
    }
}

/// Appends the two lines that open a document.
pub fn xml_header(out: &mut Vec<u8>) {
    out.text("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n");
}

/// Appends the line that closes a document.
pub fn xml_footer(out: &mut Vec<u8>) {
    out.text("</expect>\n");
}

/// Appends an element of `-o xml`.
pub fn xml(out: &mut Vec<u8>, told: Told, expectation: &Expectation) {
    let tuple = &expectation.tuple;
    out.text(super::xml::flow(told));
    let (number, name) = match tuple.is_ipv6() {
        true => (10, "ipv6"),
        false => (2, "ipv4"),
    };
    layer(out, "layer3", number, name);
    each(out, expectation, |out, tuple| {
        element(out, "src", |out| out.short_address(tuple.src));
        element(out, "dst", |out| out.short_address(tuple.dst));
    });
    out.text("</layer3>");
    layer(
        out,
        "layer4",
        tuple.protocol.0.into(),
        tool_name(tuple.protocol),
    );
    each(out, expectation, parts);
    out.text("</layer4>");
    meta(out, expectation);
    out.text("</flow>\n");
}

fn layer(out: &mut Vec<u8>, name: &str, number: u64, protocol: &str) {
    out.text("<");
    out.text(name);
    out.text(" protonum=\"");
    out.decimal(number);
    out.text("\" protoname=\"");
    out.text(protocol);
    out.text("\">");
}

/// One element for each of the three tuples.
fn each(out: &mut Vec<u8>, expectation: &Expectation, put: impl Fn(&mut Vec<u8>, &Tuple)) {
    let tuples = [
        ("expected", &expectation.tuple),
        ("mask", &expectation.mask),
        ("master", &expectation.master),
    ];
    for (name, tuple) in tuples {
        element(out, name, |out| put(out, tuple));
    }
}

fn parts(out: &mut Vec<u8>, tuple: &Tuple) {
    if tool_has_ports(tuple.protocol) {
        element(out, "sport", |out| out.decimal(tuple.src_part.into()));
        element(out, "dport", |out| out.decimal(tuple.dst_part.into()));
    } else if tuple.protocol == Protocol::GRE {
        for (name, key) in [("srckey", tuple.src_part), ("dstkey", tuple.dst_part)] {
            element(out, name, |out| {
                out.text("0x");
                out.hex(key);
            });
        }
    }
}

fn meta(out: &mut Vec<u8>, expectation: &Expectation) {
    element(out, "meta", |out| {
        if let Some(helper) = &expectation.helper {
            element(out, "helper-name", |out| super::xml::escaped(out, helper));
        }
        if let Some(secs) = expectation.timeout {
            element(out, "timeout", |out| out.decimal(secs));
        }
        element(out, "class", |out| out.decimal(expectation.class.into()));
    });
}
