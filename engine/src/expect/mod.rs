//! Expectations: connections that are announced in the data of others.
//!
//! *Life.* An expectation is made by hand, for a connection that has a helper (its *master*), and says which
//! connection is to come: destination in all bits, source as far as a mask says. The first packet that opens
//! such a connection fulfils it: the connection is RELATED, has the master's marks and holds the master
//! (`use=`), and the expectation is gone, unless it is permanent. Else it runs out, or ends with its
//! master, or is deleted.
//!
//! *Bounds.* A helper allows a connection so many of each class; one more takes the place of the oldest. There
//! are `nf_conntrack_expect_max` in all; one more is refused.
//!
//! *Cost.* A packet that opens a connection looks whether there is any expectation at all.
//!
//! *Invariant.* The master of each is in the table: what removes an entry removes what it expects.
//!
//! Source: netfilter-behaviour, "expectations and helpers"; the rules for requests were seen on Linux 6.18.

use alloc::borrow::ToOwned;

use crate::change::{Family, Refusal};
use crate::config::Knob;
use crate::confirm::Unconfirmed;
use crate::connection::Status;
use crate::conntrack::Conntrack;
use crate::event::Changes;
use crate::expectation::{ExpectEvent, ExpectFlags, Expectation, NewExpectation, WhichExpectation};
use crate::helper::{self, Helper};
use crate::table::Master;
use crate::time::Time;
use crate::tuple::{Direction, Tuple, Zone};

mod store;

pub(crate) use store::Store;
use store::{Expected, Mask};

/// All flags that there are.
const FLAGS: u32 = 7;

/// Expectations that one step of time removes, at most.
const EXPIRED_AT_ONCE: usize = 64;

impl Conntrack {
    /// How many expectations there are.
    pub fn expectations(&self) -> usize {
        self.expects.len()
    }

    /// Makes an expectation, or changes how long the one that is there may live.
    ///
    /// # Errors
    ///
    /// [`Exists`](Refusal::Exists): such a packet is expected already, and `exclusive`.
    /// [`NotFound`](Refusal::NotFound): it is not, and not `create`; or the master is not there.
    /// [`NotSupported`](Refusal::NotSupported): the master has no helper. [`Invalid`](Refusal::Invalid): mask or
    /// master are missing, or there is no such class or flag. [`Busy`](Refusal::Busy): some packets are expected
    /// already. [`TooMany`](Refusal::TooMany). Nothing is changed then.
    pub fn create_expectation(
        &mut self,
        new: &NewExpectation,
        create: bool,
        exclusive: bool,
        now: Time,
    ) -> Result<(), Refusal> {
        let now = self.tick(now);
        while !self.collect_expectations() {}
        match self.expects.find(&new.tuple, new.zone, |_| true) {
            Some(_) if exclusive => Err(Refusal::Exists),
            Some(number) => {
                if let Some(secs) = new.timeout {
                    let deadline = now.plus_secs(secs.into());
                    self.expects.set_deadline(number, deadline);
                }
                Ok(())
            }
            None if !create => Err(Refusal::NotFound),
            None => {
                let (expected, helper) = self.propose_expected(new, now)?;
                self.insert_expected(expected, helper)
            }
        }
    }

    fn propose_expected(
        &self,
        new: &NewExpectation,
        now: Time,
    ) -> Result<(Expected, &'static Helper), Refusal> {
        let mask = new.mask.ok_or(Refusal::Invalid)?;
        let master = new.master.ok_or(Refusal::Invalid)?;
        let (handle, _) = self.find(&master, new.zone).ok_or(Refusal::NotFound)?;
        let helper = self.helper_of(handle.slot).ok_or(Refusal::NotSupported)?;
        let class = usize::try_from(new.class)
            .ok()
            .and_then(|n| helper.classes.get(n));
        let class = class.ok_or(Refusal::Invalid)?;
        let is_family = new.tuple.src.is_ipv4() == new.tuple.dst.is_ipv4()
            && mask.src.is_ipv4() == new.tuple.src.is_ipv4();
        if new.flags.0 & !FLAGS != 0 || !is_family {
            return Err(Refusal::Invalid);
        }
        let expected = Expected {
            tuple: new.tuple,
            mask: Mask {
                src: mask.src,
                src_part: mask.src_part,
            },
            master: self.master(handle.slot),
            zone: new.zone,
            deadline: now.plus_secs(class.secs.into()),
            // Only a helper outside can make one that is a helper's outside.
            flags: ExpectFlags(new.flags.0 & !ExpectFlags::USERSPACE.0),
            class: new.class,
            helper: helper.name,
            tells: self.table.slab[handle.slot].has(crate::entry::Entry::EVENTS),
        };
        Ok((expected, helper))
    }

