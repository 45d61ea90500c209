//! The laboratory's command: random sequences, scripts and captures against the running kernel.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;

/// Compare the engine with the running Linux kernel, packet by packet
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The table is read at random, so its pages should be large.
#[global_allocator]
static MEMORY: ip_conntrack_link::sys::HugePages = ip_conntrack_link::sys::HugePages;

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what the tracker costs, beside the memory's floor and the kernel
    Bench(commands::bench::Bench),
    /// List a large table of the kernel's with `ipct` and with the installed conntrack, and measure both
    Listing(commands::listing::Listing),
    /// Report on a large table of the kernel's and on its listing, and measure both beside the dump alone
    ReportCost(commands::report_cost::ReportCost),
    /// Receive the kernel's table and throw it away
    #[command(hide = true)]
    Discard,
    /// Measure what it costs to pass packets on: Linux, and `ipct run` in its place or beside it
    Live(commands::live::Live),
    /// Play random packet sequences into both until something differs
    Random(commands::random::Random),
    /// Play captures into both and compare after every packet, and the tables at the end
    Compare(commands::compare::Compare),
    /// Play packet scripts into both and show where they do something else than expected
    Script(commands::script::Scripts),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let needs_kernel = !matches!(
        cli.command,
        Command::Bench(_)
            | Command::Listing(_)
            | Command::ReportCost(_)
            | Command::Discard
            | Command::Live(_)
    );
    if needs_kernel && let Err(error) = lab::linux::prepare() {
        eprintln!("lab: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = match cli.command {
        Command::Bench(bench) => commands::bench::run(&bench),
        Command::Listing(listing) => commands::listing::run(&listing),
        Command::ReportCost(asked) => commands::report_cost::run(&asked),
        Command::Discard => lab::report_cost::discard().map(|_| true),
        Command::Live(live) => commands::live::run(&live),
        Command::Random(random) => commands::random::run(&random),
        Command::Compare(compare) => commands::compare::run(&compare),
        Command::Script(scripts) => commands::script::run(&scripts),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}
