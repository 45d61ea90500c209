//! A TUN device: an interface whose packets a program takes and gives.
//!
//! What the kernel sends to the interface is read here, one IP packet each time, with its checksum; what is
//! written here is received from it. Nothing waits: a device that has or takes nothing says so. It goes with its
//! last user, unless it was made to stay.
//!
//! Source: the kernel's `Documentation/networking/tuntap.rst`; the crate `tun_rs` does the calls.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Packets that wait in the kernel to be read; what comes beyond that is lost. The kernel's own 500 are fewer than
/// one connection has under way.
const PACKETS: u32 = 8192;

/// A TUN device.
pub struct Device(SyncDevice);

impl Device {
    /// Takes the device of that name, or makes it, and switches it on. Its addresses and routes are the
    /// administrator's business.
    ///
    /// # Errors
    ///
    /// The caller may not, another program has it, or the kernel has no TUN. The text names the device.
    pub fn open(name: &str) -> io::Result<Device> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("TUN device {name}: {error}"));
        let builder = DeviceBuilder::new().name(name).layer(Layer::L3);
        let builder = builder.with(|builder| {
            builder.tx_queue_len(PACKETS);
        });
        let device = builder.build_sync().map_err(named)?;
        device.set_nonblocking(true).map_err(named)?;
        Ok(Device(device))
    }

    /// Reads a packet; `None` if there is none. What is longer than `place` is cut.
    ///
    /// # Errors
    ///
    /// The system's: the device is gone, for instance.
    pub fn receive(&self, place: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.recv(place) {
            Ok(len) => Ok(Some(len)),
            Err(error) if waits(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a packet. Returns `false` if the kernel does not take it: it is no IP packet, there is no room, or
    /// the interface is switched off.
    ///
    /// # Errors
    ///
    /// The device is gone.
    pub fn send(&self, packet: &[u8]) -> io::Result<bool> {
        match self.0.send(packet) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl AsFd for Device {
    /// Readable when there is a packet.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
