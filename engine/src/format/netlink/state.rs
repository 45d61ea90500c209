//! Entries with everything that the tracker remembers of them, for a file that outlives the program.
//!
//! An entry is a message of its own type ([`own::STATE`](super::own::STATE)) with ctnetlink's attributes for
//! what those can say, and private ones, from 0x400 on, for the rest:
//!
//! | attribute | holds |
//! |---|---|
//! | 0x400 `LEFT` | u64: nanoseconds left to live |
//! | 0x401 `BITS` | u8: what the entry notes for itself |
//! | 0x402 `MEMORY` | the protocol's tracker as numbers (`proto/memory.rs`) |
//! | 0x403 `SECMARK` | u32 |
//! | 0x404 `HELPER_GONE` | empty: it had a helper, which was taken away |
//!
//! *Time.* What is left to live counts from the moment of saving, and begins to count again at the moment of
//! giving back: a program that was away for an hour has not let all connections run out. When an entry
//! was made is an absolute time, and stays that.
//!
//! *What is not kept*: the id, which says where an entry is in a table; whether it tells events, which
//! depends on who listens. Children come back without their masters, which may come later;
//! [`reunite`](Conntrack::reunite) brings them together at the end.
//!
//! *Hostile bytes* are refused, or are an entry that the tracker could have made itself.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::encode::{counters, master, timestamp, tuples};
use super::entries::{Entry as Told, labels_bytes};
use super::names::entry;
use super::own;
use super::read::{Attributes, Message};
use super::tuple::family_of;
use super::write::{Body, Head, Origin, netfilter};
use crate::change::{Change, Refusal};
use crate::connection::{Connection, Counters, Status};
use crate::conntrack::{Conntrack, Handle};
use crate::entry::Entry;
use crate::proto::Proto;
use crate::proto::memory::{MOST, Memory};
use crate::table::{Extra, Master};
use crate::time::Time;

const LEFT: u16 = 0x400;
const BITS: u16 = 0x401;
const MEMORY: u16 = 0x402;
const SECMARK: u16 = 0x403;
const HELPER_GONE: u16 = 0x404;

/// Of an entry's bits, those that are about itself and not about the table that it is in.
const KEPT_BITS: u8 = Entry::ACCOUNTED | Entry::UNTOLD_STATE | Entry::UNTOLD_ASSURED;

/// Status bits that the tracker gives; others stand for what it does not do.
const KEPT_STATUS: Status = Status::EXPECTED
    .with(Status::SEEN_REPLY)
    .with(Status::ASSURED)
    .with(Status::CONFIRMED)
    .with(Status::FIXED_TIMEOUT)
    .with(Status::HELPER);

impl Conntrack {
    /// Appends the entries that are in the places from `cursor` on, looking at no more than `most` places,
    /// each as a message from which [`restore`](Conntrack::restore) makes it again. Returns where to go on;
    /// `None` at the end. 0 is the beginning.
    pub fn save_from(&self, cursor: u32, most: u32, out: &mut Vec<u8>) -> Option<u32> {
        let (places, next) = self.places(cursor, most);
        for slot in places.filter(|slot| self.is_alive(*slot)) {
            self.save(slot, out);
        }
        next
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        let entry = &self.table.slab[slot];
        let connection = self.table.connection(slot, self.now);
        let head = Head {
            kind: own::STATE,
            flags: 0,
            origin: Origin::default(),
        };
        netfilter(out, head, family_of(&connection.original), 0, |body| {
            tuples(body, &connection);
            body.u32(entry::STATUS, entry.status.0.into());
            body.u32(entry::MARK, connection.mark);
            counters(body, connection.counters);
            timestamp(body, &connection);
            self.save_rare(slot, body, &connection);
            body.u64(LEFT, entry.deadline.nanos_since(self.now));
            body.u8(BITS, entry.bits & KEPT_BITS);
            body.numbers(MEMORY, entry.proto.memory(self.now).numbers());
        });
    }

