//! One source that tries many doors: ports of a host, or hosts.

use ip_conntrack::{Protocol, TcpState};

use super::evidence::{Evidence, percent};
use super::group::{Group, named};
use super::kinds::Kinds;
use super::rules::outbound;
use super::{Class, Scene};
use crate::flow::Origin;
use crate::limits::{self, ramp};
use crate::rank::{Ranking, share};
use crate::rows::{Side, View};

/// The part of all flows that a scan has to be, to be what there is to say.
const PART: [f64; 2] = [0.05, 0.25];

/// Pairs, and sources on a port, that are looked at.
const TRIED: usize = 4;

fn group_of<'a>(scene: &Scene<'a>, kind: impl Fn(&View<'a>) -> bool) -> Group<'a> {
    Group::of(scene.flows(), scene.flows().places(kind))
}

/// Ports of one host, or hosts on one port, tried in vain.
pub(super) fn scan<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let failed = &kinds.failed;
    // What is too few for a scan need not be looked at.
    let enough = |flows: u64| {
        flows as f64 > limits::SCANNED_PORTS / 2.0 && share(flows, kinds.flows) > PART[0]
    };
    let mut found: Vec<Evidence<'a>> = arp(scene).into_iter().collect();
    let first = failed.sources().top.first().map_or(0, |(_, flows)| *flows);
    if !enough(first) {
        return found;
    }
    let by_port = Ranking::of(failed.iter().map(|row| row.source_port_key()), TRIED);
    for (key, _) in failed
        .pairs()
        .top
        .iter()
        .take(TRIED)
        .filter(|(_, flows)| enough(*flows))
    {
        found.extend(vertical(scene, kinds, *key));
    }
    for (key, _) in by_port.top.iter().filter(|(_, flows)| enough(*flows)) {
        found.extend(horizontal(scene, kinds, *key));
    }
    found
}

fn vertical<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>, pair: u64) -> Option<Evidence<'a>> {
    let tried = kinds.failed.only(|row| row.pair_key() == pair);
    let all = scene
        .flows()
        .iter()
        .filter(|row| row.pair_key() == pair)
        .count() as u64;
    let row = tried.iter().next()?;
    let (ports, part) = (tried.ports().distinct as f64, share(tried.flows, all));
    // Sending much to each port is a flood.
    let size = tried.packet_size().unwrap_or(0.0);
    let small = 1.0 - ramp(size, 150.0, 300.0);
    Some(
        Evidence::about(Class::Scan, &tried)
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
            .silently_needs(ramp(tried.ports().spread(), 0.2, 0.5).min(small)),
    )
}

fn horizontal<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>, key: u64) -> Option<Evidence<'a>> {
    let tried = kinds.failed.only(|row| row.source_port_key() == key);
    let all = scene
        .flows()
        .iter()
        .filter(|row| row.source_port_key() == key)
        .count() as u64;
    let row = tried.iter().next()?;
    let (hosts, part) = (tried.targets().distinct as f64, share(tried.flows, all));
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
        Evidence::about(class, &tried)
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
fn arp<'a>(scene: &Scene<'a>) -> Option<Evidence<'a>> {
    let asked = group_of(scene, |row| row.origin() == Origin::Arp);
    let (key, _) = *asked.sources().top.first()?;
    let of_first = || asked.iter().filter(move |row| row.key(Side::Source) == key);
    let hosts = of_first().filter(|row| !row.replied()).count() as f64;
    let all = of_first().count() as f64;
    let host = named(asked.iter(), Side::Source, key)?;
    Some(
        Evidence::about(Class::Scan, &asked)
            .needs(
                ramp(
                    hosts,
                    2.0 * limits::SCANNED_HOSTS,
                    4.0 * limits::SCANNED_HOSTS,
                ),
                format!("{host} asked for {hosts} addresses of its network that nobody has (ARP)"),
            )
            .needs(ramp(hosts / all, 0.5, 0.9), format!("of {all} in all"))
            .silently_needs(ramp(asked.sources().top_share(), 0.5, 0.9)),
    )
}

/// A host that delivers mail everywhere, and takes none.
pub(super) fn mail<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = group_of(scene, |row| {
        row.protocol == Protocol::TCP && row.dport == 25 && row.origin().is_entry()
    });
    let Some((key, flows)) = group.sources().top.first().copied() else {
        return Vec::new();
    };
    let of_first = || group.iter().filter(move |row| row.key(Side::Source) == key);
    let targets = Ranking::of(of_first().map(|row| row.key(Side::Destination)), 0);
    let takes_mail = group.iter().any(|row| row.key(Side::Destination) == key);
    let Some(host) = named(group.iter(), Side::Source, key) else {
        return Vec::new();
    };
    let delivered = of_first()
        .filter(|row| row.tcp() == Some(TcpState::Established))
        .count();
    vec![
        Evidence::about(Class::OutboundAbuse, &group)
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
