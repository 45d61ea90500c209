//! A script played into the engine, at the times that it says.

use ip_conntrack::{
    Action, Class, Config, ConfigError, Conntrack, Kind, Knob, LinkType, Packet, Protocol, Time,
    Tuple, Verdict, Zone, ZoneDirections,
};

use crate::craft::{Body, Craft, Ends, Rule};
use crate::entry::Entry;
use crate::script::{Case, Script, Step};
use crate::{Mismatch, Observation};

/// When cases begin: any moment will do, but not 0.
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// Plays a script; returns every packet that did not do what was expected of it.
///
/// # Errors
///
/// A `sysctl` line of the script that is not accepted.
pub fn play(script: &Script) -> Result<Vec<Mismatch>, ConfigError> {
    let mut config = Config::default();
    config.set(Knob::Acct, 1)?;
    for (name, value) in &script.sysctls {
        config.set_by_name(name, value)?;
    }
    let cases = script.cases.iter();
    Ok(cases.flat_map(|case| play_case(case, &config)).collect())
}

fn play_case(case: &Case, config: &Config) -> Vec<Mismatch> {
    let mut conntrack = Conntrack::new(config.clone(), 1);
    let mut mismatches = Vec::new();
    for step in &case.steps {
        let now = Time::from_nanos(EPOCH_NS + step.at);
        let (class, _, reason) = track(&mut conntrack, &step.packet.bytes(), now);
        let expected = step.ours.as_ref().unwrap_or(&step.expected);
        let entry = look(&conntrack, original_of(step), expected.zone);
        let seen = Observation { class, entry };
        if !expected.agrees(&seen) {
            mismatches.push(Mismatch {
                line: step.line,
                case: case.title.clone(),
                seen,
                reason,
            });
        }
    }
    mismatches
}

/// Takes one IP packet through the engine; returns the class, as scripts name it, the direction for
/// classes that have one, and the reason.
pub fn track(
    conntrack: &mut Conntrack,
    packet: &[u8],
    now: Time,
) -> (String, Option<&'static str>, Option<&'static str>) {
    while !conntrack.advance(now) {}
    let verdict = match (Packet::parse(LinkType::Raw, packet), Rule::of(packet)) {
        (Err(reason), _) => conntrack.skip(reason),
        (Ok(_), Rule::Notrack) => conntrack.notrack(),
        (Ok(parsed), rule) => conntrack.track_in(zone(rule), &parsed, now),
    };
    describe(&verdict)
}

/// The zone that a rule puts packets into.
fn zone(rule: Rule) -> Zone {
    match rule {
        Rule::Zone5 => Zone::both(5),
        Rule::OriginalZone6 => Zone {
            id: 6,
            applies: ZoneDirections::Original,
        },
        Rule::None | Rule::Notrack => Zone::default(),
    }
}

/// A verdict in the words of scripts: class, direction for classes that have one, and reason.
pub fn describe(verdict: &Verdict) -> (String, Option<&'static str>, Option<&'static str>) {
    let reason = verdict.reason.map(ip_conntrack::Reason::name);
    let class = class(verdict);
    let has_direction = matches!(class, "established" | "related");
    let direction = has_direction.then(|| verdict.direction.name());
    (class.to_owned(), direction, reason)
}

fn class(verdict: &Verdict) -> &'static str {
    match (verdict.action, verdict.class) {
        _ if verdict
            .reason
            .is_some_and(|reason| reason.kind() == Kind::Fragment) =>
        {
            "held"
        }
        (Action::Hold, _) => "held",
        (Action::Drop, _) => "dropped",
        (_, Class::New) => "new",
        (_, Class::Established) => "established",
        (_, Class::Related) => "related",
        (_, Class::Invalid) => "invalid",
        (_, Class::Untracked) => "untracked",
    }
}

/// The entry that has this original tuple, in a zone.
pub fn look(conntrack: &Conntrack, original: Tuple, zone: u16) -> Option<Entry> {
    let (handle, _) = conntrack.find(&original, Zone::both(zone))?;
    let entry = Entry::from(&conntrack.get(handle)?);
    (entry.original == original.into()).then_some(entry)
}

/// The original tuple of a packet's connection; of an ICMP error, that of the packet quoted.
pub fn original(flow: Ends, packet: &Craft) -> Tuple {
    let ports = (flow.src.port(), flow.dst.port());
    let (protocol, (src_part, dst_part)) = match &packet.body {
        Body::IcmpError { about, .. } => return original(flow, about),
        Body::Icmp { kind, code, id, .. } => {
            let protocol = match flow.src.is_ipv6() {
                true => Protocol::ICMPV6,
                false => Protocol::ICMP,
            };
            let asking = match kind {
                0 => 8,
                14 | 16 | 18 => kind - 1,
                129 | 140 => kind - 1,
                _ => *kind,
            };
            (protocol, (*id, u16::from_be_bytes([asking, *code])))
        }
        Body::Tcp(_) => (Protocol::TCP, ports),
        Body::Udp { .. } => (Protocol::UDP, ports),
        Body::UdpLite { .. } => (Protocol::UDPLITE, ports),
        Body::Sctp { .. } => (Protocol::SCTP, ports),
        Body::Gre {
            version: 1, call, ..
        } => (Protocol::GRE, (0, *call)),
        Body::Gre { .. } => (Protocol::GRE, (0, 0)),
        Body::Other { protocol, .. } => (Protocol(*protocol), (0, 0)),
    };
    Tuple {
        src: flow.src.ip(),
        dst: flow.dst.ip(),
        protocol,
        src_part,
        dst_part,
    }
}

// Steps carry what is needed to find their entry; this keeps the two plays in step.
pub(crate) fn original_of(step: &Step) -> Tuple {
    original(step.flow, &step.packet)
}
