//! `lab random`: many sequences side by side, so that one that waits does not hold up the others.
//!
//! Knobs are the kernel's namespace's, so they are the same for all sequences of a *round*; each round
//! chooses others. A sequence that differs is played again alone, made as short as it can be while it
//! still differs, and written out as a script.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lab::counts::Counts;
use lab::craft::Body;
use lab::duel::{self, Account, Duel, Found};
use lab::linux::Linux;
use lab::random::{Move, sequence};
use lab::rng::Rng;
use lab::write;

use super::compare::show;

#[derive(Debug, Args)]
pub(crate) struct Random {
    /// Stop after so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// Stop after so many packets
    #[arg(long, default_value_t = u64::MAX)]
    steps: u64,

    /// The same seed gives the same sequences
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Seeds to go through, one after the other, each for the seconds or packets given
    #[arg(long, default_value_t = 1)]
    seeds: u64,

    /// Stop at the first difference, without making it short
    #[arg(long)]
    first: bool,

    /// Where to write scripts of what differs
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    output: PathBuf,
}

/// Sequences side by side.
const SIDE_BY_SIDE: usize = 3_000;
/// Differences after which there is no point in looking for more.
const ENOUGH: u64 = 4;
/// Sequences with the same knobs.
const ROUND: u64 = 30_000;

#[derive(Default)]
struct Totals {
    steps: u64,
    sequences: u64,
    unclear: u64,
    by_protocol: BTreeMap<&'static str, u64>,
    by_reason: BTreeMap<&'static str, u64>,
    differences: u64,
}

impl Totals {
    const fn has_enough(&self) -> bool {
        self.differences >= ENOUGH
    }
}

struct Running {
    moves: Vec<Move>,
    next: usize,
    duel: Duel,
}

pub(crate) fn run(arguments: &Random) -> Result<bool, String> {
    let mut linux = Linux::new()?;
    let start = Instant::now();
    let mut totals = Totals::default();
    let mut number = 0;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let end = Instant::now() + Duration::from_secs(arguments.seconds);
        let most = totals.steps.saturating_add(arguments.steps);
        let mut rng = Rng::new(seed);
        while Instant::now() < end && totals.steps < most && !totals.has_enough() {
            let knobs = knobs(&mut rng);
            for (name, value) in &knobs {
                linux.set(name, value)?;
            }
            linux.flush().map_err(|error| error.to_string())?;
            let unclear_before = totals.unclear;
            let mut round = Round {
                knobs,
                end,
                most,
                seed,
                first: arguments.first,
                output: &arguments.output,
                totals: &mut totals,
                linux: &mut linux,
                number: &mut number,
                replays: 0,
                ours: Counts::default(),
                unclear_before,
            };
            round.run(&mut rng)?;
        }
    }
    println!(
        "seeds {} to {}",
        arguments.seed,
        arguments.seed + arguments.seeds - 1
    );
    report(&totals, start.elapsed());
    Ok(totals.differences == 0)
}

/// Knobs of a round: the defaults in one of three, otherwise a mixture, with short timeouts.
fn knobs(rng: &mut Rng) -> Vec<(String, String)> {
    let short = |rng: &mut Rng, usual: u64| match rng.below(6) {
        0 | 1 => 1 + rng.below(4),
        2 => rng.pick(&[100, 280, 450, 700]),
        _ => usual,
    };
    let is_usual = rng.one_in(3);
    let mut flag = |default: u64, one_in: u64| match !is_usual && rng.one_in(one_in) {
        true => 1 - default,
        false => default,
    };
    let mut knobs = vec![
        ("tcp_loose", flag(1, 3)),
        ("tcp_be_liberal", flag(0, 4)),
        ("tcp_ignore_invalid_rst", flag(0, 3)),
        ("checksum", flag(1, 4)),
    ];
    knobs.push(("tcp_max_retrans", if is_usual { 3 } else { rng.below(4) }));
    for (name, usual) in [
        ("tcp_timeout_syn_sent", 120),
        ("tcp_timeout_syn_recv", 60),
        ("tcp_timeout_established", 432_000),
        ("tcp_timeout_fin_wait", 120),
        ("tcp_timeout_close_wait", 60),
        ("tcp_timeout_last_ack", 30),
        ("tcp_timeout_time_wait", 120),
        ("tcp_timeout_close", 10),
        ("tcp_timeout_unacknowledged", 300),
        ("tcp_timeout_max_retrans", 300),
        ("udp_timeout", 30),
        ("udp_timeout_stream", 120),
        ("icmp_timeout", 30),
        ("icmpv6_timeout", 30),
        ("generic_timeout", 600),
        ("gre_timeout", 30),
        ("gre_timeout_stream", 180),
        ("sctp_timeout_established", 210),
        ("sctp_timeout_cookie_wait", 3),
        ("sctp_timeout_cookie_echoed", 3),
    ] {
        knobs.push((name, if is_usual { usual } else { short(rng, usual) }));
    }
    let named = |(name, value)| (format!("nf_conntrack_{name}"), format!("{value}"));
    knobs.into_iter().map(named).collect()
}

