//! What a report on a large table costs: `ipct report --kernel` beside the dump alone, and `ipct report FILE`.
//!
//! A namespace is filled over ctnetlink with what a flooded server has: established connections, and
//! half-open ones from addresses of everywhere. *The dump alone* is a program that asks for the same listing
//! with a buffer of the same size, and throws it away ([`discard`]). Both are started as processes, in turn, and
//! their own times are compared by the least of several rounds, as is usual where others share the machine.
//!
//! Needs root, for `nf_conntrack_max` and `nf_conntrack_buckets`; both are put back.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::linux::{Globals, Table, enter, set};
use crate::listing::{Cost, spend};

/// The first address of established connections.
const ESTABLISHED: u32 = 0x0a00_0000;

/// What each of the three cost, round by round.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// Receiving the kernel's dump, and no more.
    pub dump: Vec<Cost>,
    /// `ipct report --kernel`.
    pub kernel: Vec<Cost>,
    /// `ipct report FILE`.
    pub file: Vec<Cost>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The share of a core that `ipct top --kernel` took, once its first look was over.
    pub top: Option<f64>,
}

/// Reports on a table of so many connections, so many times; then watches it with `ipct top` for a while.
///
/// # Errors
///
/// The kernel does not allow what is needed, or a program cannot be run.
pub fn measure(
    connections: u32,
    rounds: u32,
    ipct: &Path,
    top: Option<Duration>,
) -> Result<Costs, String> {
    let mut globals = Globals::open()?;
    thread::scope(|scope| {
        let thread = scope.spawn(|| inside(&mut globals, connections, rounds, ipct, top));
        let ended = |_| Err("the measuring thread ended early".to_owned());
        thread.join().unwrap_or_else(ended)
    })
}

fn inside(
    globals: &mut Globals,
    connections: u32,
    rounds: u32,
    ipct: &Path,
    top: Option<Duration>,
) -> Result<Costs, String> {
    globals.set_both(
        u64::from(connections),
        u64::from(connections).next_power_of_two(),
    )?;
    enter()?;
    set("net/netfilter/nf_conntrack_acct", "1")?;
    let said = |error| format!("ctnetlink: {error}");
    let mut table = Table::new().map_err(said)?;
    let lasting = connections / 5 * 2;
    table
        .fill(ESTABLISHED..ESTABLISHED + lasting)
        .map_err(said)?;
    table.flood(lasting..connections).map_err(said)?;
    let lab = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let saved = Saved::of(ipct)?;
    let mut costs = Costs {
        bytes: saved.bytes,
        ..Costs::default()
    };
    for _ in 0..rounds {
        costs
            .dump
            .push(spend(&lab, &["discard".into()], |_| Ok(()))?);
        let report = ["report", "--json", "--kernel"].map(Into::into);
        costs.kernel.push(spend(ipct, &report, |_| Ok(()))?);
        let report = [
            "report".into(),
            "--json".into(),
            saved.path.clone().into_os_string(),
        ];
        costs.file.push(spend(ipct, &report, |_| Ok(()))?);
    }
    costs.top = top.map(|length| watched(ipct, length)).transpose()?;
    Ok(costs)
}

/// The first look of `ipct top` is over within this.
const SETTLED: Duration = Duration::from_secs(10);

/// Runs `ipct top --kernel` in a terminal (script(1)). => the share of a core that it takes.
fn watched(ipct: &Path, length: Duration) -> Result<f64, String> {
    let command = format!("exec '{}' top --kernel", ipct.display());
    let said = |error: io::Error| format!("script: {error}");
    let mut script = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(said)?;
    thread::sleep(SETTLED);
    let share = child_of(script.id()).and_then(|top| {
        let before = spent(top)?;
        thread::sleep(length);
        Some((spent(top)? - before) / length.as_secs_f64())
    });
    if let Some(keys) = &mut script.stdin {
        keys.write_all(b"q").map_err(said)?;
    }
    script.wait().map_err(said)?;
    share.ok_or_else(|| "ipct top ended early".to_owned())
}

fn child_of(process: u32) -> Option<u32> {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).ok()?;
    children.split(' ').next()?.parse().ok()
}

/// Seconds of processor time that a process took (proc(5): fields 14 and 15, a hundred ticks a second).
fn spent(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut ticks = rest.split(' ').skip(11).map(str::parse::<u32>);
    Some(f64::from(ticks.next()?.ok()? + ticks.next()?.ok()?) / 100.0)
}

/// The table, saved as text, until this is dropped.
struct Saved {
    path: PathBuf,
    bytes: u64,
}

impl Saved {
    fn of(ipct: &Path) -> Result<Saved, String> {
        let path = std::env::temp_dir().join(format!("report-cost-{}", std::process::id()));
        let said = |error: io::Error| format!("{}: {error}", path.display());
        let file = File::create(&path).map_err(said)?;
        let mut saved = Saved {
            path: path.clone(),
            bytes: 0,
        };
        let status = Command::new(ipct)
            .args(["--kernel", "-L", "-o", "extended"])
            .stdout(file)
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("{}: {error}", ipct.display()))?;
        if !status.success() {
            return Err(format!("{} --kernel -L: {status}", ipct.display()));
        }
        saved.bytes = path.metadata().map_err(said)?.len();
        Ok(saved)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Receives the table of this namespace and throws it away. => entries.
///
/// # Errors
///
/// The kernel refuses the listing.
pub fn discard() -> Result<u64, String> {
    let said = |error| format!("ctnetlink: {error}");
    let mut entries = 0;
    let mut table = Table::new().map_err(said)?;
    table.discard(|| entries += 1).map_err(said)?;
    Ok(entries)
}
