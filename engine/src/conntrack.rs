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
//! has to go; if there is none, the packet is dropped. Several trackers may share one (`limit.rs`).
//!
//! This file names no header bit and no protocol state.

use alloc::collections::VecDeque;

use crate::admission::Admission;
use crate::config::{Config, Knob};
use crate::confirm::Unconfirmed;
use crate::connection::Status;
use crate::defrag::{self, Datagram, Defrag};
use crate::entry::Entry;
use crate::event::{Cause, Changes, Event, EventKind};
use crate::expect::Store;
use crate::expectation::ExpectEvent;
use crate::hash::{Hasher, Probe};
use crate::limit::{Limit, Share, part};
use crate::look::Look;
use crate::packet::{Fragment, Packet, Segment, ip};
use crate::proto::icmp::Quote;
use crate::proto::{self, Scene, Step};
use crate::stats::Stats;
use crate::table::Table;
use crate::time::Time;
use crate::tuple::{Direction, Zone, ZoneDirections};
use crate::verdict::{Action, Class, Reason, Verdict};

/// Entries that one call of [`Conntrack::advance`] looks at, at most.
const EXPIRED_AT_ONCE: usize = 4096;

/// Unfinished datagrams that one call throws away, at most.
const QUEUES_AT_ONCE: usize = 256;

/// Names an entry of a table for as long as that lives. (One of the same tuple that follows it in the
/// same place has the same name.)
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle {
    pub(crate) slot: u32,
    /// The key, in short: another connection in the same place has another one.
    pub(crate) check: u32,
}

impl Handle {
    #[inline]
    pub(crate) const fn of(slot: u32, entry: &Entry) -> Handle {
        let mixed = entry.ends ^ entry.parts.rotate_left(17);
        Handle {
            slot,
            check: (mixed ^ mixed >> 32) as u32,
        }
    }
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
    pub(crate) expects: Store,
    pub(crate) expect_events: VecDeque<ExpectEvent>,
    defrag: Defrag,
    pub(crate) share: Share,
    pub(crate) admission: Admission,
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

impl Conntrack {
    /// An empty table. `seed` keys its hash: take it from the operating system's random numbers, so
    /// that nobody can choose packets that collide; or fix it, so that the same packets give the
    /// same ids.
    pub fn new(config: Config, seed: u128) -> Conntrack {
        let limit = Limit::new(limit(&config), 1);
        Conntrack::with_limit(config, seed, &limit)
    }

    /// As [`new`](Conntrack::new), an empty table whose entries count with those of other trackers
    /// against a limit that they share. That takes the place of the `nf_conntrack_max` in `config`, and
    /// `nf_conntrack_buckets` is for all of them too: each makes room for its part of both, and for more
    /// when it fills more.
    ///
    /// Only the limit is shared. What a knob bounds beside, such as the memory of fragments, each tracker
    /// may use by itself.
    pub fn with_limit(mut config: Config, seed: u128, limit: &Limit) -> Conntrack {
        // Within the bounds of the knob.
        let _ = config.set(Knob::Max, i64::from(limit.max()));
        let (max, places) = part(limit, &config);
        let table = Table::new(Hasher::new(seed), max, places);
        Conntrack {
            config,
            table,
            stats: Stats::default(),
            now: Time::ZERO,
            events: VecDeque::new(),
            event_capacity: 0,
            expects: Store::default(),
            expect_events: VecDeque::new(),
            defrag: Defrag::default(),
            share: Share::of(limit),
            admission: Admission::default(),
        }
    }

    /// Tells the time, and collects entries and fragments that ran out. Returns whether all that are
    /// due were looked at; if not, call again: each call does a bounded amount of work.
    pub fn advance(&mut self, now: Time) -> bool {
        self.now = self.now.max(now);
        let now = self.now;
        let no_more_fragments = self.defrag.advance(now, QUEUES_AT_ONCE);
        self.stats.fragments_expired += self.defrag.take_expired();
        self.table.reserve_some();
        self.move_some();
        let no_more_entries = self.collect(EXPIRED_AT_ONCE);
        let no_more_expected = self.expects.is_empty() || self.collect_expectations();
        self.share_places();
        no_more_entries && no_more_fragments && no_more_expected
    }

    /// Removes entries that ran out, looking at no more than `budget`. Returns whether that was enough.
    pub(crate) fn collect(&mut self, mut budget: usize) -> bool {
        while let Some(slot) = self.table.next_expired(self.now, &mut budget) {
            self.remove(slot, Cause::Expired);
        }
        budget > 0
    }

    /// A step of the move to an index of another size.
    pub(crate) fn move_some(&mut self) {
        self.table.move_some();
        while let Some(slot) = self.table.homeless() {
            self.stats.count(Reason::ChainTooLong);
            self.remove(slot, Cause::EarlyDrop);
        }
    }

    /// When [`advance`](Conntrack::advance) should be called next; calling it earlier or more often
    /// is harmless.
    pub fn next_deadline(&self) -> Option<Time> {
        let expected = self.expects.first_due().map(|(deadline, _)| deadline);
        let due = [self.table.next_due(), self.defrag.next_deadline(), expected];
        due.into_iter().flatten().min()
    }

