//! What limits a machine's memory allows: arithmetic, without looking at any machine.

use serde::Serialize;

/// Bytes that Linux takes for an entry's extensions (accounting, helper, labels, NAT): one allocation,
/// which the allocator rounds up.
pub const LINUX_EXTENSIONS: u64 = 128;

/// Bytes of a bucket of Linux's hash table.
pub const LINUX_BUCKET: u64 = 8;

/// Bytes of Linux's entry where its slab cannot be looked at (64-bit kernels since 4.10).
pub const LINUX_ENTRY: u64 = 256;

/// Bytes of an entry of ours, with its share of the index and timers: IPv4 and IPv6. What
/// `cargo run --release -p lab -- bench` measures.
pub const OUR_ENTRY: [u64; 2] = [144, 208];

/// The rule of thumb of 2.6 times: `ip_conntrack_max` for each GiB of memory on a 32-bit machine.
pub const OLD_RULE: u64 = 65_500;

const GIB: u64 = 1 << 30;

/// Limits for a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Size {
    /// The machine's memory in bytes.
    pub memory: u64,
    /// The bytes of it that a table may take.
    pub budget: u64,
    /// Bytes of an entry of Linux's table, its extensions and one bucket included.
    pub linux_entry: u64,
    /// Entries of Linux's table that fit.
    pub linux_max: u64,
    /// Buckets for as many: one each, as Linux has by default since 5.15.
    pub linux_buckets: u64,
    /// Bytes of an entry of ours, IPv4 and IPv6.
    pub our_entry: [u64; 2],
    /// Entries of our table that fit, IPv4 and IPv6.
    pub our_max: [u64; 2],
    /// What the old rule says: 65,500 for each GiB.
    pub old_rule: u64,
}

impl Size {
    /// The limits that `percent` of `memory` bytes allow; `slab` is what Linux's slab takes for an entry.
    pub fn of(memory: u64, percent: u8, slab: Option<u64>) -> Size {
        let budget = (u128::from(memory) * u128::from(percent.min(100)) / 100) as u64;
        let linux_entry = slab.unwrap_or(LINUX_ENTRY) + LINUX_EXTENSIONS + LINUX_BUCKET;
        let linux_max = rounded(budget / linux_entry);
        Size {
            memory,
            budget,
            linux_entry,
            linux_max,
            linux_buckets: linux_max,
            our_entry: OUR_ENTRY,
            our_max: OUR_ENTRY.map(|bytes| rounded(budget / bytes)),
            old_rule: (u128::from(OLD_RULE) * u128::from(memory) / u128::from(GIB)) as u64,
        }
    }

    /// Lines for a file in `/etc/sysctl.d`.
    pub fn sysctl_lines(&self) -> [String; 2] {
        [
            format!(
                "net.netfilter.nf_conntrack_buckets = {}",
                self.linux_buckets
            ),
            format!("net.netfilter.nf_conntrack_max = {}", self.linux_max),
        ]
    }

    /// The line for a file in `/etc/modprobe.d`: buckets before the module has any entry.
    pub fn modprobe_line(&self) -> String {
        format!("options nf_conntrack hashsize={}", self.linux_buckets)
    }
}

/// Down to a number that is easily remembered, and within what Linux accepts.
fn rounded(entries: u64) -> u64 {
    let step = if entries >= 1 << 20 { 1 << 16 } else { 1 << 10 };
    (entries / step * step).clamp(1024, i32::MAX as u64)
}

/// Bytes that a slab takes for each object, from a line of `/proc/slabinfo` (version 2.1): pages by
/// objects in a page, so that what is lost at the end of a slab counts.
pub fn slab_object(line: &str, page: u64) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(4);
    let objects: u64 = fields.next()?.parse().ok()?;
    let pages: u64 = fields.next()?.parse().ok()?;
    (objects > 0).then(|| pages.saturating_mul(page) / objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_gigabyte() {
        let size = Size::of(GIB, 10, Some(256));
        assert_eq!(size.linux_entry, 392);
        assert_eq!(size.linux_max, 273_408);
        assert!(size.linux_max * size.linux_entry <= size.budget);
        assert_eq!(size.old_rule, 65_500);
        assert!(size.our_max[0] > 2 * size.linux_max);
    }

    #[test]
    fn a_slab_line() {
        let line = "nf_conntrack         176    176    256   16    1 : tunables    0    0    0 : slabdata     11     11      0";
        assert_eq!(slab_object(line, 4096), Some(256));
        assert_eq!(slab_object("nf_conntrack", 4096), None);
        assert_eq!(slab_object("nf_conntrack 1 2 3 0 1", 4096), None);
    }

    #[test]
    fn no_memory_and_all_of_it() {
        assert_eq!(Size::of(0, 10, None).linux_max, 1024);
        assert_eq!(Size::of(u64::MAX, 100, None).linux_max, i32::MAX as u64);
    }
}
