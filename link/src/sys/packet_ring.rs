//! AF_PACKET sockets whose packets come through memory that is shared with the kernel (`TPACKET_V3`).
//!
//! **How.** The ring is a number of blocks. The kernel fills one with packets, one behind the other, and
//! hands it over when it is full or a time has passed; then it goes on with the next. [`PacketRing::frames`]
//! lends packets from the oldest block that was handed over; when all of its packets were lent, the next call
//! gives it back. What comes while all blocks wait to be read is lost, and counted.
//!
//! **Life.** A ring is made shut: it takes no packet until [`PacketRing::open`] says with a program which
//! packets it takes, and how many bytes of each. So several rings can share the packets among them
//! ([`PacketRing::join`]) before the first one comes.
//!
//! **Invariant.** Memory of a block is read only while the block's status says that it is the user's, and
//! packets borrow the ring, so that none is there any more when its block is given back.
//!
//! **Source.** packet(7), and the kernel's `Documentation/networking/packet_mmap.rst`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::bpf::{Instruction, Program};
use super::mapping::Mapping;
use super::socket;

/// A socket and its ring.
#[derive(Debug)]
pub struct PacketRing {
    socket: OwnedFd,
    memory: Mapping,
    block_len: usize,
    blocks: usize,
    /// The block that is read, or will be handed over next.
    block: usize,
    /// Packets of it that were not lent yet.
    left: u32,
    /// Where the next of them begins.
    offset: usize,
    /// It is ours, and to be given back.
    is_held: bool,
}

/// A packet as it was seen on an interface.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// From the link header on, as far as they were taken.
    pub bytes: &'a [u8],
    /// Where the network header begins in them.
    pub network: usize,
    /// How long it was.
    pub wire_len: usize,
    /// Nanoseconds since 1970, by the system's clock.
    pub time_ns: u64,
    /// What is behind the link header, as an Ethernet type; a VLAN's tag is taken off.
    pub protocol: u16,
    /// The interface's number.
    pub interface: u32,
    /// The interface's link type, `ARPHRD_ETHER` for instance.
    pub link_type: u16,
    /// The VLAN's tag that was taken off: its type and what it says.
    pub vlan: Option<(u16, u16)>,
    /// The transport's checksum was verified, or is not there yet since it will be computed later.
    pub is_checked: bool,
}

impl Seen<'_> {
    /// The same packet, whose bytes are lent for longer.
    #[inline]
    const fn with<'a>(&self, bytes: &'a [u8]) -> Seen<'a> {
        Seen {
            bytes,
            network: self.network,
            wire_len: self.wire_len,
            time_ns: self.time_ns,
            protocol: self.protocol,
            interface: self.interface,
            link_type: self.link_type,
            vlan: self.vlan,
            is_checked: self.is_checked,
        }
    }
}

