//! Requests: what is asked of a table, to and from messages.
//!
//! [`Request::write`] is the side of the tool, [`Request::read`] that of whoever owns a table. What is read
//! is checked for its form only; whether it can be done is for the table to say. A request that cannot be
//! understood is a [`Refusal`], so that it can be answered with the number that Linux would give.

use alloc::string::String;
use alloc::vec::Vec;

use super::names::{entry, family, flag, kind};
use super::own;
use super::read::{Attributes, Message};
use super::write::{Head, Origin, netfilter};
use super::{change, expect, filter};
use crate::change::{Change, Family, Filter, Refusal, Which};
use crate::expectation::{NewExpectation, WhichExpectation};
use crate::parts::TupleParts;
use crate::tuple::Direction;

/// Which entries a listing is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// Those in the table.
    Table,
    /// Those whose end is not told yet.
    Dying,
    /// Those that are not confirmed.
    Unconfirmed,
}

/// What is asked.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Ask {
    /// All entries that the filter means; `zero`: and their counters begin again at 0.
    List {
        /// Of which.
        list: List,
        /// Which of those.
        filter: Filter,
        /// Begin to count anew.
        zero: bool,
    },
    /// One entry.
    Get {
        /// Which.
        which: Which,
        /// Begin to count anew.
        zero: bool,
    },
    /// To make an entry, or change one.
    New {
        /// What it shall be.
        change: Change,
        /// Make it if it is not there.
        create: bool,
        /// Refuse it if it is there.
        exclusive: bool,
    },
    /// To delete one entry.
    Delete(Which),
    /// To delete all entries that the filter means.
    Flush(Filter),
    /// How many entries there are.
    Stats,
    /// Counters of each CPU.
    StatsCpu,
    /// All expectations, of that family if one is given.
    ListExpectations(Option<Family>),
    /// One expectation.
    GetExpectation(WhichExpectation),
    /// To make an expectation, or change one.
    NewExpectation {
        /// What it shall be.
        new: NewExpectation,
        /// Make it if it is not there.
        create: bool,
        /// Refuse it if it is there.
        exclusive: bool,
    },
    /// To delete one expectation.
    DeleteExpectation(WhichExpectation),
    /// To delete all expectations, of that helper if one is named.
    FlushExpectations(Option<String>),
    /// Counters of expectations, of each CPU.
    StatsExpectations,
    /// What the kernel has no message for.
    Own(own::Ask),
}

/// A request.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// Its number and who made it.
    pub origin: Origin,
    /// Wants an acknowledgement, also if all went well.
    pub ack: bool,
    /// What it asks.
    pub ask: Ask,
}

/// Whether a request wants all: either bit of [`flag::DUMP`] says so.
const fn wants_all(message: &Message<'_>) -> bool {
    message.flags & flag::DUMP != 0
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// The type is unknown ([`Refusal::NotSupported`]), or what it needs is missing or malformed.
    pub fn read(message: &Message<'_>) -> Result<Request, Refusal> {
        Ok(Request {
            origin: Origin::of(message),
            ack: message.has(flag::ACK),
            ask: Ask::read(message)?,
        })
    }

    /// Appends it as a message.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, flags) = self.ask.kind();
        let ack = if self.ack { flag::ACK } else { 0 };
        let head = Head {
            kind,
            flags: flag::REQUEST | ack | flags,
            origin: self.origin,
        };
        match &self.ask {
            Ask::Own(ask) => ask.write(out, head),
            ask => ask.write(out, head),
        }
    }
}

