//! An entry out of a message: [`Entry::read`]. It allocates only for names (helper, security context).

use alloc::borrow::ToOwned;

use super::names::{entry, flag, kind, protoinfo};
use super::present::Present;
use super::read::{Attribute, Attributes, Malformed, Message};
use crate::connection::{Connection, Counters, SctpState, State, Status, TcpSide, TcpState};
use crate::event::{Cause, Changes, Event, EventKind};
use crate::parts::TupleParts;
use crate::time::Time;
use crate::tuple::{Protocol, Tuple, Zone, ZoneDirections};

/// An entry as a message tells it. What the message does not have is 0 or `None` in `connection`.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The entry. Its age is known only if it ended, see [`age`](Entry::age).
    pub connection: Connection,
    /// Which attributes the message has.
    pub present: Present,
    /// When what the message tells happened; events only, and only with `nf_conntrack_timestamp`.
    pub time: Option<Time>,
}

impl Entry {
    /// Reads the entry of a message about connections.
    ///
    /// # Errors
    ///
    /// One of the tuples is missing or incomplete.
    pub fn read(message: &Message<'_>) -> Result<Entry, Malformed> {
        Entry::from_attributes(message.attributes())
    }

    pub(super) fn from_attributes(attributes: Attributes<'_>) -> Result<Entry, Malformed> {
        let mut reading = Reading::default();
        let mut read = Entry {
            connection: blank(),
            present: Present::default(),
            time: None,
        };
        for attribute in attributes {
            read.present.add(attribute.number);
            reading.take(&attribute, &mut read);
        }
        let whole = |parts: &TupleParts, number| {
            let tuple = parts.whole();
            tuple.ok_or(Malformed::Attribute(number))
        };
        let connection = &mut read.connection;
        connection.original = whole(&reading.original, entry::TUPLE_ORIG)?;
        connection.reply = whole(&reading.reply, entry::TUPLE_REPLY)?;
        connection.zone = reading.zone();
        connection.counters = reading.counters;
        if let (Some(start), Some(stop)) = (connection.start, connection.stop) {
            connection.delta_time = Some(stop.secs_since(start));
        }
        Ok(read)
    }

    /// Tells the entry how old it is, if it knows when it began and has not ended.
    pub fn age(&mut self, now: Time) {
        let connection = &mut self.connection;
        if connection.stop.is_none() {
            connection.delta_time = connection.start.map(|start| now.secs_since(start));
        }
    }

    /// The event that a message of a multicast group is. `received` is its time if the message has none.
    ///
    /// Of what changed, it says what the message shows: state, mark, labels. Of a DESTROY, it cannot know
    /// the cause: an entry that had no time left is said to have run out.
    ///
    /// # Errors
    ///
    /// It is not about the beginning, change or end of an entry, or [`Entry::read`] refuses it.
    pub fn event(message: &Message<'_>, received: Time) -> Result<Event, Malformed> {
        let read = Entry::read(message)?;
        let cause = match read.present.has(entry::TIMEOUT) {
            true => Cause::Deleted,
            false => Cause::Expired,
        };
        let kind = match message.kind {
            kind::CT_NEW if message.flags & (flag::CREATE | flag::EXCL) != 0 => EventKind::New,
            kind::CT_NEW => EventKind::Update,
            kind::CT_DELETE => EventKind::Destroy(cause),
            other => return Err(Malformed::Kind(other)),
        };
        Ok(Event {
            kind,
            changes: changes(kind, read.present),
            time: read.time.unwrap_or(received),
            connection: read.connection,
        })
    }
}

/// What a message shows to have changed.
fn changes(kind: EventKind, present: Present) -> Changes {
    const SHOWN: [(u16, Changes); 3] = [
        (entry::PROTOINFO, Changes::PROTOINFO),
        (entry::MARK, Changes::MARK),
        (entry::LABELS, Changes::LABEL),
    ];
    let mut changes = Changes::default();
    if kind == EventKind::New {
        changes.add(Changes::NEW);
    }
    for (number, change) in SHOWN {
        if present.has(number) {
            changes.add(change);
        }
    }
    changes
}

const fn blank() -> Connection {
    Connection {
        id: 0,
        original: NO_TUPLE,
        reply: NO_TUPLE,
        zone: Zone::both(0),
        status: Status(0),
        state: State::Stateless,
        timeout: None,
        counters: None,
        mark: 0,
        secmark: 0,
        secctx: None,
        labels: 0,
        helper: None,
        start: None,
        stop: None,
        delta_time: None,
        uses: 0,
        master: None,
    }
}

const NO_TUPLE: Tuple = Tuple {
    src: core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
    dst: core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
    protocol: Protocol(0),
    src_part: 0,
    dst_part: 0,
};

/// What several attributes together say.
#[derive(Default)]
struct Reading {
    original: TupleParts,
    reply: TupleParts,
    zone: Option<u16>,
    counters: Option<[Counters; 2]>,
}

