//! The tracker: the way of a packet, from its bytes to a verdict.
//!
//! *The way.* IP checksum; fragments wait until their datagram is whole (`defrag.rs`); ICMP errors go
//! to the connection that they are about; everything else is looked up. A packet of a known
//! connection goes through its protocol's tracker, which says what follows ([`Step`]). One of none
//! opens a connection, if its protocol lets it.
//!
//! *Two phases.* [`begin`](Conntrack::begin) does all that, but a new connection it only proposes, as
//! an owned [`Unconfirmed`]: a rule may still refuse the packet, and then nothing was inserted.
//! [`confirm`](Conntrack::confirm) inserts it. [`track`](Conntrack::track) is the two together.
//!
//! *Time* only moves forward. [`advance`](Conntrack::advance) collects what ran out, a bounded number
//! of entries at a time; an entry that ran out and is not collected yet is nowhere to be seen.
//!
//! *The limit* is exact: `nf_conntrack_max` entries fit. For one more, an entry that is not ASSURED
//! has to go; if there is none, the packet is dropped.
//!
//! This file names no header bit and no protocol state.

use alloc::collections::VecDeque;

use crate::config::{Config, Knob};
use crate::connection::{Counters, Status};
use crate::defrag::{self, Datagram, Defrag};
use crate::entry::Entry;
use crate::event::{Cause, Changes, Event, EventKind};
use crate::hash::{Hasher, Probe};
use crate::packet::{Packet, Segment, checksum, ip};
use crate::proto::icmp::{self, Message, Quote};
use crate::proto::{self, Proto, Scene, Step};
use crate::slab::NONE;
use crate::stats::Stats;
use crate::table::{Extra, ReplyKey, Table};
use crate::time::Time;
use crate::tuple::{Addresses, Direction, Protocol, Zone, invert_parts};
use crate::verdict::{Action, Class, Reason, Verdict};

/// Entries that one call of [`Conntrack::advance`] looks at, at most.
const EXPIRED_AT_ONCE: usize = 4096;

/// Unfinished datagrams that one call throws away, at most.
const QUEUES_AT_ONCE: usize = 256;
/// Entries looked at, at most, to make room in a full table by collecting what ran out.
const COLLECTED_WHEN_FULL: usize = 64;

/// Names an entry of a table for as long as that lives. (One of the same tuple that follows it in the
/// same place has the same name.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle {
    pub(crate) slot: u32,
    /// The key, in short: another connection in the same place has another one.
    pub(crate) check: u32,
}

/// A connection tracker.
#[derive(Debug)]
pub struct Conntrack {
    pub(crate) config: Config,
    pub(crate) table: Table,
    pub(crate) stats: Stats,
    pub(crate) now: Time,
    pub(crate) events: VecDeque<Event>,
    pub(crate) event_capacity: usize,
    defrag: Defrag,
}

/// What [`Conntrack::begin`] finds.
// A box would be an allocation for every new connection.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Begin {
    /// The packet is dealt with.
    Done(Verdict),
    /// The packet opens a connection, which is not in the table yet.
    New(Unconfirmed),
}

/// A new connection before its first packet was let through. Dropping it leaves no trace.
#[derive(Debug)]
pub struct Unconfirmed {
    entry: Entry,
    probe: Probe,
    timeout: i64,
    extra: Option<Extra>,
    changes: Changes,
}

impl Unconfirmed {
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
}

impl Conntrack {
    /// An empty table. `seed` keys its hash: take it from the operating system's random numbers, so
    /// that nobody can choose packets that collide; or fix it, so that the same packets give the
    /// same ids.
    pub fn new(config: Config, seed: u128) -> Conntrack {
        let table = Table::new(Hasher::new(seed), limit(&config), places(&config));
        Conntrack {
            config,
            table,
            stats: Stats::default(),
            now: Time::ZERO,
            events: VecDeque::new(),
            event_capacity: 0,
            defrag: Defrag::default(),
        }
    }

    /// Tells the time, and collects entries and fragments that ran out. Returns whether all that are
    /// due were looked at; if not, call again: each call does a bounded amount of work.
    pub fn advance(&mut self, now: Time) -> bool {
        self.now = self.now.max(now);
        let now = self.now;
        let no_more_fragments = self.defrag.advance(now, QUEUES_AT_ONCE);
        self.stats.fragments_expired += self.defrag.take_expired();
        self.move_some();
        self.collect(EXPIRED_AT_ONCE) && no_more_fragments
    }

