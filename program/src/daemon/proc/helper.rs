//! The process that takes the mount away when the daemon is gone.
//!
//! That needs `CAP_SYS_ADMIN`, which the daemon gives away (`daemon/rights`). So it starts its own program once more,
//! before that, with two things: one end of a pipe, which closes when the daemon closes it or ends in whatever way,
//! and the root of the mount, which is another one than any that is made later on the same directory. The helper
//! reads from the pipe until that is closed, takes away that mount, also from under files that are open, and ends. It
//! hears nothing else, and keeps the one capability. While it lives, the mount is in use: by hand, `umount -l` takes
//! it away.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::CapabilitySet;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::daemon::rights::{self, Calls, Plan};
use crate::say;

/// By what the program knows that it is the helper.
pub(crate) const VERB: &str = "unmount-behind";

/// Its end is waited for so long.
const LONGEST_END: Duration = Duration::from_secs(1);

/// The helper, as the daemon has it. The mount goes at the latest when this is dropped.
pub(super) struct Helper(Child);

impl Helper {
    /// Starts it. `root` is the mount's.
    ///
    /// # Errors
    ///
    /// The program cannot be started once more.
    pub(super) fn start(root: OwnedFd) -> io::Result<Helper> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("ipct").arg(VERB);
        command.stdin(Stdio::piped()).stdout(root);
        command.spawn().map(Helper)
    }

    /// Has it take the mount away.
    ///
    /// # Errors
    ///
    /// It could not, or does not answer.
    pub(super) fn unmount(&mut self) -> io::Result<()> {
        drop(self.0.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_END {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(io::Error::other(format!("the helper: {status}"))),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(io::Error::other("the helper does not answer"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.0.stdin.is_some() {
            let _ = self.unmount();
        }
    }
}

/// What the helper does: the pipe is its standard input, the mount's root its standard output.
pub(crate) fn run() -> ExitCode {
    // It ends when the daemon has, not when both are told to.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    let plan = Plan {
        user: None,
        sandbox: true,
        capabilities: CapabilitySet::SYS_ADMIN,
        writes: Vec::new(),
        clears: Vec::new(),
        reads: Vec::new(),
        calls: Calls {
            unmount: true,
            ..Calls::default()
        },
    };
    if let Err(why) = rights::keep_only(&plan) {
        say(format_args!(
            "the helper that unmounts keeps its rights: {why}"
        ));
    }
    let _ = io::stdin().read_to_end(&mut Vec::new());
    match unmount("/proc/self/fd/1", UnmountFlags::DETACH) {
        // Somebody has done it already.
        Ok(()) | Err(Errno::INVAL) => ExitCode::SUCCESS,
        Err(errno) => {
            say(format_args!("the files of /proc stay mounted: {errno}"));
            ExitCode::FAILURE
        }
    }
}
