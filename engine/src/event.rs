//! What happened to the table: NEW, UPDATE and DESTROY, as ctnetlink delivers them.
//!
//! Changes that one packet makes are gathered and delivered once, when the packet is done. The
//! queue is bounded ([`Conntrack::set_event_capacity`](crate::Conntrack::set_event_capacity)): what
//! does not fit is lost and counted, as on a netlink socket that is read too slowly.

use crate::connection::Connection;
use crate::time::Time;

/// Which parts of an entry changed. The bit numbers are ctnetlink's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes(pub u16);

impl Changes {
    /// The entry is new.
    pub const NEW: Changes = Changes(1);
    /// The entry is new and fulfils an expectation.
    pub const RELATED: Changes = Changes(1 << 1);
    /// The first reply was accepted.
    pub const REPLY: Changes = Changes(1 << 3);
    /// It became ASSURED.
    pub const ASSURED: Changes = Changes(1 << 4);
    /// The protocol's state changed.
    pub const PROTOINFO: Changes = Changes(1 << 5);
    /// A helper was attached.
    pub const HELPER: Changes = Changes(1 << 6);
    /// The mark changed.
    pub const MARK: Changes = Changes(1 << 7);
    /// The security mark changed.
    pub const SECMARK: Changes = Changes(1 << 9);
    /// The labels changed.
    pub const LABEL: Changes = Changes(1 << 10);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Changes) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, other: Changes) {
        self.0 |= other.0;
    }
}

/// Why an entry left the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// Its time ran out.
    Expired,
    /// A newer connection needed the place.
    EarlyDrop,
    /// A RST answered a connection that never had a reply.
    Refused,
    /// A SYN reopened the closed connection.
    Reopened,
    /// Deleted by hand.
    Deleted,
    /// Deleted with the whole table.
    Flushed,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// An entry was confirmed.
    New,
    /// An entry changed.
    Update,
    /// An entry was removed.
    Destroy(Cause),
}

/// One event, with the entry as it was at that moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// What changed.
    pub changes: Changes,
    /// When.
    pub time: Time,
    /// The entry.
    pub connection: Connection,
}
