//! One source that tries many doors: ports of a host, or hosts.

use ip_conntrack::{Protocol, TcpState};

use super::evidence::{Evidence, percent};
use super::group::{Group, named};
use super::kinds::{Kinds, is_failed};
use super::rules::outbound;
use super::{Class, Scene};
use crate::flow::Origin;
use crate::limits::{self, ramp};
use crate::rank::{Ranking, share};
use crate::rows::{Side, View, hash};

/// The part of all flows that a scan has to be, to be what there is to say.
const PART: [f64; 2] = [0.05, 0.25];

/// Ports of one host, or hosts on one port, tried in vain.
pub(super) fn scan(scene: &Scene<'_>, kinds: &Kinds) -> Vec<Evidence> {
    let failed = || scene.flows().filter(is_failed);
    let by_pair = Ranking::of(failed().map(|row| row.pair_key()).collect(), 4);
    let by_port = Ranking::of(failed().map(|row| source_port_key(&row)).collect(), 4);
    let mut found = Vec::new();
    for (key, _) in &by_pair.top {
        found.extend(vertical(scene, kinds, *key));
    }
    for (key, _) in &by_port.top {
        found.extend(horizontal(scene, kinds, *key));
    }
    found.extend(arp(scene));
    found
}

/// Source, protocol and destination port.
fn source_port_key(row: &View<'_>) -> u64 {
    hash(&(row.key(Side::Source), row.protocol, row.dport))
}

fn vertical(scene: &Scene<'_>, kinds: &Kinds, pair: u64) -> Option<Evidence> {
    let of_pair = || scene.flows().filter(move |row| row.pair_key() == pair);
    let tried = Group::of(of_pair().filter(is_failed));
    let all = of_pair().count() as u64;
    let (ports, part) = (tried.ports.distinct as f64, share(tried.flows, all));
    let row = of_pair().next()?;
    // Sending much to each port is a flood.
    let size = tried.packet_size().unwrap_or(0.0);
    let small = 1.0 - ramp(size, 150.0, 300.0);
    Some(
        Evidence::of(Class::Scan)
            .needs(
                ramp(
                    ports,
                    limits::SCANNED_PORTS / 2.0,
                    1.5 * limits::SCANNED_PORTS,
                ),
                format!(
                    "{} tried {ports} ports of {} without success",
                    row.host(Side::Source),
                    row.host(Side::Destination)
                ),
            )
            .needs(
                ramp(part, 0.3, 0.7),
                format!("{} of its {all} flows there failed", percent(part)),
            )
            .needs(
                ramp(share(tried.flows, kinds.flows), PART[0], PART[1]),
                format!("{} of all flows", percent(share(tried.flows, kinds.flows))),
            )
            .silently_needs(ramp(tried.ports.spread(), 0.2, 0.5).min(small)),
    )
}

fn horizontal(scene: &Scene<'_>, kinds: &Kinds, key: u64) -> Option<Evidence> {
    let of_key = || scene.flows().filter(move |row| source_port_key(row) == key);
    let tried = Group::of(of_key().filter(is_failed));
    let all = of_key().count() as u64;
    let (hosts, part) = (tried.targets.distinct as f64, share(tried.flows, all));
    let row = of_key().next()?;
    let outbound = outbound(&tried);
    let class = if outbound > 0.5 {
        Class::OutboundAbuse
    } else {
        Class::Scan
    };
    let door = match row.protocol {
        protocol if protocol.has_ports() => format!("{} port {}", protocol.name(), row.dport),
        protocol => protocol.name().to_owned(),
    };
    // Who talks with others on that port, too, is a client whose peers come and go.
    Some(
        Evidence::of(class)
            .needs(
                ramp(
                    hosts,
                    limits::SCANNED_HOSTS / 2.0,
                    1.5 * limits::SCANNED_HOSTS,
                ),
                format!(
                    "{} tried {door} of {hosts} hosts without success",
                    row.host(Side::Source)
                ),
            )
            .needs(
                ramp(part, 0.5, 0.8),
                format!("{} of its {all} flows there failed", percent(part)),
            )
            .needs(
                ramp(share(tried.flows, kinds.flows), PART[0], PART[1]),
                format!("{} of all flows", percent(share(tried.flows, kinds.flows))),
            ),
    )
}

/// A host that asks for all addresses of its network.
fn arp(scene: &Scene<'_>) -> Option<Evidence> {
    let asked = || scene.flows().filter(|row| row.origin() == Origin::Arp);
    let sources = Ranking::of(asked().map(|row| row.key(Side::Source)).collect(), 1);
    let first = sources.top.first();
    let key = first?.0;
    let of_first = || asked().filter(move |row| row.key(Side::Source) == key);
    let hosts = of_first().filter(|row| !row.replied()).count() as f64;
    let all = of_first().count() as f64;
    let host = named(asked(), Side::Source, first)?;
    Some(
        Evidence::of(Class::Scan)
            .needs(
                ramp(
                    hosts,
                    2.0 * limits::SCANNED_HOSTS,
                    4.0 * limits::SCANNED_HOSTS,
                ),
                format!("{host} asked for {hosts} addresses of its network that nobody has (ARP)"),
            )
            .needs(ramp(hosts / all, 0.5, 0.9), format!("of {all} in all"))
            .silently_needs(ramp(sources.top_share(), 0.5, 0.9)),
    )
}

/// A host that delivers mail everywhere, and takes none.
pub(super) fn mail(scene: &Scene<'_>, kinds: &Kinds) -> Vec<Evidence> {
    let sent = || {
        let is_mail = |row: &View<'_>| row.protocol == Protocol::TCP && row.dport == 25;
        scene.entries().filter(is_mail)
    };
    let group = Group::of(sent());
    let Some((key, flows)) = group.sources.top.first().copied() else {
        return Vec::new();
    };
    let of_first = || sent().filter(move |row| row.key(Side::Source) == key);
    let targets = Ranking::of(
        of_first().map(|row| row.key(Side::Destination)).collect(),
        0,
    );
    let takes_mail = sent().any(|row| row.key(Side::Destination) == key);
    let Some(host) = named(sent(), Side::Source, group.sources.top.first()) else {
        return Vec::new();
    };
    let delivered = of_first()
        .filter(|row| row.tcp() == Some(TcpState::Established))
        .count();
    vec![
        Evidence::of(Class::OutboundAbuse)
            .needs(
                ramp(targets.distinct as f64, limits::SCANNED_HOSTS / 2.0, 1.5 * limits::SCANNED_HOSTS),
                format!(
                    "{host} delivers mail (tcp port 25) to {} hosts and takes none; {delivered} are established",
                    targets.distinct
                ),
            )
            .needs(
                ramp(share(flows, kinds.flows), PART[0], PART[1]),
                format!("{} of all flows", percent(share(flows, kinds.flows))),
            )
            .silently_needs(if takes_mail { 0.0 } else { 0.8 })
            .silently_needs(outbound(&group)),
    ]
}
