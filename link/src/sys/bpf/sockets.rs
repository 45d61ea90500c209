//! A map of AF_XDP sockets, by queue.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::call::{MAP_CREATE, MAP_UPDATE, MapCreate, MapElement, address, bpf, made};
use super::{Instruction, reference};

/// Sockets to which an XDP program may redirect frames. One that is closed leaves it by itself.
#[derive(Debug)]
pub struct Sockets(OwnedFd);

impl Sockets {
    /// A map with places for so many.
    ///
    /// # Errors
    ///
    /// No right to, or no memory.
    pub fn new(places: u32) -> io::Result<Sockets> {
        const XSKMAP: u32 = 17;
        let mut create = MapCreate {
            kind: XSKMAP,
            key_size: size_of::<u32>() as u32,
            value_size: size_of::<u32>() as u32,
            max_entries: places,
        };
        // SAFETY: no pointers.
        unsafe { made(MAP_CREATE, &mut create) }.map(Sockets)
    }

    /// Puts a socket in its place.
    ///
    /// # Errors
    ///
    /// There is no such place, or it is no AF_XDP socket.
    pub fn put(&self, place: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = socket.as_raw_fd();
        let mut update = MapElement {
            map: self.0.as_raw_fd() as u32,
            _pad: 0,
            key: address(&raw const place),
            value: address(&raw const value),
            flags: 0,
        };
        // SAFETY: keys and values have 4 bytes, by `new`, as `place` and `value` do. Both are only read,
        // and outlive the call.
        unsafe { bpf(MAP_UPDATE, &mut update) }.map(drop)
    }

    /// The two instructions that put a reference to the map into a register, as
    /// [`Array::reference`](super::Array::reference) does.
    pub fn reference(&self, register: u8) -> [Instruction; 2] {
        reference(self.0.as_fd(), register)
    }
}
