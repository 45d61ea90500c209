//! What systemd is told: ready, reloading, stopping, and that all workers are alive.

use std::time::Duration;

use sd_notify::NotifyState;

use super::tracker::Tracker;

/// Tells it something. If nobody listens, that is as it is.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Feeds the watchdog while every worker goes on.
pub(crate) struct Watchdog {
    /// How often it is to be fed; `None` if there is none.
    pub(crate) every: Option<Duration>,
    /// Rounds that each worker had gone when it was fed last.
    rounds: Vec<u64>,
}

impl Watchdog {
    /// The watchdog that systemd has set for this process.
    pub(crate) fn of_environment() -> Watchdog {
        Watchdog {
            every: sd_notify::watchdog_enabled().map(|within| within / 3),
            rounds: Vec::new(),
        }
    }

    /// Feeds it, unless a worker has not gone a round since it was fed last. Workers go one each second.
    pub(crate) fn feed(&mut self, tracker: &Tracker) {
        let rounds = tracker.workers.rounds();
        let all_go_on = self.rounds.len() != rounds.len()
            || self
                .rounds
                .iter()
                .zip(&rounds)
                .all(|(before, now)| before != now);
        if all_go_on {
            tell(&[NotifyState::Watchdog]);
            self.rounds = rounds;
        }
    }
}
