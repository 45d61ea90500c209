//! The directory on which the files are mounted: whether it can be, and what is to be cleared away before.
//!
//! A daemon that was killed leaves its mount behind, and whoever looks there is told that nobody answers
//! (ENOTCONN): that is taken away. Anything else that is there is left alone.

use std::fs;
use std::io;
use std::path::Path;

use rustix::mount::{UnmountFlags, unmount};
use tracing::info;

const FUSE: &str = "/dev/fuse";

/// Makes a directory ready to be mounted on.
///
/// # Errors
///
/// In words, with what to do about it.
pub(super) fn prepare(directory: &Path) -> Result<(), String> {
    let name = directory.display();
    // One mount may lie upon another.
    for _ in 0..16 {
        match fs::metadata(directory) {
            Ok(about) if about.is_dir() => break,
            Ok(_) => return Err(format!("{name}: it is no directory")),
            Err(error) if is_stale(&error) => {
                unmount(directory, UnmountFlags::DETACH).map_err(|errno| {
                    format!(
                        "{name}: a mount that nobody serves any more cannot be taken away: {errno}"
                    )
                })?;
                info!("{name}: took away a mount that nobody served any more");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!(
                    "{name}: there is no such directory; make it with mkdir -p {name}"
                ));
            }
            Err(error) => return Err(format!("{name}: {error}")),
        }
    }
    if let Some(kind) = mounted(directory) {
        return Err(format!(
            "{name}: the mount is busy: {kind} is there already; umount {name}, or \
             choose another directory"
        ));
    }
    let mut files = fs::read_dir(directory).map_err(|error| format!("{name}: {error}"))?;
    if files.next().is_some() {
        return Err(format!(
            "{name}: it is not empty, and its files would be hidden; choose an empty directory"
        ));
    }
    if let Err(error) = fs::File::options().read(true).write(true).open(FUSE) {
        return Err(format!(
            "{FUSE}: {error}; the files of /proc need FUSE: load its module (modprobe fuse), and let the daemon \
             have the device"
        ));
    }
    Ok(())
}

/// Takes the mount away even if files in it are open.
pub(super) fn detach(directory: &Path) -> io::Result<()> {
    Ok(unmount(directory, UnmountFlags::DETACH)?)
}

fn is_stale(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error())
}

/// What is mounted there.
fn mounted(directory: &Path) -> Option<String> {
    let directory = fs::canonicalize(directory).ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().rev().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let at = unescape(place.split(' ').nth(4)?);
        let mut kind = kind.split(' ');
        let (kind, source) = (kind.next()?, kind.next()?);
        (Path::new(&at) == directory).then(|| format!("{source} (type {kind})"))
    })
}

/// Blanks, newlines and backslashes stand in the list as octal numbers.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (escape, meant)| {
            text.replace(escape, meant)
        })
}
