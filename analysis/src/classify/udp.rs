//! Floods of UDP and of what is like it, and answers that nobody asked for, those of TCP included.

use super::evidence::{Evidence, percent};
use super::group::Group;
use super::kinds::Kinds;
use super::rules::{
    focused, from_inside, from_sources, how_many, number, one_shot, outbound, to_one_target, weight,
};
use super::{Class, Scene};
use crate::limits::{self, amplifier, ramp};
use crate::rank::share;

/// Answers of amplifying services that nobody asked for.
pub(super) fn reflection<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let mut found = vec![by_service(scene, kinds)];
    found.extend(by_fixed_port(kinds));
    found
}

fn by_service<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Evidence<'a> {
    let group = &kinds.amplified;
    // Few amplifiers may send many packets of few flows.
    let packets = group.packets;
    let part = share(packets, scene.packets.unwrap_or(0));
    let in_packets = ramp(packets as f64, 100.0, 300.0)
        .min(ramp(part, limits::SHARE_FROM, limits::SHARE_TO))
        .min(ramp(share(group.bytes, packets), 200.0, 400.0));
    let in_flows = number(group).min(weight(group.flows, kinds));
    let mut many = how_many(
        group,
        kinds,
        "unanswered UDP from ports of amplifying services",
    );
    if in_packets > in_flows {
        many = format!(
            "{packets} packets ({}) are unanswered UDP from ports of amplifying services",
            percent(part)
        );
    }
    Evidence::about(Class::Reflection, group)
        .needs(
            in_flows.max(in_packets),
            format!("{many}{}", services(group, kinds.fragments)),
        )
        .needs(focused(group.focus()), to_one_target(group))
        .needs(
            ramp(group.sources().distinct as f64, 2.0, 8.0),
            from_sources(group),
        )
}

/// `: SNMP (161) 4,045, ...`
fn services(group: &Group<'_>, fragments: u64) -> String {
    let named = group
        .source_ports()
        .top
        .iter()
        .take(4)
        .filter_map(|(port, flows)| {
            let name = amplifier(*port as u16)?;
            Some(format!("{name} (port {port}) {flows}"))
        });
    let mut named: Vec<String> = named.collect();
    if fragments > 0 {
        named.push(format!("{fragments} fragmented"));
    }
    match named.is_empty() {
        true => String::new(),
        false => format!(": {}", named.join(", ")),
    }
}

/// A service that is not in the list: many sources, one source port, packets of some size.
fn by_fixed_port<'a>(kinds: &Kinds<'a>) -> Option<Evidence<'a>> {
    let group = &kinds.plain_udp;
    let (port, _) = group.source_ports().top.first()?;
    let fixed = ramp(group.source_ports().top_share(), 0.6, 0.9);
    let is_service = *port != 0 && *port < 32_768;
    let size = group.packet_size().unwrap_or(0.0);
    is_service.then(|| {
        Evidence::about(Class::Reflection, group)
            .needs(
                number(group).min(weight(group.flows, kinds)),
                how_many(group, kinds, "unanswered UDP"),
            )
            .needs(
                fixed,
                format!("most come from port {port}, as answers of one service"),
            )
            .needs(
                ramp(size, 150.0, 300.0).min(0.8),
                format!("{size:.0} bytes a packet"),
            )
            .needs(focused(group.focus()), to_one_target(group))
            .needs(
                ramp(group.sources().distinct as f64, 10.0, 40.0),
                from_sources(group),
            )
    })
}

/// A server of ours answers a victim that asked nothing.
pub(super) fn reflection_by_us<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.asked;
    let factor = share(group.reply_bytes, group.bytes);
    vec![
        Evidence::about(Class::Reflection, group)
            .needs(
                ramp(group.flows as f64, limits::OF_ONE_FROM, limits::OF_ONE_TO)
                    .min(weight(group.flows, kinds)),
                how_many(group, kinds, "questions to services that amplify"),
            )
            .needs(
                ramp(
                    factor,
                    limits::AMPLIFICATION / 2.0,
                    1.5 * limits::AMPLIFICATION,
                ),
                format!("answered with {factor:.1} bytes for each byte"),
            )
            .needs(
                focused(group.sources().share_of_first(3)),
                from_sources(group),
            )
            .silently_needs(one_shot(group)),
    ]
}

/// SYN/ACKs of servers that were sent SYNs in the name of the victim.
pub(super) fn syn_ack_reflection<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.syn_acks;
    let packets = scene.packets.unwrap_or(group.packets);
    let by_packets = ramp(
        share(group.packets, packets),
        limits::SHARE_FROM,
        limits::SHARE_TO,
    )
    .min(ramp(group.packets as f64, limits::FEW, limits::MANY));
    let by_flows = number(group).min(weight(group.flows, kinds));
    let part = percent(share(group.packets, packets));
    let ports: Vec<String> = group
        .source_ports()
        .top
        .iter()
        .take(4)
        .map(|(port, _)| port.to_string())
        .collect();
    vec![
        Evidence::about(Class::Reflection, group)
            .needs(
                by_packets.max(by_flows),
                format!(
                    "{} of {packets} packets ({part}) are SYN/ACKs that nobody asked for, in {} flows, from TCP port {}",
                    group.packets,
                    group.flows,
                    ports.join(", ")
                ),
            )
            .needs(focused(group.focus()), to_one_target(group))
            .needs(1.0, from_sources(group)),
    ]
}

