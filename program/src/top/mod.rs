//! `ipct top`: the report, live, in a terminal.
//!
//! *Threads.* One looks at the table (`watcher.rs`), so that a dump of a million entries stops no key; this one
//! draws and takes keys. They share nothing but two channels.
//!
//! *Cost.* The number of entries is asked for once a second. All entries are looked at again when 25 times as long has
//! passed as the last look took processor time: so looking costs no more than a twentieth of a core, however
//! large the table is. `r` looks at once.
//!
//! What is shown, and what a key does, is `model.rs`, which knows no terminal; how it looks is `draw.rs`.
//! The terminal is put back as it was also when something panics (ratatui's hook).

mod draw;
mod entries;
mod model;
#[cfg(test)]
mod tests;
mod watcher;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use crate::report::{self, LINES, Live};
use crate::say;
use model::{Action, Model};
use watcher::{Update, Watcher};

/// How long a key may wait for the picture.
const TICK: Duration = Duration::from_millis(100);

/// What `ipct top` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A capture or a saved listing, which stands still
    #[arg(value_name = "SOURCE")]
    source: Option<PathBuf>,

    /// The kernel's own table, of this network namespace, instead of the daemon's
    #[arg(long, conflicts_with = "source")]
    kernel: bool,

    /// The running daemon's table, as if nothing is named
    #[arg(long, conflicts_with_all = ["source", "kernel"])]
    ipct: bool,

    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = crate::conntrack::DAEMONS)]
    socket: PathBuf,

    /// The limit, in place of what the table says of itself
    #[arg(long, value_name = "NUMBER")]
    max: Option<u64>,

    /// Lines of each list
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    lines: u16,
}

/// Returns whether the table could be looked at.
///
/// # Errors
///
/// The terminal failed.
pub(crate) fn run(arguments: &Arguments) -> io::Result<bool> {
    let lines = usize::from(arguments.lines).max(LINES);
    let live = Live {
        kernel: arguments.kernel,
        socket: arguments.socket.clone(),
        max: arguments.max,
        buckets: None,
        most: lines,
    };
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        say(format_args!(
            "top draws on a terminal, and this is none; ipct report tells the same as text"
        ));
        return Ok(false);
    }
    let mut model = Model::new(arguments.source.is_none().then(|| live.clone()));
    let watcher = match &arguments.source {
        Some(source) => match report::of_file(source, arguments.max, arguments.lines) {
            Ok(report) => {
                model.take(Update::Report(Box::new(report)));
                None
            }
            Err(error) => {
                say(format_args!("{error}"));
                return Ok(false);
            }
        },
        None => match Watcher::start(live) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                say(format_args!("{error}"));
                return Ok(false);
            }
        },
    };
    let mut terminal = ratatui::try_init()?;
    let ended = show(&mut terminal, &mut model, watcher.as_ref());
    ratatui::try_restore()?;
    ended.map(|()| true)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    model: &mut Model,
    watcher: Option<&Watcher>,
) -> io::Result<()> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut changed = true;
    loop {
        if changed {
            terminal.draw(|frame| draw::draw(frame, model, plain))?;
            changed = false;
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    match model.key(key.code, key.modifiers) {
                        Action::Nothing => {}
                        Action::Quit => return Ok(()),
                        Action::Look => watcher.into_iter().for_each(Watcher::look_now),
                        Action::List(target) => model.list(entries::list(&target, model.live())),
                        Action::Delete(target) => {
                            model.say(entries::delete(&target, model.live()));
                            watcher.into_iter().for_each(Watcher::look_now);
                        }
                    }
                    changed = true;
                }
                Event::Resize(..) => changed = true,
                _ => {}
            }
        }
        while let Some(watcher) = watcher {
            match watcher.updates.try_recv() {
                Ok(update) => {
                    model.take(update);
                    changed = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    model.say("the table is not looked at any more".to_owned());
                    break;
                }
            }
        }
    }
}
