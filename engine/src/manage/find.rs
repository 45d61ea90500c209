//! Finding entries, and walking through all of them a bounded number at a time.
//!
//! *A cursor* is the number of a place in the table, 0 to begin with. An entry keeps its place all its life,
//! so a walk in steps meets each entry that lives through all of it exactly once, whatever else comes and
//! goes between the steps.

use super::Conntrack;
use crate::change::{Family, Filter, Refusal, Which};
use crate::connection::{Connection, Counters};
use crate::conntrack::Handle;
use crate::event::Cause;

impl Conntrack {
    /// The entry that is meant. Linux looks at the id only when it deletes, and so does this.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn find_entry(&self, which: &Which) -> Result<Handle, Refusal> {
        let found = self.find(&which.tuple, which.zone);
        found.map(|(handle, _)| handle).ok_or(Refusal::NotFound)
    }

    /// The entry that is meant, as an answer tells it: whoever asks holds it, too (`use=2`).
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn answer(&self, which: &Which) -> Result<Connection, Refusal> {
        let handle = self.find_entry(which)?;
        let mut connection = self.get(handle).ok_or(Refusal::NotFound)?;
        connection.uses = connection.uses.saturating_add(1);
        Ok(connection)
    }

    /// Deletes the entry that is meant, if it has the id that is meant.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn delete_entry(&mut self, which: &Which) -> Result<(), Refusal> {
        let handle = self.find_entry(which)?;
        let is_it = which.id.is_none_or(|id| id == self.table.id(handle.slot));
        match is_it && self.delete(handle) {
            true => Ok(()),
            false => Err(Refusal::NotFound),
        }
    }

    /// Hands `each` the entries that are in the places from `cursor` on, looking at no more than `most`
    /// places. Returns where to go on; `None` at the end.
    pub fn connections_from(
        &self,
        cursor: u32,
        most: u32,
        mut each: impl FnMut(Connection),
    ) -> Option<u32> {
        let (places, next) = self.places(cursor, most);
        for slot in places.filter(|slot| self.is_alive(*slot)) {
            each(self.table.connection(slot, self.now));
        }
        next
    }

    /// As [`connections_from`](Conntrack::connections_from), for entries that the filter means; each
    /// begins to count anew after it was handed over.
    pub fn zero_from(
        &mut self,
        cursor: u32,
        most: u32,
        filter: &Filter,
        mut each: impl FnMut(Connection),
    ) -> Option<u32> {
        let (places, next) = self.places(cursor, most);
        for slot in places {
            if let Some(connection) = self.meant(slot, filter) {
                self.table.slab[slot].counters = [Counters::default(); 2];
                each(connection);
            }
        }
        next
    }

    /// The entry that is meant, which begins to count anew.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn zero(&mut self, which: &Which) -> Result<Connection, Refusal> {
        let connection = self.answer(which)?;
        let handle = self.find_entry(which)?;
        self.table.slab[handle.slot].counters = [Counters::default(); 2];
        Ok(connection)
    }

    /// Deletes the entries that the filter means from `cursor` on, looking at no more than `most` places.
    /// Returns where to go on; `None` at the end.
    pub fn flush_from(&mut self, cursor: u32, most: u32, filter: &Filter) -> Option<u32> {
        let (places, next) = self.places(cursor, most);
        for slot in places {
            let is_meant = match filter.is_empty() {
                true => self.table.slab.get(slot).is_some(),
                false => self.meant(slot, filter).is_some(),
            };
            if is_meant {
                self.remove(slot, Cause::Flushed);
            }
        }
        next
    }

    /// The places of one step, and where the next one begins.
    pub(crate) fn places(&self, cursor: u32, most: u32) -> (core::ops::Range<u32>, Option<u32>) {
        let used = self.table.slab.used();
        let end = cursor.saturating_add(most.max(1)).min(used);
        (cursor..end, (end < used).then_some(end))
    }

    fn meant(&self, slot: u32, filter: &Filter) -> Option<Connection> {
        if !self.is_alive(slot) || !self.is_of_family(slot, filter.family) {
            return None;
        }
        let connection = self.table.connection(slot, self.now);
        filter.matches(&connection).then_some(connection)
    }

    fn is_of_family(&self, slot: u32, family: Option<Family>) -> bool {
        let is_v6 = self.table.key(slot).wide.is_some();
        family.is_none_or(|family| (family == Family::V6) == is_v6)
    }
}
