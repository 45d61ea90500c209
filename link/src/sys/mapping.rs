//! Memory that is shared with the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// A mapping, until this is dropped. It may move to another thread; who reads and writes it, and when, is its
/// user's to prove.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it is an address and a length; what belongs to it is not tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference allows no access to the memory but by raw pointers.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes of a socket's rings, from `offset` on.
    pub(super) fn of(socket: BorrowedFd<'_>, len: usize, offset: i64) -> io::Result<Mapping> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Mapping::new(len, flags, socket.as_raw_fd(), offset)
    }

    /// `len` bytes of zeros.
    pub(super) fn anonymous(len: usize) -> io::Result<Mapping> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Mapping::new(len, flags, -1, 0)
    }

    fn new(len: usize, flags: i32, descriptor: i32, offset: i64) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory in use.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, descriptor, offset) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The address of the byte at `offset`, if `len` bytes from there on are in the mapping.
    #[inline]
    pub(super) fn at(&self, offset: usize, len: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(len)?;
        // SAFETY: `offset` is not behind the end of the mapping.
        (end <= self.len).then(|| unsafe { self.start.add(offset) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and borrows of it have ended.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
