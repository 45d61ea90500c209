//! What is answered to each request.
//!
//! A listing is made by the workers, step by step, each into a buffer that is sent before the next step is
//! asked for: no worker waits for a client, and no client holds more than one step.

use std::io;
use std::sync::Arc;

use ip_conntrack::format::netlink::names::flag;
use ip_conntrack::format::netlink::{
    Ask, List, Message, Origin, Request, TableStats, config_errno, errno, number, own, put_ack,
    put_done, put_entry, put_error, put_expectation_stats, put_stats,
};
use ip_conntrack::{Change, Filter, Knob, Refusal, Which};

use super::client::Client;
use crate::daemon::state::VERSION;
use crate::daemon::tracker::{Failure, Walk};
use crate::daemon::worker::{Gone, SLOTS_AT_ONCE};

/// `EIO`: a worker is gone, or the disk refuses.
const EIO: i32 = 5;

/// Why a request is refused: an error number, and words where that does not say it all.
pub(super) struct No(i32, Option<String>);

impl From<Failure> for No {
    fn from(failure: Failure) -> No {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Gone => Gone.into(),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> No {
        No(errno(refusal), None)
    }
}

impl From<Gone> for No {
    fn from(_: Gone) -> No {
        No(EIO, Some("a worker of the daemon has ended".to_owned()))
    }
}

/// How an answer ends if all is well.
pub(super) enum End {
    /// With an acknowledgement, if one is wanted.
    Ack,
    /// With the end of several messages.
    Done,
    /// With nothing yet.
    Silence,
}

impl Client<'_> {
    /// Answers a request.
    ///
    /// # Errors
    ///
    /// The client does not take it.
    pub(super) fn answer(&mut self, message: &Message<'_>) -> io::Result<()> {
        if message.is_control() {
            return Ok(());
        }
        match self.try_answer(message)? {
            Ok(End::Done) => put_done(&mut self.out, Origin::of(message)),
            Ok(End::Ack) if message.has(flag::ACK) => put_ack(&mut self.out, message),
            Ok(End::Ack | End::Silence) => {}
            Err(No(errno, words)) => put_error(&mut self.out, message, errno, words.as_deref()),
        }
        self.send()
    }

    fn try_answer(&mut self, message: &Message<'_>) -> io::Result<Result<End, No>> {
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        if changes(&request.ask) && !self.peer.may_change {
            let words = "only root and the daemon's own user may change anything".to_owned();
            return Ok(Err(No(number::EPERM, Some(words))));
        }
        let origin = request.origin;
        Ok(match request.ask {
            Ask::List {
                list: List::Table,
                filter,
                zero,
            } => {
                return self.list(origin, filter, zero);
            }
            // An entry is in the table or it is not; there is no time between.
            Ask::List { .. } => Ok(End::Done),
            Ask::ListExpectations(family) => return self.list_expectations(origin, family),
            Ask::Own(own::Ask::Subscribe(groups)) => {
                self.listen(groups)?.map(|()| End::Ack).map_err(No::from)
            }
            Ask::Own(own::Ask::HandOver(form)) if form != i64::from(VERSION) => {
                let words = format!("it reads state of form {form}, and this daemon has {VERSION}");
                Err(No(number::EINVAL, Some(words)))
            }
            Ask::Own(own::Ask::HandOver(_)) => {
                // Everything else is said by who hands over.
                self.is_heir = true;
                Ok(End::Silence)
            }
            ask => self.at_once(message, origin, ask),
        })
    }

    /// What is answered in one piece.
    fn at_once(&mut self, message: &Message<'_>, origin: Origin, ask: Ask) -> Result<End, No> {
        let tracker = &self.shared.tracker;
        match ask {
            Ask::Get { which, zero } => self.get(origin, which, zero),
            Ask::New {
                change,
                create,
                exclusive,
            } => self.change(message, change, create, exclusive),
            Ask::Delete(which) => self.delete(message, which),
            Ask::Flush(filter) => self.flush(message, filter),
            Ask::Stats => {
                let stats = TableStats {
                    entries: u32::try_from(tracker.len()?).unwrap_or(u32::MAX),
                    max: Some(tracker.max()),
                };
                stats.write(&mut self.out, origin);
                Ok(End::Ack)
            }
            Ask::StatsCpu => {
                for (cpu, stats) in (0..).zip(tracker.cpus()?) {
                    put_stats(&mut self.out, origin, cpu, &stats);
                }
                Ok(End::Done)
            }
            Ask::StatsExpectations => {
                for (cpu, stats) in (0..).zip(tracker.cpus()?) {
                    put_expectation_stats(&mut self.out, origin, cpu, &stats);
                }
                Ok(End::Done)
            }
            Ask::GetExpectation(which) => self.get_expectation(origin, which),
            Ask::NewExpectation {
                new,
                create,
                exclusive,
            } => self.new_expectation(message, new, create, exclusive),
            Ask::DeleteExpectation(which) => self.delete_expectation(message, which),
            Ask::FlushExpectations(helper) => self.flush_expectations(message, helper),
            Ask::Own(ask) => self.own(origin, &ask),
            _ => Err(Refusal::NotSupported.into()),
        }
    }