impl Ask {
    fn read(message: &Message<'_>) -> Result<Ask, Refusal> {
        let all = wants_all(message);
        let [create, exclusive] = [flag::CREATE, flag::EXCL].map(|flag| message.has(flag));
        Ok(match message.kind {
            kind::CT_GET | kind::CT_GET_CTRZERO => {
                let zero = message.kind == kind::CT_GET_CTRZERO;
                match all {
                    true => Ask::List {
                        list: List::Table,
                        filter: filter::read(message)?,
                        zero,
                    },
                    false => Ask::Get {
                        which: which(message)?.ok_or(Refusal::Invalid)?,
                        zero,
                    },
                }
            }
            kind::CT_GET_DYING => listing(List::Dying, message)?,
            kind::CT_GET_UNCONFIRMED => listing(List::Unconfirmed, message)?,
            kind::CT_NEW => Ask::New {
                change: change::read(message)?,
                create,
                exclusive,
            },
            kind::CT_DELETE => match which(message)? {
                Some(which) => Ask::Delete(which),
                None => Ask::Flush(filter::read_flush(message)?),
            },
            kind::CT_GET_STATS => Ask::Stats,
            kind::CT_GET_STATS_CPU => Ask::StatsCpu,
            kind::EXP_GET if all => Ask::ListExpectations(family_of(message)?),
            kind::EXP_GET => Ask::GetExpectation(expect::which(message)?.ok_or(Refusal::Invalid)?),
            kind::EXP_NEW => Ask::NewExpectation {
                new: expect::read_new(message)?,
                create,
                exclusive,
            },
            kind::EXP_DELETE => match expect::which(message)? {
                Some(which) => Ask::DeleteExpectation(which),
                None => Ask::FlushExpectations(expect::helper(message.attributes())),
            },
            kind::EXP_GET_STATS_CPU => Ask::StatsExpectations,
            _ => Ask::Own(own::Ask::read(message)?),
        })
    }

    /// The message's type and the flags that belong to it.
    const fn kind(&self) -> (u16, u16) {
        match self {
            Ask::List { list, zero, .. } => (list_kind(*list, *zero), flag::DUMP),
            Ask::Get { zero: false, .. } => (kind::CT_GET, 0),
            Ask::Get { zero: true, .. } => (kind::CT_GET_CTRZERO, 0),
            Ask::New {
                create, exclusive, ..
            } => (kind::CT_NEW, new_flags(*create, *exclusive)),
            Ask::Delete(_) | Ask::Flush(_) => (kind::CT_DELETE, 0),
            Ask::Stats => (kind::CT_GET_STATS, 0),
            Ask::StatsCpu => (kind::CT_GET_STATS_CPU, flag::DUMP),
            Ask::ListExpectations(_) => (kind::EXP_GET, flag::DUMP),
            Ask::GetExpectation(_) => (kind::EXP_GET, 0),
            Ask::NewExpectation {
                create, exclusive, ..
            } => (kind::EXP_NEW, new_flags(*create, *exclusive)),
            Ask::DeleteExpectation(_) | Ask::FlushExpectations(_) => (kind::EXP_DELETE, 0),
            Ask::StatsExpectations => (kind::EXP_GET_STATS_CPU, flag::DUMP),
            Ask::Own(ask) => ask.kind(),
        }
    }

    fn write(&self, out: &mut Vec<u8>, head: Head) {
        let family = self.family();
        match self {
            Ask::List { filter, .. } => filter::write(out, head, filter),
            Ask::Flush(filter) => filter::write_flush(out, head, filter),
            Ask::Get { which, .. } | Ask::Delete(which) => write_which(out, head, which),
            Ask::New { change, .. } => change::write(out, head, change),
            Ask::GetExpectation(which) | Ask::DeleteExpectation(which) => {
                expect::write_which(out, head, which);
            }
            Ask::NewExpectation { new, .. } => expect::write_new(out, head, new),
            Ask::FlushExpectations(helper) => expect::write_flush(out, head, helper.as_deref()),
            Ask::ListExpectations(_)
            | Ask::Stats
            | Ask::StatsCpu
            | Ask::StatsExpectations
            | Ask::Own(_) => netfilter(out, head, family, 0, |_| ()),
        }
    }

    /// The family that a request without attributes is for.
    const fn family(&self) -> u8 {
        match self {
            Ask::ListExpectations(family) => number_of(*family),
            _ => family::UNSPEC,
        }
    }
}

