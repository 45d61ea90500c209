//! Flows of one kind, measured: how many, from how many to how many, and how they are spread.
//!
//! Columns are ranked when a rule first asks for them, since most rules look at no more than the number.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::flow::{Host, Scope, scope};
use crate::limits::{self, FILLED_PREFIX, IMPOSSIBLE, ramp};
use crate::picked::{Flows, Picked};
use crate::rank::{Ranking, share};
use crate::rows::{Side, View, hash};

/// Most frequent keys that are kept of each column.
const TOP: usize = 8;

/// What flows are ranked by.
#[derive(Clone, Copy)]
enum Column {
    Sources,
    Targets,
    Services,
    Ports,
    SourcePorts,
    Pairs,
    Calls,
    TargetNetworks,
    SourceNetworks,
    SourceRegions,
}

const COLUMNS: usize = 10;

/// Flows, and what was measured of them.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    rows: Flows<'a>,
    places: Rc<Vec<u32>>,
    columns: Rc<[OnceCell<Ranking>; COLUMNS]>,
    /// Flows.
    pub(super) flows: u64,
    /// With counters, and their packets and bytes from the side that opened them.
    pub(super) counted: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) reply_bytes: u64,
    /// Whose source is inside, and of those, whose destination is private, too.
    pub(super) from_private: u64,
    pub(super) within: u64,
    /// Whose source no host can have.
    impossible: u64,
}

impl<'a> Group<'a> {
    pub(super) fn of(rows: Flows<'a>, places: Vec<u32>) -> Group<'a> {
        let mut group = Group {
            rows,
            flows: places.len() as u64,
            places: Rc::default(),
            columns: Rc::default(),
            counted: 0,
            packets: 0,
            bytes: 0,
            reply_bytes: 0,
            from_private: 0,
            within: 0,
            impossible: 0,
        };
        for row in places.iter().filter_map(|place| rows.view(*place)) {
            group.add(row);
        }
        group.places = Rc::new(places);
        group
    }

    fn add(&mut self, row: View<'_>) {
        if let (Some(packets), Some(bytes)) = (row.packets(), row.bytes()) {
            self.counted += 1;
            self.packets += u64::from(packets[0]);
            self.bytes += u64::from(bytes[0]);
            self.reply_bytes += u64::from(bytes[1]);
        }
        let from = scope(row.ip(Side::Source));
        let is_inside = from == Scope::Private || row.source_translated();
        let is_within = is_inside && scope(row.ip(Side::Destination)) == Scope::Private;
        self.from_private += u64::from(is_inside);
        self.within += u64::from(is_within);
        self.impossible += u64::from(matches!(from, Scope::Impossible | Scope::Group));
    }

    /// The flows.
    pub(super) fn iter(&self) -> impl Iterator<Item = View<'a>> + Clone {
        self.places
            .iter()
            .filter_map(|place| self.rows.view(*place))
    }

