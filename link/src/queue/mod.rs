//! Packets that a rule holds up until a program says what becomes of them: NFQUEUE of iptables, `queue` of nft.
//!
//! *Life.* [`Queue::open`] asks the kernel for a queue by its number, which one program at a time may have. A
//! packet that comes to the rule then waits in the kernel, and a copy of its first bytes comes here
//! ([`Queue::receive`], [`Queue::packets`]). It goes on when its number is sent back with a verdict
//! ([`Verdicts::send`]), from whatever thread. When the queue is dropped, the kernel drops what still waits.
//!
//! *Too many.* The kernel holds no more packets than [`Options::length`], and its copies find no room in a
//! socket that is not read fast enough; in both cases the packet is dropped, or passes if [`Options::fail_open`]
//! says so. The second is told as [`Received::Overrun`]. [`Queue::losses`] has the kernel's own count of both.
//!
//! *Whole packets.* Segments that the kernel keeps together (GSO) come as one packet, and checksums that it
//! leaves to the hardware are not there yet ([`Packet::checksum`]).
//!
//! *Several verdicts.* They go out together, in one call. One message stands for several packets if these are
//! neighbours with the same verdict and mark *and* nothing older waits, since it decides on everything up to a
//! number.
//!
//! Source: `linux/netfilter/nfnetlink_queue.h` as numbers, and the kernel's behaviour.

mod message;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::net::{SendFlags, send};

use crate::netlink::{Received as Answer, Socket};
use crate::sys::Datagrams;
use message::Config;
pub use message::{Checksum, Packet};

/// Bytes of a message beside the packet's: headers and attributes, with room for those that later kernels add.
const OVERHEAD: usize = 512;

/// Packets received with one call, at most.
const AT_ONCE: usize = 32;

/// The longest copy of a packet, in bytes.
pub const MAX_COPY: u32 = 0xffff;

/// What is asked of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes of each packet that are wanted, at most [`MAX_COPY`].
    pub copy: u32,
    /// Packets that may wait in the kernel.
    pub length: u32,
    /// Whether a packet for which there is no room passes instead of being dropped.
    pub fail_open: bool,
    /// Bytes of the socket's buffer.
    pub buffer: usize,
}

/// What the kernel says of packets that never came here; they were dropped, or passed ([`Options::fail_open`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// So many packets wait now.
    pub waiting: u64,
    /// The queue was full.
    pub queue_full: u64,
    /// The socket's buffer was full.
    pub buffer_full: u64,
}

/// What [`Queue::receive`] brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many packets, perhaps none; [`Queue::packets`] has them.
    Packets(usize),
    /// Packets were lost because the socket's buffer was full.
    Overrun,
}

/// A queue of the kernel's.
pub struct Queue {
    verdicts: Verdicts,
    datagrams: Datagrams,
    /// The kernel's counters, where its `/proc` can be read.
    counters: Option<File>,
}

/// What goes back to a queue, from any thread.
#[derive(Clone, Debug)]
pub struct Verdicts {
    fd: Arc<OwnedFd>,
    number: u16,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decided {
    /// The packet's number, [`Packet::id`].
    pub id: u32,
    /// Whether it goes on.
    pub accept: bool,
    /// Its mark from now on.
    pub mark: u32,
}

impl Queue {
    /// Takes a queue of the network namespace that the calling thread is in.
    ///
    /// # Errors
    ///
    /// Another program has it or the caller may not (`EPERM`), or the kernel has none. The text names the queue.
    pub fn open(number: u16, options: &Options) -> io::Result<Queue> {
        let named = |error: io::Error| named(number, &error);
        let mut socket = Socket::netfilter(0).map_err(named)?;
        socket.set_buffer_size(options.buffer).map_err(named)?;
        let copy = options.copy.clamp(1, MAX_COPY);
        let mut out = Vec::new();
        for config in [
            Config::Bind,
            Config::Flags {
                fail_open: options.fail_open,
            },
            Config::Length(options.length),
            // Packets come from here on.
            Config::Copy(copy),
        ] {
            out.clear();
            config.write(&mut out, number);
            socket.send(&out).map_err(named)?;
            acknowledged(&mut socket).map_err(named)?;
        }
        Ok(Queue {
            verdicts: Verdicts {
                fd: Arc::new(socket.into_fd()),
                number,
            },
            datagrams: Datagrams::new(AT_ONCE, copy as usize + OVERHEAD),
            counters: File::open("/proc/thread-self/net/netfilter/nfnetlink_queue").ok(),
        })
    }

