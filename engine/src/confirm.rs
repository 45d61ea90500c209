//! New connections: proposed by a packet, put into the table once the packet may pass.
//!
//! *Life.* `open` asks the packet's protocol whether it may begin a connection and builds the entry
//! outside the table, as an [`Unconfirmed`]. A rule may still refuse the packet; then it is dropped
//! with the value. [`Conntrack::confirm`] inserts it.
//!
//! *Clashes.* Two packets of one connection may both be proposed before one is confirmed, also in opposite
//! directions. The second joins the first's entry where the protocol allows it, else it is dropped and
//! its repetition will find the entry. If only its reply tuple is taken, the packet is always dropped.
//!
//! *Full.* At the limit, entries that ran out are collected first, then one is evicted. That happens at
//! confirmation: a packet that is refused in between has evicted nobody.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;

use crate::config::Knob;
use crate::connection::{Counters, Status};
use crate::conntrack::{Conntrack, account, class_of};
use crate::entry::Entry;
use crate::event::{Cause, Changes, EventKind};
use crate::hash::Probe;
use crate::packet::Packet;
use crate::proto::{self, Proto, Scene, Step};
use crate::slab::NONE;
use crate::table::{Extra, ReplyKey};
use crate::time::Time;
use crate::tuple::{Direction, Protocol, Tuple, Zone, ZoneDirections, invert_parts};
use crate::verdict::{Action, Class, Piece, Reason, Verdict};

/// Entries looked at, at most, to make room in a full table by collecting what ran out.
const COLLECTED_WHEN_FULL: usize = 64;

/// A new connection before its first packet was let through. Dropping it leaves no trace.
#[derive(Debug)]
pub struct Unconfirmed {
    pub(crate) entry: Entry,
    pub(crate) probe: Probe,
    pub(crate) timeout: i32,
    /// What only few have, so that the others need not carry it about.
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) changes: Changes,
    /// How far the verdict goes.
    pub(crate) piece: Piece,
}

impl Unconfirmed {
    pub(crate) fn zone(&self) -> Zone {
        zone_of(&self.probe, self.extra.as_deref())
    }

    /// Sets the connection's mark.
    pub fn set_mark(&mut self, mark: u32) {
        self.entry.mark = mark;
        self.changes.add(Changes::MARK);
    }

    /// Sets the connection's 128 labels.
    pub fn set_labels(&mut self, labels: u128) {
        self.extra.get_or_insert_default().labels = labels;
        self.changes.add(Changes::LABEL);
    }

    /// Notes that a rule gave the connection a helper. The name is kept and shown, and the status
    /// says [`HELPER`](Status::HELPER), as in Linux; nothing reads the connection's data for it yet.
    pub fn set_helper(&mut self, name: &str) {
        self.extra.get_or_insert_default().helper = Some(name.to_owned());
        self.entry.set(Status::HELPER);
        self.changes.add(Changes::HELPER);
    }

    /// The connection's protocol.
    pub const fn protocol(&self) -> Protocol {
        self.probe.key.protocol()
    }
}

/// The zone of a new connection.
fn zone_of(probe: &Probe, extra: Option<&Extra>) -> Zone {
    let zone = extra.and_then(|extra| extra.zone);
    zone.unwrap_or_else(|| Zone::both(probe.key.zone()))
}

impl Conntrack {
    /// Proposes a connection for a packet that belongs to none.
    pub(crate) fn open(
        &mut self,
        zone: Zone,
        packet: &Packet<'_>,
        probe: &Probe,
        now: Time,
    ) -> Result<Unconfirmed, Reason> {
        let mut entry = self.blank(probe, packet.protocol, now);
        let (timeout, changes) = self.begin_entry(&mut entry, packet, now)?;
        let mut unconfirmed = Unconfirmed {
            entry,
            probe: *probe,
            timeout,
            extra: self.split_zone(zone, packet)?,
            changes,
            piece: Piece::Alone,
        };
        if !self.expects.is_empty() {
            let tuple = Tuple::from_parts(packet.addresses(), packet.protocol, packet.parts()?);
            self.fulfil(&tuple, zone, &mut unconfirmed);
        }
        Ok(unconfirmed)
    }