    /// The flows, to be ranked by others.
    pub(super) fn picked(&self) -> Picked<'a> {
        Picked::of(self.rows, Rc::clone(&self.places))
    }

    /// The flows of those that are of a kind.
    pub(super) fn only(&self, kind: impl Fn(&View<'a>) -> bool) -> Group<'a> {
        let is_of_it = |place: &&u32| self.rows.view(**place).is_some_and(|row| kind(&row));
        Group::of(
            self.rows,
            self.places.iter().filter(is_of_it).copied().collect(),
        )
    }

    fn column(&self, column: Column) -> &Ranking {
        self.columns[column as usize].get_or_init(|| {
            let key = key(column);
            Ranking::of(self.iter().map(|row| key(&row)), TOP)
        })
    }

    pub(super) fn sources(&self) -> &Ranking {
        self.column(Column::Sources)
    }

    pub(super) fn targets(&self) -> &Ranking {
        self.column(Column::Targets)
    }

    /// Destination address and port.
    pub(super) fn services(&self) -> &Ranking {
        self.column(Column::Services)
    }

    /// Destination ports.
    pub(super) fn ports(&self) -> &Ranking {
        self.column(Column::Ports)
    }

    pub(super) fn source_ports(&self) -> &Ranking {
        self.column(Column::SourcePorts)
    }

    pub(super) fn pairs(&self) -> &Ranking {
        self.column(Column::Pairs)
    }

    /// Source, destination and port.
    pub(super) fn calls(&self) -> &Ranking {
        self.column(Column::Calls)
    }

    /// Networks (/24, /64) of the targets.
    pub(super) fn target_networks(&self) -> &Ranking {
        self.column(Column::TargetNetworks)
    }

    /// Networks (/24, /64) of the sources.
    fn source_networks(&self) -> &Ranking {
        self.column(Column::SourceNetworks)
    }

    /// /16 or /32 of the sources.
    pub(super) fn source_regions(&self) -> &Ranking {
        self.column(Column::SourceRegions)
    }

    /// Packets of the opener for each flow, if there are counters.
    pub(super) fn packets_each(&self) -> Option<f64> {
        (self.counted > 0).then(|| share(self.packets, self.counted))
    }

    /// Bytes of a packet of the opener.
    pub(super) fn packet_size(&self) -> Option<f64> {
        (self.packets > 0).then(|| share(self.bytes, self.packets))
    }

    /// How sure it is that the sources were made up: nearly as many as flows, or of a network that has
    /// no empty places, or some that cannot exist.
    pub(super) fn spoofed(&self) -> f64 {
        let enough = ramp(
            self.sources().distinct as f64,
            limits::SPOOFED_SOURCES,
            limits::MANY,
        );
        let spread = ramp(
            self.sources().spread(),
            limits::SPOOFED_FROM,
            limits::SPOOFED_TO,
        );
        let impossible = ramp(
            share(self.impossible, self.flows),
            IMPOSSIBLE,
            5.0 * IMPOSSIBLE,
        );
        // As many hosts as a network evenly filled with flows would have (perplexity).
        let hosts = (self.sources().entropy - self.source_networks().entropy).exp2();
        let filled = ramp(hosts / 256.0, FILLED_PREFIX / 2.0, FILLED_PREFIX);
        enough * spread.max(impossible).max(filled)
    }

    /// The share that goes to one target.
    pub(super) fn focus(&self) -> f64 {
        self.targets().top_share()
    }

    /// Whether no target stands out of the many in few networks: carpet bombing.
    pub(super) fn is_carpet(&self) -> f64 {
        let targets = self.targets().distinct as f64;
        let many = ramp(
            targets,
            limits::CARPET_TARGETS / 2.0,
            limits::CARPET_TARGETS,
        );
        let flat = 1.0
            - ramp(
                self.targets().top_share(),
                limits::CARPET_TOP / 2.0,
                2.0 * limits::CARPET_TOP,
            );
        // Each network has to hold several targets, or the targets are just many: in the mean, or in
        // the first networks, if those have a great part.
        let dense = |targets: f64, networks: u64| ramp(targets / networks.max(1) as f64, 2.0, 8.0);
        let networks = self.target_networks();
        let part = ramp(
            networks.share_of_first(TOP),
            limits::FOCUS_FROM,
            limits::FOCUS_TO,
        );
        let dense = dense(targets, networks.distinct).max(match part > 0.0 {
            true => part * dense(self.targets_in_first(), networks.top.len() as u64),
            false => 0.0,
        });
        many * flat * dense
    }
}

impl Group<'_> {
    /// Distinct targets in the most frequent networks.
    fn targets_in_first(&self) -> f64 {
        let first = &self.target_networks().top;
        let network = key(Column::TargetNetworks);
        let is_there = |row: &View<'_>| first.iter().any(|(key, _)| *key == network(row));
        let there = self.iter().filter(is_there);
        Ranking::of(there.map(|row| row.key(Side::Destination)), 0).distinct as f64
    }
}

fn key(column: Column) -> fn(&View<'_>) -> u64 {
    use Side::{Destination, Source};
    match column {
        Column::Sources => |row| row.key(Source),
        Column::Targets => |row| row.key(Destination),
        Column::Services => |row| row.service_key(),
        Column::Ports => |row| u64::from(row.dport),
        Column::SourcePorts => |row| u64::from(row.sport),
        Column::Pairs => |row| row.pair_key(),
        Column::Calls => |row| row.call_key(),
        Column::TargetNetworks => |row| network(row.ip(Destination), 24, 64),
        Column::SourceNetworks => |row| network(row.ip(Source), 24, 64),
        Column::SourceRegions => |row| network(row.ip(Source), 16, 32),
    }
}

fn network(ip: IpAddr, v4: u32, v6: u32) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> (32 - v4)),
        IpAddr::V6(ip) => hash(&(ip.to_bits() >> (128 - v6))) | 1 << 63,
    }
}

/// The address that a key of a side is of.
pub(super) fn named<'a>(
    mut rows: impl Iterator<Item = View<'a>>,
    side: Side,
    key: u64,
) -> Option<Host> {
    Some(rows.find(|row| row.key(side) == key)?.host(side))
}
