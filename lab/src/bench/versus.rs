//! The kernel and the engine, one after the other, with the same packets.

use super::clock::{cpu_ns, median, resident};
use super::engine::{Engine, Tally};
use super::frames::Ring;
use super::linux::{self, BUCKETS, Kind};
use super::opening::SYN_SENT_NS;
use super::{Options, Report, Workload};

/// Frames that are measured at a time.
const STRETCH: usize = 1 << 13;

/// Stretches that are measured, where the number of connections does not say how many.
const STRETCHES: usize = 1 << 8;

/// Measures a workload in both.
///
/// # Errors
///
/// The workload has no like in the kernel, or measuring one of the two failed.
pub fn run(workload: Workload, options: &Options) -> Result<Report, String> {
    let theirs = match workload {
        Workload::Established => linux::Workload::Established,
        Workload::Udp => linux::Workload::Udp,
        Workload::New => linux::Workload::New,
        Workload::Flood => linux::Workload::Flood,
        _ => return Err(format!("{} has no like in the kernel", workload.name())),
    };
    let share = linux::measure(theirs, options.connections, options.family)?;
    let mut report = ours(workload, theirs, options)?;
    report.linux = Some(share);
    if workload == Workload::Established && options.connections >= 100_000 {
        let entry = linux::memory_per_connection(options.connections, options.family)?;
        let buckets = 8.0 * BUCKETS as f64 / f64::from(options.connections);
        report.linux_bytes = Some(entry + buckets);
    }
    Ok(report)
}

/// The engine with the kernel's packets.
fn ours(workload: Workload, theirs: linux::Workload, options: &Options) -> Result<Report, String> {
    let mut ring = Ring::new(options.family, STRETCH);
    let room = match workload {
        Workload::New => options.connections + STRETCH as u32,
        _ => options.connections,
    };
    let before = resident();
    let engine = Engine::new(room, false);
    let mut engine = engine.map_err(|error| error.to_string())?;
    let mut push_all = |engine: &mut Engine, packets: &mut dyn Iterator<Item = (Kind, u32)>| {
        ring.clear();
        for (kind, flow) in packets {
            ring.push_bytes(&linux::frame(options.family, kind, flow));
            if ring.len() == STRETCH {
                engine.feed(&ring, 0..STRETCH);
                ring.clear();
            }
        }
        engine.feed(&ring, 0..ring.len());
    };
    if workload == Workload::New {
        // The kernel has made as many before, too: what is measured is not memory from the system.
        push_all(
            &mut engine,
            &mut (0..room).map(|flow| (Kind::Syn, flow + (1 << 30))),
        );
        engine.pass(SYN_SENT_NS);
    }
    for (kind, flows) in theirs.opening(options.connections) {
        push_all(&mut engine, &mut (0..flows).map(|flow| (kind, flow)));
    }
    let held = resident().saturating_sub(before);
    let mut stream = theirs.stream(options.connections, 1);
    let stretches = match workload {
        Workload::New => (options.connections as usize / STRETCH).max(1),
        _ => STRETCHES,
    };
    let mut ours = Vec::new();
    for _ in 0..stretches {
        ring.clear();
        for (kind, flow) in stream.by_ref().take(STRETCH) {
            ring.push_bytes(&linux::frame(options.family, kind, flow));
        }
        let begun = cpu_ns();
        let tally = engine.feed(&ring, 0..ring.len());
        ours.push((cpu_ns() - begun) as f64 / ring.len() as f64);
        check(workload, &tally)?;
    }
    let mut report = Report::new(workload, options, median(&mut ours));
    if workload == Workload::Established {
        report.bytes_per_connection = Some(held as f64 / f64::from(options.connections));
    }
    Ok(report)
}

fn check(workload: Workload, tally: &Tally) -> Result<(), String> {
    let expected = match workload {
        Workload::New | Workload::Flood => tally.new,
        _ => tally.established,
    };
    match expected == STRETCH as u64 {
        true => Ok(()),
        false => Err(format!(
            "the packets are not what they were to be: {tally:?}"
        )),
    }
}
