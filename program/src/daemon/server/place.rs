//! The socket's file: taken, given to who may use it, and taken away.
//!
//! A lock on a file beside it says whether a daemon lives there; what is found without a lock was left by
//! one that was killed. The socket is made under another name, given its owner and mode, and only then moved
//! to its own, so that nobody can connect before.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::daemon::settings::Control;

/// A socket's file that is ours.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Locked while it is open.
    _lock: File,
}

impl Place {
    /// Makes the socket.
    ///
    /// # Errors
    ///
    /// A daemon lives there, or the system refuses.
    pub(crate) fn take(control: &Control) -> io::Result<(Place, UnixListener)> {
        let path = control.path.clone();
        let say = |what: &str, error: &io::Error| {
            let text = format!(
                "{}: the control socket cannot be {what}: {error}",
                path.display()
            );
            let mend = match error.kind() {
                io::ErrorKind::NotFound => {
                    "; make its directory with mkdir -p, or set control.path"
                }
                _ => "",
            };
            io::Error::new(error.kind(), format!("{text}{mend}"))
        };
        let lock = lock(&beside(&path, ".lock")).map_err(|error| say("made", &error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let text = format!(
                "{}: a daemon serves this control socket already; stop it, take over from it with --replace, or set control.path",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let draft = beside(&path, ".new");
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).map_err(|error| say("made", &error))?;
        listener.set_nonblocking(true)?;
        let place = Place {
            path: path.clone(),
            _lock: lock,
        };
        place
            .give_file(&draft, control)
            .map_err(|error| say("given to its owner", &error))?;
        fs::rename(&draft, &path).map_err(|error| say("put in its place", &error))?;
        Ok((place, listener))
    }

    /// Gives the socket its owner, group and mode.
    ///
    /// # Errors
    ///
    /// Only root may do that, or the file is gone.
    pub(super) fn give(&self, control: &Control) -> io::Result<()> {
        self.give_file(&self.path, control)
    }

    fn give_file(&self, file: &Path, control: &Control) -> io::Result<()> {
        // Who is not root has no choice of owners; what is set by default is then not meant.
        let has_choice = rustix::process::geteuid().is_root();
        // Only who owns a file may set its mode, so that comes before it is given away.
        if has_choice {
            chown(file, Some(0), Some(0))?;
        }
        fs::set_permissions(file, Permissions::from_mode(control.mode.0))?;
        match has_choice {
            true => chown(file, Some(control.owner.0), Some(control.group.0)),
            false => Ok(()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
