//! `ipct run`: a tracker that stays.
//!
//! *Threads.* Workers track ([`worker`]); one thread takes connections to the control socket and each
//! connection has one ([`server`]); two answer the kernel for the files of `/proc` ([`proc`]); one saves the table
//! now and then; some serve numbers ([`metrics`]); one waits for signals; the main thread minds them all. Only workers touch trackers,
//! everybody else asks them between two batches of packets, so no packet waits for a reader.
//!
//! *Start.* The configuration is checked as a whole, then everything is opened in the order of what may fail
//! and what others need: the log, the saved table, the packets' source, the socket, the mount. Rights that are not
//! needed any more are given away ([`rights`]), and then threads are started. What fails is said, what
//! was made until then is taken away, and the status is 1. Only then READY is told.
//!
//! *Stop.* On SIGTERM or SIGINT files and socket go first, so that nothing changes any more; packets that wait get
//! their verdict and the source is closed; the table is saved; the workers end. Or a second daemon takes over ([`heir`]).

mod arguments;
mod ending;
mod events;
mod heir;
mod log;
mod metrics;
mod needs;
mod proc;
mod rights;
mod saving;
mod server;
pub(crate) mod settings;
mod source;
mod start;
mod state;
mod systemd;
mod tracker;
mod worker;

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tracing::{debug, error, info, warn};

pub(crate) use arguments::Run;
use heir::Predecessor;
use metrics::Metrics;
pub(crate) use proc::unmount_behind;
use proc::{Files, Mount};
use saving::Saving;
use server::{Place, Server};
use settings::{Complaint, Settings, Takes};
use state::Saver;
use systemd::Watchdog;
use tracker::Tracker;

use crate::say;

/// How often the main thread looks after the others.
const TICK: Duration = Duration::from_secs(1);

/// What the main thread is told.
pub(crate) enum Word {
    Signal(i32),
    /// Who is at the other end takes over.
    HandOver(UnixStream),
}

/// Whether the program is started as the helper of a daemon, and not by anybody who types.
pub(crate) fn is_helper(arguments: &[OsString]) -> bool {
    arguments
        .get(1)
        .is_some_and(|verb| verb == proc::UNMOUNT_BEHIND)
}

