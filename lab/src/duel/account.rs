//! What one side says of a packet, and when two accounts are the same.

use std::fmt;

use crate::entry::{Ends, Entry};
use crate::linux::{Event, EventKind};

/// A table event, as far as both sides must agree on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happening {
    /// What happened.
    pub kind: EventKind,
    /// Original tuple of the entry.
    pub original: Ends,
    /// The state that it told.
    pub state: Option<u8>,
    /// Status bits.
    pub status: u32,
    /// The mark.
    pub mark: u32,
    /// Labels, if they changed.
    pub labels: u128,
    /// The helper's name.
    pub helper: Option<String>,
    /// Whether it told when the entry began and ended.
    pub times: (bool, bool),
}

impl From<Event> for Happening {
    fn from(Event { kind, entry }: Event) -> Happening {
        let is_over = kind == EventKind::Destroy;
        Happening {
            kind,
            original: entry.original,
            state: entry.state,
            status: entry.status,
            mark: entry.mark,
            labels: entry.labels,
            helper: entry.helper,
            times: (is_over && entry.start.is_some(), entry.stop.is_some()),
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {:#x}",
            self.kind.name(),
            self.state,
            self.status
        )?;
        write!(f, " mark={} labels={:#x}", self.mark, self.labels)?;
        let helper = self.helper.as_deref().unwrap_or("none");
        write!(f, " helper={helper} times={:?}", self.times)
    }
}

/// One side's account of a packet.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Account {
    /// Class and direction.
    pub class: String,
    /// The entries of the flow, by who opened them.
    pub entries: [Option<Entry>; 2],
    /// Whether each is the entry that was there before: `None` if there was none.
    pub same: [Option<bool>; 2],
    /// What happened to the table.
    pub events: Vec<Happening>,
    /// The engine's reason.
    pub reason: Option<&'static str>,
}

impl Account {
    /// Whether both tell the same.
    pub fn agrees(&self, other: &Account) -> bool {
        let mut pairs = self.entries.iter().zip(&other.entries);
        self.class == other.class
            && self.events == other.events
            && self.same == other.same
            && pairs.all(|pair| match pair {
                (None, None) => true,
                (Some(ours), Some(theirs)) => ours.agrees(theirs),
                _ => false,
            })
    }
}
