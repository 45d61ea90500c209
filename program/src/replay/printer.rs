//! What goes to stdout: the table, events, verdicts or counters.

use std::io::{self, StdoutLock, Write};

use ip_conntrack::format::stats::CpuStats;
use ip_conntrack::format::{Options, json, line, stats, xml};
use ip_conntrack::{Action, Class, Connection, Conntrack, Event, Kind, Reason, Verdict};

use crate::cli::{Format, Output, Replay};
use crate::counters;
use crate::local_time::utc_offset;

/// Bytes gathered before they are written.
const CHUNK: usize = 1 << 16;

/// Labels have no names here: the bits show by their numbers.
const NO_NAMES: &[(u8, &str)] = &[];

pub(super) struct Printer<'a> {
    out: StdoutLock<'static>,
    buffer: Vec<u8>,
    format: Format,
    options: Options<'a>,
    /// Whether the XML header was written.
    opened: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(arguments: &'a Replay) -> Printer<'a> {
        let asks = |what| arguments.output.contains(&what);
        let format = match asks(Output::Xml) {
            true => Format::Xml,
            false => arguments.format,
        };
        Printer {
            out: io::stdout().lock(),
            buffer: Vec::with_capacity(2 * CHUNK),
            format,
            options: Options {
                extended: asks(Output::Extended) || format == Format::Extended,
                id: asks(Output::Id),
                timestamp: asks(Output::Timestamp),
                ktimestamp: asks(Output::Ktimestamp),
                labels: asks(Output::Labels).then_some(NO_NAMES),
                utc_offset,
            },
            opened: false,
        }
    }

    pub(super) fn table(&mut self, conntrack: &Conntrack) -> io::Result<()> {
        for connection in conntrack.connections() {
            self.entry(&connection);
            self.write_full()?;
        }
        Ok(())
    }

    fn entry(&mut self, connection: &Connection) {
        let (out, options) = (&mut self.buffer, &self.options);
        match self.format {
            Format::IpConntrack if connection.original.is_ipv6() => {}
            Format::IpConntrack => line::ip_conntrack(out, connection),
            Format::NfConntrack => line::nf_conntrack(out, connection),
            Format::Conntrack | Format::Extended => line::list(out, connection, options),
            Format::Json => json::entry(out, connection, options),
            Format::Xml => {
                if !self.opened {
                    xml::header(out);
                }
                self.opened = true;
                xml::entry(out, connection, options);
            }
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        let (out, options) = (&mut self.buffer, &self.options);
        match self.format {
            Format::Json => json::event(out, event, options),
            Format::Xml => {
                if !self.opened {
                    xml::header(out);
                }
                self.opened = true;
                xml::event(out, event, options);
            }
            _ => line::event(out, event, options),
        }
        self.write_full()
    }

    /// `NUMBER CLASS [DIRECTION] STATE [REASON]`, with - for no change of state.
    pub(super) fn verdict(&mut self, number: u64, verdict: &Verdict) -> io::Result<()> {
        let class = class_name(verdict);
        let has_direction = matches!(
            (verdict.action, verdict.class),
            (Action::Accept, Class::Established | Class::Related)
        );
        let (blank, direction) = match has_direction {
            true => (" ", verdict.direction.name()),
            false => ("", ""),
        };
        let state = verdict.state.map_or("-", ip_conntrack::ProtocolState::name);
        let out = &mut self.buffer;
        write!(out, "{number} {class}{blank}{direction} {state}")?;
        if let Some(reason) = verdict.reason {
            write!(out, " {}", reason.name())?;
        }
        out.push(b'\n');
        self.write_full()
    }

    pub(super) fn stats(&mut self, conntrack: &Conntrack) -> io::Result<()> {
        let entries = conntrack.len() as u64;
        let out = &mut self.buffer;
        stats::cpu(out, 0, &CpuStats::of(conntrack.stats(), conntrack.len()));
        for (name, count) in counters::named(conntrack.stats(), entries) {
            writeln!(out, "{name}={count}")?;
        }
        Ok(())
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= CHUNK {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.opened {
            xml::footer(&mut self.buffer);
        }
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.out.flush()
    }
}

/// What a packet was classed as, or what kept it from being classed.
fn class_name(verdict: &Verdict) -> &'static str {
    match verdict.reason.map(Reason::kind) {
        Some(Kind::Skipped) => "SKIPPED",
        Some(Kind::IpLayer | Kind::Dropped | Kind::Policy) => "DROPPED",
        Some(Kind::Fragment) => "FRAGMENT-HELD",
        _ if verdict.action == Action::Hold => "FRAGMENT-HELD",
        _ => verdict.class.name(),
    }
}
