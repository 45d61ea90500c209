//! Entries made by hand, as ctnetlink makes them.
//!
//! *Order.* What is there already is refused or changed; then both tuples and the time must be given; then
//! helper, status and the protocol's state are checked, and only then is anything done. A full table evicts
//! as it would for a packet; if it may evict nothing, the entry is refused.
//!
//! *What nobody saw.* A TCP connection that is made has no windows yet: the first packet of each side says
//! them. A UDP one that is answered is a stream at once. One of GRE has the times that are set now.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::{BY_HAND, Conntrack};
use crate::change::{Change, Family, Refusal};
use crate::confirm::Unconfirmed;
use crate::connection::Status;
use crate::conntrack::Handle;
use crate::event::{Cause, Changes};
use crate::hash::Probe;
use crate::proto::Proto;
use crate::table::{Extra, Master, ReplyKey};
use crate::time::Time;
use crate::tuple::{
    Addresses, Direction, Protocol, Tuple, Zone, icmp_counterpart, icmpv6_counterpart,
};
use crate::verdict::Piece;

/// The longest time that an entry can be given, in seconds: Linux counts in ticks of 4 ms.
const LONGEST: u32 = i32::MAX as u32 / 250;

/// Seconds as an entry can have them.
pub(super) fn secs(timeout: u32) -> i32 {
    timeout.min(LONGEST).cast_signed()
}

impl Conntrack {
    /// Makes an entry, or changes the one that is there, unless that is refused (`exclusive`).
    ///
    /// # Errors
    ///
    /// [`Refusal::Exists`], and those of [`create`](Conntrack::create) or [`update`](Conntrack::update).
    pub fn create_or_update(
        &mut self,
        change: &Change,
        exclusive: bool,
        now: Time,
    ) -> Result<Handle, Refusal> {
        match self.find_changed(change) {
            None => self.create(change, now),
            Some(_) if exclusive => Err(Refusal::Exists),
            Some(_) => self.update(change, now),
        }
    }

    /// Makes an entry.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Refusal::Invalid): a tuple or the time is missing, the tuples are of different protocols
    /// or families, or their ICMP type opens no connection. [`Exists`](Refusal::Exists): one of the tuples is
    /// another's. [`Busy`](Refusal::Busy): a status that no new entry has.
    /// [`NotSupported`](Refusal::NotSupported): a helper that does not exist, or translation.
    /// [`OutOfRange`](Refusal::OutOfRange): a state that does not exist. [`NotFound`](Refusal::NotFound): the
    /// master is not there. [`Full`](Refusal::Full). Nothing is changed then.
    pub fn create(&mut self, change: &Change, now: Time) -> Result<Handle, Refusal> {
        let now = self.tick(now);
        let (Some(original), Some(reply)) = (change.original, change.reply) else {
            return Err(Refusal::Invalid);
        };
        let original = as_tracked(original)?;
        let reply = as_tracked(reply)?;
        let timeout = change.timeout.ok_or(Refusal::Invalid)?;
        let unconfirmed = self.propose(&original, &reply, timeout, change, now)?;
        self.put_in(unconfirmed, now)
    }

    fn propose(
        &self,
        original: &Tuple,
        reply: &Tuple,
        timeout: u32,
        change: &Change,
        now: Time,
    ) -> Result<Unconfirmed, Refusal> {
        let is_alike =
            original.protocol == reply.protocol && Family::of(original) == Family::of(reply);
        if !is_alike {
            return Err(Refusal::Invalid);
        }
        let probe = self.probe_of(original, change.zone, Direction::Original)?;
        let mut entry = self.blank(&probe, original.protocol, now);
        entry.proto = Proto::new(original.protocol, &self.config, Time::ZERO);
        let mut extra = self.extra_of(original, reply, change.zone)?;
        if let Some(name) = &change.helper {
            let family = Family::of(original);
            let helper = crate::helper::find(name, original.protocol, family);
            let helper = helper.ok_or(Refusal::NotSupported)?;
            extra.get_or_insert_default().helper = Some(helper.name.to_string());
            entry.set(Status::HELPER);
        }
        if change.src_nat.is_some() || change.dst_nat.is_some() {
            return Err(Refusal::NotSupported);
        }
        entry.set(Status::CONFIRMED);
        if let Some(status) = change.status {
            super::update::check_status(entry.status, status)?;
            entry.set(Status(status.0 & super::update::SETTABLE.0));
        }
        if let Some(state) = &change.state {
            entry.proto.check_change(state)?;
            entry.proto.change(state);
        }
        if let Some(mark) = change.mark {
            entry.mark = mark.value;
        }
        if let Some(labels) = change.labels {
            extra.get_or_insert_default().labels = labels.value;
        }
        let mut changes = Changes::NEW;
        changes.add(BY_HAND);
        if let Some(master) = &change.master {
            extra.get_or_insert_default().master = Some(self.master_of(master, change.zone)?);
            entry.set(Status::EXPECTED);
            changes.add(Changes::RELATED);
        }
        Ok(Unconfirmed {
            entry,
            probe,
            timeout: secs(timeout),
            extra: extra.map(Box::new),
            changes,
            piece: Piece::Alone,
        })
    }

