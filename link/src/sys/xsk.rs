//! AF_XDP sockets: frames from a driver's queue into memory of ours, and from there to another.
//!
//! **How.** [`Frames`] is memory for a number of frames. Each is named by a [`Frame`], of which there is one
//! only: who has it may read and write the frame. It is given to the kernel to receive into
//! ([`Port::fill`]) or to send ([`Port::send`]), and comes back when the kernel is done with it
//! ([`Port::receive`], [`Port::sent`]). Nothing is copied here; whether the kernel copies depends on the
//! driver, and [`Port::is_zero_copy`] says it.
//!
//! **Invariant.** A frame is somebody's: of one `Frame`, or of the kernel, between the ring that it
//! was put into and the one that it comes out of. What the rings hold is written by us and the kernel only,
//! and a number that comes out of one and names no frame is passed over.
//!
//! **Rings** have one writer and one reader each, which own one of two running numbers. Who has put something in
//! stores his number with release, who looks loads it with acquire.
//!
//! **Source.** The kernel's `Documentation/networking/af_xdp.rst`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::mapping::Mapping;
use super::socket;

/// Memory for frames that several ports share.
#[derive(Debug)]
pub struct Frames {
    memory: Arc<Mapping>,
    frame_len: usize,
    count: u32,
    /// Told from that of other frames.
    name: u32,
    /// The first port, at which the memory was made known.
    first: Option<OwnedFd>,
}

/// A frame: the right to read and write it.
#[derive(Debug)]
pub struct Frame {
    memory: u32,
    number: u32,
    offset: u32,
    len: u32,
}

impl Frame {
    /// Its length, in bytes.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A socket on one queue of an interface.
#[derive(Debug)]
pub struct Port {
    socket: OwnedFd,
    frame_len: usize,
    count: u32,
    memory: u32,
    fill: Ring<u64>,
    received: Ring<libc::xdp_desc>,
    to_send: Ring<libc::xdp_desc>,
    sent: Ring<u64>,
    is_zero_copy: bool,
}

/// What the kernel has counted at a port.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct PortCounted {
    /// Frames lost since there was no memory to receive into, or the receiving ring was full.
    pub dropped: u64,
    /// Frames that were to be sent and were not as they have to be.
    pub invalid: u64,
}

