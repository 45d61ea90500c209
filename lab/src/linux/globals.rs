//! The kernel's two knobs that are not a namespace's own: `nf_conntrack_max` and `nf_conntrack_buckets`.
//!
//! They can only be written from the first namespace, and stay as they are when a process ends. So a
//! helper process puts them back when this one ends, however it ends: it waits for its standard input
//! to be closed, in a process group of its own, where Ctrl-C does not reach it.
//!
//! Two that did this at once would put back each other's values. So the first is locked until they are
//! as they were; the helper holds the lock, too.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

const FOLDER: &str = "/proc/sys/net/netfilter";

/// The knobs, until this is dropped.
#[derive(Debug)]
pub struct Globals {
    max: Flock<File>,
    buckets: File,
    restorer: Child,
}

impl Globals {
    /// Opens them, as soon as nobody else has. The calling thread has to be in the first namespace.
    ///
    /// # Errors
    ///
    /// They cannot be read and written: this is not root or another namespace, or the kernel has no
    /// connection tracking.
    pub fn open() -> Result<Globals, String> {
        let max = File::options()
            .write(true)
            .open(path(MAX))
            .map_err(|error| said(MAX, &error))?;
        let max = Flock::lock(max, FlockArg::LockExclusive)
            .map_err(|(_, error)| said(MAX, &error.into()))?;
        let buckets = File::options()
            .write(true)
            .open(path(BUCKETS))
            .map_err(|error| said(BUCKETS, &error))?;
        let restore = format!(
            "cat >/dev/null; echo {} >{}; echo {} >{}",
            value(BUCKETS)?,
            path(BUCKETS),
            value(MAX)?,
            path(MAX),
        );
        // Its standard output is the lock; it writes nothing there.
        let lock = max.try_clone().map_err(|error| said(MAX, &error))?;
        let restorer = Command::new("sh")
            .args(["-c", &restore])
            .stdin(Stdio::piped())
            .stdout(lock)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        Ok(Globals {
            max,
            buckets,
            restorer,
        })
    }

    /// Whether a knob is one of the two.
    pub fn has(name: &str) -> bool {
        matches!(name, MAX | BUCKETS)
    }

    /// Sets one of them.
    ///
    /// # Errors
    ///
    /// It is neither, or the kernel does not accept the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            MAX => put(&mut self.max, MAX, value),
            BUCKETS => put(&mut self.buckets, BUCKETS, value),
            _ => Err(format!("{name}: not a knob of the whole kernel")),
        }
    }

    /// Sets both.
    ///
    /// # Errors
    ///
    /// The kernel does not accept the values, or has no memory for so many buckets.
    pub fn set_both(&mut self, max: u64, buckets: u64) -> Result<(), String> {
        self.set(MAX, &max.to_string())?;
        self.set(BUCKETS, &buckets.to_string())
    }
}

impl Drop for Globals {
    fn drop(&mut self) {
        // Closing its input is what the restorer waits for.
        drop(self.restorer.stdin.take());
        let _ = self.restorer.wait();
    }
}

const MAX: &str = "nf_conntrack_max";
const BUCKETS: &str = "nf_conntrack_buckets";

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn said(name: &str, error: &std::io::Error) -> String {
    format!(
        "{}: {error} (needs root in the first network namespace, and the module nf_conntrack)",
        path(name)
    )
}

fn value(name: &str) -> Result<String, String> {
    let text = fs::read_to_string(path(name)).map_err(|error| said(name, &error))?;
    Ok(text.trim().to_owned())
}

fn put(file: &mut File, name: &str, value: &str) -> Result<(), String> {
    file.rewind()
        .and_then(|()| file.write_all(value.as_bytes()))
        .map_err(|error| format!("{} = {value}: {error}", path(name)))
}
