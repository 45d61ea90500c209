//! `lab bench`: what the tracker costs, beside the memory's floor and the kernel.

use std::path::PathBuf;

use clap::Args;
use lab::bench::{self, Family, Options, Workload};

/// What to measure, and how.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// established, udp, new, flood, churn, expiry, resize, list, mixed; all if none is given
    #[arg(value_name = "WORKLOAD", value_parser = workload)]
    workloads: Vec<Workload>,

    /// Connections in the table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    connections: u32,

    /// Trackers, each on a thread of its own (established and udp)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,

    /// The version of IP
    #[arg(long, default_value = "4", value_parser = family)]
    family: Family,

    /// Verify checksums
    #[arg(long)]
    checksums: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Measure the running kernel with the same packets, too (established, udp, new, flood; needs root)
    #[arg(long)]
    versus_linux: bool,

    /// Megabytes of frames: more than the last-level cache holds
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    frames: u32,

    /// Packets of a flood, each of the three times that it is sent
    #[arg(long, default_value_t = 4_000_000)]
    flood_packets: u64,

    /// Captures for the mixed workload; may be repeated
    #[arg(long, value_name = "FILE", default_value = "captures/web.pcap")]
    capture: Vec<PathBuf>,
}

fn workload(name: &str) -> Result<Workload, String> {
    let names: Vec<&str> = Workload::ALL.iter().map(|(name, _)| *name).collect();
    Workload::by_name(name).ok_or(format!("accepts {}", names.join(", ")))
}

fn family(number: &str) -> Result<Family, String> {
    match number {
        "4" => Ok(Family::V4),
        "6" => Ok(Family::V6),
        _ => Err("accepts 4 or 6".to_owned()),
    }
}

/// Prints a line a workload as soon as it is known. Returns whether all gave figures.
pub(crate) fn run(arguments: &Bench) -> Result<bool, String> {
    let options = Options {
        connections: arguments.connections,
        threads: arguments.threads,
        family: arguments.family,
        checksums: arguments.checksums,
        frame_bytes: (arguments.frames as usize) << 20,
        flood_packets: arguments.flood_packets,
        captures: arguments.capture.clone(),
    };
    let mut workloads = arguments.workloads.clone();
    if workloads.is_empty() {
        let comparable = |(name, workload): &(&str, Workload)| {
            let has_like = matches!(*name, "established" | "udp" | "new" | "flood");
            (!arguments.versus_linux || has_like).then_some(*workload)
        };
        workloads.extend(Workload::ALL.iter().filter_map(comparable));
    }
    let mut sound = true;
    for workload in workloads {
        let reports = match arguments.versus_linux {
            true => bench::versus::run(workload, &options).map(|report| vec![report]),
            false => bench::run(workload, &options),
        };
        match reports {
            Ok(reports) => reports.iter().for_each(|report| match arguments.json {
                true => println!("{}", report.json()),
                false => println!("{}", report.line()),
            }),
            Err(why) => {
                eprintln!("lab: {}: {why}", workload.name());
                sound = false;
            }
        }
    }
    Ok(sound)
}
