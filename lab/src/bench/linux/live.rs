//! What passing packets on costs: Linux with and without connection tracking, and `ipct run` in its place.
//!
//! **How.** Two pairs of veth in a namespace. A program in the kernel makes frames and sends them by `source`; they
//! come in on its peer `in`, go through whatever is measured, leave by `out`, and are counted and dropped by a
//! program on its peer `sink`. The sender keeps a bounded number of frames under way, so nothing is lost for
//! want of patience; where Linux forwards, that is at once on the same CPU, so frames go as fast as they can be
//! made. What a listening daemon lost, it says itself.
//!
//! **Time** is that of the CPU which the sender, the daemon and the kernel's softirq threads have taken: all that
//! work on these packets, and nobody else. What the sender itself takes is the same for all and is in it, but for
//! the frames that it makes while it waits: what those take is measured before and taken off.
//!
//! **What makes it worth something.** Delivered is what the far side has counted. Needs root.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ip_conntrack_link::sys::bpf::Attached;

use super::daemon::{Daemon, of_process};
use super::feeder::{Feeder, Pace, Pick};
use super::router::{INTERFACES, SETTINGS, Task, cpu_time};
use super::{BUCKETS, Family, Kind, apart};
use crate::linux::{enter, run, set};

const SOURCE: u32 = 12;
const SINK: u32 = 14;

/// Frames that may be under way.
const UNDER_WAY: u32 = 768;

/// Frames that the kernel is asked to make at once: asking takes it tens of milliseconds.
const MOST_AT_ONCE: u64 = 64 << 20;

/// How long it is waited for frames that do not come.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long frames are sent at most.
const LONGEST: Duration = Duration::from_secs(60);

/// What comes in goes to the daemon, and is not tracked by the kernel.
const TO_QUEUE: &str = "*raw
-A PREROUTING -j CT --notrack
COMMIT
*mangle
-A PREROUTING -i in -j NFQUEUE --queue-num 0
COMMIT
";

/// What is between `in` and `out`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Between {
    /// Linux forwards.
    Linux,
    /// Linux forwards and tracks.
    LinuxTracks,
    /// The daemon bridges.
    Bridge,
    /// Linux forwards what the daemon, behind a queue of netfilter's, lets pass.
    Queue,
    /// Linux forwards and the daemon listens, with so many workers.
    Tap(u32),
}

impl Between {
    /// What is measured, in words.
    pub fn name(self) -> String {
        match self {
            Between::Linux => "Linux forwards".to_owned(),
            Between::LinuxTracks => "Linux forwards with conntrack".to_owned(),
            Between::Bridge => "ipct run --bridge".to_owned(),
            Between::Queue => "ipct run --queue".to_owned(),
            Between::Tap(workers) => format!("ipct run --tap --workers {workers}"),
        }
    }

