//! The report: everything that is told of a table, as data. Its JSON form is documented in
//! `docs/report.md`; each field says what it is counted from.

use ip_conntrack::{Protocol, ProtocolState};
use serde::Serialize;

use crate::advice::{Advice, Circumstances};
use crate::census::{Census, Tally};
use crate::change::StateTraffic;
use crate::classify::{Class, Finding, Scene, examine};
use crate::forecast::Forecast;
use crate::limits::amplifier;
use crate::picked::Picked;
use crate::prefix::PrefixCount;
use crate::rank::share;
use crate::rows::Rows;
use crate::strays::Strays;
use crate::timeline::Timeline;
use crate::who::{HostCount, PairCount, PortCount, Who};

/// What a report is made from.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Where the table comes from.
    pub source: Source,
    /// The table at the moment that is reported.
    pub table: &'a Census,
    /// Everything that a capture opened; `None` for a table.
    pub whole: Option<&'a Census>,
    /// Refused packets of a capture.
    pub strays: Option<&'a Strays>,
    /// Packets, time and reasons of a capture, or what two moments of a table say.
    pub traffic: Option<Traffic>,
    /// Fill over time.
    pub timeline: Option<Timeline>,
    /// `nf_conntrack_max`, 0 for none; `None` if unknown.
    pub max: Option<u64>,
    /// `nf_conntrack_buckets`.
    pub buckets: Option<u64>,
    /// When the table will be full.
    pub forecast: Option<Forecast>,
    /// Where the advice is to be followed.
    pub circumstances: Circumstances,
    /// Lines of each top list.
    pub most: usize,
}

/// Where a table comes from.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Source {
    /// `capture`, `listing`, `kernel` or `ipct`.
    pub kind: &'static str,
    /// The file's name, or the socket's.
    pub name: String,
    /// The form of a listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<&'static str>,
    /// The moment of a capture: seconds after its first packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// What else is to be known about it.
    pub notes: Vec<String>,
}

/// What came by, beside what stayed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Traffic {
    /// Seconds from the first packet to the last, or between two moments.
    pub seconds: f64,
    /// Packets.
    pub packets: Option<u64>,
    /// Connections that began.
    pub new: u64,
    /// Connections that ended.
    pub ended: u64,
    /// `new` for each second.
    pub new_per_second: f64,
    /// `ended` for each second.
    pub ended_per_second: f64,
    /// The most new connections within a second, or a longer slice of time, for each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_new_per_second: Option<f64>,
    /// What came and went between two moments of a table, by protocol and state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_state: Vec<StateTraffic>,
    /// Packets that were refused, dropped or without effect, by reason.
    pub reasons: Vec<(&'static str, u64)>,
    /// Tuples of refused packets that belong to no entry.
    pub stray_flows: u64,
}

impl Traffic {
    /// Packets that were counted as INVALID, where no more is known of them.
    fn invalid(&self) -> u64 {
        let of = self.reasons.iter().find(|(name, _)| *name == "invalid");
        of.map_or(0, |(_, count)| *count)
    }
}

/// Everything that is told.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the table comes from.
    pub source: Source,
    /// The answer in a sentence.
    pub summary: String,
    /// What it looks like.
    pub class: Class,
    /// From 0 to 1.
    pub confidence: f64,
    /// The next best class.
    pub runner_up: Option<RunnerUp>,
    /// What speaks for the class.
    pub evidence: Vec<String>,
    /// Entries of the table at that moment.
    pub entries: u64,
    /// `nf_conntrack_max`.
    pub max: Option<u64>,
    /// `nf_conntrack_buckets`.
    pub buckets: Option<u64>,
    /// `entries` of `max`.
    pub fill: Option<f64>,
    /// Entries that early drop cannot take, of `max`.
    pub hard_fill: Option<f64>,
    /// Counters over all entries.
    pub all: Tally,
    /// Counters by protocol and state.
    pub states: Vec<StateLine>,
    /// Distinct addresses and pairs, and entropies.
    pub spread: SpreadLine,
    /// Sources by entries.
    pub top_sources: Vec<HostLine>,
    /// Destinations by entries.
    pub top_destinations: Vec<HostLine>,
    /// Destination ports by entries.
    pub top_ports: Vec<PortLine>,
    /// Source ports by entries.
    pub top_source_ports: Vec<PortLine>,
    /// Pairs by entries.
    pub top_pairs: Vec<PairLine>,
    /// The prefixes of sources that explain most of the table.
    pub top_prefixes: Vec<PrefixLine>,
    /// The prefixes of destinations.
    pub top_destination_prefixes: Vec<PrefixLine>,
    /// Who takes part in what the class is about, entries and refused packets alike; of a capture, over
    /// all of it.
    pub culprits: Option<Culprits>,
    /// Who sent packets that were refused and left no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Rates.
    pub traffic: Option<Traffic>,
    /// When the table will be full.
    pub forecast: Option<Forecast>,
    /// Fill over time.
    pub timeline: Option<Timeline>,
    /// What could be done.
    pub advice: Vec<Advice>,
    /// Whether every entry is in the top lists, or a uniform sample of them.
    pub exact: bool,
}

