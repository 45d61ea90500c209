//! The end of a daemon, by a signal or since another one takes over.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use tracing::{error, info};

use super::state::Saver;
use super::tracker::Tracker;
use super::{Daemon, heir, systemd};

impl Daemon<'_> {
    /// Ends all that others see of it: files, socket, and the place in the packets' way.
    fn cease(self) -> (Arc<Tracker>, Arc<Saver>) {
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
        self.tracker.workers.close();
        (self.tracker, self.saver)
    }

    /// Stops, and saves the table. `well` is whether nothing has gone wrong yet.
    pub(super) fn stop(self, mut well: bool) -> ExitCode {
        let (tracker, saver) = self.cease();
        well &= save(&saver, &tracker);
        tell_counts(&tracker);
        status(well)
    }

    /// Whether another daemon may take over: the table is saved, whatever comes.
    pub(super) fn may_inherit(&self, heir: &mut UnixStream) -> bool {
        if self.saver.is_wanted()
            && let Err(error) = self.saver.save(&self.tracker)
        {
            error!("{error}; so no other daemon takes over");
            heir::refuse(heir, &error.to_string());
            return false;
        }
        if !heir::is_there(heir) {
            error!("who wanted to take over has ended; so this daemon stays");
            return false;
        }
        true
    }

    /// Hands the table over to another daemon, and stops.
    pub(super) fn hand_over(self, heir: &mut UnixStream) -> ExitCode {
        info!("stops: another daemon takes over");
        let (tracker, saver) = self.cease();
        let given = heir::give(heir, &tracker);
        let well = match given {
            Ok(entries) => {
                info!("{entries} entries were handed over");
                true
            }
            Err(error) => {
                error!("the other daemon has not taken over: {error}");
                save(&saver, &tracker);
                false
            }
        };
        tell_counts(&tracker);
        status(well)
    }
}

/// Saves the table, if it is to be. => whether that went well.
fn save(saver: &Saver, tracker: &Tracker) -> bool {
    if !saver.is_wanted() {
        return true;
    }
    let saved = saver.save(tracker);
    match &saved {
        Ok(()) => info!("the table is saved"),
        Err(error) => error!("{error}"),
    }
    saved.is_ok()
}

/// What was counted, at the end.
fn tell_counts(tracker: &Tracker) {
    if let Ok(counters) = tracker.named_counters() {
        let counted = counters.iter().filter(|(_, count)| *count > 0);
        let counted: Vec<_> = counted
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        info!("{}", counted.join(" "));
    }
    for (worker, counts) in tracker.loads().unwrap_or_default().iter().enumerate() {
        let counts: Vec<_> = counts
            .iter()
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        info!("worker {worker}: {}", counts.join(" "));
    }
}

fn status(well: bool) -> ExitCode {
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
