//! Counters in messages.

use alloc::vec::Vec;

use super::names::{family, flag, kind};
use super::read::Message;
use super::write::{Head, Origin, netfilter};
use crate::format::stats::CpuStats;

/// Answer to [`Ask::Stats`](super::Ask::Stats).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableStats {
    /// Entries in the table.
    pub entries: u32,
    /// The most that it may have; `None` if it is not told, as by old kernels. 0 is no limit.
    pub max: Option<u32>,
}

impl TableStats {
    /// Reads the answer.
    pub fn read(message: &Message<'_>) -> TableStats {
        let mut stats = TableStats::default();
        for attribute in message.attributes() {
            match attribute.number {
                1 => stats.entries = attribute.u32().unwrap_or(0),
                2 => stats.max = attribute.u32(),
                _ => {}
            }
        }
        stats
    }

    /// Appends the answer.
    pub fn write(&self, out: &mut Vec<u8>, origin: Origin) {
        // Linux says that more follow, though none do.
        let head = Head {
            kind: kind::CT_GET_STATS,
            flags: flag::MULTI,
            origin,
        };
        netfilter(out, head, family::UNSPEC, 0, |body| {
            body.u32(1, self.entries);
            self.max.inspect(|max| body.u32(2, *max));
        });
    }
}

/// The counter of an attribute.
type Place = fn(&mut CpuStats) -> &mut u64;

/// In the order in which they are sent.
const OF_TABLE: [(u16, Place); 10] = [
    (2, |stats| &mut stats.found),
    (4, |stats| &mut stats.invalid),
    (8, |stats| &mut stats.insert),
    (9, |stats| &mut stats.insert_failed),
    (10, |stats| &mut stats.drop),
    (11, |stats| &mut stats.early_drop),
    (12, |stats| &mut stats.error),
    (13, |stats| &mut stats.search_restart),
    (14, |stats| &mut stats.clash_resolve),
    (15, |stats| &mut stats.chaintoolong),
];

const OF_EXPECTATIONS: [(u16, Place); 3] = [
    (1, |stats| &mut stats.expect_new),
    (2, |stats| &mut stats.expect_create),
    (3, |stats| &mut stats.expect_delete),
];

/// Adds the counters of a message to `stats`, and returns its CPU; `None` if it is not about counters.
pub fn read_stats(message: &Message<'_>, stats: &mut CpuStats) -> Option<u32> {
    let places: &[(u16, Place)] = match message.kind {
        kind::CT_GET_STATS_CPU => &OF_TABLE,
        // Linux answers with the right number of the wrong subsystem, where it is a request.
        kind::EXP_GET_STATS_CPU | kind::CT_GET_CTRZERO => &OF_EXPECTATIONS,
        _ => return None,
    };
    for attribute in message.attributes() {
        let place = places
            .iter()
            .find(|(number, _)| *number == attribute.number);
        if let (Some((_, place)), Some(value)) = (place, attribute.u32()) {
            *place(stats) += u64::from(value);
        }
    }
    let (_, _, cpu) = message.family_header();
    Some(cpu.into())
}

/// Appends the counters of a CPU: the low 32 bits of each, for that is all that the message holds.
pub fn put_stats(out: &mut Vec<u8>, origin: Origin, cpu: u16, stats: &CpuStats) {
    put_places(out, kind::CT_GET_STATS_CPU, origin, cpu, stats, &OF_TABLE);
}

/// Appends the counters of expectations of a CPU, in the same way.
pub fn put_expectation_stats(out: &mut Vec<u8>, origin: Origin, cpu: u16, stats: &CpuStats) {
    let kind = kind::EXP_GET_STATS_CPU;
    put_places(out, kind, origin, cpu, stats, &OF_EXPECTATIONS);
}

fn put_places(
    out: &mut Vec<u8>,
    kind: u16,
    origin: Origin,
    cpu: u16,
    stats: &CpuStats,
    places: &[(u16, Place)],
) {
    let head = Head {
        kind,
        flags: flag::MULTI,
        origin,
    };
    let mut stats = *stats;
    netfilter(out, head, family::UNSPEC, cpu, |body| {
        for (number, place) in places {
            body.u32(*number, *place(&mut stats) as u32);
        }
    });
}
