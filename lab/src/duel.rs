//! The same packets into the engine and into the kernel, compared after each one: class, direction,
//! the entries of the flow in both directions, and what happened to the table.
//!
//! *Time.* The engine is told the time at which the packet was written. Where the two cannot be
//! compared, because a deadline falls within a few thousandths of a second of the packet, or because
//! the machine stopped the process in between, nothing is concluded: [`Duel::is_too_close`] and
//! [`Found::Unclear`].

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use ip_conntrack::{
    Begin, Cause, Changes, Config, ConfigError, Conntrack, EventKind, Knob, LinkType, Packet, Time,
    Zone,
};

use crate::craft::Craft;
use crate::entry::{Ends, Entry};
use crate::linux::{self, Linux};
use crate::random::Move;
use crate::{ours, theirs};

/// How far a packet must be from a deadline.
const MARGIN_NS: u64 = 40_000_000;
/// Longest time that writing a packet may take.
const STALL_NS: u128 = 15_000_000;
/// When a UDP exchange becomes a stream.
const STREAM_NS: u64 = 2_000_000_000;
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// A table event, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happening {
    /// What happened.
    pub kind: linux::EventKind,
    /// Original tuple of the entry.
    pub original: Ends,
    /// The state that it told.
    pub state: Option<u8>,
    /// Status bits.
    pub status: u32,
}

/// One side's account of a packet.
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    /// Class and direction.
    pub class: String,
    /// The entries of the flow, by who opened them.
    pub entries: [Option<Entry>; 2],
    /// What happened to the table.
    pub events: Vec<Happening>,
    /// The engine's reason.
    pub reason: Option<&'static str>,
}

/// What came of a packet.
#[derive(Clone, PartialEq, Debug)]
pub enum Found {
    /// The two agree.
    Same,
    /// Nothing can be concluded.
    Unclear,
    /// The engine and the kernel differ.
    Different(Box<[Account; 2]>),
}

/// One sequence in progress.
pub struct Duel {
    conntrack: Conntrack,
    start: Instant,
    /// Moments at which UDP flows become streams.
    streams: Vec<u64>,
    /// Entries that ran out here: the kernel tells of it when it gets to it.
    expired: HashSet<Ends>,
    /// The last reason that was given.
    reason: Option<&'static str>,
    /// Original tuples that may belong to this sequence; the kernel also tells of others.
    own: HashSet<Ends>,
}

/// The engine's knobs from names and values.
///
/// # Errors
///
/// One of them is not accepted.
pub fn config(knobs: &[(String, String)]) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    config.set(Knob::Acct, 1)?;
    config.set(Knob::Events, 1)?;
    config.set(Knob::Max, 256)?;
    config.set(Knob::Buckets, 1)?;
    for (name, value) in knobs {
        config.set_by_name(name, value)?;
    }
    Ok(config)
}

impl Duel {
    /// Begins with an empty table.
    pub fn new(config: Config, start: Instant) -> Duel {
        let mut conntrack = Conntrack::new(config, 7);
        conntrack.set_event_capacity(1024);
        Duel {
            conntrack,
            start,
            streams: Vec::new(),
            expired: HashSet::new(),
            own: HashSet::new(),
            reason: None,
        }
    }

    fn now(&self) -> u64 {
        EPOCH_NS + self.start.elapsed().as_nanos() as u64
    }

    /// Whether some deadline is so near that the two might see it on different sides.
    pub fn is_too_close(&self) -> bool {
        let now = self.now();
        let near = |moment: u64| moment.abs_diff(now) < MARGIN_NS;
        let deadlines = self.conntrack.deadlines().map(Time::as_nanos);
        deadlines.chain(self.streams.iter().copied()).any(near)
    }

