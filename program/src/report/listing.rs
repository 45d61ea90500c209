//! A saved listing, read line by line.

use std::io::{self, Read};

use ip_conntrack_analysis::listing::{Line, Listing, MOST_BYTES};
use ip_conntrack_analysis::{
    Census, Circumstances, Fading, Look, Moment, Report, Source, Subject, forecast,
};

use super::LINES;
use super::arguments::Arguments;
use super::input::Text;
use crate::say;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;

/// The report on a listing; with one of an earlier moment, what changed since.
pub(super) fn report(
    arguments: &Arguments,
    text: Text,
    earlier: Option<Text>,
) -> Result<(Report, bool), String> {
    let seconds = match &earlier {
        Some(earlier) => Some(apart(arguments, earlier, &text)?),
        None => None,
    };
    let name = text.name.clone();
    let (earlier, earlier_is_sound) = match earlier {
        Some(earlier) => {
            let (read, is_sound) = Reading::of(earlier, true)?;
            (Some((read.look, read.table.len())), is_sound)
        }
        None => (None, true),
    };
    let (mut read, is_sound) = Reading::of(text, earlier.is_some())?;
    let mut source = Source {
        kind: "listing",
        name,
        form: Some(read.listing.form.name()),
        unreadable: read.listing.unreadable,
        ..Source::default()
    };
    read.note(&mut source);
    let later = std::mem::take(&mut read.look);
    let moments = earlier.as_ref().zip(seconds).map(|((_, entries), at)| {
        let moment = |at, entries: u64| Moment {
            at,
            entries: entries as f64,
        };
        [moment(0.0, *entries), moment(at, read.table.len())]
    });
    let fading = Fading::of(&read.table.rows);
    let traffic = earlier
        .zip(seconds)
        .map(|((look, _), secs)| look.until(later, secs));
    for note in &source.notes {
        say(format_args!("{}: {note}", source.name));
    }
    let subject = Subject {
        source,
        table: &read.table,
        whole: None,
        strays: None,
        traffic,
        timeline: None,
        max: arguments.max,
        buckets: arguments.buckets,
        forecast: moments
            .zip(arguments.max)
            .and_then(|(moments, max)| forecast(&moments, max, Some(&fading))),
        circumstances: Circumstances::default(),
        most: arguments.top.map_or(LINES, usize::from),
    };
    Ok((Report::of(subject), is_sound && earlier_is_sound))
}

/// Seconds between two listings.
fn apart(arguments: &Arguments, earlier: &Text, later: &Text) -> Result<f64, String> {
    let told = arguments.watched.map(|length| length.as_secs_f64());
    let written = || later.written?.duration_since(earlier.written?).ok();
    let told = told.or_else(|| written().map(|length| length.as_secs_f64()));
    told.filter(|secs| *secs > 0.0).ok_or_else(|| {
        format!(
            "{} and {}: how long they are apart cannot be told by their files; say so by --for SECONDS",
            earlier.name, later.name
        )
    })
}

struct Reading {
    listing: Listing,
    look: Look,
    /// Whether entries are to be compared with those of another listing.
    compared: bool,
    table: Census,
    /// Whether the last line is no whole one.
    cut: bool,
}

impl Reading {
    /// Reads a listing. => what was read, and whether it came whole.
    fn of(mut text: Text, compared: bool) -> Result<(Reading, bool), String> {
        let mut read = Reading {
            listing: Listing::default(),
            look: Look::default(),
            compared,
            table: Census::default(),
            cut: false,
        };
        let fault = read.all(&mut text.reader).err();
        if let Some(error) = &fault {
            say(format_args!(
                "{}: {error}; what came before is reported",
                text.name
            ));
        }
        if read.table.is_empty() && read.listing.unreadable > 0 {
            return Err(format!(
                "{}: neither a capture nor a listing of connections: none of its {} lines is an entry \
                 (expected: pcap, pcapng, /proc/net/nf_conntrack, /proc/net/ip_conntrack or conntrack -L)",
                text.name, read.listing.unreadable
            ));
        }
        Ok((read, fault.is_none()))
    }

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
            Line::Entry(flow) => {
                if self.compared {
                    self.look.push(&flow);
                }
                self.table.push(&flow);
            }
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
        if self.table.is_empty() && self.listing.unreadable == 0 {
            source.notes.push(
                "it holds no entry: the table is empty, or what wrote the listing failed"
                    .to_owned(),
            );
        }
        if self.table.rows.hides_addresses() {
            source.notes.push(
                "addresses are hidden in part, so distinct counts are lower bounds and prefixes end where the hiding begins"
                    .to_owned(),
            );
        }
    }
}