/// The next best class.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RunnerUp {
    /// The class.
    pub class: Class,
    /// Its confidence.
    pub confidence: f64,
}

/// Entries in one state of one protocol.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StateLine {
    /// The protocol's name.
    pub protocol: &'static str,
    /// Its number.
    pub number: u8,
    /// The state, if the protocol has any.
    pub state: Option<&'static str>,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Distinct values, and how evenly entries are spread over them.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct SpreadLine {
    /// Distinct sources.
    pub sources: u64,
    /// Distinct destinations.
    pub destinations: u64,
    /// Distinct pairs.
    pub pairs: u64,
    /// Entropy of the sources in bits.
    pub source_entropy: f64,
    /// Entropy of the destinations in bits.
    pub destination_entropy: f64,
}

/// An address.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HostLine {
    /// The address.
    pub address: String,
    /// Its entries.
    pub entries: u64,
    /// Their share of all.
    pub share: f64,
    /// Distinct addresses on the other side: fan-out of a source, fan-in of a destination.
    pub peers: u64,
    /// Distinct destination ports.
    pub ports: u64,
    /// Entries without an answer.
    pub unreplied: u64,
    /// Entries that early drop cannot take.
    pub assured: u64,
}

/// A port.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PortLine {
    /// The protocol's name.
    pub protocol: &'static str,
    /// The port.
    pub port: u16,
    /// The UDP service on it that amplifies, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amplifier: Option<&'static str>,
    /// Its entries.
    pub entries: u64,
    /// Their share of all.
    pub share: f64,
    /// Distinct sources of its entries.
    pub sources: u64,
}

/// A source and a destination.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PairLine {
    /// The source.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// Their entries.
    pub entries: u64,
    /// Their share of all.
    pub share: f64,
}

/// A prefix.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PrefixLine {
    /// The prefix, as in 203.0.113.0/24.
    pub prefix: String,
    /// Entries within it.
    pub entries: u64,
    /// Their share of all.
    pub share: f64,
    /// Entries within it that no longer prefix of the list explains.
    pub own: u64,
}

/// Who takes part in an attack, or a leak.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Culprits {
    /// Entries and tuples of refused packets.
    pub flows: u64,
    /// Distinct sources of those.
    pub sources: u64,
    /// Sources by flows.
    pub top_sources: Vec<HostLine>,
    /// Destinations by flows.
    pub top_destinations: Vec<HostLine>,
    /// Destination ports by flows.
    pub top_ports: Vec<PortLine>,
    /// The prefixes of sources that explain most of them.
    pub top_prefixes: Vec<PrefixLine>,
}

impl Culprits {
    fn of(flows: u64, who: &Who) -> Culprits {
        let lines = Lines { total: flows };
        Culprits {
            flows,
            sources: who.sources.distinct,
            top_sources: lines.hosts(&who.sources.top),
            top_destinations: lines.hosts(&who.destinations.top),
            top_ports: lines.ports(&who.ports),
            top_prefixes: lines.prefixes(&who.source_prefixes),
        }
    }
}

/// Who sent packets that left no entry.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Refused {
    /// Packets.
    pub packets: u64,
    /// Different tuples.
    pub flows: u64,
    /// Sources by tuples.
    pub top_sources: Vec<HostLine>,
    /// Destinations by tuples.
    pub top_destinations: Vec<HostLine>,
    /// The prefixes of sources.
    pub top_prefixes: Vec<PrefixLine>,
}

impl Report {
    /// Makes the report.
    pub fn of(subject: Subject<'_>) -> Report {
        let strays = subject.strays.map(Strays::rows);
        let (who, finding, guilty) = look(&subject, strays.as_ref());
        let all = subject.table.all;
        let limit = subject.max.filter(|max| *max > 0);
        let of_limit = |entries: u64| limit.map(|max| share(entries, max));
        let to_drop = guilty.as_ref().map_or(&who, |(_, guilty)| guilty);
        let advice = crate::advice::advise(&subject, to_drop, strays.as_ref(), &finding);
        let lines = Lines { total: all.entries };
        let mut report = Report {
            summary: String::new(),
            class: finding.class,
            confidence: finding.confidence,
            runner_up: finding
                .runner_up
                .map(|(class, confidence)| RunnerUp { class, confidence }),
            evidence: finding.evidence,
            entries: all.entries,
            max: subject.max,
            buckets: subject.buckets,
            fill: of_limit(all.entries),
            hard_fill: of_limit(all.assured),
            all,
            states: subject
                .table
                .by_state()
                .into_iter()
                .map(state_line)
                .collect(),
            spread: SpreadLine {
                sources: who.sources.distinct,
                destinations: who.destinations.distinct,
                pairs: who.distinct_pairs,
                source_entropy: who.sources.entropy,
                destination_entropy: who.destinations.entropy,
            },
            top_sources: lines.hosts(&who.sources.top),
            top_destinations: lines.hosts(&who.destinations.top),
            top_ports: lines.ports(&who.ports),
            top_source_ports: lines.ports(&who.source_ports),
            top_pairs: lines.pairs(&who.pairs),
            top_prefixes: lines.prefixes(&who.source_prefixes),
            top_destination_prefixes: lines.prefixes(&who.destination_prefixes),
            culprits: guilty
                .as_ref()
                .map(|(flows, who)| Culprits::of(*flows, who)),
            refused: strays.as_ref().and_then(|rows| refused(rows, &subject)),
            exact: subject.table.rows.is_exact(),
            source: subject.source,
            traffic: subject.traffic,
            forecast: subject.forecast,
            timeline: subject.timeline,
            advice,
        };
        report.summary = crate::summary::sentence(&report);
        report
    }
}

