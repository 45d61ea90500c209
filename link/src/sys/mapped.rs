//! A file as memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// The bytes that a file had when it was mapped; see [`map_file`].
#[derive(Debug)]
pub struct Mapped(Mmap);

/// Maps a whole file for reading from front to back.
///
/// What is appended later is not seen. Nobody may shorten the file or write over it as long as it is
/// mapped: the bytes would change under the reader, and touching a page that the file no longer has
/// ends the process with SIGBUS. That cannot be prevented from here, so a program maps only files that
/// its user named as finished, and *reads* what another process may still be changing. (Replacing a
/// file by renaming another over it is harmless: the mapping keeps the old one.)
///
/// # Errors
///
/// It cannot be mapped: a pipe, a socket, most of `/proc`, or no address space left. Reading it may
/// work all the same.
pub fn map_file(file: &File) -> io::Result<Mapped> {
    // SAFETY: the mapping is read-only, private and as long as the file; `Mmap` keeps it until it is
    // dropped. The bytes stay as they are if nobody shortens or overwrites the file meanwhile, which
    // the documentation asks for; no code of this project writes to a file that it has mapped.
    let map = unsafe { MmapOptions::new().map_copy_read_only(file)? };
    #[cfg(unix)]
    // Advice only: without it the pages come in smaller pieces.
    let _ = map.advise(memmap2::Advice::Sequential);
    Ok(Mapped(map))
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
