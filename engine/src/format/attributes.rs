//! What a message about an entry carries.
//!
//! The tool prints what the kernel's message holds, and that depends on the message: a dump tells
//! everything, NEW and UPDATE tell no counters, DESTROY tells no helper. The forms that follow the
//! tool ask here instead of deciding each for itself.

use super::netlink::Entry;
use super::netlink::names::entry;
use crate::connection::Connection;
use crate::event::{Cause, Changes, Event, EventKind};

/// The attributes of one message, beyond those that are in all of them: tuples, zone, status, id.
/// An attribute that is carried may still be absent from the entry.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    pub(super) timeout: Option<u64>,
    pub(super) state: bool,
    pub(super) counters: bool,
    pub(super) mark: bool,
    pub(super) security: bool,
    pub(super) timestamps: bool,
    pub(super) helper: bool,
    pub(super) uses: bool,
    pub(super) labels: bool,
}

/// What a message that was received is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// An entry as it is.
    Entry,
    /// It was made.
    New,
    /// It changed.
    Update,
    /// It ended.
    Destroy,
    /// It is there: told once more after events were lost.
    Sync,
}

impl Attributes {
    /// Of a message that was received: what is in it, no more and no less.
    pub(super) fn of_message(message: &Entry) -> Attributes {
        let has = |number| message.present.has(number);
        Attributes {
            timeout: message.connection.timeout,
            state: has(entry::PROTOINFO),
            counters: has(entry::COUNTERS_ORIG),
            mark: has(entry::MARK),
            security: has(entry::SECCTX),
            timestamps: has(entry::TIMESTAMP),
            helper: has(entry::HELP),
            uses: has(entry::USE),
            labels: has(entry::LABELS),
        }
    }

    /// Of an entry in a listing.
    pub(super) fn of_entry(connection: &Connection) -> Attributes {
        Attributes {
            timeout: connection.timeout,
            state: true,
            counters: true,
            mark: true,
            security: true,
            timestamps: true,
            helper: true,
            uses: true,
            labels: true,
        }
    }

    /// Of an event.
    pub(super) fn of_event(event: &Event) -> Attributes {
        match event.kind {
            EventKind::New | EventKind::Update => Attributes::of_change(event),
            EventKind::Destroy(cause) => Attributes::of_end(&event.connection, cause),
        }
    }

    /// NEW and UPDATE. A new entry's state has always just changed.
    fn of_change(event: &Event) -> Attributes {
        let changed = |part| event.changes.has(part);
        Attributes {
            timeout: event.connection.timeout,
            state: event.kind == EventKind::New || changed(Changes::PROTOINFO),
            counters: false,
            mark: event.connection.mark != 0 || changed(Changes::MARK),
            security: true,
            timestamps: false,
            helper: true,
            uses: false,
            labels: changed(Changes::LABEL),
        }
    }

    /// DESTROY. Time that has run out is not told.
    fn of_end(connection: &Connection, cause: Cause) -> Attributes {
        let left = connection.timeout.filter(|secs| *secs > 0);
        Attributes {
            timeout: left.filter(|_| cause != Cause::Expired),
            state: true,
            counters: true,
            mark: connection.mark != 0,
            security: false,
            timestamps: true,
            helper: false,
            uses: false,
            labels: false,
        }
    }
}
