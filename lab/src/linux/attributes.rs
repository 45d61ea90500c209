//! An entry in ctnetlink's attributes. All integers are big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::{Attributes, Message};
use crate::entry::{Ends, Entry};

pub(super) const TUPLE_ORIG: u16 = 1;
pub(super) const TUPLE_REPLY: u16 = 2;
pub(super) const STATUS: u16 = 3;
pub(super) const PROTOINFO: u16 = 4;
const HELP: u16 = 5;
pub(super) const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const COUNTERS_ORIG: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const USE: u16 = 11;
const ID: u16 = 12;
pub(super) const ZONE: u16 = 18;
const TIMESTAMP: u16 = 20;
const LABELS: u16 = 22;

pub(super) fn put_tuple(tuple: &mut Message, ends: Ends) {
    tuple.nest(1, |ip| match (ends.src, ends.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ip.attribute(1, &src.octets()).attribute(2, &dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ip.attribute(3, &src.octets()).attribute(4, &dst.octets());
        }
        _ => {}
    });
    tuple.nest(2, |proto| {
        proto.attribute(1, &[ends.protocol]);
        let [kind, code] = ends.dst_part.to_be_bytes();
        match ends.protocol {
            1 => proto
                .attribute(4, &ends.src_part.to_be_bytes())
                .attribute(5, &[kind])
                .attribute(6, &[code]),
            58 => proto
                .attribute(7, &ends.src_part.to_be_bytes())
                .attribute(8, &[kind])
                .attribute(9, &[code]),
            _ => proto
                .attribute(2, &ends.src_part.to_be_bytes())
                .attribute(3, &ends.dst_part.to_be_bytes()),
        };
    });
}

/// A big-endian number of any length.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn tuple(bytes: &[u8]) -> Option<Ends> {
    let (mut src, mut dst) = (None, None);
    let (mut protocol, mut src_part, mut dst_part) = (None, 0, 0);
    for (kind, value) in Attributes(bytes) {
        match kind {
            1 => {
                for (kind, value) in Attributes(value) {
                    let side = if kind & 1 == 1 { &mut src } else { &mut dst };
                    *side = address(value);
                }
            }
            2 => {
                for (kind, value) in Attributes(value) {
                    let number = number(value) as u16;
                    match kind {
                        1 => protocol = Some(number as u8),
                        2 | 4 | 7 => src_part = number,
                        3 => dst_part = number,
                        5 | 8 => dst_part |= number << 8,
                        6 | 9 => dst_part |= number,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Ends {
        src: src?,
        dst: dst?,
        protocol: protocol?,
        src_part,
        dst_part,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

pub(super) fn entry(attributes: &[u8]) -> Option<Entry> {
    let (mut original, mut reply) = (None, None);
    let mut entry = Entry {
        original: UNKNOWN,
        reply: UNKNOWN,
        status: 0,
        state: None,
        sides: [(0, 0); 2],
        timeout: 0,
        counters: [(0, 0); 2],
        mark: 0,
        zone: 0,
        labels: 0,
        helper: None,
        uses: 0,
        id: 0,
        start: None,
        stop: None,
    };
    for (kind, value) in Attributes(attributes) {
        match kind {
            TUPLE_ORIG => original = tuple(value),
            TUPLE_REPLY => reply = tuple(value),
            STATUS => entry.status = number(value) as u32,
            PROTOINFO => (entry.state, entry.sides) = protoinfo(value),
            TIMEOUT => entry.timeout = number(value),
            MARK => entry.mark = number(value) as u32,
            COUNTERS_ORIG => entry.counters[0] = counters(value),
            COUNTERS_REPLY => entry.counters[1] = counters(value),
            ZONE => entry.zone = number(value) as u16,
            LABELS => entry.labels = labels(value),
            HELP => entry.helper = helper(value),
            USE => entry.uses = number(value) as u32,
            ID => entry.id = number(value) as u32,
            TIMESTAMP => (entry.start, entry.stop) = timestamps(value),
            _ => {}
        }
    }
    entry.original = original?;
    entry.reply = reply?;
    Some(entry)
}

const UNKNOWN: Ends = Ends {
    src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    protocol: 0,
    src_part: 0,
    dst_part: 0,
};

/// Up to sixteen bytes, the lowest bits first.
fn labels(bytes: &[u8]) -> u128 {
    let low_first = bytes.iter().rev();
    low_first.fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn helper(bytes: &[u8]) -> Option<String> {
    let (_, name) = Attributes(bytes).find(|(kind, _)| *kind == 1)?;
    let name = std::str::from_utf8(name).ok()?;
    Some(name.trim_end_matches('\0').to_owned())
}

/// Nanoseconds since 1970.
fn timestamps(bytes: &[u8]) -> (Option<u64>, Option<u64>) {
    let at = |wanted| {
        let found = Attributes(bytes).find(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| number(value))
    };
    (at(1), at(2))
}

fn counters(bytes: &[u8]) -> (u64, u64) {
    let mut counters = (0, 0);
    for (kind, value) in Attributes(bytes) {
        match kind {
            1 => counters.0 = number(value),
            2 => counters.1 = number(value),
            _ => {}
        }
    }
    counters
}

/// State, and window scales with flags (TCP) or verification tags (SCTP).
fn protoinfo(bytes: &[u8]) -> (Option<u8>, [(u32, u8); 2]) {
    const TCP: u16 = 1;
    let (mut state, mut sides) = (None, [(0, 0); 2]);
    for (protocol, value) in Attributes(bytes) {
        for (kind, value) in Attributes(value) {
            let number = number(value) as u32;
            match (protocol, kind) {
                (_, 1) => state = Some(number as u8),
                (_, 2) => sides[0].0 = number,
                (_, 3) => sides[1].0 = number,
                (TCP, 4) => sides[0].1 = value.first().copied().unwrap_or(0),
                (TCP, 5) => sides[1].1 = value.first().copied().unwrap_or(0),
                _ => {}
            }
        }
    }
    (state, sides)
}
