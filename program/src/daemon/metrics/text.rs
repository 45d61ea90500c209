//! The text format: a family is its help, its type, and a line for each series.

use std::fmt::Write;

/// A page that is written.
#[derive(Default)]
pub(super) struct Text(String);

/// What a family's values do.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// They grow.
    Counter,
    /// They go up and down.
    Gauge,
}

impl Text {
    /// A family of one series.
    pub(super) fn one(&mut self, kind: Kind, name: &str, help: &str, value: f64) {
        self.family(kind, name, help).series(&[], value);
    }

    /// Begins a family. Names and help are our own, so they need no escapes.
    pub(super) fn family<'a>(&'a mut self, kind: Kind, name: &'a str, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: self, name }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A family that is written.
pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: &'a str,
}

impl Family<'_> {
    /// A series.
    pub(super) fn series(&mut self, labels: &[(&str, &str)], value: f64) {
        let text = &mut self.text.0;
        text.push_str(self.name);
        for (n, (label, value)) in labels.iter().enumerate() {
            let _ = write!(text, "{}{label}=\"", if n == 0 { '{' } else { ',' });
            escape(text, value);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = match value {
            value if value.is_finite() => writeln!(text, " {value}"),
            value if value.is_nan() => writeln!(text, " NaN"),
            value if value > 0.0 => writeln!(text, " +Inf"),
            _ => writeln!(text, " -Inf"),
        };
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_with_labels_that_need_escapes() {
        let mut text = Text::default();
        let mut family = text.family(Kind::Gauge, "a", "What it is.");
        family.series(&[("b", "c\"\\\n"), ("d", "")], 1.5);
        family.series(&[], f64::INFINITY);
        let expected =
            "# HELP a What it is.\n# TYPE a gauge\na{b=\"c\\\"\\\\\\n\",d=\"\"} 1.5\na +Inf\n";
        assert_eq!(text.into_string(), expected);
    }
}
