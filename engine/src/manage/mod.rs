//! Reading and changing a table by hand: listings, marks, deletions, knobs.
//!
//! - `find.rs`: one entry by its tuple, all of them in bounded steps;
//! - `create.rs`, `update.rs`: entries made and changed, by ctnetlink's rules.

mod create;
mod find;
mod update;

use crate::config::{Config, ConfigError, Knob};
use crate::connection::Connection;
use crate::conntrack::{Conntrack, Handle, limit};
use crate::event::{Cause, Changes, Event, EventKind};
use crate::stats::Stats;
use crate::time::Time;
use crate::tuple::{Direction, Tuple, Zone};

/// What is told to have changed when something is done by hand: whatever may have.
const BY_HAND: Changes = Changes(
    Changes::REPLY.0
        | Changes::ASSURED.0
        | Changes::PROTOINFO.0
        | Changes::HELPER.0
        | Changes::MARK.0
        | Changes::LABEL.0,
);

impl Conntrack {
    /// The knobs.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Sets a knob. A new limit or number of buckets takes effect at once, and the table is rebuilt
    /// in small steps by the calls that follow. Entries above a lowered limit stay until they end.
    /// A limit that is [shared](crate::Limit) is set for all who share it.
    ///
    /// # Errors
    ///
    /// The value is out of bounds or the knob is read only; nothing is changed then.
    pub fn set(&mut self, knob: Knob, value: i64) -> Result<(), ConfigError> {
        self.config.set(knob, value)?;
        if knob == Knob::Max {
            self.share.limit().set(limit(&self.config));
        }
        if matches!(knob, Knob::Max | Knob::Buckets) {
            self.make_room();
        }
        Ok(())
    }

    /// What was counted.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The latest time told.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Entries in the table, those included that ran out and are not collected yet: the number that
    /// is held against the limit.
    pub const fn len(&self) -> usize {
        self.table.len() as usize
    }

    /// Whether the table is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buckets of the hash index, of eight places each.
    pub fn buckets(&self) -> usize {
        self.table.buckets()
    }

    /// All connections that have not run out, in the order of their places in the table.
    pub fn connections(&self) -> impl Iterator<Item = Connection> + '_ {
        let slots = (0..self.table.slab.used()).filter(|slot| self.is_alive(*slot));
        slots.map(|slot| self.table.connection(slot, self.now))
    }

    /// When the connections that have not run out will do so, in the order of
    /// [`connections`](Conntrack::connections).
    pub fn deadlines(&self) -> impl Iterator<Item = Time> + '_ {
        let slots = (0..self.table.slab.used()).filter(|slot| self.is_alive(*slot));
        slots.map(|slot| self.table.slab[slot].deadline)
    }

    pub(crate) fn is_alive(&self, slot: u32) -> bool {
        let entry = self.table.slab.get(slot);
        entry.is_some_and(|entry| entry.deadline > self.now)
    }

    fn slot(&self, handle: Handle) -> Option<u32> {
        let is_it = self.is_alive(handle.slot) && self.handle(handle.slot) == handle;
        is_it.then_some(handle.slot)
    }

    /// One connection, while it lives.
    pub fn get(&self, handle: Handle) -> Option<Connection> {
        Some(self.table.connection(self.slot(handle)?, self.now))
    }

    /// A connection's mark, while it lives.
    pub fn mark(&self, handle: Handle) -> Option<u32> {
        Some(self.table.slab[self.slot(handle)?].mark)
    }

    /// The connection that has `tuple` in either direction, and the direction.
    pub fn find(&self, tuple: &Tuple, zone: Zone) -> Option<(Handle, Direction)> {
        let parts = (tuple.src_part, tuple.dst_part);
        let addresses = tuple.addresses()?;
        let ids = [
            zone.id_of(Direction::Original),
            zone.id_of(Direction::Reply),
        ];
        ids.into_iter().find_map(|id| {
            let hasher = &self.table.hasher;
            let probe = hasher.probe(addresses, tuple.protocol, parts, id);
            let (slot, direction) = self.table.find_in(zone, &probe)?;
            self.is_alive(slot).then(|| (self.handle(slot), direction))
        })
    }

    /// Sets a connection's mark. Returns whether the connection is there.
    pub fn set_mark(&mut self, handle: Handle, mark: u32) -> bool {
        self.change(handle, Changes::MARK, |conntrack, slot| {
            conntrack.table.slab[slot].mark = mark;
        })
    }

    /// Sets a connection's security mark. Returns whether the connection is there.
    pub fn set_secmark(&mut self, handle: Handle, secmark: u32) -> bool {
        self.change(handle, Changes::SECMARK, |conntrack, slot| {
            conntrack.table.extra_mut(slot).secmark = secmark;
        })
    }

    /// Sets a connection's 128 labels. Returns whether the connection is there.
    pub fn set_labels(&mut self, handle: Handle, labels: u128) -> bool {
        self.change(handle, Changes::LABEL, |conntrack, slot| {
            conntrack.table.extra_mut(slot).labels = labels;
        })
    }

    fn change(
        &mut self,
        handle: Handle,
        changes: Changes,
        change: impl FnOnce(&mut Conntrack, u32),
    ) -> bool {
        let Some(slot) = self.slot(handle) else {
            return false;
        };
        change(self, slot);
        self.emit(EventKind::Update, changes, slot);
        true
    }

    /// Deletes a connection. Returns whether it was there.
    pub fn delete(&mut self, handle: Handle) -> bool {
        let slot = self.slot(handle);
        if let Some(slot) = slot {
            self.remove(slot, Cause::Deleted);
        }
        slot.is_some()
    }

    /// Deletes everything.
    pub fn flush(&mut self) {
        for slot in 0..self.table.slab.used() {
            if self.table.slab.get(slot).is_some() {
                self.remove(slot, Cause::Flushed);
            }
        }
    }

    /// Starts telling events, of which up to `capacity` are kept until they are read; 0 stops it.
    ///
    /// With `nf_conntrack_events` at 2, connections opened before this tell nothing all their lives.
    pub fn set_event_capacity(&mut self, capacity: usize) {
        self.event_capacity = capacity;
        if capacity > 0 {
            self.stats.events_lost += self.events.len().saturating_sub(capacity) as u64;
        }
        self.events.truncate(capacity);
        self.expect_events.truncate(capacity);
    }

    /// The oldest event that was not read yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
