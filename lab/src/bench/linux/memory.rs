//! What the kernel's memory allocator says about connections.

use std::collections::BTreeMap;
use std::fs;

/// What the kernel has in use of each kind of object that connections are made of.
pub(super) struct Memory(BTreeMap<String, Use>);

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Use {
    objects: u64,
    /// What an object costs, with its part of what is left over in the pages that hold it.
    bytes: f64,
}

impl Memory {
    /// Reads it.
    pub(super) fn now() -> Result<Memory, String> {
        let file = "/proc/slabinfo";
        let text =
            fs::read_to_string(file).map_err(|error| format!("{file}: {error} (needs root)"))?;
        Ok(Memory(text.lines().filter_map(kind).collect()))
    }

    /// How many bytes each of so many connections costs that were made in between. Kinds of which there
    /// are not about as many more are of others.
    pub(super) fn grown(&self, after: &Memory, connections: u32) -> f64 {
        let cost = |(name, after): (&String, &Use)| {
            let before = self.0.get(name).copied().unwrap_or_default();
            let grown = after.objects.saturating_sub(before.objects) as f64;
            let each = grown / f64::from(connections);
            if each.round() >= 1.0 {
                each * after.bytes
            } else {
                0.0
            }
        };
        after.0.iter().map(cost).sum()
    }
}

/// `name active total size objects-in-slab pages-in-slab : …`, if it is about connections or about plain
/// memory, of which their extensions are: neither charged to a control group nor reclaimable.
fn kind(line: &str) -> Option<(String, Use)> {
    const PAGE: f64 = 4096.0;
    let mut fields = line.split_whitespace();
    let name = fields.next()?;
    let size = name.strip_prefix("kmalloc-");
    let is_plain = size.is_some_and(|size| size.starts_with(|first: char| first.is_ascii_digit()));
    // The kernel may spread what it allocates over caches of the same size, to confuse attackers.
    let is_spread = size.is_some_and(|size| size.starts_with("rnd-"));
    if name != "nf_conntrack" && !is_plain && !is_spread {
        return None;
    }
    let numbers: Vec<u32> = fields.map_while(|field| field.parse().ok()).collect();
    let [active, _, _, objects, pages] = numbers[..] else {
        return None;
    };
    let used = Use {
        objects: active.into(),
        bytes: f64::from(pages) * PAGE / f64::from(objects.max(1)),
    };
    Some((name.to_owned(), used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, active: u32) -> String {
        format!("{name} {active} 99999 200 16 1 : tunables 0 0 0 : slabdata 64 64 0")
    }

    #[test]
    fn a_line_counts_if_it_is_about_connections_or_plain_memory() {
        let expected = Use {
            objects: 1000,
            bytes: 256.0,
        };
        for name in ["nf_conntrack", "kmalloc-128", "kmalloc-rnd-03-128"] {
            assert_eq!(kind(&line(name, 1000)), Some((name.to_owned(), expected)));
        }
        for name in [
            "kmalloc-cg-128",
            "kmalloc-rcl-128",
            "nf_conntrack_expect",
            "dentry",
        ] {
            assert_eq!(kind(&line(name, 1000)), None);
        }
        assert_eq!(kind("slabinfo - version: 2.1"), None);
    }

    #[test]
    fn what_grew_by_less_than_the_connections_is_not_theirs() {
        let memory = |counts: [u32; 3]| {
            let names = ["nf_conntrack", "kmalloc-128", "kmalloc-64"];
            let lines = names
                .iter()
                .zip(counts)
                .map(|(name, count)| line(name, count));
            Memory(lines.filter_map(|line| kind(&line)).collect())
        };
        let (before, after) = (memory([5, 700, 90]), memory([105, 802, 120]));
        assert_eq!(before.grown(&after, 100), 256.0 + 256.0 * 1.02);
    }
}