impl Frames {
    /// Memory for `count` frames of `frame_len` bytes each: 2048 or 4096. => it, and all frames.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn new(count: u32, frame_len: usize) -> io::Result<(Frames, Vec<Frame>)> {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let memory = Mapping::anonymous(count as usize * frame_len)?;
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        let frames = Frames {
            memory: Arc::new(memory),
            frame_len,
            count,
            name,
            first: None,
        };
        let blank = |number| Frame {
            memory: name,
            number,
            offset: 0,
            len: 0,
        };
        Ok((frames, (0..count).map(blank).collect()))
    }

    /// What a frame holds; nothing if it is not of this memory.
    #[inline]
    pub fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        let start = frame.number as usize * self.frame_len + frame.offset as usize;
        let Some(place) = self.place(frame, start) else {
            return &[];
        };
        // SAFETY: the bytes lie in the mapping, within one frame. The frame is the caller's, so the kernel does
        // not write to it, and it cannot be given away or written to as long as it is borrowed.
        unsafe { std::slice::from_raw_parts(place.as_ptr(), frame.len as usize) }
    }

    /// Puts bytes into a frame, as many as there is room for.
    pub fn write(&self, frame: &mut Frame, bytes: &[u8]) {
        frame.offset = 0;
        frame.len = bytes.len().min(self.frame_len) as u32;
        let start = frame.number as usize * self.frame_len;
        if let Some(place) = self.place(frame, start) {
            // SAFETY: the bytes lie in the mapping, within one frame, which is the caller's alone; `bytes` are
            // as many, and are elsewhere: those of a frame are borrowed together with it, and it is not.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.as_ptr(), frame.len as usize);
            }
        } else {
            frame.len = 0;
        }
    }

    fn place(&self, frame: &Frame, start: usize) -> Option<NonNull<u8>> {
        let fits = frame.memory == self.name
            && frame.offset as usize + frame.len as usize <= self.frame_len;
        let place = self.memory.at(start, frame.len as usize)?;
        fits.then_some(place)
    }

    /// A port on a queue of an interface. `slots`, a power of two, is how many frames each of its rings
    /// holds. Frames arrive once a program redirects them to it. `zero_copy` asks the driver to write into this
    /// memory, which all ports must then do; otherwise the kernel copies.
    ///
    /// # Errors
    ///
    /// There is no such interface or queue, somebody else has it, or no right to (`CAP_NET_RAW`).
    pub fn port(
        &mut self,
        interface: u32,
        queue: u32,
        slots: u32,
        zero_copy: bool,
    ) -> io::Result<Port> {
        let mode = if zero_copy {
            libc::XDP_ZEROCOPY
        } else {
            libc::XDP_COPY
        };
        let socket = self.bound(interface, queue, slots, mode)?;
        let fd = socket.as_fd();
        // SAFETY: any bytes are numbers.
        let offsets: libc::xdp_mmap_offsets =
            unsafe { socket::get(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS) }?;
        let (fill, sent) = (
            libc::XDP_UMEM_PGOFF_FILL_RING as i64,
            libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64,
        );
        let port = Port {
            frame_len: self.frame_len,
            count: self.count,
            memory: self.name,
            fill: Ring::new(fd, &offsets.fr, slots, fill, End::Writer)?,
            received: Ring::new(fd, &offsets.rx, slots, libc::XDP_PGOFF_RX_RING, End::Reader)?,
            to_send: Ring::new(fd, &offsets.tx, slots, libc::XDP_PGOFF_TX_RING, End::Writer)?,
            sent: Ring::new(fd, &offsets.cr, slots, sent, End::Reader)?,
            is_zero_copy: zero_copy,
            socket,
        };
        if self.first.is_none() {
            self.first = Some(port.socket.try_clone()?);
        }
        Ok(port)
    }

    fn bound(&self, interface: u32, queue: u32, slots: u32, mode: u16) -> io::Result<OwnedFd> {
        let socket = socket::open(libc::AF_XDP, libc::SOCK_RAW)?;
        let fd = socket.as_fd();
        let set = |option, value: &u32| socket::set(fd, libc::SOL_XDP, option, value);
        if self.first.is_none() {
            let start = self
                .memory
                .at(0, 1)
                .map_or(0, |start| start.as_ptr().expose_provenance());
            let memory = MemoryRequest {
                address: start as u64,
                len: self.memory.len() as u64,
                frame_len: self.frame_len as u32,
                headroom: 0,
                flags: 0,
                metadata: 0,
            };
            // The kernel keeps the pages until its last socket on them is gone.
            socket::set(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &memory)?;
        }
        set(libc::XDP_UMEM_FILL_RING, &slots)?;
        set(libc::XDP_UMEM_COMPLETION_RING, &slots)?;
        set(libc::XDP_RX_RING, &slots)?;
        set(libc::XDP_TX_RING, &slots)?;
        // The memory's other sockets follow the first in whether frames are copied.
        let (flags, shared) = match &self.first {
            Some(first) => (libc::XDP_SHARED_UMEM, first.as_raw_fd() as u32),
            None => (libc::XDP_USE_NEED_WAKEUP | mode, 0),
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: interface,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: shared,
        };
        socket::bind(fd, &address)?;
        Ok(socket)
    }
}

/// `struct xdp_umem_reg`, as far as all kernels have it.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryRequest {
    address: u64,
    len: u64,
    frame_len: u32,
    headroom: u32,
    flags: u32,
    metadata: u32,
}

