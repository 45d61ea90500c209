//! The table of connections: slab, hash index, timing wheel, and the sets of what may be evicted,
//! kept in step with each other.
//!
//! *Life of an entry.* [`insert`](Table::insert) puts it into all four; while it lives, a packet
//! changes it in place and reports what the others must know ([`rearm`](Table::rearm),
//! [`classify`](Table::classify)); [`remove`](Table::remove) takes it out of all four. Nothing else
//! does.
//!
//! *Invariants.* Every live slot is in the index once (twice if its reply tuple has a key of its
//! own), in one list of the wheel, and in the eviction set that its status says, if any.
//!
//! *Resizing.* A new index is filled from the old one a few buckets at a time, so that no packet
//! waits for the whole. Meanwhile look-ups try the new one, then the old one.
//!
//! *An entry past its deadline* is still here until the wheel gets to it; whoever finds it must look
//! at the deadline and treat it as gone.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::connection::{Connection, Status};
use crate::entry::Entry;
use crate::evict::Victims;
use crate::hash::{Hasher, Key, Probe};
use crate::index::{Full, Glance, Index, PLACES};
use crate::slab::Slab;
use crate::time::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::wheel::Wheel;

/// Entries for each bucket of eight places: three quarters full.
const ENTRIES_PER_BUCKET: usize = 6;
/// Buckets moved to a new index at each step.
const MOVED_AT_ONCE: usize = 4;

/// What only few entries have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Set if it applies to one direction only, or the reply tuple is not the mirror image.
    pub(crate) reply: Option<ReplyKey>,
    /// The zone, if it applies to one direction only.
    pub(crate) zone: Option<Zone>,
    pub(crate) labels: u128,
    pub(crate) secmark: u32,
    pub(crate) helper: Option<String>,
}

/// The key of a reply tuple that is not the original's mirror image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyKey {
    pub(crate) key: Key,
    pub(crate) flipped: bool,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) slab: Slab,
    pub(crate) hasher: Hasher,
    index: Index,
    /// An index that is being replaced, and how many of its buckets are left to be moved.
    old_index: Option<(Index, usize)>,
    wheel: Wheel,
    unanswered: Victims,
    unassured: Victims,
    extras: BTreeMap<u32, Extra>,
    /// Entries for which a new index had no place.
    homeless: Vec<u32>,
    len: u32,
    /// Places of the index that the entries take: some have two keys.
    keys: usize,
}

impl Table {
    pub(crate) fn new(hasher: Hasher, max: u32, buckets: usize) -> Table {
        let mut table = Table {
            slab: Slab::new(),
            hasher,
            index: Index::new(buckets_for(max, buckets)),
            old_index: None,
            wheel: Wheel::new(),
            unanswered: Victims::default(),
            unassured: Victims::default(),
            extras: BTreeMap::new(),
            homeless: Vec::new(),
            len: 0,
            keys: 0,
        };
        table.slab.want(max);
        while table.reserve_some() {}
        table
    }

    /// Entries, those included that ran out and are not collected yet.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Buckets of the index.
    pub(crate) fn buckets(&self) -> usize {
        self.index.buckets()
    }

    /// The entry that a packet belongs to, and the packet's direction in it.
    #[inline(never)]
    pub(crate) fn find(&self, probe: &Probe) -> Option<(u32, Direction)> {
        self.find_as(probe.hash, |slot| self.direction_of(slot, probe))
    }

    /// The same, if the entry counts under the zone's number in that direction. Entries of other zones
    /// may have the same key.
    #[inline(never)]
    pub(crate) fn find_in(&self, zone: Zone, probe: &Probe) -> Option<(u32, Direction)> {
        self.find_as(probe.hash, |slot| {
            let direction = self.direction_of(slot, probe)?;
            let is_same = self.zone(slot).id_of(direction) == zone.id_of(direction);
            is_same.then_some(direction)
        })
    }

    #[inline(always)]
    fn find_as(
        &self,
        hash: u64,
        direction: impl Fn(u32) -> Option<Direction>,
    ) -> Option<(u32, Direction)> {
        let is_it = |slot: u32| direction(slot).is_some();
        let slot = match self.index.find(hash, is_it) {
            Some(slot) => slot,
            None => self.old_index.as_ref()?.0.find(hash, is_it)?,
        };
        Some((slot, direction(slot)?))
    }

    /// The bucket in which a packet's entry is looked for first.
    #[inline(always)]
    pub(crate) fn home(&self, hash: u64) -> u32 {
        self.index.home(hash) as u32
    }

    /// Asks memory for a bucket.
    #[inline(always)]
    pub(crate) fn expect_bucket(&self, number: u32) {
        self.index.expect(number as usize);
    }

