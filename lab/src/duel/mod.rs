//! The same packets into the engine and into the kernel, compared after each one: class, direction,
//! the entries of the flow in both directions, and what happened to the table.
//!
//! *Time.* The engine is told the time at which the packet was written. Where the two cannot be
//! compared, because a deadline falls within a few thousandths of a second of the packet, or because
//! the machine stopped the process in between, nothing is concluded: [`Duel::is_too_close`] and
//! [`Found::Unclear`].
//!
//! *Identity.* Each side numbers entries as it likes, but a tuple's entry must be the one that it was, or
//! another, on both sides alike. Here the id alone tells; the kernel makes its ids from places in memory,
//! so that one may come again, and there an entry that was told to be new is another one in any case.

mod account;

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Instant, SystemTime};

use ip_conntrack::{Config, ConfigError, Knob, Time};

use crate::counts::Counts;
use crate::craft::{self, Body, Craft};
use crate::entry::{Ends, Entry};
use crate::linux::{EventKind, Linux, Outcome};
use crate::ours::{self, EPOCH_NS};
use crate::random::Move;
use crate::router::{Made, Router};
use crate::theirs;
pub use account::{Account, Happening};

/// How far a packet must be from a deadline.
const MARGIN_NS: u64 = 40_000_000;
/// Longest time that writing a packet may take.
const STALL_NS: u128 = 15_000_000;
/// When a UDP exchange becomes a stream.
const STREAM_NS: u64 = 2_000_000_000;

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

/// The last entry seen of each tuple: its id and how many were told to be new.
type Known = HashMap<Ends, (u32, u32)>;

/// One sequence in progress.
pub struct Duel {
    router: Router,
    start: Instant,
    /// The same moment by the clock that the kernel's time stamps are of.
    start_real_ns: u64,
    /// Moments at which UDP flows become streams.
    streams: Vec<u64>,
    /// Entries that ran out here: the kernel tells of it when it gets to it.
    expired: HashSet<Ends>,
    /// The last reason that was given.
    reason: Option<&'static str>,
    /// Original tuples that may belong to this sequence; the kernel also tells of others.
    own: HashSet<Ends>,
    /// Entries of the engine and of the kernel.
    known: [Known; 2],
    /// How often the kernel told of a new entry of a tuple.
    births: HashMap<Ends, u32>,
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
    pub fn new(config: Config) -> Duel {
        let real = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Duel {
            router: Router::new(config),
            start: Instant::now(),
            start_real_ns: real.as_nanos() as u64,
            streams: Vec::new(),
            expired: HashSet::new(),
            own: HashSet::new(),
            reason: None,
            known: [Known::new(), Known::new()],
            births: HashMap::new(),
        }
    }

    fn now(&self) -> u64 {
        EPOCH_NS + self.start.elapsed().as_nanos() as u64
    }

    /// Whether some deadline is so near that the two might see it on different sides.
    pub fn is_too_close(&self) -> bool {
        let now = self.now();
        let near = |moment: u64| moment.abs_diff(now) < MARGIN_NS;
        let deadlines = self.router.conntrack().deadlines().map(Time::as_nanos);
        deadlines.chain(self.streams.iter().copied()).any(near)
    }

    /// What the engine counted.
    pub fn counts(&self) -> Counts {
        Counts::of_engine(self.router.conntrack().stats())
    }

