//! The kernel's connection table over ctnetlink.
//!
//! Facts of the protocol: subsystem 1; messages 0 new, 1 get, 2 delete, 5 statistics; attribute
//! numbers in `attributes.rs`.

use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::attributes::{
    PROTOINFO, STATUS, TIMEOUT, TUPLE_ORIG, TUPLE_REPLY, ZONE, entry, number, put_tuple,
};
use super::netlink::{ACK, Attributes, DUMP, Message, Netlink, Received};
use crate::entry::{Ends, Entry};

const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const GET_STATS_CPU: u16 = SUBSYSTEM | 4;

/// What a message about an entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The entry, as far as it is told: the timer, labels and what else did not change may be missing.
    pub entry: Entry,
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

impl EventKind {
    /// Its name in scripts.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::New => "new",
            EventKind::Update => "update",
            EventKind::Destroy => "destroy",
        }
    }
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
            // Who asks for one entry holds it.
            Ok(()) => Ok(found
                .filter(|entry: &Entry| entry.original == original)
                .map(|entry| Entry {
                    uses: entry.uses - 1,
                    ..entry
                })),
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

    /// Makes established TCP connections from these addresses, as fast as the kernel takes them.
    pub(crate) fn fill(&mut self, sources: Range<u32>) -> io::Result<()> {
        self.make(sources.map(|source| established(Ipv4Addr::from_bits(source))))
    }

    /// Makes half-open connections from addresses of everywhere, each number's another.
    pub(crate) fn flood(&mut self, numbers: Range<u32>) -> io::Result<()> {
        /// Odd, so no two numbers have the same product (Knuth's multiplicative hash).
        const SCATTER: u32 = 2_654_435_761;
        let scattered = numbers.map(|number| Ipv4Addr::from_bits(number.wrapping_mul(SCATTER)));
        self.make(scattered.map(half_open))
    }

    fn make(&mut self, messages: impl Iterator<Item = Message>) -> io::Result<()> {
        let mut messages = messages.peekable();
        while messages.peek().is_some() {
            let mut batch: Vec<Message> = messages.by_ref().take(BATCH).collect();
            self.netlink.send(&mut batch)?;
        }
        Ok(())
    }

    /// Makes connections from these addresses and deletes them again.
    pub(crate) fn come_and_go(&mut self, sources: Range<u32>) -> io::Result<()> {
        self.fill(sources.clone())?;
        let mut addresses = sources.map(Ipv4Addr::from_bits).peekable();
        while addresses.peek().is_some() {
            let mut messages: Vec<Message> = addresses.by_ref().take(BATCH).map(ended).collect();
            self.netlink.send(&mut messages)?;
        }
        Ok(())
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

    /// Receives everything and tells of each entry only that it came.
    pub(crate) fn discard(&mut self, mut each: impl FnMut()) -> io::Result<()> {
        let mut message = Message::new(GET, DUMP, 0, 0);
        self.netlink.request(&mut message, |_| each())
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

/// Messages that are sent in one piece; the socket's buffer takes several pieces.
const BATCH: usize = 256;

/// The original tuple of a connection from this address.
fn from(src: Ipv4Addr) -> Ends {
    Ends {
        src: src.into(),
        dst: Ipv4Addr::new(192, 0, 2, 1).into(),
        protocol: 6,
        src_part: 40_000,
        dst_part: 443,
    }
}

/// A request to delete it. Only an error is answered.
fn ended(src: Ipv4Addr) -> Message {
    let mut message = Message::new(DELETE, 0, 2, 0);
    message.nest(TUPLE_ORIG, |tuple| put_tuple(tuple, from(src)));
    message
}

/// A request for an established connection that lasts for hours. Only an error is answered.
fn established(src: Ipv4Addr) -> Message {
    const ANSWERED_AND_ASSURED: u32 = 0x2 | 0x4 | 0x8;
    const ESTABLISHED: u8 = 3;
    made(src, ANSWERED_AND_ASSURED, ESTABLISHED)
}

/// A request for a connection whose opener never answered, that lasts as long.
fn half_open(src: Ipv4Addr) -> Message {
    const ANSWERED: u32 = 0x2 | 0x8;
    const SYN_RECV: u8 = 2;
    made(src, ANSWERED, SYN_RECV)
}

fn made(src: Ipv4Addr, status: u32, state: u8) -> Message {
    const CREATE: u16 = 0x400;
    let original = from(src);
    let reply = Ends {
        src: original.dst,
        dst: original.src,
        src_part: original.dst_part,
        dst_part: original.src_part,
        ..original
    };
    let mut message = Message::new(NEW, CREATE, 2, 0);
    message.nest(TUPLE_ORIG, |tuple| put_tuple(tuple, original));
    message.nest(TUPLE_REPLY, |tuple| put_tuple(tuple, reply));
    message.attribute(STATUS, &status.to_be_bytes());
    message.attribute(TIMEOUT, &20_000u32.to_be_bytes());
    message.nest(PROTOINFO, |info| {
        info.nest(1, |tcp| {
            tcp.attribute(1, &[state]);
        });
    });
    message
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
    Some(Event { kind, entry })
}
