//! Netlink messages in and out: of the kernel, or of a daemon that speaks the same language.
//!
//! Two sockets with one face. [`Socket::netfilter`] opens `NETLINK_NETFILTER`, where the kernel's
//! connection tracking answers; [`Socket::connect`] reaches a daemon over a Unix stream socket on which
//! the same messages follow each other, each framed by its own length. What the messages mean is not known
//! here: a request goes out as bytes, whole messages come in as bytes.
//!
//! *Reading.* [`Socket::receive`] waits and hands over as many whole messages as are there, in a buffer
//! that is made once, for all answers of any length. The kernel fills at most 32 KiB of it in a dump. A stream
//! may cut a message anywhere; its beginning is kept until the rest has come.
//!
//! *Losing.* The kernel drops event messages that find no room in the socket, and says so once
//! (`ENOBUFS`): that is [`Received::Overrun`], after which reading goes on. Answers to requests are not lost
//! that way. A larger buffer ([`Socket::set_buffer_size`]) helps against bursts, nothing against a reader
//! that is too slow.
//!
//! *Trust.* Any process with the right to do so may send to a netlink socket. What does not come from
//! the kernel itself, port 0, is thrown away. A message longer than [`MAX_MESSAGE`] or shorter than its
//! header ends the conversation with an error, so that a broken daemon costs no memory.
//!
//! Source: netlink(7), and for groups `linux/netfilter/nfnetlink_compat.h` as numbers.

mod frames;
mod kernel;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SendFlags, recv, recvfrom, send, sockopt};

use frames::Frames;

/// The longest message that is taken, in bytes. The kernel's are below 1 KiB, a stream's may carry an entry
/// and what the kernel does not show.
pub const MAX_MESSAGE: usize = 64 << 10;

/// What [`Socket::receive`] brings.
#[derive(Debug)]
pub enum Received<'a> {
    /// Whole messages, one after the other, each beginning at a multiple of four bytes.
    Messages(&'a [u8]),
    /// The socket's buffer was full: event messages were lost before the next that will be received.
    Overrun,
}

/// Where the messages come from.
enum Peer {
    /// Datagrams of whole messages.
    Kernel,
    /// A stream.
    Daemon,
}

/// A socket to a connection table, and the buffer that it is read into.
pub struct Socket {
    fd: OwnedFd,
    peer: Peer,
    frames: Frames,
}

impl Socket {
    /// The kernel's netfilter, of the network namespace that the calling thread is in. `groups` has a
    /// bit for each multicast group to listen to: group 1 is bit 0; 0 listens to none.
    ///
    /// # Errors
    ///
    /// The kernel has no netlink or no netfilter in it (`EPROTONOSUPPORT`), or does not give a socket.
    pub fn netfilter(groups: u32) -> io::Result<Socket> {
        Ok(Socket {
            fd: kernel::open(groups)?,
            peer: Peer::Kernel,
            frames: Frames::new(),
        })
    }

    /// The daemon that listens on `path`.
    ///
    /// # Errors
    ///
    /// Nobody listens there, or may not be asked.
    pub fn connect(path: &Path) -> io::Result<Socket> {
        Ok(Socket {
            fd: UnixStream::connect(path)?.into(),
            peer: Peer::Daemon,
            frames: Frames::new(),
        })
    }

    /// The number by which the kernel knows this socket, 0 on a stream.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub fn port(&self) -> io::Result<u32> {
        match self.peer {
            Peer::Kernel => kernel::port(&self.fd),
            Peer::Daemon => Ok(0),
        }
    }

    /// Makes the buffer of received messages at least `bytes` large, beyond the system's limit where the
    /// caller may do that. Returns its size: the kernel counts its own records, too, and so doubles
    /// what is asked for.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn set_buffer_size(&self, bytes: usize) -> io::Result<usize> {
        if sockopt::set_socket_recv_buffer_size_force(&self.fd, bytes).is_err() {
            sockopt::set_socket_recv_buffer_size(&self.fd, bytes)?;
        }
        Ok(sockopt::socket_recv_buffer_size(&self.fd)?)
    }

    /// Sends one message or several, whole.
    ///
    /// # Errors
    ///
    /// The peer is gone, or takes no message of that length.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        let mut rest = messages;
        while !rest.is_empty() {
            match send(&self.fd, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits for messages and returns them.
    ///
    /// # Errors
    ///
    /// The peer closed the stream (`UnexpectedEof`), sent what is no message (`InvalidData`), or the
    /// system reports an error. A signal that interrupts is none of them.
    pub fn receive(&mut self) -> io::Result<Received<'_>> {
        loop {
            let outcome = match self.peer {
                Peer::Kernel => self.take_datagram(),
                Peer::Daemon => self.take_bytes(),
            };
            match outcome {
                Ok(true) => return Ok(Received::Messages(self.frames.whole())),
                Ok(false) | Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => return Ok(Received::Overrun),
                Err(errno) => return Err(errno.into()),
            }
            self.frames.check()?;
        }
    }

    /// The socket alone, for whoever reads it in another way.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Returns whether a datagram of the kernel's came.
    fn take_datagram(&mut self) -> Result<bool, Errno> {
        let (_, len, from) = recvfrom(&self.fd, self.frames.empty(), RecvFlags::empty())?;
        let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        let is_kernels = from.is_some_and(|from| from.pid() == 0);
        self.frames.took(if is_kernels { len } else { 0 });
        Ok(is_kernels)
    }

    /// Returns whether there are whole messages now.
    fn take_bytes(&mut self) -> Result<bool, Errno> {
        if self.frames.has_closed() {
            return Ok(false);
        }
        let (_, len) = recv(&self.fd, self.frames.behind(), RecvFlags::empty())?;
        Ok(self.frames.grew(len))
    }
}

impl AsFd for Socket {
    /// To wait for messages and for something else.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