    /// The reason that the engine gave for the last packet.
    pub const fn last_reason(&self) -> Option<&'static str> {
        self.reason
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
        let theirs = self.look_there(originals.map(Some), linux)?;
        if outcome.lost || before.elapsed().as_nanos() > STALL_NS {
            return Ok(Found::Unclear);
        }
        let made = self.router.take(&bytes, Time::from_nanos(now), true);
        self.reason = made.reason;
        let ours = originals.map(|original| self.look_here(original));
        Ok(self.compare(made, ours, &outcome, theirs, now))
    }

    /// What the kernel makes of a packet, which the engine does not see.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn ask_kernel(&mut self, step: &Move, linux: &mut Linux) -> io::Result<Account> {
        let outcome = linux.send(&step.packet.bytes())?;
        Ok(Account {
            class: their_class(&outcome),
            entries: self.look_there(originals(step).map(Some), linux)?,
            events: self.their_events(&outcome, &[]),
            ..Account::default()
        })
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
        let made = self
            .router
            .take(bytes, Time::from_nanos(now), outcome.passed);
        let conntrack = self.router.conntrack();
        let connection = made.connection.and_then(|handle| conntrack.get(handle));
        let original = connection.map(|connection| Ends::from(connection.original));
        self.own.extend(original);
        let theirs = self.look_there([original, None], linux)?;
        let is_unclear = outcome.lost || before.elapsed().as_nanos() > STALL_NS;
        let ours = [original.and_then(|original| self.look_here(original)), None];
        // What either told of this packet must not be taken for the next one's.
        let found = self.compare(made, ours, &outcome, theirs, now);
        Ok(if is_unclear { Found::Unclear } else { found })
    }

    fn compare(
        &mut self,
        made: Made,
        ours: [Option<Entry>; 2],
        outcome: &Outcome,
        theirs: [Option<Entry>; 2],
        now: u64,
    ) -> Found {
        for event in &outcome.events {
            if event.kind == EventKind::New {
                *self.births.entry(event.entry.original).or_default() += 1;
            }
        }
        let [known_here, known_there] = &mut self.known;
        let ours = Account {
            class: with_direction(made.class, made.direction),
            same: recognise(known_here, &ours, &HashMap::new()),
            entries: ours,
            events: Vec::new(),
            reason: made.reason,
        };
        let theirs = Account {
            class: their_class(outcome),
            same: recognise(known_there, &theirs, &self.births),
            entries: theirs,
            ..Account::default()
        };
        let events = self.our_events(now);
        let theirs = Account {
            events: self.their_events(outcome, &events),
            ..theirs
        };
        let ours = Account { events, ..ours };
        match ours.agrees(&theirs) {
            true => Found::Same,
            false => Found::Different(Box::new([ours, theirs])),
        }
    }

    /// What is in the one table and not in the other, or differs.
    ///
    /// # Errors
    ///
    /// The way to the kernel broke.
    pub fn compare_tables(&mut self, linux: &mut Linux) -> io::Result<Vec<String>> {
        let now = self.now();
        self.router.advance(Time::from_nanos(now));
        let all = linux.dump()?.into_iter();
        let mut theirs: Vec<Entry> = all.map(|entry| since(entry, self.start_real_ns)).collect();
        let mut differences = Vec::new();
        for connection in self.router.conntrack().connections() {
            let ours = since(Entry::from(&connection), EPOCH_NS);
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

    fn look_here(&self, original: Ends) -> Option<Entry> {
        let entry = self.router.entry(original.into(), 0)?;
        Some(since(entry, EPOCH_NS))
    }

    fn look_there(
        &self,
        originals: [Option<Ends>; 2],
        linux: &mut Linux,
    ) -> io::Result<[Option<Entry>; 2]> {
        let mut entries = [None, None];
        for (entry, original) in entries.iter_mut().zip(originals) {
            if let Some(original) = original {
                let found = linux.get(original, 0)?;
                *entry = found.map(|entry| since(entry, self.start_real_ns));
            }
        }
        Ok(entries)
    }

    fn our_events(&mut self, now: u64) -> Vec<Happening> {
        let (events, expired) = self.router.events();
        self.own
            .extend(events.iter().map(|event| event.entry.original));
        let is_new_udp = |event: &&crate::linux::Event| {
            event.kind == EventKind::New && event.entry.original.protocol == 17
        };
        let streams = events.iter().filter(is_new_udp).count();
        self.streams
            .extend(std::iter::repeat_n(now + STREAM_NS, streams));
        let ran_out = |event: &crate::linux::Event| {
            event.kind == EventKind::Destroy && expired.contains(&event.entry.original)
        };
        let happenings = events.into_iter().filter(|event| !ran_out(event));
        let happenings = happenings.map(Happening::from).collect();
        self.expired.extend(expired);
        happenings
    }

    /// What the kernel told of this sequence's entries. That one ran out it tells at any later time,
    /// even from its other processor while the next of the same tuple is already there.
    fn their_events(&self, outcome: &Outcome, ours: &[Happening]) -> Vec<Happening> {
        let own = outcome.events.iter().cloned().map(Happening::from);
        let own = own.filter(|event| self.own.contains(&event.original));
        // Here it may be past its deadline and not collected yet.
        let is_gone =
            |original| self.expired.contains(&original) || self.look_here(original).is_none();
        let ran_out = |happening: &Happening| {
            happening.kind == EventKind::Destroy
                && !ours.contains(happening)
                && is_gone(happening.original)
        };
        own.filter(|happening| !ran_out(happening)).collect()
    }
}

/// Whether entries are those that were known of their tuples; they are known from now on.
fn recognise(
    known: &mut Known,
    entries: &[Option<Entry>; 2],
    births: &HashMap<Ends, u32>,
) -> [Option<bool>; 2] {
    [0, 1].map(|at| {
        let entry = entries[at].as_ref()?;
        let identity = (
            entry.id,
            births.get(&entry.original).copied().unwrap_or_default(),
        );
        let last = known.insert(entry.original, identity)?;
        Some(last == identity)
    })
}

/// An entry with its start counted from a moment on.
fn since(mut entry: Entry, start_ns: u64) -> Entry {
    entry.start = entry.start.map(|at| at.saturating_sub(start_ns));
    entry
}

fn with_direction(class: &str, direction: Option<&'static str>) -> String {
    match direction {
        Some(direction) => format!("{class} {direction}"),
        None => class.to_owned(),
    }
}

fn their_class(outcome: &Outcome) -> String {
    let direction = outcome.class.as_ref().and_then(|(_, direction)| *direction);
    with_direction(theirs::class(outcome), direction)
}

/// The original tuples that the flow's connection may have: opened by the one side or by the other.
pub fn originals(step: &Move) -> [Ends; 2] {
    let one = ours::original(step.flow, &step.packet);
    let mut turned: Craft = step.packet.clone();
    if let Body::IcmpError { about, .. } = &step.packet.body {
        turned = (**about).clone();
    }
    let flow = craft::Ends {
        src: step.flow.dst,
        dst: step.flow.src,
    };
    [one.into(), ours::original(flow, &turned).into()]
}