    /// Removes entries that ran out, looking at no more than `budget`. Returns whether that was enough.
    fn collect(&mut self, mut budget: usize) -> bool {
        while let Some(slot) = self.table.next_expired(self.now, &mut budget) {
            self.remove(slot, Cause::Expired);
        }
        budget > 0
    }

    /// A step of the move to an index of another size.
    fn move_some(&mut self) {
        self.table.move_some();
        while let Some(slot) = self.table.homeless() {
            self.stats.count(Reason::ChainTooLong);
            self.remove(slot, Cause::EarlyDrop);
        }
    }

    /// When [`advance`](Conntrack::advance) should be called next; calling it earlier or more often
    /// is harmless.
    pub fn next_deadline(&self) -> Option<Time> {
        let due = [self.table.next_due(), self.defrag.next_deadline()];
        due.into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time) -> Time {
        if now < self.now {
            self.stats.clock_backwards += 1;
        } else {
            self.now = now;
        }
        self.now
    }

    /// Tracks a packet in the default zone.
    pub fn track(&mut self, packet: &Packet<'_>, now: Time) -> Verdict {
        self.track_in(Zone::default(), packet, now)
    }

    /// Tracks a packet in a zone.
    pub fn track_in(&mut self, zone: Zone, packet: &Packet<'_>, now: Time) -> Verdict {
        match self.begin(zone, packet, now) {
            Begin::Done(verdict) => verdict,
            Begin::New(unconfirmed) => self.confirm(unconfirmed, self.now),
        }
    }

    /// Counts a frame in which [`Packet::parse`] found nothing to track.
    pub fn skip(&mut self, reason: Reason) -> Verdict {
        self.stats.packets += 1;
        self.refuse(reason)
    }

    /// Counts a packet that a rule exempts from tracking.
    pub fn notrack(&mut self) -> Verdict {
        self.stats.packets += 1;
        self.stats.untracked += 1;
        Verdict::new(Action::Accept, Class::Untracked, Direction::Original)
    }

    /// The first phase: everything but the insertion of a new connection.
    pub fn begin(&mut self, zone: Zone, packet: &Packet<'_>, now: Time) -> Begin {
        self.stats.packets += 1;
        let now = self.tick(now);
        let is_v4 = matches!(packet.addresses, Addresses::V4 { .. });
        if is_v4 && self.config.flag(Knob::Checksum) && !checksum::is_right(packet.ip_header()) {
            return Begin::Done(self.refuse(Reason::IpChecksum));
        }
        let Some(fragment) = packet.fragment else {
            return self.classify(zone, packet, now);
        };
        let zone_id = zone.id_of(Direction::Original);
        match self
            .defrag
            .push(packet, fragment, zone_id, &self.config, now)
        {
            defrag::Outcome::Whole(datagram) => {
                self.stats.reassembled += 1;
                let Datagram { bytes, len } = &datagram;
                self.begin_defragmented(zone, Segment { bytes, len: *len }, now)
            }
            defrag::Outcome::Stray => self.begin_defragmented(zone, packet.ip, now),
            defrag::Outcome::Refused(reason) => Begin::Done(self.refuse(reason)),
            defrag::Outcome::Held => {
                self.stats.fragments_held += 1;
                let held = Verdict::new(Action::Hold, Class::Invalid, Direction::Original);
                Begin::Done(held)
            }
        }
    }

    /// Goes on with a packet in which a fragment header means nothing any more.
    fn begin_defragmented(&mut self, zone: Zone, datagram: Segment<'_>, now: Time) -> Begin {
        match ip::parse_reassembled(datagram) {
            Ok(packet) => self.classify(zone, &packet, now),
            Err(reason) => Begin::Done(self.refuse(reason)),
        }
    }

    fn classify(&mut self, zone: Zone, packet: &Packet<'_>, now: Time) -> Begin {
        if let Some(reason) = packet.unusable {
            return Begin::Done(self.refuse(reason));
        }
        if packet.protocol.is_icmp() {
            match icmp::examine(packet, &self.config) {
                Ok(Message::Query) => {}
                Ok(Message::Untracked) => {
                    self.stats.untracked += 1;
                    let passed =
                        Verdict::new(Action::Accept, Class::Untracked, Direction::Original);
                    return Begin::Done(passed);
                }
                Ok(Message::Error(quote)) => {
                    return Begin::Done(self.relate(zone, packet, &quote, now));
                }
                Err(reason) => return Begin::Done(self.refuse(reason)),
            }
        }
        let parts = match packet.parts() {
            Ok(parts) => parts,
            Err(reason) => return Begin::Done(self.refuse(reason)),
        };
        let found = self.look_up(packet.addresses, packet.protocol, parts, zone, now);
        if let Some((slot, direction)) = found
            && let Some(verdict) = self.follow(slot, direction, packet, now)
        {
            return Begin::Done(verdict);
        }
        match self.open(zone, packet, parts, now) {
            Ok(unconfirmed) => Begin::New(unconfirmed),
            Err(reason) => Begin::Done(self.refuse(reason)),
        }
    }

