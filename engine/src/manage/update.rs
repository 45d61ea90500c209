//! Entries changed by hand, as ctnetlink changes them.
//!
//! *Checked first, then done.* Linux changes one thing after the other, and what it refuses in the
//! middle leaves the first half done and told to nobody. Here nothing is done unless all of it can be. The
//! order of the checks is Linux's, so that the same request is refused for the same reason.

use alloc::string::String;

use super::{BY_HAND, Conntrack};
use crate::change::{Change, Family, Refusal};
use crate::connection::Status;
use crate::conntrack::Handle;
use crate::event::EventKind;
use crate::time::Time;
use crate::tuple::Direction;

/// Status bits that can be set by hand. None can be taken away again, and others are left as they are.
pub(super) const SETTABLE: Status = Status::SEEN_REPLY
    .with(Status::ASSURED)
    .with(Status::FIXED_TIMEOUT)
    .with(Status::HELPER);

/// Bits that cannot be other than they are.
const UNCHANGEABLE: Status = Status::EXPECTED.with(Status::CONFIRMED).with(Status::DYING);

/// Bits that cannot be taken away.
const KEPT: Status = Status::SEEN_REPLY.with(Status::ASSURED);

/// Whether an entry of that status can be told to have another.
pub(super) const fn check_status(old: Status, new: Status) -> Result<(), Refusal> {
    let changed = old.0 ^ new.0;
    let is_lost = changed & KEPT.0 & old.0 != 0;
    match changed & UNCHANGEABLE.0 != 0 || is_lost {
        true => Err(Refusal::Busy),
        false => Ok(()),
    }
}

impl Conntrack {
    /// The entry that a change is about: that of the original tuple, or of the reply tuple if only that is
    /// given.
    pub(super) fn find_changed(&self, change: &Change) -> Option<Handle> {
        let tuple = change.original.or(change.reply)?;
        self.find(&tuple, change.zone).map(|(handle, _)| handle)
    }

    /// Changes an entry. It is told as one event, whatever changed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Refusal::NotFound). [`Busy`](Refusal::Busy): the status may not become that, or the entry
    /// has another helper. [`Fixed`](Refusal::Fixed): its time may not be changed.
    /// [`NotSupported`](Refusal::NotSupported): translation, a master, a helper that does not exist or that it
    /// was not made with. [`OutOfRange`](Refusal::OutOfRange), [`Invalid`](Refusal::Invalid): no such state.
    /// Nothing is changed then.
    pub fn update(&mut self, change: &Change, now: Time) -> Result<Handle, Refusal> {
        let now = self.tick(now);
        let handle = self.find_changed(change).ok_or(Refusal::NotFound)?;
        self.check(handle.slot, change)?;
        self.apply(handle.slot, change, now);
        Ok(handle)
    }

    fn check(&self, slot: u32, change: &Change) -> Result<(), Refusal> {
        if change.src_nat.is_some() || change.dst_nat.is_some() || change.master.is_some() {
            return Err(Refusal::NotSupported);
        }
        if let Some(helper) = &change.helper {
            self.check_helper(slot, helper)?;
        }
        let entry = &self.table.slab[slot];
        if change.timeout.is_some() && entry.status.has(Status::FIXED_TIMEOUT) {
            return Err(Refusal::Fixed);
        }
        if let Some(status) = change.status {
            check_status(entry.status, status)?;
        }
        match &change.state {
            Some(state) => entry.proto.check_change(state),
            None => Ok(()),
        }
    }

    /// A helper can be taken away, and the one that is there be named again.
    fn check_helper(&self, slot: u32, name: &str) -> Result<(), Refusal> {
        if name.is_empty() {
            return Ok(());
        }
        let tuple = self.table.tuple(slot, Direction::Original);
        let exists = crate::helper::find(name, tuple.protocol, Family::of(&tuple)).is_some();
        let helper = self
            .table
            .extra(slot)
            .and_then(|extra| extra.helper.as_ref());
        match helper {
            None => Err(Refusal::NotSupported),
            Some(_) if !exists => Err(Refusal::NotSupported),
            Some(present) if present == name => Ok(()),
            Some(_) => Err(Refusal::Busy),
        }
    }

    fn apply(&mut self, slot: u32, change: &Change, now: Time) {
        let has_helper = self
            .table
            .extra(slot)
            .is_some_and(|extra| extra.helper.is_some());
        if has_helper && change.helper.as_ref().is_some_and(String::is_empty) {
            self.table.extra_mut(slot).helper = Some(String::new());
        }
        if let Some(timeout) = change.timeout {
            self.table.prolong(slot, now, super::create::secs(timeout));
        }
        let entry = &mut self.table.slab[slot];
        if let Some(status) = change.status {
            entry.set(Status(status.0 & SETTABLE.0));
        }
        if let Some(state) = &change.state {
            entry.proto.change(state);
        }
        if let Some(mark) = change.mark {
            entry.mark = entry.mark & !mark.mask ^ mark.value;
        }
        if let Some(labels) = change.labels {
            let extra = self.table.extra_mut(slot);
            extra.labels = extra.labels & !labels.mask ^ labels.value;
        }
        self.table.classify(slot);
        self.emit(EventKind::Update, BY_HAND, slot);
    }
}
