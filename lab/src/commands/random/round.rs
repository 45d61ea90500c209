//! A round: many sequences with the same knobs, side by side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::counts::Counts;
use lab::duel::{self, Duel, Found};
use lab::linux::Linux;
use lab::random::{Move, sequence};
use lab::rng::Rng;

use super::{Totals, protocol};

/// Sequences side by side.
const SIDE_BY_SIDE: usize = 3_000;
/// Sequences with the same knobs.
const SEQUENCES: u64 = 5_000;

struct Running {
    moves: Vec<Move>,
    next: usize,
    duel: Duel,
}

pub(super) struct Round<'a> {
    pub(super) knobs: Vec<(String, String)>,
    pub(super) end: Instant,
    pub(super) most: u64,
    pub(super) seed: u64,
    pub(super) first: bool,
    pub(super) output: &'a Path,
    pub(super) totals: &'a mut Totals,
    pub(super) linux: &'a mut Linux,
    pub(super) number: &'a mut u32,
    /// Sequences played again.
    pub(super) replays: u32,
    pub(super) ours: Counts,
    pub(super) unclear_before: u64,
}

impl Round<'_> {
    pub(super) fn run(&mut self, rng: &mut Rng) -> Result<(), String> {
        let before = self.linux.counts().map_err(|error| error.to_string())?;
        let mut running: Vec<Option<Running>> = Vec::new();
        let mut ready = BinaryHeap::new();
        let mut begun = 0;
        for slot in 0..SIDE_BY_SIDE {
            running.push(Some(self.begin(rng)?));
            begun += 1;
            ready.push(Reverse((Instant::now(), slot)));
        }
        while let Some(Reverse((when, slot))) = ready.pop() {
            std::thread::sleep(when.saturating_duration_since(Instant::now()));
            let Some(sequence) = &mut running[slot] else {
                continue;
            };
            if let Some(next) = self.step(sequence)? {
                ready.push(Reverse((next, slot)));
                continue;
            }
            let goes_on = begun < SEQUENCES
                && Instant::now() < self.end
                && self.totals.steps < self.most
                && !self.totals.has_enough();
            self.count(running[slot].take());
            self.totals.sequences += 1;
            // Not worth waiting for the last few.
            if !goes_on && ready.len() < SIDE_BY_SIDE / 4 {
                break;
            }
            if goes_on {
                running[slot] = Some(self.begin(rng)?);
                begun += 1;
                ready.push(Reverse((Instant::now(), slot)));
            }
        }
        running.into_iter().for_each(|running| self.count(running));
        self.compare_counters(before)
    }

    fn count(&mut self, over: Option<Running>) {
        if let Some(running) = over {
            self.ours = self.ours + running.duel.counts();
        }
    }

    /// The kernel counts for its whole namespace, so its counters can be compared only where it saw
    /// nothing that the engine did not.
    fn compare_counters(&mut self, before: Counts) -> Result<(), String> {
        let after = self.linux.counts().map_err(|error| error.to_string())?;
        let theirs = after - before;
        let is_comparable = self.replays == 0 && self.totals.unclear == self.unclear_before;
        if is_comparable && self.ours != theirs {
            self.totals.differences += 1;
            let (steps, ours) = (self.totals.steps, &self.ours);
            println!(
                "difference {} after {steps} packets:",
                self.totals.differences
            );
            println!("    counters of a round: engine {ours}, kernel {theirs}");
        }
        Ok(())
    }

    fn begin(&mut self, rng: &mut Rng) -> Result<Running, String> {
        *self.number += 1;
        let verifies =
            |(name, value): &(String, String)| name == "nf_conntrack_checksum" && value == "1";
        let with_udplite = !self.knobs.iter().any(verifies);
        let moves = sequence(rng, *self.number, with_udplite);
        Ok(Running {
            moves,
            next: 0,
            duel: self.duel()?,
        })
    }

    pub(super) fn duel(&self) -> Result<Duel, String> {
        let config = duel::config(&self.knobs).map_err(|error| error.to_string())?;
        Ok(Duel::new(config))
    }

    /// Plays the next packet; returns when the one after it is due, `None` at the end.
    fn step(&mut self, running: &mut Running) -> Result<Option<Instant>, String> {
        if running.duel.is_too_close() {
            return Ok(Some(Instant::now() + Duration::from_millis(50)));
        }
        let step = &running.moves[running.next];
        let found = running
            .duel
            .play(step, self.linux)
            .map_err(|error| error.to_string())?;
        self.totals.steps += 1;
        *self.totals.by_protocol.entry(protocol(step)).or_default() += 1;
        if let Some(reason) = running.duel.last_reason() {
            *self.totals.by_reason.entry(reason).or_default() += 1;
        }
        match found {
            Found::Same => {}
            Found::Unclear => {
                self.totals.unclear += 1;
                return Ok(None);
            }
            Found::Different(accounts) => {
                let moves = running.moves[..=running.next].to_vec();
                self.differs(&moves, &accounts)?;
                return Ok(None);
            }
        }
        running.next += 1;
        let next = running.moves.get(running.next);
        Ok(next.map(|step| Instant::now() + Duration::from_nanos(step.wait)))
    }
}
