//! The top lists: sources, destinations, ports and pairs, and the prefixes that explain most.

use ip_conntrack::Protocol;

use crate::flow::Host;
use crate::picked::Picked;
use crate::prefix::{self, PrefixCount};
use crate::rank::{Column, Ranking, sort};
use crate::rows::{Side, View};

/// Who and what is most frequent among some flows. Counts are scaled to all flows where only a sample
/// of them is kept.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// Sources, with the distinct destinations of each (fan-out).
    pub sources: Hosts,
    /// Destinations, with the distinct sources of each (fan-in).
    pub destinations: Hosts,
    /// Protocol and destination port.
    pub ports: Vec<PortCount>,
    /// Protocol and source port.
    pub source_ports: Vec<PortCount>,
    /// Source and destination.
    pub pairs: Vec<PairCount>,
    /// Distinct pairs of source and destination.
    pub distinct_pairs: u64,
    /// The sources' prefixes.
    pub source_prefixes: Vec<PrefixCount>,
    /// The destinations' prefixes.
    pub destination_prefixes: Vec<PrefixCount>,
}

/// The most frequent addresses of one side.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Most frequent first.
    pub top: Vec<HostCount>,
    /// Distinct addresses; a lower bound where parts are hidden or flows were left out.
    pub distinct: u64,
    /// Entropy of the addresses, in bits.
    pub entropy: f64,
}

/// An address and what it takes part in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HostCount {
    /// The address.
    pub host: Host,
    /// Flows.
    pub flows: u64,
    /// Distinct addresses on the other side.
    pub peers: u64,
    /// Distinct destination ports.
    pub ports: u64,
    /// Flows without an answer.
    pub unreplied: u64,
    /// Flows that early drop cannot take.
    pub assured: u64,
}

/// A port and its flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortCount {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// Flows.
    pub flows: u64,
    /// Distinct sources of those.
    pub sources: u64,
}

/// Two addresses and their flows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PairCount {
    /// Who sent the first packet.
    pub src: Host,
    /// To whom.
    pub dst: Host,
    /// Flows.
    pub flows: u64,
}

impl Who {
    /// Ranks `rows`; each list has at most `most` lines.
    pub(crate) fn of(rows: &Picked<'_>, most: usize) -> Who {
        let pairs = Ranking::of(rows.iter().map(|row| row.pair_key()), most);
        let (destinations, destination_prefixes) = ranked(rows, Side::Destination, most);
        Who {
            distinct_pairs: pairs.distinct,
            pairs: named_pairs(rows, &pairs),
            destination_prefixes,
            ..Who::with(rows, &destinations, most)
        }
    }

    /// Without pairs and the prefixes of destinations.
    pub(crate) fn in_short(rows: &Picked<'_>, most: usize) -> Who {
        let destinations = Ranking::of(rows.iter().map(|row| row.key(Side::Destination)), most);
        Who::with(rows, &destinations, most)
    }

    fn with(rows: &Picked<'_>, destinations: &Ranking, most: usize) -> Who {
        let (sources, source_prefixes) = ranked(rows, Side::Source, most);
        Who {
            sources: hosts(rows, Side::Source, &sources),
            source_prefixes,
            destinations: hosts(rows, Side::Destination, destinations),
            ports: ports(rows, most, |row| row.dport),
            source_ports: ports(rows, most, |row| row.sport),
            ..Who::default()
        }
    }
}

/// The addresses of one side, and their prefixes: of plain IPv4 addresses, one sorted list serves both.
fn ranked(rows: &Picked<'_>, side: Side, most: usize) -> (Ranking, Vec<PrefixCount>) {
    let (ranking, mut lines) = match Column::of(rows.iter().map(|row| row.key(side))) {
        Column::Short(mut keys) => {
            sort(&mut keys);
            let ranking = Ranking::of_sorted(&keys, most);
            (ranking, prefix::explain_v4(&keys, most))
        }
        Column::Long(mut keys) => {
            keys.sort_unstable();
            let ranking = Ranking::of_sorted(&keys, most);
            drop(keys);
            (ranking, prefix::explain(rows, side, most))
        }
    };
    for line in &mut lines {
        line.flows = scaled(rows, line.flows);
        line.own = scaled(rows, line.own);
    }
    (ranking, lines)
}

/// Counts of a sample, for all.
fn scaled(rows: &Picked<'_>, flows: u64) -> u64 {
    (flows as f64 * rows.weight()).round() as u64
}

fn keys(ranking: &Ranking) -> Vec<u64> {
    ranking.top.iter().map(|(key, _)| *key).collect()
}

fn hosts(rows: &Picked<'_>, side: Side, ranking: &Ranking) -> Hosts {
    let members = rows.members(&keys(ranking), |row| row.key(side));
    Hosts {
        top: members
            .iter()
            .filter_map(|members| host(rows, side, members))
            .collect(),
        distinct: ranking.distinct,
        entropy: ranking.entropy,
    }
}

/// What a host takes part in: `members` are its flows.
fn host(rows: &Picked<'_>, side: Side, members: &[u32]) -> Option<HostCount> {
    let other = match side {
        Side::Source => Side::Destination,
        Side::Destination => Side::Source,
    };
    let flows = || members.iter().filter_map(|n| rows.nth(*n));

    let (mut unreplied, mut assured) = (0, 0);
    for row in flows() {
        unreplied += u64::from(!row.replied());
        assured += u64::from(row.assured());
    }
    Some(HostCount {
        host: flows().next()?.host(side),
        flows: scaled(rows, members.len() as u64),
        peers: Ranking::of(flows().map(|row| row.key(other)), 0).distinct,
        ports: Ranking::of(flows().map(|row| u64::from(row.dport)), 0).distinct,
        unreplied: scaled(rows, unreplied),
        assured: scaled(rows, assured),
    })
}

/// Those with ports.
const PROTOCOLS: [Protocol; 4] = [
    Protocol::TCP,
    Protocol::UDP,
    Protocol::SCTP,
    Protocol::UDPLITE,
];

fn ports(rows: &Picked<'_>, most: usize, port: impl Fn(&View<'_>) -> u16) -> Vec<PortCount> {
    // Small numbers are counted without sorting. 0 stands for none: nothing uses it.
    let key = |row: &View<'_>| match PROTOCOLS.iter().position(|known| *known == row.protocol) {
        Some(place) => (place as u64) << 16 | u64::from(port(row)),
        None => 0,
    };
    let with_ports = rows.iter().map(|row| key(&row)).filter(|key| *key != 0);
    let ranking = Ranking::of(with_ports, most);
    let sources = rows.columns(&keys(&ranking), key, |row| row.key(Side::Source));
    let lines = ranking.top.iter().zip(sources);
    let lines = lines.map(|((key, flows), sources)| PortCount {
        protocol: PROTOCOLS[(key >> 16) as usize % PROTOCOLS.len()],
        port: *key as u16,
        flows: scaled(rows, *flows),
        sources: sources.ranking(0).distinct,
    });
    lines.collect()
}

fn named_pairs(rows: &Picked<'_>, ranking: &Ranking) -> Vec<PairCount> {
    let members = rows.members(&keys(ranking), View::pair_key);
    let lines = members.iter().filter_map(|members| {
        let row = rows.nth(*members.first()?)?;
        Some(PairCount {
            src: row.host(Side::Source),
            dst: row.host(Side::Destination),
            flows: scaled(rows, members.len() as u64),
        })
    });
    lines.collect()
}
