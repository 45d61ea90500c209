//! Connections and those that they expected: who counts as held by whom (`use=`).
//!
//! A child knows its master by place and id, so that it does not matter whether that ended before; it tells
//! its master's tuple all its life, as in Linux, where the master's entry is kept for that.

use alloc::vec::Vec;

use crate::conntrack::Conntrack;
use crate::table::Master;

impl Conntrack {
    fn is_there(&self, master: &Master) -> bool {
        let is_used = self.table.slab.get(master.slot).is_some();
        is_used && self.table.id(master.slot) == master.id
    }

    /// A child was put in.
    pub(crate) fn join_family(&mut self, child: u32) {
        let Some(master) = self.table.extra(child).and_then(|extra| extra.master) else {
            return;
        };
        if self.is_there(&master) {
            let extra = self.table.extra_mut(master.slot);
            extra.children = extra.children.saturating_add(1);
        }
    }

    /// After entries were given back: brings children and masters together. A child whose master ended is
    /// left as it is. Takes as long as there are entries with something rare about them.
    pub fn reunite(&mut self) {
        let children: Vec<u32> = self.table.with_extras().collect();
        for child in children {
            let master = self.table.extra(child).and_then(|extra| extra.master);
            let Some(master) = master.filter(|master| !self.is_there(master)) else {
                continue;
            };
            let zone = self.table.zone(child);
            if let Some((handle, _)) = self.find(&master.tuple, zone) {
                self.table.extra_mut(child).master = Some(self.master(handle.slot));
                self.join_family(child);
            }
        }
    }

    /// An entry with something in the extras goes.
    #[inline(never)]
    pub(crate) fn leave_family(&mut self, slot: u32) {
        if self
            .table
            .extra(slot)
            .is_some_and(|extra| extra.expects > 0)
        {
            self.end_expectations_of(&self.master(slot));
        }
        let Some(master) = self.table.extra(slot).and_then(|extra| extra.master) else {
            return;
        };
        if self.is_there(&master) {
            let extra = self.table.extra_mut(master.slot);
            extra.children = extra.children.saturating_sub(1);
        }
    }
}