    fn list(&mut self, origin: Origin, filter: Filter, zero: bool) -> io::Result<Result<End, No>> {
        let filtered = if filter.is_empty() {
            0
        } else {
            flag::DUMP_FILTERED
        };
        let flags = flag::MULTI | filtered;
        let filter = Arc::new(filter);
        let mut walk = Walk::default();
        loop {
            let (filter, mut out) = (Arc::clone(&filter), std::mem::take(&mut self.out));
            let step = walk.step(&self.shared.tracker, move |shard, cursor| {
                let conntrack = &mut shard.conntrack;
                let next = match zero {
                    true => conntrack.zero_from(cursor, SLOTS_AT_ONCE, &filter, |connection| {
                        put_entry(&mut out, origin, flags, &connection);
                    }),
                    false => conntrack.connections_from(cursor, SLOTS_AT_ONCE, |connection| {
                        if filter.matches(&connection) {
                            put_entry(&mut out, origin, flags, &connection);
                        }
                    }),
                };
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

    fn get(&mut self, origin: Origin, which: Which, zero: bool) -> Result<End, No> {
        let found = self
            .shared
            .tracker
            .with(&which.tuple, move |shard| match zero {
                true => shard.conntrack.zero(&which),
                false => shard.conntrack.answer(&which),
            })?;
        put_entry(&mut self.out, origin, flag::MULTI, &found);
        Ok(End::Ack)
    }

    fn delete(&mut self, message: &Message<'_>, which: Which) -> Result<End, No> {
        let by = self.origin(message);
        self.shared.tracker.with(&which.tuple, move |shard| {
            shard.conntrack.delete_entry(&which)?;
            shard.tell_by(by);
            Ok(())
        })?;
        Ok(End::Ack)
    }

    fn flush(&mut self, message: &Message<'_>, filter: Filter) -> Result<End, No> {
        let by = self.origin(message);
        let filter = Arc::new(filter);
        let mut walk = Walk::default();
        loop {
            let filter = Arc::clone(&filter);
            let step = walk.step(&self.shared.tracker, move |shard, cursor| {
                let next = shard.conntrack.flush_from(cursor, SLOTS_AT_ONCE, &filter);
                shard.tell_by(by);
                ((), next)
            })?;
            if step.is_none() {
                return Ok(End::Ack);
            }
        }
    }

    /// Changes an entry, wherever it is; what is not there is made where packets would make it.
    fn change(
        &mut self,
        message: &Message<'_>,
        change: Change,
        create: bool,
        exclusive: bool,
    ) -> Result<End, No> {
        let tuple = change.original.or(change.reply).ok_or(Refusal::Invalid)?;
        let by = self.origin(message);
        let change = Arc::new(change);
        let updated = Arc::clone(&change);
        let found = self.shared.tracker.with(&tuple, move |shard| {
            let now = shard.conntrack.now();
            if create && exclusive {
                let which = Which {
                    zone: updated.zone,
                    ..Which::original(tuple)
                };
                return shard.conntrack.find_entry(&which).and(Err(Refusal::Exists));
            }
            shard.conntrack.update(&updated, now)?;
            shard.tell_by(by);
            Ok(())
        });
        match found {
            Err(Failure::Refused(Refusal::NotFound)) if create => {}
            found => return found.map(|()| End::Ack).map_err(No::from),
        }
        let home = self.shared.tracker.home(&tuple);
        let made = self.shared.tracker.workers.ask(home, move |shard| {
            let now = shard.conntrack.now();
            let made = shard.conntrack.create_or_update(&change, exclusive, now);
            shard.tell_by(by);
            made
        })?;
        made?;
        Ok(End::Ack)
    }

    fn own(&mut self, origin: Origin, ask: &own::Ask) -> Result<End, No> {
        let tracker = &self.shared.tracker;
        match ask {
            own::Ask::Knob(name) => {
                let knob = Knob::by_name(name).ok_or(Refusal::NotFound)?;
                own::Told::Knob(knob.info().name, tracker.knob(knob)?).write(
                    &mut self.out,
                    origin,
                    0,
                );
                Ok(End::Ack)
            }
            own::Ask::Knobs => {
                for knob in Knob::ALL {
                    let told = own::Told::Knob(knob.info().name, tracker.knob(*knob)?);
                    told.write(&mut self.out, origin, flag::MULTI);
                }
                Ok(End::Done)
            }
            own::Ask::SetKnob(name, value) => {
                let set = tracker.set_knob(name, &value.to_string())?;
                set.map_err(|error| No(config_errno(&error), Some(error.to_string())))?;
                Ok(End::Ack)
            }
            own::Ask::Reasons => {
                for (name, count) in tracker.everything()? {
                    own::Told::Reason(&name, count).write(&mut self.out, origin, flag::MULTI);
                }
                Ok(End::Done)
            }
            own::Ask::Save => match self.shared.saver.save(tracker) {
                Ok(()) => Ok(End::Ack),
                Err(error) => Err(No(
                    error.raw_os_error().unwrap_or(EIO),
                    Some(error.to_string()),
                )),
            },
            _ => Err(Refusal::NotSupported.into()),
        }
    }
}

/// Whether a request changes anything.
const fn changes(ask: &Ask) -> bool {
    !matches!(
        ask,
        Ask::List { zero: false, .. }
            | Ask::Get { zero: false, .. }
            | Ask::Stats
            | Ask::StatsCpu
            | Ask::ListExpectations(_)
            | Ask::GetExpectation(_)
            | Ask::StatsExpectations
            | Ask::Own(
                own::Ask::Subscribe(_) | own::Ask::Knobs | own::Ask::Knob(_) | own::Ask::Reasons
            )
    )
}
