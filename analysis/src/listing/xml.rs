//! An element of `conntrack -L -o xml`, which is one line: tags, and the text between them.
//!
//! This is no reader of XML in general, but of what conntrack(8) writes: no comments, no CDATA, the
//! attributes of a tag in any order. What it does not know it passes over.

use ip_conntrack::Protocol;

use super::Line;
use super::line::{decimal, host, port, state};
use crate::flow::{Flow, Host};

#[derive(Clone, Copy, Default)]
struct Side {
    src: Option<Host>,
    dst: Option<Host>,
    sport: u16,
    dport: u16,
    packets: Option<u64>,
    bytes: Option<u64>,
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Line {
    let has = |what: &[u8]| memchr::memmem::find(line, what).is_some();
    if !has(b"<flow") {
        let is_frame = [&b"<?xml"[..], b"<conntrack", b"</conntrack"]
            .into_iter()
            .any(has);
        return if is_frame {
            Line::Nothing
        } else {
            Line::Unreadable
        };
    }
    entry(line).map_or(Line::Unreadable, Line::Entry)
}

fn entry(line: &[u8]) -> Option<Flow> {
    let mut sides = [Side::default(); 2];
    let (mut part, mut protocol, mut closed) = (0, None, false);
    let mut rest = Flow::new(
        Host::from(std::net::IpAddr::from([0; 4])),
        Host::from(std::net::IpAddr::from([0; 4])),
        Protocol(0),
        0,
        0,
    );
    rest.replied = true;
    for piece in line.split(|byte| *byte == b'<') {
        let end = memchr::memchr(b'>', piece).unwrap_or(piece.len());
        let (tag, text) = (&piece[..end], piece.get(end + 1..).unwrap_or_default());
        let name = tag
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        match name {
            b"meta" => part = direction(tag),
            b"layer4" => protocol = attribute(tag, b"protonum").and_then(decimal).or(protocol),
            b"state" => rest.state = state(text),
            b"timeout" => rest.timeout = decimal(text),
            b"assured/" => rest.assured = true,
            b"unreplied/" => rest.replied = false,
            b"deltatime" => rest.age = decimal(text),
            b"/flow" => closed = true,
            _ => sides
                .get_mut(part)
                .into_iter()
                .for_each(|side| side.take(name, text)),
        }
    }
    let [original, reply] = sides;
    let (src, dst) = (original.src?, original.dst?);
    let pair = |of: fn(&Side) -> Option<u64>| Some([of(&original)?, of(&reply)?]);
    let is_whole = closed && reply.src.is_some() && src.ip.is_ipv6() == dst.ip.is_ipv6();
    is_whole.then_some(Flow {
        src,
        dst,
        protocol: Protocol(u8::try_from(protocol?).ok()?),
        sport: original.sport,
        dport: original.dport,
        source_translated: reply.dst.is_some_and(|asker| asker != src),
        packets: pair(|side| side.packets),
        bytes: pair(|side| side.bytes),
        ..rest
    })
}

impl Side {
    fn take(&mut self, name: &[u8], text: &[u8]) {
        match name {
            b"src" => self.src = host(text),
            b"dst" => self.dst = host(text),
            b"sport" => self.sport = port(text),
            b"dport" => self.dport = port(text),
            b"packets" => self.packets = decimal(text),
            b"bytes" => self.bytes = decimal(text),
            _ => {}
        }
    }
}

/// 0 for original, 1 for reply, 2 for what belongs to both.
fn direction(tag: &[u8]) -> usize {
    match attribute(tag, b"direction") {
        Some(b"original") => 0,
        Some(b"reply") => 1,
        _ => 2,
    }
}

/// The value of `name="value"` within a tag.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = memchr::memmem::find(tag, name)?;
    let value = tag.get(at + name.len()..)?.strip_prefix(b"=\"")?;
    Some(&value[..memchr::memchr(b'"', value)?])
}
