//! A capture, replayed: what fills the table, when it is fullest, and who was kept out.
//!
//! It is read twice. The first time everything is watched: which moment has most entries, every
//! connection that ends, every packet that is refused. The second time ends at the moment that is
//! reported, and what is in the table then is the table of the report. (A table could be copied whenever
//! it is fuller than ever, but a table that fills slowly would be copied at each packet.)
//!
//! If many checksums are wrong, as where the capturing host left them to its network card, it is watched
//! once more without checking them: else nearly every packet would be refused.

use ip_conntrack::{
    Action, Cause, Config, Conntrack, EventKind, Kind, Knob, LinkType, Packet, Reason, Time, Tuple,
    Verdict, Zone,
};
use ip_conntrack_analysis::flow::Origin;
use ip_conntrack_analysis::strays::{self, Strays};
use ip_conntrack_analysis::timeline::Slice;
use ip_conntrack_analysis::{
    Census, Circumstances, Flow, Moment, Report, Source, Subject, Timeline, Traffic, forecast,
};
use ip_conntrack_link::Frame;

use super::arguments::{Arguments, At};
use super::input::Again;
use super::{LINES, arp};
use crate::say;

/// Events that may wait between two packets. One packet ends at most a few thousand connections.
const EVENTS_AT_ONCE: usize = 1 << 16;

/// Slices of time from which is told when the table will be full.
const LAST_SLICES: usize = 12;

/// One packet in so many with a wrong checksum is no accident.
const WRONG_CHECKSUMS_ONE_IN: u64 = 20;

pub(super) fn report(arguments: &Arguments, again: &Again) -> Result<(Report, bool), String> {
    let mut config =
        crate::replay::configure(&arguments.sysctl).map_err(|error| error.to_string())?;
    if let Some(max) = arguments.max {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        config
            .set(Knob::Max, max)
            .map_err(|error| error.to_string())?;
    }
    let mut watched = Watched::of(again, &config, arguments)?;
    let mut notes = Vec::new();
    if watched.wrong_checksums() {
        let _ = config.set(Knob::Checksum, 0);
        watched = Watched::of(again, &config, arguments)?;
        notes.push("many checksums are wrong, as where they are left to the network card; they were not checked".to_owned());
    }
    if let Some(fault) = &watched.fault {
        say(format_args!("{fault}"));
        notes.push(fault.clone());
    }
    let until = watched.reported(arguments.at);
    let table = table_at(again, &config, until)?;
    let sound = watched.fault.is_none();
    Ok((
        Report::of(watched.subject(arguments, &config, &table, until, again, notes)),
        sound,
    ))
}

/// The table at a moment.
fn table_at(again: &Again, config: &Config, until: Time) -> Result<Census, String> {
    let mut conntrack = Conntrack::new(config.clone(), 0);
    let mut capture = again.open().map_err(|error| error.to_string())?;
    // A fault was told the first time; what comes before it is the same.
    while let Ok(Some(frame)) = capture.next_frame() {
        let now = Time::from_nanos(frame.time_ns);
        if now > until {
            break;
        }
        track(&mut conntrack, &frame, now);
    }
    while !conntrack.advance(until) {}
    let mut table = Census::default();
    for connection in conntrack.connections() {
        table.push(&Flow::from(&connection));
    }
    Ok(table)
}

fn track(conntrack: &mut Conntrack, frame: &Frame<'_>, now: Time) -> Verdict {
    match parse(frame) {
        Ok(packet) => conntrack.track_in(Zone::default(), &packet, now),
        Err(reason) => conntrack.skip(reason),
    }
}

fn parse<'a>(frame: &Frame<'a>) -> Result<Packet<'a>, Reason> {
    let link = LinkType::from_number(frame.link_type).ok_or(Reason::LinkType)?;
    Packet::parse_cut(link, frame.bytes, frame.wire_len as usize)
}

/// What a whole capture shows.
struct Watched {
    conntrack: Conntrack,
    whole: Census,
    strays: Strays,
    timeline: Timeline,
    first: Time,
    last: Time,
    /// When the table was fullest, and how full.
    fullest: (usize, Time),
    new: u64,
    ended: u64,
    fault: Option<String>,
}

