//! Directories that the daemon has to write in, whoever it is by then.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::{getgid, getuid};

use super::Account;

/// A directory, and the setting from which it comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) key: &'static str,
}

impl Place {
    /// Where a file is.
    pub(crate) fn of(file: &Path, key: &'static str) -> Place {
        let parent = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Place {
            directory: parent.unwrap_or(Path::new(".")).to_owned(),
            key,
        }
    }

    /// Whether files can be made and taken away there.
    ///
    /// # Errors
    ///
    /// In words, with whose it is and what to do about it.
    pub(super) fn check(&self, account: Option<&Account>) -> Result<(), String> {
        let Place { directory, key } = self;
        let Err(errno) = access(directory, Access::WRITE_OK | Access::EXEC_OK) else {
            return Ok(());
        };
        let name = directory.display();
        let whose = fs::metadata(directory).map_or_else(
            |_| String::new(),
            |about| {
                let (user, group, mode) = (about.uid(), about.gid(), about.mode() & 0o7777);
                format!("it belongs to user {user} and group {group}, with mode {mode:04o}; ")
            },
        );
        let (user, group) = (getuid().as_raw(), getgid().as_raw());
        let named = account.map_or_else(|| format!("user {user}"), |account| account.name.clone());
        Err(format!(
            "{name}: the daemon has to write there ({key}), and as {named} may not: {errno}. {whose}chown \
             {user}:{group} {name} mends it, or another {key}"
        ))
    }
}
