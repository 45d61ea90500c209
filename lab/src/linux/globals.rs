//! The two knobs that are the kernel's, not the namespace's: `nf_conntrack_max` and
//! `nf_conntrack_buckets`.
//!
//! Only root may write them, from the first namespace: their files are opened before the thread enters
//! its own. Whoever changes them runs alone, and a helper process puts the values back when this one
//! ends, however it ends: it waits for the end of its input.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "/proc/sys/net/netfilter";
const NAMES: [&str; 2] = ["nf_conntrack_max", "nf_conntrack_buckets"];

/// The two knobs, while this process may change them.
#[derive(Debug)]
pub struct Globals {
    files: [File; 2],
    restorer: Child,
}

impl Globals {
    /// Whether a knob is one of the two.
    pub fn has(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Opens both, and starts the process that puts them back. To be called before [`Linux::new`].
    ///
    /// # Errors
    ///
    /// They cannot be written here.
    ///
    /// [`Linux::new`]: super::Linux::new
    pub fn open() -> Result<Globals, String> {
        let said = |name: &str, error: std::io::Error| format!("{FOLDER}/{name}: {error}");
        let value = |name: &str| {
            let text = fs::read_to_string(format!("{FOLDER}/{name}"));
            text.map_err(|error| said(name, error))
        };
        let open = |name: &str| {
            let file = File::options().write(true).open(format!("{FOLDER}/{name}"));
            file.map_err(|error| said(name, error))
        };
        let files = [open(NAMES[0])?, open(NAMES[1])?];
        let (max, buckets) = (value(NAMES[0])?, value(NAMES[1])?);
        let restore = format!(
            "trap '' INT TERM HUP; cat >/dev/null; \
             echo {} >{FOLDER}/nf_conntrack_buckets; echo {} >{FOLDER}/nf_conntrack_max",
            buckets.trim(),
            max.trim()
        );
        let restorer = Command::new("sh")
            .args(["-c", &restore])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        Ok(Globals { files, restorer })
    }

    /// Sets one.
    ///
    /// # Errors
    ///
    /// It is not one of the two, or the kernel does not accept the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let at = NAMES.iter().position(|known| *known == name);
        let at = at.ok_or(format!("{name}: not a knob of the whole kernel"))?;
        let file = &mut self.files[at];
        let written = file
            .rewind()
            .and_then(|()| file.write_all(value.as_bytes()));
        written.map_err(|error| format!("{name}={value}: {error}"))
    }
}

impl Drop for Globals {
    fn drop(&mut self) {
        drop(self.restorer.stdin.take());
        let _ = self.restorer.wait();
    }
}
