//! The thread that saves the table now and then, while the daemon runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{debug, error};

use super::settings::Settings;
use super::state::Saver;
use super::tracker::Tracker;

/// The thread that saves the table now and then.
pub(super) struct Saving {
    every: Sender<Duration>,
    thread: Option<JoinHandle<()>>,
}

impl Saving {
    pub(super) fn start(settings: &Settings, tracker: Arc<Tracker>, saver: Arc<Saver>) -> Saving {
        let (every, told) = channel();
        let first = interval(settings.state.interval.secs());
        let thread = thread::Builder::new().name("saves".to_owned());
        let thread = thread.spawn(move || save_often(&told, first, &tracker, &saver));
        Saving {
            every,
            thread: thread
                .inspect_err(|error| error!("the table is saved at the end only: {error}"))
                .ok(),
        }
    }

    pub(super) fn every(&self, secs: u64) {
        let _ = self.every.send(interval(secs));
    }

    /// Ends it, after a save that is under way.
    pub(super) fn end(self) {
        drop(self.every);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

/// 0 is never.
const fn interval(secs: u64) -> Duration {
    match secs {
        0 => Duration::from_secs(u32::MAX as u64),
        secs => Duration::from_secs(secs),
    }
}

fn save_often(told: &Receiver<Duration>, mut every: Duration, tracker: &Tracker, saver: &Saver) {
    loop {
        match told.recv_timeout(every) {
            Ok(changed) => every = changed,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if saver.is_wanted() => match saver.save(tracker) {
                Ok(()) => debug!("the table is saved"),
                Err(error) => error!("{error}; the old file stays, and it is tried again"),
            },
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
