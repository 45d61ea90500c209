//! A saved listing, read line by line.

use std::io::{self, Read};

use ip_conntrack_analysis::listing::{Line, Listing, MOST_BYTES};
use ip_conntrack_analysis::{Census, Circumstances, Report, Source, Subject};

use super::LINES;
use crate::cli;
use crate::say;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;

pub(super) fn report(
    arguments: &cli::Report,
    name: String,
    mut reader: Box<dyn Read>,
) -> Result<(Report, bool), String> {
    let mut read = Text {
        listing: Listing::default(),
        table: Census::default(),
        cut: false,
    };
    let fault = read.all(&mut reader).err();
    if let Some(error) = &fault {
        say(format_args!(
            "{name}: {error}; what came before is reported"
        ));
    }
    if read.table.is_empty() && read.listing.unreadable > 0 {
        return Err(format!(
            "{name}: neither a capture nor a listing of connections: none of its {} lines is an entry \
             (expected: pcap, pcapng, /proc/net/nf_conntrack, /proc/net/ip_conntrack or conntrack -L)",
            read.listing.unreadable
        ));
    }
    let mut source = Source {
        kind: "listing",
        name,
        form: Some(read.listing.form.name()),
        unreadable: read.listing.unreadable,
        ..Source::default()
    };
    read.note(&mut source);
    for note in &source.notes {
        say(format_args!("{}: {note}", source.name));
    }
    let subject = Subject {
        source,
        table: &read.table,
        whole: None,
        strays: None,
        traffic: None,
        timeline: None,
        max: arguments.max,
        buckets: arguments.buckets,
        forecast: None,
        circumstances: Circumstances::default(),
        most: arguments.top.map_or(LINES, usize::from),
    };
    Ok((Report::of(subject), fault.is_none()))
}

struct Text {
    listing: Listing,
    table: Census,
    /// Whether the last line is no whole one.
    cut: bool,
}

impl Text {
    /// Reads to the end. A line without an end is one, too, if it is whole.
    fn all(&mut self, reader: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut kept = 0;
        loop {
            let read = match reader.read(&mut buffer[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if read == 0 {
                self.last(&buffer[..kept]);
                return Ok(());
            }
            let filled = kept + read;
            let done = self.lines(&buffer[..filled]);
            buffer.copy_within(done..filled, 0);
            kept = filled - done;
            if kept == buffer.len() {
                // A line of this length is none; its first part tells what it is.
                self.line(&buffer[..MOST_BYTES]);
                kept = 0;
            }
        }
    }

    /// Reads the whole lines of some text. => how many bytes they are.
    fn lines(&mut self, text: &[u8]) -> usize {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            self.line(&text[start..end]);
            start = end + 1;
        }
        start
    }

    fn line(&mut self, line: &[u8]) -> bool {
        match self.listing.line(line) {
            Line::Entry(flow) => self.table.push(&flow),
            Line::Nothing => {}
            Line::Unreadable => return false,
        }
        true
    }

    fn last(&mut self, line: &[u8]) {
        if !line.is_empty() && !self.line(line) {
            self.cut = true;
            self.listing.unreadable -= 1;
        }
    }

    fn note(&self, source: &mut Source) {
        if let (Some(first), n @ 1..) = (self.listing.first_unreadable, self.listing.unreadable) {
            source.notes.push(format!(
                "{n} lines are no entries and were passed over, the first is line {first}"
            ));
        }
        if self.cut {
            source
                .notes
                .push("the last line is cut off and was passed over".to_owned());
        }
        if self.table.rows.hides_addresses() {
            source.notes.push(
                "addresses are hidden in part, so distinct counts are lower bounds and prefixes end where the hiding begins"
                    .to_owned(),
            );
        }
    }
}
