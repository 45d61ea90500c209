//! A script played into the engine.

use ip_conntrack::{
    Action, Class, Config, ConfigError, Conntrack, Direction, Kind, Knob, LinkType, Packet,
    Protocol, Time, Tuple, Verdict, Zone,
};

use crate::craft::{Body, Craft, Ends};
use crate::script::{Case, Entry, Expected, Script, Step};
use crate::{Observation, Seen};

/// When cases begin: any moment will do, but not 0.
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// A packet that did not do what was expected of it.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The line of the script.
    pub line: usize,
    /// The case's title.
    pub case: String,
    /// What was expected.
    pub expected: Expected,
    /// What happened.
    pub seen: Observation,
    /// The reason that the engine gave.
    pub reason: Option<&'static str>,
}

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
        let (seen, reason) = play_step(&mut conntrack, step);
        if !matches(&step.expected, &seen) {
            mismatches.push(Mismatch {
                line: step.line,
                case: case.title.clone(),
                expected: step.expected.clone(),
                seen,
                reason,
            });
        }
    }
    mismatches
}

fn play_step(conntrack: &mut Conntrack, step: &Step) -> (Observation, Option<&'static str>) {
    let now = Time::from_nanos(EPOCH_NS + step.at);
    while !conntrack.advance(now) {}
    let bytes = step.packet.bytes();
    let verdict = match Packet::parse(LinkType::Raw, &bytes) {
        Ok(packet) => conntrack.track(&packet, now),
        Err(reason) => conntrack.skip(reason),
    };
    let observation = Observation {
        class: class(&verdict).to_owned(),
        entry: look(conntrack, step),
    };
    (observation, verdict.reason.map(|reason| reason.name()))
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

/// The entry of the step's flow, of the same protocol as its packet.
fn look(conntrack: &Conntrack, step: &Step) -> Option<Seen> {
    let tuple = tuple(step.flow, &step.packet);
    let (handle, _) = conntrack.find(&tuple, Zone::default())?;
    let connection = conntrack.get(handle)?;
    let count = |direction: Direction| {
        let counters = connection.counters.unwrap_or_default()[direction.index()];
        (counters.packets, counters.bytes)
    };
    Some(Seen {
        state: connection.state.name().map(str::to_owned),
        timeout: connection.timeout.unwrap_or_default(),
        assured: connection.is_assured(),
        replied: connection.is_replied(),
        counters: [count(Direction::Original), count(Direction::Reply)],
    })
}

/// The original tuple of a packet's connection; of an ICMP error, that of the packet quoted.
fn tuple(flow: Ends, packet: &Craft) -> Tuple {
    let (protocol, src_part, dst_part) = match &packet.body {
        Body::IcmpError { about, .. } => return tuple(flow, about),
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
            (protocol, *id, u16::from_be_bytes([asking, *code]))
        }
        Body::Tcp(_) => (Protocol::TCP, flow.src.port(), flow.dst.port()),
        Body::Udp { .. } => (Protocol::UDP, flow.src.port(), flow.dst.port()),
        Body::UdpLite { .. } => (Protocol::UDPLITE, flow.src.port(), flow.dst.port()),
        Body::Sctp { .. } => (Protocol::SCTP, flow.src.port(), flow.dst.port()),
        Body::Gre {
            version: 1, call, ..
        } => (Protocol::GRE, 0, *call),
        Body::Gre { .. } => (Protocol::GRE, 0, 0),
        Body::Other { protocol, .. } => (Protocol(*protocol), 0, 0),
    };
    Tuple {
        src: flow.src.ip(),
        dst: flow.dst.ip(),
        protocol,
        src_part,
        dst_part,
    }
}

/// Whether what happened is what was expected.
pub fn matches(expected: &Expected, seen: &Observation) -> bool {
    if expected.class != seen.class {
        return false;
    }
    match (&expected.entry, &seen.entry) {
        (None, _) | (Some(Entry::Gone), None) => true,
        (Some(Entry::Gone), Some(_)) | (Some(Entry::There { .. }), None) => false,
        (
            Some(Entry::There {
                state,
                timeout,
                assured,
                replied,
                counters,
            }),
            Some(entry),
        ) => {
            let in_time = |timeout: u64| entry.timeout == timeout || entry.timeout + 1 == timeout;
            let mut counts = counters.iter().zip(&entry.counters);
            *state == entry.state
                && timeout.is_none_or(in_time)
                && *assured == entry.assured
                && *replied == entry.replied
                && counts.all(|(wanted, count)| wanted.is_none_or(|wanted| wanted == *count))
        }
    }
}