/// Runs until it is told to stop.
pub(crate) fn run(arguments: &Run) -> ExitCode {
    let settings = match settings::read(arguments.config.as_deref(), &arguments.overrides()) {
        Ok(settings) => settings,
        Err(complaints) => {
            complaints
                .iter()
                .for_each(|complaint| say(format_args!("{complaint}")));
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        return ExitCode::SUCCESS;
    }
    let level = match log::start(&settings.log) {
        Ok(level) => level,
        Err(error) => {
            say(format_args!("{error}"));
            return ExitCode::FAILURE;
        }
    };
    match Daemon::start(arguments, settings, level) {
        Ok(daemon) => daemon.mind(),
        Err(why) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// All that runs.
struct Daemon<'a> {
    arguments: &'a Run,
    settings: Settings,
    level: log::Level,
    tracker: Arc<Tracker>,
    saver: Arc<Saver>,
    server: Server,
    files: Option<Files>,
    metrics: Option<Metrics>,
    saving: Saving,
    words: Receiver<Word>,
    signal_handle: Handle,
}

impl<'a> Daemon<'a> {
    fn start(
        arguments: &'a Run,
        settings: Settings,
        level: log::Level,
    ) -> Result<Daemon<'a>, String> {
        // From here on, a signal is for us to answer.
        let signals = catch_signals()?;
        if let Some(path) = &settings.state.path {
            state::check_place(path)?;
        }
        let said = |error: std::io::Error| error.to_string();
        let mut predecessor = match arguments.replace {
            true => {
                start::check_source(&settings).map_err(said)?;
                Predecessor::ask(&settings.control.path)?
            }
            false => None,
        };
        let ready = start::ready(&settings, predecessor.as_mut())?;
        let socket = Place::take(&settings.control).map_err(said)?;
        let mount = settings.proc.mount.as_deref().map(Mount::make);
        let mount = mount.transpose()?;
        let numbers = metrics::Place::take(&settings.metrics)?;
        rights::keep_only(&needs::of(&settings, arguments.config.as_deref()))?;
        // Threads have the rights of the one that makes them, so there is none before.
        let (sender, words) = channel();
        let signal_handle = deliver(signals, sender.clone())?;
        let tracker = Arc::new(ready.start()?);
        let saver = Arc::new(Saver::new(settings.state.path.clone()));
        let shared = (Arc::clone(&tracker), Arc::clone(&saver));
        let server = Server::open(socket, &settings.control, shared, sender).map_err(said)?;
        let files = mount.map(|mount| mount.serve(Arc::clone(&tracker)));
        let files = match files.transpose() {
            Ok(files) => files,
            Err(why) => {
                server.close();
                return Err(why);
            }
        };
        let numbers = numbers.map(|place| place.serve(&settings.metrics, &tracker));
        let metrics = match numbers.transpose() {
            Ok(metrics) => metrics,
            Err(why) => {
                if let Some(files) = files {
                    files.unmount();
                }
                server.close();
                return Err(why);
            }
        };
        let saving = Saving::start(&settings, Arc::clone(&tracker), Arc::clone(&saver));
        if let Some(predecessor) = predecessor {
            predecessor.let_go();
        }
        Ok(Daemon {
            arguments,
            settings,
            level,
            tracker,
            saver,
            server,
            files,
            metrics,
            saving,
            words,
            signal_handle,
        })
    }

    /// Looks after all threads until a signal says stop.
    fn mind(mut self) -> ExitCode {
        let mut watchdog = Watchdog::of_environment();
        let tick = watchdog.every.map_or(TICK, |every| {
            every.clamp(Duration::from_millis(10), 4 * TICK)
        });
        systemd::ready();
        info!("ready: {}", self.settings.control.path.display());
        let mut told = Instant::now();
        let outcome = loop {
            match self.words.recv_timeout(tick) {
                Ok(Word::Signal(SIGHUP)) => self.reload(),
                Ok(Word::HandOver(mut heir)) => {
                    if self.may_inherit(&mut heir) {
                        return self.hand_over(&mut heir);
                    }
                }
                Ok(Word::Signal(signal)) => {
                    info!(
                        "stops: {}",
                        if signal == SIGTERM {
                            "SIGTERM"
                        } else {
                            "SIGINT"
                        }
                    );
                    break true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break false,
            }
            if self.tracker.workers.has_failed() {
                error!("no more packets come: it ends");
                break false;
            }
            if self.tracker.workers.is_broken() {
                error!("a worker has ended by itself");
                break false;
            }
            watchdog.feed(&self.tracker);
            if told.elapsed() > 10 * TICK {
                told = Instant::now();
                self.tell_status();
            }
        };
        self.stop(outcome)
    }

    fn tell_status(&self) {
        if let Ok(entries) = self.tracker.len() {
            let max = self.tracker.max();
            systemd::status(&format!("{entries} of {max} entries"));
        }
    }

    /// Reads the configuration again and takes over what can change.
    fn reload(&mut self) {
        systemd::reloading();
        let read = settings::read(
            self.arguments.config.as_deref(),
            &self.arguments.overrides(),
        );
        match read {
            Ok(settings) => self.take_over(settings),
            Err(complaints) => {
                complaints
                    .iter()
                    .for_each(|complaint: &Complaint| error!("{complaint}"));
                error!("the configuration stays as it was");
            }
        }
        systemd::ready();
    }

    fn take_over(&mut self, settings: Settings) {
        for key in self.settings.changed(&settings) {
            let name = format!("{}.{}", key.section, key.name);
            match key.takes {
                Takes::Reload => info!("{name} is changed"),
                Takes::Restart => warn!("{name} takes effect at the next start"),
            }
        }
        self.level.set(&settings.log);
        self.saving.every(settings.state.interval.secs());
        if let Err(error) = self.server.reload(&settings.control) {
            error!(
                "{}: the control socket: {error}",
                settings.control.path.display()
            );
        }
        for setting in &settings.sysctl {
            match self.tracker.set_knob(&setting.name, &setting.value) {
                Ok(Ok(())) => debug!("{} = {}", setting.name, setting.value),
                Ok(Err(error)) => error!("[sysctl]: {error}"),
                Err(_) => error!("[sysctl]: a worker has ended"),
            }
        }
        // What takes a restart is still as it was, and will be said again.
        let Settings {
            control,
            state,
            log,
            sysctl,
            ..
        } = settings;
        let (path, target, file) = (
            self.settings.control.path.clone(),
            self.settings.log.target,
            self.settings.state.path.clone(),
        );
        self.settings.control = settings::Control { path, ..control };
        self.settings.state = settings::State {
            path: file,
            ..state
        };
        self.settings.log = settings::Log { target, ..log };
        self.settings.sysctl = sysctl;
        info!("the configuration was read again");
    }
}

fn signals_said(error: std::io::Error) -> String {
    format!("signals cannot be caught: {error}")
}

fn catch_signals() -> Result<Signals, String> {
    Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(signals_said)
}

/// Hands signals on, one after the other.
fn deliver(mut signals: Signals, words: Sender<Word>) -> Result<Handle, String> {
    let handle = signals.handle();
    let wait = move || {
        for signal in &mut signals {
            if words.send(Word::Signal(signal)).is_err() {
                break;
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map_err(signals_said)?;
    Ok(handle)
}
