//! `lab report-cost`: what a report on a large table costs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lab::listing::{Cost, ipct};
use lab::report_cost::measure;

/// How large, and with what.
#[derive(Debug, Args)]
pub(crate) struct ReportCost {
    /// Connections in the table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections: u32,

    /// Reports of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Also watch the table with `ipct top` for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    top: Option<u32>,

    /// The ipct to measure; the one beside this program if not given
    #[arg(long, value_name = "FILE")]
    ipct: Option<PathBuf>,
}

/// What the report may add to the dump, its memory in KiB, and its time for a file of a million lines.
const MOST_ADDED: f64 = 0.30;
const MOST_MEMORY: i64 = 64 << 10;
const MOST_OF_FILE: Duration = Duration::from_millis(1500);

/// The share of a core that watching may take.
const MOST_OF_TOP: f64 = 0.05;

/// Returns whether everything kept within its bounds.
pub(crate) fn run(asked: &ReportCost) -> Result<bool, String> {
    let costs = measure(
        asked.connections,
        asked.rounds,
        &ipct(asked.ipct.as_deref())?,
        asked.top.map(|secs| Duration::from_secs(secs.into())),
    )?;
    println!(
        "{} connections, two fifths established, the others half-open; the fastest of {} rounds",
        asked.connections, asked.rounds
    );
    println!("the dump alone        {}", line(&costs.dump));
    println!("ipct report --kernel  {}", line(&costs.kernel));
    println!("ipct report FILE      {}", line(&costs.file));
    let elapsed = |costs: &[Cost]| least(costs, |cost| cost.elapsed);
    let added = elapsed(&costs.kernel).as_secs_f64() / elapsed(&costs.dump).as_secs_f64() - 1.0;
    println!(
        "the report adds {:.0} % to the dump (at most {:.0} % are meant); the file has {:.0} MB",
        added * 100.0,
        MOST_ADDED * 100.0,
        costs.bytes as f64 / 1e6
    );
    if let Some(share) = costs.top {
        println!(
            "ipct top --kernel     {:.1} % of a core (at most {:.0} % are meant)",
            share * 100.0,
            MOST_OF_TOP * 100.0
        );
    }
    // The system keeps one greatest value for all children, so only the first round tells of each program.
    let is_small = |costs: &[Cost]| costs.first().is_some_and(|cost| cost.peak < MOST_MEMORY);
    let is_idle = costs.top.is_none_or(|share| share <= MOST_OF_TOP);
    Ok(is_idle
        && added <= MOST_ADDED
        && is_small(&costs.kernel)
        && elapsed(&costs.file) <= MOST_OF_FILE)
}

fn least(costs: &[Cost], of: fn(&Cost) -> Duration) -> Duration {
    costs.iter().map(of).min().unwrap_or_default()
}

fn line(costs: &[Cost]) -> String {
    let least = |of| least(costs, of).as_secs_f64();
    let peak = costs.first().map_or(0, |cost| cost.peak);
    format!(
        "elapsed {:.2} s, user {:.2} s, system {:.2} s, peak {:.1} MiB or less",
        least(|cost| cost.elapsed),
        least(|cost| cost.user),
        least(|cost| cost.system),
        peak as f64 / 1024.0
    )
}