    #[inline]
    pub(crate) fn tick(&mut self, now: Time) -> Time {
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
            Begin::New(unconfirmed) => self.confirm_at_once(unconfirmed, self.now),
        }
    }

    /// Tracks a packet that asks for the connection of its own tuple, all the way.
    #[inline(never)]
    pub(crate) fn track_own(
        &mut self,
        zone: Zone,
        packet: &Packet<'_>,
        probe: &Probe,
        now: Time,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        // One that made room for a new one may have had another of the same key behind it.
        while let Some((slot, direction)) = self.look_up(probe, zone, now) {
            if self.follow(slot, direction, packet, now, &mut verdict) {
                return verdict;
            }
        }
        self.open_at_once(zone, packet, probe, now)
    }

    /// Counts a frame in which [`Packet::parse`] found nothing to track.
    pub fn skip(&mut self, reason: Reason) -> Verdict {
        self.stats.packets += 1;
        self.refuse(reason)
    }

    /// Counts a packet that a rule exempts from tracking.
    pub fn notrack(&mut self) -> Verdict {
        self.stats.packets += 1;
        self.leave_alone()
    }

    fn leave_alone(&mut self) -> Verdict {
        self.stats.untracked += 1;
        Verdict::new(Action::Accept, Class::Untracked, Direction::Original)
    }

    /// The first phase: everything but the insertion of a new connection.
    pub fn begin(&mut self, zone: Zone, packet: &Packet<'_>, now: Time) -> Begin {
        let look = Look::at(packet, zone, &self.config, &self.table.hasher);
        self.stats.packets += 1;
        let now = self.tick(now);
        self.seek(zone, packet, &look, now)
    }

    fn seek(&mut self, zone: Zone, packet: &Packet<'_>, look: &Look, now: Time) -> Begin {
        Begin::Done(match look {
            Look::Own(probe) => {
                let mut verdict = Verdict::default();
                while let Some((slot, direction)) = self.look_up(probe, zone, now) {
                    if self.follow(slot, direction, packet, now, &mut verdict) {
                        return Begin::Done(verdict);
                    }
                }
                match self.open(zone, packet, probe, now) {
                    Ok(unconfirmed) => return Begin::New(unconfirmed),
                    Err(reason) => self.refuse(reason),
                }
            }
            Look::About(quote) => self.relate(zone, packet, quote, now),
            Look::Piece(fragment) => return self.gather(zone, packet, *fragment, now),
            Look::Untracked => self.leave_alone(),
            Look::Refused(reason) => self.refuse(*reason),
        })
    }

    /// A fragment waits for the others of its datagram, or completes it.
    fn gather(&mut self, zone: Zone, packet: &Packet<'_>, fragment: Fragment, now: Time) -> Begin {
        let zone_id = zone.id_of(Direction::Original);
        let (outcome, piece) = self
            .defrag
            .push(packet, fragment, zone_id, &self.config, now);
        let mut begun = match outcome {
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
        };
        match &mut begun {
            Begin::Done(verdict) => verdict.piece = piece,
            Begin::New(unconfirmed) => unconfirmed.piece = piece,
        }
        begun
    }

    /// Goes on with a packet in which a fragment header means nothing any more.
    fn begin_defragmented(&mut self, zone: Zone, datagram: Segment<'_>, now: Time) -> Begin {
        match ip::parse_reassembled(datagram) {
            Ok(packet) => {
                let look = Look::at_whole(&packet, zone, &self.config, &self.table.hasher);
                self.seek(zone, &packet, &look, now)
            }
            Err(reason) => Begin::Done(self.refuse(reason)),
        }
    }

    pub(crate) fn refuse(&mut self, reason: Reason) -> Verdict {
        self.stats.count(reason);
        Verdict::refused(reason)
    }

    /// The live entry that a tuple belongs to, looked for under the zone's number for each direction.
    fn look_up(&mut self, probe: &Probe, zone: Zone, now: Time) -> Option<(u32, Direction)> {
        if zone.applies != ZoneDirections::Both {
            return self.look_up_split(probe, zone, now);
        }
        self.find_alive(now, |table| table.find(probe))
    }

    /// The live entry that is found. One that ran out is removed; behind it there may be another of
    /// the same key.
    #[inline(always)]
    pub(crate) fn find_alive(
        &mut self,
        now: Time,
        find: impl Fn(&Table) -> Option<(u32, Direction)>,
    ) -> Option<(u32, Direction)> {
        loop {
            let (slot, direction) = find(&self.table)?;
            if self.table.slab[slot].deadline > now {
                return Some((slot, direction));
            }
            self.remove(slot, Cause::Expired);
        }
    }

    /// In a zone of one direction, a packet may be of either.
    #[inline(never)]
    fn look_up_split(&mut self, probe: &Probe, zone: Zone, now: Time) -> Option<(u32, Direction)> {
        let ids = [Direction::Original, Direction::Reply].map(|way| zone.id_of(way));
        ids.into_iter().find_map(|id| {
            let probe = self.table.hasher.in_zone(probe, id);
            self.find_alive(now, |table| table.find_in(zone, &probe))
        })
    }

