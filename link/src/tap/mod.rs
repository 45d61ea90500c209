//! Listening on interfaces: copies of packets, taken beside their way.
//!
//! A [`Tap`] is a ring of packets ([`PacketRing`]) that is not bound to one interface, with a program in the
//! kernel that takes those of some: so packets of several interfaces come in the order in which they were
//! seen, and an interface may vanish and come back.
//!
//! *Once.* A router shows a forwarded packet twice, as it comes in and as it goes out. The program takes the
//! first: what goes out is taken only if it did not come in by one of the interfaces that are listened on. So
//! what this host sends is seen, and on the loopback, where everything goes out and comes back, each
//! packet once.
//!
//! *Several taps* share packets among them by the program of [`spread`]: both directions of a connection, and
//! the errors about it, go to the same.

mod spread;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

pub use spread::spread;

use crate::instructions::{IF_EQUAL, LOAD_32, SET, answer, if_value, load, register, when};
use crate::interface::Interface;
use crate::sys::bpf::{Instruction, Program};
use crate::sys::packet_ring::{Counted, Frames, PacketRing};

/// Bytes of a ring's block.
const BLOCK: usize = 1 << 18;

/// The longest time that a packet waits in a block that does not fill.
pub const LONGEST_WAIT: Duration = Duration::from_millis(4);

/// A share of the packets of some interfaces.
#[derive(Debug)]
pub struct Tap {
    ring: PacketRing,
}

impl Tap {
    /// So many taps, each with so many bytes of memory, that share packets by `key`; see [`spread`]. None takes
    /// any packet before [`listen`](Tap::listen).
    ///
    /// # Errors
    ///
    /// No right to (`CAP_NET_RAW`; `CAP_BPF`, or root), or no memory.
    pub fn several(count: usize, bytes: usize, key: [u64; 2]) -> io::Result<Vec<Tap>> {
        let mut taps = Vec::with_capacity(count);
        let program = Program::socket_filter(&spread(key, count as u32))?;
        let mut group = None;
        for _ in 0..count {
            let ring = PacketRing::new(bytes, BLOCK, LONGEST_WAIT)?;
            if count > 1 {
                group = Some(ring.join(group, &program)?);
            }
            taps.push(Tap { ring });
        }
        Ok(taps)
    }

    /// Takes the packets of these interfaces from now on, and no others: the first `snap` bytes of each.
    ///
    /// # Errors
    ///
    /// One of them is gone.
    pub fn listen(&self, interfaces: &[Interface], snap: u32) -> io::Result<()> {
        self.ring
            .open(&Program::socket_filter(&takes(interfaces, snap))?)
    }

    /// Has an interface receive packets for others, too, as long as this lives.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn be_promiscuous(&self, interface: &Interface) -> io::Result<()> {
        self.ring.be_promiscuous(interface.index)
    }

    /// Packets, oldest first, of those that are there: see [`PacketRing::frames`].
    #[inline]
    pub fn frames(&mut self) -> Frames<'_> {
        self.ring.frames()
    }

    /// What the kernel has counted since this was called last.
    ///
    /// # Errors
    ///
    /// None is known.
    pub fn counted(&self) -> io::Result<Counted> {
        self.ring.counted()
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

// Where a program finds what the kernel knows of a packet (`struct __sk_buff`).
const PACKET_KIND: i16 = 4;
const CAME_IN_BY: i16 = 36;
const INTERFACE: i16 = 40;

/// `PACKET_OUTGOING`.
const OUTGOING: i32 = 4;

/// The program that says how many bytes of a packet are taken: 0 of those that are not.
fn takes(interfaces: &[Interface], snap: u32) -> Vec<Instruction> {
    const CONTEXT: u8 = 6;
    if interfaces.is_empty() {
        return answer(0).into();
    }
    let mut code = vec![
        register(SET, CONTEXT, 1),
        load(LOAD_32, 1, CONTEXT, INTERFACE),
    ];
    let mut loopbacks = Vec::new();
    for (index, interface) in interfaces.iter().enumerate() {
        // Over the other comparisons and the answer behind them.
        let rest = interfaces.len() - index - 1;
        code.push(if_value(IF_EQUAL, 1, interface.index as i32, rest + 2));
        if interface.is_loopback {
            loopbacks.extend(when(1, interface.index as i32, answer(0).into()));
        }
    }
    code.extend(answer(0));
    let mut outgoing = loopbacks;
    outgoing.push(load(LOAD_32, 2, CONTEXT, CAME_IN_BY));
    for interface in interfaces {
        outgoing.extend(when(2, interface.index as i32, answer(0).into()));
    }
    code.push(load(LOAD_32, 3, CONTEXT, PACKET_KIND));
    code.extend(when(3, OUTGOING, outgoing));
    code.extend(answer(snap as i32));
    code
}
