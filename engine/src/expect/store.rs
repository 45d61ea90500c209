//! Where expectations are kept: by number, by what they expect, by who expects, by when they run out.
//!
//! There are few, `nf_conntrack_expect_max` at most, and a packet asks only when it would open a connection
//! and there is one at all; so ordered maps do, and nothing here is on the way of other packets.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::expectation::ExpectFlags;
use crate::table::Master;
use crate::time::Time;
use crate::tuple::{Protocol, Tuple, Zone};

/// One expectation.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) tuple: Tuple,
    /// Of the tuple's source; its destination counts in all bits.
    pub(crate) mask: Mask,
    pub(crate) master: Master,
    pub(crate) zone: Zone,
    pub(crate) deadline: Time,
    pub(crate) flags: ExpectFlags,
    pub(crate) class: u32,
    pub(crate) helper: &'static str,
    /// Whether what happens to it is told.
    pub(crate) tells: bool,
}

/// Which bits of a source count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask {
    pub(crate) src: IpAddr,
    pub(crate) src_part: u16,
}

impl Mask {
    /// Whether two sources are the same where both this and another mask have bits.
    fn covers(&self, other: &Mask, one: &Tuple, two: &Tuple) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let address = bits(self.src) & bits(other.src);
        let part = self.src_part & other.src_part;
        (bits(one.src) ^ bits(two.src)) & address == 0 && (one.src_part ^ two.src_part) & part == 0
    }
}

impl Expected {
    /// Whether a packet of that tuple and zone is what is expected.
    fn meets(&self, tuple: &Tuple, zone: Zone) -> bool {
        self.zone == zone && self.mask.covers(&self.mask, &self.tuple, tuple)
    }

    /// Whether both may expect the same packet.
    pub(crate) fn overlaps(&self, other: &Expected) -> bool {
        self.zone == other.zone && self.mask.covers(&other.mask, &self.tuple, &other.tuple)
    }

    /// Whether both expect the same for the same master.
    pub(crate) fn is_same(&self, other: &Expected) -> bool {
        self.is_of(&other.master)
            && self.tuple == other.tuple
            && self.mask == other.mask
            && self.zone == other.zone
    }

    pub(crate) const fn is_of(&self, master: &Master) -> bool {
        self.master.slot == master.slot && self.master.id == master.id
    }
}

/// What counts in all bits.
type End = (IpAddr, Protocol, u16);

const fn end(tuple: &Tuple) -> End {
    (tuple.dst, tuple.protocol, tuple.dst_part)
}

/// All expectations of a tracker.
#[derive(Debug, Default)]
pub(crate) struct Store {
    by_number: BTreeMap<u32, Expected>,
    by_end: BTreeSet<(End, u32)>,
    /// By place and id.
    by_master: BTreeSet<((u32, u32), u32)>,
    by_deadline: BTreeSet<(Time, u32)>,
    last: u32,
}

impl Store {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Expected> {
        self.by_number.get(&number)
    }

    /// The next one from a number on.
    pub(crate) fn next(&self, from: u32) -> Option<(u32, &Expected)> {
        let (number, expected) = self.by_number.range(from..).next()?;
        Some((*number, expected))
    }

    /// Those that expect something at the same destination, oldest first.
    pub(crate) fn at_end(&self, tuple: &Tuple) -> impl Iterator<Item = (u32, &Expected)> {
        let end = end(tuple);
        let range = self.by_end.range((end, 0)..=(end, u32::MAX));
        range.filter_map(|(_, number)| Some((*number, self.by_number.get(number)?)))
    }

    /// The one that expects a packet of that tuple, if `may` allows it.
    pub(crate) fn find(
        &self,
        tuple: &Tuple,
        zone: Zone,
        may: impl Fn(&Expected) -> bool,
    ) -> Option<u32> {
        let mut found = self
            .at_end(tuple)
            .filter(|(_, expected)| expected.meets(tuple, zone) && may(expected));
        found.next().map(|(number, _)| number)
    }

    /// Those of a master, oldest first.
    pub(crate) fn of(&self, master: &Master) -> Vec<u32> {
        let master = (master.slot, master.id);
        let of = self.by_master.range((master, 0)..=(master, u32::MAX));
        of.map(|(_, number)| *number).collect()
    }

    /// Puts one in. Numbers are given in order, and after the last of them from the first again.
    pub(crate) fn insert(&mut self, expected: Expected) -> u32 {
        let mut number = self.last.wrapping_add(1);
        while self.by_number.contains_key(&number) {
            number = number.wrapping_add(1);
        }
        self.last = number;
        self.by_end.insert((end(&expected.tuple), number));
        self.by_master
            .insert(((expected.master.slot, expected.master.id), number));
        self.by_deadline.insert((expected.deadline, number));
        self.by_number.insert(number, expected);
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Expected> {
        let expected = self.by_number.remove(&number)?;
        self.by_end.remove(&(end(&expected.tuple), number));
        self.by_master
            .remove(&((expected.master.slot, expected.master.id), number));
        self.by_deadline.remove(&(expected.deadline, number));
        Some(expected)
    }

    pub(crate) fn set_deadline(&mut self, number: u32, deadline: Time) {
        if let Some(expected) = self.by_number.get_mut(&number) {
            self.by_deadline.remove(&(expected.deadline, number));
            expected.deadline = deadline;
            self.by_deadline.insert((deadline, number));
        }
    }

    /// The one that runs out first.
    pub(crate) fn first_due(&self) -> Option<(Time, u32)> {
        self.by_deadline.first().copied()
    }
}