    /// Has the kernel put no more packets into the queue: what comes now is dropped, or passes
    /// ([`Options::fail_open`]), as if it were full. Those that wait come all the same.
    ///
    /// # Errors
    ///
    /// The kernel does not take the request; what it thinks of it nobody waits for.
    pub fn take_no_more(&self) -> io::Result<()> {
        let mut out = Vec::new();
        Config::Length(0).write(&mut out, self.verdicts.number);
        send(&self.verdicts.fd, &out, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Takes what is there, without waiting.
    ///
    /// # Errors
    ///
    /// The system reports one; no more will come.
    pub fn receive(&mut self) -> io::Result<Received> {
        match self.datagrams.receive(&self.verdicts.fd) {
            Ok(count) => Ok(Received::Packets(count)),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Received::Overrun),
            Err(error) => Err(named(self.verdicts.number, &error)),
        }
    }

    /// The packets that were received last.
    pub fn packets(&mut self) -> impl Iterator<Item = Packet<'_>> {
        let number = self.verdicts.number;
        self.datagrams
            .iter_mut()
            .filter_map(move |datagram| Packet::read(datagram, number))
    }

    /// Where verdicts go.
    pub fn verdicts(&self) -> Verdicts {
        self.verdicts.clone()
    }

    /// What the kernel counted; `None` if it does not tell.
    pub fn losses(&self) -> Option<Losses> {
        let mut buffer = [0; 16 << 10];
        let len = self.counters.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(buffer.get(..len)?).ok()?;
        text.lines()
            .find_map(|line| losses_of(line, self.verdicts.number))
    }
}

/// A line of the kernel's: number, port, waiting, copy mode, copy range, queue full, buffer full, last id.
fn losses_of(line: &str, queue: u16) -> Option<Losses> {
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [number, _, waiting, _, _, queue_full, buffer_full, ..] if number == u64::from(queue) => {
            Some(Losses {
                waiting,
                queue_full,
                buffer_full,
            })
        }
        _ => None,
    }
}

/// Waits until the last request is acknowledged.
fn acknowledged(socket: &mut Socket) -> io::Result<()> {
    loop {
        match socket.receive()? {
            Answer::Overrun => {}
            Answer::Messages(bytes) => match message::error_of(bytes) {
                Some(0) => return Ok(()),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                None => {}
            },
        }
    }
}

fn named(number: u16, error: &io::Error) -> io::Error {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM) => {
            "; root or CAP_NET_ADMIN is needed, and another program must not have it"
        }
        Some(libc::EBUSY) => "; another program has it",
        _ => "",
    };
    io::Error::new(error.kind(), format!("queue {number}: {error}{hint}"))
}

impl AsFd for Queue {
    /// Readable when there are packets.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.verdicts.fd.as_fd()
    }
}

impl Verdicts {
    /// Sends verdicts, in the order of the packets' numbers. `nothing_older_waits` says that there is no packet
    /// with a lower number than these on which nobody has decided yet. `buffer` is used, and emptied first.
    ///
    /// # Errors
    ///
    /// The system's. A packet that is not there any more, because its interface is gone for instance, is none.
    pub fn send(
        &self,
        decided: &[Decided],
        nothing_older_waits: bool,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        buffer.clear();
        for same in decided.chunk_by(|a, b| (a.accept, a.mark) == (b.accept, b.mark)) {
            match same {
                [.., last] if nothing_older_waits && same.len() > 1 => {
                    message::put_verdict(buffer, self.number, last, true);
                }
                _ => same
                    .iter()
                    .for_each(|one| message::put_verdict(buffer, self.number, one, false)),
            }
        }
        if buffer.is_empty() {
            return Ok(());
        }
        match send(&self.fd, buffer, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(errno) => Err(named(self.number, &errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_read_by_their_places() {
        let line = "    3  12345     7 2   256     5    11      100  1";
        let losses = Losses {
            waiting: 7,
            queue_full: 5,
            buffer_full: 11,
        };
        assert_eq!(losses_of(line, 3), Some(losses));
        assert_eq!(
            (losses_of(line, 4), losses_of("    3  12", 3)),
            (None, None)
        );
    }
}
