//! A worker's part of the table, and who listens to it.

use std::sync::{Arc, Weak};

use ip_conntrack::format::netlink::own::Groups;
use ip_conntrack::format::netlink::{Origin, group_of, put_event};
use ip_conntrack::{Conntrack, Knob, Reason, Verdict, Zone};
use tracing::warn;

use crate::daemon::events::Mailbox;
use crate::daemon::source::{Batch, Counted};
use crate::often::Often;

/// Events that the tracker keeps until they are told: one step makes no more.
const EVENTS_AT_ONCE: usize = 1 << 14;

/// What a worker owns, and what requests can use.
pub(crate) struct Shard {
    pub(crate) conntrack: Conntrack,
    /// What the source of its packets has counted.
    pub(crate) source: Counted,
    listeners: Vec<(Groups, Weak<Mailbox>)>,
    /// An event as a message.
    message: Vec<u8>,
    full: Often,
    /// Packets that found the table full, as far as that was said.
    full_said: u64,
    /// Messages left out, as far as that was said.
    left_out_said: u64,
}

impl Shard {
    pub(crate) fn new(conntrack: Conntrack) -> Shard {
        Shard {
            conntrack,
            source: Counted::default(),
            listeners: Vec::new(),
            message: Vec::new(),
            full: Often::default(),
            full_said: 0,
            left_out_said: 0,
        }
    }

    /// Tracks a batch of packets.
    pub(crate) fn track(&mut self, batch: &Batch<'_>, verdicts: &mut [Verdict]) {
        let conntrack = &mut self.conntrack;
        conntrack.set_open(batch.may_open);
        let leaves_out = batch.is_checked && conntrack.config().get(Knob::Checksum) != 0;
        // A flag takes 0 and 1.
        if leaves_out {
            let _ = conntrack.set(Knob::Checksum, 0);
        }
        conntrack.track_batch(Zone::default(), batch.arrivals, verdicts);
        if leaves_out {
            let _ = conntrack.set(Knob::Checksum, 1);
        }
    }

    /// Puts the events of these groups into a mailbox from now on, and those of no others. A mailbox that
    /// nobody holds any more gets none.
    pub(crate) fn listen(&mut self, mailbox: &Arc<Mailbox>, groups: Groups) {
        let mailbox = Arc::downgrade(mailbox);
        self.listeners.retain(|(_, other)| !other.ptr_eq(&mailbox));
        if groups != Groups::default() {
            self.listeners.push((groups, mailbox));
        }
        self.set_events();
    }

    /// Events are made while somebody listens.
    fn set_events(&mut self) {
        let capacity = if self.listeners.is_empty() {
            0
        } else {
            EVENTS_AT_ONCE
        };
        self.conntrack.set_event_capacity(capacity);
    }

    /// Tells events that nobody asked for.
    pub(crate) fn tell(&mut self) {
        self.tell_by(Origin::default());
    }

    /// Tells events that a request has caused.
    pub(crate) fn tell_by(&mut self, origin: Origin) {
        if self.listeners.is_empty() {
            return;
        }
        let mut is_gone = false;
        while let Some(event) = self.conntrack.poll_event() {
            self.message.clear();
            put_event(&mut self.message, origin, &event);
            let group = group_of(&event);
            for (groups, mailbox) in &self.listeners {
                match mailbox.upgrade() {
                    Some(mailbox) if groups.has(group) => mailbox.put(&self.message),
                    Some(_) => {}
                    None => is_gone = true,
                }
            }
        }
        if is_gone {
            self.listeners
                .retain(|(_, mailbox)| mailbox.strong_count() > 0);
            self.set_events();
        }
    }

    /// Says that the table is full, if packets were dropped for that since this was called last.
    pub(crate) fn note_full(&mut self) {
        let full = self.conntrack.stats().reason(Reason::TableFull);
        if full == self.full_said {
            return;
        }
        self.full_said = full;
        if self.full.may_say(self.conntrack.now()) {
            let left_out = self.full.suppressed - self.left_out_said;
            if left_out > 0 {
                self.left_out_said = self.full.suppressed;
                warn!("{left_out} messages of the next kind were left out");
            }
            warn!("ip_conntrack: table full, dropping packet.");
        }
    }
}
