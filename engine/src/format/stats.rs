//! Counters as `conntrack -S` and the `/proc/net/stat` files print them, a line for each CPU.
//!
//! What counts as a CPU is the caller's choice: a worker, a shard, or the whole tracker as CPU 0.
//! The files keep columns of counters that Linux has long ceased to count; they stay 0, because
//! readers go by position.

use alloc::vec::Vec;

use super::put::Put;
use crate::stats::Stats;
use crate::verdict::Reason;

/// The counters of one CPU, named as the tool names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuStats {
    /// Entries in the table: the whole table's, the same for every CPU.
    pub entries: u64,
    /// Tuples that address translation found taken.
    pub found: u64,
    /// Packets that could not be tracked.
    pub invalid: u64,
    /// Entries made by hand.
    pub insert: u64,
    /// Entries that could not be confirmed.
    pub insert_failed: u64,
    /// Packets dropped.
    pub drop: u64,
    /// Entries evicted for newer ones.
    pub early_drop: u64,
    /// Refused ICMP, `icmp_error` in the files.
    pub error: u64,
    /// Lookups begun again because the table changed under them.
    pub search_restart: u64,
    /// Clashes resolved, `clashres` in the file.
    pub clash_resolve: u64,
    /// Insertions refused because the chain was too long, `chainlength` in the file.
    pub chaintoolong: u64,
    /// Expected connections that arrived.
    pub expect_new: u64,
    /// Expectations made.
    pub expect_create: u64,
    /// Expectations removed.
    pub expect_delete: u64,
}

impl CpuStats {
    /// What a tracker of so many entries counted.
    pub fn of(stats: &Stats, entries: usize) -> CpuStats {
        CpuStats {
            entries: entries as u64,
            found: 0,
            invalid: stats.invalid(),
            insert: stats.insert,
            insert_failed: stats.insert_failed(),
            drop: stats.drop(),
            early_drop: stats.early_drop,
            error: stats.error(),
            search_restart: 0,
            clash_resolve: stats.clash_resolve,
            chaintoolong: stats.reason(Reason::ChainTooLong),
            expect_new: stats.expect_new,
            expect_create: stats.expect_create,
            expect_delete: stats.expect_delete,
        }
    }
}

/// Appends a line of `conntrack -S`. Every pair is followed by a blank, the last one too.
pub fn cpu(out: &mut Vec<u8>, cpu: u32, stats: &CpuStats) {
    cpu_number(out, cpu);
    out.field("found=", stats.found);
    out.field("invalid=", stats.invalid);
    out.field("insert=", stats.insert);
    out.field("insert_failed=", stats.insert_failed);
    out.field("drop=", stats.drop);
    out.field("early_drop=", stats.early_drop);
    out.field("error=", stats.error);
    out.field("search_restart=", stats.search_restart);
    out.field("clash_resolve=", stats.clash_resolve);
    out.field("chaintoolong=", stats.chaintoolong);
    out.text("\n");
}

/// Appends a line of `conntrack -S expect`.
pub fn cpu_expect(out: &mut Vec<u8>, cpu: u32, stats: &CpuStats) {
    cpu_number(out, cpu);
    out.field("expect_new=", stats.expect_new);
    out.field("expect_create=", stats.expect_create);
    out.field("expect_delete=", stats.expect_delete);
    out.text("\n");
}

fn cpu_number(out: &mut Vec<u8>, cpu: u32) {
    out.text("cpu=");
    let from = out.len();
    out.decimal(cpu.into());
    let width = (out.len() - from).max(4);
    out.resize(from + width, b' ');
    out.text("\t");
}

/// Appends the whole of `/proc/net/stat/nf_conntrack`: the head, then a line for each CPU.
pub fn nf_conntrack(out: &mut Vec<u8>, cpus: &[CpuStats]) {
    out.text(
        "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop \
         early_drop icmp_error  expect_new expect_create expect_delete search_restart\n",
    );
    for c in cpus {
        let packets = [
            c.clash_resolve,
            c.found,
            0,
            c.invalid,
            0,
            0,
            c.chaintoolong,
            c.insert,
            c.insert_failed,
            c.drop,
            c.early_drop,
            c.error,
        ];
        let expectations = [
            c.expect_new,
            c.expect_create,
            c.expect_delete,
            c.search_restart,
        ];
        groups(out, &[&[c.entries], &packets, &expectations]);
    }
}

/// Appends the whole of `/proc/net/stat/ip_conntrack`, as 2.6 kernels print it.
pub fn ip_conntrack(out: &mut Vec<u8>, cpus: &[CpuStats]) {
    out.text(
        "entries  searched found new invalid ignore delete delete_list insert insert_failed drop \
         early_drop icmp_error  expect_new expect_create expect_delete\n",
    );
    for c in cpus {
        let packets = [
            0,
            c.found,
            0,
            c.invalid,
            0,
            0,
            0,
            c.insert,
            c.insert_failed,
            c.drop,
            c.early_drop,
            c.error,
        ];
        let expectations = [c.expect_new, c.expect_create, c.expect_delete];
        groups(out, &[&[c.entries], &packets, &expectations]);
    }
}

/// A line of hexadecimal numbers, the low 32 bits of each: one blank between numbers, two between
/// groups.
fn groups(out: &mut Vec<u8>, groups: &[&[u64]]) {
    for (n, group) in groups.iter().enumerate() {
        out.text(if n == 0 { "" } else { " " });
        for (m, counter) in group.iter().enumerate() {
            out.text(if n + m == 0 { "" } else { " " });
            out.hex8(*counter as u32);
        }
    }
    out.text("\n");
}

/// Reads `/proc/net/stat/nf_conntrack` or its predecessor: the counters of each CPU. Columns go by their names,
/// since kernels have had different ones; what a line lacks is 0.
pub fn read(text: &str) -> Vec<CpuStats> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let cpu = |line: &str| {
        let mut stats = CpuStats::default();
        for (name, word) in names.iter().zip(line.split_whitespace()) {
            let value = u64::from_str_radix(word, 16).unwrap_or(0);
            if let Some(counter) = stats.column(name) {
                *counter = value;
            }
        }
        stats
    };
    lines.map(cpu).collect()
}

impl CpuStats {
    /// The counter that the files call so.
    fn column(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "entries" => &mut self.entries,
            "found" => &mut self.found,
            "invalid" => &mut self.invalid,
            "insert" => &mut self.insert,
            "insert_failed" => &mut self.insert_failed,
            "drop" => &mut self.drop,
            "early_drop" => &mut self.early_drop,
            "icmp_error" => &mut self.error,
            "search_restart" => &mut self.search_restart,
            "clashres" => &mut self.clash_resolve,
            "chainlength" => &mut self.chaintoolong,
            "expect_new" => &mut self.expect_new,
            "expect_create" => &mut self.expect_create,
            "expect_delete" => &mut self.expect_delete,
            _ => return None,
        })
    }
}