impl Port {
    /// Whether the driver writes into our memory; otherwise the kernel copies.
    pub const fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// Gives frames to receive into, as many as the ring takes. Frames of other memory are lost.
    pub fn fill(&mut self, frames: &mut Vec<Frame>) {
        let take = self.fill.room().min(frames.len() as u32);
        for frame in frames.drain(frames.len() - take as usize..) {
            if frame.memory == self.memory {
                self.fill
                    .put(u64::from(frame.number) * self.frame_len as u64);
            }
        }
        self.fill.publish();
    }

    /// Takes frames that have arrived, at most so many.
    #[inline]
    pub fn receive(&mut self, most: usize, into: &mut Vec<Frame>) {
        for _ in 0..self.received.waiting().min(most as u32) {
            let slot = self.received.take();
            into.extend(self.frame(slot.addr, slot.len));
        }
        self.received.publish();
    }

    /// How many frames may be sent now.
    pub fn may_send(&mut self) -> usize {
        self.to_send.room() as usize
    }

    /// Sends a frame, once [`flush`](Port::flush) is called.
    ///
    /// # Errors
    ///
    /// The frame, if there is no room or it is of other memory.
    #[inline]
    pub fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.to_send.room() == 0 || frame.memory != self.memory {
            return Err(frame);
        }
        let start = u64::from(frame.number) * self.frame_len as u64;
        self.to_send.put(libc::xdp_desc {
            addr: start + u64::from(frame.offset),
            len: frame.len,
            options: 0,
        });
        Ok(())
    }

    /// Tells the kernel of frames to be sent and of frames to receive into, where it wants to be told.
    ///
    /// # Errors
    ///
    /// The interface is down (`ENETDOWN`) or gone (`ENXIO`, `ENODEV`). Frames that were to be sent stay where they
    /// are.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to_send.publish();
        if !self.to_send.is_drained() && self.to_send.wants_wakeup() {
            match socket::send_ring(self.socket.as_fd()) {
                Err(error) if !is_for_later(&error) => return Err(error),
                _ => {}
            }
        }
        if self.fill.wants_wakeup() {
            // Where there is nothing to be had yet, that is no error.
            let _ = socket::receive_ring(self.socket.as_fd());
        }
        Ok(())
    }

    /// Whether frames wait to be sent.
    pub fn has_unsent(&self) -> bool {
        !self.to_send.is_drained()
    }

    /// Takes back frames that were sent.
    pub fn sent(&mut self, into: &mut Vec<Frame>) {
        for _ in 0..self.sent.waiting() {
            let address = self.sent.take();
            into.extend(self.frame(address, 0));
        }
        self.sent.publish();
    }

    /// What the kernel has counted since the port was made.
    ///
    /// # Errors
    ///
    /// None is known.
    pub fn counted(&self) -> io::Result<PortCounted> {
        // SAFETY: any bytes are numbers.
        let counted: libc::xdp_statistics =
            unsafe { socket::get(self.socket.as_fd(), libc::SOL_XDP, libc::XDP_STATISTICS) }?;
        Ok(PortCounted {
            dropped: counted.rx_dropped + counted.rx_ring_full + counted.rx_invalid_descs,
            invalid: counted.tx_invalid_descs,
        })
    }

    /// The frame at an address that the kernel gave back.
    #[inline]
    fn frame(&self, address: u64, len: u32) -> Option<Frame> {
        let frame_len = self.frame_len as u64;
        let number = u32::try_from(address / frame_len).ok()?;
        let offset = (address % frame_len) as u32;
        let fits = number < self.count && u64::from(offset) + u64::from(len) <= frame_len;
        let memory = self.memory;
        fits.then_some(Frame {
            memory,
            number,
            offset,
            len,
        })
    }
}

impl AsFd for Port {
    /// Readable when frames have arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel has not sent all for now.
fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR)
    )
}

/// Which end of a ring is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Writer,
    Reader,
}