impl Reading {
    #[inline(always)]
    fn take(&mut self, attribute: &Attribute<'_>, read: &mut Entry) {
        let connection = &mut read.connection;
        match attribute.number {
            entry::TUPLE_ORIG => self.original = TupleParts::read(attribute.nest()),
            entry::TUPLE_REPLY => self.reply = TupleParts::read(attribute.nest()),
            entry::STATUS => connection.status = status(attribute).unwrap_or_default(),
            entry::PROTOINFO => connection.state = state(attribute.nest()),
            entry::HELP => connection.helper = name(attribute).map(ToOwned::to_owned),
            entry::TIMEOUT => connection.timeout = attribute.u32().map(u64::from),
            entry::MARK => connection.mark = attribute.u32().unwrap_or(0),
            entry::COUNTERS_ORIG => self.counters(0, attribute),
            entry::COUNTERS_REPLY => self.counters(1, attribute),
            entry::USE => connection.uses = attribute.u32().unwrap_or(0),
            entry::ID => connection.id = attribute.u32().unwrap_or(0),
            entry::TUPLE_MASTER => {
                connection.master = TupleParts::read(attribute.nest()).whole();
            }
            entry::ZONE => self.zone = attribute.u16(),
            entry::SECCTX => connection.secctx = name(attribute).map(ToOwned::to_owned),
            entry::TIMESTAMP => (connection.start, connection.stop) = moments(attribute.nest()),
            entry::LABELS => connection.labels = labels(attribute.value),
            entry::TIMESTAMP_EVENT => read.time = attribute.u64().map(Time::from_nanos),
            _ => {}
        }
    }

    #[inline(always)]
    fn counters(&mut self, index: usize, attribute: &Attribute<'_>) {
        let counters = &mut self.counters.get_or_insert_default()[index];
        for attribute in attribute.nest() {
            match attribute.number {
                1 => counters.packets = attribute.u64().unwrap_or(0),
                2 => counters.bytes = attribute.u64().unwrap_or(0),
                _ => {}
            }
        }
    }

    fn zone(&self) -> Zone {
        zone_of(self.zone, &self.original, &self.reply)
    }
}

/// A zone stands beside the tuples if it applies to both, else in the one that it applies to.
pub(super) fn zone_of(both: Option<u16>, original: &TupleParts, reply: &TupleParts) -> Zone {
    let (id, applies) = match (both, original.zone, reply.zone) {
        (Some(id), _, _) => (id, ZoneDirections::Both),
        (None, Some(id), _) => (id, ZoneDirections::Original),
        (None, None, Some(id)) => (id, ZoneDirections::Reply),
        (None, None, None) => return Zone::default(),
    };
    match id {
        0 => Zone::default(),
        id => Zone { id, applies },
    }
}

/// Status bits above the sixteenth do not exist.
pub(super) fn status(attribute: &Attribute<'_>) -> Option<Status> {
    Some(Status(attribute.u32()? as u16))
}

/// The first attribute of a nest, as text.
pub(super) fn name<'a>(attribute: &Attribute<'a>) -> Option<&'a str> {
    let named = attribute.nest().find(|attribute| attribute.number == 1);
    named.and_then(|name| name.text())
}

/// Up to sixteen bytes: a label is a bit of a word, words are those of this machine.
pub(super) fn labels(bytes: &[u8]) -> u128 {
    let mut words = [0; 16];
    let len = bytes.len().min(words.len());
    words[..len].copy_from_slice(&bytes[..len]);
    labels_of(words)
}

const WORD: usize = size_of::<usize>();

fn labels_of(bytes: [u8; 16]) -> u128 {
    let words = bytes.chunks_exact(WORD).enumerate();
    words.fold(0, |labels, (n, word)| {
        let mut native = [0; WORD];
        native.copy_from_slice(word);
        labels | (usize::from_ne_bytes(native) as u128) << (n * WORD * 8)
    })
}

pub(super) fn labels_bytes(labels: u128) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (n, word) in bytes.chunks_exact_mut(WORD).enumerate() {
        word.copy_from_slice(&((labels >> (n * WORD * 8)) as usize).to_ne_bytes());
    }
    bytes
}

fn moments(attributes: Attributes<'_>) -> (Option<Time>, Option<Time>) {
    let (mut start, mut stop) = (None, None);
    for attribute in attributes {
        let moment = attribute.u64().map(Time::from_nanos);
        match attribute.number {
            1 => start = moment,
            2 => stop = moment,
            _ => {}
        }
    }
    (start, stop)
}

#[inline(always)]
fn state(attributes: Attributes<'_>) -> State {
    for attribute in attributes {
        match attribute.number {
            protoinfo::TCP => return tcp(attribute.nest()),
            protoinfo::SCTP => return sctp(attribute.nest()),
            _ => {}
        }
    }
    State::Stateless
}

/// A state whose number nobody knows is `NONE`.
#[inline(always)]
fn tcp(attributes: Attributes<'_>) -> State {
    let (mut state, mut sides) = (TcpState::None, [TcpSide::default(); 2]);
    for attribute in attributes {
        let value = attribute.u8().unwrap_or(0);
        match attribute.number {
            1 => state = tcp_state(value).unwrap_or_default(),
            2 => sides[0].window_scale = value,
            3 => sides[1].window_scale = value,
            4 => sides[0].flags = value,
            5 => sides[1].flags = value,
            _ => {}
        }
    }
    State::Tcp { state, sides }
}

fn sctp(attributes: Attributes<'_>) -> State {
    let (mut state, mut tags) = (SctpState::None, [0; 2]);
    for attribute in attributes {
        match attribute.number {
            1 => state = attribute.u8().and_then(sctp_state).unwrap_or_default(),
            2 => tags[0] = attribute.u32().unwrap_or(0),
            3 => tags[1] = attribute.u32().unwrap_or(0),
            _ => {}
        }
    }
    State::Sctp { state, tags }
}

fn tcp_state(number: u8) -> Option<TcpState> {
    TcpState::ALL.get(usize::from(number)).copied()
}

fn sctp_state(number: u8) -> Option<SctpState> {
    SctpState::ALL.get(usize::from(number)).copied()
}
