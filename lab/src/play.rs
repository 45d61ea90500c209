//! Playing a script into one side, the engine or the kernel: both are asked the same questions in the
//! same order; only what a side is expected to do, and how it lets time pass, is its own.

use std::collections::HashMap;
use std::fmt;

use crate::counts::Counts;
use crate::craft::{self, Craft};
use crate::entry::{Ends, Entry};
use crate::ours::original;
use crate::script::{Action, Both, Case, Expected, Script, Send};

/// What a side did with a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// Its class, or `held`, `dropped` or `passed`.
    pub class: String,
    /// The reason that was given, if any.
    pub reason: Option<&'static str>,
    /// Events and the entries that they are about.
    pub events: Vec<(&'static str, Ends)>,
    /// It waits to be released.
    pub waits: bool,
}

/// What was counted since a case began, and how many entries there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// The counters.
    pub counts: Counts,
    /// Entries.
    pub entries: u64,
}

impl Tally {
    /// One number by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        match name {
            "entries" => Some(self.entries),
            _ => self.counts.get(name),
        }
    }
}

/// What was seen of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// The class of its packet.
    pub class: String,
    /// The entry of the packet's connection afterwards.
    pub entry: Option<Entry>,
    /// Events about that entry.
    pub told: Vec<String>,
    /// Whether it is the entry that the last line about the tuple saw.
    pub is_same: Option<bool>,
    /// What the counters were.
    pub tally: Option<Tally>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Tally { counts, entries }) = &self.tally {
            return write!(f, "{counts} entries={entries}");
        }
        write!(f, "{}", self.class)?;
        match &self.entry {
            None => write!(f, " no entry")?,
            Some(entry) => write!(f, " {entry}")?,
        }
        match self.is_same {
            None => {}
            Some(true) => write!(f, " same")?,
            Some(false) => write!(f, " another")?,
        }
        if !self.told.is_empty() {
            write!(f, " told={}", self.told.join(","))?;
        }
        Ok(())
    }
}

/// A line that did not do what was expected of it.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The line of the script.
    pub line: usize,
    /// The case's title.
    pub case: String,
    /// What happened.
    pub seen: Seen,
    /// The reason that was given, if any.
    pub reason: Option<&'static str>,
}

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Lines that did something else than expected.
    pub mismatches: Vec<Mismatch>,
    /// What was counted in each case.
    pub counts: Vec<Counts>,
}

/// The engine or the kernel.
pub trait Side {
    /// Makes ready for a script.
    ///
    /// # Errors
    ///
    /// A knob is not accepted, or the way to the side broke, as for all the others.
    fn prepare(&mut self, script: &Script) -> Result<(), String>;
    /// Begins a case, with an empty table, and with somebody who listens to events unless the case begins
    /// with nobody.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn begin(&mut self, case: &Case) -> Result<(), String>;
    /// Puts back what [`prepare`](Side::prepare) and the script changed.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn finish(&mut self) -> Result<(), String>;
    /// Lets time pass until so many nanoseconds after the beginning of the case. Returns whether it is not
    /// much later than that.
    fn wait_until(&mut self, at: u64) -> bool;
    /// Sends a packet.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn send(&mut self, packet: &Craft) -> Result<Reaction, String>;
    /// Lets a packet that waits go on, 0 the one that has waited longest.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn release(&mut self, index: usize) -> Result<Reaction, String>;
    /// The entry of an original tuple in a zone; `start` counts from the beginning of the case.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn entry(&mut self, original: Ends, zone: u16) -> Result<Option<Entry>, String>;
    /// Sets a knob.
    ///
    /// # Errors
    ///
    /// It is not accepted.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String>;
    /// Begins or ceases to listen to events.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn listen(&mut self, listens: bool) -> Result<(), String>;
    /// What was counted since the case began.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn counts(&mut self) -> Result<Counts, String>;
    /// How many entries there are.
    ///
    /// # Errors
    ///
    /// The way to the side broke.
    fn entries(&mut self) -> Result<u64, String>;
    /// Whether an entry may get the id of one that was there before.
    fn ids_recur(&self) -> bool;
    /// What is expected of this side.
    fn expects<'a, T>(&self, both: &'a Both<T>) -> &'a T;
}

/// Plays a script. With `all`, every line counts as a mismatch, to be shown.
///
/// # Errors
///
/// A knob is not accepted, or the way to the side broke.
pub fn play(script: &Script, side: &mut impl Side, all: bool) -> Result<Played, String> {
    side.prepare(script)?;
    let mut played = Played::default();
    for case in &script.cases {
        let mismatches = play_undisturbed(case, side, script.is_global(), all)?;
        played.mismatches.extend(mismatches);
        played.counts.push(side.counts()?);
    }
    side.finish()?;
    Ok(played)
}