    /// Plays one packet into both.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn play(&mut self, step: &Move, linux: &mut Linux) -> io::Result<Found> {
        let bytes = step.packet.bytes();
        let before = Instant::now();
        let now = self.now();
        let outcome = linux.send(&bytes)?;
        let originals = originals(step);
        self.own.extend(originals);
        let mut entries = [None, None];
        for (entry, original) in entries.iter_mut().zip(originals) {
            *entry = linux.get(original, 0)?;
        }
        if outcome.lost || before.elapsed().as_nanos() > STALL_NS {
            return Ok(Found::Unclear);
        }
        let ours = self.ours(&bytes, originals, now);
        let theirs = Account {
            class: their_class(&outcome),
            entries,
            events: self.their_events(&outcome, &ours.events),
            reason: None,
        };
        Ok(verdict(ours, theirs))
    }

    /// What the kernel makes of a packet, which the engine does not see.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn ask_kernel(&mut self, step: &Move, linux: &mut Linux) -> io::Result<Account> {
        let outcome = linux.send(&step.packet.bytes())?;
        let mut entries = [None, None];
        for (entry, original) in entries.iter_mut().zip(originals(step)) {
            *entry = linux.get(original, 0)?;
        }
        Ok(Account {
            class: their_class(&outcome),
            entries,
            events: self.their_events(&outcome, &[]),
            reason: None,
        })
    }

    /// Packets that the engine counted as invalid, and as ICMP errors.
    pub fn counts(&self) -> (u64, u64) {
        let stats = self.conntrack.stats();
        (stats.invalid(), stats.error())
    }

    /// The reason that the engine gave for the last packet.
    pub const fn last_reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// Plays a packet of a capture into both. The engine is asked which entry it belongs to. A packet
    /// that the kernel did not let pass (no router would forward it) is not confirmed here either.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn play_captured(&mut self, bytes: &[u8], linux: &mut Linux) -> io::Result<Found> {
        let before = Instant::now();
        let now = self.now();
        let outcome = linux.send(bytes)?;
        let (class, original, reason) = self.track_captured(bytes, now, outcome.passed);
        let mut entries = [None, None];
        if let Some(original) = original {
            entries[0] = linux.get(original, 0)?;
            self.own.insert(original);
        }
        let events = self.our_events(now);
        if outcome.lost || before.elapsed().as_nanos() > STALL_NS {
            return Ok(Found::Unclear);
        }
        let ours = Account {
            class,
            entries: [original.and_then(|original| self.entry(original)), None],
            events,
            reason,
        };
        let theirs = Account {
            class: their_class(&outcome),
            entries,
            events: self.their_events(&outcome, &ours.events),
            reason: None,
        };
        Ok(verdict(ours, theirs))
    }

    /// Class with direction, the original tuple of the packet's entry, and the reason.
    fn track_captured(
        &mut self,
        bytes: &[u8],
        now: u64,
        passed: bool,
    ) -> (String, Option<Ends>, Option<&'static str>) {
        let now = Time::from_nanos(now);
        while !self.conntrack.advance(now) {}
        let verdict = match Packet::parse(LinkType::Raw, bytes) {
            Err(reason) => self.conntrack.skip(reason),
            Ok(packet) => match self.conntrack.begin(Zone::default(), &packet, now) {
                Begin::Done(verdict) => verdict,
                Begin::New(unconfirmed) if passed => self.conntrack.confirm(unconfirmed, now),
                Begin::New(_) => return ("new".to_owned(), None, None),
            },
        };
        let (class, direction, reason) = ours::describe(&verdict);
        let connection = verdict
            .connection
            .and_then(|handle| self.conntrack.get(handle));
        let original = connection.map(|connection| connection.original.into());
        (with_direction(class, direction), original, reason)
    }

    /// What is in the one table and not in the other, or differs.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn compare_tables(&mut self, linux: &mut Linux) -> io::Result<Vec<String>> {
        let now = Time::from_nanos(self.now());
        while !self.conntrack.advance(now) {}
        let mut theirs = linux.dump()?;
        let mut differences = Vec::new();
        for connection in self.conntrack.connections() {
            let ours = Entry::from(&connection);
            let same = |theirs: &Entry| theirs.original == ours.original;
            match theirs.iter().position(same) {
                Some(at) => {
                    let theirs = theirs.swap_remove(at);
                    if !ours.agrees(&theirs) {
                        differences.push(format!("engine: {ours}\n    kernel: {theirs}"));
                    }
                }
                None => differences.push(format!("engine only: {ours}")),
            }
        }
        differences.extend(theirs.iter().map(|entry| format!("kernel only: {entry}")));
        Ok(differences)
    }

    fn ours(&mut self, bytes: &[u8], originals: [Ends; 2], now: u64) -> Account {
        let (class, direction, reason) =
            ours::track(&mut self.conntrack, bytes, Time::from_nanos(now));
        self.reason = reason;
        Account {
            class: with_direction(class, direction),
            entries: originals.map(|original| self.entry(original)),
            events: self.our_events(now),
            reason,
        }
    }

    fn entry(&self, original: Ends) -> Option<Entry> {
        ours::look(&self.conntrack, original.into(), 0)
    }

    fn our_events(&mut self, now: u64) -> Vec<Happening> {
        let mut happenings = Vec::new();
        while let Some(event) = self.conntrack.poll_event() {
            let entry = Entry::from(&event.connection);
            let kind = match event.kind {
                EventKind::New => linux::EventKind::New,
                EventKind::Update => linux::EventKind::Update,
                EventKind::Destroy(Cause::Expired) => {
                    self.expired.insert(entry.original);
                    continue;
                }
                EventKind::Destroy(_) => linux::EventKind::Destroy,
            };
            if kind == linux::EventKind::New && entry.original.protocol == 17 {
                self.streams.push(now + STREAM_NS);
            }
            let tells_state =
                kind != linux::EventKind::Update || event.changes.has(Changes::PROTOINFO);
            self.own.insert(entry.original);
            happenings.push(Happening {
                kind,
                original: entry.original,
                state: entry.state.filter(|_| tells_state),
                status: entry.status,
            });
        }
        happenings
    }

    /// What the kernel told of this sequence's entries. That one ran out it tells at any later time,
    /// even from its other processor while the next of the same tuple is already there.
    fn their_events(&self, outcome: &linux::Outcome, ours: &[Happening]) -> Vec<Happening> {
        let own = outcome
            .events
            .iter()
            .filter(|event| self.own.contains(&event.original));
        let happenings = own.map(|event| Happening {
            kind: event.kind,
            original: event.original,
            state: event.state,
            status: event.status,
        });
        // Here it may be past its deadline and not collected yet.
        let is_gone = |original| self.expired.contains(&original) || self.entry(original).is_none();
        let ran_out = |happening: &Happening| {
            happening.kind == linux::EventKind::Destroy
                && !ours.contains(happening)
                && is_gone(happening.original)
        };
        happenings.filter(|happening| !ran_out(happening)).collect()
    }
}

