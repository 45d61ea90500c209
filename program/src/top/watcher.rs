//! The thread that looks at the table.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ip_conntrack_analysis::Report;
use rustix::time::{ClockId, clock_gettime};

use crate::report::{Follower, Live};

/// The time between two questions for the number of entries.
const PAUSE: Duration = Duration::from_secs(1);

/// A look is followed by so many times the processor time that it took without one. It takes several cores at once, so
/// the clock on the wall would tell too little.
const REST: u32 = 25;

/// The processor time of this process, all threads and the kernel on its behalf included.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What the thread tells.
pub(super) enum Update {
    /// Entries, and the limit.
    Count(u64, Option<u64>),
    /// What was seen.
    Report(Box<Report>),
    /// What went wrong.
    Failed(String),
}

/// The thread, which ends with the value.
pub(super) struct Watcher {
    pub(super) updates: Receiver<Update>,
    now: Sender<()>,
}

impl Watcher {
    /// Opens the table and starts to look.
    pub(super) fn start(live: Live) -> Result<Watcher, String> {
        let follower = Follower::new(live)?;
        let (tell, updates) = channel();
        let (now, asked) = channel();
        thread::spawn(move || watch(follower, &tell, &asked));
        Ok(Watcher { updates, now })
    }

    /// Asks for a look without waiting for its time.
    pub(super) fn look_now(&self) {
        // If nobody looks any more, that was told already.
        let _ = self.now.send(());
    }
}

fn watch(mut follower: Follower, tell: &Sender<Update>, asked: &Receiver<()>) {
    let mut due = Instant::now();
    loop {
        let mut updates = vec![match follower.count() {
            Ok((entries, max)) => Update::Count(entries, max),
            Err(error) => Update::Failed(error),
        }];
        if Instant::now() >= due {
            let before = spent();
            updates.push(match follower.look(true) {
                Ok(report) => Update::Report(Box::new(report)),
                Err(error) => Update::Failed(error),
            });
            let took = spent().saturating_sub(before);
            due = Instant::now() + (took * REST).max(PAUSE);
        }
        for update in updates {
            if tell.send(update).is_err() {
                return;
            }
        }
        match asked.recv_timeout(PAUSE) {
            Ok(()) => due = Instant::now(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