/// Plays a case, again if it did not do what was expected and that may not have been its own doing: the
/// machine was too busy to play it in time; or `is_global`, and the kernel's collector came in between, which
/// for up to a minute after a full table dropped a packet evicts what is not ASSURED from any that is nearly
/// full.
fn play_undisturbed(
    case: &Case,
    side: &mut impl Side,
    is_global: bool,
    all: bool,
) -> Result<Vec<Mismatch>, String> {
    const TRIES: u32 = 5;
    let mut tries = 0;
    loop {
        side.begin(case)?;
        let mut player = Player {
            side,
            may_be_disturbed: is_global,
            waiting: Vec::new(),
            known: HashMap::new(),
            births: HashMap::new(),
        };
        let mismatches = player.case(case, all)?;
        tries += 1;
        if !player.may_be_disturbed || mismatches.is_empty() || tries == TRIES {
            return Ok(mismatches);
        }
    }
}

struct Player<'a, S> {
    side: &'a mut S,
    /// Some line was played much later than it says, or somebody else may have changed the table.
    may_be_disturbed: bool,
    /// Packets that wait: their ends, and the original tuples of their connections.
    waiting: Vec<(craft::Ends, Ends)>,
    /// The last entry seen of each tuple and zone, and the births of such at that time.
    known: HashMap<(Ends, u16), (u32, Option<u64>, u32)>,
    /// How often entries of a tuple were told to be new.
    births: HashMap<Ends, u32>,
}

/// What was seen of a line, whether that is right, and the reason given.
type Outcome = (Seen, bool, Option<&'static str>);

impl<S: Side> Player<'_, S> {
    fn case(&mut self, case: &Case, all: bool) -> Result<Vec<Mismatch>, String> {
        let mut mismatches = Vec::new();
        for step in &case.steps {
            self.may_be_disturbed |= !self.side.wait_until(step.at);
            let outcome = self.step(&step.action);
            let outcome = outcome.map_err(|why| format!("line {}: {why}", step.line))?;
            if let Some((seen, is_right, reason)) = outcome
                && (all || !is_right)
            {
                mismatches.push(Mismatch {
                    line: step.line,
                    case: case.title.clone(),
                    seen,
                    reason,
                });
            }
        }
        Ok(mismatches)
    }

    fn step(&mut self, action: &Action) -> Result<Option<Outcome>, String> {
        match action {
            Action::Send(send) => self.send(send).map(Some),
            Action::Release { ends, expected } => self.release(*ends, expected).map(Some),
            Action::Count(sums) => {
                let tally = Tally {
                    counts: self.side.counts()?,
                    entries: self.side.entries()?,
                };
                let seen = Seen {
                    tally: Some(tally),
                    ..Seen::default()
                };
                let is_right = self.side.expects(sums).agrees(&tally);
                Ok(Some((seen, is_right, None)))
            }
            Action::Set(name, value) => self.side.set(name, value).map(|()| None),
            Action::Listen(listens) => self.side.listen(*listens).map(|()| None),
        }
    }

    /// The packets of a line, up to the first that does something else than expected.
    fn send(&mut self, send: &Send) -> Result<Outcome, String> {
        let mut outcome = None;
        for (flow, packet) in send.packets() {
            let tuple = original(flow, &packet).into();
            let reaction = self.side.send(&packet)?;
            if reaction.waits {
                self.waiting.push((packet.ends, tuple));
            }
            let seen = self.look(reaction, tuple, &send.expected)?;
            let is_wrong = !seen.1;
            outcome = Some(seen);
            if is_wrong {
                break;
            }
        }
        outcome.ok_or_else(|| "no client".to_owned())
    }

    fn release(&mut self, ends: craft::Ends, expected: &Both<Expected>) -> Result<Outcome, String> {
        let index = self.waiting.iter().position(|(waits, _)| *waits == ends);
        let index = index.ok_or("no packet of that direction waits")?;
        let (_, tuple) = self.waiting.remove(index);
        let reaction = self.side.release(index)?;
        self.look(reaction, tuple, expected)
    }

    fn look(
        &mut self,
        reaction: Reaction,
        tuple: Ends,
        expected: &Both<Expected>,
    ) -> Result<Outcome, String> {
        // Where to look may differ no more than who is asked.
        let zone = expected.linux.zone;
        let entry = self.side.entry(tuple, zone)?;
        for (_, about) in reaction.events.iter().filter(|(kind, _)| *kind == "new") {
            *self.births.entry(*about).or_default() += u32::from(self.side.ids_recur());
        }
        let about_it = reaction.events.iter().filter(|(_, about)| *about == tuple);
        let mut seen = Seen {
            class: reaction.class,
            told: about_it.map(|(kind, _)| (*kind).to_owned()).collect(),
            ..Seen::default()
        };
        if let Some(entry) = &entry {
            let births = self.births.get(&tuple).copied().unwrap_or_default();
            let identity = (entry.id, entry.start, births);
            let last = self.known.insert((tuple, zone), identity);
            seen.is_same = last.map(|last| last == identity);
        }
        seen.entry = entry;
        let is_right = self.side.expects(expected).agrees(&seen);
        Ok((seen, is_right, reaction.reason))
    }
}
