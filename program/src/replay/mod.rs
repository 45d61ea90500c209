//! `ipct replay`: captures in, the table out.
//!
//! Packets are read in the order of time, run through a tracker whose clock is the capture's, and
//! what was asked for is printed. Whatever a capture has that is not right is said on stderr, with
//! file and offset, and everything readable is tracked all the same.
//!
//! *Batches.* Packets that are in memory together go to the tracker together, so that it can fetch the
//! entries of all of them at once. What ran out is collected before each batch, and a batch ends before
//! anything else can fall due. So the table, the events and their order are what they would be if time
//! were told before each packet; how the bytes came, and so how long the batches are, cannot be seen.

mod batch;
mod notes;
mod printer;
mod progress;

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use ip_conntrack::{Config, Conntrack, EventKind, LinkType, Reason, Time, Verdict};
use ip_conntrack_link::{Capture, Frame, Frames, MAX_BATCH, Merge};

use crate::cli::{Moment, Replay, Setting, default_config};
use crate::knobs;
use crate::say;
use crate::seed::random_seed;
use batch::Batch;
use notes::Notes;
use printer::Printer;
use progress::Progress;

/// Events that may wait between two packets. One packet ends at most a few thousand connections.
const EVENTS_AT_ONCE: usize = 1 << 16;

/// Returns whether every file was sound.
///
/// # Errors
///
/// Standard output could not be written to.
pub(crate) fn run(arguments: &Replay) -> io::Result<bool> {
    let Ok(config) = configure(&arguments.sysctl).inspect_err(|error| say(format_args!("{error}")))
    else {
        std::process::exit(2);
    };
    let mut sound = true;
    let mut captures = Vec::new();
    for path in &arguments.captures {
        match Capture::open(path) {
            Ok(capture) => captures.push(capture),
            Err(error) => {
                say(format_args!("{error}"));
                sound = false;
            }
        }
    }
    let mut run = Run::new(arguments, config);
    sound &= run.play(captures)?;
    run.finish()?;
    Ok(sound)
}

fn configure(settings: &[Setting]) -> Result<Config, ip_conntrack::ConfigError> {
    let mut config = default_config();
    knobs::set_all(&mut config, settings)?;
    Ok(config)
}

struct Run<'a> {
    arguments: &'a Replay,
    conntrack: Conntrack,
    notes: Notes,
    printer: Printer<'a>,
    /// When the table is wanted, known with the first packet.
    until: Option<Time>,
    /// Whether nothing is over as soon as it begins.
    all_last: bool,
    /// Files and their link types that cannot be read.
    unknown_links: HashSet<(usize, u32)>,
    packets: u64,
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Replay, config: Config) -> Run<'a> {
        let seed = arguments.seed.unwrap_or_else(random_seed);
        let all_last = batch::all_last(&config);
        let mut conntrack = Conntrack::new(config, seed);
        if arguments.events {
            conntrack.set_event_capacity(EVENTS_AT_ONCE);
        }
        Run {
            arguments,
            conntrack,
            notes: Notes::default(),
            printer: Printer::new(arguments),
            until: None,
            all_last,
            unknown_links: HashSet::new(),
            packets: 0,
        }
    }

    /// Returns whether every file was read to its end.
    fn play(&mut self, captures: Vec<Capture>) -> io::Result<bool> {
        let names: Vec<String> = captures.iter().map(|c| c.name().to_owned()).collect();
        let mut progress = Progress::new(&captures);
        let mut merge = Merge::new(captures);
        let mut sound = true;
        loop {
            match merge.next_frames() {
                None => break,
                Some(Ok((number, frames))) => {
                    let file = (number, names[number].as_str());
                    if !self.take(file, frames)? {
                        break;
                    }
                }
                Some(Err((_, error))) => {
                    progress.pause(|| say(format_args!("{error}")));
                    sound = false;
                }
            }
            progress.show(self.packets, merge.captures());
        }
        progress.finish();
        Ok(sound && self.unknown_links.is_empty())
    }

    /// Frames of one file, which has a number and a name. Returns whether more are wanted.
    fn take(&mut self, file: (usize, &str), mut frames: Frames<'_>) -> io::Result<bool> {
        while let Some(first) = frames.clone().next() {
            let is_known = LinkType::from_number(first.link_type).is_some();
            if !is_known && self.unknown_links.insert((file.0, first.link_type)) {
                notes::unknown_link(file.1, &first);
            }
            let now = Time::from_nanos(first.time_ns);
            let until = self.until(now);
            if now > until {
                return Ok(false);
            }
            self.advance(now)?;
            let ends = self.batch_ends(until);
            let batch = Batch::gather(frames.clone(), self.conntrack.now(), ends);
            let mut verdicts = [Verdict::default(); MAX_BATCH];
            let count = batch.track(&mut self.conntrack, &mut verdicts);
            for (frame, verdict) in frames.by_ref().take(count).zip(&verdicts) {
                self.tell(file.1, &frame, verdict)?;
            }
            self.print_events()?;
        }
        Ok(true)
    }

    /// The last moment that is asked for.
    fn until(&mut self, now: Time) -> Time {
        *self.until.get_or_insert(match self.arguments.at {
            Moment::End => Time::MAX,
            Moment::After(nanos) => now.plus(Duration::from_nanos(nanos)),
        })
    }

    /// The moment before which a batch must end that begins now: the first at which something may
    /// have run out, be it there already or made by the batch itself.
    fn batch_ends(&self, until: Time) -> Time {
        let now = self.conntrack.now();
        let soonest = if self.all_last {
            batch::next_tick(now)
        } else {
            now
        };
        let due = self.conntrack.next_deadline().unwrap_or(Time::MAX);
        due.min(soonest).min(until.plus(Duration::from_nanos(1)))
    }

    /// Collects what ran out, telling events as they come.
    fn advance(&mut self, now: Time) -> io::Result<()> {
        loop {
            let done = self.conntrack.advance(now);
            self.print_events()?;
            if done {
                return Ok(());
            }
        }
    }

    fn tell(&mut self, file: &str, frame: &Frame<'_>, verdict: &Verdict) -> io::Result<()> {
        self.notes.clock(file, frame);
        if verdict.reason == Some(Reason::TableFull) {
            self.notes.table_full(Time::from_nanos(frame.time_ns));
        }
        if self.arguments.verdicts {
            self.printer.verdict(self.packets, verdict)?;
        }
        self.packets += 1;
        Ok(())
    }

    fn print_events(&mut self) -> io::Result<()> {
        while let Some(event) = self.conntrack.poll_event() {
            debug_assert!(event.kind != EventKind::New || event.connection.stop.is_none());
            self.printer.event(&event)?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if let (Moment::After(_), Some(until)) = (self.arguments.at, self.until) {
            self.advance(until)?;
        }
        let Replay {
            events,
            verdicts,
            stats,
            ..
        } = *self.arguments;
        if stats {
            self.printer.stats(&self.conntrack)?;
        } else if !events && !verdicts {
            self.printer.table(&self.conntrack)?;
        }
        self.printer.flush()?;
        self.notes.summary(&self.conntrack);
        io::stderr().flush().or(Ok(()))
    }
}
