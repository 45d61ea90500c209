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

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::connection::{Connection, Status};
use crate::entry::Entry;
use crate::evict::{Hashed, Victim, Victims};
use crate::hash::{Hasher, Key, Probe};
use crate::index::{Full, Glance, Index};
use crate::sizes::{self, ENTRIES_PER_BUCKET, MOVED_AT_ONCE};
use crate::slab::{NONE, Slab};
use crate::time::Time;
use crate::tuple::{Direction, Tuple, Zone};
use crate::wheel::Wheel;

/// Asks memory for what the removal of an entry, and another one in its place, change beside it.
#[inline(always)]
fn expect_removal(victim: &mut Victim, slab: &Slab, hasher: &Hasher, index: &Index) {
    let Some(entry) = slab.get(victim.slot) else {
        return;
    };
    let (ends, parts) = (entry.ends, entry.parts);
    let hash = hasher.key(ends, parts);
    victim.hashed = Hashed { ends, parts, hash };
    index.expect(index.home(hash));
    slab.expect(entry.prev);
    slab.expect(entry.next);
    slab.expect_refill(victim.slot);
}

/// What only few entries have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Set if it applies to one direction only, or the reply tuple is not the mirror image.
    pub(crate) reply: Option<ReplyKey>,
    /// The zone, if it applies to one direction only.
    pub(crate) zone: Option<Zone>,
    pub(crate) labels: u128,
    pub(crate) secmark: u32,
    /// Empty if it was taken away.
    pub(crate) helper: Option<String>,
    /// Who expected it.
    pub(crate) master: Option<Master>,
    /// How many that it expected are there.
    pub(crate) children: u32,
    /// How many it still expects.
    pub(crate) expects: u32,
}

/// The connection that expected another. It may have ended since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Master {
    pub(crate) slot: u32,
    /// Whoever follows in that place has another one.
    pub(crate) id: u32,
    pub(crate) tuple: Tuple,
}

/// The key of a reply tuple that is not the original's mirror image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyKey {
    pub(crate) key: Key,
    pub(crate) flipped: bool,
}

