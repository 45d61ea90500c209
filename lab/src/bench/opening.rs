//! Packets that open connections: `new`, `flood` and `churn`.

use std::time::Instant;

use ip_conntrack::Action;

use super::clock::{cpu_ns, median};
use super::engine::Engine;
use super::floor::Floor;
use super::frames::{Body, Ring, Segment, flag, life};
use super::traffic::fill_table;
use super::{Options, Report, Workload};
use crate::rng::Rng;

/// Frames that are measured at a time.
const STRETCH: usize = 1 << 13;

/// The shares of the table's limit at which opening is measured, in percent, and how far before them
/// it begins.
const LEVELS: [u32; 4] = [50, 75, 90, 100];
const BEFORE: u32 = 5;

/// Longer than a connection lasts that is not answered.
pub const SYN_SENT_NS: u64 = 200_000_000_000;

/// A packet of a flood that takes longer is told.
const LONG_NS: u64 = 20_000;

/// Packets of the flood that is sent as fast as may be: more of them tell no more.
const FAST_AT_MOST: u64 = 8_000_000;

/// How often the same flood is sent, to tell what a slow packet is slow of.
const FLOODS: usize = 3;

const fn syn(connection: u32) -> Segment {
    Segment {
        connection,
        reply: false,
        body: Body::Tcp {
            flags: flag::SYN,
            seq: 1,
            ack: 0,
            len: 0,
        },
    }
}

fn engine(options: &Options) -> Result<Engine, String> {
    Engine::new(options.connections, options.checksums).map_err(|error| error.to_string())
}

/// Every packet a new connection, at several levels of fill.
///
/// # Errors
///
/// Some packet opened none.
pub fn new(options: &Options) -> Result<Vec<Report>, String> {
    let mut engine = engine(options)?;
    let mut floor = Floor::new(options.connections);
    let at = |percent: u32| (u64::from(options.connections) * u64::from(percent) / 100) as u32;
    let mut ring = Ring::new(options.family, at(BEFORE) as usize + (1 << 13));
    // Memory that was never used comes from the system, which is not what is measured.
    fill_table(&mut engine, &mut ring, options.connections, |ring, n| {
        ring.push(&syn(n));
    });
    engine.pass(SYN_SENT_NS);
    let mut opened = 0;
    let mut reports = Vec::new();
    for level in LEVELS {
        let from = at(level - BEFORE);
        fill_table(&mut engine, &mut ring, from - opened, |ring, n| {
            ring.push(&syn(opened + n));
        });
        ring.clear();
        (from..at(level)).for_each(|connection| ring.push(&syn(connection)));
        opened = at(level);
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for from in (0..ring.len()).step_by(STRETCH) {
            let stretch = from..(from + STRETCH).min(ring.len());
            let begun = cpu_ns();
            let tally = engine.measured(&ring, stretch.clone());
            ours.push((cpu_ns() - begun) as f64 / stretch.len() as f64);
            if tally.new != stretch.len() as u64 {
                return Err(format!("not every packet opened a connection: {tally:?}"));
            }
            floors.push(floor.measure(&ring, stretch));
        }
        let mut report = Report::new(Workload::New, options, median(&mut ours));
        report.floor_ns = Some(median(&mut floors));
        report.more.push(("fill_percent", f64::from(level)));
        report.more.push(("packets", ring.len() as f64));
        reports.push(report);
    }
    if engine.conntrack.len() != options.connections as usize {
        return Err(format!("{} entries at the end", engine.conntrack.len()));
    }
    Ok(reports)
}

/// SYNs on a full table: once as fast as may be, then several times over from the same beginning,
/// packet by packet, each timed: one that is slow each time is slow of itself, one that is not was
/// interrupted.
///
/// # Errors
///
/// An ASSURED entry was lost, or a packet was refused.
pub fn flood(options: &Options) -> Result<Report, String> {
    let mut slow: Option<Vec<u64>> = None;
    let mut longest = u64::MAX;
    let mut floor = Floor::new(options.connections);
    let mut floors = Vec::new();
    let mut ours = Flood::new(options, usize::MAX)?;
    ours.send(options.flood_packets.min(FAST_AT_MOST))?;
    for _ in 0..FLOODS {
        let mut flood = Flood::new(options, 1)?;
        flood.send(options.flood_packets)?;
        longest = longest.min(flood.longest);
        slow = Some(match slow {
            None => flood.slow,
            Some(before) => before
                .into_iter()
                .filter(|packet| flood.slow.contains(packet))
                .collect(),
        });
        floors.push(floor.measure(&flood.ring, 0..flood.ring.len()));
    }
    let mut report = Report::new(Workload::Flood, options, median(&mut ours.ns));
    report.floor_ns = Some(median(&mut floors));
    let slow = slow.unwrap_or_default().len();
    report.more.push(("slow_packets", slow as f64));
    report.more.push(("longest_packet_ns", longest as f64));
    report.more.push(("assured_lost", 0.0));
    Ok(report)
}