    /// Where a packet's entry probably is, by its home bucket.
    #[inline(always)]
    pub(crate) fn glance(&self, home: u32, hash: u64) -> Glance {
        self.index.glance(home as usize, hash)
    }

    /// The same, by its other bucket.
    pub(crate) fn glance_away(&self, other: u32, hash: u64) -> u32 {
        let slot = self.index.glance_away(other as usize, hash);
        self.slab.expect(slot);
        slot
    }

    /// The direction in which a packet belongs to an entry, if it does.
    #[inline(always)]
    fn direction_of(&self, slot: u32, probe: &Probe) -> Option<Direction> {
        let entry = self.slab.get(slot)?;
        let key = &probe.key;
        let is_key = entry.ends == key.ends
            && entry.parts == key.parts
            && key.wide.is_none_or(|wide| self.slab.wide(slot) == wide);
        if is_key && !entry.has(Entry::TWO_KEYS) && !probe.mirrored {
            return Some(match probe.flipped == entry.has(Entry::FLIPPED) {
                true => Direction::Original,
                false => Direction::Reply,
            });
        }
        self.odd_direction_of(slot, entry, is_key, probe)
    }

    #[inline(never)]
    fn odd_direction_of(
        &self,
        slot: u32,
        entry: &Entry,
        is_key: bool,
        probe: &Probe,
    ) -> Option<Direction> {
        let key = &probe.key;
        if is_key {
            // Where both ends are equal, the first packet has no successors in its direction, unless
            // the zone, which is in the key, tells the directions apart.
            let has_directions = !probe.mirrored || entry.has(Entry::TWO_KEYS);
            let is_original = has_directions && probe.flipped == entry.has(Entry::FLIPPED);
            if is_original {
                return Some(Direction::Original);
            }
            if !entry.has(Entry::TWO_KEYS) {
                return Some(Direction::Reply);
            }
        }
        if !entry.has(Entry::TWO_KEYS) {
            return None;
        }
        let reply = self.extras.get(&slot)?.reply?;
        (reply.key == *key && reply.flipped == probe.flipped).then_some(Direction::Reply)
    }

    /// Puts in an entry that is not there; `hash` is its key's.
    pub(crate) fn insert(
        &mut self,
        mut entry: Entry,
        key: Key,
        hash: u64,
        extra: Option<Extra>,
        now: Time,
    ) -> Result<u32, Full> {
        if self.keys >= self.index.buckets() * ENTRIES_PER_BUCKET {
            self.resize(self.index.buckets() * 2);
        }
        if self.len == 0 {
            self.wheel.start(now);
        }
        let reply = extra.as_ref().and_then(|extra| extra.reply);
        if extra.is_some() {
            entry.bits |= Entry::EXTRA;
        }
        if reply.is_some() {
            entry.bits |= Entry::TWO_KEYS;
        }
        let slot = self.slab.insert(entry).ok_or(Full)?;
        if self.add_keys(slot, hash, reply).is_err() {
            self.resize(self.index.buckets() * 2);
            if let Err(full) = self.add_keys(slot, hash, reply) {
                self.slab.remove(slot);
                return Err(full);
            }
        }
        self.keys += 1 + usize::from(reply.is_some());
        if let Some(wide) = key.wide {
            self.slab.set_wide(slot, wide);
        }
        if let Some(extra) = extra {
            self.extras.insert(slot, extra);
        }
        self.wheel.insert(&mut self.slab, slot);
        self.len += 1;
        self.classify(slot);
        Ok(slot)
    }

    fn add_keys(&mut self, slot: u32, hash: u64, reply: Option<ReplyKey>) -> Result<(), Full> {
        self.index.insert(hash, slot)?;
        if let Some(reply) = reply {
            let reply_hash = self.hash_of(reply.key);
            if let Err(full) = self.index.insert(reply_hash, slot) {
                self.index.remove(hash, slot);
                return Err(full);
            }
        }
        Ok(())
    }

    pub(crate) fn hash_of(&self, key: Key) -> u64 {
        self.hasher.words(key.ends, key.parts)
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let key = self.key(slot);
        self.remove_key(slot, key);
        self.keys -= 1;
        self.wheel.remove(&mut self.slab, slot);
        self.unanswered.remove(slot);
        self.unassured.remove(slot);
        if self.slab[slot].has(Entry::EXTRA)
            && let Some(reply) = self.extras.remove(&slot).and_then(|extra| extra.reply)
        {
            self.remove_key(slot, reply.key);
            self.keys -= 1;
        }
        self.slab.remove(slot);
        self.len -= 1;
    }

    /// While the index is being moved, a key may be in both.
    fn remove_key(&mut self, slot: u32, key: Key) {
        let hash = self.hash_of(key);
        self.index.remove(hash, slot);
        if let Some((old, _)) = &mut self.old_index {
            old.remove(hash, slot);
        }
    }