    /// What only few entries have.
    fn save_rare(&self, slot: u32, body: &mut Body<'_>, connection: &Connection) {
        let Some(extra) = self.table.extra(slot) else {
            return;
        };
        master(body, connection);
        if extra.labels != 0 {
            body.raw(entry::LABELS, labels_bytes(extra.labels));
        }
        if extra.secmark != 0 {
            body.u32(SECMARK, extra.secmark);
        }
        match extra.helper.as_deref() {
            None => {}
            Some("") => body.u8(HELPER_GONE, 1),
            Some(name) => body.nest(entry::HELP, |nest| nest.text(1, name)),
        }
    }

    /// Makes an entry again that was saved, as if it had been saved `now`. No event tells it.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Refusal::Invalid): it is no saved entry, or none that there can be.
    /// [`Exists`](Refusal::Exists): another has one of its tuples.
    /// [`Full`](Refusal::Full): the table may evict nothing for it.
    pub fn restore(&mut self, message: &Message<'_>, now: Time) -> Result<Handle, Refusal> {
        if message.kind != own::STATE {
            return Err(Refusal::Invalid);
        }
        let now = self.tick(now);
        let told = Told::read(message).map_err(|_| Refusal::Invalid)?;
        let private = Private::read(message.attributes());
        let change = Change {
            original: Some(told.connection.original),
            reply: Some(told.connection.reply),
            zone: told.connection.zone,
            ..Change::default()
        };
        let protocol = told.connection.original.protocol;
        let proto = Proto::remembering(protocol, &private.memory, now).ok_or(Refusal::Invalid)?;
        let mut unconfirmed = self.propose_bare(&change, now)?;
        unconfirmed.entry.proto = proto;
        let entry = &mut unconfirmed.entry;
        entry.status = Status(told.connection.status.0 & KEPT_STATUS.0);
        entry.mark = told.connection.mark;
        entry.bits = entry.bits & !KEPT_BITS | private.bits & KEPT_BITS;
        entry.counters = told.connection.counters.unwrap_or([Counters::default(); 2]);
        give_rare(&mut unconfirmed.extra, &told.connection, &private);
        self.put_back(unconfirmed, private.left, told.connection.start, now)
    }
}

fn give_rare(extra: &mut Option<Box<Extra>>, connection: &Connection, private: &Private) {
    let helper = match private.helper_gone {
        true => Some(String::new()),
        false => connection.helper.clone(),
    };
    let has_any = helper.is_some()
        || connection.labels != 0
        || private.secmark != 0
        || connection.master.is_some();
    if has_any {
        let extra = extra.get_or_insert_default();
        extra.labels = connection.labels;
        extra.secmark = private.secmark;
        extra.helper = helper;
        extra.master = connection.master.map(Master::away);
    }
}

/// The private attributes of an entry.
#[derive(Default)]
struct Private {
    left: u64,
    bits: u8,
    memory: Memory,
    secmark: u32,
    helper_gone: bool,
}

impl Private {
    fn read(attributes: Attributes<'_>) -> Private {
        let mut private = Private::default();
        for attribute in attributes {
            match attribute.number {
                LEFT => private.left = attribute.u64().unwrap_or(0),
                BITS => private.bits = attribute.u8().unwrap_or(0),
                MEMORY => private.memory = numbers(attribute.value).unwrap_or_default(),
                SECMARK => private.secmark = attribute.u32().unwrap_or(0),
                HELPER_GONE => private.helper_gone = true,
                _ => {}
            }
        }
        private
    }
}

fn numbers(bytes: &[u8]) -> Option<Memory> {
    let mut numbers = [0; MOST];
    let len = bytes.len() / 4;
    for (number, bytes) in numbers
        .get_mut(..len)?
        .iter_mut()
        .zip(bytes.chunks_exact(4))
    {
        *number = u32::from_be_bytes(bytes.try_into().ok()?);
    }
    Memory::of(numbers.get(..len)?)
}
