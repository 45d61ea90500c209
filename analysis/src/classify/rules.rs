//! The rules: what each class looks like. Numbers are in `limits.rs`, with their sources.

use super::evidence::{Evidence, percent};
use super::group::Group;
use super::kinds::Kinds;
use super::{Class, Scene};
use crate::limits::{self, ramp};
use crate::rank::share;

/// A rule says how much of a class it sees, and why.
pub(super) type Rule = for<'a> fn(&Scene<'a>, &Kinds<'a>) -> Vec<Evidence<'a>>;

/// All rules. Each looks at the flows of one kind.
pub(super) const RULES: &[Rule] = &[
    syn,
    super::udp::reflection,
    super::udp::reflection_by_us,
    super::udp::syn_ack_reflection,
    super::udp::udp_flood,
    super::udp::flood_of_others,
    super::udp::dhcp_flood,
    ack_flood,
    icmp_flood,
    carpet,
    super::connections::connection_flood,
    super::connections::close_wait,
    super::connections::idle,
    super::scan::scan,
    super::scan::mail,
];

/// Enough flows to speak of an attack.
pub(super) fn number(group: &Group<'_>) -> f64 {
    let flows = group.flows as f64;
    match group.sources().share_of_first(2) > 0.8 {
        true => ramp(flows, limits::OF_ONE_FROM, limits::OF_ONE_TO),
        false => ramp(flows, limits::FEW, limits::MANY),
    }
}

/// The flows are a great part of all.
pub(super) fn weight(part: u64, kinds: &Kinds<'_>) -> f64 {
    ramp(
        share(part, kinds.flows),
        limits::SHARE_FROM,
        limits::SHARE_TO,
    )
}

/// The flows have one target.
pub(super) fn focused(share: f64) -> f64 {
    ramp(share, limits::FOCUS_FROM, limits::FOCUS_TO)
}

/// A packet or two each, as far as packets are counted.
pub(super) fn one_shot(group: &Group<'_>) -> f64 {
    let each = group.packets_each().unwrap_or(1.0);
    1.0 - ramp(each, limits::ONE_SHOT, 2.0 * limits::ONE_SHOT)
}

/// How much of it goes from inside to others: then it is abuse, whatever it is.
pub(super) fn outbound(group: &Group<'_>) -> f64 {
    let out = group.from_private.saturating_sub(group.within);
    ramp(share(out, group.flows), 0.5, 0.9)
}

pub(super) fn how_many(group: &Group<'_>, kinds: &Kinds<'_>, what: &str) -> String {
    let part = percent(share(group.flows, kinds.flows));
    format!(
        "{} of {} flows ({part}) are {what}",
        group.flows, kinds.flows
    )
}

pub(super) fn to_one_target(group: &Group<'_>) -> String {
    let (targets, top) = (group.targets().distinct, percent(group.focus()));
    format!("{top} of them go to one address, of {targets} in all")
}

pub(super) fn from_sources(group: &Group<'_>) -> String {
    let sources = group.sources().distinct;
    let (entropy, most) = (group.sources().entropy, (group.flows.max(1) as f64).log2());
    format!(
        "they come from {sources} addresses (entropy {entropy:.1} of at most {most:.1} bits); the first has {}",
        percent(group.sources().top_share())
    )
}

/// Half-open connections: made-up sources, or few real ones.
fn syn<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.half_open;
    let first_service = group.services().top.first().map_or(0, |(_, flows)| *flows);
    let part = share(group.flows, kinds.flows);
    let weight = match first_service as f64 >= limits::BACKLOG {
        true => ramp(part, limits::SHARE_BACKLOG_FROM, limits::SHARE_BACKLOG_TO),
        false => weight(group.flows, kinds),
    };
    let spoofed = group.spoofed();
    let inward = 1.0 - outbound(group);
    let many = how_many(group, kinds, "TCP connections that were never completed");
    let to_service = format!(
        "{} of them go to one port of one address",
        percent(group.services().top_share())
    );
    let one_shot = one_shot(group);
    let made_up = Evidence::about(Class::SpoofedSynFlood, group)
        .needs(number(group).min(weight), many.clone())
        .needs(focused(group.focus()), to_one_target(group))
        .needs(spoofed, from_sources(group))
        .silently_needs(one_shot);
    let real = Evidence::about(Class::SynFlood, group)
        .needs(number(group).min(weight), many.clone())
        .needs(focused(group.services().top_share()), to_service.clone())
        .needs(1.0 - spoofed, from_sources(group))
        .silently_needs(inward);
    let from_inside = Evidence::about(Class::OutboundAbuse, group)
        .needs(number(group).min(weight), many)
        .needs(focused(group.services().top_share()), to_service)
        .needs(outbound(group), from_inside(group));
    vec![made_up, real, from_inside]
}

