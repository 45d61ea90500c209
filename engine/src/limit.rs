//! The limit on entries, which one tracker has for itself or several share.
//!
//! *Places.* A limit is a number of places. A shard takes them in *grants* of up to 64, fills them one by
//! one, and gives back what it does not need: a grant when it has two to spare, and what it can do
//! without when nothing is left for the others. A packet of a known connection has no business here. A
//! new one looks at the line of memory that all shards share, and each grant is one atomic operation.
//!
//! *Invariants.* The places that shards hold are never more than the limit was when they were taken, and
//! no shard has more entries than it holds places: the entries of all shards together are never
//! above the limit. Lowering it makes none go; until the places held fit it again, no shard takes
//! one, nor fills one that it held before.
//!
//! *Too early.* A shard that finds nothing left evicts or refuses although the others may hold empty
//! places: 2 × grant each at most, which is up to 128, and up to 1/512 of the limit (2 where that is less).
//!
//! *A flood on one shard.* Each shard evicts only its own entries. One that holds less than its *part*
//! (the limit divided by the shards), or that has nothing to evict, asks; those that hold more than
//! their part then evict for it when they next advance, 64 at a time, and what comes back is left to who
//! asked. So a shard without traffic leaves its part to the others, and has it back when it needs it,
//! but for entries that are ASSURED. It asks while it still has one place, so that it need not refuse
//! meanwhile.
//!
//! *Order.* The limit and what is taken are read and written in one order for all threads (`SeqCst`), so
//! that a grant that crosses a change of the limit sees it afterwards, and is given back. What is asked
//! for is a hint, and nothing that must hold rests on it.

use alloc::sync::Arc;
use core::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use crate::config::{Config, Knob};
use crate::conntrack::{Conntrack, places};
use crate::event::Cause;

/// Places taken at once, and entries evicted for others at once, at most.
const GRANT_MAX: u32 = 64;

/// A grant is at most this part of the limit.
const GRANTS: u32 = 1024;

/// `nf_conntrack_max` as several trackers share it: their entries together are never more.
///
/// It is a handle: its clones, and the trackers that
/// [`Conntrack::with_limit`](crate::Conntrack::with_limit) makes with it, all mean the same limit. A
/// tracker that is dropped gives its places back.
///
/// A tracker takes places in grants: a 1024th of the limit, but 1 at least and 64 at most. It may
/// evict or refuse for want of a place while each other one holds up to two grants of empty ones; then
/// those others give up what they do not need, and entries beyond their part of the limit, at
/// their next [`advance`](crate::Conntrack::advance).
#[derive(Clone, Debug)]
pub struct Limit(Arc<Pool>);

/// Two cache lines for itself, since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Pool {
    /// As many as there may be; `u32::MAX` is no limit.
    places: AtomicU32,
    /// Places that shards hold.
    taken: AtomicU32,
    /// Places that shards ask others for.
    asked: AtomicU32,
    shards: u32,
}

impl Limit {
    /// A limit of `max` entries, 0 for none, that `shards` trackers will share.
    ///
    /// Any number of trackers may, but each counts on that part of it.
    pub fn new(max: u32, shards: usize) -> Limit {
        let limit = Limit(Arc::new(Pool {
            places: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            shards: u32::try_from(shards).unwrap_or(u32::MAX).max(1),
        }));
        limit.set(max);
        limit
    }

    /// The most entries; 0 is no limit.
    pub fn max(&self) -> u32 {
        match self.places() {
            u32::MAX => 0,
            places => places,
        }
    }

    /// Changes the most entries; 0 is no limit, and more than 2,147,483,647 is that. Trackers see it at
    /// once; their `nf_conntrack_max` shows it after their next
    /// [`advance`](crate::Conntrack::advance). If it is lowered, entries above it stay until they end.
    pub fn set(&self, max: u32) {
        let places = match max {
            0 => u32::MAX,
            max => max.min(i32::MAX as u32),
        };
        self.0.places.store(places, SeqCst);
    }

    /// The trackers that it was made for.
    pub fn shards(&self) -> usize {
        self.0.shards as usize
    }

    /// Places that trackers hold, empty ones included: at least as many as there are entries.
    pub fn taken(&self) -> u32 {
        self.0.taken.load(SeqCst)
    }

    fn places(&self) -> u32 {
        self.0.places.load(SeqCst)
    }

    fn grant(&self) -> u32 {
        (self.places() / GRANTS).clamp(1, GRANT_MAX)
    }

    fn is_overdrawn(&self) -> bool {
        self.taken() > self.places()
    }

    /// Places that nobody holds.
    fn left(&self) -> u32 {
        self.places().saturating_sub(self.taken())
    }
}

/// What one shard has of a limit.
#[derive(Debug)]
pub(crate) struct Share {
    limit: Limit,
    /// Places that it holds; its entries are never more.
    held: u32,
    /// Places that it asks others for.
    asked: u32,
}

impl Share {
    /// A share that begins with a grant, if there is one.
    pub(crate) fn of(limit: &Limit) -> Share {
        let mut share = Share {
            limit: limit.clone(),
            held: 0,
            asked: 0,
        };
        share.take(false);
        share
    }

