//! A worker's part of the table, and who listens to it.

use std::sync::{Arc, Weak};

use ip_conntrack::format::netlink::names::group;
use ip_conntrack::format::netlink::own::Groups;
use ip_conntrack::format::netlink::{
    Origin, group_of, put_event, put_expectation_end, put_expectation_new,
};
use ip_conntrack::{Conntrack, Expectation, Handle, Knob, Verdict, Zone};

use super::complaints::{Complaints, Voice};
use super::load::Load;
use crate::daemon::events::Mailbox;
use crate::daemon::source::{Batch, Track};

/// Events that the tracker keeps until they are told: one step makes no more.
const EVENTS_AT_ONCE: usize = 1 << 14;

/// Writes an event about an expectation.
type Put = fn(&mut Vec<u8>, Origin, &Expectation);

/// What a worker owns, and what requests can use.
pub(crate) struct Shard {
    pub(crate) conntrack: Conntrack,
    listeners: Vec<(Groups, Weak<Mailbox>)>,
    /// An event as a message.
    message: Vec<u8>,
    pub(crate) load: Load,
    complaints: Complaints,
}

impl Shard {
    pub(crate) fn new(conntrack: Conntrack, voice: Arc<Voice>) -> Shard {
        Shard {
            conntrack,
            listeners: Vec::new(),
            message: Vec::new(),
            load: Load::default(),
            complaints: Complaints::new(voice),
        }
    }

    /// Tracks packets as their batch asks for it.
    fn track(&mut self, batch: &Batch<'_>, verdicts: &mut [Verdict]) {
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
            is_gone |= !self.post(group_of(&event));
        }
        while let Some(event) = self.conntrack.poll_expect_event() {
            self.message.clear();
            let (group, put): (_, Put) = match event.is_new {
                true => (group::EXP_NEW, put_expectation_new),
                false => (group::EXP_DESTROY, put_expectation_end),
            };
            put(&mut self.message, origin, &event.expectation);
            is_gone |= !self.post(group);
        }
        if is_gone {
            self.listeners
                .retain(|(_, mailbox)| mailbox.strong_count() > 0);
            self.set_events();
        }
    }

    /// Puts the message into the mailboxes of those who listen to a group. => whether all of them are still
    /// there.
    fn post(&self, group: u32) -> bool {
        let mut all_there = true;
        for (groups, mailbox) in &self.listeners {
            match mailbox.upgrade() {
                Some(mailbox) if groups.has(group) => mailbox.put(&self.message),
                Some(_) => {}
                None => all_there = false,
            }
        }
        all_there
    }

    /// Does what is to be done once a second.
    pub(super) fn tick(&mut self) {
        self.complaints.tick();
    }
}

impl Track for Shard {
    fn batch(&mut self, batch: &Batch<'_>, verdicts: &mut [Verdict]) {
        self.track(batch, verdicts);
        self.load.add(batch.arrivals.len(), self.conntrack.now());
        let (config, entries) = (self.conntrack.config(), self.conntrack.len());
        self.complaints
            .note(config, entries, batch.arrivals, verdicts);
    }

    fn mark(&self, connection: Handle) -> Option<u32> {
        self.conntrack.mark(connection)
    }
}
