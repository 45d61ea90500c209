//! What speaks for a class, piece by piece.

use super::Class;

/// A class, how sure it is, and why.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) class: Class,
    pub(crate) confidence: f64,
    pub(crate) texts: Vec<String>,
}

impl Evidence {
    pub(crate) fn of(class: Class) -> Evidence {
        Evidence {
            class,
            confidence: 1.0,
            texts: Vec::new(),
        }
    }

    /// A piece without which the class is out of the question: confidence is that of the weakest.
    pub(crate) fn needs(mut self, how_much: f64, text: String) -> Evidence {
        self.confidence = self.confidence.min(how_much);
        self.texts.push(text);
        self
    }

    /// As [`needs`](Evidence::needs), without words.
    pub(crate) fn silently_needs(mut self, how_much: f64) -> Evidence {
        self.confidence = self.confidence.min(how_much);
        self
    }
}

/// `31 %`, or `0.4 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 1.0 || percent == 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}
