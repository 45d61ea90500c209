//! `lab live`: packets a second and their cost, through Linux and through `ipct run`.

use std::path::PathBuf;

use clap::Args;
use lab::bench::linux::live::{Between, Passed, pass};

/// How many packets, and of what.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// Established connections; may be repeated
    #[arg(long, default_values_t = [1, 1_000_000], value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    flows: Vec<u32>,

    /// Packets that are measured each time
    #[arg(long, default_value_t = 3_000_000)]
    packets: u64,

    /// How often each is measured; the middle one by CPU time is shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// The ipct to measure; the one beside this program if not given
    #[arg(long, value_name = "FILE")]
    ipct: Option<PathBuf>,
}

/// Prints a line for each way and number of connections. Returns whether there were figures for all.
pub(crate) fn run(live: &Live) -> Result<bool, String> {
    let beside = std::env::current_exe().map(|exe| exe.with_file_name("ipct"));
    let ipct = match &live.ipct {
        Some(ipct) => ipct.clone(),
        None => beside.map_err(|error| error.to_string())?,
    };
    let ways = [
        Between::Linux,
        Between::LinuxTracks,
        Between::Bridge,
        Between::Queue,
        Between::Tap(1),
        Between::Tap(2),
    ];
    let mut sound = true;
    for flows in &live.flows {
        let mut rounds = ways.map(|_| Vec::new());
        for _ in 0..live.rounds {
            for (way, passed) in ways.iter().zip(&mut rounds) {
                match pass(*way, *flows, live.packets, &ipct) {
                    Ok(result) => passed.push(result),
                    Err(why) => {
                        eprintln!("lab: {}: {why}", way.name());
                        sound = false;
                    }
                }
            }
        }
        for (way, mut passed) in ways.iter().zip(rounds) {
            passed.sort_by_key(|passed| passed.cpu);
            if let Some(middle) = passed.get(passed.len() / 2) {
                println!("{flows:>8} flows  {:30} {}", way.name(), line(middle));
            }
        }
    }
    Ok(sound)
}

fn line(passed: &Passed) -> String {
    let delivered = passed.delivered as f64;
    format!(
        "{:7.0} packets/s sent, {:6.2} % lost, {:.3} CPU s per million delivered",
        passed.sent as f64 / passed.time.as_secs_f64(),
        100.0 * (1.0 - delivered / passed.sent as f64),
        passed.cpu.as_secs_f64() / delivered * 1e6,
    )
}
