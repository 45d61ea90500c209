//! How it looks: usable at 80 columns and 24 lines, and without colours.

use ip_conntrack_analysis::Report;
use ip_conntrack_analysis::summary::{duration, grouped};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Cell, Gauge, Paragraph, Row, Table, TableState, Wrap};

use super::model::{Model, Tab};

/// Draws everything. `plain`: without colours.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, plain: bool) {
    let summary = if frame.area().width < 120 { 3 } else { 2 };
    let parts = Layout::vertical([
        Constraint::Length(summary),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ]);
    let [top, gauge, numbers, tabs, list, foot] = parts.areas(frame.area());
    let paint = Paint { plain };
    match &model.report {
        None => frame.render_widget(
            Paragraph::new("looking at the table for the first time …"),
            top,
        ),
        Some(report) => {
            frame.render_widget(sentence(report, paint), top);
            fill(frame, gauge, model, report, paint);
            frame.render_widget(figures(report), numbers);
        }
    }
    frame.render_widget(tab_line(model, paint), tabs);
    match &model.entries {
        Some(entries) => listing(frame, list, entries, model.selected),
        None => table(frame, list, model, paint),
    }
    frame.render_widget(footer(model, paint), foot);
}

#[derive(Clone, Copy)]
struct Paint {
    plain: bool,
}

impl Paint {
    fn colour(self, colour: Color) -> Style {
        if self.plain {
            Style::new()
        } else {
            Style::new().fg(colour)
        }
    }
}

fn sentence(report: &Report, paint: Paint) -> Paragraph<'_> {
    let colour = if report.class.is_wrong() {
        Color::Red
    } else {
        Color::Green
    };
    let style = paint.colour(colour).add_modifier(Modifier::BOLD);
    Paragraph::new(Span::styled(report.summary.as_str(), style)).wrap(Wrap { trim: true })
}

/// The number of entries is younger than the report.
fn fill(frame: &mut Frame<'_>, area: Rect, model: &Model, report: &Report, paint: Paint) {
    let (entries, max) = model.count.unwrap_or((report.entries, report.max));
    let Some(max) = max.filter(|max| *max > 0) else {
        let text = format!("{} entries, limit unknown (--max)", grouped(entries));
        frame.render_widget(Paragraph::new(text), area);
        return;
    };
    let ratio = (entries as f64 / max as f64).clamp(0.0, 1.0);
    let colour = match ratio {
        ratio if ratio >= 0.9 => Color::Red,
        ratio if ratio >= 0.75 => Color::Yellow,
        _ => Color::Blue,
    };
    let full = report
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.full_in);
    let full = full.map_or(String::new(), |secs| {
        format!(", full in {}", duration(secs))
    });
    let label = format!(
        "{} of {} ({:.0} %){full}",
        grouped(entries),
        grouped(max),
        ratio * 100.0
    );
    frame.render_widget(
        Gauge::default()
            .ratio(ratio)
            .label(label)
            .gauge_style(paint.colour(colour)),
        area,
    );
}

fn figures(report: &Report) -> Paragraph<'_> {
    let all = &report.all;
    let part = |n: u64| {
        format!(
            "{} ({:.0} %)",
            grouped(n),
            100.0 * n as f64 / report.entries.max(1) as f64
        )
    };
    let first = format!(
        "assured {}  unreplied {}  half-open {}",
        part(all.assured),
        part(all.unreplied),
        part(all.half_open)
    );
    let rates = report.traffic.as_ref().map_or(String::new(), |traffic| {
        format!(
            "  new {:.1}/s  ended {:.1}/s",
            traffic.new_per_second, traffic.ended_per_second
        )
    });
    let second = format!(
        "{} sources  {} destinations{rates}",
        grouped(report.spread.sources),
        grouped(report.spread.destinations)
    );
    Paragraph::new(vec![Text::raw(first), Text::raw(second)])
}

fn tab_line(model: &Model, paint: Paint) -> Paragraph<'_> {
    let mut spans = Vec::new();
    for tab in Tab::ALL {
        let style = match tab == model.tab {
            true => paint.colour(Color::Cyan).add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        spans.push(Span::styled(format!(" {} ", tab.name()), style));
    }
    let mut marks = String::new();
    if model.only_guilty {
        marks.push_str("  culprits only");
    }
    if model.is_frozen {
        marks.push_str("  frozen");
    }
    if !model.filter.is_empty() || model.is_typing {
        marks.push_str(&format!("  /{}", model.filter));
    }
    spans.push(Span::raw(marks));
    Paragraph::new(Text::from(spans))
}

fn table(frame: &mut Frame<'_>, area: Rect, model: &Model, paint: Paint) {
    let columns = model.tab.columns();
    let head = columns.iter().enumerate().map(|(n, name)| {
        let style = match n == model.sort {
            true => Style::new().add_modifier(Modifier::UNDERLINED),
            false => Style::new(),
        };
        let text = if n == 0 {
            Text::raw(*name)
        } else {
            Text::raw(*name).right_aligned()
        };
        Cell::new(text).style(style)
    });
    let lines = model.lines();
    let rows = lines.iter().map(|line| {
        let cells = line.cells.iter().enumerate().map(|(n, cell)| match n {
            0 => Cell::new(cell.as_str()),
            _ => Cell::new(Text::raw(cell.as_str()).right_aligned()),
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let widths = columns.iter().enumerate().map(|(n, _)| match n {
        0 => Constraint::Min(20),
        2 => Constraint::Length(6),
        _ => Constraint::Length(11),
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths.collect::<Vec<_>>())
        .header(Row::new(head.collect::<Vec<_>>()).style(paint.colour(Color::DarkGray)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let selected = (!lines.is_empty()).then_some(model.selected.min(lines.len().saturating_sub(1)));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn listing(frame: &mut Frame<'_>, area: Rect, entries: &[String], from: usize) {
    let lines = entries.iter().skip(from).take(usize::from(area.height));
    let mut lines: Vec<Text<'_>> = lines.map(|line| Text::raw(line.as_str())).collect();
    if entries.is_empty() {
        lines.push(Text::raw("no entries any more"));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn footer(model: &Model, paint: Paint) -> Paragraph<'_> {
    let text = match (&model.asked, model.message.is_empty()) {
        (Some(target), _) => format!("delete the entries of {}? y/n", target.title),
        (None, false) => model.message.clone(),
        (None, true) if model.is_typing => {
            "type a part of the name; Enter keeps it, Esc clears it".to_owned()
        }
        (None, true) if model.entries.is_some() => "↑↓ move  Esc back  q quit".to_owned(),
        (None, true) => {
            "Tab ↑↓ Enter:entries f:fold s:sort /:filter c:culprits d:del space:freeze r q"
                .to_owned()
        }
    };
    let is_urgent = model.asked.is_some();
    let style = match is_urgent {
        true => paint.colour(Color::Red).add_modifier(Modifier::BOLD),
        false => paint.colour(Color::DarkGray),
    };
    Paragraph::new(Span::styled(text, style))
}
