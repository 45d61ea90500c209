//! `lab listing`: what it costs to list a large table.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lab::listing::{Cost, ipct, listers, measure};

/// How large, and with what.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Connections in the table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    connections: u32,

    /// Listings by each program
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// The ipct to measure; the one beside this program if not given
    #[arg(long, value_name = "FILE")]
    ipct: Option<PathBuf>,
}

/// Returns whether every listing of ours was whole, needed less than 32 MiB, and took at most a quarter of the
/// other's user time.
pub(crate) fn run(listing: &Listing) -> Result<bool, String> {
    let listers = listers(ipct(listing.ipct.as_deref())?);
    let costs = measure(listing.connections, listing.rounds, &listers)?;
    println!(
        "{} connections, others come and go; the fastest of {} listings",
        listing.connections, listing.rounds
    );
    for (lister, costs) in listers.iter().zip(&costs) {
        println!("{:18} {}", lister.name, line(costs));
    }
    let user = |n: usize| costs.get(n).map_or(Duration::ZERO, |costs| fastest(costs));
    let share = user(0).as_secs_f64() / user(1).as_secs_f64();
    println!("user time: {share:.2} of the installed tool's");
    let ours = costs.first().map_or(&[][..], |costs| costs);
    let is_whole = ours
        .iter()
        .all(|cost| cost.missing == 0 && cost.repeated == 0);
    Ok(is_whole && share <= 0.25 && ours.iter().all(|cost| cost.peak < 32 << 10))
}

fn fastest(costs: &[Cost]) -> Duration {
    costs.iter().map(|cost| cost.user).min().unwrap_or_default()
}

fn line(costs: &[Cost]) -> String {
    let least = |of: fn(&Cost) -> Duration| {
        let least = costs.iter().map(of).min().unwrap_or_default();
        format!("{:.2} s", least.as_secs_f64())
    };
    let most = |of: fn(&Cost) -> u64| costs.iter().map(of).max().unwrap_or_default();
    format!(
        "user {}, system {}, elapsed {}, peak {:.1} MiB or less, at most {} missing, {} repeated",
        least(|cost| cost.user),
        least(|cost| cost.system),
        least(|cost| cost.elapsed),
        most(|cost| cost.peak.unsigned_abs()) as f64 / 1024.0,
        most(|cost| cost.missing),
        most(|cost| cost.repeated),
    )
}