    /// Gives an entry that many seconds from now, unless its time is fixed.
    pub(crate) fn prolong(&mut self, slot: u32, now: Time, secs: i32) {
        let entry = &mut self.slab[slot];
        if entry.status.has(Status::FIXED_TIMEOUT) {
            return;
        }
        entry.deadline = now.plus_timeout(secs);
        if self.wheel.comes_late(entry) {
            self.rearm(slot);
        }
    }

    /// An entry, and the wheel, to be asked whether it comes late for the entry's new deadline: then
    /// [`rearm`](Table::rearm) must follow.
    #[inline(always)]
    pub(crate) fn entry_and_wheel(&mut self, slot: u32) -> Option<(&mut Entry, &Wheel)> {
        Some((self.slab.place_mut(slot)?, &self.wheel))
    }

    /// Whether a slot has the addresses of a key that keeps them apart, or the key keeps none.
    #[inline(always)]
    pub(crate) fn has_addresses(&self, slot: u32, key: &Key) -> bool {
        match key.wide {
            None => true,
            Some(wide) => self.slab.get(slot).is_some() && self.slab.wide(slot) == wide,
        }
    }

    /// Puts an entry into the list of the wheel that its deadline asks for.
    #[inline(never)]
    pub(crate) fn rearm(&mut self, slot: u32) {
        self.wheel.rearm(&mut self.slab, slot);
    }

    /// After an entry's status changed: whether it may be evicted, and how gladly.
    pub(crate) fn classify(&mut self, slot: u32) {
        let entry = &self.slab[slot];
        let (replied, assured) = (entry.is_replied(), entry.is_assured());
        if !replied && !assured {
            self.unanswered.insert(slot);
            return;
        }
        self.unanswered.remove(slot);
        if assured {
            self.unassured.remove(slot);
        } else {
            self.unassured.insert(slot);
        }
    }

    /// An entry to evict: unanswered ones before answered ones, about the oldest first.
    pub(crate) fn victim(&mut self) -> Option<u32> {
        /// Half of those that are chosen in advance: by then an entry has come from memory.
        const SOON: usize = 3;
        let victims = match self.unanswered.is_empty() {
            true => &mut self.unassured,
            false => &mut self.unanswered,
        };
        let victim = victims.next();
        let (last, soon) = (victims.after(2 * SOON), victims.after(SOON));
        if let Some(last) = last {
            self.slab.expect(last);
        }
        if let Some(soon) = soon {
            self.expect_removal(soon);
        }
        victim
    }

    /// Asks memory for what the removal of an entry changes beside it.
    fn expect_removal(&self, slot: u32) {
        let Some(entry) = self.slab.get(slot) else {
            return;
        };
        self.index
            .expect(self.index.home(self.hasher.words(entry.ends, entry.parts)));
        self.slab.expect(entry.prev);
        self.slab.expect(entry.next);
    }

    pub(crate) fn has_victim(&self) -> bool {
        !self.unanswered.is_empty() || !self.unassured.is_empty()
    }

    /// An entry that ran out by `now`. Entries that were prolonged are put where they belong; at most
    /// `budget` of them are looked at, which counts down.
    pub(crate) fn next_expired(&mut self, now: Time, budget: &mut usize) -> Option<u32> {
        while *budget > 0 {
            *budget -= 1;
            let slot = self.wheel.pop(&mut self.slab, now)?;
            self.wheel.insert(&mut self.slab, slot);
            if self.slab[slot].deadline <= now {
                return Some(slot);
            }
        }
        None
    }