    /// Proposes a connection and confirms it: most entries are not carried about in between.
    pub(crate) fn open_at_once(
        &mut self,
        zone: Zone,
        packet: &Packet<'_>,
        probe: &Probe,
        now: Time,
    ) -> Verdict {
        if zone.applies != ZoneDirections::Both || !self.expects.is_empty() {
            return match self.open(zone, packet, probe, now) {
                Ok(unconfirmed) => self.confirm_at_once(unconfirmed, now),
                Err(reason) => self.refuse(reason),
            };
        }
        let mut entry = self.blank(probe, packet.protocol, now);
        match self.begin_entry(&mut entry, packet, now) {
            Ok((timeout, changes)) => {
                self.confirm_entry(&mut entry, probe, timeout, changes, None, now)
            }
            Err(reason) => self.refuse(reason),
        }
    }

    /// What the first packet makes of a blank entry: how many seconds it will live, and what is to be
    /// told of it.
    #[inline(always)]
    fn begin_entry(
        &mut self,
        entry: &mut Entry,
        packet: &Packet<'_>,
        now: Time,
    ) -> Result<(i32, Changes), Reason> {
        let mut changes = Changes::NEW;
        let scene = Scene {
            packet,
            direction: Direction::Original,
            opens: true,
            config: &self.config,
            now,
        };
        let timeout = match proto::track(entry, packet.protocol, &scene, &mut changes) {
            Step::Refresh(secs) => secs,
            Step::Invalid(reason) | Step::Shorten(_, reason) => return Err(reason),
            Step::Keep(_) | Step::Delete | Step::Reopen => 0,
        };
        account(entry, Direction::Original, packet);
        if let Some(reason) = self.admission.refuses(packet) {
            return Err(reason);
        }
        if !self.table.has_victim() && self.is_full() {
            return Err(Reason::TableFull);
        }
        Ok((timeout, changes))
    }

    #[inline(always)]
    pub(crate) fn blank(&self, probe: &Probe, protocol: Protocol, now: Time) -> Entry {
        let mut bits = 0;
        if probe.flipped {
            bits |= Entry::FLIPPED;
        }
        if self.config.flag(Knob::Acct) {
            bits |= Entry::ACCOUNTED;
        }
        let listens = self.event_capacity > 0;
        match self.config.get(Knob::Events) {
            0 => {}
            1 => bits |= Entry::EVENTS,
            _ if listens => bits |= Entry::EVENTS,
            _ => {}
        }
        Entry {
            ends: probe.key.ends,
            parts: probe.key.parts,
            deadline: now,
            status: Status::default(),
            bits,
            timer: 0,
            mark: 0,
            counters: [Counters::default(); 2],
            proto: Proto::new(protocol, &self.config, now),
            prev: NONE,
            next: NONE,
        }
    }

    /// What an entry needs beside its key if its zone applies to one direction only.
    fn split_zone(&self, zone: Zone, packet: &Packet<'_>) -> Result<Option<Box<Extra>>, Reason> {
        let reply_id = zone.id_of(Direction::Reply);
        if reply_id == zone.id_of(Direction::Original) {
            return Ok(None);
        }
        let (src, dst) = packet.parts()?;
        let Some(parts) = invert_parts(packet.protocol, src, dst) else {
            return Ok(None);
        };
        let addresses = packet.addresses().exchanged();
        let hasher = &self.table.hasher;
        let probe = hasher.probe(addresses, packet.protocol, parts, reply_id);
        Ok(Some(Box::new(Extra {
            reply: Some(ReplyKey {
                key: probe.key,
                flipped: probe.flipped,
            }),
            zone: Some(zone),
            ..Extra::default()
        })))
    }

    /// Whether one more entry would be too many. Before that is said, some that ran out are collected.
    pub(crate) fn is_full(&mut self) -> bool {
        if self.has_place() {
            return false;
        }
        let before = self.table.len();
        self.collect(COLLECTED_WHEN_FULL);
        self.table.len() == before || !self.has_place()
    }

    fn has_place(&mut self) -> bool {
        let table = &self.table;
        self.share.has_place(table.len(), || table.has_victim())
    }

    /// The second phase: puts a new connection into the table.
    ///
    /// Between the two phases another packet of the same connection may have been confirmed. Where
    /// the protocol allows it, this packet then joins that connection; else it is dropped, and its
    /// repetition will find the other.
    pub fn confirm(&mut self, unconfirmed: Unconfirmed, now: Time) -> Verdict {
        let now = self.tick(now);
        let (zone, probe) = (unconfirmed.zone(), unconfirmed.probe);
        if let Some((slot, _)) = self.find_alive(now, |table| table.find_in(zone, &probe)) {
            let piece = unconfirmed.piece;
            return Verdict {
                piece,
                ..self.clash(slot, &unconfirmed)
            };
        }
        self.confirm_at_once(unconfirmed, now)
    }

