//! Bars and lines.

use ip_conntrack_analysis::Report;
use ip_conntrack_analysis::summary::{duration, grouped};
use ip_conntrack_analysis::timeline::{Slice, Timeline};

use super::{escaped, put, section};

const WIDTH: f64 = 900.0;
const COLOURS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The fill, and within it what cannot be evicted.
pub(super) fn gauge(out: &mut String, fill: f64, hard: f64) {
    let width = |part: f64| part.clamp(0.0, 1.0) * WIDTH;
    put(
        out,
        format_args!(
            "<svg viewBox=\"0 0 {WIDTH} 46\" role=\"img\" aria-label=\"{:.0} percent full\">\n",
            fill * 100.0
        ),
    );
    put(
        out,
        format_args!("<rect width=\"{WIDTH}\" height=\"22\" rx=\"4\" fill=\"var(--line)\"/>\n"),
    );
    put(
        out,
        format_args!(
            "<rect width=\"{:.1}\" height=\"22\" rx=\"4\" fill=\"var(--a)\"/>\n",
            width(fill)
        ),
    );
    put(
        out,
        format_args!(
            "<rect width=\"{:.1}\" height=\"22\" rx=\"4\" fill=\"var(--b)\"/>\n",
            width(hard)
        ),
    );
    put(
        out,
        format_args!(
            "<text y=\"40\" class=\"soft\">{:.1} % full, {:.1} % cannot be evicted</text>\n</svg>\n",
            fill * 100.0,
            hard * 100.0
        ),
    );
}

/// Fill, and new connections, over time.
pub(super) fn over_time(out: &mut String, report: &Report) {
    let Some(timeline) = report
        .timeline
        .as_ref()
        .filter(|timeline| timeline.slices.len() > 1)
    else {
        return;
    };
    section(out, "Over time", "", |out| {
        draw(out, "entries", timeline, true, |slice| slice.entries as f64);
        let secs = timeline.slice_ns as f64 / 1e9;
        draw(out, "new connections a second", timeline, false, |slice| {
            slice.new as f64 / secs
        });
        draw(out, "refused packets a second", timeline, false, |slice| {
            slice.refused as f64 / secs
        });
    });
}

fn draw(
    out: &mut String,
    name: &str,
    timeline: &Timeline,
    is_area: bool,
    of: impl Fn(&Slice) -> f64,
) {
    const HEIGHT: f64 = 120.0;
    const TOP: f64 = 24.0;
    let values: Vec<f64> = timeline.slices.iter().map(of).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    if most == 0.0 {
        return;
    }
    let step = WIDTH / values.len() as f64;
    let height = |value: f64| value / most * HEIGHT;
    let bottom = TOP + HEIGHT;
    put(
        out,
        format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{name} over time\">\n",
            bottom + 20.0
        ),
    );
    put(
        out,
        format_args!(
            "<text y=\"14\">{name} <tspan class=\"soft\">at most {}</tspan></text>\n",
            rounded(most)
        ),
    );
    put(
        out,
        format_args!("<line class=\"axis\" y1=\"{bottom}\" y2=\"{bottom}\" x2=\"{WIDTH}\"/>\n"),
    );
    let path = path(&values, step, bottom, is_area, height);
    let colour = if is_area { "a" } else { "b" };
    put(
        out,
        format_args!("<path d=\"{path}\" fill=\"var(--{colour})\"/>\n"),
    );
    let whole = timeline.slice_ns as f64 * values.len() as f64 / 1e9;
    put(
        out,
        format_args!("<text y=\"{}\" class=\"soft\">0</text>\n", bottom + 15.0),
    );
    put(
        out,
        format_args!(
            "<text y=\"{}\" x=\"{WIDTH}\" text-anchor=\"end\" class=\"soft\">{}</text>\n</svg>\n",
            bottom + 15.0,
            duration(whole)
        ),
    );
}

/// Steps for bars, a slope for an area.
fn path(
    values: &[f64],
    step: f64,
    bottom: f64,
    is_area: bool,
    height: impl Fn(f64) -> f64,
) -> String {
    let mut path = format!("M0 {bottom}");
    // A slope goes from middle to middle; what was last lasts to the end.
    let ends = is_area.then(|| values.last()).flatten();
    for (n, value) in values.iter().enumerate() {
        let (left, y) = (n as f64 * step, bottom - height(*value));
        match is_area {
            true => put(&mut path, format_args!("L{:.1} {y:.1}", left + step / 2.0)),
            false => put(
                &mut path,
                format_args!("L{left:.1} {y:.1}H{:.1}", left + step),
            ),
        }
    }
    let right = values.len() as f64 * step;
    if let Some(last) = ends {
        put(
            &mut path,
            format_args!("L{right:.1} {:.1}", bottom - height(*last)),
        );
    }
    put(&mut path, format_args!("L{right:.1} {bottom}Z"));
    path
}

fn rounded(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        grouped(number.round() as u64)
    }
}

/// A bar for each protocol and state.
pub(super) fn states(out: &mut String, report: &Report) {
    let lines = report.states.iter().take(12).map(|line| {
        let name = line.state.map_or(line.protocol.to_owned(), |state| {
            format!("{} {state}", line.protocol)
        });
        let left = format!("{} s left at most", line.tally.remaining.greatest);
        (name, line.tally.entries, left)
    });
    bars(out, "In which state", "", lines.collect());
}

/// A bar for each destination port, with how many sources it has.
pub(super) fn ports(out: &mut String, report: &Report) {
    let lines = report.top_ports.iter().map(|line| {
        let sources = format!("from {} sources", grouped(line.sources));
        (
            format!("{} {}", line.protocol, line.port),
            line.entries,
            sources,
        )
    });
    bars(
        out,
        "To which ports",
        "Destination ports, with the distinct sources of each.",
        lines.collect(),
    );
}

fn bars(out: &mut String, title: &str, about: &str, lines: Vec<(String, u64, String)>) {
    const ROW: usize = 26;
    const LEFT: f64 = 200.0;
    const RIGHT: f64 = 250.0;
    let most = lines.iter().map(|(_, count, _)| *count).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    section(out, title, about, |out| {
        put(
            out,
            format_args!(
                "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\">\n",
                lines.len() * ROW
            ),
        );
        for (n, (name, count, beside)) in lines.iter().enumerate() {
            let width = *count as f64 / most as f64 * (WIDTH - LEFT - RIGHT);
            let (y, colour) = (n * ROW, COLOURS[n % COLOURS.len()]);
            put(
                out,
                format_args!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                    LEFT - 8.0,
                    y + 16,
                    escaped(name)
                ),
            );
            put(
                out,
                format_args!(
                    "<rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"18\" rx=\"2\" fill=\"var(--{colour})\"/>\n",
                    y + 3,
                    width.max(1.0)
                ),
            );
            put(
                out,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{}\">{} <tspan class=\"soft beside\">{}</tspan></text>\n",
                    LEFT + width + 8.0,
                    y + 16,
                    grouped(*count),
                    escaped(beside)
                ),
            );
        }
        put(out, format_args!("</svg>\n"));
    });
}