/// A ring of `T` in memory shared with the kernel.
#[derive(Debug)]
struct Ring<T> {
    _memory: Mapping,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    slots: NonNull<T>,
    mask: u32,
    end: End,
    /// Our running number, and the other end's as we saw it last.
    ours: u32,
    theirs: u32,
}

// SAFETY: it is its mapping and addresses in it; neither is tied to a thread.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    fn new(
        socket: BorrowedFd<'_>,
        offsets: &libc::xdp_ring_offset,
        slots: u32,
        place: i64,
        end: End,
    ) -> io::Result<Ring<T>> {
        let len = offsets.desc as usize + slots as usize * size_of::<T>();
        let memory = Mapping::of(socket, len, place)?;
        let outside = || io::Error::other("the kernel names a place outside of its ring");
        let number = |offset: u64| memory.at(offset as usize, size_of::<u32>());
        let first = memory.at(offsets.desc as usize, slots as usize * size_of::<T>());
        Ok(Ring {
            producer: number(offsets.producer).ok_or_else(outside)?.cast(),
            consumer: number(offsets.consumer).ok_or_else(outside)?.cast(),
            flags: number(offsets.flags).ok_or_else(outside)?.cast(),
            slots: first.ok_or_else(outside)?.cast(),
            mask: slots - 1,
            end,
            ours: 0,
            theirs: 0,
            _memory: memory,
        })
    }

    /// One of the ring's numbers.
    #[inline]
    fn number(&self, place: NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: by `new` it lies in the mapping, which lives as long as the ring; the kernel has put it at a
        // multiple of 4, and takes it for atomic as we do.
        unsafe { place.as_ref() }
    }

    #[inline]
    fn look(&mut self) {
        let place = match self.end {
            End::Writer => self.consumer,
            End::Reader => self.producer,
        };
        self.theirs = self.number(place).load(Ordering::Acquire);
    }

    /// Makes known what was put in or taken out.
    #[inline]
    fn publish(&self) {
        let place = match self.end {
            End::Writer => self.producer,
            End::Reader => self.consumer,
        };
        self.number(place).store(self.ours, Ordering::Release);
    }

    /// For the writer: free slots.
    #[inline]
    fn room(&mut self) -> u32 {
        let slots = self.mask + 1;
        let used = self.ours.wrapping_sub(self.theirs);
        if used >= slots / 2 {
            self.look();
        }
        slots.saturating_sub(self.ours.wrapping_sub(self.theirs))
    }

    /// For the reader: slots that are filled, and no more than there are.
    #[inline]
    fn waiting(&mut self) -> u32 {
        self.look();
        self.theirs.wrapping_sub(self.ours).min(self.mask + 1)
    }

    /// For the writer: whether the kernel has taken everything.
    fn is_drained(&self) -> bool {
        self.number(self.consumer).load(Ordering::Acquire) == self.ours
    }

    /// Whether the kernel wants to be told of what was put in.
    fn wants_wakeup(&self) -> bool {
        self.number(self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Fills the next slot. There has to be [`room`](Ring::room).
    #[inline]
    fn put(&mut self, value: T) {
        debug_assert!(self.end == End::Writer);
        let slot = (self.ours & self.mask) as usize;
        // SAFETY: the mask keeps it among the slots, which lie in the mapping, and the end is the writer's:
        // the kernel reads the slot only after `publish`.
        unsafe { self.slots.add(slot).write(value) };
        self.ours = self.ours.wrapping_add(1);
    }

    /// Takes the next slot out. One has to be [`waiting`](Ring::waiting).
    #[inline]
    fn take(&mut self) -> T {
        debug_assert!(self.end == End::Reader);
        let slot = (self.ours & self.mask) as usize;
        // SAFETY: the mask keeps it among the slots, which lie in the mapping and hold numbers; the kernel
        // writes the slot again only after `publish`.
        let value = unsafe { self.slots.add(slot).read() };
        self.ours = self.ours.wrapping_add(1);
        value
    }
}
