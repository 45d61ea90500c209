//! Complete connections: a flood of them, and such as are not closed.

use super::evidence::{Evidence, percent};
use super::group::Group;
use super::kinds::Kinds;
use super::rules::{focused, from_sources, how_many, number, weight};
use super::{Class, Scene};
use crate::limits::{self, ramp};
use crate::rank::share;

/// Many complete connections to one service, of few sources or with nothing said.
pub(super) fn connection_flood<'a>(scene: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.established;
    let closing = share(kinds.closing, kinds.closing + group.flows);
    let lasting = 1.0
        - ramp(
            closing,
            limits::CLOSING_NORMAL,
            5.0 * limits::CLOSING_NORMAL,
        );
    let (quiet, told) = quiet(group);
    let each = share(group.flows, group.sources().distinct);
    let heavy = ramp(
        each,
        limits::CONNECTIONS_OF_ONE / 10.0,
        limits::CONNECTIONS_OF_ONE / 2.0,
    )
    .max(ramp(group.sources().share_of_first(4), 0.3, 0.6) * first_call(group));
    // Of many sources with few connections each, only silence tells a flood from a busy service.
    let of_many = if group.counted > 0 { 0.75 * quiet } else { 0.0 };
    let fill = ramp(scene.fill.unwrap_or(0.0), 0.3, 0.7);
    vec![
        Evidence::about(Class::ConnectionFlood, group)
            .needs(
                number(group).min(weight(group.flows, kinds)),
                how_many(group, kinds, "complete TCP connections"),
            )
            .needs(
                focused(group.services().top_share()),
                format!(
                    "{} of them go to one port of one address",
                    percent(group.services().top_share())
                ),
            )
            .needs(
                heavy.max(of_many).max(of_many * fill),
                format!("{each:.1} for each source; {}", from_sources(group)),
            )
            .needs(quiet, told)
            .needs(lasting, format!("{} of TCP is closing", percent(closing))),
    ]
}

/// Whether the connections of the busiest source to its service are too many.
fn first_call(group: &Group<'_>) -> f64 {
    let first = group.calls().top.first().map_or(0, |(_, flows)| *flows);
    ramp(
        first as f64,
        limits::CONNECTIONS_OF_ONE / 2.0,
        1.5 * limits::CONNECTIONS_OF_ONE,
    )
}

/// Whether next to nothing is said.
fn quiet(group: &Group<'_>) -> (f64, String) {
    let Some(each) = group.packets_each() else {
        // Within a network, pools of connections are usual.
        let within = ramp(share(group.within, group.flows), 0.3, 0.7);
        return (
            0.65 - 0.4 * within,
            "without counters, whether anything is said is not known".to_owned(),
        );
    };
    let few = 1.0 - ramp(each, limits::IDLE_PACKETS, 2.0 * limits::IDLE_PACKETS);
    let size = group.packet_size().unwrap_or(0.0);
    let small = 1.0 - ramp(size, limits::IDLE_BYTES, 2.0 * limits::IDLE_BYTES);
    let answered = share(group.reply_bytes, group.counted);
    let short = 1.0 - ramp(answered, 600.0, 3_000.0);
    let told =
        format!("{each:.1} packets of {size:.0} bytes each way out, {answered:.0} bytes back");
    (few.min(small).min(short), told)
}

/// A program that does not close what the other side closed.
pub(super) fn close_wait<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let group = &kinds.close_wait;
    let part = share(group.flows, kinds.tcp);
    let focus = group
        .services()
        .top_share()
        .max(group.sources().top_share());
    vec![
        Evidence::about(Class::ConnectionLeak, group)
            .needs(
                ramp(group.flows as f64, limits::FEW / 2.0, limits::MANY / 2.0)
                    .min(ramp(part, limits::LEAK_SHARE_FROM, limits::LEAK_SHARE_TO)),
                format!(
                    "{} of {} TCP connections ({}) are in CLOSE_WAIT: one side closed, the other does not",
                    group.flows,
                    kinds.tcp,
                    percent(part)
                ),
            )
            .needs(
                focused(focus).max(0.6),
                format!("{} of them are with one service", percent(group.services().top_share())),
            ),
    ]
}

/// Established connections in which nothing happens any more.
pub(super) fn idle<'a>(_: &Scene<'a>, kinds: &Kinds<'a>) -> Vec<Evidence<'a>> {
    let assured = || kinds.established.iter().filter(|row| row.assured());
    let Some(full) = assured()
        .filter_map(|row| row.timeout())
        .max()
        .map(full_timeout)
    else {
        return Vec::new();
    };
    let limit = f64::from(full) - limits::IDLE_FOR;
    let is_late = |left: u32| f64::from(left) < limit;
    let group = kinds
        .established
        .only(|row| row.assured() && row.timeout().is_some_and(is_late));
    let part = share(group.flows, kinds.established.flows);
    let focus = group.services().top_share().max(group.pairs().top_share());
    vec![
        Evidence::about(Class::ConnectionLeak, &group)
            .needs(
                ramp(group.flows as f64, limits::FEW, 3.0 * limits::MANY)
                    .min(ramp(part, 0.3, 0.7))
                    .min(weight(group.flows, kinds)),
                format!(
                    "{} of {} established connections ({}) had no packet for an hour or more (timeout {full} s)",
                    group.flows,
                    kinds.established.flows,
                    percent(part)
                ),
            )
            .needs(focused(focus), format!("{} of them are with one service", percent(group.services().top_share()))),
    ]
}

/// The timeout of established connections, guessed from the one that was used last.
fn full_timeout(most_left: u32) -> u32 {
    match most_left {
        86_401..=432_000 => 432_000,
        left => left,
    }
}
