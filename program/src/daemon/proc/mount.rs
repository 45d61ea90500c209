//! The directory on which the files are mounted: whether it can be, and what is to be cleared away before.
//!
//! A daemon that was killed leaves its mount behind, and whoever looks there is told that nobody answers
//! (ENOTCONN): that is taken away. Anything else that is there is left alone.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tracing::info;

const FUSE: &str = "/dev/fuse";

/// A mount, and the device over which the kernel asks for what is in it.
pub(super) struct Mounted {
    /// The mount's root, whatever is mounted over it.
    pub(super) root: OwnedFd,
    pub(super) device: OwnedFd,
}

/// Mounts on a directory.
///
/// # Errors
///
/// In words, with what to do about it.
pub(super) fn make(directory: &Path) -> Result<Mounted, String> {
    let device = prepare(directory)?;
    let said = |error: io::Error| {
        let mend = match error.kind() {
            io::ErrorKind::PermissionDenied => "; root or CAP_SYS_ADMIN is needed",
            _ => "",
        };
        let name = directory.display();
        format!("{name}: the files of /proc cannot be mounted: {error}{mend}")
    };
    mount_device(directory, &device).map_err(said)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(directory, flags, Mode::empty());
    Ok(Mounted {
        root: root.map_err(|errno| said(errno.into()))?,
        device: device.into(),
    })
}

fn mount_device(directory: &Path, device: &File) -> io::Result<()> {
    let mode = fs::metadata(directory)?.mode();
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    // The kernel holds the modes against whoever opens a file, and lets anybody try.
    let options = format!(
        "fd={},rootmode={mode:o},user_id={},group_id={},default_permissions,allow_other",
        device.as_raw_fd(),
        user.as_raw(),
        group.as_raw()
    );
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("ipct", directory, "fuse", flags, options.as_c_str())?;
    Ok(())
}

/// Makes a directory ready to be mounted on. => the device
fn prepare(directory: &Path) -> Result<File, String> {
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
    File::options().read(true).write(true).open(FUSE).map_err(|error| {
        format!(
            "{FUSE}: {error}; the files of /proc need FUSE: load its module (modprobe fuse), and let the daemon \
             have the device"
        )
    })
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