struct Round<'a> {
    knobs: Vec<(String, String)>,
    end: Instant,
    most: u64,
    seed: u64,
    first: bool,
    output: &'a Path,
    totals: &'a mut Totals,
    linux: &'a mut Linux,
    number: &'a mut u32,
    /// Sequences played again.
    replays: u32,
    ours: Counts,
    unclear_before: u64,
}

impl Round<'_> {
    fn run(&mut self, rng: &mut Rng) -> Result<(), String> {
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
            let goes_on = begun < ROUND
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

    fn duel(&self) -> Result<Duel, String> {
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

    fn differs(&mut self, moves: &[Move], accounts: &[Account; 2]) -> Result<(), String> {
        self.totals.differences += 1;
        let Totals {
            steps, differences, ..
        } = self.totals;
        println!("difference {differences} after {steps} packets:");
        if self.first {
            self.totals.differences = ENOUGH;
            show(accounts);
            return Ok(());
        }
        let (moves, accounts) = self.shrink(moves.to_vec(), accounts.clone())?;
        show(&accounts);
        let seen = self.accounts_of_the_kernel(&moves)?;
        let title = "What Linux does with a sequence that was found by chance.";
        let text = write::script(title, &self.knobs, &moves, &seen);
        let file = format!("found-{}-{}.trace", self.seed, self.totals.differences);
        let place = self.output.join(file);
        std::fs::write(&place, &text).map_err(|error| format!("{}: {error}", place.display()))?;
        println!("  written as {}", place.display());
        Ok(())
    }

    /// What the kernel makes of each packet of a sequence.
    fn accounts_of_the_kernel(&mut self, moves: &[Move]) -> Result<Vec<Account>, String> {
        self.forget(moves)?;
        let mut duel = self.duel()?;
        let mut seen = Vec::new();
        for step in moves {
            std::thread::sleep(Duration::from_nanos(step.wait));
            let account = duel
                .ask_kernel(step, self.linux)
                .map_err(|error| error.to_string())?;
            seen.push(account);
        }
        Ok(seen)
    }

    /// Leaves out packets and waits as long as the sequence still differs.
    fn shrink(
        &mut self,
        mut moves: Vec<Move>,
        mut accounts: [Account; 2],
    ) -> Result<(Vec<Move>, [Account; 2]), String> {
        let mut at = 0;
        while at < moves.len() {
            let mut shorter = moves.clone();
            shorter.remove(at);
            match self.replay(&shorter)? {
                Some((len, found)) => {
                    shorter.truncate(len);
                    moves = shorter;
                    accounts = found;
                }
                None => at += 1,
            }
        }
        for at in 0..moves.len() {
            let mut quicker = moves.clone();
            quicker[at].wait = 0;
            if moves[at].wait != 0
                && let Some((len, found)) = self.replay(&quicker)?
            {
                quicker.truncate(len);
                moves = quicker;
                accounts = found;
                if at >= moves.len() {
                    break;
                }
            }
        }
        Ok((moves, accounts))
    }

    /// Clears the kernel's table of what a sequence left in it.
    fn forget(&mut self, moves: &[Move]) -> Result<(), String> {
        for step in moves {
            for original in duel::originals(step) {
                self.linux
                    .delete(original, 0)
                    .map_err(|error| error.to_string())?;
            }
        }
        self.linux
            .forget_events()
            .map_err(|error| error.to_string())
    }

    /// Plays a sequence from its beginning; returns how far it got and the difference, if any.
    fn replay(&mut self, moves: &[Move]) -> Result<Option<(usize, [Account; 2])>, String> {
        self.forget(moves)?;
        self.replays += 1;
        let mut duel = self.duel()?;
        for (at, step) in moves.iter().enumerate() {
            std::thread::sleep(Duration::from_nanos(step.wait));
            let mut step = step.clone();
            // The kernel may still hold fragments of the last time.
            if let Some((_, _, id)) = &mut step.packet.fragment {
                *id = (*id + self.replays * 7919) & 0xffff;
            }
            match duel
                .play(&step, self.linux)
                .map_err(|error| error.to_string())?
            {
                Found::Same => {}
                Found::Unclear => return Ok(None),
                Found::Different(accounts) => return Ok(Some((at + 1, *accounts))),
            }
        }
        Ok(None)
    }
}

fn protocol(step: &Move) -> &'static str {
    match step.packet.body {
        Body::Tcp(_) => "tcp",
        Body::Udp { .. } => "udp",
        Body::UdpLite { .. } => "udplite",
        Body::Icmp { .. } => "icmp",
        Body::IcmpError { .. } => "icmp error",
        Body::Sctp { .. } => "sctp",
        Body::Gre { .. } => "gre",
        _ => "other",
    }
}

fn report(totals: &Totals, elapsed: Duration) {
    let rate = totals.steps as f64 / elapsed.as_secs_f64();
    println!(
        "{} packets in {} sequences, {:.0} a second; {} differences; {} sequences given up as unclear",
        totals.steps, totals.sequences, rate, totals.differences, totals.unclear
    );
    for (protocol, steps) in &totals.by_protocol {
        println!("  {protocol} {steps}");
    }
    for (reason, steps) in &totals.by_reason {
        println!("  {reason} {steps}");
    }
}