/// What the kernel has counted since it was asked last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Packets that were to go into the ring.
    pub packets: u64,
    /// Packets that found it full.
    pub dropped: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RingRequest {
    block_size: u32,
    blocks: u32,
    frame_size: u32,
    frames: u32,
    retire_ms: u32,
    private: u32,
    features: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Statistics {
    packets: u32,
    drops: u32,
    _freezes: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Membership {
    interface: i32,
    kind: u16,
    len: u16,
    address: [u8; 8],
}

const SOL_PACKET: i32 = 263;
const ADD_MEMBERSHIP: i32 = 1;
const RX_RING: i32 = 5;
const STATISTICS: i32 = 6;
const VERSION: i32 = 10;
const FANOUT: i32 = 18;
const FANOUT_DATA: i32 = 22;

const ALL_PROTOCOLS: u16 = 3_u16.to_be();

// A block's header.
const STATUS: usize = 8;
const COUNT: usize = 12;
const FIRST: usize = 16;
const BLOCK_HEADER: usize = 48;

// A packet's header, and the address behind it.
const NEXT: usize = 0;
const SECS: usize = 4;
const NANOS: usize = 8;
const TAKEN: usize = 12;
const LEN: usize = 16;
const FLAGS: usize = 20;
const MAC: usize = 24;
const NETWORK: usize = 26;
const TAG: usize = 32;
const TAG_TYPE: usize = 36;
const PROTOCOL: usize = 50;
const INTERFACE: usize = 52;
const LINK_TYPE: usize = 56;
const HEADER: usize = 68;

// A packet's flags.
const CSUM_NOT_READY: u32 = 1 << 3;
const HAS_TAG: u32 = 1 << 4;
const CSUM_VALID: u32 = 1 << 7;

impl PacketRing {
    /// A ring of so many bytes at least, in blocks of `block_len` (a power of two, of 4096 or more), whose
    /// packets wait no longer than `longest` in a block that does not fill.
    ///
    /// # Errors
    ///
    /// No right to (`CAP_NET_RAW`), or no memory.
    pub fn new(bytes: usize, block_len: usize, longest: Duration) -> io::Result<PacketRing> {
        let socket = socket::open(libc::AF_PACKET, libc::SOCK_RAW)?;
        let fd = socket.as_fd();
        const V3: i32 = 2;
        socket::set(fd, SOL_PACKET, VERSION, &V3)?;
        attach(fd, &Program::socket_filter(&NOTHING)?)?;
        let blocks = bytes.div_ceil(block_len).max(2);
        let len = blocks.saturating_mul(block_len);
        let frames = len / FRAME;
        let too_large = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let request = RingRequest {
            block_size: u32::try_from(block_len).map_err(too_large)?,
            blocks: u32::try_from(blocks).map_err(too_large)?,
            frame_size: FRAME as u32,
            frames: u32::try_from(frames).map_err(too_large)?,
            retire_ms: u32::try_from(longest.as_millis())
                .unwrap_or(u32::MAX)
                .max(1),
            private: 0,
            features: 0,
        };
        socket::set(fd, SOL_PACKET, RX_RING, &request)?;
        let memory = Mapping::of(fd, len, 0)?;
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: ALL_PROTOCOLS,
            sll_ifindex: 0,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        socket::bind(fd, &address)?;
        Ok(PacketRing {
            socket,
            memory,
            block_len,
            blocks,
            block: 0,
            left: 0,
            offset: 0,
            is_held: false,
        })
    }

    /// Shares packets with the rings of a group from now on, or begins a group: `program` says for each packet
    /// which one gets it, by the order in which they joined. => the group.
    ///
    /// # Errors
    ///
    /// There is no such group, or it is full.
    pub fn join(&self, group: Option<u16>, program: &Program) -> io::Result<u16> {
        const BY_PROGRAM: u32 = 7 << 16;
        const NEW_GROUP: u32 = 0x2000 << 16;
        let fd = self.socket.as_fd();
        let wanted = match group {
            Some(group) => BY_PROGRAM | u32::from(group),
            None => BY_PROGRAM | NEW_GROUP,
        };
        socket::set(fd, SOL_PACKET, FANOUT, &wanted)?;
        if group.is_none() {
            socket::set(fd, SOL_PACKET, FANOUT_DATA, &program.as_fd().as_raw_fd())?;
        }
        // SAFETY: any bytes are a number.
        let group: u32 = unsafe { socket::get(fd, SOL_PACKET, FANOUT) }?;
        Ok(group as u16)
    }

    /// Takes packets from now on: of each as many bytes as the program says.
    ///
    /// # Errors
    ///
    /// It is no program for sockets.
    pub fn open(&self, program: &Program) -> io::Result<()> {
        attach(self.socket.as_fd(), program)
    }

    /// Has an interface receive packets for others, too, until the ring or the interface is gone.
    ///
    /// # Errors
    ///
    /// There is no such interface.
    pub fn be_promiscuous(&self, interface: u32) -> io::Result<()> {
        be_promiscuous(self.socket.as_fd(), interface)
    }

    /// What was counted since this was called last.
    ///
    /// # Errors
    ///
    /// None is known.
    pub fn counted(&self) -> io::Result<Counted> {
        // SAFETY: any bytes are numbers.
        let counted: Statistics =
            unsafe { socket::get(self.socket.as_fd(), SOL_PACKET, STATISTICS) }?;
        Ok(Counted {
            packets: counted.packets.into(),
            dropped: counted.drops.into(),
        })
    }

    /// Packets of one block, oldest first, if there are any. What is not taken is lent again at the next call.
    #[inline]
    pub fn frames(&mut self) -> Frames<'_> {
        if self.left == 0 {
            self.next_block();
        }
        Frames { ring: self }
    }

    /// Gives the block back that was read, and takes the next if it was handed over.
    fn next_block(&mut self) {
        if std::mem::take(&mut self.is_held) {
            self.status().store(KERNELS, Ordering::Release);
            self.block = (self.block + 1) % self.blocks;
        }
        if self.status().load(Ordering::Acquire) & USERS == 0 {
            return;
        }
        self.is_held = true;
        self.left = self.read_u32(COUNT);
        self.offset = self.read_u32(FIRST) as usize;
        if self.offset < BLOCK_HEADER {
            self.left = 0;
        }
    }

    /// The status of the present block: whose it is.
    fn status(&self) -> &AtomicU32 {
        let place = self
            .memory
            .at(self.block * self.block_len + STATUS, size_of::<u32>());
        let Some(place) = place else {
            unreachable!("the block is in the ring");
        };
        // SAFETY: it lies in the mapping, at a multiple of 4, and both sides take it for atomic.
        unsafe { AtomicU32::from_ptr(place.as_ptr().cast()) }
    }

    /// Bytes of the present block, if they are in it.
    #[inline]
    fn bytes(&self, offset: usize, len: usize) -> Option<&[u8]> {
        debug_assert!(self.is_held);
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= self.block_len)?;
        let place = self
            .memory
            .at(self.block * self.block_len + offset, end - offset)?;
        // SAFETY: the bytes lie in the mapping. The block is the user's, so the kernel does not write them;
        // nor does anybody here; and it is given back by `next_block` only, when no borrow is left.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), len) })
    }

    fn read_u32(&self, offset: usize) -> u32 {
        u32_at(self.bytes(offset, size_of::<u32>()).unwrap_or_default(), 0)
    }

    /// The packet whose header is at `offset`, and where the next header is.
    #[inline]
    fn seen(&self, offset: usize) -> Option<(Seen<'_>, usize)> {
        let header = self.bytes(offset, HEADER)?;
        let mac = usize::from(u16_at(header, MAC));
        let bytes = self.bytes(offset.checked_add(mac)?, u32_at(header, TAKEN) as usize)?;
        let flags = u32_at(header, FLAGS);
        let seen = Seen {
            bytes,
            network: usize::from(u16_at(header, NETWORK)).saturating_sub(mac),
            wire_len: u32_at(header, LEN) as usize,
            time_ns: u64::from(u32_at(header, SECS)) * 1_000_000_000
                + u64::from(u32_at(header, NANOS)),
            protocol: u16::from_be(u16_at(header, PROTOCOL)),
            interface: u32_at(header, INTERFACE),
            link_type: u16_at(header, LINK_TYPE),
            vlan: (flags & HAS_TAG != 0)
                .then(|| (u16_at(header, TAG_TYPE), u32_at(header, TAG) as u16)),
            is_checked: flags & (CSUM_NOT_READY | CSUM_VALID) != 0,
        };
        Some((seen, offset.saturating_add(u32_at(header, NEXT) as usize)))
    }
}

