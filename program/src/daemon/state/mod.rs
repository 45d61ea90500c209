//! The table outlives the daemon: saved to a file, taken back at the next start.
//!
//! *Saving* goes through the table step by step while it lives; each step is on its way to the disk before
//! the next is asked for, so nothing is held twice and no packet waits longer than for a listing. The file is
//! written beside the old one, brought to the disk, and put in its place only then: at every moment there is
//! one whole file under the name, or none.
//!
//! *Times* are saved as what remains of them, and go on from there: while no daemon runs, time stands still
//! for the entries.
//!
//! *Taking back* ([`restore`]) first looks at the whole file, then reads it again. A file that is not as it
//! was written is refused by name and put aside under another one, which is for its owner to look at; nothing
//! of it is taken.

mod frame;
mod write;

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ip_conntrack::format::netlink::{LONGEST, Message};
use rustix::fs::Access;
use rustix::io::Errno;

use super::tracker::Tracker;
use frame::Header;
pub(crate) use frame::{Refused, VERSION};

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// Saves the table.
pub(crate) struct Saver {
    path: Option<PathBuf>,
    /// Held by who saves.
    saves: Mutex<()>,
}

impl Saver {
    /// Saves to that file; to none, saving is an error.
    pub(crate) fn new(path: Option<PathBuf>) -> Saver {
        Saver {
            path,
            saves: Mutex::new(()),
        }
    }

    /// Whether there is a file to save to.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.path.is_some()
    }

    /// Saves the table. When it returns, the file is on the disk.
    ///
    /// # Errors
    ///
    /// The file could not be written: the old one is as it was. The text names the file.
    pub(crate) fn save(&self, tracker: &Tracker) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Err(io::Error::other("no state file is configured (state.path)"));
        };
        let _one_at_a_time = self.saves.lock().unwrap_or_else(PoisonError::into_inner);
        write::replace(path, tracker).map_err(|error| {
            let text = format!("{}: the table cannot be saved: {error}", path.display());
            io::Error::new(error.kind(), text)
        })
    }
}

/// Whether a file can be made at a path, so that nobody finds out at the end that it cannot.
///
/// # Errors
///
/// In words, with what to do about it.
pub(crate) fn check_place(path: &Path) -> Result<(), String> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let name = directory.display();
    match rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) => Err(format!(
            "{}: the table cannot be saved there: there is no directory {name}; make it with mkdir -p \
             {name}, or set state.path",
            path.display()
        )),
        Err(errno) => Err(format!(
            "{}: the table cannot be saved there: {name}: {errno}; give the daemon the directory, or set \
             state.path",
            path.display()
        )),
    }
}

/// What became of a file.
pub(crate) enum Restored {
    /// There is none.
    Nothing,
    /// Its entries were handed over.
    Entries(u64),
    /// It is refused, and was put aside under this name.
    Aside(Refused, PathBuf),
}

/// Hands over the entries of a file, as messages.
///
/// # Errors
///
/// It cannot be read, or not be put aside. The text names the file.
pub(crate) fn restore(path: &Path, each: impl FnMut(&Message<'_>)) -> io::Result<Restored> {
    let named = |error: io::Error| {
        let text = format!(
            "{}: the saved table cannot be taken back: {error}",
            path.display()
        );
        io::Error::new(error.kind(), text)
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Restored::Nothing),
        Err(error) => return Err(named(error)),
    };
    match check(&mut file).map_err(named)? {
        Ok(header) => read(file, header, each)
            .map_err(named)
            .map(Restored::Entries),
        Err(refused) => {
            let aside = put_aside(path).map_err(named)?;
            Ok(Restored::Aside(refused, aside))
        }
    }
}

/// Looks at the whole file: the header, the checksum, and whether it consists of messages.
fn check(file: &mut File) -> io::Result<Result<Header, Refused>> {
    let file_len = file.metadata()?.len();
    let mut first = Vec::with_capacity(frame::LEN);
    file.by_ref()
        .take(frame::LEN as u64)
        .read_to_end(&mut first)?;
    let header = match Header::read(&first, file_len) {
        Ok(header) => header,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut checksum = crc32fast::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        checksum.update(chunk.get(..count).unwrap_or_default());
    }
    if checksum.finalize() != header.checksum {
        return Ok(Err(Refused::Damaged(
            "the checksum of its entries is wrong",
        )));
    }
    file.seek(SeekFrom::Start(frame::LEN as u64))?;
    let mut entries = 0;
    let whole = messages(&*file, |_| entries += 1)?;
    Ok(match whole && entries == header.entries {
        true => Ok(header),
        false => Err(Refused::Damaged(
            "its entries are no messages of this machine",
        )),
    })
}

fn read(mut file: File, header: Header, each: impl FnMut(&Message<'_>)) -> io::Result<u64> {
    file.seek(SeekFrom::Start(frame::LEN as u64))?;
    messages(&file, each)?;
    Ok(header.entries)
}

/// Hands over the messages of a file. => whether there is nothing else in it.
fn messages(file: &File, mut each: impl FnMut(&Message<'_>)) -> io::Result<bool> {
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let mut bytes = Vec::new();
    loop {
        let count = reader.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        let mut used = 0;
        loop {
            match Message::first(bytes.get(used..).unwrap_or_default()) {
                Ok(Some((message, len))) => {
                    each(&message);
                    used += len;
                }
                Ok(None) => break,
                Err(_) => return Ok(false),
            }
        }
        bytes.drain(..used.min(bytes.len()));
        if count == 0 {
            return Ok(bytes.is_empty());
        }
        debug_assert!(bytes.len() < LONGEST);
    }
}

/// Moves a file to a name that is not used yet.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        number += 1;
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".refused-{number}"));
        let aside = PathBuf::from(aside);
        if !aside.try_exists()? {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
    }
}
