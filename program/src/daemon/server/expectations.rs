//! What is asked about expectations. One is with the worker that has its master.

use std::io;

use ip_conntrack::format::netlink::names::flag;
use ip_conntrack::format::netlink::{Message, Origin, put_expectation};
use ip_conntrack::{Family, NewExpectation, WhichExpectation};

use super::answer::{End, No};
use super::client::Client;
use crate::daemon::tracker::Walk;
use crate::daemon::worker::{EXPECTATIONS_AT_ONCE, Shard};

impl Client<'_> {
    pub(super) fn list_expectations(
        &mut self,
        origin: Origin,
        family: Option<Family>,
    ) -> io::Result<Result<End, No>> {
        let filtered = if family.is_some() {
            flag::DUMP_FILTERED
        } else {
            0
        };
        let flags = flag::MULTI | filtered;
        let mut walk = Walk::default();
        loop {
            let mut out = std::mem::take(&mut self.out);
            let step = walk.step(&self.shared.tracker, move |shard, cursor| {
                let conntrack = &shard.conntrack;
                let next =
                    conntrack.expectations_from(cursor, EXPECTATIONS_AT_ONCE, |expectation| {
                        if family.is_none_or(|family| family == Family::of(&expectation.tuple)) {
                            put_expectation(&mut out, origin, flags, &expectation);
                        }
                    });
                (out, next)
            });
            match step {
                Ok(Some(out)) => self.out = out,
                Ok(None) => return Ok(Ok(End::Done)),
                Err(gone) => return Ok(Err(gone.into())),
            }
            self.send()?;
        }
    }

    pub(super) fn get_expectation(
        &mut self,
        origin: Origin,
        which: WhichExpectation,
    ) -> Result<End, No> {
        let tracker = &self.shared.tracker;
        let find = move |shard: &mut Shard| shard.conntrack.find_expectation(&which);
        let found = tracker.with(&which.tuple, find)?;
        put_expectation(&mut self.out, origin, flag::MULTI, &found);
        Ok(End::Ack)
    }

    /// Makes it where its master is, or changes it where it is.
    pub(super) fn new_expectation(
        &mut self,
        message: &Message<'_>,
        new: NewExpectation,
        create: bool,
        exclusive: bool,
    ) -> Result<End, No> {
        let by = self.origin(message);
        let place = new.master.unwrap_or(new.tuple);
        self.shared.tracker.with(&place, move |shard| {
            let now = shard.conntrack.now();
            shard
                .conntrack
                .create_expectation(&new, create, exclusive, now)?;
            shard.tell_by(by);
            Ok(())
        })?;
        Ok(End::Ack)
    }

    pub(super) fn delete_expectation(
        &mut self,
        message: &Message<'_>,
        which: WhichExpectation,
    ) -> Result<End, No> {
        let by = self.origin(message);
        self.shared.tracker.with(&which.tuple, move |shard| {
            shard.conntrack.delete_expectation(&which)?;
            shard.tell_by(by);
            Ok(())
        })?;
        Ok(End::Ack)
    }

    /// There are never many: `nf_conntrack_expect_max`.
    pub(super) fn flush_expectations(
        &mut self,
        message: &Message<'_>,
        helper: Option<String>,
    ) -> Result<End, No> {
        let by = self.origin(message);
        self.shared.tracker.workers.ask_all(move |shard| {
            shard.conntrack.flush_expectations(helper.as_deref());
            shard.tell_by(by);
        })?;
        Ok(End::Ack)
    }
}