/// UDP without an answer, to one target.
pub(super) fn udp_flood<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.plain_udp;
    let many = how_many(group, kinds, "unanswered UDP");
    let ports = group.ports().distinct;
    let size = group
        .packet_size()
        .map_or(String::new(), |size| format!(", {size:.0} bytes a packet"));
    let to_ports = format!("to {ports} ports{size}");
    // Logs, flow records and questions to a dead resolver go one way, too, from hosts that exist.
    let is_report = share(kinds.one_way_udp, group.flows).max(resolver_share(group));
    let is_known = ramp(share(group.from_private, group.flows), 0.5, 0.9);
    let reports = ramp(is_report, 0.3, 0.7) * is_known.max(1.0 - group.spoofed());
    let several = ramp(group.sources().distinct as f64, 2.0, 20.0);
    let alone = not_a_scan(group);
    let flood = Evidence::about(Class::UdpFlood, group)
        .needs(number(group).min(weight(group.flows, kinds)), many.clone())
        .needs(focused(group.focus()), to_one_target(group))
        .needs(several.max(alone), from_sources(group))
        .needs(1.0 - reports, to_ports)
        .silently_needs(
            one_shot(group)
                .max(group.spoofed())
                .max(alone)
                .min(1.0 - outbound(group)),
        );
    let from_inside = Evidence::about(Class::OutboundAbuse, group)
        .needs(number(group).min(weight(group.flows, kinds)), many)
        .needs(focused(group.focus()), to_one_target(group))
        .needs(outbound(group), from_inside(group))
        .silently_needs((1.0 - reports).min(alone));
    let mut found = vec![flood, from_inside];
    found.extend(by_rate(scene, &kinds.lone_udp));
    found
}

/// Of GRE, ESP or a number that nobody uses: to a table it is what a flood of UDP is, an entry for each made-up source.
pub(super) fn flood_of_others<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.other;
    let many = how_many(group, kinds, "unanswered, and neither TCP, UDP nor ICMP");
    let several = ramp(group.sources().distinct as f64, 2.0, 20.0);
    vec![
        Evidence::about(Class::UdpFlood, group)
            .needs(number(group).min(weight(group.flows, kinds)), many)
            .needs(focused(group.focus()), to_one_target(group))
            .needs(several, from_sources(group))
            .silently_needs(one_shot(group).max(group.spoofed()))
            .silently_needs(1.0 - outbound(group)),
    ]
}

/// One source that sends much to many ports floods; one that sends little scans.
fn not_a_scan(group: &Group<'_>) -> f64 {
    let many_ports = ramp(
        group.ports().distinct as f64,
        limits::SCANNED_PORTS / 2.0,
        limits::SCANNED_PORTS,
    );
    let size = ramp(group.packet_size().unwrap_or(0.0), 100.0, 200.0);
    let from_many_ports =
        ramp(group.source_ports().spread(), 0.3, 0.6) * ramp(group.flows as f64, 1000.0, 3000.0);
    (1.0 - many_ports).max(size).max(from_many_ports)
}

fn resolver_share(group: &Group<'_>) -> f64 {
    let of = |port: u64| {
        group
            .ports()
            .top
            .iter()
            .find(|(key, _)| *key == port)
            .map_or(0, |(_, n)| *n)
    };
    share(of(53) + of(123), group.flows)
}

/// Few flows with very many packets.
fn by_rate<'a>(scene: &Scene<'a>, group: &Group<'a>) -> Option<Evidence<'a>> {
    let (secs, packets) = (scene.seconds?, scene.packets?);
    let rate = group.packets as f64 / secs.max(0.1);
    (group.packets > 0).then(|| {
        let part = share(group.packets, packets);
        Evidence::about(Class::UdpFlood, group)
            .needs(
                ramp(rate, 1_000.0, 20_000.0),
                format!(
                    "{} unanswered UDP packets in {secs:.1} s are {rate:.0} a second",
                    group.packets
                ),
            )
            .needs(
                ramp(part, 0.5, 0.8),
                format!("{} of all packets", percent(part)),
            )
            .needs(focused(group.focus()), to_one_target(group))
            .silently_needs(ramp(group.packets as f64, 1_000.0, 3_000.0))
            .silently_needs(ramp(share(group.packets, group.flows), 10.0, 100.0))
    })
}

/// Requests for addresses until there are none left.
pub(super) fn dhcp_flood<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.dhcp;
    let rate = scene.seconds.map(|secs| group.flows as f64 / secs.max(1.0));
    let often = rate.map_or(0.6, |rate| {
        ramp(rate, limits::DHCP_RATE / 2.0, 1.5 * limits::DHCP_RATE)
    });
    let told = rate.map_or("in as long as an entry lives".to_owned(), |rate| {
        format!("{rate:.0} a second")
    });
    vec![
        Evidence::about(Class::UdpFlood, group)
            .needs(
                number(group).min(weight(group.flows, kinds)),
                how_many(group, kinds, "DHCP requests"),
            )
            .needs(often, told)
            .needs(
                ramp(group.sources().spread(), 0.3, 0.7),
                from_sources(group),
            ),
    ]
}