impl Master {
    /// One of which only the tuple is known.
    pub(crate) const fn away(tuple: Tuple) -> Master {
        Master {
            slot: NONE,
            id: 0,
            tuple,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) slab: Slab,
    pub(crate) hasher: Hasher,
    index: Index,
    /// An index that is being replaced, and how many of its buckets are left to be moved.
    old_index: Option<(Index, usize)>,
    /// Buckets that were asked for meanwhile.
    pending: Option<usize>,
    wheel: Wheel,
    unanswered: Victims,
    unassured: Victims,
    /// The key of the latest victim.
    hashed: Hashed,
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
            index: Index::new(sizes::first(max, buckets)),
            old_index: None,
            pending: None,
            wheel: Wheel::new(),
            unanswered: Victims::default(),
            unassured: Victims::default(),
            hashed: Hashed::default(),
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
        entry: &mut Entry,
        key: &Key,
        hash: u64,
        extra: Option<Box<Extra>>,
        now: Time,
    ) -> Result<u32, Full> {
        if self.keys >= self.index.buckets() * ENTRIES_PER_BUCKET {
            self.grow();
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
            self.finish_short_move();
            self.grow();
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
            self.extras.insert(slot, *extra);
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
        self.hasher.key(key.ends, key.parts)
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, slot: u32) {
        if !self.homeless.is_empty() {
            self.homeless.retain(|homeless| *homeless != slot);
        }
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
        let known = self.hashed;
        let hash = match (known.ends, known.parts) == (key.ends, key.parts) {
            true => known.hash,
            false => self.hash_of(key),
        };
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
        let victim = victims.next()?;
        if let Some(last) = victims.after(2 * SOON) {
            self.slab.expect(last.slot);
        }
        if let Some(soon) = victims.after(SOON) {
            expect_removal(soon, &self.slab, &self.hasher, &self.index);
        }
        self.hashed = victim.hashed;
        Some(victim.slot)
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

    /// Entries that have something in the extras.
    pub(crate) fn with_extras(&self) -> impl Iterator<Item = u32> + '_ {
        self.extras.keys().copied()
    }

    pub(crate) fn extra_mut(&mut self, slot: u32) -> &mut Extra {
        self.slab[slot].bits |= Entry::EXTRA;
        self.extras.entry(slot).or_default()
    }

    /// Makes room for `max` entries, where 0 is no limit, and lets the index have at least `places`
    /// places, in the steps that follow.
    pub(crate) fn reserve(&mut self, max: u32, places: usize) {
        self.slab.want(max);
        self.resize(sizes::wanted(self.index.buckets(), max, places));
    }

    fn grow(&mut self) {
        self.resize(self.index.buckets() * 2);
    }

    /// Begins to move to an index of another size, large enough for what is there and what may come
    /// while it is moved; or notes that, while another move goes on.
    fn resize(&mut self, buckets: usize) {
        if self.old_index.is_some() {
            self.pending = Some(buckets);
            return;
        }
        let present = self.index.buckets();
        let asked = buckets;
        let buckets = buckets.max(sizes::least(present, self.keys));
        if asked <= present && buckets >= present {
            return;
        }
        let old = core::mem::replace(&mut self.index, Index::new(buckets));
        let left = old.buckets();
        self.old_index = Some((old, left));
    }

    /// Ends a move of which so little is left that it may be done at once.
    fn finish_short_move(&mut self) {
        /// Buckets.
        const SHORT: usize = 256;
        while matches!(&self.old_index, Some((_, left)) if *left <= SHORT) {
            self.move_some();
        }
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
            if self.old_index.is_none()
                && let Some(buckets) = self.pending.take()
            {
                self.resize(buckets);
            }
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
    /// cannot be found any more and must be removed.
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
            helper: extra.and_then(|extra| extra.helper.clone().filter(|name| !name.is_empty())),
            start,
            stop: None,
            delta_time: start.map(|start| now.secs_since(start)),
            uses: extra.map_or(1, |extra| extra.children.saturating_add(1)),
            master: extra.and_then(|extra| extra.master.map(|master| master.tuple)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, Conntrack, Knob, LinkType, Packet, Time};
    use alloc::vec::Vec;

    fn full_of(entries: u32) -> Conntrack {
        let mut config = Config::default();
        config.set(Knob::Checksum, 0).expect("a flag");
        let mut conntrack = Conntrack::new(config, 1);
        (0..entries).for_each(|n| open(&mut conntrack, n));
        conntrack
    }

    /// A datagram of a connection of that number, to port 53.
    fn open(conntrack: &mut Conntrack, number: u32) {
        let [_, a, b, c] = number.to_be_bytes();
        let packet = [
            0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, a, b, c, 192, 0, 2, 1, // IP
            0x9c, 0x40, 0, 53, 0, 8, 0, 0,
        ];
        let packet = Packet::parse(LinkType::Raw, &packet).expect("a packet");
        conntrack.track(&packet, Time::from_secs(1));
    }

    #[test]
    fn an_entry_without_a_home_that_is_removed_otherwise_is_removed_once() {
        let mut conntrack = full_of(10);
        conntrack.table.homeless = Vec::from([3, 7]);
        conntrack.flush();
        open(&mut conntrack, 100);
        conntrack.move_some();
        assert_eq!((conntrack.len(), conntrack.connections().count()), (1, 1));
        assert_eq!(conntrack.table.keys, 1);
    }

    #[test]
    fn no_limit_and_limits_that_follow_each_other_lose_nobody() {
        let mut conntrack = full_of(20_000);
        let mut number = 20_000;
        for max in [
            0, 20_001, 1_000_000, 19_000, 30_000, 0, 25_000, 200_000, 24_000,
        ] {
            conntrack.set(Knob::Max, max).expect("a limit");
            if max == 0 || max > number.into() {
                for _ in 0..100 {
                    open(&mut conntrack, number);
                    number += u32::from(max == 0 || i64::from(number) < max);
                }
            }
            conntrack.advance(Time::from_secs(1));
        }
        assert_eq!(conntrack.stats().early_drop, 0);
        assert_eq!(conntrack.len(), number as usize);
        while conntrack.table.old_index.is_some() {
            conntrack.move_some();
        }
        for slot in 0..number {
            let hash = conntrack.table.hash_of(conntrack.table.key(slot));
            let found = conntrack.table.index.find(hash, |other| other == slot);
            assert_eq!(found, Some(slot));
        }
    }

    #[test]
    fn a_move_is_not_done_at_once_when_the_index_has_to_grow_meanwhile() {
        let mut conntrack = full_of(100_000);
        for max in [0, 1, 100_001, 1] {
            conntrack.set(Knob::Max, max).expect("a limit");
        }
        let left = |conntrack: &Conntrack| {
            conntrack
                .table
                .old_index
                .as_ref()
                .map_or(0, |(_, left)| *left)
        };
        conntrack.set(Knob::Max, 0).expect("a limit");
        let mut before = left(&conntrack);
        assert!(before > 10_000, "{before} buckets to move");
        for number in 100_000..100_500 {
            open(&mut conntrack, number);
            let now = left(&conntrack);
            assert!(before - now.min(before) <= 8, "from {before} to {now}");
            before = now;
        }
        assert_eq!(conntrack.stats().early_drop, 0);
    }
}