    fn daemon(self) -> Option<String> {
        match self {
            Between::Linux | Between::LinuxTracks => None,
            Between::Bridge => Some("--bridge in,out".to_owned()),
            Between::Queue => Some("--queue 0".to_owned()),
            Between::Tap(workers) => Some(format!("--tap in --workers {workers}")),
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Passed {
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that came through; for a daemon that listens, that it has got.
    pub delivered: u64,
    /// How long that took.
    pub time: Duration,
    /// The CPUs' time for it.
    pub cpu: Duration,
}

/// Sends so many packets of established connections through it.
///
/// # Errors
///
/// As for [`measure`](super::measure); or the daemon does not start.
pub fn pass(between: Between, flows: u32, packets: u64, ipct: &Path) -> Result<Passed, String> {
    let ipct = ipct.to_owned();
    apart(move |globals| {
        globals.set_both(u64::from(flows) + 1000, BUCKETS)?;
        let mut bench = Bench::new(between, flows, &ipct)?;
        bench.open(flows)?;
        let kinds = [Kind::Ack, Kind::AckBack];
        let pick = Pick::Random(flows);
        bench.feed(&kinds, pick, packets / 10)?;
        let mut passed = bench.feed(&kinds, pick, packets)?;
        if let Between::Tap(_) = between {
            passed.delivered = passed.delivered.saturating_sub(bench.lost()?);
        }
        Ok(passed)
    })
}

struct Bench {
    pace: Pace,
    /// What a frame takes that is not sent.
    skip: Duration,
    daemon: Option<Daemon>,
    _sink: Attached,
}

impl Bench {
    fn new(between: Between, flows: u32, ipct: &Path) -> Result<Bench, String> {
        enter()?;
        run("ip", &["-batch", "-"], INTERFACES)?;
        // So that a veth takes frames that another program redirects to it.
        for interface in ["in", "sink"] {
            run("ethtool", &["-K", interface, "gro", "on"], "")?;
        }
        for (name, value) in SETTINGS {
            set(name, value)?;
        }
        match between {
            Between::LinuxTracks => run("nft", &["-f", "-"], Task::Track.rules())?,
            Between::Linux | Between::Tap(_) => run("nft", &["-f", "-"], Task::Forward.rules())?,
            Between::Queue => run("iptables-restore", &[], TO_QUEUE)?,
            Between::Bridge => {}
        }
        let pace = Pace::new(UNDER_WAY).map_err(|error| error.to_string())?;
        let sink = pace
            .sink(SINK)
            .map_err(|error| format!("the sink: {error}"))?;
        let skip = Bench::cost_of_a_skip(&pace)?;
        let daemon = between
            .daemon()
            .map(|way| Daemon::start(ipct, &way, flows))
            .transpose()?;
        Ok(Bench {
            pace,
            skip,
            daemon,
            _sink: sink,
        })
    }

    fn open(&self, flows: u32) -> Result<(), String> {
        for kind in [Kind::Syn, Kind::SynAck, Kind::Ack] {
            let Passed {
                sent, delivered, ..
            } = self.feed(&[kind], Pick::Next, flows.into())?;
            if delivered < u64::from(flows) {
                return Err(format!(
                    "{delivered} of {flows} {kind:?} packets came through ({sent} sent)"
                ));
            }
        }
        Ok(())
    }

    /// Has so many packets sent, and waits until they are through or none comes any more.
    fn feed(&self, kinds: &[Kind], pick: Pick, packets: u64) -> Result<Passed, String> {
        let said = |error: io::Error| format!("live frames: {error}");
        let pace = &self.pace;
        let feeder = Feeder::sending(Family::V4, kinds, pick, SOURCE, pace).map_err(said)?;
        let count = || Ok::<_, io::Error>((pace.sent()?, pace.counted()?, pace.skipped()?));
        let (sent_before, delivered_before, skipped_before) = count().map_err(said)?;
        let (cpu, begin) = (self.cpu()?, Instant::now());
        pace.allow(packets).map_err(said)?;
        // How many have to be made for one that goes.
        let mut tries = 1;
        loop {
            let sent = pace.sent().map_err(said)? - sent_before;
            if sent == packets || begin.elapsed() > LONGEST {
                break;
            }
            let frames = ((packets - sent) * tries).min(MOST_AT_ONCE);
            feeder.feed(SOURCE, frames as u32).map_err(said)?;
            let now = pace.sent().map_err(said)? - sent_before - sent;
            tries = frames.div_ceil(now.max(1)).min(256);
        }
        let time = begin.elapsed();
        let cpu = self.cpu()?.saturating_sub(cpu);
        thread::sleep(PATIENCE);
        let (sent, delivered, skipped) = count().map_err(said)?;
        let skipped = skipped - skipped_before;
        Ok(Passed {
            sent: sent - sent_before,
            delivered: delivered - delivered_before,
            time,
            cpu: cpu.saturating_sub(self.skip.mul_f64(skipped as f64)),
        })
    }

    /// What it costs to make a frame and throw it away, since it was not its turn.
    fn cost_of_a_skip(pace: &Pace) -> Result<Duration, String> {
        const FRAMES: u32 = 4_000_000;
        let said = |error: io::Error| format!("live frames: {error}");
        let kinds = [Kind::Ack];
        let feeder = Feeder::sending(Family::V4, &kinds, Pick::Random(1), SOURCE, pace);
        let feeder = feeder.map_err(said)?;
        pace.allow(0).map_err(said)?;
        let before = cpu_time()?;
        feeder.feed(SOURCE, FRAMES).map_err(said)?;
        Ok(cpu_time()?.saturating_sub(before) / FRAMES)
    }

    /// What the daemon has lost in all, once it is stopped.
    fn lost(&mut self) -> Result<u64, String> {
        // It asks for the kernel's counters each second.
        thread::sleep(Duration::from_secs(2));
        let told = self
            .daemon
            .take()
            .map(Daemon::stop)
            .transpose()?
            .unwrap_or_default();
        let count = |name: &str| {
            let count = |word: &str| {
                word.strip_prefix(name)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            };
            told.split_whitespace().filter_map(count).sum::<u64>()
        };
        match count("packets") {
            0 => Err(format!("the daemon has received nothing: {told}")),
            _ => Ok(count("tap_lost")),
        }
    }

    /// What all have taken so far that have to do with it.
    fn cpu(&self) -> Result<Duration, String> {
        let mut sum = cpu_time()?;
        if let Some(daemon) = &self.daemon {
            sum += daemon.cpu_time();
        }
        let processes = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
        for process in processes.flatten() {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            if let (true, Ok(id)) = (
                name.starts_with("ksoftirqd/"),
                process.file_name().to_string_lossy().parse(),
            ) {
                sum += of_process(id);
            }
        }
        Ok(sum)
    }
}
