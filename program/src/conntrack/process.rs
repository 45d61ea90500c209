//! Who has a netlink port, and what the kernel tells of one.
//!
//! An event carries the port of the socket by which the change was asked for. That is a number of the kernel's
//! choice, often the process's but not always: `/proc/net/netlink` has the socket's inode, and the descriptors of
//! some process lead to it. A program that has ended has no name.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The protocol number of netfilter's sockets.
const NETFILTER: u32 = 12;

/// A line of `/proc/net/netlink`.
struct Line {
    inode: u64,
    /// Messages that found no room.
    drops: u64,
}

/// The line of netfilter's socket that has this port.
fn line(port: u32) -> Option<Line> {
    let text = fs::read_to_string("/proc/net/netlink").ok()?;
    text.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |n: usize| words.get(n)?.parse::<u64>().ok();
        let is_it = number(1)? == u64::from(NETFILTER) && number(2)? == u64::from(port);
        is_it.then_some(Line {
            drops: number(8)?,
            inode: number(9)?,
        })
    })
}

/// Messages that the socket of this port has lost.
pub(super) fn lost(port: u32) -> Option<u64> {
    line(port).map(|line| line.drops)
}

/// The last answer of [`program`], for a program that changes many entries. A port is given to another socket
/// later, so it does not hold for long.
#[derive(Default)]
pub(super) struct Programs(Option<(u32, Option<String>, Instant)>);

impl Programs {
    /// The name of the program that has a port.
    pub(super) fn name(&mut self, port: u32) -> Option<String> {
        let known = self
            .0
            .as_ref()
            .filter(|(p, _, at)| *p == port && at.elapsed() < HOLDS);
        if let Some((_, name, _)) = known {
            return name.clone();
        }
        let name = program(port);
        self.0 = Some((port, name.clone(), Instant::now()));
        name
    }
}

/// How long an answer holds.
const HOLDS: Duration = Duration::from_millis(500);

fn program(port: u32) -> Option<String> {
    let socket = format!("socket:[{}]", line(port)?.inode);
    // It is mostly the process of that number.
    let likely = Path::new("/proc").join(port.to_string());
    if holds(&likely, &socket) {
        return name(&likely);
    }
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .map(|process| process.path())
        .filter(|path| is_number(path))
        .find(|path| holds(path, &socket))
        .and_then(|path| name(&path))
}

fn is_number(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes);
    name.is_some_and(|name| name.iter().all(u8::is_ascii_digit))
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == Path::new(socket)))
}

fn name(process: &Path) -> Option<String> {
    let name = fs::read_to_string(process.join("comm")).ok()?;
    Some(name.trim_end().to_owned())
}
