//! Many datagrams of the kernel's with one call: recvmmsg(2) on a netlink socket.
//!
//! The memory is made once, one place of the same size for each datagram. A datagram that does not fit, or
//! that comes from another process than the kernel, is passed over.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Datagrams received with one call, at most.
const MOST: usize = 32;

/// Room for datagrams, and those that were received last.
#[derive(Debug)]
pub struct Datagrams {
    bytes: Box<[u8]>,
    size: usize,
    lens: Vec<usize>,
}

impl Datagrams {
    /// Room for `count` datagrams of at most `size` bytes; from 1 to 32 of them, of at least a byte.
    pub fn new(count: usize, size: usize) -> Datagrams {
        let (count, size) = (count.clamp(1, MOST), size.max(1));
        Datagrams {
            bytes: vec![0; count * size].into_boxed_slice(),
            size,
            lens: Vec::with_capacity(count),
        }
    }

    /// Takes the datagrams that are there, without waiting. Returns how many: 0 if there are none.
    ///
    /// # Errors
    ///
    /// As recvmmsg(2); `ENOBUFS` means that datagrams were lost, and that the next call may find some again.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.lens.clear();
        let count = self.bytes.len() / self.size;
        // SAFETY: these are numbers and pointers, all of which may be 0.
        let (mut heads, mut parts, mut names): (
            [libc::mmsghdr; MOST],
            [libc::iovec; MOST],
            [libc::sockaddr_nl; MOST],
        ) = unsafe { zeroed() };
        let places = self.bytes.chunks_exact_mut(self.size);
        for (((place, head), part), name) in places.zip(&mut heads).zip(&mut parts).zip(&mut names)
        {
            part.iov_base = place.as_mut_ptr().cast();
            part.iov_len = place.len();
            head.msg_hdr.msg_iov = part;
            head.msg_hdr.msg_iovlen = 1;
            head.msg_hdr.msg_name = ptr::from_mut(name).cast();
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: `heads` has at least `count` elements, as `new` sees to; each of these names one part, that
        // names a place of `bytes` by its length, which nobody else uses while `self` is borrowed, and an address
        // of its own by its size. All of them live until the call returns, and no timeout is given.
        let got = unsafe {
            libc::recvmmsg(
                fd,
                heads.as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (head, name) in heads.iter().zip(&names).take(got) {
            let is_whole = head.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let is_good = is_whole && name.nl_pid == 0;
            self.lens
                .push(if is_good { head.msg_len as usize } else { 0 });
        }
        Ok(got)
    }

    /// The datagrams that were received last, to be read and written; an empty one was passed over.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let places = self.bytes.chunks_exact_mut(self.size);
        places.zip(&self.lens).map(|(place, len)| {
            let len = (*len).min(place.len());
            &mut place[..len]
        })
    }
}
