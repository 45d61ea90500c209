//! An expectation as the outside sees it: a connection that is announced in the data of another.

use alloc::string::String;

use crate::time::Time;
use crate::tuple::{Tuple, Zone};

/// Flags of an expectation, with the numbers that ctnetlink gives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ExpectFlags(pub u32);

impl ExpectFlags {
    /// The connection that fulfils it leaves it in place.
    pub const PERMANENT: ExpectFlags = ExpectFlags(1);
    /// Nothing fulfils it yet.
    pub const INACTIVE: ExpectFlags = ExpectFlags(2);
    /// Made by a helper outside of the tracker.
    pub const USERSPACE: ExpectFlags = ExpectFlags(4);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: ExpectFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A copy of one expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// Stable for its life.
    pub id: u32,
    /// The original tuple of the connection that is expected.
    pub tuple: Tuple,
    /// Which bits of that count: source address and source part may be left open, all others count.
    pub mask: Tuple,
    /// The original tuple of the connection that expects it.
    pub master: Tuple,
    /// The zone of both.
    pub zone: Zone,
    /// Whole seconds to expiry; `None` if it does not run out.
    pub timeout: Option<u64>,
    /// Flags.
    pub flags: ExpectFlags,
    /// The class, of those that the helper has.
    pub class: u32,
    /// The helper's name.
    pub helper: Option<String>,
}

/// What happened to an expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectEvent {
    /// It was made; else it ended.
    pub is_new: bool,
    /// When.
    pub time: Time,
    /// The expectation as it was then.
    pub expectation: Expectation,
}

/// Which expectation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WhichExpectation {
    /// A tuple that it expects: one that differs only where its mask leaves it open will do.
    pub tuple: Tuple,
    /// The zone.
    pub zone: Zone,
    /// The id that it must have.
    pub id: Option<u32>,
}

/// An expectation that is to be made, or to be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewExpectation {
    /// The original tuple of the connection that is expected.
    pub tuple: Tuple,
    /// Which bits of that count. Needed for a new one.
    pub mask: Option<Tuple>,
    /// The original tuple of the connection that expects it. Needed for a new one.
    pub master: Option<Tuple>,
    /// The zone of both.
    pub zone: Zone,
    /// Seconds to live: only of one that is there already, a new one has those of its helper.
    pub timeout: Option<u32>,
    /// Flags.
    pub flags: ExpectFlags,
    /// The class.
    pub class: u32,
}
