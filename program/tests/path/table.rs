//! Tables beside each other: ours, and that of the router behind it.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::road::Road;
use crate::run::THEIRS;

/// Entries without their timeout, and that, in seconds.
pub(crate) type Table = BTreeMap<String, i64>;

/// Seconds by which timeouts may differ: the tables are listed one after the other.
const APART: i64 = 2;

/// Reads a listing.
pub(crate) fn read(listing: &str) -> Table {
    let entry = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        let timeout = words.remove(2).parse().unwrap();
        (words.join(" "), timeout)
    };
    listing.lines().map(entry).collect()
}

fn are_the_same(ours: &Table, theirs: &Table) -> bool {
    let close = |((our, one), (their, other)): ((&String, &i64), (&String, &i64))| {
        our == their && (one - other).abs() <= APART
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(close)
}

/// Waits for a moment at which nothing is under way, and asserts that both tables are the same then.
pub(crate) fn assert_same(road: &Road, daemon: &Daemon) -> Table {
    let mut last = None;
    for _ in 0..10 {
        sleep(Duration::from_millis(300));
        let ours = read(&daemon.ask("-L"));
        let theirs = read(&road.theirs.must(THEIRS, &["-L"]));
        if are_the_same(&ours, &theirs) {
            return ours;
        }
        let differs =
            |(entry, timeout): &(&String, &i64), other: &Table| other.get(*entry) != Some(*timeout);
        let only = |one: &Table, other: &Table| -> Table {
            let only = one.iter().filter(|entry| differs(entry, other));
            only.map(|(entry, timeout)| (entry.clone(), *timeout))
                .collect()
        };
        last = Some((only(&ours, &theirs), only(&theirs, &ours)));
    }
    panic!("the tables differ: {last:#?}; {}", daemon.log());
}
