//! Two listings, entry by entry.

use std::collections::BTreeMap;

use crate::daemon::Daemon;
use crate::run::THEIRS;
use crate::space::Space;

/// Seconds by which timers may differ: the tables are not listed at the same moment.
const LATE: i64 = 2;

/// Entries without their timers, which come beside, of those with one of our addresses.
fn entries(listing: &str) -> BTreeMap<String, i64> {
    let ours = |line: &&str| line.contains("=10.93.") || line.contains("=2001:db8:93:");
    let entry = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let timer = words.remove(2).parse().unwrap();
        (words.join(" "), timer)
    };
    listing.lines().filter(ours).map(entry).collect()
}

/// Sees that the daemon's table is that of the kernel in a namespace. => how many entries that are.
pub(crate) fn compare(daemon: &Daemon, kernel: &Space) -> usize {
    let (mut ours, mut theirs) = (String::new(), String::new());
    for family in ["ipv4", "ipv6"] {
        ours += &daemon.ask(&["-L", "-f", family]).out;
        theirs += &kernel.must(THEIRS, &["-L", "-f", family]);
    }
    let (ours, theirs) = (entries(&ours), entries(&theirs));
    let keys = |of: &BTreeMap<String, i64>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&ours), keys(&theirs), "ours, and the kernel's");
    for (entry, timer) in &ours {
        assert!(
            (timer - theirs[entry]).abs() <= LATE,
            "{entry}: {timer}, {}",
            theirs[entry]
        );
    }
    ours.len()
}