    fn refuse(&mut self, reason: Reason) -> Verdict {
        self.stats.count(reason);
        Verdict::refused(reason)
    }

    /// The live entry that a tuple belongs to, looked for under the zone's number for each direction.
    fn look_up(
        &mut self,
        addresses: Addresses,
        protocol: Protocol,
        parts: (u16, u16),
        zone: Zone,
        now: Time,
    ) -> Option<(u32, Direction)> {
        let id = zone.id_of(Direction::Original);
        let reply_id = zone.id_of(Direction::Reply);
        let ids = [Some(id), (reply_id != id).then_some(reply_id)];
        for id in ids.into_iter().flatten() {
            let probe = self.table.hasher.probe(addresses, protocol, parts, id);
            let Some((slot, direction)) = self.table.find(&probe) else {
                continue;
            };
            if self.table.slab[slot].deadline <= now {
                self.remove(slot, Cause::Expired);
            } else if reply_id == id
                || self.table.zone(slot).id_of(direction) == zone.id_of(direction)
            {
                return Some((slot, direction));
            }
        }
        None
    }

    /// An ICMP error: it belongs to the connection of the packet that it quotes, if it goes to the
    /// host that sent that packet.
    fn relate(&mut self, zone: Zone, packet: &Packet<'_>, quote: &Quote, now: Time) -> Verdict {
        let found = self.look_up(quote.addresses, quote.protocol, quote.parts, zone, now);
        let Some((slot, direction)) = found else {
            return self.refuse(Reason::IcmpUnrelated);
        };
        if !packet.goes_to(self.table.tuple(slot, direction).dst) {
            return self.refuse(Reason::IcmpAddress);
        }
        let mut verdict = Verdict::new(Action::Accept, Class::Related, direction);
        verdict.connection = Some(self.handle(slot));
        let untold = self.table.slab[slot].take_untold();
        self.tell(slot, untold, &mut verdict);
        verdict
    }

    /// A packet of a known connection. `None` if the connection made room for a new one.
    fn follow(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        now: Time,
    ) -> Option<Verdict> {
        let mut changes = Changes::default();
        let scene = Scene {
            packet,
            direction,
            opens: false,
            config: &self.config,
            now,
        };
        let entry = &mut self.table.slab[slot];
        let class = class_of(entry.status, direction);
        let mut verdict = Verdict::new(Action::Accept, class, direction);
        match proto::track(entry, packet.protocol, &scene, &mut changes) {
            Step::Refresh(secs) => {
                account(entry, direction, packet);
                self.set_timeout(slot, secs);
            }
            Step::Keep(reason) => {
                verdict.reason = reason;
                if let Some(reason) = reason {
                    self.stats.count(reason);
                }
            }
            Step::Invalid(reason) => {
                if !changes.is_empty() {
                    entry.put_off(changes);
                    self.table.classify(slot);
                }
                return Some(self.refuse(reason));
            }
            Step::Shorten(secs, reason) => {
                self.set_timeout(slot, secs);
                return Some(self.refuse(reason));
            }
            Step::Delete => {
                account(entry, direction, packet);
                self.remove(slot, Cause::Refused);
                return Some(verdict);
            }
            Step::Reopen => {
                self.remove(slot, Cause::Reopened);
                return None;
            }
        }
        verdict.connection = Some(self.handle(slot));
        self.settle(slot, direction, changes, &mut verdict);
        Some(verdict)
    }

    /// What follows from an accepted packet beside its protocol's own business.
    fn settle(&mut self, slot: u32, direction: Direction, changes: Changes, verdict: &mut Verdict) {
        let entry = &mut self.table.slab[slot];
        let mut changes = changes;
        changes.add(entry.take_untold());
        if direction == Direction::Reply && !entry.is_replied() {
            entry.set(Status::SEEN_REPLY);
            changes.add(Changes::REPLY);
        }
        if !changes.is_empty() {
            self.table.classify(slot);
            self.tell(slot, changes, verdict);
        }
    }

