//! `lab random`: many sequences side by side, so that one that waits does not hold up the others.
//!
//! Knobs are the kernel's namespace's, so they are the same for all sequences of a *round*; each round
//! chooses others. A sequence that differs is played again alone, made as short as it can be while it
//! still differs, and written out as a script.

mod knobs;
mod round;
mod shrink;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use lab::counts::Counts;
use lab::craft::Body;
use lab::linux::Linux;
use lab::random::Move;
use lab::rng::Rng;

use knobs::knobs;
use round::Round;

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

/// Differences after which there is no point in looking for more.
const ENOUGH: u64 = 4;

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

pub(crate) fn run(arguments: &Random) -> Result<bool, String> {
    let mut linux = Linux::new()?;
    linux.listen(true).map_err(|error| error.to_string())?;
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
