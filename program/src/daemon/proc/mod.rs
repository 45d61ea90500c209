//! The files of `/proc`, mounted with FUSE on a directory of choice: listings, counters, knobs, by today's
//! names and by those of `ip_conntrack`.
//!
//! *Habits* are the kernel's. Files have no size, and are read to their end. Modes decide who may read, and a
//! file without the right to write is closed to root, too (EACCES). A number is written in one piece from
//! the beginning; what is written behind that is taken and means nothing. What a knob does not accept is
//! EINVAL. Nothing can be made, deleted or given other modes.
//!
//! *Life.* [`Mount::make`] clears away what a killed daemon left, and refuses a directory that is in use. Nobody
//! must look there before it is served ([`Mount::serve`]): who does so waits. [`Files::unmount`] takes the mount away,
//! also from under files that are open; and so does a helper if the daemon is killed ([`helper`]).

mod filesystem;
mod helper;
mod mount;
mod number;
mod open;
mod tree;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use fuser::{BackgroundSession, Config, Session, SessionACL};
use tracing::warn;

use super::tracker::Tracker;
use filesystem::Proc;
use helper::Helper;
pub(crate) use helper::{VERB as UNMOUNT_BEHIND, run as unmount_behind};
use mount::Mounted;

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// A mount that nobody serves yet.
pub(crate) struct Mount {
    directory: PathBuf,
    device: OwnedFd,
    helper: Helper,
}

/// The files, while they are mounted.
pub(crate) struct Files {
    directory: PathBuf,
    helper: Helper,
    closed: Arc<AtomicBool>,
    _session: BackgroundSession,
}

impl Mount {
    /// Mounts on a directory.
    ///
    /// # Errors
    ///
    /// In words, with what to do about it.
    pub(crate) fn make(directory: &Path) -> Result<Mount, String> {
        let Mounted { root, device } = mount::make(directory)?;
        let helper = Helper::start(root).map_err(|error| said(directory, &error))?;
        Ok(Mount {
            directory: directory.to_owned(),
            device,
            helper,
        })
    }

    /// Serves the files of a tracker there.
    ///
    /// # Errors
    ///
    /// In words: the kernel does not answer as it should, or gives no threads.
    pub(crate) fn serve(self, tracker: Arc<Tracker>) -> Result<Files, String> {
        let Mount {
            directory,
            device,
            helper,
        } = self;
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        let closed = Arc::new(AtomicBool::new(false));
        let files = Proc::new(tracker, Arc::clone(&closed));
        let session = Session::from_fd(files, device, SessionACL::All, config);
        let session = session
            .and_then(Session::spawn)
            .map_err(|error| said(&directory, &error))?;
        Ok(Files {
            directory,
            helper,
            closed,
            _session: session,
        })
    }
}

fn said(directory: &Path, error: &io::Error) -> String {
    let name = directory.display();
    format!("{name}: the files of /proc cannot be mounted: {error}")
}

impl Files {
    /// Takes them away. Who has a file open, or another mount namespace that has a copy of the mount, keeps
    /// the file system alive for itself; nobody waits for that, and it answers nothing any more.
    pub(crate) fn unmount(mut self) {
        self.closed.store(true, Relaxed);
        if let Err(error) = self.helper.unmount() {
            let name = self.directory.display();
            warn!("{name}: it stays mounted: {error}; umount -l {name} takes it away");
        }
    }
}
