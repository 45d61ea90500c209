//! The kernel's end: `AF_NETLINK` sockets.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// A socket of netfilter's that listens to `groups`, a bit for each.
pub(super) fn open(groups: u32) -> io::Result<OwnedFd> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    bind(&fd, &SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

/// The port that the kernel chose when it was bound.
pub(super) fn port(fd: &OwnedFd) -> io::Result<u32> {
    let address = SocketAddrNetlink::try_from(getsockname(fd)?)?;
    Ok(address.pid())
}
