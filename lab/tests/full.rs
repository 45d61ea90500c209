//! A full table, in the kernel and here, side by side.
//!
//! `nf_conntrack_max` and `nf_conntrack_buckets` are the kernel's own, not the namespace's: this runs
//! only as root, alone (cargo runs one test binary after the other), and a helper process puts the
//! values back when this one ends, however it ends. Where that is not possible, it says so and passes,
//! unless `IP_CONNTRACK_REQUIRE_KERNEL=1`.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use ip_conntrack::{Conntrack, Knob, Time};
use lab::craft::{Body, Craft, Ends, Sum};
use lab::linux::Linux;
use lab::{duel, ours};

const FOLDER: &str = "/proc/sys/net/netfilter";
const MAX: usize = 200;
const BUCKETS: usize = 1024;

/// The two global knobs, opened in the first namespace; put back by a process that outlives this one.
struct Globals {
    max: File,
    buckets: File,
    restorer: Child,
}

impl Globals {
    fn open() -> Result<Globals, String> {
        let value = |name: &str| {
            fs::read_to_string(format!("{FOLDER}/{name}"))
                .map_err(|error| format!("{name}: {error}"))
        };
        let open = |name: &str| {
            let file = File::options().write(true).open(format!("{FOLDER}/{name}"));
            file.map_err(|error| format!("{name}: {error}"))
        };
        let (max, buckets) = (value("nf_conntrack_max")?, value("nf_conntrack_buckets")?);
        let restore = format!(
            "cat >/dev/null; echo {} >{FOLDER}/nf_conntrack_buckets; echo {} >{FOLDER}/nf_conntrack_max",
            buckets.trim(),
            max.trim()
        );
        Ok(Globals {
            max: open("nf_conntrack_max")?,
            buckets: open("nf_conntrack_buckets")?,
            restorer: Command::new("sh")
                .args(["-c", &restore])
                .stdin(Stdio::piped())
                .spawn()
                .map_err(|error| error.to_string())?,
        })
    }

    fn set(&mut self, max: usize, buckets: usize) {
        for (file, value) in [(&mut self.max, max), (&mut self.buckets, buckets)] {
            file.rewind().unwrap();
            file.write_all(value.to_string().as_bytes()).unwrap();
        }
    }
}

impl Drop for Globals {
    fn drop(&mut self) {
        // Closing its input is what the restorer waits for.
        drop(self.restorer.stdin.take());
        let _ = self.restorer.wait();
    }
}

fn udp(client: u16, reply: bool) -> Vec<u8> {
    let [high, low] = client.to_be_bytes();
    let src = SocketAddr::from(([10, 7, high, low], 40_000));
    let dst = SocketAddr::from(([10, 8, 0, 1], 53));
    let ends = if reply {
        Ends { src: dst, dst: src }
    } else {
        Ends { src, dst }
    };
    let body = Body::Udp {
        len: 1,
        length: None,
        sum: Sum::Right,
    };
    Craft::new(ends, body).bytes()
}

/// Both trackers, and how many of a number of packets each let pass.
struct Pair {
    linux: Linux,
    conntrack: Conntrack,
    now: Time,
}

impl Pair {
    fn send(&mut self, packets: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
        let (mut ours, mut theirs) = (0, 0);
        for packet in packets {
            let (class, ..) = ours::track(&mut self.conntrack, &packet, self.now);
            ours += usize::from(class != "dropped");
            theirs += usize::from(self.linux.send(&packet).unwrap().passed);
        }
        (ours, theirs)
    }

    /// UDP becomes ASSURED by traffic more than two seconds after its first packet.
    fn later(&mut self) {
        let pause = std::time::Duration::from_millis(2_200);
        std::thread::sleep(pause);
        self.now = self.now.plus(pause);
    }

    fn kernel_count(&mut self) -> usize {
        self.linux.dump().unwrap().len()
    }
}

#[test]
fn a_full_table_spares_assured_entries_and_gives_up_others() {
    let mut globals = match Globals::open() {
        Ok(globals) => globals,
        Err(why) => return skip(&why),
    };
    let linux = match Linux::new() {
        Ok(linux) => linux,
        Err(why) => return skip(&why),
    };
    globals.set(MAX, BUCKETS);
    let mut config = duel::config(&[]).unwrap();
    config.set(Knob::Max, MAX as i64).unwrap();
    let mut pair = Pair {
        linux,
        conntrack: Conntrack::new(config, 3),
        now: Time::from_secs(1_000),
    };
    let max = MAX as u16;

    // Exactly the limit fits, in both.
    assert_eq!(
        pair.send((0..max).map(|client| udp(client, false))),
        (MAX, MAX)
    );
    assert_eq!((pair.conntrack.len(), pair.kernel_count()), (MAX, MAX));

    // None of them was answered: newer ones take their places. Linux deletes all it finds in the first
    // of eight buckets that has one and refuses the packet if those have none; here exactly one goes.
    let (ours, theirs) = pair.send((max..max + 50).map(|client| udp(client, false)));
    assert_eq!(ours, 50);
    assert!((25..=50).contains(&theirs), "{theirs} of 50");
    assert_eq!(pair.conntrack.len(), MAX);
    assert_eq!(pair.conntrack.stats().early_drop, 50);
    const EARLY_DROP: usize = 11;
    assert!(pair.linux.stats().unwrap()[EARLY_DROP] >= theirs as u64);

    // All ASSURED: nothing is evicted, and newer connections are refused, in both.
    pair.linux.flush().unwrap();
    pair.conntrack.flush();
    pair.send((0..max).flat_map(|client| [udp(client, false), udp(client, true)]));
    pair.later();
    pair.send((0..max).map(|client| udp(client, false)));
    assert!(
        pair.conntrack
            .connections()
            .all(|connection| connection.is_assured())
    );
    assert!(
        pair.linux
            .dump()
            .unwrap()
            .iter()
            .all(lab::entry::Entry::is_assured)
    );
    assert_eq!(
        pair.send((max..max + 50).map(|client| udp(client, false))),
        (0, 0)
    );
    assert_eq!((pair.conntrack.len(), pair.kernel_count()), (MAX, MAX));
    const DROP: usize = 10;
    assert!(pair.linux.stats().unwrap()[DROP] >= 50);
    assert_eq!(pair.conntrack.stats().drop(), 50);

    // Flows that are there go on.
    assert_eq!(
        pair.send((0..max).map(|client| udp(client, true))),
        (MAX, MAX)
    );

    // Raising the limit ends the drops at once.
    globals.set(MAX + 50, BUCKETS);
    pair.conntrack.set(Knob::Max, MAX as i64 + 50).unwrap();
    assert_eq!(
        pair.send((max..max + 50).map(|client| udp(client, false))),
        (50, 50)
    );
}

fn skip(why: &str) {
    assert!(
        std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none(),
        "the kernel is required, but: {why}"
    );
    eprintln!("skipped: {why}");
}