impl AsFd for PacketRing {
    /// Readable when a block was handed over.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Packets that are lent, all of one block.
#[derive(Debug)]
pub struct Frames<'a> {
    ring: &'a mut PacketRing,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Seen<'a>;

    #[inline]
    fn next(&mut self) -> Option<Seen<'a>> {
        if self.ring.left == 0 {
            return None;
        }
        self.ring.left -= 1;
        let Some((seen, next)) = self.ring.seen(self.ring.offset) else {
            // Not as the kernel writes it: what is left of the block is passed over.
            self.ring.left = 0;
            return None;
        };
        let (start, len) = (seen.bytes.as_ptr(), seen.bytes.len());
        // SAFETY: these are bytes of the block, which is ours until `frames` gives it back. That takes another
        // exclusive borrow of the ring, and this one lasts for 'a. Nothing else writes to them.
        let bytes: &'a [u8] = unsafe { std::slice::from_raw_parts(start, len) };
        let seen = seen.with(bytes);
        self.ring.offset = next;
        Some(seen)
    }
}

/// Interfaces receive packets for others, too, until this or the interface is gone.
#[derive(Debug)]
pub struct Promiscuous(OwnedFd);

impl Promiscuous {
    /// No interface yet.
    ///
    /// # Errors
    ///
    /// No right to (`CAP_NET_RAW`).
    pub fn new() -> io::Result<Promiscuous> {
        socket::open(libc::AF_PACKET, libc::SOCK_RAW).map(Promiscuous)
    }

    /// One more.
    ///
    /// # Errors
    ///
    /// There is no such interface.
    pub fn add(&self, interface: u32) -> io::Result<()> {
        be_promiscuous(self.0.as_fd(), interface)
    }
}

fn be_promiscuous(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    const PROMISCUOUS: u16 = 1;
    let membership = Membership {
        interface: interface as i32,
        kind: PROMISCUOUS,
        len: 0,
        address: [0; 8],
    };
    socket::set(socket, SOL_PACKET, ADD_MEMBERSHIP, &membership)
}

/// A block's status.
const KERNELS: u32 = 0;
const USERS: u32 = 1;

/// A size that the kernel asks for and that means nothing in this version.
const FRAME: usize = 2048;

/// A program that takes no packet.
const NOTHING: [Instruction; 2] = [
    Instruction {
        code: 0xb7,
        registers: 0,
        offset: 0,
        immediate: 0,
    },
    Instruction {
        code: 0x95,
        registers: 0,
        offset: 0,
        immediate: 0,
    },
];

fn attach(socket: BorrowedFd<'_>, program: &Program) -> io::Result<()> {
    let program = program.as_fd().as_raw_fd();
    socket::set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, &program)
}

#[inline]
fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    u16::from_ne_bytes(found.copied().unwrap_or_default())
}

#[inline]
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let found = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    u32::from_ne_bytes(found.copied().unwrap_or_default())
}