    /// When [`next_expired`](Table::next_expired) should be asked again.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.wheel.next_due()
    }

    /// Whether any entry has something in the extras.
    pub(crate) fn has_extras(&self) -> bool {
        !self.extras.is_empty()
    }

    pub(crate) fn extra(&self, slot: u32) -> Option<&Extra> {
        if !self.slab[slot].has(Entry::EXTRA) {
            return None;
        }
        self.extras.get(&slot)
    }

    pub(crate) fn extra_mut(&mut self, slot: u32) -> &mut Extra {
        self.slab[slot].bits |= Entry::EXTRA;
        self.extras.entry(slot).or_default()
    }

    /// Makes room for `max` entries and lets the index have at least `buckets` places, in the steps
    /// that follow.
    pub(crate) fn reserve(&mut self, max: u32, places: usize) {
        self.slab.want(max);
        let keys = u32::try_from(self.keys).unwrap_or(u32::MAX);
        let wanted = buckets_for(max.max(keys), places);
        if wanted != self.index.buckets() {
            self.resize(wanted);
        }
    }

    fn resize(&mut self, buckets: usize) {
        while self.old_index.is_some() {
            self.move_some();
        }
        let old = core::mem::replace(&mut self.index, Index::new(buckets));
        let left = old.buckets();
        self.old_index = Some((old, left));
    }

    /// A bounded step of getting the memory that is wanted. Returns whether there was one to take.
    pub(crate) fn reserve_some(&mut self) -> bool {
        let wanted_more = self.slab.reserve_some();
        if wanted_more {
            self.unanswered.reserve(self.slab.reserved());
            self.unassured.reserve(self.slab.reserved());
        }
        wanted_more
    }

    /// A bounded step of moving to a new index.
    #[inline]
    pub(crate) fn move_some(&mut self) {
        if let Some((old, left)) = self.old_index.take() {
            self.old_index = self.move_from(old, left);
        }
    }

    #[inline(never)]
    fn move_from(&mut self, mut old: Index, mut left: usize) -> Option<(Index, usize)> {
        for _ in 0..MOVED_AT_ONCE {
            for slot in old.drain_last(&mut left)? {
                self.move_slot(slot);
            }
        }
        Some((old, left))
    }

    /// An entry with two keys is met once for each: whichever is not there yet is put in.
    fn move_slot(&mut self, slot: u32) {
        if self.slab.get(slot).is_none() {
            return;
        }
        let main = self.key(slot);
        let reply = self.extra(slot).and_then(|extra| extra.reply);
        for key in [Some(main), reply.map(|reply| reply.key)]
            .into_iter()
            .flatten()
        {
            let hash = self.hash_of(key);
            if self.index.find(hash, |other| other == slot).is_none()
                && self.index.insert(hash, slot).is_err()
            {
                self.homeless.push(slot);
                return;
            }
        }
    }

    /// An entry for which the new index has no place: very rare, since that is made large enough. It
    /// cannot be found any more and must be removed at once.
    pub(crate) fn homeless(&mut self) -> Option<u32> {
        self.homeless.pop()
    }

    pub(crate) fn key(&self, slot: u32) -> Key {
        let entry = &self.slab[slot];
        Key {
            ends: entry.ends,
            parts: entry.parts,
            wide: (entry.parts & 0xff == 6).then(|| self.slab.wide(slot)),
        }
    }

    /// A number for an entry, the same for all its life; what follows in its place has another.
    pub(crate) fn id(&self, slot: u32) -> u32 {
        let entry = &self.slab[slot];
        let identity = self.hasher.words(entry.ends, entry.parts);
        let place = u64::from(slot) | u64::from(self.slab.generation(slot)) << 32;
        self.hasher.words(identity, place) as u32
    }

    pub(crate) fn zone(&self, slot: u32) -> Zone {
        let zone = self.extra(slot).and_then(|extra| extra.zone);
        zone.unwrap_or_else(|| Zone::both((self.slab[slot].parts >> 16) as u16))
    }

    pub(crate) fn tuple(&self, slot: u32, direction: Direction) -> Tuple {
        let reply = self.extra(slot).and_then(|extra| extra.reply);
        let flipped = self.slab[slot].has(Entry::FLIPPED);
        let (key, flipped) = match (direction, reply) {
            (Direction::Original, _) => (self.key(slot), flipped),
            (Direction::Reply, None) => (self.key(slot), !flipped),
            (Direction::Reply, Some(reply)) => (reply.key, reply.flipped),
        };
        let (addresses, parts) = key.sides(flipped);
        Tuple::from_parts(addresses, key.protocol(), parts)
    }

    /// The readable form of an entry.
    pub(crate) fn connection(&self, slot: u32, now: Time) -> Connection {
        let entry = &self.slab[slot];
        let extra = self.extra(slot);
        let start = self.slab.start(slot);
        Connection {
            id: self.id(slot),
            original: self.tuple(slot, Direction::Original),
            reply: self.tuple(slot, Direction::Reply),
            zone: self.zone(slot),
            status: entry.status.with(Status::CONFIRMED),
            state: entry.proto.state(),
            timeout: Some(entry.deadline.secs_since(now)),
            counters: entry.has(Entry::ACCOUNTED).then_some(entry.counters),
            mark: entry.mark,
            secmark: extra.map_or(0, |extra| extra.secmark),
            secctx: None,
            labels: extra.map_or(0, |extra| extra.labels),
            helper: extra.and_then(|extra| extra.helper.clone()),
            start,
            stop: None,
            delta_time: start.map(|start| now.secs_since(start)),
            uses: 1,
        }
    }
}

/// Buckets for `max` entries, and for at least `places` places.
fn buckets_for(max: u32, places: usize) -> usize {
    /// A very small index would be too lumpy.
    const LEAST: usize = 8;
    /// 32 MiB of them; a table that needs more gets them as it fills.
    const MOST_AT_FIRST: usize = 1 << 19;
    let wanted = (max as usize).div_ceil(ENTRIES_PER_BUCKET);
    wanted.max(places / PLACES).clamp(LEAST, MOST_AT_FIRST)
}
