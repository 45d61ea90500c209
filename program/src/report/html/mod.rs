//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere. Pictures
//! are SVG within it. It is light or dark as the reader's system is, and prints on white.

mod charts;
mod icicle;

use std::fmt::Write;

use ip_conntrack_analysis::Report;
use ip_conntrack_analysis::report::{HostLine, PrefixLine};
use ip_conntrack_analysis::summary::{duration, grouped};

use super::FULL;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    let title = escaped(&format!("{}: {}", report.class.name(), report.source.name));
    put(
        &mut out,
        format_args!("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"),
    );
    put(
        &mut out,
        format_args!("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"),
    );
    put(
        &mut out,
        format_args!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"),
    );
    head(&mut out, report);
    evidence(&mut out, report);
    culprits(&mut out, report);
    fill(&mut out, report);
    charts::over_time(&mut out, report);
    charts::states(&mut out, report);
    section(
        &mut out,
        "Where the entries come from",
        "Source prefixes, each as wide as its entries; below it, longer ones within.",
        |out| {
            icicle::draw(out, &report.top_prefixes, report.entries);
        },
    );
    charts::ports(&mut out, report);
    tables(&mut out, report);
    advice(&mut out, report);
    put(&mut out, format_args!("</main>\n</body>\n</html>\n"));
    out
}

/// Appends; writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Text that may come from anywhere.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn section(out: &mut String, title: &str, about: &str, body: impl FnOnce(&mut String)) {
    put(
        out,
        format_args!("<section>\n<h2>{}</h2>\n", escaped(title)),
    );
    if !about.is_empty() {
        put(
            out,
            format_args!("<p class=\"about\">{}</p>\n", escaped(about)),
        );
    }
    body(out);
    put(out, format_args!("</section>\n"));
}

fn head(out: &mut String, report: &Report) {
    let kind = if report.class.is_wrong() {
        "wrong"
    } else {
        "fine"
    };
    put(
        out,
        format_args!(
            "<header class=\"{kind}\">\n<p class=\"class\">{}</p>\n",
            report.class.name()
        ),
    );
    put(out, format_args!("<h1>{}</h1>\n", escaped(&report.summary)));
    let at = report.source.at.map_or(String::new(), |secs| {
        format!(", {} after its first packet", duration(secs))
    });
    put(
        out,
        format_args!(
            "<p class=\"about\">From the {} {}{at}.</p>\n",
            report.source.kind,
            escaped(&report.source.name)
        ),
    );
    for note in &report.source.notes {
        put(
            out,
            format_args!("<p class=\"note\">{}</p>\n", escaped(note)),
        );
    }
    put(out, format_args!("</header>\n"));
}

fn evidence(out: &mut String, report: &Report) {
    let about = match report.runner_up {
        Some(next) => format!(
            "Confidence {:.2}; next best: {} ({:.2}).",
            report.confidence,
            next.class.name(),
            next.confidence
        ),
        None => format!("Confidence {:.2}.", report.confidence),
    };
    section(out, "Why", &about, |out| {
        put(out, format_args!("<ul>\n"));
        for text in &report.evidence {
            put(out, format_args!("<li>{}</li>\n", escaped(text)));
        }
        put(out, format_args!("</ul>\n"));
    });
}

fn culprits(out: &mut String, report: &Report) {
    let Some(culprits) = &report.culprits else {
        return;
    };
    let about = format!(
        "Counted over {} flows: entries, and refused packets by tuple.",
        grouped(culprits.flows)
    );
    section(out, "Who takes part", &about, |out| {
        icicle::draw(out, &culprits.top_prefixes, culprits.flows);
        prefixes(out, "Source prefixes", &culprits.top_prefixes);
        hosts(out, "Sources", "destinations", &culprits.top_sources);
        hosts(out, "Destinations", "sources", &culprits.top_destinations);
    });
}

