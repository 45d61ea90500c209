//! The report for a person: the answer first, then what it is made from.

use std::io::{self, Write};

use ip_conntrack_analysis::Report;
use ip_conntrack_analysis::report::{HostLine, PortLine, PrefixLine};
use ip_conntrack_analysis::summary::{duration, grouped};

use super::FULL;
use crate::printable;

/// Writes the report.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}", report.summary)?;
    writeln!(out)?;
    findings(out, report)?;
    culprits(out, report)?;
    fill(out, report)?;
    states(out, report)?;
    traffic(out, report)?;
    who(out, report)?;
    refused(out, report)?;
    advice(out, report)
}

fn findings(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(
        out,
        "what it looks like: {} (confidence {:.2})",
        report.class.name(),
        report.confidence
    )?;
    for text in &report.evidence {
        writeln!(out, "  {text}")?;
    }
    if let Some(next) = report.runner_up {
        writeln!(
            out,
            "  next best: {} ({:.2})",
            next.class.name(),
            next.confidence
        )?;
    }
    writeln!(out)
}

fn culprits(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(culprits) = &report.culprits else {
        return Ok(());
    };
    let flows = grouped(culprits.flows);
    writeln!(
        out,
        "who takes part (shares of {flows} flows: entries, and refused packets by tuple)"
    )?;
    prefixes(
        out,
        "source prefixes that explain most",
        &culprits.top_prefixes,
    )?;
    hosts(out, "sources", "destinations", &culprits.top_sources)?;
    hosts(out, "destinations", "sources", &culprits.top_destinations)?;
    ports(out, &culprits.top_ports)?;
    writeln!(out)
}

fn fill(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let source = &report.source;
    let at = source.at.map_or(String::new(), |secs| {
        format!(", {secs:.3} s after its first packet")
    });
    let form = source
        .form
        .map_or(String::new(), |form| format!(" ({form})"));
    let name = printable(&source.name);
    writeln!(out, "table: from {} {name}{form}{at}", source.kind)?;
    for note in &source.notes {
        writeln!(out, "  {note}")?;
    }
    let percent = |fill: Option<f64>| {
        fill.map_or("limit unknown, give --max".to_owned(), |fill| {
            format!("{:.1} % of the limit", fill * 100.0)
        })
    };
    writeln!(
        out,
        "  entries     {:>12}  {}",
        grouped(report.entries),
        percent(report.fill)
    )?;
    if let Some(max) = report.max {
        writeln!(out, "  limit       {:>12}", grouped(max))?;
    }
    if let Some(buckets) = report.buckets {
        writeln!(out, "  buckets     {:>12}", grouped(buckets))?;
    }
    let part = |n: u64| 100.0 * n as f64 / report.entries.max(1) as f64;
    let all = &report.all;
    writeln!(
        out,
        "  assured     {:>12}  {:.1} % of the entries, cannot be evicted",
        grouped(all.assured),
        part(all.assured)
    )?;
    writeln!(
        out,
        "  unreplied   {:>12}  {:.1} %",
        grouped(all.unreplied),
        part(all.unreplied)
    )?;
    writeln!(
        out,
        "  half-open   {:>12}  {:.1} %",
        grouped(all.half_open),
        part(all.half_open)
    )?;
    if let Some(forecast) = &report.forecast {
        let range = forecast
            .range
            .map(|secs| secs.map_or("never".to_owned(), duration));
        match forecast.full_in {
            Some(secs) => writeln!(
                out,
                "  full in     {:>12}  between {} and {}, at {:.1} more entries a second",
                duration(secs),
                range[0],
                range[1],
                forecast.net_per_second
            )?,
            None if report.fill.is_some_and(|fill| fill >= FULL) => writeln!(
                out,
                "  full in              now  and it stays so, at {:.1} more entries a second",
                forecast.net_per_second
            )?,
            None => writeln!(
                out,
                "  full in            never  at {:.1} more entries a second",
                forecast.net_per_second
            )?,
        }
    }
    writeln!(out)
}

fn states(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.states.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{:<9}{:<18}{:>11}{:>11}{:>11}  seconds left: least, mean, most",
        "protocol", "state", "entries", "unreplied", "assured"
    )?;
    for line in &report.states {
        let tally = &line.tally;
        let left = tally.remaining;
        writeln!(
            out,
            "{:<9}{:<18}{:>11}{:>11}{:>11}  {}, {}, {}",
            line.protocol,
            line.state.unwrap_or("-"),
            tally.entries,
            tally.unreplied,
            tally.assured,
            left.least,
            left.mean(),
            left.greatest
        )?;
    }
    writeln!(out)
}

