//! The files of `/proc`, mounted with FUSE on a directory of choice: listings, counters, knobs, by today's
//! names and by those of `ip_conntrack`.
//!
//! *Habits* are the kernel's. Files have no size, and are read to their end. Modes decide who may read, and a
//! file without the right to write is closed to root, too (EACCES). A number is written in one piece from
//! the beginning; what is written behind that is taken and means nothing. What a knob does not accept is
//! EINVAL. Nothing can be made, deleted or given other modes.
//!
//! *Life.* [`Files::mount`] clears away what a killed daemon left, and refuses a directory that is in use.
//! [`Files::unmount`] takes the mount away, also from under files that are open.

mod filesystem;
mod mount;
mod number;
mod open;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use tracing::warn;

use super::tracker::Tracker;
use filesystem::Proc;

/// The mount's end is waited for so long.
const LONGEST_END: Duration = Duration::from_secs(1);

/// Threads that answer the kernel.
const THREADS: usize = 2;

/// The files, while they are mounted.
pub(crate) struct Files {
    directory: PathBuf,
    session: BackgroundSession,
    closed: Arc<AtomicBool>,
}

impl Files {
    /// Mounts them.
    ///
    /// # Errors
    ///
    /// In words, with what to do about it.
    pub(crate) fn mount(directory: &Path, tracker: Arc<Tracker>) -> Result<Files, String> {
        mount::prepare(directory)?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("ipct".to_owned()),
            MountOption::Subtype("ipct".to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoSuid,
            MountOption::NoDev,
            MountOption::NoExec,
        ];
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        let closed = Arc::new(AtomicBool::new(false));
        let files = Proc::new(tracker, Arc::clone(&closed));
        let session = Session::new(files, directory, &config);
        let session = session.and_then(Session::spawn).map_err(|error| {
            format!(
                "{}: the files of /proc cannot be mounted: {error}",
                directory.display()
            )
        })?;
        Ok(Files {
            directory: directory.to_owned(),
            session,
            closed,
        })
    }

    /// Takes them away. Who has a file open, or another mount namespace that has a copy of the mount, keeps
    /// the file system alive for itself; nobody waits for that, and it answers nothing any more.
    pub(crate) fn unmount(self) {
        let Files {
            directory,
            session,
            closed,
        } = self;
        closed.store(true, Relaxed);
        let (sender, ended) = channel();
        let end = move || sender.send(session.umount_and_join());
        let waits = thread::Builder::new()
            .name("unmounts".to_owned())
            .spawn(end);
        let refused = match waits.map(|_| ended.recv_timeout(LONGEST_END)) {
            Ok(Ok(Ok(()))) | Ok(Err(_)) => return,
            Ok(Ok(Err(error))) | Err(error) => error,
        };
        if let Err(error) = mount::detach(&directory) {
            let name = directory.display();
            warn!("{name}: it stays mounted: {refused}, {error}; umount -l {name} takes it away");
        }
    }
}
