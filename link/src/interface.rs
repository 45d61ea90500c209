//! Network interfaces of the thread's network namespace: which there are, and what they are like.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use crate::sys::socket;

/// An interface as it was when it was looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number. An interface that is made again under the same name has another one.
    pub index: u32,
    /// Whether it is up and its other end answers.
    pub is_running: bool,
    /// Whether what it sends comes back to it.
    pub is_loopback: bool,
    /// Whether frames begin with an Ethernet header.
    pub is_ethernet: bool,
    /// The longest packet, in bytes, without the link header.
    pub mtu: usize,
    /// How many queues it receives on.
    pub queues: u32,
    /// Whether it takes the VLAN's tag off what it receives: who gets frames from the driver does not see it.
    pub strips_tags: bool,
}

impl Interface {
    /// Looks an interface up.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn named(name: &str) -> io::Result<Interface> {
        // Any kind of socket will do, and this kind everybody may open.
        let socket = socket::open(libc::AF_UNIX, libc::SOCK_DGRAM)?;
        let fd = socket.as_fd();
        let said = |error: io::Error| io::Error::new(error.kind(), Missing(name.to_owned(), error));
        let flags = socket::flags(fd, name).map_err(said)?;
        let has = |flag: i32| i32::from(flags) & flag != 0;
        let link_type = socket::link_type(fd, name).map_err(said)?;
        Ok(Interface {
            name: name.to_owned(),
            index: socket::index(fd, name).map_err(said)?,
            is_running: runs(flags),
            is_loopback: has(libc::IFF_LOOPBACK),
            is_ethernet: matches!(link_type, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK),
            mtu: socket::mtu(fd, name).map_err(said)?,
            queues: socket::queues(fd, name).map_err(said)?,
            strips_tags: socket::strips_tags(fd, name).map_err(said)?,
        })
    }

    /// The same interface, running or not as it is now; `None` if it is gone. It takes no lock of the kernel's that
    /// those who set up interfaces hold.
    ///
    /// # Errors
    ///
    /// It cannot be found out.
    pub fn again(&self) -> io::Result<Option<Interface>> {
        let socket = socket::open(libc::AF_UNIX, libc::SOCK_DGRAM)?;
        let fd = socket.as_fd();
        let seen = socket::index(fd, &self.name)
            .and_then(|index| Ok((index, socket::flags(fd, &self.name)?)));
        match seen {
            Ok((index, flags)) => Ok((index == self.index).then(|| Interface {
                is_running: runs(flags),
                ..self.clone()
            })),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an error of [`named`](Interface::named) says that there is none of that name.
    pub fn is_missing(error: &io::Error) -> bool {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Missing>());
        inner.is_some_and(|Missing(_, error)| error.raw_os_error() == Some(libc::ENODEV))
    }
}

/// Whether an interface is up and its other end answers, by its flags.
fn runs(flags: u16) -> bool {
    let both = libc::IFF_UP | libc::IFF_RUNNING;
    i32::from(flags) & both == both
}

/// What could not be looked up, and why.
#[derive(Debug)]
struct Missing(String, io::Error);

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing(name, error) = self;
        match error.raw_os_error() {
            Some(libc::ENODEV) => write!(f, "{name}: there is no such network interface"),
            _ => write!(f, "{name}: the network interface cannot be asked: {error}"),
        }
    }
}
