//! What speaks for a class, piece by piece.

use super::Class;
use super::group::Group;
use crate::picked::Picked;

/// A class, how sure it is, and why.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) class: Class,
    pub(crate) confidence: f64,
    pub(crate) texts: Vec<String>,
    /// The flows that it is about.
    pub(crate) flows: Option<Picked<'a>>,
}

impl<'a> Evidence<'a> {
    pub(crate) fn of(class: Class) -> Evidence<'a> {
        Evidence {
            class,
            confidence: 1.0,
            texts: Vec::new(),
            flows: None,
        }
    }

    /// As [`of`](Evidence::of), with the flows that it is about.
    pub(crate) fn about(class: Class, group: &Group<'a>) -> Evidence<'a> {
        let mut evidence = Evidence::of(class);
        evidence.flows = Some(group.picked());
        evidence
    }

    /// A piece without which the class is out of the question: confidence is that of the weakest.
    pub(crate) fn needs(mut self, how_much: f64, text: String) -> Evidence<'a> {
        self.confidence = self.confidence.min(how_much);
        self.texts.push(text);
        self
    }

    /// As [`needs`](Evidence::needs), without words.
    pub(crate) fn silently_needs(mut self, how_much: f64) -> Evidence<'a> {
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
