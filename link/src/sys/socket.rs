//! Options of sockets, and what can be asked of network interfaces: the calls that no library wraps.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A new socket.
pub(crate) fn open(family: i32, kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let descriptor = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sets an option to a value, which the kernel reads as so many bytes.
pub(super) fn set<T: Copy>(
    socket: BorrowedFd<'_>,
    level: i32,
    option: i32,
    value: &T,
) -> io::Result<()> {
    let (address, len) = (&raw const *value, size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel reads `len` bytes of `value` at most, and changes nothing of this process.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, address.cast(), len) };
    done(result)
}

/// The value of an option.
///
/// # Safety
///
/// A `T` may be made of any bytes.
pub(super) unsafe fn get<T: Copy>(
    socket: BorrowedFd<'_>,
    level: i32,
    option: i32,
) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    let place = value.as_mut_ptr().cast();
    // SAFETY: the kernel writes `len` bytes at most, and `value` has as many.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, place, &raw mut len) };
    done(result)?;
    // SAFETY: it is zeroed or written, and by the caller's promise any bytes will do.
    Ok(unsafe { value.assume_init() })
}

/// Binds it to an address of the family's own form.
pub(super) fn bind<T: Copy>(socket: BorrowedFd<'_>, address: &T) -> io::Result<()> {
    let (address, len) = (&raw const *address, size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel reads `len` bytes of the address.
    done(unsafe { libc::bind(socket.as_raw_fd(), address.cast(), len) })
}

/// Tells the kernel to send what stands in a ring. What cannot be sent yet is no error.
pub(super) fn send_ring(socket: BorrowedFd<'_>) -> io::Result<()> {
    let (nothing, flags) = (std::ptr::null(), libc::MSG_DONTWAIT);
    // SAFETY: there is neither a message nor an address.
    let result =
        unsafe { libc::sendto(socket.as_raw_fd(), nothing, 0, flags, std::ptr::null(), 0) };
    done(if result < 0 { -1 } else { 0 })
}

/// Tells the kernel that there is memory to receive into.
pub(super) fn receive_ring(socket: BorrowedFd<'_>) -> io::Result<()> {
    let (nothing, flags) = (std::ptr::null_mut(), libc::MSG_DONTWAIT);
    // SAFETY: there is neither a buffer nor room for an address.
    let result = unsafe {
        let nobody = std::ptr::null_mut();
        libc::recvfrom(
            socket.as_raw_fd(),
            nothing,
            0,
            flags,
            nobody,
            std::ptr::null_mut(),
        )
    };
    done(if result < 0 { -1 } else { 0 })
}

pub(super) fn done(result: i32) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What can be asked of an interface, and how `struct ifreq` holds the answer.
#[repr(C)]
#[derive(Clone, Copy)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    value: Value,
    _rest: [u8; 16],
}

#[repr(C)]
#[derive(Clone, Copy)]
union Value {
    number: i32,
    short: u16,
    address: usize,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    _max: [u32; 4],
    receive: u32,
    _send: u32,
    _other: u32,
    combined: u32,
}

/// Asks for a number: 16 bits of it for flags and link types.
fn ask(socket: BorrowedFd<'_>, name: &str, what: libc::c_ulong, value: Value) -> io::Result<Value> {
    let mut request = InterfaceRequest {
        name: [0; libc::IFNAMSIZ],
        value,
        _rest: [0; 16],
    };
    let Some(place) = request
        .name
        .get_mut(..name.len())
        .filter(|_| name.len() < libc::IFNAMSIZ)
    else {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    };
    place.copy_from_slice(name.as_bytes());
    let address = &raw mut request;
    // SAFETY: the kernel reads and writes a `struct ifreq`, 40 bytes as here; for `SIOCETHTOOL`, the caller
    // has put the address of what belongs to the command in it, which the kernel reads and writes, too.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), what as _, address) })?;
    Ok(request.value)
}

/// An interface's flags, `IFF_UP` and others.
pub(crate) fn flags(socket: BorrowedFd<'_>, name: &str) -> io::Result<u16> {
    let value = ask(socket, name, libc::SIOCGIFFLAGS as _, Value { address: 0 })?;
    // SAFETY: any bytes are a number.
    Ok(unsafe { value.short })
}

/// An interface's link type, `ARPHRD_ETHER` and others.
pub(crate) fn link_type(socket: BorrowedFd<'_>, name: &str) -> io::Result<u16> {
    let value = ask(socket, name, libc::SIOCGIFHWADDR as _, Value { address: 0 })?;
    // SAFETY: any bytes are a number.
    Ok(unsafe { value.short })
}

/// The longest packet that an interface takes, without its link header.
pub(crate) fn mtu(socket: BorrowedFd<'_>, name: &str) -> io::Result<usize> {
    let value = ask(socket, name, libc::SIOCGIFMTU as _, Value { address: 0 })?;
    // SAFETY: any bytes are a number.
    Ok(usize::try_from(unsafe { value.number }).unwrap_or(0))
}

/// An interface's number.
pub(crate) fn index(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let value = ask(socket, name, libc::SIOCGIFINDEX as _, Value { address: 0 })?;
    // SAFETY: any bytes are a number.
    Ok(u32::try_from(unsafe { value.number }).unwrap_or(0))
}

/// How many queues an interface receives on; 1 where its driver does not say.
pub(crate) fn queues(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let mut channels = Channels {
        command: 0x3c,
        ..Channels::default()
    };
    // SAFETY: 0x3c is ETHTOOL_GCHANNELS, which is told a `struct ethtool_channels`.
    let is_known = unsafe { ask_driver(socket, name, &mut channels) }?;
    let count = if is_known {
        channels.receive + channels.combined
    } else {
        0
    };
    Ok(count.max(1))
}

/// Whether an interface takes the VLAN's tag off what it receives.
pub(crate) fn strips_tags(socket: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    const STRIPS_TAGS: u32 = 1 << 8;
    let mut flags = [0x25, 0];
    // SAFETY: 0x25 is ETHTOOL_GFLAGS, which is told a `struct ethtool_value`: the command and a number.
    let is_known = unsafe { ask_driver(socket, name, &mut flags) }?;
    Ok(is_known && flags[1] & STRIPS_TAGS != 0)
}

/// Asks an interface's driver. => whether it knows the question.
///
/// # Safety
///
/// `T` is what belongs to the command that stands in its first four bytes, and any bytes make one.
unsafe fn ask_driver<T>(socket: BorrowedFd<'_>, name: &str, question: &mut T) -> io::Result<bool> {
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    let address = std::ptr::from_mut(question).expose_provenance();
    match ask(socket, name, SIOCETHTOOL, Value { address }) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}
