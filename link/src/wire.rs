//! The way between two interfaces: whole frames from one to the other, through AF_XDP sockets.
//!
//! A [`Wire`] has sockets on queues of both interfaces and memory for frames that all of them share, so a frame
//! that came in here goes out there without being copied by us. Whoever owns it decides about each frame:
//! [`receive`](Wire::receive), look at its [`bytes`](Wire::bytes), then [`pass`](Wire::pass) or
//! [`discard`](Wire::discard); and [`flush`](Wire::flush) after each batch. Several wires between the same
//! interfaces have a part of the queues each. A wire receives on all of its queues and sends on the first of each
//! side, so that frames keep their order.
//!
//! *What is left behind.* Nothing: the program on the interfaces and their promiscuous state belong to file
//! descriptors ([`Hold`]), so they end with the process, however it ends. While the wire is there, frames that come
//! in by one of the interfaces go to the wire and not to this host, which may still send by them.
//!
//! *Frames are lost* where there is no memory to receive into, no room to send, or the link is down; each is counted
//! at its place.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::instructions::{LOAD_32, SET, call, constant, exit, load};
use crate::interface::Interface;
use crate::sys::bpf::{Attached, Instruction, Place, Program, Sockets};
use crate::sys::packet_ring::Promiscuous;
use crate::sys::xsk::{Frame, Frames, Port};

/// Frames that each ring holds.
const SLOTS: u32 = 1024;

/// How long it is waited for queues that somebody else has.
const BUSY: Duration = Duration::from_secs(2);

/// What a frame has beside the packet: an Ethernet header, two VLAN tags, and the room that the kernel keeps
/// before it.
const OVERHEAD: usize = 14 + 2 * 4 + 256;

/// One end of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The interface that was named first.
    First,
    /// The other.
    Second,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::First, Side::Second];

    /// The other end.
    pub const fn other(self) -> Side {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

/// What is to go when the wire does: programs on the interfaces, and that they receive everything.
#[derive(Debug)]
pub struct Hold {
    _attached: [Attached; 2],
    _promiscuous: Promiscuous,
}

/// How frames come and go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// The drivers write into our memory; otherwise the kernel copies.
    pub zero_copy: bool,
    /// Where the program sees the frames of each interface.
    pub places: [Place; 2],
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let copy = if self.zero_copy {
            "zero-copy"
        } else {
            "copy mode"
        };
        match self.places.contains(&Place::Generic) {
            false => write!(f, "{copy}, in the driver"),
            true => write!(f, "{copy}, behind the driver, which knows no XDP"),
        }
    }
}

/// A part of the way between two interfaces.
#[derive(Debug)]
pub struct Wire {
    frames: Frames,
    free: Vec<Frame>,
    /// On the queues of each side.
    ports: [Vec<Port>; 2],
    /// The port that is asked next, for each side.
    turn: [usize; 2],
    counted: WireCounted,
    _hold: Arc<Hold>,
}

/// What a wire has counted.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct WireCounted {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames that could not be sent, since there was no room or the link was down.
    pub unsent: u64,
    /// Frames that the kernel has lost before they were received.
    pub lost: u64,
}

/// So many wires between two interfaces, each with a part of their queues, and how their frames go.
///
/// # Errors
///
/// In words, what is in the way: an interface that is no Ethernet, has packets that are too long, or has a
/// program already; fewer queues than wires; no right to (`CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_BPF`).
pub fn between(interfaces: &[Interface; 2], wires: usize) -> io::Result<(Vec<Wire>, Mode)> {
    check(interfaces, wires)?;
    let opened = open_soon(interfaces, wires)?;
    let (parts, maps, zero_copy) = opened;
    let promiscuous = Promiscuous::new()?;
    let [first, second] = interfaces;
    for interface in interfaces {
        promiscuous.add(interface.index)?;
    }
    let [(one, one_at), (two, two_at)] = [attach(first, &maps[0])?, attach(second, &maps[1])?];
    let hold = Arc::new(Hold {
        _attached: [one, two],
        _promiscuous: promiscuous,
    });
    let mode = Mode {
        zero_copy,
        places: [one_at, two_at],
    };
    let wire = |part: Part| Wire {
        frames: part.frames,
        free: part.free,
        ports: part.ports,
        turn: [0; 2],
        counted: WireCounted::default(),
        _hold: Arc::clone(&hold),
    };
    Ok((parts.into_iter().map(wire).collect(), mode))
}

