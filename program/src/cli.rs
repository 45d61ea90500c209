//! The command line, declared once: parsing and help are made from it.

use std::path::PathBuf;

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
    #[cfg(target_os = "linux")]
    Report(crate::report::Arguments),
    /// Show who fills a table, live, in the terminal
    #[cfg(target_os = "linux")]
    Top(crate::top::Arguments),
    /// Say what limits this machine's memory allows, and the lines that set them
    #[cfg(target_os = "linux")]
    Size(crate::size::Arguments),
    /// Run the daemon: a tracker that stays, with a control socket
    #[cfg(target_os = "linux")]
    Run(Box<crate::daemon::Run>),
    /// Show and set the knobs of the running daemon
    #[cfg(target_os = "linux")]
    Sysctl(crate::sysctl::Sysctl),
    /// Write manual pages, shell completions and the sample configuration
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Generate(crate::generate::Generate),
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

pub(crate) fn moment(text: &str) -> Result<Moment, String> {
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

pub(crate) fn setting(text: &str) -> Result<Setting, String> {
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