fn traffic(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(traffic) = &report.traffic else {
        return Ok(());
    };
    let packets = traffic
        .packets
        .map_or(String::new(), |n| format!("{} packets, ", grouped(n)));
    writeln!(
        out,
        "in {}: {packets}{} new ({:.1} a second), {} ended",
        duration(traffic.seconds),
        traffic.new,
        traffic.new_per_second,
        traffic.ended
    )?;
    for (reason, count) in &traffic.reasons {
        writeln!(out, "  {count:>10} {reason}")?;
    }
    writeln!(out)
}

fn who(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let spread = &report.spread;
    let exact = if report.exact {
        ""
    } else {
        ", estimated from a uniform sample"
    };
    writeln!(
        out,
        "who fills it (shares of the entries{exact}): {} sources (entropy {:.1} bits), {} destinations ({:.1} bits), {} pairs",
        grouped(spread.sources),
        spread.source_entropy,
        grouped(spread.destinations),
        spread.destination_entropy,
        grouped(spread.pairs)
    )?;
    prefixes(
        out,
        "source prefixes that explain most",
        &report.top_prefixes,
    )?;
    prefixes(
        out,
        "destination prefixes",
        &report.top_destination_prefixes,
    )?;
    hosts(out, "sources", "destinations", &report.top_sources)?;
    hosts(out, "destinations", "sources", &report.top_destinations)?;
    ports(out, &report.top_ports)?;
    if !report.top_pairs.is_empty() {
        writeln!(out, "  pairs")?;
    }
    for line in &report.top_pairs {
        writeln!(
            out,
            "    {:>11} {:>5.1} %  {} -> {}",
            grouped(line.entries),
            line.share * 100.0,
            line.source,
            line.destination
        )?;
    }
    writeln!(out)
}

fn prefixes(out: &mut impl Write, what: &str, lines: &[PrefixLine]) -> io::Result<()> {
    if !lines.is_empty() {
        writeln!(out, "  {what}")?;
    }
    for line in lines {
        writeln!(
            out,
            "    {:>11} {:>5.1} %  {}",
            grouped(line.entries),
            line.share * 100.0,
            line.prefix
        )?;
    }
    Ok(())
}

fn ports(out: &mut impl Write, lines: &[PortLine]) -> io::Result<()> {
    if !lines.is_empty() {
        writeln!(out, "  destination ports")?;
    }
    for line in lines {
        let (entries, part) = (grouped(line.entries), line.share * 100.0);
        let (protocol, port, sources) = (line.protocol, line.port, grouped(line.sources));
        writeln!(
            out,
            "    {entries:>11} {part:>5.1} %  {protocol} {port}  {sources} sources"
        )?;
    }
    Ok(())
}

fn hosts(out: &mut impl Write, what: &str, peers: &str, lines: &[HostLine]) -> io::Result<()> {
    if !lines.is_empty() {
        writeln!(out, "  {what}")?;
    }
    for line in lines {
        writeln!(
            out,
            "    {:>11} {:>5.1} %  {}  {} {peers}, {} ports, {} unreplied, {} assured",
            grouped(line.entries),
            line.share * 100.0,
            line.address,
            line.peers,
            line.ports,
            line.unreplied,
            line.assured
        )?;
    }
    Ok(())
}

fn refused(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(refused) = &report.refused else {
        return Ok(());
    };
    writeln!(
        out,
        "who was kept out: {} packets of {} flows left no entry",
        grouped(refused.packets),
        grouped(refused.flows)
    )?;
    prefixes(out, "source prefixes", &refused.top_prefixes)?;
    hosts(out, "sources", "destinations", &refused.top_sources)?;
    hosts(out, "destinations", "sources", &refused.top_destinations)?;
    writeln!(out)
}

fn advice(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.advice.is_empty() {
        return Ok(());
    }
    writeln!(out, "what could be done (nothing of it was):")?;
    for advice in &report.advice {
        match advice.frees {
            0 => writeln!(out, "  {}", advice.what)?,
            frees => writeln!(
                out,
                "  {}: frees {} {} ({})",
                advice.what,
                grouped(frees),
                advice.when,
                advice.counted
            )?,
        }
        for command in &advice.commands {
            writeln!(out, "      {command}")?;
        }
    }
    Ok(())
}
