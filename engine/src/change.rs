//! What can be asked of a table by hand, as values: which entry, which entries, what shall become of one,
//! and why that was refused.
//!
//! The rules are ctnetlink's, and so is what a value can say; `manage.rs` follows them, and
//! [`format::netlink`](crate::format::netlink) reads and writes these values as messages.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use crate::connection::{Connection, Status};
use crate::parts::TupleParts;
use crate::tuple::{Direction, Tuple, Zone};

/// The family of an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Of a tuple.
    pub const fn of(tuple: &Tuple) -> Family {
        match tuple.is_ipv6() {
            true => Family::V6,
            false => Family::V4,
        }
    }
}

/// A value, and which of its bits count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Masked<T> {
    /// The value.
    pub value: T,
    /// The bits of it that count.
    pub mask: T,
}

/// One entry, by its tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Which {
    /// Its tuple in either direction.
    pub tuple: Tuple,
    /// As which tuple it was given. The entry is found by either.
    pub direction: Direction,
    /// The zone.
    pub zone: Zone,
    /// The id that it must have.
    pub id: Option<u32>,
}

impl Which {
    /// The entry of an original tuple in the default zone.
    pub const fn original(tuple: Tuple) -> Which {
        Which {
            tuple,
            direction: Direction::Original,
            zone: Zone::both(0),
            id: None,
        }
    }
}

/// Which entries: those of which all that is given is true.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of that address family.
    pub family: Option<Family>,
    /// Whose mark has that value where the mask has bits.
    pub mark: Option<Masked<u32>>,
    /// Whose status has those bits where the mask has bits.
    pub status: Option<Masked<u16>>,
    /// Of that zone.
    pub zone: Option<u16>,
    /// Whose original tuple has these parts.
    pub original: Option<TupleParts>,
    /// Whose reply tuple has these parts.
    pub reply: Option<TupleParts>,
}

impl Filter {
    /// Whether all entries are meant.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether an entry is meant.
    pub fn matches(&self, connection: &Connection) -> bool {
        let Connection {
            original,
            reply,
            zone,
            ..
        } = connection;
        let is_part = |parts: &Option<TupleParts>, tuple, direction| {
            parts.is_none_or(|parts: TupleParts| parts.matches(tuple, zone.id_of(direction)))
        };
        self.family
            .is_none_or(|family| family == Family::of(original))
            && self
                .mark
                .is_none_or(|mark| connection.mark & mark.mask == mark.value)
            && self
                .status
                .is_none_or(|status| connection.status.0 & status.mask == status.value)
            && self.zone.is_none_or(|id| zone.id == id)
            && is_part(&self.original, original, Direction::Original)
            && is_part(&self.reply, reply, Direction::Reply)
    }
}

/// The state that a protocol's tracker shall have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateChange {
    /// TCP. What is not given stays as it is.
    Tcp {
        /// The number of the state.
        state: Option<u8>,
        /// Window scales, original and reply side; taken only if both are given.
        window_scales: [Option<u8>; 2],
        /// Flags of each side, in the bits of the mask.
        flags: [Option<Masked<u8>>; 2],
    },
    /// SCTP. All three must be given.
    Sctp {
        /// The number of the state.
        state: Option<u8>,
        /// Verification tags, original and reply.
        tags: [Option<u32>; 2],
    },
}

/// A translation that a new entry shall have: an address of that range, and a port of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatRange {
    /// Least and greatest address.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Least and greatest port.
    pub ports: Option<(u16, u16)>,
}

/// What an entry shall be: all of a new one, or what changes of one that is there.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Change {
    /// The original tuple. By it, or else by the reply tuple, the entry is found.
    pub original: Option<Tuple>,
    /// The reply tuple.
    pub reply: Option<Tuple>,
    /// The zone.
    pub zone: Zone,
    /// Seconds to live.
    pub timeout: Option<u32>,
    /// Status bits. Some can only be set, and some not be changed.
    pub status: Option<Status>,
    /// The protocol's state.
    pub state: Option<StateChange>,
    /// The mark: the bits of the mask are cleared, then the value's are toggled.
    pub mark: Option<Masked<u32>>,
    /// The labels, in the same way.
    pub labels: Option<Masked<u128>>,
    /// The helper's name; empty takes it away.
    pub helper: Option<String>,
    /// The original tuple of the connection that expected this one.
    pub master: Option<Tuple>,
    /// Source translation.
    pub src_nat: Option<NatRange>,
    /// Destination translation.
    pub dst_nat: Option<NatRange>,
}

/// Why something that was asked for by hand is not done. Each is an error number of ctnetlink's
/// ([`format::netlink::errno`](crate::format::netlink::errno)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such entry.
    NotFound,
    /// There is such an entry already.
    Exists,
    /// The table is full, and nothing may be evicted.
    Full,
    /// Something that is needed is missing, or makes no sense.
    Invalid,
    /// That status bit cannot be changed so, or something else is in the way.
    Busy,
    /// The entry's time is fixed.
    Fixed,
    /// That does not exist here.
    NotSupported,
    /// A number that does not exist.
    OutOfRange,
    /// There is no room for it: labels of an entry made without.
    NoRoom,
    /// Another expects the same.
    Already,
    /// There are too many expectations.
    TooMany,
}

impl Refusal {
    /// What it says of the request.
    pub const fn text(self) -> &'static str {
        match self {
            Refusal::NotFound => "there is no such entry",
            Refusal::Exists => "there is such an entry already",
            Refusal::Full => "the table is full",
            Refusal::Invalid => "something that is needed is missing or makes no sense",
            Refusal::Busy => "that cannot be changed in this entry",
            Refusal::Fixed => "the entry's time is fixed",
            Refusal::NotSupported => "that is not supported",
            Refusal::OutOfRange => "a number is out of range",
            Refusal::NoRoom => "there is no room for it",
            Refusal::Already => "another connection expects the same",
            Refusal::TooMany => "there are too many expectations",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Refusal {}