    /// An ICMP error: it belongs to the connection of the packet that it quotes, if it goes to the
    /// host that sent that packet.
    fn relate(&mut self, zone: Zone, packet: &Packet<'_>, quote: &Quote, now: Time) -> Verdict {
        let id = zone.id_of(Direction::Original);
        let hasher = &self.table.hasher;
        let probe = hasher.probe(quote.addresses, quote.protocol, quote.parts, id);
        let found = self.look_up(&probe, zone, now);
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

    /// A packet of a known connection. `false` if the connection made room for a new one.
    fn follow(
        &mut self,
        slot: u32,
        direction: Direction,
        packet: &Packet<'_>,
        now: Time,
        verdict: &mut Verdict,
    ) -> bool {
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
        let step = proto::track(entry, packet.protocol, &scene, &mut changes);
        *verdict = Verdict::new(Action::Accept, class, direction);
        let Step::Refresh(secs) = step else {
            return self.follow_oddly(slot, step, changes, packet, verdict);
        };
        account(entry, direction, packet);
        verdict.connection = Some(Handle::of(slot, entry));
        self.table.prolong(slot, now, secs);
        self.settle(slot, changes, verdict);
        true
    }

    /// A packet of a known connection that does not simply prolong it.
    #[inline(never)]
    fn follow_oddly(
        &mut self,
        slot: u32,
        step: Step,
        changes: Changes,
        packet: &Packet<'_>,
        verdict: &mut Verdict,
    ) -> bool {
        match step {
            Step::Keep(reason) => {
                verdict.reason = reason;
                if let Some(reason) = reason {
                    self.stats.count(reason);
                }
                verdict.connection = Some(self.handle(slot));
                self.settle(slot, changes, verdict);
            }
            Step::Invalid(reason) => {
                if !changes.is_empty() {
                    self.table.slab[slot].put_off(changes);
                    self.table.classify(slot);
                }
                *verdict = self.refuse(reason);
            }
            Step::Shorten(secs, reason) => {
                self.table.prolong(slot, self.now, secs);
                *verdict = self.refuse(reason);
            }
            Step::Delete => {
                account(&mut self.table.slab[slot], verdict.direction, packet);
                self.remove(slot, Cause::Refused);
            }
            Step::Reopen => {
                // Who may not open a connection ends none, either.
                if let Some(reason) = self.admission.shut() {
                    *verdict = self.refuse(reason);
                    return true;
                }
                self.remove(slot, Cause::Reopened);
                return false;
            }
            Step::Refresh(_) => {}
        }
        true
    }

    /// What follows from an accepted packet beside its protocol's own business.
    fn settle(&mut self, slot: u32, mut changes: Changes, verdict: &mut Verdict) {
        let entry = &mut self.table.slab[slot];
        changes.add(entry.take_untold());
        if verdict.direction == Direction::Reply && !entry.is_replied() {
            entry.set(Status::SEEN_REPLY);
            changes.add(Changes::REPLY);
        }
        if !changes.is_empty() {
            self.table.classify(slot);
            self.tell(slot, changes, verdict);
        }
    }

    /// Tells what a packet changed, in its verdict and as an event.
    #[inline(never)]
    fn tell(&mut self, slot: u32, changes: Changes, verdict: &mut Verdict) {
        if changes.is_empty() {
            return;
        }
        if changes.has(Changes::PROTOINFO) {
            verdict.state = self.table.slab[slot].proto.progress();
        }
        self.emit(EventKind::Update, changes, slot);
    }

    pub(crate) fn handle(&self, slot: u32) -> Handle {
        Handle::of(slot, &self.table.slab[slot])
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
        if self.table.slab[slot].has(Entry::EXTRA) {
            self.leave_family(slot);
        }
        self.note_left(slot);
        self.table.remove(slot);
        self.share.spare(self.table.len());
    }

    #[inline(always)]
    pub(crate) fn emit(&mut self, kind: EventKind, changes: Changes, slot: u32) {
        if self.event_capacity > 0 {
            self.queue_event(kind, changes, slot);
        }
    }

    #[inline(never)]
    fn queue_event(&mut self, kind: EventKind, changes: Changes, slot: u32) {
        let entry = &self.table.slab[slot];
        if !entry.has(Entry::EVENTS) {
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
pub(crate) const fn class_of(status: Status, direction: Direction) -> Class {
    if matches!(direction, Direction::Reply) || status.has(Status::SEEN_REPLY) {
        Class::Established
    } else if status.has(Status::EXPECTED) {
        Class::Related
    } else {
        Class::New
    }
}

#[inline]
pub(crate) fn account(entry: &mut Entry, direction: Direction, packet: &Packet<'_>) {
    if entry.has(Entry::ACCOUNTED) {
        let counters = &mut entry.counters[direction.index()];
        counters.packets += 1;
        counters.bytes += u64::from(packet.ip_len());
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
