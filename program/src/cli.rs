//! The command line, declared once: parsing and help are made from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ip_conntrack::config::Unit;
use ip_conntrack::{Config, Knob};

/// Connection tracking as Linux netfilter does it, outside the kernel
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Without a verb, ipct speaks conntrack(8): ipct -h")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run captures through a fresh tracker on the capture's own clock, and print the table
    Replay(Replay),

    /// Say who fills a table, what it looks like, and what to do
    Report(Report),

    /// Say what limits this machine's memory allows, and the lines that set them
    Size(Size),
}

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// The part of the memory that the table may take, in percent
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) percent: u8,

    /// Bytes of memory, for another machine than this one
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<u64>,

    /// One JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A capture, or a saved listing (/proc/net/nf_conntrack, /proc/net/ip_conntrack, conntrack -L in any
    /// form), also gzip'd; - is standard input. A second, later listing adds rates
    #[arg(value_name = "SOURCE", num_args = 1..=2, required_unless_present_any = ["kernel", "ipct"])]
    pub(crate) sources: Vec<PathBuf>,

    /// The kernel's own table, of this network namespace
    #[arg(long, conflicts_with_all = ["sources", "ipct"])]
    pub(crate) kernel: bool,

    /// The table of the running daemon
    #[arg(long, conflicts_with = "sources")]
    pub(crate) ipct: bool,

    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = crate::conntrack::DAEMONS, requires = "ipct")]
    pub(crate) socket: PathBuf,

    /// Watch a live table for so many seconds, or: two listings are so many seconds apart (else, as their
    /// files say when they were written). Adds rates, and when the table will be full
    #[arg(long = "for", value_name = "SECONDS", value_parser = length)]
    pub(crate) watched: Option<Duration>,

    /// The moment of a capture: fullest (most entries), end (the last packet), or seconds after the first
    #[arg(long, value_name = "fullest|end|SECONDS", default_value = "fullest", value_parser = at)]
    pub(crate) at: At,

    /// One JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a page for a browser to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Lines of each top list
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) top: Option<u16>,

    /// The limit of the machine that the table is of: its nf_conntrack_max
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max: Option<u64>,

    /// The hash buckets of that machine: its nf_conntrack_buckets
    #[arg(long, value_name = "NUMBER")]
    pub(crate) buckets: Option<u64>,

    /// Set a knob for the replay of a capture; may be repeated. `ipct replay --help` lists them
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) sysctl: Vec<Setting>,
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

#[derive(Debug, Args)]
#[command(after_long_help = knobs())]
pub(crate) struct Replay {
    /// Capture files: pcap or pcapng, also gzip'd; - is standard input. Several are merged by time
    #[arg(required = true, value_name = "CAPTURE")]
    pub(crate) captures: Vec<PathBuf>,

    /// The form of the table and of the event lines
    #[arg(long, value_enum, default_value_t = Format::NfConntrack)]
    pub(crate) format: Format,

    /// What the conntrack, extended and xml forms and the event lines show beside; the others ignore it
    #[arg(short, long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub(crate) output: Vec<Output>,

    /// The moment of the table: end (the last packet), or seconds after the first packet
    #[arg(long, value_name = "end|SECONDS", default_value = "end", value_parser = moment)]
    pub(crate) at: Moment,

    /// Set a knob, by its name today or of old; may be repeated. --help lists them
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) sysctl: Vec<Setting>,

    /// Print the events as they happen instead of the table, as conntrack -E does
    #[arg(long, group = "what")]
    pub(crate) events: bool,

    /// Print a line a packet instead of the table: number, class and direction, new state, reason
    #[arg(long, group = "what")]
    pub(crate) verdicts: bool,

    /// Print the counters instead of the table, as conntrack -S names them, then those by reason
    #[arg(long, group = "what")]
    pub(crate) stats: bool,

    /// The hash key, a number: the same one gives the same ids. Random if not given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u128>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// /proc/net/ip_conntrack of Linux 2.6; IPv4 only, as it was
    #[value(name = "ip_conntrack")]
    IpConntrack,
    /// /proc/net/nf_conntrack
    #[value(name = "nf_conntrack")]
    NfConntrack,
    /// conntrack -L
    Conntrack,
    /// conntrack -L -o extended
    Extended,
    /// conntrack -L -o xml
    Xml,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Output {
    /// The address family in front
    Extended,
    /// The number of each entry
    Id,
    /// When each entry began and ended; needs nf_conntrack_timestamp=1
    Ktimestamp,
    /// The labels, as bit numbers
    Labels,
    /// When each event happened
    Timestamp,
    /// The same as --format xml
    Xml,
}

/// A moment of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    End,
    /// Nanoseconds after the first packet.
    After(u64),
}

fn moment(text: &str) -> Result<Moment, String> {
    if text == "end" {
        return Ok(Moment::End);
    }
    let seconds: f64 = text
        .parse()
        .map_err(|_| "accepts `end` or a number of seconds".to_owned())?;
    // The range keeps the conversion exact enough and free of overflow.
    if !(0.0..=1e10).contains(&seconds) {
        return Err("accepts 0 to 10000000000 seconds".to_owned());
    }
    Ok(Moment::After((seconds * 1e9) as u64))
}

/// A knob and its value, checked against the knob's own bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
}

fn setting(text: &str) -> Result<Setting, String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("accepts NAME=VALUE, as in nf_conntrack_checksum=0".to_owned());
    };
    let (name, value) = (name.trim(), value.trim());
    match Config::default().set_by_name(name, value) {
        // Two thresholds that were given together are checked together, later.
        Ok(_) | Err(ip_conntrack::ConfigError::ThresholdOrder { .. }) => Ok(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// All knobs, for the long help.
fn knobs() -> String {
    let mut text = String::from("Knobs (default, what is accepted):\n");
    let config = default_config();
    for knob in Knob::ALL {
        let info = knob.info();
        if info.read_only {
            continue;
        }
        let unit = match info.unit {
            Unit::Seconds => " seconds",
            Unit::Bytes => " bytes",
            Unit::Count | Unit::Flag | Unit::Choice => "",
        };
        text.push_str(&format!(
            "  {} ({}, {} to {}{unit})\n      {}\n",
            info.name,
            config.get(*knob),
            info.min,
            info.max,
            info.doc
        ));
    }
    text
}

/// Linux's defaults, but with accounting: listings without counters help nobody.
pub(crate) fn default_config() -> Config {
    let mut config = Config::default();
    // The value is within the bounds of a flag, so there is no error to lose.
    let _ = config.set(Knob::Acct, 1);
    config
}