    /// Puts in a connection of whose tuple it was just seen that no other has it.
    pub(crate) fn confirm_at_once(&mut self, unconfirmed: Unconfirmed, now: Time) -> Verdict {
        let Unconfirmed {
            mut entry,
            probe,
            timeout,
            extra,
            changes,
            piece,
        } = unconfirmed;
        Verdict {
            piece,
            ..self.confirm_entry(&mut entry, &probe, timeout, changes, extra, now)
        }
    }

    #[inline(always)]
    fn confirm_entry(
        &mut self,
        entry: &mut Entry,
        probe: &Probe,
        timeout: i32,
        changes: Changes,
        extra: Option<Box<Extra>>,
        now: Time,
    ) -> Verdict {
        if self.reply_is_taken(probe, extra.as_deref()) {
            return self.refuse(Reason::Clash);
        }
        if self.is_full() {
            let Some(victim) = self.table.victim() else {
                return self.refuse(Reason::TableFull);
            };
            self.remove(victim, Cause::EarlyDrop);
        }
        self.insert_entry(entry, probe, timeout, changes, extra, now)
    }

    /// Puts in a connection for which there is room, and which no other is in the way of.
    pub(crate) fn insert(&mut self, unconfirmed: Unconfirmed, now: Time) -> Verdict {
        let Unconfirmed {
            mut entry,
            probe,
            timeout,
            extra,
            changes,
            ..
        } = unconfirmed;
        self.insert_entry(&mut entry, &probe, timeout, changes, extra, now)
    }

    #[inline(always)]
    fn insert_entry(
        &mut self,
        entry: &mut Entry,
        probe: &Probe,
        timeout: i32,
        changes: Changes,
        extra: Option<Box<Extra>>,
        now: Time,
    ) -> Verdict {
        entry.deadline = now.plus_timeout(timeout);
        entry.set(Status::CONFIRMED);
        let class = class_of(entry.status, Direction::Original);
        let mut verdict = Verdict::new(Action::Accept, class, Direction::Original);
        if changes.has(Changes::PROTOINFO) {
            verdict.state = entry.proto.progress();
        }
        self.move_some();
        let Ok(slot) = self.table.insert(entry, &probe.key, probe.hash, extra, now) else {
            return self.refuse(Reason::ChainTooLong);
        };
        let start = self.config.flag(Knob::Timestamp).then_some(now);
        self.table.slab.set_start(slot, start);
        self.stats.confirmed += 1;
        self.note_entered(slot);
        if self.table.slab[slot].has(Entry::EXTRA) {
            self.join_family(slot);
        }
        verdict.connection = Some(self.handle(slot));
        self.emit(EventKind::New, changes, slot);
        verdict
    }

    /// Whether the answers to a new connection would be taken for those of another. That takes a
    /// connection whose reply tuple is not the mirror image of its original one.
    #[inline(always)]
    pub(crate) fn reply_is_taken(&mut self, probe: &Probe, extra: Option<&Extra>) -> bool {
        if extra.is_none() && !self.table.has_extras() {
            return false;
        }
        let inverse = match extra.and_then(|extra| extra.reply) {
            Some(reply) => Probe {
                key: reply.key,
                hash: self.table.hash_of(reply.key),
                flipped: reply.flipped,
                mirrored: false,
            },
            None if self.table.has_extras() => Probe {
                flipped: !probe.flipped,
                ..*probe
            },
            None => return false,
        };
        let zone = zone_of(probe, extra);
        let found = self.find_alive(self.now, |table| table.find_in(zone, &inverse));
        found.is_some()
    }

    /// Another packet of the connection was confirmed first: in the same direction, or in the other one
    /// if both hosts began at once (zones of one direction make no difference to that). What the loser
    /// counted as original is added as that.
    fn clash(&mut self, slot: u32, loser: &Unconfirmed) -> Verdict {
        if !proto::allows_clash(loser.protocol()) {
            return self.refuse(Reason::Clash);
        }
        self.stats.clash_resolve += 1;
        let entry = &mut self.table.slab[slot];
        for (sum, more) in entry.counters.iter_mut().zip(&loser.entry.counters) {
            sum.packets += more.packets;
            sum.bytes += more.bytes;
        }
        let mut verdict = Verdict::new(Action::Accept, Class::New, Direction::Original);
        verdict.connection = Some(self.handle(slot));
        verdict
    }
}
