//! `ipct replay`: captures in, the table out.
//!
//! Packets are read in the order of time, run through a tracker whose clock is the capture's, and
//! what was asked for is printed. Whatever a capture has that is not right is said on stderr, with
//! file and offset, and everything readable is tracked all the same.

mod notes;
mod printer;
mod progress;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

use ip_conntrack::{Config, Conntrack, EventKind, LinkType, Packet, Reason, Time, Verdict};
use ip_conntrack_link::{Capture, Frame, Merge};

use crate::cli::{Moment, Replay, Setting, default_config};
use crate::say;
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
    // A low threshold may be given before the high one that makes room for it.
    let (mut waiting, mut rest): (Vec<_>, Vec<_>) = (settings.iter().collect(), Vec::new());
    loop {
        let before = waiting.len();
        let mut refused = None;
        for setting in waiting.drain(..) {
            if let Err(error) = config.set_by_name(&setting.name, &setting.value) {
                refused = Some(error);
                rest.push(setting);
            }
        }
        match refused {
            None => return Ok(config),
            Some(error) if rest.len() == before => return Err(error),
            Some(_) => core::mem::swap(&mut waiting, &mut rest),
        }
    }
}

/// A hash key that nobody can guess.
fn random_seed() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0));
    half() << 64 | half()
}

struct Run<'a> {
    arguments: &'a Replay,
    conntrack: Conntrack,
    notes: Notes,
    printer: Printer<'a>,
    /// When the table is wanted, known with the first packet.
    until: Option<Time>,
    packets: u64,
}

impl<'a> Run<'a> {
    fn new(arguments: &'a Replay, config: Config) -> Run<'a> {
        let seed = arguments.seed.unwrap_or_else(random_seed);
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
            packets: 0,
        }
    }

    /// Returns whether every file was read to its end.
    fn play(&mut self, captures: Vec<Capture>) -> io::Result<bool> {
        let names: Vec<String> = captures.iter().map(|c| c.name().to_owned()).collect();
        let mut progress = Progress::new(&captures);
        let mut unknown_links = HashSet::new();
        let mut merge = Merge::new(captures);
        let mut sound = true;
        loop {
            match merge.next_frame() {
                None => break,
                Some(Ok((file, frame))) => {
                    let link = LinkType::from_number(frame.link_type);
                    if link.is_none() && unknown_links.insert((file, frame.link_type)) {
                        notes::unknown_link(&names[file], &frame);
                        sound = false;
                    }
                    if !self.take(&names[file], link, &frame)? {
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
        Ok(sound)
    }

    /// One frame. Returns whether the next one is wanted.
    fn take(&mut self, file: &str, link: Option<LinkType>, frame: &Frame<'_>) -> io::Result<bool> {
        let now = Time::from_nanos(frame.time_ns);
        let until = *self.until.get_or_insert(match self.arguments.at {
            Moment::End => Time::from_nanos(u64::MAX),
            Moment::After(nanos) => Time::from_nanos(frame.time_ns.saturating_add(nanos)),
        });
        if now > until {
            return Ok(false);
        }
        self.notes.clock(file, frame);
        self.advance(now)?;
        let parsed = match link {
            Some(link) => Packet::parse_cut(link, frame.bytes, frame.wire_len as usize),
            None => Err(Reason::LinkType),
        };
        let verdict = match parsed {
            Ok(packet) => self.conntrack.track(&packet, now),
            Err(reason) => self.conntrack.skip(reason),
        };
        self.tell(&verdict, now)?;
        self.packets += 1;
        Ok(true)
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

    fn tell(&mut self, verdict: &Verdict, now: Time) -> io::Result<()> {
        if verdict.reason == Some(Reason::TableFull) {
            self.notes.table_full(now);
        }
        if self.arguments.verdicts {
            self.printer.verdict(self.packets, verdict)?;
        }
        self.print_events()
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