    pub(crate) const fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Whether one more entry than `len` fits. At the last place in hand more are taken, or asked for.
    #[inline]
    pub(crate) fn has_place(&mut self, len: u32, has_victim: impl Fn() -> bool) -> bool {
        if self.limit.is_overdrawn() {
            self.give_back(self.empty(len));
        }
        while self.empty(len) <= 1 {
            let may_ask = self.may_ask(&has_victim);
            let is_vain = !may_ask && self.limit.left() == 0;
            if is_vain || !self.take(may_ask) {
                break;
            }
        }
        self.empty(len) > 0
    }

    /// Whether others shall evict for this shard: it has less than its part, or nothing to evict itself.
    #[inline]
    fn may_ask(&self, has_victim: impl Fn() -> bool) -> bool {
        let held_by_all = u64::from(self.held) * u64::from(self.limit.0.shards);
        held_by_all < u64::from(self.limit.places()) || !has_victim()
    }

    const fn empty(&self, len: u32) -> u32 {
        self.held.saturating_sub(len)
    }

    /// Takes a grant, or asks for one where there is none.
    #[inline(never)]
    fn take(&mut self, may_ask: bool) -> bool {
        let Pool { taken, asked, .. } = &*self.limit.0;
        let left_to_others = match may_ask {
            true => 0,
            false => asked.load(Relaxed).saturating_sub(self.asked),
        };
        let takes = |taken: u32| {
            let left = self.limit.places().saturating_sub(taken);
            left.saturating_sub(left_to_others).min(self.limit.grant())
        };
        let mut grant = 0;
        let granted = taken.fetch_update(SeqCst, SeqCst, |taken| {
            grant = takes(taken);
            (grant > 0).then_some(taken + grant)
        });
        if granted.is_err() {
            self.ask(if may_ask { self.limit.grant() } else { 0 });
            return false;
        }
        self.held += grant;
        self.ask(0);
        if self.limit.is_overdrawn() {
            self.give_back(grant);
            return false;
        }
        true
    }

    /// Asks the others for that many places in all, instead of for as many as before.
    fn ask(&mut self, places: u32) {
        if places != self.asked {
            let more = places.wrapping_sub(self.asked);
            self.limit.0.asked.fetch_add(more, Relaxed);
            self.asked = places;
        }
    }

    fn give_back(&mut self, places: u32) {
        if places > 0 {
            self.held -= places;
            self.limit.0.taken.fetch_sub(places, SeqCst);
        }
    }

    /// After an entry went: asks for nothing, and gives back a grant if there are two to spare.
    #[inline]
    pub(crate) fn spare(&mut self, len: u32) {
        if self.empty(len) > 1 {
            self.ask(0);
        }
        let grant = self.limit.grant();
        if self.empty(len) >= 2 * grant {
            self.give_back(grant);
        }
    }

    /// Gives back what is too much, and if nothing is left for the others, what this shard can do without.
    fn settle(&mut self, len: u32) {
        let grant = self.limit.grant();
        let asked = self.limit.0.asked.load(Relaxed);
        let others_ask = asked > self.asked;
        let kept = match self.limit.left() > asked {
            true => 2 * grant - 1,
            false if others_ask && self.beyond_its_part() > 0 => 0,
            false => grant,
        };
        self.give_back(self.empty(len).saturating_sub(kept));
    }

    /// Places held beyond the part that is this shard's in any case.
    fn beyond_its_part(&self) -> u32 {
        self.held
            .saturating_sub(self.limit.places() / self.limit.0.shards)
    }

    /// Entries that this shard should evict because others ask for places.
    fn owed(&self) -> u32 {
        let asked = self.limit.0.asked.load(Relaxed);
        if asked == 0 || self.asked > 0 {
            return 0;
        }
        let (places, taken) = (self.limit.places(), self.limit.taken());
        let missing = taken.saturating_add(asked).saturating_sub(places);
        missing.min(self.beyond_its_part()).min(GRANT_MAX)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ask(0);
        self.give_back(self.held);
    }
}

/// Entries and places in the index for which each shard has room from the start: its part of both.
pub(crate) fn part(limit: &Limit, config: &Config) -> (u32, usize) {
    let shards = limit.0.shards;
    let max = limit.max().div_ceil(shards);
    (max, places(config).div_ceil(limit.shards()))
}

impl Conntrack {
    /// Does what follows from a limit that others share, at each step of time: takes over a change, gets
    /// memory, and gives up places that are not needed or asked for.
    pub(crate) fn share_places(&mut self) {
        let max = i64::from(self.share.limit.max());
        if max != self.config.get(Knob::Max) && self.config.set(Knob::Max, max).is_ok() {
            self.make_room();
        }
        if self.share.asked > 0 {
            let may_ask = self.share.may_ask(|| self.table.has_victim());
            self.share.take(may_ask);
        }
        self.share.settle(self.table.len());
        self.evict_for_others(self.share.owed());
        if self.share.limit.0.shards > 1 {
            self.table.slab.want_another();
        }
    }

    fn evict_for_others(&mut self, entries: u32) {
        if entries == 0 {
            return;
        }
        for _ in 0..entries {
            let Some(victim) = self.table.victim() else {
                break;
            };
            self.remove(victim, Cause::EarlyDrop);
        }
        self.share.settle(self.table.len());
    }

    /// Wants memory for this shard's part of the limit, and an index for that or what it has.
    pub(crate) fn make_room(&mut self) {
        let (max, places) = part(&self.share.limit, &self.config);
        self.table.reserve(max, places);
    }
}