    /// Tells what a packet changed, in its verdict and as an event.
    fn tell(&mut self, slot: u32, changes: Changes, verdict: &mut Verdict) {
        if changes.is_empty() {
            return;
        }
        if changes.has(Changes::PROTOINFO) {
            verdict.state = self.table.slab[slot].proto.state().name();
        }
        self.emit(EventKind::Update, changes, slot);
    }

    fn set_timeout(&mut self, slot: u32, secs: i64) {
        let now = self.now;
        let entry = &mut self.table.slab[slot];
        if !entry.status.has(Status::FIXED_TIMEOUT) {
            entry.deadline = now.plus_secs(secs);
            self.table.rearm(slot);
        }
    }

    /// Proposes a connection for a packet that belongs to none.
    fn open(
        &mut self,
        zone: Zone,
        packet: &Packet<'_>,
        parts: (u16, u16),
        now: Time,
    ) -> Result<Unconfirmed, Reason> {
        let Packet {
            addresses,
            protocol,
            ..
        } = *packet;
        let id = zone.id_of(Direction::Original);
        let probe = self.table.hasher.probe(addresses, protocol, parts, id);
        let mut entry = self.blank(&probe, protocol, now);
        let mut changes = Changes::NEW;
        let scene = Scene {
            packet,
            direction: Direction::Original,
            opens: true,
            config: &self.config,
            now,
        };
        let timeout = match proto::track(&mut entry, protocol, &scene, &mut changes) {
            Step::Refresh(secs) => secs,
            Step::Invalid(reason) | Step::Shorten(_, reason) => return Err(reason),
            Step::Keep(_) | Step::Delete | Step::Reopen => 0,
        };
        account(&mut entry, Direction::Original, packet);
        if self.is_full() && !self.table.has_victim() {
            return Err(Reason::TableFull);
        }
        Ok(Unconfirmed {
            entry,
            probe,
            timeout,
            extra: self.split_zone(zone, packet, parts),
            changes,
        })
    }

