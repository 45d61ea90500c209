//! What the table looks like: an attack and which, a leak, growth, or nothing wrong.
//!
//! *Ratios, not numbers.* An attack has a structure that ordinary traffic has not: half-open connections
//! of as many sources as connections; one packet a flow and no answer; many sources and one target. Each
//! rule (`rules.rs`) looks at the flows of one kind and multiplies or takes the least of how much of each
//! piece of the structure is there. Only below [`limits::FEW`] flows nothing is called an attack.
//!
//! *Flows are entries and refused packets.* An ACK flood that the tracker refuses leaves no entry, so
//! refused packets count as flows, by tuple ([`Strays`](crate::Strays)). The half of a
//! conversation that a capture lacks is then one flow of many packets, which no rule takes for a flood.
//!
//! *The answer* is the class with the greatest confidence, if that reaches [`limits::SURE`], with what
//! spoke for it and the runner-up. Else it is growth, if the table is nearly full or soon will be, or
//! normal.

mod connections;
mod evidence;
mod group;
mod kinds;
mod rules;
mod scan;
mod udp;

use serde::Serialize;

use crate::census::Census;
use crate::limits;
use crate::picked::{Flows, Picked};
use crate::rows::Rows;
use evidence::Evidence;
use kinds::Kinds;
use rules::RULES;

/// What a table can look like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Half-open connections from made-up sources.
    SpoofedSynFlood,
    /// Half-open connections from few, real sources.
    SynFlood,
    /// Complete connections that say nothing.
    ConnectionFlood,
    /// UDP without answers, to one target; or another protocol without connections.
    UdpFlood,
    /// Answers that nobody asked for, from services that amplify, or from hosts that were sent SYNs.
    Reflection,
    /// TCP packets of no connection.
    AckFlood,
    /// ICMP, to one target.
    IcmpFlood,
    /// A flood spread over a whole network.
    CarpetBombing,
    /// One source that tries ports or hosts.
    Scan,
    /// A host inside that attacks or scans others.
    OutboundAbuse,
    /// Connections that are over, or idle, and stay.
    ConnectionLeak,
    /// Ordinary traffic, more than the table is made for.
    Growth,
    /// Nothing wrong.
    Normal,
}

impl Class {
    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Class::SpoofedSynFlood => "spoofed_syn_flood",
            Class::SynFlood => "syn_flood",
            Class::ConnectionFlood => "connection_flood",
            Class::UdpFlood => "udp_flood",
            Class::Reflection => "reflection",
            Class::AckFlood => "ack_flood",
            Class::IcmpFlood => "icmp_flood",
            Class::CarpetBombing => "carpet_bombing",
            Class::Scan => "scan",
            Class::OutboundAbuse => "outbound_abuse",
            Class::ConnectionLeak => "connection_leak",
            Class::Growth => "growth",
            Class::Normal => "normal",
        }
    }

    /// Whether something should be done about it.
    pub const fn is_wrong(self) -> bool {
        !matches!(self, Class::Normal)
    }

    /// A few words for a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Class::SpoofedSynFlood => "a SYN flood from made-up addresses",
            Class::SynFlood => "a SYN flood from real addresses",
            Class::ConnectionFlood => "a flood of complete connections",
            Class::UdpFlood => "a UDP flood",
            Class::Reflection => "a reflection attack",
            Class::AckFlood => "a flood of TCP packets of no connection",
            Class::IcmpFlood => "an ICMP flood",
            Class::CarpetBombing => "carpet bombing: a flood over a whole network",
            Class::Scan => "a scan",
            Class::OutboundAbuse => "abuse by a host inside",
            Class::ConnectionLeak => "connections that are not closed",
            Class::Growth => "ordinary traffic, more than the table is made for",
            Class::Normal => "nothing wrong",
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// What it looks like.
    pub class: Class,
    /// From 0 to 1: how much of the class's structure is there; for `normal`, how little of any other.
    pub confidence: f64,
    /// The next best class, with its confidence.
    pub runner_up: Option<(Class, f64)>,
    /// What speaks for it, a sentence each.
    pub evidence: Vec<String>,
}

