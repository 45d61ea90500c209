//! Flows of one kind, measured: how many, from how many to how many, and how they are spread.

use std::net::IpAddr;

use crate::flow::{Host, Scope, scope};
use crate::limits;
use crate::limits::{FILLED_PREFIX, IMPOSSIBLE, ramp};
use crate::rank::{Ranking, share};
use crate::rows::{Side, View, hash};
use crate::who::source_service_key;

/// Most frequent keys that are kept of each column.
const TOP: usize = 8;

/// What was measured of some flows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// Flows.
    pub(crate) flows: u64,
    /// With counters, and their packets and bytes from the side that opened them.
    pub(crate) counted: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) reply_bytes: u64,
    pub(crate) sources: Ranking,
    pub(crate) targets: Ranking,
    /// Destination address and port.
    pub(crate) services: Ranking,
    /// Destination ports, and source ports.
    pub(crate) ports: Ranking,
    pub(crate) source_ports: Ranking,
    pub(crate) pairs: Ranking,
    /// Source, destination and port.
    pub(crate) calls: Ranking,
    /// Networks (/24, /64) of the targets, and of the sources.
    pub(crate) target_networks: Ranking,
    pub(crate) source_networks: Ranking,
    /// /16 or /32 of the sources.
    pub(crate) source_regions: Ranking,
    /// Whose source is private, whose destination is, and both.
    pub(crate) from_private: u64,
    pub(crate) to_private: u64,
    pub(crate) within: u64,
    /// Whose source no host can have.
    pub(crate) impossible: u64,
}

impl Group {
    pub(crate) fn of<'a>(rows: impl Iterator<Item = View<'a>> + Clone) -> Group {
        let column = |key: &dyn Fn(&View<'a>) -> u64| {
            Ranking::of(rows.clone().map(|row| key(&row)).collect(), TOP)
        };
        let mut group = Group {
            sources: column(&|row| row.key(Side::Source)),
            targets: column(&|row| row.key(Side::Destination)),
            services: column(&View::service_key),
            ports: column(&|row| u64::from(row.dport)),
            source_ports: column(&|row| u64::from(row.sport)),
            pairs: column(&View::pair_key),
            calls: column(&source_service_key),
            target_networks: column(&|row| network(row.ip(Side::Destination), 24, 64)),
            source_networks: column(&|row| network(row.ip(Side::Source), 24, 64)),
            source_regions: column(&|row| network(row.ip(Side::Source), 16, 32)),
            ..Group::default()
        };
        for row in rows {
            group.add(row);
        }
        group
    }

    fn add(&mut self, row: View<'_>) {
        self.flows += 1;
        if let (Some(packets), Some(bytes)) = (row.packets(), row.bytes()) {
            self.counted += 1;
            self.packets += u64::from(packets[0]);
            self.bytes += u64::from(bytes[0]);
            self.reply_bytes += u64::from(bytes[1]);
        }
        let from = scope(row.ip(Side::Source));
        let to = scope(row.ip(Side::Destination));
        let is_inside = from == Scope::Private || row.source_translated();
        self.from_private += u64::from(is_inside);
        self.to_private += u64::from(to == Scope::Private);
        self.within += u64::from(is_inside && to == Scope::Private);
        self.impossible += u64::from(matches!(from, Scope::Impossible | Scope::Group));
    }

    /// Packets of the opener for each flow, if there are counters.
    pub(crate) fn packets_each(&self) -> Option<f64> {
        (self.counted > 0).then(|| share(self.packets, self.counted))
    }

    /// Bytes of a packet of the opener.
    pub(crate) fn packet_size(&self) -> Option<f64> {
        (self.packets > 0).then(|| share(self.bytes, self.packets))
    }

    /// How sure it is that the sources were made up: nearly as many as flows, or of a network that has
    /// no empty places, or some that cannot exist.
    pub(crate) fn spoofed(&self) -> f64 {
        let enough = ramp(
            self.sources.distinct as f64,
            limits::SPOOFED_SOURCES,
            limits::MANY,
        );
        let spread = ramp(
            self.sources.spread(),
            limits::SPOOFED_FROM,
            limits::SPOOFED_TO,
        );
        let impossible = ramp(
            share(self.impossible, self.flows),
            IMPOSSIBLE,
            5.0 * IMPOSSIBLE,
        );
        // As many hosts as a network evenly filled with flows would have (perplexity).
        let hosts = (self.sources.entropy - self.source_networks.entropy).exp2();
        let filled = ramp(hosts / 256.0, FILLED_PREFIX / 2.0, FILLED_PREFIX);
        enough * spread.max(impossible).max(filled)
    }

    /// The share that goes to one target.
    pub(crate) fn focus(&self) -> f64 {
        self.targets.top_share()
    }

    /// Whether no target stands out of the many in few networks: carpet bombing.
    pub(crate) fn is_carpet(&self) -> f64 {
        let targets = self.targets.distinct as f64;
        let many = ramp(
            targets,
            limits::CARPET_TARGETS / 2.0,
            limits::CARPET_TARGETS,
        );
        let flat = 1.0
            - ramp(
                self.targets.top_share(),
                limits::CARPET_TOP / 2.0,
                2.0 * limits::CARPET_TOP,
            );
        let networks = self.target_networks.distinct as f64;
        // Each network has to hold several targets, or the targets are just many.
        let dense = ramp(targets / networks.max(1.0), 2.0, 8.0);
        many * flat * dense
    }
}

fn network(ip: IpAddr, v4: u32, v6: u32) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> (32 - v4)),
        IpAddr::V6(ip) => hash(&(ip.to_bits() >> (128 - v6))) | 1 << 63,
    }
}

/// The address of the most frequent key of a side, if the rows have it.
pub(crate) fn named<'a>(
    mut rows: impl Iterator<Item = View<'a>>,
    side: Side,
    key: Option<&(u64, u64)>,
) -> Option<Host> {
    let (key, _) = key?;
    let found = rows.find(|row| row.key(side) == *key)?;
    Some(found.host(side))
}
