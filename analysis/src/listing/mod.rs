//! Saved listings, read back: whatever `/proc` and conntrack(8) have printed since Linux 2.4.
//!
//! All line forms are the same sentence (protocol, seconds, state, two tuples, then fields), so one
//! reader takes them by what each word looks like, and does not mind what is missing, in another place
//! or unknown: no network protocol (2.6, `conntrack -L`), no counters, addresses whose parts were hidden
//! (`xxx.xxx.1.2`), carriage returns. XML has an element a line. A line that says who talks to whom, both
//! ways, is an entry; any other is counted as unreadable, unless it is known to be none.
//!
//! Nothing is trusted: a line is looked at up to [`MOST_BYTES`], each word once, and nothing is allocated.

mod line;
mod xml;

use crate::flow::Flow;

/// Bytes of a line that are looked at.
pub const MOST_BYTES: usize = 4096;

/// The forms of a listing, by what its lines have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// `/proc/net/ip_conntrack`, or `conntrack -L`: the protocol comes first.
    #[default]
    Plain,
    /// `/proc/net/nf_conntrack`, or `conntrack -L -o extended`: the network protocol comes first.
    Extended,
    /// `conntrack -L -o xml`.
    Xml,
}

impl Form {
    /// What to call it.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Plain => "ip_conntrack or conntrack -L",
            Form::Extended => "nf_conntrack or conntrack -L -o extended",
            Form::Xml => "conntrack -L -o xml",
        }
    }
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Line {
    /// An entry.
    Entry(Flow),
    /// Nothing, and rightly: a header, a summary, a blank line.
    Nothing,
    /// Not understood.
    Unreadable,
}

/// Reads the lines of a listing.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The form of the last entry that was read.
    pub form: Form,
    /// Lines that were not understood.
    pub unreadable: u64,
    /// The number of the first of them, from 1.
    pub first_unreadable: Option<u64>,
    lines: u64,
}

impl Listing {
    /// Reads a line, without or with what ends it.
    pub fn line(&mut self, line: &[u8]) -> Line {
        self.lines += 1;
        let line = &line[..line.len().min(MOST_BYTES)];
        let (read, form) = match is_xml(line) {
            true => (xml::read(line), Form::Xml),
            false => line::read(line),
        };
        match read {
            Line::Entry(_) => self.form = form,
            Line::Unreadable => {
                self.unreadable += 1;
                self.first_unreadable.get_or_insert(self.lines);
            }
            Line::Nothing => {}
        }
        read
    }
}

fn is_xml(line: &[u8]) -> bool {
    line.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}
