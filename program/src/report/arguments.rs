//! The command line of `ipct report`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::{Moment, Setting, moment, setting};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A capture, or a saved listing (/proc/net/nf_conntrack, /proc/net/ip_conntrack, conntrack -L in any
    /// form), also gzip'd; - is standard input. A second, later listing adds rates
    #[arg(value_name = "SOURCE", num_args = 1..=2, required_unless_present_any = ["kernel", "ipct"])]
    pub(super) sources: Vec<PathBuf>,

    /// The kernel's own table, of this network namespace
    #[arg(long, conflicts_with_all = ["sources", "ipct"])]
    pub(super) kernel: bool,

    /// The table of the running daemon
    #[arg(long, conflicts_with = "sources")]
    pub(super) ipct: bool,

    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = crate::conntrack::DAEMONS, requires = "ipct")]
    pub(super) socket: PathBuf,

    /// Watch a live table for so many seconds, or: two listings are so many seconds apart (else, as their
    /// files say when they were written). Adds rates, and when the table will be full
    #[arg(long = "for", value_name = "SECONDS", value_parser = length)]
    pub(super) watched: Option<Duration>,

    /// The moment of a capture: fullest (most entries), end (the last packet), or seconds after the first
    #[arg(long, value_name = "fullest|end|SECONDS", default_value = "fullest", value_parser = at)]
    pub(super) at: At,

    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,

    /// Write a page for a browser to this file, too
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    /// Lines of each top list
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) top: Option<u16>,

    /// The limit of the machine that the table is of: its nf_conntrack_max
    #[arg(long, value_name = "NUMBER")]
    pub(super) max: Option<u64>,

    /// The hash buckets of that machine: its nf_conntrack_buckets
    #[arg(long, value_name = "NUMBER")]
    pub(super) buckets: Option<u64>,

    /// Set a knob for the replay of a capture; may be repeated. `ipct replay --help` lists them
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(super) sysctl: Vec<Setting>,
}

impl Arguments {
    /// Those for one file.
    pub(super) fn of_file(source: &Path, max: Option<u64>, lines: u16) -> Arguments {
        Arguments {
            sources: vec![source.to_owned()],
            kernel: false,
            ipct: false,
            socket: PathBuf::new(),
            watched: None,
            at: At::Fullest,
            json: false,
            html: None,
            top: Some(lines),
            max,
            buckets: None,
            sysctl: Vec::new(),
        }
    }
}

/// A moment of a capture, for a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    Fullest,
    End,
    /// Nanoseconds after the first packet.
    After(u64),
}

fn length(text: &str) -> Result<Duration, String> {
    let refused = "accepts 0.1 to 86400 seconds".to_owned();
    match text.parse::<f64>() {
        Ok(secs) if (0.1..=86_400.0).contains(&secs) => Ok(Duration::from_secs_f64(secs)),
        _ => Err(refused),
    }
}

fn at(text: &str) -> Result<At, String> {
    if text == "fullest" {
        return Ok(At::Fullest);
    }
    let refused = |_| "accepts `fullest`, `end` or 0 to 10000000000 seconds".to_owned();
    Ok(match moment(text).map_err(refused)? {
        Moment::End => At::End,
        Moment::After(nanos) => At::After(nanos),
    })
}
