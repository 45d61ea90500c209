//! What passing packets on costs: Linux with and without connection tracking, and `ipct run` in its place.
//!
//! **How.** Two pairs of veth in a namespace. A program in the kernel makes frames and sends them by `source`; they
//! come in on its peer `in`, go through whatever is measured, leave by `out`, and are counted and dropped by a
//! program on its peer `sink`. The sender keeps a bounded number of frames under way, so nothing is lost for
//! want of patience; the listening daemon alone gets them as fast as they can be made, and says what it lost.
//!
//! **Time** is that of the CPU which the sender, the daemon and the kernel's softirq threads have taken: all that
//! work on these packets, and nobody else. What the sender itself takes is the same for all and is in it.
//!
//! **What makes it worth something.** Delivered is what the far side has counted. Needs root.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ip_conntrack_link::sys::bpf::{Array, Attached};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::feeder::{Feeder, Pick, counting_sink};
use super::router::{INTERFACES, SETTINGS, Task, cpu_time};
use super::{BUCKETS, Family, Kind, apart};
use crate::linux::{enter, run, set};

const SOURCE: u32 = 12;
const SINK: u32 = 14;

/// Frames that are fed at once, and that may be under way.
const AT_ONCE: u32 = 256;
const UNDER_WAY: u64 = 768;

/// How long it is waited for frames that do not come.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is between `in` and `out`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Between {
    /// Linux forwards.
    Linux,
    /// Linux forwards and tracks.
    LinuxTracks,
    /// The daemon bridges.
    Bridge,
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
            Between::Tap(workers) => format!("ipct run --tap --workers {workers}"),
        }
    }

    fn daemon(self) -> Option<String> {
        match self {
            Between::Linux | Between::LinuxTracks => None,
            Between::Bridge => Some("--bridge in,out".to_owned()),
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
        let feeder = feeder(&kinds, Pick::Random(flows))?;
        if let Between::Tap(_) = between {
            return bench.feed_at_once(&feeder, packets);
        }
        bench.feed(&feeder, packets / 10)?;
        bench.feed(&feeder, packets)
    })
}

