//! A router in a network namespace of its own: two veth pairs, one packet in, one packet out.
//!
//! Frames come in on `in` as if its peer had sent them, and are forwarded to `out`, whose peer drops
//! them in its driver. Neighbours are permanent and interfaces have no addresses, so the kernel sends
//! nothing by itself. The rule set has one rule, and either that asks for the connection's state, then
//! the namespace tracks connections, or it asks for the packet's mark, which is as much work.

use std::fs::{self, File};
use std::time::Duration;

use ip_conntrack_link::sys::bpf::Attached;
use nix::sched::{CloneFlags, setns};
use nix::time::{ClockId, clock_gettime};

use super::feeder::{Feeder, sink};
use super::frames::Family;
use crate::entry::Entry;
use crate::linux::{Table, enter, run, set};

/// What a router does with packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Task {
    /// It forwards them.
    Forward,
    /// It forwards them and tracks connections.
    Track,
    /// It drops them where connection tracking would have.
    Refuse,
}

impl Task {
    pub(super) const fn rules(self) -> &'static str {
        match self {
            Task::Forward => {
                "table inet bench { chain forward { type filter hook forward priority 0; policy accept;
                  meta mark & 1 == 0 accept
                }
                }"
            }
            Task::Track => {
                "table inet bench { chain forward { type filter hook forward priority 0; policy accept;
                  ct state established,new accept
                }
                }"
            }
            Task::Refuse => {
                "table inet bench { chain refuse { type filter hook prerouting priority -200; policy accept;
                  meta mark & 1 == 0 drop
                }
                }"
            }
        }
    }
}

/// The router.
pub(super) struct Router {
    namespace: File,
    table: Table,
    _sink: Attached,
}

/// What became of a number of packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Run {
    /// Time of the CPU that a packet took, in nanoseconds.
    pub(super) ns: f64,
    /// Which part of the packets was forwarded.
    pub(super) forwarded: f64,
}

// Chosen here, since a number is all that a program needs.
const IN: u32 = 11;
const SINK: u32 = 14;

pub(super) const INTERFACES: &str = "
link set lo up
link add in index 11 address 02:00:00:00:00:01 type veth peer name source index 12 address 02:00:00:00:00:02
link add out index 13 address 02:00:00:00:00:03 type veth peer name sink index 14 address 02:00:00:00:00:04
link set in addrgenmode none
link set out addrgenmode none
link set source addrgenmode none
link set sink addrgenmode none
link set in up
link set source up
link set out up
link set sink up
neigh add 192.0.2.1 lladdr 02:00:00:00:00:04 dev out nud permanent
neigh add fe80::1 lladdr 02:00:00:00:00:04 dev out nud permanent
route add default via 192.0.2.1 dev out onlink
route add ::/0 via fe80::1 dev out onlink
";

pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/in/rp_filter", "0"),
    // Nobody listens here: asking for each packet whether somebody does is no part of forwarding.
    ("net/ipv4/ip_early_demux", "0"),
    ("net/netfilter/nf_conntrack_acct", "1"),
    ("net/netfilter/nf_conntrack_checksum", "0"),
    // By default, messages are made if anybody listens to them, be it in another namespace.
    ("net/netfilter/nf_conntrack_events", "0"),
];

impl Router {
    /// Sets one up. The calling thread is in its namespace from then on.
    pub(super) fn new(task: Task) -> Result<Router, String> {
        enter()?;
        run("ip", &["-batch", "-"], INTERFACES)?;
        for (name, value) in SETTINGS {
            set(name, value)?;
        }
        run("nft", &["-f", "-"], task.rules())?;
        let namespace = "/proc/thread-self/ns/net";
        Ok(Router {
            namespace: File::open(namespace).map_err(|error| format!("{namespace}: {error}"))?,
            table: Table::new().map_err(|error| format!("the table: {error}"))?,
            _sink: sink(SINK).map_err(|error| format!("no XDP program on a veth: {error}"))?,
        })
    }

    /// Feeds it so many packets, and waits until they are forwarded or dropped.
    ///
    /// The time is what this thread has spent of its CPU's. The kernel does all the work on it, and what other
    /// processes take of that CPU meanwhile does not count.
    pub(super) fn feed(&self, feeder: &Feeder, family: Family, count: u32) -> Result<Run, String> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("the router's namespace: {error}"))?;
        let (forwarded, time) = (forwarded(family)?, cpu_time()?);
        feeder
            .feed(IN, count)
            .map_err(|error| format!("no live frames: {error}"))?;
        let time = cpu_time()?.saturating_sub(time);
        Ok(Run {
            ns: time.as_nanos() as f64 / f64::from(count),
            forwarded: (self::forwarded(family)? - forwarded) as f64 / f64::from(count),
        })
    }

    /// The entries of its table.
    pub(super) fn entries(&mut self) -> Result<Vec<Entry>, String> {
        self.table
            .dump()
            .map_err(|error| format!("the kernel's table: {error}"))
    }

    /// Empties its table.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.table
            .flush()
            .map_err(|error| format!("the kernel's table: {error}"))
    }
}

pub(super) fn cpu_time() -> Result<Duration, String> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .map_err(|error| format!("the CPU's time: {error}"))
}

/// How many packets were forwarded in the thread's namespace since it was made.
fn forwarded(family: Family) -> Result<u64, String> {
    let file = match family {
        Family::V4 => "/proc/thread-self/net/snmp",
        Family::V6 => "/proc/thread-self/net/snmp6",
    };
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let count = match family {
        Family::V4 => ipv4_forwarded(&text),
        Family::V6 => text
            .lines()
            .find_map(|line| line.strip_prefix("Ip6OutForwDatagrams"))
            .and_then(|count| count.trim().parse().ok()),
    };
    count.ok_or_else(|| format!("{file} does not count forwarded packets"))
}

/// A line of names and a line of numbers, both beginning with `Ip:`.
fn ipv4_forwarded(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with("Ip: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    let (_, count) = pairs.find(|(name, _)| *name == "ForwDatagrams")?;
    count.parse().ok()
}
