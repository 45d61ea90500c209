//! The answer in one sentence: what it looks like, from whom, to what, and how full it is.

use crate::classify::Class;
use crate::report::Report;

/// The sentence.
pub(crate) fn sentence(report: &Report) -> String {
    let mut text = match report.class {
        Class::Normal => "Nothing looks wrong".to_owned(),
        class => format!("This looks like {}", class.words()),
    };
    if report.class != Class::Normal {
        text.push_str(&format!(" (confidence {:.2})", report.confidence));
    }
    text.push_str(": ");
    text.push_str(&fill(report));
    text.push_str(&who(report));
    if let Some(secs) = report
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.full_in)
    {
        text.push_str(&format!("; full in {}", duration(secs)));
    }
    text.push('.');
    text
}

fn fill(report: &Report) -> String {
    let entries = grouped(report.entries);
    match (report.max, report.fill, report.hard_fill) {
        (Some(max), Some(fill), Some(hard)) => format!(
            "{entries} of {} entries ({:.0} %; {:.0} % cannot be evicted)",
            grouped(max),
            fill * 100.0,
            hard * 100.0
        ),
        _ => format!(
            "{entries} entries, {} of them cannot be evicted",
            grouped(report.all.assured)
        ),
    }
}

fn who(report: &Report) -> String {
    if matches!(report.class, Class::Normal | Class::Growth) {
        return String::new();
    }
    let Some(culprits) = &report.culprits else {
        return String::new();
    };
    let (sources, targets) = (&culprits.top_sources, &culprits.top_destinations);
    let source = match sources.first() {
        Some(first) if first.share >= 0.3 => format!(" mostly from {}", first.address),
        _ => format!(" from {} addresses", grouped(culprits.sources)),
    };
    let target = match targets.first() {
        Some(first) if first.share >= 0.3 => format!(", mostly to {}", first.address),
        _ => String::new(),
    };
    let ports = match culprits.top_ports.first() {
        Some(first) if first.share >= 0.5 => format!(" {} port {}", first.protocol, first.port),
        _ => String::new(),
    };
    format!(",{source}{target}{ports}")
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as a person says them.
pub fn duration(secs: f64) -> String {
    match secs {
        secs if (0.0005..1.0).contains(&secs) => format!("{:.0} ms", secs * 1e3),
        secs if (1.0..10.0).contains(&secs) => format!("{secs:.1} s"),
        secs if secs < 120.0 => format!("{secs:.0} s"),
        secs if secs < 7_200.0 => format!("{:.0} min", secs / 60.0),
        secs if secs < 172_800.0 => format!("{:.1} h", secs / 3_600.0),
        secs => format!("{:.0} days", secs / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_duration_has_two_digits_and_its_unit() {
        assert_eq!(
            [0.0, 0.022, 1.25, 45.0, 600.0, 7_200.0, 200_000.0].map(duration),
            ["0 s", "22 ms", "1.2 s", "45 s", "10 min", "2.0 h", "2 days"]
        );
    }
}