    fn helper_of(&self, slot: u32) -> Option<&'static Helper> {
        let name = self.table.extra(slot)?.helper.as_deref()?;
        let tuple = self.table.tuple(slot, Direction::Original);
        helper::find(name, tuple.protocol, Family::of(&tuple))
    }

    fn insert_expected(
        &mut self,
        expected: Expected,
        helper: &'static Helper,
    ) -> Result<(), Refusal> {
        let replaced = self.gives_way(&expected, helper)?;
        let left = self.expects.len() - usize::from(replaced.is_some());
        let most = usize::try_from(self.config.get(Knob::ExpectMax)).unwrap_or(0);
        if left >= most {
            return Err(Refusal::TooMany);
        }
        if let Some(number) = replaced {
            self.end_expectation(number);
        }
        let slot = expected.master.slot;
        let number = self.expects.insert(expected);
        self.stats.expect_create += 1;
        let extra = self.table.extra_mut(slot);
        extra.expects = extra.expects.saturating_add(1);
        self.tell_expectation(number, true);
        Ok(())
    }

    /// The expectation that makes place for another one, if there has to be one.
    fn gives_way(&self, expected: &Expected, helper: &Helper) -> Result<Option<u32>, Refusal> {
        let mut at_end = self.expects.at_end(&expected.tuple);
        match at_end.find(|(_, other)| other.overlaps(expected)) {
            None => Ok(self.one_too_many(expected, helper)),
            Some((_, other)) if !other.is_same(expected) => Err(Refusal::Busy),
            Some((_, other)) if other.class != expected.class => Err(Refusal::Already),
            Some((number, _)) => Ok(Some(number)),
        }
    }

    /// The oldest of the master's expectations of that class, if it may not have one more.
    fn one_too_many(&self, expected: &Expected, helper: &Helper) -> Option<u32> {
        let class = usize::try_from(expected.class).ok()?;
        let most = helper.classes.get(class)?.most as usize;
        let of_class = |number: &u32| {
            let other = self.expects.get(*number);
            other.is_some_and(|other| other.class == expected.class)
        };
        let mut of_master = self.expects.of(&expected.master);
        of_master.retain(of_class);
        of_master
            .first()
            .copied()
            .filter(|_| of_master.len() >= most)
    }

    /// What a new connection is because it was expected.
    #[inline(never)]
    pub(crate) fn fulfil(&mut self, tuple: &Tuple, zone: Zone, new: &mut Unconfirmed) {
        let now = self.now;
        let is_active = |expected: &Expected| {
            !expected.flags.has(ExpectFlags::INACTIVE) && expected.deadline > now
        };
        let Some(number) = self.expects.find(tuple, zone, is_active) else {
            return;
        };
        let Some(expected) = self.expects.get(number) else {
            return;
        };
        let (master, flags) = (expected.master, expected.flags);
        if !self.is_alive(master.slot) {
            return;
        }
        let secmark = self
            .table
            .extra(master.slot)
            .map_or(0, |extra| extra.secmark);
        new.entry.mark = self.table.slab[master.slot].mark;
        new.entry.set(Status::EXPECTED);
        let extra = new.extra.get_or_insert_default();
        extra.master = Some(master);
        extra.secmark = secmark;
        new.changes.add(Changes::RELATED);
        self.stats.expect_new += 1;
        if !flags.has(ExpectFlags::PERMANENT) {
            self.end_expectation(number);
        }
    }

    /// Removes one and tells it.
    fn end_expectation(&mut self, number: u32) {
        self.tell_expectation(number, false);
        let Some(expected) = self.expects.remove(number) else {
            return;
        };
        self.stats.expect_delete += 1;
        let extra = self.table.extra_mut(expected.master.slot);
        extra.expects = extra.expects.saturating_sub(1);
    }

    /// Before an entry goes: what it expects goes with it, the newest first.
    pub(crate) fn end_expectations_of(&mut self, master: &Master) {
        for number in self.expects.of(master).into_iter().rev() {
            self.end_expectation(number);
        }
    }

    /// Removes expectations that ran out. Returns whether that was all.
    pub(crate) fn collect_expectations(&mut self) -> bool {
        for _ in 0..EXPIRED_AT_ONCE {
            match self.expects.first_due() {
                Some((deadline, number)) if deadline <= self.now => self.end_expectation(number),
                _ => return true,
            }
        }
        false
    }

    fn expectation(&self, number: u32, expected: &Expected) -> Expectation {
        let Mask { src, src_part } = expected.mask;
        let dst = match src.is_ipv4() {
            true => [u8::MAX; 4].into(),
            false => [u8::MAX; 16].into(),
        };
        Expectation {
            id: self.table.hasher.words(number.into(), u64::MAX) as u32,
            tuple: expected.tuple,
            mask: Tuple {
                src,
                dst,
                protocol: expected.tuple.protocol,
                src_part,
                dst_part: u16::MAX,
            },
            master: expected.master.tuple,
            zone: expected.zone,
            timeout: Some(expected.deadline.secs_since(self.now)),
            flags: expected.flags,
            class: expected.class,
            helper: Some(expected.helper.to_owned()),
        }
    }

    fn tell_expectation(&mut self, number: u32, is_new: bool) {
        let Some(expected) = self.expects.get(number).filter(|expected| expected.tells) else {
            return;
        };
        if self.event_capacity == 0 {
            return;
        }
        if self.expect_events.len() >= self.event_capacity {
            self.stats.events_lost += 1;
            return;
        }
        let expectation = self.expectation(number, expected);
        self.expect_events.push_back(ExpectEvent {
            is_new,
            time: self.now,
            expectation,
        });
    }

    /// The oldest event about expectations that was not read yet.
    pub fn poll_expect_event(&mut self) -> Option<ExpectEvent> {
        self.expect_events.pop_front()
    }

    /// Hands `each` up to `most` expectations from `cursor` on, 0 being the beginning. Returns where to go on;
    /// `None` at the end.
    pub fn expectations_from(
        &self,
        cursor: u32,
        most: u32,
        mut each: impl FnMut(Expectation),
    ) -> Option<u32> {
        let mut from = cursor;
        for _ in 0..most.max(1) {
            let (number, expected) = self.expects.next(from)?;
            if expected.deadline > self.now {
                each(self.expectation(number, expected));
            }
            from = number.checked_add(1)?;
        }
        self.expects.next(from).map(|(number, _)| number)
    }

    /// The expectation that is meant.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn find_expectation(&self, which: &WhichExpectation) -> Result<Expectation, Refusal> {
        self.seek_expectation(which).map(|(_, found)| found)
    }

    fn seek_expectation(&self, which: &WhichExpectation) -> Result<(u32, Expectation), Refusal> {
        let found = self.expects.find(&which.tuple, which.zone, |_| true);
        let number = found.ok_or(Refusal::NotFound)?;
        let expected = self.expects.get(number).ok_or(Refusal::NotFound)?;
        let expectation = self.expectation(number, expected);
        match which.id.is_none_or(|id| id == expectation.id) {
            true => Ok((number, expectation)),
            false => Err(Refusal::NotFound),
        }
    }

    /// Deletes the expectation that is meant.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn delete_expectation(&mut self, which: &WhichExpectation) -> Result<(), Refusal> {
        let (number, _) = self.seek_expectation(which)?;
        self.end_expectation(number);
        Ok(())
    }

    /// Deletes all expectations, or those of a helper.
    pub fn flush_expectations(&mut self, helper: Option<&str>) {
        let mut from = 0;
        while let Some((number, expected)) = self.expects.next(from) {
            if helper.is_none_or(|helper| helper == expected.helper) {
                self.end_expectation(number);
            }
            let Some(next) = number.checked_add(1) else {
                return;
            };
            from = next;
        }
    }
}
