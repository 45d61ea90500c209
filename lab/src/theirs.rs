//! The kernel as the side that a script is played into, in real time.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::counts::Counts;
use crate::craft::Craft;
use crate::entry::{Ends, Entry};
use crate::linux::{Globals, Linux, Outcome};
use crate::play::{Reaction, Side};
use crate::script::{Both, Case, Script};

/// The kernel's router, and the knobs that are not the router's own if they may be changed.
pub struct Theirs {
    linux: Linux,
    globals: Option<Globals>,
    start: Instant,
    epoch_ns: u64,
    counted: Counts,
    /// Knobs as they were.
    before: Vec<(String, String)>,
    /// Knobs as the script begins with them.
    first: Vec<(String, String)>,
    /// Knobs that the case has set.
    changed: Vec<String>,
}

impl Theirs {
    /// A side from a router. Only with `globals`, the limit of the whole kernel may be changed.
    pub fn new(linux: Linux, globals: Option<Globals>) -> Theirs {
        Theirs {
            linux,
            globals,
            start: Instant::now(),
            epoch_ns: 0,
            counted: Counts::default(),
            before: Vec::new(),
            first: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn write(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (Globals::has(name), &mut self.globals) {
            (true, Some(globals)) => globals.set(name, value),
            (true, None) => Err(format!(
                "{name} is the whole kernel's, and may not be changed here"
            )),
            (false, _) => self.linux.set(name, value),
        }
    }

    fn reaction(outcome: Outcome, class: String) -> Reaction {
        let events = outcome.events.into_iter();
        Reaction {
            class,
            reason: None,
            events: events
                .map(|event| (event.kind.name(), event.entry.original))
                .collect(),
            waits: outcome.waits,
        }
    }
}

fn said(error: std::io::Error) -> String {
    format!("the kernel: {error}")
}

impl Side for Theirs {
    fn prepare(&mut self, script: &Script) -> Result<(), String> {
        self.linux.be_a_host()?;
        for name in script.knobs() {
            if self.before.iter().all(|(known, _)| known != name) {
                self.before.push((name.to_owned(), self.linux.knob(name)?));
            }
        }
        self.first = script.sysctls.clone();
        for (name, value) in &script.sysctls {
            self.write(name, value)?;
        }
        Ok(())
    }

    fn begin(&mut self, case: &Case) -> Result<(), String> {
        for name in std::mem::take(&mut self.changed) {
            let of_name = |(known, _): &&(String, String)| *known == name;
            let was = self.first.iter().rfind(of_name);
            let was = was.or_else(|| self.before.iter().find(of_name)).cloned();
            if let Some((_, value)) = was {
                self.write(&name, &value)?;
            }
        }
        self.linux.listen(case.begins_heard()).map_err(said)?;
        self.linux.flush().map_err(said)?;
        self.counted = self.linux.counts().map_err(said)?;
        let epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.epoch_ns = epoch.as_nanos() as u64;
        self.start = Instant::now();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        self.linux.flush().map_err(said)?;
        // Some are bounds of others: the last that was changed is the first to be put back.
        for (name, value) in std::mem::take(&mut self.before).into_iter().rev() {
            self.write(&name, &value)?;
        }
        self.changed.clear();
        Ok(())
    }

    fn wait_until(&mut self, at: u64) -> bool {
        const SLACK: Duration = Duration::from_millis(150);
        let at = Duration::from_nanos(at);
        sleep(at.saturating_sub(self.start.elapsed()));
        self.start.elapsed() < at + SLACK
    }

    fn send(&mut self, packet: &Craft) -> Result<Reaction, String> {
        let outcome = self.linux.send(&packet.bytes()).map_err(said)?;
        let goes_no_further = outcome.taken && !outcome.passed && !outcome.waits;
        let is_held = outcome.class.is_none() && packet.is_fragment();
        let class = match goes_no_further && !is_held {
            true => "dropped",
            false => class(&outcome),
        };
        let class = class.to_owned();
        Ok(Theirs::reaction(outcome, class))
    }

    fn release(&mut self, index: usize) -> Result<Reaction, String> {
        let outcome = self.linux.release(index).map_err(said)?;
        let class = if outcome.passed { "passed" } else { "dropped" };
        Ok(Theirs::reaction(outcome, class.to_owned()))
    }

    fn entry(&mut self, original: Ends, zone: u16) -> Result<Option<Entry>, String> {
        let mut entry = self.linux.get(original, zone).map_err(said)?;
        if let Some(start) = entry.as_mut().and_then(|entry| entry.start.as_mut()) {
            *start = start.saturating_sub(self.epoch_ns);
        }
        Ok(entry)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.changed.push(name.to_owned());
        self.write(name, value)
    }

    fn listen(&mut self, listens: bool) -> Result<(), String> {
        self.linux.listen(listens).map_err(said)
    }

    fn counts(&mut self) -> Result<Counts, String> {
        Ok(self.linux.counts().map_err(said)? - self.counted)
    }

    fn entries(&mut self) -> Result<u64, String> {
        Ok(self.linux.dump().map_err(said)?.len() as u64)
    }

    /// Ids are made from places in memory.
    fn ids_recur(&self) -> bool {
        true
    }

    fn expects<'a, T>(&self, both: &'a Both<T>) -> &'a T {
        &both.linux
    }
}

/// The class, as scripts name it.
pub fn class(outcome: &Outcome) -> &str {
    match &outcome.class {
        _ if !outcome.taken => "dropped",
        None => "held",
        Some((class, _)) => class,
    }
}
