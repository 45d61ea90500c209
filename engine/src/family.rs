//! Connections and those that they expected: who counts as held by whom (`use=`).
//!
//! A child knows its master by place and id, so that it does not matter whether that ended before; it tells
//! its master's tuple all its life, as in Linux, where the master's entry is kept for that.

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

    /// An entry with something in the extras goes.
    #[inline(never)]
    pub(crate) fn leave_family(&mut self, slot: u32) {
        let Some(master) = self.table.extra(slot).and_then(|extra| extra.master) else {
            return;
        };
        if self.is_there(&master) {
            let extra = self.table.extra_mut(master.slot);
            extra.children = extra.children.saturating_sub(1);
        }
    }
}