    fn blank(&self, probe: &Probe, protocol: Protocol, now: Time) -> Entry {
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
    fn split_zone(&self, zone: Zone, packet: &Packet<'_>, parts: (u16, u16)) -> Option<Extra> {
        let reply_id = zone.id_of(Direction::Reply);
        if reply_id == zone.id_of(Direction::Original) {
            return None;
        }
        let parts = invert_parts(packet.protocol, parts.0, parts.1)?;
        let addresses = packet.addresses.exchanged();
        let hasher = &self.table.hasher;
        let probe = hasher.probe(addresses, packet.protocol, parts, reply_id);
        Some(Extra {
            reply: Some(ReplyKey {
                key: probe.key,
                flipped: probe.flipped,
            }),
            zone: Some(zone),
            ..Extra::default()
        })
    }

    /// Whether one more entry would be too many. Before that is said, some that ran out are collected.
    fn is_full(&mut self) -> bool {
        let max = limit(&self.config);
        if max == 0 || self.table.len() < max {
            return false;
        }
        self.collect(COLLECTED_WHEN_FULL);
        self.table.len() >= max
    }

    /// The second phase: puts a new connection into the table.
    ///
    /// Between the two phases another packet of the same connection may have been confirmed. Where
    /// the protocol allows it, this packet then joins that connection; else it is dropped, and its
    /// repetition will find the other.
    pub fn confirm(&mut self, unconfirmed: Unconfirmed, now: Time) -> Verdict {
        let now = self.tick(now);
        if let Some((slot, direction)) = self.table.find(&unconfirmed.probe) {
            if self.table.slab[slot].deadline <= now {
                self.remove(slot, Cause::Expired);
            } else {
                return self.clash(slot, direction, &unconfirmed);
            }
        }
        if self.reply_is_taken(&unconfirmed) {
            return self.refuse(Reason::Clash);
        }
        if self.is_full() {
            let Some(victim) = self.table.victim() else {
                return self.refuse(Reason::TableFull);
            };
            self.remove(victim, Cause::EarlyDrop);
        }
        self.insert(unconfirmed, now)
    }

    /// Whether the answers to a new connection would be taken for those of another. That takes a
    /// connection whose reply tuple is not the mirror image of its original one.
    fn reply_is_taken(&self, unconfirmed: &Unconfirmed) -> bool {
        let reply = unconfirmed.extra.as_ref().and_then(|extra| extra.reply);
        let inverse = match reply {
            Some(reply) => Probe {
                key: reply.key,
                hash: self.table.hash_of(reply.key),
                flipped: reply.flipped,
                mirrored: false,
            },
            None if self.table.has_extras() => Probe {
                flipped: !unconfirmed.probe.flipped,
                ..unconfirmed.probe
            },
            None => return false,
        };
        self.table.find(&inverse).is_some_and(|(slot, _)| {
            let has_run_out = self.table.slab[slot].deadline <= self.now;
            !has_run_out
        })
    }

    fn insert(&mut self, unconfirmed: Unconfirmed, now: Time) -> Verdict {
        let Unconfirmed {
            mut entry,
            probe,
            timeout,
            extra,
            changes,
        } = unconfirmed;
        entry.deadline = now.plus_secs(timeout);
        entry.set(Status::CONFIRMED);
        let class = class_of(entry.status, Direction::Original);
        let mut verdict = Verdict::new(Action::Accept, class, Direction::Original);
        if changes.has(Changes::PROTOINFO) {
            verdict.state = entry.proto.state().name();
        }
        self.move_some();
        let Ok(slot) = self.table.insert(entry, probe.key, extra, now) else {
            return self.refuse(Reason::ChainTooLong);
        };
        let start = self.config.flag(Knob::Timestamp).then_some(now);
        self.table.slab.set_start(slot, start);
        self.stats.confirmed += 1;
        verdict.connection = Some(self.handle(slot));
        self.emit(EventKind::New, changes, slot);
        verdict
    }

    fn clash(&mut self, slot: u32, direction: Direction, loser: &Unconfirmed) -> Verdict {
        let may_join = proto::allows_clash(loser.probe.key.protocol());
        if !may_join || direction == Direction::Reply && !loser.probe.mirrored {
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

    pub(crate) fn handle(&self, slot: u32) -> Handle {
        let entry = &self.table.slab[slot];
        let mixed = entry.ends ^ entry.parts.rotate_left(17);
        Handle {
            slot,
            check: (mixed ^ mixed >> 32) as u32,
        }
    }

    pub(crate) fn remove(&mut self, slot: u32, cause: Cause) {
        let has_run_out = self.table.slab[slot].deadline <= self.now;
        let cause = if has_run_out { Cause::Expired } else { cause };
        match cause {
            Cause::Expired => self.stats.expired += 1,
            Cause::EarlyDrop => self.stats.early_drop += 1,
            Cause::Refused | Cause::Reopened | Cause::Deleted | Cause::Flushed => {}
        }
        self.emit(EventKind::Destroy(cause), Changes::default(), slot);
        self.table.remove(slot);
    }

    pub(crate) fn emit(&mut self, kind: EventKind, changes: Changes, slot: u32) {
        let entry = &self.table.slab[slot];
        if self.event_capacity == 0 || !entry.has(Entry::EVENTS) {
            return;
        }
        if self.events.len() >= self.event_capacity {
            self.stats.events_lost += 1;
            return;
        }
        let ran_out = kind == EventKind::Destroy(Cause::Expired);
        let time = if ran_out { entry.deadline } else { self.now };
        let mut connection = self.table.connection(slot, time);
        if let EventKind::Destroy(_) = kind {
            connection.status = connection.status.with(Status::DYING);
            connection.stop = connection.start.map(|_| time);
        }
        if ran_out {
            connection.timeout = None;
        }
        self.events.push_back(Event {
            kind,
            changes,
            time,
            connection,
        });
    }
}

/// How rules see a packet that belongs to an entry of that status.
const fn class_of(status: Status, direction: Direction) -> Class {
    if matches!(direction, Direction::Reply) || status.has(Status::SEEN_REPLY) {
        Class::Established
    } else if status.has(Status::EXPECTED) {
        Class::Related
    } else {
        Class::New
    }
}

fn account(entry: &mut Entry, direction: Direction, packet: &Packet<'_>) {
    if entry.has(Entry::ACCOUNTED) {
        let counters = &mut entry.counters[direction.index()];
        counters.packets += 1;
        counters.bytes += u64::from(packet.len);
    }
}

/// `nf_conntrack_max`; 0 is no limit.
pub(crate) fn limit(config: &Config) -> u32 {
    u32::try_from(config.get(Knob::Max)).unwrap_or(0)
}

/// Places that the hash index is asked to have.
pub(crate) fn places(config: &Config) -> usize {
    usize::try_from(config.get(Knob::Buckets)).unwrap_or(0)
}