/// One flood, from an empty table on.
struct Flood {
    engine: Engine,
    ring: Ring,
    ns: Vec<f64>,
    /// Numbers of the packets that took long, when they were timed one by one.
    slow: Vec<u64>,
    longest: u64,
    connections: u32,
}

impl Flood {
    fn new(options: &Options, batch: usize) -> Result<Flood, String> {
        let mut engine = engine(options)?.in_batches_of(batch);
        let mut ring = Ring::new(options.family, 1 << 16);
        fill_table(&mut engine, &mut ring, options.connections, |ring, n| {
            // In ten connections, one is only begun.
            let shown = if n % 10 == 9 { 1 } else { 3 };
            for segment in &life(n)[..shown] {
                ring.push(segment);
            }
        });
        Ok(Flood {
            engine,
            ring,
            ns: Vec::new(),
            slow: Vec::new(),
            longest: 0,
            connections: options.connections,
        })
    }

    fn send(&mut self, packets: u64) -> Result<(), String> {
        let assured = self.assured();
        let mut sent = 0;
        while sent < packets {
            self.ring.clear();
            for n in 0..1 << 16 {
                let number = self.connections as u64 + sent + n;
                self.ring.push(&syn(number as u32));
            }
            for from in (0..self.ring.len()).step_by(STRETCH) {
                self.stretch(from..from + STRETCH, sent)?;
            }
            sent += self.ring.len() as u64;
        }
        let left = self.assured();
        if left != assured {
            return Err(format!("of {assured} ASSURED entries, {left} are left"));
        }
        Ok(())
    }

    fn stretch(&mut self, frames: std::ops::Range<usize>, sent: u64) -> Result<(), String> {
        let (mut refused, mut last) = (0, Instant::now());
        let (slow, longest) = (&mut self.slow, &mut self.longest);
        let begun = cpu_ns();
        self.engine
            .feed_each(&self.ring, frames.clone(), |first, verdicts| {
                let now = Instant::now();
                let ns = now.duration_since(last).as_nanos() as u64;
                last = now;
                *longest = (*longest).max(ns);
                if ns > LONG_NS {
                    slow.push(sent + first as u64);
                }
                let is_refused = |verdict: &&ip_conntrack::Verdict| verdict.action == Action::Drop;
                refused += verdicts.iter().filter(is_refused).count();
            });
        self.ns
            .push((cpu_ns() - begun) as f64 / frames.len() as f64);
        match refused {
            0 => Ok(()),
            _ => Err(format!(
                "{refused} packets were refused, though not all is ASSURED"
            )),
        }
    }

    fn assured(&self) -> usize {
        let connections = self.engine.conntrack.connections();
        connections
            .filter(ip_conntrack::Connection::is_assured)
            .count()
    }
}

/// Short connections, as many under way at once as a tenth of the table holds; the others are in
/// TIME_WAIT until they run out.
///
/// # Errors
///
/// A packet was refused.
pub fn churn(options: &Options) -> Result<Report, String> {
    const PACKETS: u32 = 8;
    const TIME_WAIT_NS: u64 = 120_000_000_000;
    let open = (options.connections / 10).max(1);
    let mut engine = engine(options)?;
    let mut floor = Floor::new(options.connections);
    let mut ring = Ring::new(options.family, STRETCH);
    let mut rng = Rng::new(1);
    // The connection of each place, and how far it has come.
    let mut places: Vec<(u32, u32)> = (0..open).map(|n| (n, n % PACKETS)).collect();
    for (connection, stage) in &places {
        ring.clear();
        for segment in &life(*connection)[..*stage as usize] {
            ring.push(segment);
        }
        engine.feed(&ring, 0..ring.len());
    }
    let mut next = open;
    // Three times as many connections as the table holds; three fifths of it are in TIME_WAIT then.
    let rounds = (u64::from(options.connections) * u64::from(PACKETS) * 3 / STRETCH as u64).max(16);
    let pause = TIME_WAIT_NS / (rounds / 5).max(1);
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        ring.clear();
        for _ in 0..STRETCH {
            let place = rng.below(places.len() as u64) as usize;
            let (connection, stage) = places[place];
            ring.push(&life(connection)[stage as usize]);
            places[place] = (connection, stage + 1);
            if stage + 1 == PACKETS {
                places[place] = (next, 0);
                next = next.wrapping_add(1);
            }
        }
        let begun = cpu_ns();
        engine.pass(pause);
        let tally = engine.feed(&ring, 0..ring.len());
        let ns = (cpu_ns() - begun) as f64 / ring.len() as f64;
        if tally.dropped + tally.other > 0 {
            return Err(format!("not all packets passed: {tally:?}"));
        }
        if round > rounds / 2 {
            ours.push(ns);
            floors.push(floor.measure(&ring, 0..ring.len()));
        }
    }
    let mut report = Report::new(Workload::Churn, options, median(&mut ours));
    report.floor_ns = Some(median(&mut floors));
    report.more.push(("entries", engine.conntrack.len() as f64));
    Ok(report)
}
