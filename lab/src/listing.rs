//! What it costs to list a large table of the kernel's: our `ipct --kernel -L` beside the installed tool.
//!
//! A namespace is filled with established connections over ctnetlink. While others come and go as fast as one
//! socket can ask for it, each program lists the table several times, in turn. Its output is read to the end
//! and held against what is known: each lasting connection has to be there once. User and system time are
//! the child's own (`getrusage`), as is its peak memory, which for the second program can only be given as "at
//! most", since the system keeps one greatest value for all children: so ours goes first.
//!
//! Needs root, for `nf_conntrack_max` and `nf_conntrack_buckets`; both are put back.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::linux::{Globals, Table, enter, set};

/// The first address of connections that stay, and of those that come and go.
const LASTING: u32 = 0x0a00_0000;
const PASSING: u32 = 0x0b00_0000;

/// Connections that are made and deleted at a time.
const WAVE: u32 = 2000;

/// A program that lists the kernel's table.
#[derive(Clone, Debug)]
pub struct Lister {
    /// What it is called in the report.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: &'static [&'static str],
}

/// What one listing cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From start to end.
    pub elapsed: Duration,
    /// In the program itself.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
    /// The most memory that this program or one before it had, in KiB.
    pub peak: i64,
    /// Lines that it printed.
    pub lines: u64,
    /// Lasting connections that it did not print.
    pub missing: u64,
    /// Lasting connections that it printed more than once.
    pub repeated: u64,
}

/// Lists a table of so many lasting connections with each program, in turn, so many times.
///
/// # Errors
///
/// The kernel does not allow what is needed, or a program cannot be run.
pub fn measure(
    connections: u32,
    rounds: u32,
    listers: &[Lister],
) -> Result<Vec<Vec<Cost>>, String> {
    let mut globals = Globals::open()?;
    thread::scope(|scope| {
        let thread = scope.spawn(|| inside(&mut globals, connections, rounds, listers));
        let ended = |_| Err("the measuring thread ended early".to_owned());
        thread.join().unwrap_or_else(ended)
    })
}

fn inside(
    globals: &mut Globals,
    connections: u32,
    rounds: u32,
    listers: &[Lister],
) -> Result<Vec<Vec<Cost>>, String> {
    let room = u64::from(connections) + 10 * u64::from(WAVE);
    globals.set_both(room, room.next_power_of_two())?;
    enter()?;
    set("net/netfilter/nf_conntrack_acct", "1")?;
    let said = |error| format!("ctnetlink: {error}");
    let mut table = Table::new().map_err(said)?;
    table.fill(LASTING..LASTING + connections).map_err(said)?;
    let mut passing = Table::new().map_err(said)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                passing.come_and_go(PASSING..PASSING + WAVE)?;
            }
            Ok(())
        });
        let costs = rounds_of(connections, rounds, listers);
        over.store(true, Ordering::Relaxed);
        let traffic = traffic.join().unwrap_or(Ok(()));
        traffic.map_err(said).and(costs)
    })
}

fn rounds_of(connections: u32, rounds: u32, listers: &[Lister]) -> Result<Vec<Vec<Cost>>, String> {
    listers
        .iter()
        .map(|lister| (0..rounds).map(|_| list(lister, connections)).collect())
        .collect()
}

/// One listing.
fn list(lister: &Lister, connections: u32) -> Result<Cost, String> {
    let mut seen = Seen::new(connections);
    let arguments: Vec<OsString> = lister.arguments.iter().map(Into::into).collect();
    let cost = spend(&lister.program, &arguments, |out| {
        seen.read(BufReader::with_capacity(1 << 16, out))
    })?;
    Ok(Cost {
        lines: seen.lines,
        missing: seen.times.iter().filter(|times| **times == 0).count() as u64,
        repeated: seen.times.iter().filter(|times| **times > 1).count() as u64,
        ..cost
    })
}

/// Runs a program to its end, and says what it cost. `read` gets its output; what that leaves is thrown away.
pub(crate) fn spend(
    program: &Path,
    arguments: &[OsString],
    read: impl FnOnce(&mut ChildStdout) -> io::Result<()>,
) -> Result<Cost, String> {
    let said = |error| format!("{}: {error}", program.display());
    let before = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| said(error.into()))?;
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(said)?;
    if let Some(mut out) = child.stdout.take() {
        let read = read(&mut out).and_then(|()| io::copy(&mut out, &mut io::sink()));
        read.map_err(said)?;
    }
    let status = child.wait().map_err(said)?;
    let elapsed = begun.elapsed();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| said(error.into()))?;
    if !status.success() {
        return Err(format!("{}: {status}", program.display()));
    }
    let since = |now: TimeVal, then: TimeVal| {
        let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros((micros(now) - micros(then)).unsigned_abs())
    };
    Ok(Cost {
        elapsed,
        user: since(after.user_time(), before.user_time()),
        system: since(after.system_time(), before.system_time()),
        peak: after.max_rss(),
        ..Cost::default()
    })
}

/// How often each lasting connection was printed.
struct Seen {
    times: Vec<u8>,
    lines: u64,
}

impl Seen {
    fn new(connections: u32) -> Seen {
        Seen {
            times: vec![0; connections as usize],
            lines: 0,
        }
    }

    fn read(&mut self, mut out: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line)? > 0 {
            self.lines += 1;
            if let Some(times) = source(&line).and_then(|number| self.times.get_mut(number)) {
                *times = times.saturating_add(1);
            }
            line.clear();
        }
        Ok(())
    }
}

/// The number of a lasting connection, by its source address.
fn source(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, rest) = line.split_once(" src=")?;
    let address: Ipv4Addr = rest.split(' ').next()?.parse().ok()?;
    usize::try_from(address.to_bits().checked_sub(LASTING)?).ok()
}

/// The `ipct` that was named, or the one beside this program.
///
/// # Errors
///
/// There is none.
pub fn ipct(named: Option<&Path>) -> Result<PathBuf, String> {
    let beside =
        || -> Option<PathBuf> { Some(std::env::current_exe().ok()?.with_file_name("ipct")) };
    let program = named.map(Path::to_owned).or_else(beside);
    let program = program.filter(|program| program.exists());
    program.ok_or_else(|| {
        "there is no ipct beside this program: cargo build --release -p ipct".to_owned()
    })
}

/// The two programs: `ipct`, and the installed tool.
pub fn listers(ipct: PathBuf) -> Vec<Lister> {
    vec![
        Lister {
            name: "ipct --kernel -L",
            program: ipct,
            arguments: &["--kernel", "-L"],
        },
        Lister {
            name: "conntrack -L",
            program: "conntrack".into(),
            arguments: &["-L"],
        },
    ]
}