    /// The link from a new entry to the one that expected it.
    fn master_of(&self, tuple: &Tuple, zone: Zone) -> Result<Master, Refusal> {
        let (handle, _) = self.find(tuple, zone).ok_or(Refusal::NotFound)?;
        Ok(self.master(handle.slot))
    }

    pub(crate) fn master(&self, slot: u32) -> Master {
        Master {
            slot,
            id: self.table.id(slot),
            tuple: self.table.tuple(slot, Direction::Original),
        }
    }

    fn probe_of(&self, tuple: &Tuple, zone: Zone, direction: Direction) -> Result<Probe, Refusal> {
        let addresses: Addresses = tuple.addresses().ok_or(Refusal::Invalid)?;
        let parts = (tuple.src_part, tuple.dst_part);
        let id = zone.id_of(direction);
        Ok(self
            .table
            .hasher
            .probe(addresses, tuple.protocol, parts, id))
    }

    /// What an entry needs beside its key: if its reply tuple is not the mirror image, or its zone applies
    /// to one direction only.
    fn extra_of(
        &self,
        original: &Tuple,
        reply: &Tuple,
        zone: Zone,
    ) -> Result<Option<Extra>, Refusal> {
        let is_split = zone.id_of(Direction::Original) != zone.id_of(Direction::Reply);
        if !is_split && original.inverse() == Some(*reply) {
            return Ok(None);
        }
        let probe = self.probe_of(reply, zone, Direction::Reply)?;
        Ok(Some(Extra {
            reply: Some(ReplyKey {
                key: probe.key,
                flipped: probe.flipped,
            }),
            zone: is_split.then_some(zone),
            ..Extra::default()
        }))
    }

    /// As [`propose`](Conntrack::propose), of what is common to all entries only.
    pub(crate) fn propose_bare(&self, change: &Change, now: Time) -> Result<Unconfirmed, Refusal> {
        let (Some(original), Some(reply)) = (change.original, change.reply) else {
            return Err(Refusal::Invalid);
        };
        let (original, reply) = (as_tracked(original)?, as_tracked(reply)?);
        self.propose(&original, &reply, 0, change, now)
    }

    /// Puts in what nobody has yet.
    fn put_in(&mut self, unconfirmed: Unconfirmed, now: Time) -> Result<Handle, Refusal> {
        let (zone, probe) = (unconfirmed.zone(), unconfirmed.probe);
        let found = self.find_alive(now, |table| table.find_in(zone, &probe));
        if found.is_some() || self.reply_is_taken(&probe, unconfirmed.extra.as_deref()) {
            return Err(Refusal::Exists);
        }
        self.make_way()?;
        let verdict = self.insert(unconfirmed, now);
        let handle = verdict.connection.ok_or(Refusal::Full)?;
        self.stats.insert += 1;
        Ok(handle)
    }

    /// Sees that there is a place for one more.
    fn make_way(&mut self) -> Result<(), Refusal> {
        if self.is_full() {
            let victim = self.table.victim().ok_or(Refusal::Full)?;
            self.remove(victim, Cause::EarlyDrop);
        }
        Ok(())
    }

    /// Puts back an entry that has so many nanoseconds left. Nothing tells or counts that. Only another of the
    /// same original tuple and zone is in its way: with zones of one direction, whether two entries
    /// clash otherwise depends on which of them came first.
    pub(crate) fn put_back(
        &mut self,
        unconfirmed: Unconfirmed,
        left: u64,
        start: Option<Time>,
        now: Time,
    ) -> Result<Handle, Refusal> {
        let (zone, probe) = (unconfirmed.zone(), unconfirmed.probe);
        let found = self.find_alive(now, |table| table.find_in(zone, &probe));
        let is_same =
            |(slot, direction)| direction == Direction::Original && self.table.zone(slot) == zone;
        if found.is_some_and(is_same) {
            return Err(Refusal::Exists);
        }
        self.make_way()?;
        let Unconfirmed {
            mut entry,
            probe,
            extra,
            ..
        } = unconfirmed;
        let longest = u64::from(LONGEST) * 1_000_000_000;
        entry.deadline = now.plus(core::time::Duration::from_nanos(left.min(longest)));
        entry.set(Status::CONFIRMED);
        self.move_some();
        let inserted = self
            .table
            .insert(&mut entry, &probe.key, probe.hash, extra, now);
        let slot = inserted.map_err(|_| Refusal::Full)?;
        self.table.slab.set_start(slot, start);
        Ok(self.handle(slot))
    }
}

/// A tuple as packets have it: protocols without ports have none, and an ICMP type has an answer.
fn as_tracked(mut tuple: Tuple) -> Result<Tuple, Refusal> {
    let answer = match tuple.protocol {
        Protocol::ICMP => icmp_counterpart(tuple.icmp_type()),
        Protocol::ICMPV6 => icmpv6_counterpart(tuple.icmp_type()),
        protocol => {
            if !protocol.has_ports() && protocol != Protocol::GRE {
                (tuple.src_part, tuple.dst_part) = (0, 0);
            }
            Some(0)
        }
    };
    answer.map(|_| tuple).ok_or(Refusal::Invalid)
}