pub(super) fn from_inside(group: &Group<'_>) -> String {
    let out = group.from_private.saturating_sub(group.within);
    format!(
        "{out} of {} go from private or translated addresses to public ones",
        group.flows
    )
}

/// TCP packets of no connection: refused, or taken for one that began before (nf_conntrack_tcp_loose).
fn ack_flood<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let mut found = by_flows(kinds);
    found.extend(by_counter(scene));
    found
}

/// Only the counter of INVALID packets tells, and not from whom they are.
fn by_counter<'a>(scene: &Scene<'a>) -> Option<Evidence<'a>> {
    let (invalid, secs) = (scene.invalid?, scene.seconds?);
    let rate = invalid as f64 / secs.max(0.1);
    let new = scene.new.unwrap_or(0);
    Some(
        Evidence::of(Class::AckFlood)
            .needs(
                ramp(rate, limits::INVALID_RATE / 2.0, 1.5 * limits::INVALID_RATE).min(0.8),
                format!("{invalid} packets in {secs:.1} s were INVALID, {rate:.0} a second; the kernel does not tell whose"),
            )
            .needs(
                ramp(share(invalid, invalid + new), 0.5, 0.8),
                format!("{new} connections began meanwhile"),
            ),
    )
}

fn by_flows<'a>(kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.stray_tcp;
    let what =
        "TCP packets of no connection, refused or picked up in the middle, without an answer";
    vec![
        Evidence::about(Class::AckFlood, group)
            .needs(
                number(group).min(weight(group.flows, kinds)),
                how_many(group, kinds, what),
            )
            .needs(focused(group.focus()), to_one_target(group))
            .needs(one_shot(group), from_sources(group)),
    ]
}

fn icmp_flood<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.icmp;
    let by_flows = Evidence::about(Class::IcmpFlood, group)
        .needs(
            number(group).min(weight(group.flows, kinds)),
            how_many(group, kinds, "ICMP, unanswered or of a packet or two"),
        )
        .needs(focused(group.focus()), to_one_target(group))
        .needs(
            ramp(group.sources().distinct as f64, 0.0, 2.0),
            from_sources(group),
        );
    let mut found = vec![by_flows];
    if let (Some(secs), Some(packets)) = (scene.seconds, scene.packets) {
        found.extend(icmp_by_rate(kinds, secs, packets));
    }
    found
}

/// Few flows with many packets: a ping that does not wait.
fn icmp_by_rate<'a>(kinds: &Kinds<'a>, secs: f64, packets: u64) -> Vec<Evidence<'a>> {
    let unanswered = kinds.icmp_all.only(|row| !row.replied());
    let kinds = [
        (&kinds.icmp_all, limits::ICMP_RATE, "ICMP packets"),
        (
            &unanswered,
            limits::ICMP_RATE_UNANSWERED,
            "unanswered ICMP packets",
        ),
    ];
    let rated = kinds.iter().filter(|(group, ..)| group.packets > 0);
    let found = rated.map(|(group, limit, what)| {
        let (sent, rate) = (group.packets, group.packets as f64 / secs.max(0.1));
        let part = share(sent, packets);
        Evidence::about(Class::IcmpFlood, group)
            .needs(
                ramp(rate, limit / 2.0, 1.5 * limit),
                format!("{sent} {what} in {secs:.1} s are {rate:.0} a second"),
            )
            .needs(
                ramp(part, 0.2, 0.5),
                format!("{} of all packets", percent(part)),
            )
            .needs(focused(group.focus()), to_one_target(group))
            .silently_needs(ramp(sent as f64, 100.0, 300.0))
    });
    found.collect()
}

/// A flood that no single address gets much of.
fn carpet<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.unanswered;
    let carpet = group.is_carpet();
    if carpet == 0.0 {
        return Vec::new();
    }
    let sources = group.sources().distinct as f64;
    let each_target = sources / group.targets().distinct.max(1) as f64;
    let regions = group.source_regions().distinct as f64;
    // Pairs of one source and one target each are conversations, not a carpet; but made-up sources
    // from everywhere are.
    let mixed = ramp(each_target, 0.5, 2.0).max(ramp(regions, 20.0, 60.0));
    let many = ramp(
        sources,
        limits::CARPET_TARGETS / 2.0,
        limits::CARPET_TARGETS,
    );
    vec![
        Evidence::about(Class::CarpetBombing, group)
            .needs(
                number(group).min(weight(group.flows, kinds)),
                how_many(group, kinds, "packets or connections without an answer"),
            )
            .needs(
                carpet,
                format!(
                    "they go to {} addresses in {} networks; the first has {}",
                    group.targets().distinct,
                    group.target_networks().distinct,
                    percent(group.focus())
                ),
            )
            .needs(
                many.min(mixed)
                    .min(1.0 - focused(group.sources().top_share())),
                from_sources(group),
            ),
    ]
}
