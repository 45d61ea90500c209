//! A progress bar, for a person at a terminal; nothing where stderr is a file or a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ip_conntrack_link::Capture;

/// Packets between two looks at the files.
const PACKETS_PER_LOOK: u64 = 4096;

pub(super) struct Progress {
    bar: ProgressBar,
    /// Packets at which the files are looked at next.
    next_look: u64,
}

impl Progress {
    /// Bytes read of all files, where their sizes are known; else only that something goes on.
    pub(super) fn new(captures: &[Capture]) -> Progress {
        let sizes: Option<u64> = captures.iter().map(Capture::size).sum();
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(sizes, target);
        let template = match sizes {
            Some(_) => "{bar:40} {bytes} of {total_bytes}, {eta} left {msg}",
            None => "{spinner} {bytes} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, next_look: 0 }
    }

    pub(super) fn show(&mut self, packets: u64, captures: &[Capture]) {
        if packets >= self.next_look && !self.bar.is_hidden() {
            self.next_look = packets + PACKETS_PER_LOOK;
            self.bar
                .set_position(captures.iter().map(Capture::consumed).sum());
        }
    }

    /// Writes something to stderr without the bar getting in between.
    pub(super) fn pause(&mut self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
