//! `ipct report`: who fills the table, what it looks like, and what to do.
//!
//! A table comes from a capture, which is replayed, or from a saved listing; what a file is, its first
//! bytes tell. What is told of it is made by `ip_conntrack_analysis`; here it is read and written.

mod arguments;
mod arp;
mod capture;
mod html;
mod input;
mod listing;
mod live;
mod text;

use std::io::{self, Write};
use std::path::Path;

pub(crate) use arguments::Arguments;
pub(crate) use live::{Follower, Live};

use input::Input;
use ip_conntrack_analysis::Report;

use crate::say;

/// Lines of each top list, unless told otherwise.
pub(crate) const LINES: usize = 10;

/// The fill from which a table that does not grow is full: eviction keeps it just below the limit.
const FULL: f64 = 0.99;

/// Returns whether the source was sound.
///
/// # Errors
///
/// Standard output could not be written to.
pub(crate) fn run(arguments: &Arguments) -> io::Result<bool> {
    let (report, sound) = match make(arguments) {
        Ok(made) => made,
        Err(error) => {
            say(format_args!("{error}"));
            return Ok(false);
        }
    };
    if let Some(path) = &arguments.html
        && let Err(error) = std::fs::write(path, html::page(&report))
    {
        say(format_args!("{}: {error}", path.display()));
        return Ok(false);
    }
    let mut out = io::stdout().lock();
    match arguments.json {
        true => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
        false => text::write(&mut out, &report)?,
    }
    out.flush()?;
    Ok(sound)
}

/// => the report, and whether all of the source could be read.
fn make(arguments: &Arguments) -> Result<(Report, bool), String> {
    match arguments.sources.as_slice() {
        [] => live::report(arguments),
        [source] => match input::open(source)? {
            Input::Capture(again) => capture::report(arguments, &again),
            Input::Listing(listing) => listing::report(arguments, listing, None),
        },
        [first, second, ..] => match (input::open(first)?, input::open(second)?) {
            (Input::Listing(first), Input::Listing(second)) => {
                listing::report(arguments, second, Some(first))
            }
            _ => Err(format!(
                "{} and {}: two sources have to be listings, the later one second",
                first.display(),
                second.display()
            )),
        },
    }
}

/// The report on a capture or a listing, with so many lines in each list.
///
/// # Errors
///
/// It could not be read, in words.
pub(crate) fn of_file(source: &Path, max: Option<u64>, lines: u16) -> Result<Report, String> {
    make(&Arguments::of_file(source, max, lines)).map(|(report, _)| report)
}
