//! The top lists: sources, destinations, ports and pairs, and the prefixes that explain most.

use std::collections::HashMap;

use ip_conntrack::Protocol;

use crate::flow::Host;
use crate::picked::Picked;
use crate::prefix::{self, PrefixCount};
use crate::rank::Ranking;
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
        let scale = |flows: u64| (flows as f64 * rows.weight()).round() as u64;
        let pairs = Ranking::of(rows.iter().map(|row| row.pair_key()).collect(), most);
        let mut who = Who {
            sources: hosts(rows, Side::Source, most),
            destinations: hosts(rows, Side::Destination, most),
            ports: ports(rows, most, |row| row.dport),
            source_ports: ports(rows, most, |row| row.sport),
            distinct_pairs: pairs.distinct,
            pairs: named_pairs(rows, &pairs),
            source_prefixes: prefix::explain(rows, Side::Source, most),
            destination_prefixes: prefix::explain(rows, Side::Destination, most),
        };
        for line in who
            .source_prefixes
            .iter_mut()
            .chain(&mut who.destination_prefixes)
        {
            line.flows = scale(line.flows);
            line.own = scale(line.own);
        }
        who
    }
}

fn hosts(rows: &Picked<'_>, side: Side, most: usize) -> Hosts {
    let ranking = Ranking::of(rows.iter().map(|row| row.key(side)).collect(), most);
    // One after the other, so that the peers of one host only are in memory.
    let top = ranking
        .top
        .iter()
        .filter_map(|(key, flows)| host(rows, side, *key, *flows));
    Hosts {
        top: top.collect(),
        distinct: ranking.distinct,
        entropy: ranking.entropy,
    }
}

fn host(rows: &Picked<'_>, side: Side, key: u64, flows: u64) -> Option<HostCount> {
    let other = match side {
        Side::Source => Side::Destination,
        Side::Destination => Side::Source,
    };
    let of_host = || rows.iter().filter(|row| row.key(side) == key);
    let scale = |flows: u64| (flows as f64 * rows.weight()).round() as u64;
    let distinct = |keys: Vec<u64>| Ranking::of(keys, 0).distinct;
    let (mut unreplied, mut assured) = (0, 0);
    for row in of_host() {
        unreplied += u64::from(!row.replied());
        assured += u64::from(row.assured());
    }
    Some(HostCount {
        host: of_host().next()?.host(side),
        flows: scale(flows),
        peers: distinct(of_host().map(|row| row.key(other)).collect()),
        ports: distinct(of_host().map(|row| u64::from(row.dport)).collect()),
        unreplied: scale(unreplied),
        assured: scale(assured),
    })
}

fn ports(rows: &Picked<'_>, most: usize, port: impl Fn(&View<'_>) -> u16) -> Vec<PortCount> {
    let with_ports = rows.iter().filter(|row| row.protocol.has_ports());
    let keys = with_ports.map(|row| u64::from(row.protocol.0) << 16 | u64::from(port(&row)));
    let ranking = Ranking::of(keys.collect(), most);
    let lines = ranking.top.into_iter().map(|(key, flows)| {
        let (protocol, number) = (Protocol((key >> 16) as u8), key as u16);
        let of_port = rows
            .iter()
            .filter(|row| row.protocol == protocol && port(row) == number);
        PortCount {
            protocol,
            port: number,
            flows: (flows as f64 * rows.weight()).round() as u64,
            sources: Ranking::of(of_port.map(|row| row.key(Side::Source)).collect(), 0).distinct,
        }
    });
    lines.collect()
}

fn named_pairs(rows: &Picked<'_>, ranking: &Ranking) -> Vec<PairCount> {
    let counts: HashMap<u64, u64> = ranking.top.iter().copied().collect();
    let mut named: HashMap<u64, PairCount> = HashMap::new();
    for row in rows.iter() {
        if named.len() == counts.len() {
            break;
        }
        let key = row.pair_key();
        if let Some(flows) = counts.get(&key) {
            named.entry(key).or_insert_with(|| PairCount {
                src: row.host(Side::Source),
                dst: row.host(Side::Destination),
                flows: (*flows as f64 * rows.weight()).round() as u64,
            });
        }
    }
    let lines = ranking.top.iter().filter_map(|(key, _)| named.get(key));
    lines.copied().collect()
}