impl Watched {
    fn of(again: &Again, config: &Config, arguments: &Arguments) -> Result<Watched, String> {
        let mut capture = again.open().map_err(|error| error.to_string())?;
        let mut conntrack = Conntrack::new(config.clone(), 0);
        conntrack.set_event_capacity(EVENTS_AT_ONCE);
        let mut watched = Watched {
            conntrack,
            whole: Census::default(),
            strays: Strays::default(),
            timeline: Timeline::new(0),
            first: Time::MAX,
            last: Time::ZERO,
            fullest: (0, Time::ZERO),
            new: 0,
            ended: 0,
            fault: None,
        };
        loop {
            match capture.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if !watched.frame(&frame, arguments.at) {
                        break;
                    }
                }
                Err(error) => {
                    watched.fault = Some(error.to_string());
                    break;
                }
            }
        }
        let live: Vec<Flow> = watched
            .conntrack
            .connections()
            .map(|live| Flow::from(&live))
            .collect();
        for flow in &live {
            watched.whole.push(flow);
        }
        Ok(watched)
    }

    /// Returns whether more are wanted.
    fn frame(&mut self, frame: &Frame<'_>, at: At) -> bool {
        let now = Time::from_nanos(frame.time_ns);
        if self.first == Time::MAX {
            self.first = now;
            self.timeline = Timeline::new(frame.time_ns);
        }
        if let At::After(nanos) = at
            && now.nanos_since(self.first) > nanos
        {
            return false;
        }
        self.last = self.last.max(now);
        while !self.conntrack.advance(now) {
            self.take_events();
        }
        self.take_events();
        let verdict = track(&mut self.conntrack, frame, now);
        self.stray(frame, &verdict);
        self.take_events();
        self.count(now, &verdict);
        true
    }

    fn count(&mut self, now: Time, verdict: &Verdict) {
        let entries = self.conntrack.len();
        if entries > self.fullest.0 {
            self.fullest = (entries, now);
        }
        let slice = self.timeline.at(now.as_nanos());
        slice.packets += 1;
        slice.entries = slice.entries.max(entries as u64);
        let refuses = |reason: Reason| {
            matches!(
                reason.kind(),
                Kind::Invalid | Kind::IcmpError | Kind::Dropped
            )
        };
        slice.refused += u64::from(verdict.reason.is_some_and(refuses));
    }

    fn take_events(&mut self) {
        while let Some(event) = self.conntrack.poll_event() {
            let at = event.time.as_nanos();
            match event.kind {
                EventKind::New => {
                    self.new += 1;
                    self.timeline.at(at).new += 1;
                    self.strays.forget(&event.connection.original);
                    if let Some(inverse) = event.connection.original.inverse() {
                        self.strays.forget(&inverse);
                    }
                }
                EventKind::Destroy(cause) => {
                    self.ended += 1;
                    self.timeline.at(at).ended += 1;
                    let mut flow = Flow::from(&event.connection);
                    if cause == Cause::Refused {
                        flow.origin = Origin::ResetAtOnce;
                    }
                    self.whole.push(&flow);
                }
                EventKind::Update => {}
            }
        }
    }

    /// Notes a packet that leaves no entry.
    fn stray(&mut self, frame: &Frame<'_>, verdict: &Verdict) {
        if verdict.reason == Some(Reason::NotIp) {
            self.arp(frame);
            return;
        }
        let is_refused = verdict.reason.is_some_and(|reason| {
            matches!(
                reason.kind(),
                Kind::Invalid | Kind::IcmpError | Kind::Fragment
            )
        });
        // Of a capture that is cut, fragments are not put together.
        let is_held = verdict.action == Action::Hold || verdict.reason == Some(Reason::Snapped);
        let Ok(packet) = parse(frame) else {
            return;
        };
        if packet.is_fragment() && !is_held && !is_refused {
            self.whole_again(&packet, verdict);
            return;
        }
        if !(is_refused || is_held) {
            return;
        }
        let Some(tuple) = packet.tuple() else {
            return;
        };
        if !packet.is_fragment() && self.conntrack.find(&tuple, Zone::default()).is_some() {
            return;
        }
        let kind = match verdict.reason {
            _ if packet.is_fragment() => strays::Kind::Fragment,
            Some(Reason::TcpFlags) => strays::Kind::TcpFlags,
            _ if packet.protocol().is_icmp() => strays::Kind::Icmp,
            _ => packet
                .tcp_flags()
                .map_or(strays::Kind::Other, strays::Kind::Tcp),
        };
        self.strays.push(&tuple, kind, packet.ip_len());
    }

    /// A datagram became whole: its fragments were no strays.
    fn whole_again(&mut self, packet: &Packet<'_>, verdict: &Verdict) {
        let connection = verdict
            .connection
            .and_then(|handle| self.conntrack.get(handle));
        if let Some(tuple) = connection.map(|connection| *connection.tuple(verdict.direction)) {
            self.strays.forget(&tuple);
            self.strays.forget(&Tuple {
                src_part: 0,
                dst_part: 0,
                ..tuple
            });
        }
        if let Some(tuple) = packet.tuple() {
            self.strays.forget(&tuple);
        }
    }

    fn arp(&mut self, frame: &Frame<'_>) {
        if LinkType::from_number(frame.link_type) != Some(LinkType::Ethernet) {
            return;
        }
        let Some(arp) = arp::read(frame.bytes) else {
            return;
        };
        match arp.is_request {
            true if arp.sender != arp.target => {
                let tuple = strays::arp_tuple(arp.sender, arp.target);
                self.strays.push(&tuple, strays::Kind::Arp, frame.wire_len);
            }
            true => {}
            false => self
                .strays
                .answered(&strays::arp_tuple(arp.target, arp.sender)),
        }
    }

    fn wrong_checksums(&self) -> bool {
        let stats = self.conntrack.stats();
        let wrong: u64 = CHECKSUMS.iter().map(|reason| stats.reason(*reason)).sum();
        wrong > 0 && wrong * WRONG_CHECKSUMS_ONE_IN >= stats.packets
    }

    /// The moment that is reported.
    fn reported(&self, at: At) -> Time {
        match at {
            At::Fullest => self.fullest.1,
            At::End => self.last,
            At::After(nanos) => self.first.plus(std::time::Duration::from_nanos(nanos)),
        }
    }

    fn seconds(&self) -> f64 {
        self.last.nanos_since(self.first) as f64 / 1e9
    }

    fn traffic(&self) -> Traffic {
        let stats = self.conntrack.stats();
        let secs = self.seconds();
        let reasons = Reason::ALL
            .iter()
            .map(|reason| (reason.name(), stats.reason(*reason)));
        let mut reasons: Vec<_> = reasons.filter(|(_, count)| *count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Traffic {
            by_state: Vec::new(),
            seconds: secs,
            packets: Some(stats.packets),
            new: self.new,
            ended: self.ended,
            new_per_second: self.new as f64 / secs.max(1.0),
            ended_per_second: self.ended as f64 / secs.max(1.0),
            peak_new_per_second: Some(self.timeline.peak_rate(|slice| slice.new)),
            reasons,
            stray_flows: self.strays.rows().seen(),
        }
    }

    /// The fill in the last slices of time before a moment.
    fn moments(&self, until: Time) -> Vec<Moment> {
        let slices = until.nanos_since(self.first) / self.timeline.slice_ns + 1;
        let slices = self
            .timeline
            .slices
            .iter()
            .enumerate()
            .take(slices as usize);
        let moment = |(n, slice): (usize, &Slice)| Moment {
            at: n as f64 * self.timeline.slice_ns as f64 / 1e9,
            entries: slice.entries as f64,
        };
        let moments: Vec<Moment> = slices.map(moment).collect();
        moments[moments.len().saturating_sub(LAST_SLICES)..].to_vec()
    }

    fn subject<'a>(
        &'a self,
        arguments: &Arguments,
        config: &Config,
        table: &'a Census,
        until: Time,
        again: &Again,
        notes: Vec<String>,
    ) -> Subject<'a> {
        let max = u64::try_from(config.get(Knob::Max)).unwrap_or(0);
        let moments = self.moments(until);
        Subject {
            source: Source {
                kind: "capture",
                name: again.name.clone(),
                at: Some(until.nanos_since(self.first) as f64 / 1e9),
                notes,
                ..Source::default()
            },
            table,
            whole: Some(&self.whole),
            strays: Some(&self.strays),
            traffic: Some(self.traffic()),
            forecast: forecast(&moments, max, None).filter(|_| max > 0 && self.seconds() >= 1.0),
            timeline: Some(self.timeline.clone()),
            max: Some(max),
            buckets: arguments.buckets,
            circumstances: Circumstances::default(),
            most: arguments.top.map_or(LINES, usize::from),
        }
    }
}

const CHECKSUMS: [Reason; 6] = [
    Reason::IpChecksum,
    Reason::TcpChecksum,
    Reason::UdpChecksum,
    Reason::UdpliteChecksum,
    Reason::IcmpChecksum,
    Reason::SctpChecksum,
];