fn fill(out: &mut String, report: &Report) {
    section(out, "How full", "", |out| {
        if let (Some(fill), Some(hard)) = (report.fill, report.hard_fill) {
            charts::gauge(out, fill, hard);
        }
        let all = &report.all;
        let numbers = [
            ("entries", report.entries),
            ("assured", all.assured),
            ("unreplied", all.unreplied),
            ("half-open", all.half_open),
            ("sources", report.spread.sources),
            ("destinations", report.spread.destinations),
        ];
        put(out, format_args!("<dl class=\"numbers\">\n"));
        for (name, number) in numbers {
            put(
                out,
                format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", grouped(number)),
            );
        }
        if let Some(max) = report.max {
            put(
                out,
                format_args!("<div><dt>limit</dt><dd>{}</dd></div>\n", grouped(max)),
            );
        }
        if let Some(forecast) = &report.forecast {
            let is_full = report.fill.is_some_and(|fill| fill >= FULL);
            let other = if is_full { "now" } else { "never" };
            let full = forecast.full_in.map_or(other.to_owned(), duration);
            put(
                out,
                format_args!("<div><dt>full in</dt><dd>{full}</dd></div>\n"),
            );
        }
        put(out, format_args!("</dl>\n"));
    });
}

fn tables(out: &mut String, report: &Report) {
    section(
        out,
        "Who fills it",
        "Counted over the entries of the table.",
        |out| {
            hosts(out, "Sources", "destinations", &report.top_sources);
            hosts(out, "Destinations", "sources", &report.top_destinations);
            prefixes(out, "Source prefixes", &report.top_prefixes);
            prefixes(
                out,
                "Destination prefixes",
                &report.top_destination_prefixes,
            );
        },
    );
    if let Some(refused) = &report.refused {
        let about = format!(
            "{} packets of {} flows left no entry.",
            grouped(refused.packets),
            grouped(refused.flows)
        );
        section(out, "Who was kept out", &about, |out| {
            hosts(out, "Sources", "destinations", &refused.top_sources);
            hosts(out, "Destinations", "sources", &refused.top_destinations);
        });
    }
}

fn hosts(out: &mut String, title: &str, peers: &str, lines: &[HostLine]) {
    if lines.is_empty() {
        return;
    }
    let columns = [
        "address",
        "entries",
        "%",
        peers,
        "ports",
        "unreplied",
        "assured",
    ];
    table(
        out,
        title,
        &columns,
        lines.iter().map(|line| {
            let counts = [line.peers, line.ports, line.unreplied, line.assured].map(grouped);
            let mut cells = vec![
                line.address.clone(),
                grouped(line.entries),
                percent(line.share),
            ];
            cells.extend(counts);
            cells
        }),
    );
}

fn prefixes(out: &mut String, title: &str, lines: &[PrefixLine]) {
    if lines.is_empty() {
        return;
    }
    let columns = ["prefix", "entries", "%", "not in a longer one"];
    table(
        out,
        title,
        &columns,
        lines.iter().map(|line| {
            vec![
                line.prefix.clone(),
                grouped(line.entries),
                percent(line.share),
                grouped(line.own),
            ]
        }),
    );
}

fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

fn table(
    out: &mut String,
    title: &str,
    columns: &[&str],
    lines: impl Iterator<Item = Vec<String>>,
) {
    put(
        out,
        format_args!("<div class=\"scroll\"><table>\n<caption>{title}</caption>\n<thead><tr>"),
    );
    for column in columns {
        put(out, format_args!("<th scope=\"col\">{column}</th>"));
    }
    put(out, format_args!("</tr></thead>\n<tbody>\n"));
    for cells in lines {
        put(out, format_args!("<tr>"));
        for cell in cells {
            put(out, format_args!("<td>{}</td>", escaped(&cell)));
        }
        put(out, format_args!("</tr>\n"));
    }
    put(out, format_args!("</tbody>\n</table></div>\n"));
}

fn advice(out: &mut String, report: &Report) {
    if report.advice.is_empty() {
        return;
    }
    section(
        out,
        "What could be done",
        "Nothing of it was done. What each frees was found by trying it on the entries.",
        |out| {
            for advice in &report.advice {
                put(out, format_args!("<article>\n<p>{}", escaped(&advice.what)));
                if advice.frees > 0 {
                    put(
                        out,
                        format_args!(
                            ": frees <strong>{}</strong> {} <span class=\"about\">({})</span>",
                            grouped(advice.frees),
                            advice.when,
                            escaped(&advice.counted)
                        ),
                    );
                }
                let commands = escaped(&advice.commands.join("\n"));
                put(
                    out,
                    format_args!("</p>\n<pre>{commands}</pre>\n</article>\n"),
                );
            }
        },
    );
}