/// Who is in the table, what it looks like, and how many flows that is about, and of whom. The first and the rest
/// take as long as each other, so each has a thread.
fn look(subject: &Subject<'_>, strays: Option<&Rows>) -> (Who, Finding, Option<(u64, Who)>) {
    let (rows, most) = (&subject.table.rows, subject.most);
    std::thread::scope(|scope| {
        let who = scope.spawn(move || Who::of(&Picked::all(rows), most));
        let (finding, culprits) = find(subject, strays);
        let guilty = culprits.map(|flows| (flows.len(), Who::in_short(&flows, most)));
        let who = who
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (who, finding, guilty)
    })
}

/// A capture shows all that it opened, and what was refused; a table only what is there.
fn find<'a>(subject: &Subject<'a>, strays: Option<&'a Rows>) -> (Finding, Option<Picked<'a>>) {
    let traffic = subject.traffic.as_ref();
    let limit = subject.max.filter(|max| *max > 0);
    examine(&Scene {
        table: subject.whole.unwrap_or(subject.table),
        strays,
        seconds: traffic.map(|traffic| traffic.seconds),
        packets: traffic.and_then(|traffic| traffic.packets),
        invalid: traffic
            .filter(|_| subject.strays.is_none())
            .map(Traffic::invalid),
        new: traffic.map(|traffic| traffic.new),
        fill: limit.map(|max| share(subject.table.len(), max)),
        full_in: subject
            .forecast
            .as_ref()
            .and_then(|forecast| forecast.full_in),
    })
}

fn state_line((protocol, state, tally): (Protocol, Option<ProtocolState>, Tally)) -> StateLine {
    StateLine {
        protocol: protocol.name(),
        number: protocol.0,
        state: state.map(ProtocolState::name),
        tally,
    }
}

fn refused(rows: &Rows, subject: &Subject<'_>) -> Option<Refused> {
    let strays = subject.strays.filter(|strays| strays.packets > 0)?;
    let who = Who::of(&Picked::all(rows), subject.most);
    let lines = Lines { total: rows.seen() };
    Some(Refused {
        packets: strays.packets,
        flows: rows.seen(),
        top_sources: lines.hosts(&who.sources.top),
        top_destinations: lines.hosts(&who.destinations.top),
        top_prefixes: lines.prefixes(&who.source_prefixes),
    })
}

/// Makes lines with shares of a total.
struct Lines {
    total: u64,
}

impl Lines {
    fn share(&self, part: u64) -> f64 {
        (share(part, self.total) * 10_000.0).round() / 10_000.0
    }

    fn hosts(&self, top: &[HostCount]) -> Vec<HostLine> {
        let line = |count: &HostCount| HostLine {
            address: count.host.to_string(),
            entries: count.flows,
            share: self.share(count.flows),
            peers: count.peers,
            ports: count.ports,
            unreplied: count.unreplied,
            assured: count.assured,
        };
        top.iter().map(line).collect()
    }

    fn ports(&self, top: &[PortCount]) -> Vec<PortLine> {
        let line = |count: &PortCount| PortLine {
            protocol: count.protocol.name(),
            port: count.port,
            amplifier: amplifier(count.port).filter(|_| count.protocol == Protocol::UDP),
            entries: count.flows,
            share: self.share(count.flows),
            sources: count.sources,
        };
        top.iter().map(line).collect()
    }

    fn pairs(&self, top: &[PairCount]) -> Vec<PairLine> {
        let line = |count: &PairCount| PairLine {
            source: count.src.to_string(),
            destination: count.dst.to_string(),
            entries: count.flows,
            share: self.share(count.flows),
        };
        top.iter().map(line).collect()
    }

    fn prefixes(&self, top: &[PrefixCount]) -> Vec<PrefixLine> {
        let line = |count: &PrefixCount| PrefixLine {
            prefix: format!("{}/{}", count.ip, count.length),
            entries: count.flows,
            share: self.share(count.flows),
            own: count.own,
        };
        top.iter().map(line).collect()
    }
}
