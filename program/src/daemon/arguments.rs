//! `ipct run` on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::rights::Account;
use super::settings::{Device, Interfaces, Mask, Number, Overrides, Pair, Queues, Speed};
use crate::cli::{Setting, setting};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Rules for --queue and routes for --tun: ipct-queue(7). --user, --no-sandbox and --replace: ipct-rights(7).
Signals: SIGHUP reads the configuration again, SIGTERM and SIGINT save the table and stop.
Exit status: 0 stopped when asked to, 1 it did not work, 2 the command line or the configuration is wrong.")]
pub(crate) struct Run {
    /// The configuration; see ipct.conf(5). /etc/ipct/ipct.conf if not given, and then it may be missing
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and end
    #[arg(long)]
    pub(crate) check: bool,

    /// Take over from the daemon that serves the control socket: it hands its table over and ends
    #[arg(long, conflicts_with = "check")]
    pub(crate) replace: bool,

    /// Track the packets that rules send to these queues (NFQUEUE), as in 0 or 0-3, a worker for each
    #[arg(long, value_name = "N[-M]", group = "source")]
    queue: Option<Queues>,

    /// Track what is routed into this TUN device, and send it out of it again
    #[arg(long, value_name = "NAME", group = "source", value_parser = unquoted::<Device>)]
    tun: Option<Device>,

    /// Drop packets that are INVALID instead of letting them pass with their mark
    #[arg(long)]
    drop_invalid: bool,

    /// Become this user once all is open; its are the directories of the state file and of the control socket
    #[arg(long, value_name = "NAME[:GROUP]", value_parser = unquoted::<Account>)]
    user: Option<Account>,

    /// Keep all rights, instead of giving away those that are not needed once all is open
    #[arg(long)]
    no_sandbox: bool,

    /// With --queue: packets for which there is no room pass unseen instead of being dropped
    #[arg(long)]
    fail_open: bool,

    /// With --queue: bits of the packet mark that carry state and direction [default: 0xf0000000]
    #[arg(long, value_name = "MASK")]
    mark_mask: Option<Mask>,

    /// With --queue: bits of the packet mark that take over those of the connection's mark [default: 0]
    #[arg(long, value_name = "MASK")]
    connmark_mask: Option<Mask>,

    /// Track the packets of this capture
    #[arg(long, value_name = "CAPTURE", group = "source")]
    replay: Option<PathBuf>,

    /// How fast the capture is replayed: 1 is its own pace, 10 ten times as fast, max without waiting
    #[arg(long, value_name = "N|max", requires = "replay")]
    speed: Option<Speed>,

    /// Begin the capture again when it is over; time goes on
    #[arg(long = "loop", requires = "replay")]
    repeat: bool,

    /// Listen on these interfaces; see `[tap]` in ipct.conf(5)
    #[arg(long, value_name = "IF[,IF]", group = "source", value_parser = unquoted::<Interfaces>)]
    tap: Option<Interfaces>,

    /// Be the way between two interfaces: whole frames pass through the tracker
    #[arg(long, value_name = "IF,IF", group = "source", value_parser = unquoted::<Pair>)]
    bridge: Option<Pair>,

    /// What may pass: a key of `[bridge]` in ipct.conf(5), as in open=first or invalid=drop; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = policy)]
    policy: Vec<(String, String)>,

    /// Threads that track, each with its part of the table
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<Number<1, 256>>,

    /// The control socket
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// The file in which the table outlives the daemon; '' for none
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    state: Option<PathBuf>,

    /// Mount the files of /proc on this empty directory; '' for nowhere
    #[arg(long, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    proc: Option<PathBuf>,

    /// Answer GET /metrics for Prometheus on this address, as in `127.0.0.1:9817` or `[::1]:9817`
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,

    /// Lines of each top list of the metrics [default: 10]
    #[arg(long, value_name = "K", value_parser = top)]
    metrics_top: Option<Number<0, 100>>,

    /// With --metrics: series by node_exporter's names, too
    #[arg(long)]
    metrics_node_exporter: bool,

    /// Set a knob, by its name today or of old; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    sysctl: Vec<Setting>,
}

fn workers(text: &str) -> Result<Number<1, 256>, String> {
    text.parse().unwrap_or(0_i64).try_into()
}

fn top(text: &str) -> Result<Number<0, 100>, String> {
    text.parse().unwrap_or(-1_i64).try_into()
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong =
        |_| "accepts an IP address and a port, as in 127.0.0.1:9817 or [::1]:9817".to_owned();
    text.parse().map_err(wrong)
}

/// A value as in the configuration, which asks for quotes that the command line does not need.
fn unquoted<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|accepts: String| accepts.replace(" in quotes", ""))
}

fn policy(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("accepts KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Run {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            workers: self.workers,
            replay: self.replay.clone(),
            speed: self.speed,
            repeat: self.repeat,
            queue: self.queue,
            tun: self.tun.clone(),
            drop_invalid: self.drop_invalid,
            user: self.user.clone(),
            no_sandbox: self.no_sandbox,
            mark_mask: self.mark_mask,
            connmark_mask: self.connmark_mask,
            fail_open: self.fail_open,
            tap: self.tap.clone(),
            bridge: self.bridge.clone(),
            policy: self.policy.clone(),
            control: self.control.clone(),
            state: self.state.clone(),
            proc: self.proc.clone(),
            metrics: self.metrics,
            metrics_top: self.metrics_top,
            metrics_node_exporter: self.metrics_node_exporter,
            sysctl: self.sysctl.clone(),
        }
    }
}
