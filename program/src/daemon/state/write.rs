//! A new state file in the place of the old one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::frame::{self, Header};
use crate::daemon::tracker::{Tracker, Walk};
use crate::daemon::worker::SLOTS_AT_ONCE;

/// Writes the table beside the old file, and puts it in its place when it is on the disk.
pub(super) fn replace(path: &Path, tracker: &Tracker) -> io::Result<()> {
    let draft = draft_of(path);
    let written = write(&draft, tracker);
    let replaced = written.and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced?;
    // The name is on the disk when the directory is.
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}

fn write(draft: &Path, tracker: &Tracker) -> io::Result<()> {
    // What a killed daemon left may belong to somebody else.
    let _ = fs::remove_file(draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    let begun = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut header = Header {
        begun: u64::try_from(begun.as_nanos()).unwrap_or(u64::MAX),
        ..Header::default()
    };
    file.write_all(&[0; frame::LEN])?;
    let mut checksum = crc32fast::Hasher::new();
    let (mut walk, mut out) = (Walk::default(), Vec::new());
    loop {
        out.clear();
        let step = walk.step(tracker, move |shard, cursor| {
            let mut count = 0;
            let next = shard
                .conntrack
                .connections_from(cursor, SLOTS_AT_ONCE, |connection| {
                    ip_conntrack::format::netlink::put_entry(
                        &mut out,
                        Default::default(),
                        0,
                        &connection,
                    );
                    count += 1;
                });
            ((out, count), next)
        });
        match step {
            Ok(Some((filled, count))) => {
                out = filled;
                header.entries += count;
            }
            Ok(None) => break,
            Err(_) => return Err(io::Error::other("a worker has ended")),
        }
        file.write_all(&out)?;
        checksum.update(&out);
        header.len += out.len() as u64;
    }
    header.checksum = checksum.finalize();
    // The header makes it a state file: it comes last.
    file.sync_data()?;
    file.write_all_at(&header.write(), 0)?;
    file.sync_all()
}