struct Bench {
    counted: Array,
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
            Between::Bridge => {}
        }
        let counted = Array::new(1).map_err(|error| error.to_string())?;
        let sink = counting_sink(&counted, SINK).map_err(|error| format!("the sink: {error}"))?;
        let daemon = between
            .daemon()
            .map(|way| Daemon::start(ipct, &way, flows))
            .transpose()?;
        Ok(Bench {
            counted,
            daemon,
            _sink: sink,
        })
    }

    fn open(&self, flows: u32) -> Result<(), String> {
        for kind in [Kind::Syn, Kind::SynAck, Kind::Ack] {
            let passed = self.feed(&feeder(&[kind], Pick::Next)?, flows.into())?;
            if passed.delivered < passed.sent {
                let Passed {
                    sent, delivered, ..
                } = passed;
                return Err(format!(
                    "{delivered} of {sent} {kind:?} packets came through"
                ));
            }
        }
        Ok(())
    }

    /// As fast as frames can be made, and then the daemon is stopped and says what it has lost.
    fn feed_at_once(&mut self, feeder: &Feeder, packets: u64) -> Result<Passed, String> {
        let (cpu, begin) = (self.cpu()?, Instant::now());
        let mut sent = 0;
        while sent < packets {
            let now = (packets - sent).min(1 << 20);
            feed(feeder, now as u32)?;
            sent += now;
        }
        let time = begin.elapsed();
        // It asks for the kernel's counters each second.
        thread::sleep(Duration::from_secs(2));
        let cpu = self.cpu()?.saturating_sub(cpu);
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
        if count("packets") == 0 {
            return Err(format!("the daemon has received nothing: {told}"));
        }
        Ok(Passed {
            sent,
            delivered: sent.saturating_sub(count("tap_lost")),
            time,
            cpu,
        })
    }

    /// With a bounded number of frames under way.
    fn feed(&self, feeder: &Feeder, packets: u64) -> Result<Passed, String> {
        let delivered = || self.counted.get(0).map_err(|error| error.to_string());
        let (before, cpu, begin) = (delivered()?, self.cpu()?, Instant::now());
        let (mut sent, mut lost, mut news) = (0, 0, Instant::now());
        let mut seen = 0;
        while sent < packets || (seen + lost < sent && news.elapsed() < PATIENCE) {
            let now = delivered()? - before;
            if now > seen {
                (seen, news) = (now, Instant::now());
            }
            let under_way = sent.saturating_sub(seen + lost);
            if sent < packets && under_way <= UNDER_WAY {
                let count = u64::from(AT_ONCE).min(packets - sent);
                feed(feeder, count as u32)?;
                sent += count;
            } else if news.elapsed() > PATIENCE {
                lost += under_way;
                news = Instant::now();
            } else {
                thread::sleep(Duration::from_micros(20));
            }
        }
        Ok(Passed {
            sent,
            delivered: seen,
            time: begin.elapsed(),
            cpu: self.cpu()?.saturating_sub(cpu),
        })
    }

    /// What all have taken so far that have to do with it.
    fn cpu(&self) -> Result<Duration, String> {
        let mut sum = cpu_time()?;
        if let Some(daemon) = &self.daemon {
            sum += of_process(daemon.child.id());
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

/// The CPUs' time that a process's threads have taken.
fn of_process(id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn feeder(kinds: &[Kind], pick: Pick) -> Result<Feeder, String> {
    let made = Feeder::sending(Family::V4, kinds, pick, SOURCE);
    made.map_err(|error| format!("no program that makes frames: {error}"))
}

fn feed(feeder: &Feeder, count: u32) -> Result<(), String> {
    feeder
        .feed(SOURCE, count)
        .map_err(|error| format!("no live frames: {error}"))
}

/// The daemon, on the CPUs that the sender does not use.
struct Daemon {
    child: Child,
    folder: String,
}

impl Daemon {
    fn start(ipct: &Path, way: &str, flows: u32) -> Result<Daemon, String> {
        let folder = format!("/tmp/lab-live-{}", std::process::id());
        let said = |error: io::Error| format!("{}: {error}", ipct.display());
        fs::create_dir_all(&folder).map_err(said)?;
        let config = format!("{folder}/ipct.conf");
        let text = format!("[control]\npath = \"{folder}/socket\"\n[state]\npath = \"\"\n");
        fs::write(&config, text).map_err(said)?;
        let child = Command::new("taskset")
            .args([
                "-c",
                &others(),
                &ipct.to_string_lossy(),
                "run",
                "--config",
                &config,
            ])
            .args(way.split(' '))
            .args([
                "--sysctl",
                &format!("nf_conntrack_max={}", 2 * flows + 1000),
            ])
            .args(["--sysctl", "nf_conntrack_checksum=0"])
            .stdin(Stdio::null())
            .stderr(fs::File::create(format!("{folder}/log")).map_err(said)?)
            .spawn()
            .map_err(said)?;
        let daemon = Daemon { child, folder };
        let end = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(format!("{}/socket", daemon.folder)).is_err() {
            if Instant::now() > end {
                let why = daemon.stop()?;
                return Err(format!(
                    "{}: the daemon does not start: {why}",
                    ipct.display()
                ));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(daemon)
    }

    /// Ends it. => what it has said.
    fn stop(mut self) -> Result<String, String> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let said = |error: io::Error| format!("the daemon's end: {error}");
        self.child.wait().map_err(said)?;
        fs::read_to_string(format!("{}/log", self.folder)).map_err(said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// All CPUs but the last, on which the sender is; that one if there is no other.
fn others() -> String {
    format!("0-{}", all_cpus().saturating_sub(2))
}

fn all_cpus() -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = online
        .trim()
        .rsplit(['-', ','])
        .next()
        .and_then(|last| last.parse().ok());
    last.unwrap_or(0) + 1
}
