//! `ipct run`: a tracker that stays.
//!
//! *Threads.* Workers track ([`worker`]); one thread takes connections to the control socket and each
//! connection has one ([`server`]); two answer the kernel for the files of `/proc` ([`proc`]); one saves the table
//! now and then; one waits for signals; the main thread minds them all. Only workers touch trackers,
//! everybody else asks them between two batches of packets, so no packet waits for a reader.
//!
//! *Start.* The configuration is checked as a whole, then everything is made in the order of what may fail
//! and what others need: the log, the saved table, the workers, the socket, the files. What fails is said, what
//! was made until then is taken away, and the status is 1. Only then READY is told.
//!
//! *Stop.* On SIGTERM or SIGINT files and socket go first, so that nothing changes any more; the table is saved;
//! the workers end.

mod arguments;
mod events;
mod log;
mod metrics;
mod proc;
mod saving;
mod server;
pub(crate) mod settings;
mod source;
mod start;
mod state;
mod systemd;
mod tracker;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use tracing::{debug, error, info, warn};

pub(crate) use arguments::Run;
use metrics::Metrics;
use proc::Files;
use saving::Saving;
use server::Server;
use settings::{Complaint, Settings, Takes};
use state::Saver;
use systemd::Watchdog;
use tracker::Tracker;

use crate::say;

/// How often the main thread looks after the others.
const TICK: Duration = Duration::from_secs(1);

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
    signals: Receiver<i32>,
    signal_handle: Handle,
}

impl<'a> Daemon<'a> {
    fn start(
        arguments: &'a Run,
        settings: Settings,
        level: log::Level,
    ) -> Result<Daemon<'a>, String> {
        // From here on, a signal is for us to answer.
        let (signals, signal_handle) = catch_signals()?;
        if let Some(path) = &settings.state.path {
            state::check_place(path)?;
        }
        let tracker = Arc::new(start::tracker(&settings)?);
        let saver = Arc::new(Saver::new(settings.state.path.clone()));
        let server = Server::open(&settings.control, Arc::clone(&tracker), Arc::clone(&saver));
        let server = server.map_err(|error| error.to_string())?;
        let files = match &settings.proc.mount {
            None => None,
            Some(directory) => match Files::mount(directory, Arc::clone(&tracker)) {
                Ok(files) => Some(files),
                Err(why) => {
                    server.close();
                    return Err(why);
                }
            },
        };
        let metrics = match Metrics::start(&settings.metrics, &tracker) {
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
            signals,
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
            match self.signals.recv_timeout(tick) {
                Ok(SIGHUP) => self.reload(),
                Ok(signal) => {
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

    fn stop(self, mut well: bool) -> ExitCode {
        systemd::stopping();
        self.signal_handle.close();
        if let Some(files) = self.files {
            files.unmount();
        }
        if let Some(metrics) = self.metrics {
            metrics.close();
        }
        self.server.close();
        self.saving.end();
        if self.saver.is_wanted() {
            match self.saver.save(&self.tracker) {
                Ok(()) => info!("the table is saved"),
                Err(error) => {
                    error!("{error}");
                    well = false;
                }
            }
        }
        if let Ok(counters) = self.tracker.named_counters() {
            let counted = counters.iter().filter(|(_, count)| *count > 0);
            let counted: Vec<_> = counted
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            info!("{}", counted.join(" "));
        }
        for (worker, counts) in self.tracker.loads().unwrap_or_default().iter().enumerate() {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{name}={count}"))
                .collect();
            info!("worker {worker}: {}", counts.join(" "));
        }
        if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Signals, one after the other.
fn catch_signals() -> Result<(Receiver<i32>, Handle), String> {
    let say = |error: std::io::Error| format!("signals cannot be caught: {error}");
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(say)?;
    let handle = signals.handle();
    let (sender, receiver) = channel();
    let wait = move || {
        for signal in &mut signals {
            if sender.send(signal).is_err() {
                break;
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map_err(say)?;
    Ok((receiver, handle))
}