/// What is known of a table.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The entries; of a capture, all that it opened.
    pub table: &'a Census,
    /// Refused packets by tuple; `None` where only the table is known.
    pub strays: Option<&'a Rows>,
    /// Seconds in which all that happened, if known.
    pub seconds: Option<f64>,
    /// Packets in all, if known.
    pub packets: Option<u64>,
    /// INVALID packets that were only counted, if they were.
    pub invalid: Option<u64>,
    /// Connections that began meanwhile, if that is known.
    pub new: Option<u64>,
    /// The share of the limit that is used, at the fullest; if the limit is known.
    pub fill: Option<f64>,
    /// Seconds until the table is full, if it grows.
    pub full_in: Option<f64>,
}

impl<'a> Scene<'a> {
    /// A table of which nothing else is known.
    pub fn of(table: &'a Census) -> Scene<'a> {
        Scene {
            table,
            strays: None,
            seconds: None,
            packets: None,
            invalid: None,
            new: None,
            fill: None,
            full_in: None,
        }
    }

    fn flows(&self) -> Flows<'a> {
        Flows {
            table: &self.table.rows,
            strays: self.strays,
        }
    }
}

/// Says what a table looks like.
pub fn classify(scene: &Scene<'_>) -> Finding {
    examine(scene).0
}

/// As [`classify`], with the flows that the finding is about, if it is an attack or a leak.
pub(crate) fn examine<'a>(scene: &Scene<'a>) -> (Finding, Option<Picked<'a>>) {
    let kinds = Kinds::of(scene);
    let mut found: Vec<Evidence<'_>> = RULES.iter().flat_map(|rule| rule(scene, &kinds)).collect();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let best = found.first().map_or(0.0, |evidence| evidence.confidence);
    let next = |found: &[Evidence<'_>], class: Class| {
        let other = found.iter().find(|evidence| evidence.class != class)?;
        (other.confidence > 0.0).then_some((other.class, round(other.confidence)))
    };
    if best >= limits::SURE {
        let first = found.remove(0);
        let finding = Finding {
            class: first.class,
            confidence: round(first.confidence),
            runner_up: next(&found, first.class),
            evidence: first.texts,
        };
        return (finding, first.flows);
    }
    let (class, confidence, evidence) = ordinary(scene, best);
    let finding = Finding {
        class,
        confidence: round(confidence),
        runner_up: next(&found, class),
        evidence,
    };
    (finding, None)
}

/// No attack: growth, or nothing wrong.
fn ordinary(scene: &Scene<'_>, best: f64) -> (Class, f64, Vec<String>) {
    let doubt = 1.0 - best;
    if let Some(fill) = scene.fill.filter(|fill| *fill >= limits::FULL_SOON) {
        let text = format!(
            "the table is {:.0} % full (75 % is too much), and no attack has a confidence of more than {best:.2}",
            fill * 100.0
        );
        return (Class::Growth, doubt, vec![text]);
    }
    // A table that was just emptied, as that of a replay, always grows at first.
    let has_begun = scene
        .fill
        .is_none_or(|fill| fill >= limits::FULL_SOON / 3.0);
    if let Some(secs) = scene.full_in.filter(|secs| has_begun && *secs < 86_400.0) {
        let text = format!("it grows, and would be full in {:.0} minutes", secs / 60.0);
        return (Class::Growth, doubt, vec![text]);
    }
    let all = &scene.table.all;
    let text = format!(
        "of {} entries {} have no answer and {} are half-open; no attack has a confidence of more than {best:.2}",
        all.entries, all.unreplied, all.half_open
    );
    (Class::Normal, doubt, vec![text])
}

fn round(confidence: f64) -> f64 {
    (confidence * 100.0).round() / 100.0
}
