//! What the kernel has no message for, since it has multicast groups and `/proc` for it: a subsystem of
//! our own, number 0xC0, far from those that netfilter counts upwards from 0.
//!
//! | message | number | needs | answer |
//! |---|---|---|---|
//! | `SUBSCRIBE` | 0 | `GROUPS` | acknowledgement; events follow from then on |
//! | `KNOB_GET` | 1 | `NAME`, or `DUMP` for all | a `KNOB_SET` with `NAME` and `VALUE` for each |
//! | `KNOB_SET` | 2 | `NAME`, `VALUE` | acknowledgement, or an error in words |
//! | `REASONS` | 3 | `DUMP` | a `REASONS` with `NAME` and `COUNT` for each reason |
//! | `SAVE` | 4 | | acknowledgement, when the state is on the disk |
//! | `STATE` | 5 | | no request: an entry in a file of saved state (`state.rs`), or handed over |
//! | `HAND_OVER` | 6 | `VALUE`, the form of state that is understood | a `STATE` for each entry, then the end; who answers has stopped by then |
//!
//! Attributes: 1 `GROUPS` (u32, bit *n* - 1 is multicast group *n*), 2 `NAME` (text), 3 `VALUE` (i64), 4
//! `COUNT` (u64).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::names::{family, flag};
use super::read::{Attributes, Message};
use super::write::{Body, Head, Origin, netfilter};
use crate::change::Refusal;

/// The subsystem.
pub const SUBSYSTEM: u8 = 0xC0;

const fn kind(message: u8) -> u16 {
    (SUBSYSTEM as u16) << 8 | message as u16
}

/// Subscribes to groups of events.
pub const SUBSCRIBE: u16 = kind(0);
/// Asks for a knob.
pub const KNOB_GET: u16 = kind(1);
/// Sets a knob, or tells one.
pub const KNOB_SET: u16 = kind(2);
/// Counters of packets by reason.
pub const REASONS: u16 = kind(3);
/// Saves the state.
pub const SAVE: u16 = kind(4);

/// An entry with all that belongs to it, in saved state.
pub const STATE: u16 = kind(5);
/// Asks a daemon to end, and for its table.
pub const HAND_OVER: u16 = kind(6);

const GROUPS: u16 = 1;
const NAME: u16 = 2;
const VALUE: u16 = 3;
const COUNT: u16 = 4;

/// A set of multicast groups, see [`group`](super::names::group).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Groups(pub u32);

impl Groups {
    /// These groups.
    pub fn of(groups: &[u32]) -> Groups {
        let bits = groups.iter().map(|group| Groups::bit(*group));
        Groups(bits.fold(0, |all, bit| all | bit))
    }

    /// Whether a group is in the set.
    pub fn has(self, group: u32) -> bool {
        self.0 & Groups::bit(group) != 0
    }

    fn bit(group: u32) -> u32 {
        group
            .checked_sub(1)
            .and_then(|n| 1u32.checked_shl(n))
            .unwrap_or(0)
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ask {
    /// To be told the events of these groups, and of no others.
    Subscribe(Groups),
    /// The values of all knobs.
    Knobs,
    /// The value of a knob.
    Knob(String),
    /// To set a knob.
    SetKnob(String, i64),
    /// How often each reason was given.
    Reasons,
    /// To write the state to the disk.
    Save,
    /// To be given the table by a daemon that ends, in this form of saved state.
    HandOver(i64),
}

impl Ask {
    pub(super) fn read(message: &Message<'_>) -> Result<Ask, Refusal> {
        let attributes = Reading::of(message.attributes());
        let name = || {
            let name = attributes.name.filter(|name| !name.is_empty());
            name.map(ToOwned::to_owned).ok_or(Refusal::Invalid)
        };
        Ok(match message.kind {
            SUBSCRIBE => Ask::Subscribe(Groups(attributes.groups.ok_or(Refusal::Invalid)?)),
            KNOB_GET if message.flags & flag::DUMP != 0 => Ask::Knobs,
            KNOB_GET => Ask::Knob(name()?),
            KNOB_SET => Ask::SetKnob(name()?, attributes.value.ok_or(Refusal::Invalid)?),
            REASONS => Ask::Reasons,
            SAVE => Ask::Save,
            HAND_OVER => Ask::HandOver(attributes.value.ok_or(Refusal::Invalid)?),
            _ => return Err(Refusal::NotSupported),
        })
    }

    pub(super) const fn kind(&self) -> (u16, u16) {
        match self {
            Ask::Subscribe(_) => (SUBSCRIBE, 0),
            Ask::Knobs => (KNOB_GET, flag::DUMP),
            Ask::Knob(_) => (KNOB_GET, 0),
            Ask::SetKnob(..) => (KNOB_SET, 0),
            Ask::Reasons => (REASONS, flag::DUMP),
            Ask::Save => (SAVE, 0),
            Ask::HandOver(_) => (HAND_OVER, 0),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, head: Head) {
        netfilter(out, head, family::UNSPEC, 0, |body| match self {
            Ask::Subscribe(groups) => body.u32(GROUPS, groups.0),
            Ask::Knob(name) => body.text(NAME, name),
            Ask::SetKnob(name, value) => knob(body, name, *value),
            Ask::HandOver(form) => body.u64(VALUE, form.cast_unsigned()),
            Ask::Knobs | Ask::Reasons | Ask::Save => {}
        });
    }
}

fn knob(body: &mut Body<'_>, name: &str, value: i64) {
    body.text(NAME, name);
    body.u64(VALUE, value.cast_unsigned());
}

#[derive(Default)]
struct Reading<'a> {
    groups: Option<u32>,
    name: Option<&'a str>,
    value: Option<i64>,
    count: Option<u64>,
}

impl<'a> Reading<'a> {
    fn of(attributes: Attributes<'a>) -> Reading<'a> {
        let mut reading = Reading::default();
        for attribute in attributes {
            match attribute.number {
                GROUPS => reading.groups = attribute.u32(),
                NAME => reading.name = attribute.text(),
                VALUE => reading.value = attribute.u64().map(u64::cast_signed),
                COUNT => reading.count = attribute.u64(),
                _ => {}
            }
        }
        reading
    }
}

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told<'a> {
    /// The value of a knob.
    Knob(&'a str, i64),
    /// How often a reason was given.
    Reason(&'a str, u64),
}

impl<'a> Told<'a> {
    /// Reads an answer; `None` if it is none of ours.
    pub fn read(message: &Message<'a>) -> Option<Told<'a>> {
        let reading = Reading::of(message.attributes());
        match message.kind {
            KNOB_SET => Some(Told::Knob(reading.name?, reading.value?)),
            REASONS => Some(Told::Reason(reading.name?, reading.count?)),
            _ => None,
        }
    }

    /// Appends the answer. In an answer of several messages `flags` is [`flag::MULTI`].
    pub fn write(&self, out: &mut Vec<u8>, origin: Origin, flags: u16) {
        let kind = match self {
            Told::Knob(..) => KNOB_SET,
            Told::Reason(..) => REASONS,
        };
        let head = Head {
            kind,
            flags,
            origin,
        };
        netfilter(out, head, family::UNSPEC, 0, |body| match self {
            Told::Knob(name, value) => knob(body, name, *value),
            Told::Reason(name, count) => {
                body.text(NAME, name);
                body.u64(COUNT, *count);
            }
        });
    }
}
