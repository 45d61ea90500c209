//! The table as a whole: `expiry`, `resize` and `list`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use ip_conntrack::Knob;
use ip_conntrack::format::line;
use nix::sys::resource::{Usage, UsageWho, getrusage};

use super::clock::{median, timed};
use super::engine::Engine;
use super::frames::{Ring, Talk, datagram};
use super::traffic::fill_table;
use super::{Options, Report, Workload};
use crate::rng::Rng;

/// A call that takes longer is told.
const LONG_NS: u64 = 50_000;

/// How often the same resize is done, to tell what a slow call is slow of.
const RESIZES: usize = 3;

fn filled_with_udp(options: &Options) -> Result<Engine, String> {
    let engine = Engine::new(options.connections, options.checksums);
    let mut engine = engine.map_err(|error| error.to_string())?;
    let mut ring = Ring::new(options.family, 1 << 13);
    fill_table(
        &mut engine,
        &mut ring,
        options.connections,
        |ring, connection| {
            let mut segment = datagram(1, &mut Rng::new(0));
            (segment.connection, segment.reply) = (connection, false);
            ring.push(&segment);
        },
    );
    Ok(engine)
}

/// All entries fall due within the time that it took to make them.
///
/// # Errors
///
/// Some entry is left.
pub fn expiry(options: &Options) -> Result<Report, String> {
    const STEP_NS: u64 = 10_000_000;
    let mut engine = filled_with_udp(options)?;
    // To the second before the first entry runs out.
    engine.pass(29_000_000_000);
    let (mut ours, mut longest) = (Vec::new(), 0);
    while !engine.conntrack.is_empty() {
        let before = engine.conntrack.len();
        let started = Instant::now();
        let (ns, ()) = timed(|| engine.pass(STEP_NS));
        longest = longest.max(started.elapsed().as_nanos() as u64);
        let ended = before - engine.conntrack.len();
        if ended > 0 {
            ours.push(ns as f64 / ended as f64);
        }
        if engine.now().as_secs() > 1_000_100 {
            return Err(format!("{} entries never end", engine.conntrack.len()));
        }
    }
    let mut report = Report::new(Workload::Expiry, options, median(&mut ours));
    report.more.push(("longest_step_ns", longest as f64));
    Ok(report)
}

/// What a call took, and whether the time was its own.
#[derive(Debug, Default)]
struct Calls {
    longest_ns: u64,
    slow: Vec<u64>,
    faulted: u64,
    interrupted: u64,
    count: u64,
    faults_before: i64,
    switches_before: i64,
}

impl Calls {
    fn new() -> Calls {
        let mut calls = Calls::default();
        calls.usage();
        calls
    }

    /// Page faults and involuntary context switches since it was asked last.
    fn usage(&mut self) -> (i64, i64) {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok();
        let of = |count: fn(&Usage) -> i64| usage.as_ref().map_or(0, count);
        let faults = of(Usage::minor_page_faults);
        let switches = of(Usage::involuntary_context_switches);
        let since = (faults - self.faults_before, switches - self.switches_before);
        (self.faults_before, self.switches_before) = (faults, switches);
        since
    }

    fn count(&mut self, ns: u64) {
        self.count += 1;
        if ns <= LONG_NS {
            self.longest_ns = self.longest_ns.max(ns);
            return;
        }
        match self.usage() {
            (1.., _) => self.faulted += 1,
            (_, 1..) => self.interrupted += 1,
            _ => self.slow.push(self.count),
        }
    }
}

/// The limit goes up fourfold and back while packets flow, one at a time, each timed. A slow call is
/// told apart by what the system counted meanwhile: page faults of fresh memory, or that something
/// else ran. The same is done several times: what is slow each time is slow of itself.
///
/// # Errors
///
/// A packet was refused.
pub fn resize(options: &Options) -> Result<Report, String> {
    let mut slow: Option<Vec<u64>> = None;
    let (mut ns, mut longest, mut faulted, mut interrupted) = (Vec::new(), u64::MAX, 0, 0);
    for _ in 0..RESIZES {
        let (calls, took) = resize_once(options)?;
        ns.push(took);
        longest = longest.min(calls.longest_ns);
        faulted += calls.faulted;
        interrupted += calls.interrupted;
        slow = Some(match slow {
            None => calls.slow,
            Some(before) => before
                .into_iter()
                .filter(|call| calls.slow.contains(call))
                .collect(),
        });
    }
    let mut report = Report::new(Workload::Resize, options, median(&mut ns));
    let slow = slow.unwrap_or_default().len();
    report.more.push(("slow_calls", slow as f64));
    report.more.push(("longest_call_ns", longest as f64));
    report
        .more
        .push(("page_fault_calls", faulted as f64 / RESIZES as f64));
    report
        .more
        .push(("interrupted_calls", interrupted as f64 / RESIZES as f64));
    Ok(report)
}

fn resize_once(options: &Options) -> Result<(Calls, f64), String> {
    let engine = Engine::new(options.connections, options.checksums);
    let mut engine = engine.map_err(|error| error.to_string())?;
    let mut ring = Ring::new(options.family, 1 << 16);
    let mut talk = Talk::new(options.connections);
    fill_table(
        &mut engine,
        &mut ring,
        options.connections,
        |ring, connection| {
            for segment in talk.handshake(connection) {
                ring.push(&segment);
            }
        },
    );
    let mut rng = Rng::new(3);
    let mut calls = Calls::new();
    let (mut packets, mut total) = (0u64, 0u64);
    for max in [
        4 * i64::from(options.connections),
        i64::from(options.connections),
    ] {
        let started = Instant::now();
        let outcome = engine.conntrack.set(Knob::Max, max);
        calls.count(started.elapsed().as_nanos() as u64);
        outcome.map_err(|error| error.to_string())?;
        // Enough calls for all buckets to move.
        for _ in 0..8 {
            ring.clear();
            (0..1 << 16).for_each(|_| ring.push(&talk.next(&mut rng)));
            for at in 0..ring.len() {
                let started = Instant::now();
                let tally = engine.feed(&ring, at..at + 1);
                let ns = started.elapsed().as_nanos() as u64;
                calls.count(ns);
                (packets, total) = (packets + 1, total + ns);
                if tally.established != 1 {
                    return Err(format!("a packet was not ESTABLISHED: {tally:?}"));
                }
            }
        }
    }
    Ok((calls, total as f64 / packets as f64))
}

/// All entries as `/proc/net/nf_conntrack` has them, to `/dev/null`.
///
/// # Errors
///
/// `/dev/null` cannot be written.
pub fn list(options: &Options) -> Result<Report, String> {
    let engine = filled_with_udp(options)?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let sink = File::create("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
        let mut sink = BufWriter::with_capacity(1 << 16, sink);
        let (ns, outcome) = timed(|| {
            let mut text = Vec::new();
            for connection in engine.conntrack.connections() {
                text.clear();
                line::nf_conntrack(&mut text, &connection);
                sink.write_all(&text)?;
            }
            sink.flush()
        });
        outcome.map_err(|error| format!("/dev/null: {error}"))?;
        times.push(ns as f64);
    }
    let ns = median(&mut times);
    let mut report = Report::new(Workload::List, options, ns / f64::from(options.connections));
    report.more.push(("seconds", ns / 1e9));
    Ok(report)
}
