//! Prints conntrack's share of forwarding in the running kernel: `kernel_share [4|6] [WORKLOAD…]`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use lab::bench::linux::{Family, Workload, measure, memory_per_connection};

const WORKLOADS: &[(&str, Workload, u32)] = &[
    ("established", Workload::Established, 1),
    ("established", Workload::Established, 1_000_000),
    ("udp", Workload::Udp, 1),
    ("udp", Workload::Udp, 1_000_000),
    ("new", Workload::New, 1_000_000),
    ("new-udp", Workload::NewUdp, 1_000_000),
    ("flood", Workload::Flood, 1_000_000),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let family = match arguments.first().map(String::as_str) {
        Some("6") => Family::V6,
        _ => Family::V4,
    };
    let is_asked = |name: &str| {
        let mut names = arguments.iter().filter(|name| name.parse::<u8>().is_err());
        names.clone().count() == 0 || names.any(|asked| asked == name)
    };
    let mut status = ExitCode::SUCCESS;
    for (name, workload, connections) in WORKLOADS.iter().filter(|(name, ..)| is_asked(name)) {
        match measure(*workload, *connections, family) {
            Ok(share) => println!(
                "{name:12} {connections:8} connections: {:5.0} ns ({:.0} to {:.0}), with {:.0}, without {:.0}, refused {:.1} %",
                share.ns,
                share.range.0,
                share.range.1,
                share.ns_with,
                share.ns_without,
                100.0 * share.refused
            ),
            Err(why) => {
                eprintln!("kernel_share: {name}: {why}");
                status = ExitCode::FAILURE;
            }
        }
    }
    if is_asked("memory") {
        match memory_per_connection(1_000_000, family) {
            Ok(bytes) => println!("memory: {bytes:.1} bytes a connection, and 8 a bucket"),
            Err(why) => {
                eprintln!("kernel_share: memory: {why}");
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}