fn verdict(ours: Account, theirs: Account) -> Found {
    match agree(&ours, &theirs) {
        true => Found::Same,
        false => Found::Different(Box::new([ours, theirs])),
    }
}

fn with_direction(class: String, direction: Option<&'static str>) -> String {
    match direction {
        Some(direction) => format!("{class} {direction}"),
        None => class,
    }
}

fn their_class(outcome: &linux::Outcome) -> String {
    let direction = outcome.class.as_ref().and_then(|(_, direction)| *direction);
    with_direction(theirs::class(outcome).to_owned(), direction)
}

/// The original tuples that the flow's connection may have: opened by the one side or by the other.
pub fn originals(step: &Move) -> [Ends; 2] {
    let one = ours::original(step.flow, &step.packet);
    let mut turned: Craft = step.packet.clone();
    if let crate::craft::Body::IcmpError { about, .. } = &step.packet.body {
        turned = (**about).clone();
    }
    let flow = crate::craft::Ends {
        src: step.flow.dst,
        dst: step.flow.src,
    };
    [one.into(), ours::original(flow, &turned).into()]
}

fn agree(ours: &Account, theirs: &Account) -> bool {
    let mut pairs = ours.entries.iter().zip(&theirs.entries);
    ours.class == theirs.class
        && ours.events == theirs.events
        && pairs.all(|pair| match pair {
            (None, None) => true,
            (Some(ours), Some(theirs)) => ours.agrees(theirs),
            _ => false,
        })
}