const fn list_kind(list: List, zero: bool) -> u16 {
    match (list, zero) {
        (List::Table, false) => kind::CT_GET,
        (List::Table, true) => kind::CT_GET_CTRZERO,
        (List::Dying, _) => kind::CT_GET_DYING,
        (List::Unconfirmed, _) => kind::CT_GET_UNCONFIRMED,
    }
}

const fn new_flags(create: bool, exclusive: bool) -> u16 {
    let create = if create { flag::CREATE } else { 0 };
    let exclusive = if exclusive { flag::EXCL } else { 0 };
    create | exclusive
}

fn listing(list: List, message: &Message<'_>) -> Result<Ask, Refusal> {
    Ok(Ask::List {
        list,
        filter: filter::read(message)?,
        zero: false,
    })
}

/// The number of a family, 0 for both.
pub(super) const fn number_of(family: Option<Family>) -> u8 {
    match family {
        None => family::UNSPEC,
        Some(Family::V4) => family::INET,
        Some(Family::V6) => family::INET6,
    }
}

/// The family of a request.
pub(super) fn family_of(message: &Message<'_>) -> Result<Option<Family>, Refusal> {
    match message.family_header().0 {
        family::UNSPEC => Ok(None),
        family::INET => Ok(Some(Family::V4)),
        family::INET6 => Ok(Some(Family::V6)),
        _ => Err(Refusal::NotSupported),
    }
}

/// The entry that a request is about, if it is about one. Its tuple must be whole and of the family that
/// the request is for.
pub(super) fn which(message: &Message<'_>) -> Result<Option<Which>, Refusal> {
    let tuples = Tuples::read(message.attributes());
    let (parts, direction) = match (tuples.original, tuples.reply) {
        (Some(parts), _) => (parts, Direction::Original),
        (None, Some(parts)) => (parts, Direction::Reply),
        (None, None) => return Ok(None),
    };
    let family = family_of(message)?.ok_or(Refusal::NotSupported)?;
    let tuple = parts.whole().ok_or(Refusal::Invalid)?;
    if Family::of(&tuple) != family {
        return Err(Refusal::Invalid);
    }
    Ok(Some(Which {
        tuple,
        direction,
        zone: tuples.zone(),
        id: tuples.id,
    }))
}

fn write_which(out: &mut Vec<u8>, head: Head, which: &Which) {
    let number = match which.direction {
        Direction::Original => entry::TUPLE_ORIG,
        Direction::Reply => entry::TUPLE_REPLY,
    };
    let family = number_of(Some(Family::of(&which.tuple)));
    netfilter(out, head, family, 0, |body| {
        let mut parts = TupleParts::of(&which.tuple);
        let id = which.zone.id_of(which.direction);
        let is_split = which.zone.applies != crate::tuple::ZoneDirections::Both;
        parts.zone = (is_split && id != 0).then_some(id);
        parts.write(body, number);
        if !is_split && id != 0 {
            body.u16(entry::ZONE, id);
        }
        which.id.inspect(|id| body.u32(entry::ID, *id));
    });
}

/// What the requests about entries have in common.
#[derive(Default)]
pub(super) struct Tuples {
    pub(super) original: Option<TupleParts>,
    pub(super) reply: Option<TupleParts>,
    zone: Option<u16>,
    id: Option<u32>,
}

impl Tuples {
    pub(super) fn read(attributes: Attributes<'_>) -> Tuples {
        let mut tuples = Tuples::default();
        for attribute in attributes {
            let parts = || Some(TupleParts::read(attribute.nest()));
            match attribute.number {
                entry::TUPLE_ORIG => tuples.original = parts(),
                entry::TUPLE_REPLY => tuples.reply = parts(),
                entry::ZONE => tuples.zone = attribute.u16(),
                entry::ID => tuples.id = attribute.u32(),
                _ => {}
            }
        }
        tuples
    }

    pub(super) fn zone(&self) -> crate::tuple::Zone {
        let [original, reply] = [self.original, self.reply].map(Option::unwrap_or_default);
        super::entries::zone_of(self.zone, &original, &reply)
    }
}