/// Sockets of a process that was just killed are there for some milliseconds more.
fn open_soon(interfaces: &[Interface; 2], wires: usize) -> io::Result<Opened> {
    let end = Instant::now() + BUSY;
    loop {
        let opened = open(interfaces, wires, true).or_else(|_| open(interfaces, wires, false));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

fn check(interfaces: &[Interface; 2], wires: usize) -> io::Result<()> {
    let [first, second] = interfaces;
    if first.index == second.index {
        return Err(said(format!(
            "{}: it is both ends of the bridge",
            first.name
        )));
    }
    for Interface {
        name,
        is_ethernet,
        is_loopback,
        mtu,
        queues,
        ..
    } in interfaces
    {
        if !is_ethernet || *is_loopback {
            return Err(said(format!(
                "{name}: it is no Ethernet, so it cannot be bridged"
            )));
        }
        if mtu + OVERHEAD > 4096 {
            let most = 4096 - OVERHEAD;
            return Err(said(format!(
                "{name}: its MTU is {mtu}, and frames have to fit into 4096 bytes; \
                 `ip link set {name} mtu {most}` or less"
            )));
        }
        if (*queues as usize) < wires {
            return Err(said(format!(
                "{name}: {wires} workers, but it receives on {queues} queues; run with fewer workers, or \
                 `ethtool -L {name} combined {wires}`"
            )));
        }
    }
    Ok(())
}

fn said(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// A wire's memory and ports, before anything is redirected to them.
struct Part {
    frames: Frames,
    free: Vec<Frame>,
    ports: [Vec<Port>; 2],
}

type Opened = (Vec<Part>, [Sockets; 2], bool);

fn open(interfaces: &[Interface; 2], wires: usize, zero_copy: bool) -> io::Result<Opened> {
    let mtu = interfaces
        .iter()
        .map(|interface| interface.mtu)
        .max()
        .unwrap_or(0);
    let frame_len = if mtu + OVERHEAD <= 2048 { 2048 } else { 4096 };
    let [first, second] = interfaces;
    let maps = [Sockets::new(first.queues)?, Sockets::new(second.queues)?];
    let mut parts = Vec::with_capacity(wires);
    for wire in 0..wires {
        let queues = |interface: &Interface| (wire as u32..interface.queues).step_by(wires);
        let ports = queues(first).count() + queues(second).count();
        // Each port may hold as many to be received as to be sent.
        let count = 2 * SLOTS * ports as u32 + SLOTS;
        let (mut frames, mut free) = Frames::new(count, frame_len)?;
        let mut ports = [Vec::new(), Vec::new()];
        for ((interface, map), ports) in interfaces.iter().zip(&maps).zip(&mut ports) {
            for queue in queues(interface) {
                let port = frames.port(interface.index, queue, SLOTS, zero_copy);
                let mut port = port.map_err(|error| refused(interface, queue, &error))?;
                map.put(queue, port.as_fd())?;
                // Before anything is redirected to it: the first frame needs a place, too.
                port.fill(&mut free);
                ports.push(port);
            }
        }
        parts.push(Part {
            frames,
            free,
            ports,
        });
    }
    Ok((parts, maps, zero_copy))
}

fn refused(interface: &Interface, queue: u32, error: &io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::EBUSY) => "another program receives from it already".to_owned(),
        Some(libc::EPERM) => "CAP_NET_RAW is needed, or root".to_owned(),
        _ => error.to_string(),
    };
    let text = format!(
        "{}: no AF_XDP socket on queue {queue}: {why}",
        interface.name
    );
    io::Error::new(error.kind(), text)
}

/// Redirects what an interface receives to the sockets of its queues.
fn attach(interface: &Interface, sockets: &Sockets) -> io::Result<(Attached, Place)> {
    let program = Program::xdp(&redirect(sockets))?;
    let at = |place| {
        program
            .attach_at(interface.index, place)
            .map(|attached| (attached, place))
    };
    at(Place::Driver)
        .or_else(|error| match error.raw_os_error() {
            Some(libc::EBUSY | libc::EEXIST) => Err(error),
            _ => at(Place::Generic),
        })
        .map_err(|error| {
            let name = &interface.name;
            let why = match error.raw_os_error() {
                Some(libc::EBUSY | libc::EEXIST) => format!(
                    "it has an XDP program already, which has to go first; `ip link show {name}` names it"
                ),
                _ => format!("no XDP program can be put on it: {error}"),
            };
            io::Error::new(error.kind(), format!("{name}: {why}"))
        })
}

/// To the socket of the frame's queue; where there is none, nowhere.
fn redirect(sockets: &Sockets) -> Vec<Instruction> {
    const QUEUE: i16 = 16;
    const DROP: i32 = 1;
    const REDIRECT_BY_MAP: i32 = 51;
    let mut code = vec![load(LOAD_32, 2, 1, QUEUE)];
    code.extend(sockets.reference(1));
    code.extend([constant(SET, 3, DROP), call(REDIRECT_BY_MAP), exit()]);
    code
}

impl Wire {
    /// Takes frames that have come in at a side, at most so many.
    #[inline]
    pub fn receive(&mut self, side: Side, most: usize, into: &mut Vec<Frame>) {
        let before = into.len();
        let ports = &mut self.ports[side as usize];
        for _ in 0..ports.len() {
            let turn = &mut self.turn[side as usize];
            *turn = (*turn + 1) % ports.len();
            ports[*turn].receive(most - (into.len() - before), into);
        }
        self.counted.received += (into.len() - before) as u64;
    }

    /// What a frame holds.
    #[inline]
    pub fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        self.frames.bytes(frame)
    }

    /// A frame with these bytes, if there is one left.
    pub fn frame_of(&mut self, bytes: &[u8]) -> Option<Frame> {
        let mut frame = self.free.pop()?;
        self.frames.write(&mut frame, bytes);
        Some(frame)
    }

    /// Sends a frame at a side.
    #[inline]
    pub fn pass(&mut self, side: Side, frame: Frame) {
        // All by one queue, so that they keep their order.
        let port = self.ports[side as usize].first_mut();
        match port.map(|port| port.send(frame)) {
            Some(Ok(())) => self.counted.sent += 1,
            Some(Err(frame)) => {
                self.counted.unsent += 1;
                self.free.push(frame);
            }
            None => self.counted.unsent += 1,
        }
    }

    /// Throws a frame away.
    #[inline]
    pub fn discard(&mut self, frame: Frame) {
        self.free.push(frame);
    }

    /// Has frames sent that were passed, and gives memory to receive into. => whether there are frames that
    /// still wait to be sent.
    ///
    /// # Errors
    ///
    /// A side is down or gone; the others are done all the same.
    pub fn flush(&mut self) -> io::Result<bool> {
        let mut failed = Ok(());
        let mut waits = false;
        for port in self.ports.iter_mut().flatten() {
            failed = port.flush().and(failed);
            port.sent(&mut self.free);
            waits |= port.has_unsent();
        }
        for port in self.ports.iter_mut().flatten() {
            port.fill(&mut self.free);
        }
        failed.map(|()| waits)
    }

    /// What becomes readable when frames come in.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ports.iter().flatten().map(AsFd::as_fd)
    }

    /// What was counted so far. It asks the kernel.
    pub fn counted(&self) -> WireCounted {
        let lost = |port: &Port| port.counted().map_or(0, |counted| counted.dropped);
        WireCounted {
            lost: self.ports.iter().flatten().map(lost).sum(),
            ..self.counted
        }
    }
}
