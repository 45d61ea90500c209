//! The kernel's connection table over ctnetlink.
//!
//! Facts of the protocol: subsystem 1; messages 0 new, 1 get, 2 delete, 5 statistics; attribute
//! numbers as named below; all integers big-endian.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::{ACK, Attributes, DUMP, Message, Netlink, Received};
use crate::entry::{Ends, Entry};

const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const GET_STATS_CPU: u16 = SUBSYSTEM | 4;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const HELP: u16 = 5;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const COUNTERS_ORIG: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const ZONE: u16 = 18;
const LABELS: u16 = 22;

/// What a message about an entry says. Attributes that are not in it are `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Original tuple.
    pub original: Ends,
    /// Status bits.
    pub status: u32,
    /// Number of the TCP or SCTP state, if the message tells it.
    pub state: Option<u8>,
}

/// What happened to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// It was made.
    New,
    /// It changed.
    Update,
    /// It was removed.
    Destroy,
}

/// Requests to the kernel's table.
pub(crate) struct Table {
    netlink: Netlink,
}

impl Table {
    pub(crate) fn new() -> io::Result<Table> {
        Ok(Table {
            netlink: Netlink::requester()?,
        })
    }

    /// The entry that has this original tuple, if there is one that has not run out.
    pub(super) fn get(&mut self, original: Ends, zone: u16) -> io::Result<Option<Entry>> {
        let mut found = None;
        let mut message = about(GET, 0, original, zone);
        let outcome = self
            .netlink
            .request(&mut message, |answer| found = entry(answer.attributes));
        match outcome {
            Ok(()) => Ok(found.filter(|entry: &Entry| entry.original == original)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the entry, if there is one.
    pub(super) fn delete(&mut self, original: Ends, zone: u16) -> io::Result<()> {
        match self
            .netlink
            .request(&mut about(DELETE, ACK, original, zone), |_| ())
        {
            Err(error) if is_missing(&error) => Ok(()),
            outcome => outcome,
        }
    }

    /// Deletes everything.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut message = Message::new(DELETE, ACK, 0, 0);
        self.netlink.request(&mut message, |_| ())
    }

    /// Everything that has not run out.
    pub(crate) fn dump(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut message = Message::new(GET, DUMP, 0, 0);
        self.netlink.request(&mut message, |answer| {
            entries.extend(entry(answer.attributes));
        })?;
        Ok(entries)
    }

    /// Counters by attribute number, summed over all CPUs.
    pub(crate) fn stats(&mut self) -> io::Result<[u64; 16]> {
        let mut sums = [0; 16];
        let mut message = Message::new(GET_STATS_CPU, DUMP, 0, 0);
        self.netlink.request(&mut message, |answer| {
            for (kind, value) in Attributes(answer.attributes) {
                if let Some(sum) = sums.get_mut(usize::from(kind)) {
                    *sum += number(value);
                }
            }
        })?;
        Ok(sums)
    }
}

/// No such entry; or a tuple that no entry can have.
fn is_missing(error: &io::Error) -> bool {
    const ENOENT: i32 = 2;
    const EINVAL: i32 = 22;
    matches!(error.raw_os_error(), Some(ENOENT | EINVAL))
}

/// A request about the entry of an original tuple.
fn about(kind: u16, flags: u16, original: Ends, zone: u16) -> Message {
    let family = if original.src.is_ipv6() { 10 } else { 2 };
    let mut message = Message::new(kind, flags | ACK, family, 0);
    message.nest(TUPLE_ORIG, |tuple| put_tuple(tuple, original));
    if zone != 0 {
        message.attribute(ZONE, &zone.to_be_bytes());
    }
    message
}

fn put_tuple(tuple: &mut Message, ends: Ends) {
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
fn number(bytes: &[u8]) -> u64 {
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

fn entry(attributes: &[u8]) -> Option<Entry> {
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

/// What a multicast message tells.
pub(super) fn event(received: &Received<'_>) -> Option<Event> {
    const CREATES: u16 = 0x600;
    let kind = match received.kind {
        NEW if received.flags & CREATES != 0 => EventKind::New,
        NEW => EventKind::Update,
        DELETE => EventKind::Destroy,
        _ => return None,
    };
    let entry = entry(received.attributes)?;
    Some(Event {
        kind,
        original: entry.original,
        status: entry.status,
        state: entry.state,
    })
}
