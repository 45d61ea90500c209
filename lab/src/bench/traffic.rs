//! Packets of connections that are there: `established` and `udp`.

use std::sync::Barrier;
use std::thread;

use super::clock::{cpu_ns, median, resident};
use super::engine::{Engine, Tally};
use super::floor::Floor;
use super::frames::{Ring, Talk, datagram};
use super::{Options, Report, Workload};
use crate::rng::Rng;

/// Frames that are measured at a time.
const STRETCH: usize = 1 << 15;

/// How often all frames are made anew and measured, after once for warming up.
const PASSES: usize = 2;

/// Frames that are made and tracked at a time while a table is filled.
const FILLED_AT_ONCE: usize = 1 << 12;

/// What one thread found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    ns: f64,
    floor_ns: f64,
    bytes: f64,
    packets: f64,
}

/// Measures one of the two.
///
/// # Errors
///
/// Some packet was not ESTABLISHED.
pub fn run(workload: Workload, options: &Options) -> Result<Report, String> {
    let share = Options {
        connections: options.connections.div_ceil(options.threads),
        frame_bytes: options.frame_bytes / options.threads as usize,
        ..options.clone()
    };
    let start = Barrier::new(options.threads as usize);
    let found: Result<Vec<Found>, String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|number| {
                let (share, start) = (&share, &start);
                scope.spawn(move || one(workload, share, u64::from(number), start))
            })
            .collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined
            .map(|outcome| outcome.unwrap_or_else(|_| Err("a thread ended early".to_owned())))
            .collect()
    });
    let found = found?;
    let mean = |of: fn(&Found) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    let mut report = Report::new(workload, options, mean(|found| found.ns));
    report.floor_ns = Some(mean(|found| found.floor_ns));
    report.more.push(("packets", mean(|found| found.packets)));
    // Resident memory is the whole process's, so only one thread can tell what is its own.
    report.bytes_per_connection = (options.threads == 1).then(|| mean(|found| found.bytes));
    Ok(report)
}

fn one(
    workload: Workload,
    options: &Options,
    number: u64,
    start: &Barrier,
) -> Result<Found, String> {
    let frames = Ring::frames_of(options.family, options.frame_bytes);
    let mut ring = Ring::new(options.family, frames.max(FILLED_AT_ONCE + 3));
    let mut floor = Floor::new(options.connections);
    let mut traffic = Traffic::new(workload, options.connections, number);
    let mut opening = Ring::new(options.family, FILLED_AT_ONCE + 3);
    let before = resident();
    let engine = Engine::new(options.connections, options.checksums);
    let mut engine = engine.map_err(|error| error.to_string())?;
    traffic.open(&mut engine, &mut opening);
    let held = resident().saturating_sub(before);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for pass in 0..=PASSES {
        ring.clear();
        traffic.fill(&mut ring, frames);
        start.wait();
        for from in (0..ring.len()).step_by(STRETCH) {
            let stretch = from..(from + STRETCH).min(ring.len());
            let begun = cpu_ns();
            let tally = engine.measured(&ring, stretch.clone());
            let ns = (cpu_ns() - begun) as f64 / stretch.len() as f64;
            check(&tally, stretch.len())?;
            let floor_ns = floor.measure(&ring, stretch);
            if pass > 0 {
                ours.push(ns);
                floors.push(floor_ns);
            }
        }
    }
    Ok(Found {
        ns: median(&mut ours),
        floor_ns: median(&mut floors),
        bytes: held as f64 / f64::from(options.connections),
        packets: (ring.len() * (PASSES + 1)) as f64,
    })
}

fn check(tally: &Tally, packets: usize) -> Result<(), String> {
    if tally.established == packets as u64 {
        return Ok(());
    }
    Err(format!(
        "of {packets} packets, not all were ESTABLISHED: {tally:?}"
    ))
}

/// What goes on between the hosts.
enum Traffic {
    Tcp(Talk, Rng),
    Udp(u32, Rng),
}

impl Traffic {
    fn new(workload: Workload, connections: u32, seed: u64) -> Traffic {
        let rng = Rng::new(seed);
        match workload {
            Workload::Udp => Traffic::Udp(connections, rng),
            _ => Traffic::Tcp(Talk::new(connections), rng),
        }
    }

    /// Opens all connections: handshakes, or a datagram each way and, when the exchange has become a
    /// stream, another.
    fn open(&self, engine: &mut Engine, ring: &mut Ring) {
        match self {
            Traffic::Tcp(talk, _) => {
                fill_table(engine, ring, talk.connections(), |ring, connection| {
                    for segment in talk.handshake(connection) {
                        ring.push(&segment);
                    }
                });
            }
            Traffic::Udp(connections, _) => {
                const STREAM_AFTER_NS: u64 = 2_100_000_000;
                for round in 0..3 {
                    fill_table(engine, ring, *connections, |ring, connection| {
                        let mut segment = datagram(1, &mut Rng::new(0));
                        segment.connection = connection;
                        segment.reply = round == 1;
                        ring.push(&segment);
                    });
                    engine.pass(STREAM_AFTER_NS);
                }
            }
        }
    }

    fn fill(&mut self, ring: &mut Ring, frames: usize) {
        for _ in 0..frames {
            let segment = match self {
                Traffic::Tcp(talk, rng) => talk.next(rng),
                Traffic::Udp(connections, rng) => datagram(*connections, rng),
            };
            ring.push(&segment);
        }
    }
}

/// Tracks the packets that `push` has for each connection, some thousand at a time.
pub fn fill_table(
    engine: &mut Engine,
    ring: &mut Ring,
    connections: u32,
    mut push: impl FnMut(&mut Ring, u32),
) {
    ring.clear();
    for connection in 0..connections {
        push(ring, connection);
        if ring.len() >= FILLED_AT_ONCE || connection + 1 == connections {
            engine.feed(ring, 0..ring.len());
            ring.clear();
        }
    }
}
