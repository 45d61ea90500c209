//! `ipct`: connection tracking outside the kernel, on the command line.
//!
//! This crate joins the others: bytes come from `ip_conntrack_link`, the engine is `ip_conntrack`.
//! What needs no operating system belongs into one of them.
//!
//! stdout carries data only; what is to be said about it goes to stderr. Exit status: 0, 1 (it did not
//! work), 2 (usage). A reader that closes early is no error.

#![forbid(unsafe_code)]

mod cli;
#[cfg(target_os = "linux")]
mod conntrack;
mod counters;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod generate;
mod knobs;
mod local_time;
mod often;
mod replay;
#[cfg(target_os = "linux")]
mod report;
mod seed;
#[cfg(target_os = "linux")]
mod size;
#[cfg(target_os = "linux")]
mod sysctl;
#[cfg(target_os = "linux")]
mod top;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        let arguments: Vec<_> = std::env::args_os().collect();
        if daemon::is_helper(&arguments) {
            return daemon::unmount_behind();
        }
        if let Some(voice) = conntrack::voice(&arguments) {
            return conntrack::run(&arguments, voice);
        }
    }
    match cli::Cli::parse().command {
        cli::Command::Replay(arguments) => ended(replay::run(&arguments)),
        #[cfg(target_os = "linux")]
        cli::Command::Report(arguments) => ended(report::run(&arguments)),
        #[cfg(target_os = "linux")]
        cli::Command::Top(arguments) => ended(top::run(&arguments)),
        #[cfg(target_os = "linux")]
        cli::Command::Size(arguments) => ended(size::run(&arguments)),
        #[cfg(target_os = "linux")]
        cli::Command::Run(arguments) => daemon::run(&arguments),
        #[cfg(target_os = "linux")]
        cli::Command::Sysctl(arguments) => sysctl::run(&arguments),
        #[cfg(target_os = "linux")]
        cli::Command::Generate(arguments) => match generate::run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(format_args!("{error}"));
                ExitCode::FAILURE
            }
        },
    }
}

/// What a verb's end means for the status.
fn ended(ran: io::Result<bool>) -> ExitCode {
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on stderr. That stderr is closed is nobody's concern.
fn say(text: std::fmt::Arguments<'_>) {
    let text = printable(&text.to_string());
    let _ = writeln!(io::stderr().lock(), "ipct: {text}");
}

/// Text for a terminal that may come from anywhere, as the names of files do: what would steer it is shown as `?`.
fn printable(text: &str) -> String {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(steers, "?")
}
