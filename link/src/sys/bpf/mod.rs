//! Small programs inside the kernel: bpf(2), as far as it is needed here.
//!
//! A program is given as instructions, which the kernel's verifier proves harmless before it takes
//! them. An XDP program decides about frames as they come from a driver, a socket filter about those that a
//! packet socket gets. Either can be run on one frame to see what it makes of it, and an XDP program live: the
//! kernel then makes frames, as fast as it can, shows each to the program, and takes those that pass as
//! received from an interface. A map of numbers is what a program and its owner share; a map of sockets
//! says where frames are redirected to.
//!
//! Everything here ends with the value that stands for it, and at the latest with the process.
//! Needs root, or `CAP_BPF` with `CAP_NET_ADMIN`.
//!
//! **Source.** bpf(2), and the kernel's documentation of `BPF_PROG_RUN` and `union bpf_attr`.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

mod call;
mod sockets;

use call::{
    Context, LINK_CREATE, LinkCreate, MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MapCreate, MapElement,
    PROGRAM_LOAD, PROGRAM_RUN, ProgramLoad, ProgramRun, address, bpf, made, said,
};
pub use sockets::Sockets;

/// One instruction, as the kernel has it (RFC 9669).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Source register in the high half, destination in the low.
    pub registers: u8,
    /// Offset of a jump, in instructions, or of a memory access, in bytes.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

/// An array of 64-bit numbers that a program can read and write while it runs.
#[derive(Debug)]
pub struct Array(OwnedFd);

/// A program that the kernel has taken.
#[derive(Debug)]
pub struct Program(OwnedFd);

/// A program on an interface, until this is dropped, at the latest when the process ends in whatever way.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
}

/// Where an XDP program sees frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the driver, before anything is made of them.
    Driver,
    /// Behind the driver, in the kernel's ordinary way: slower, but all drivers can.
    Generic,
}

impl Array {
    /// An array of so many zeros.
    ///
    /// # Errors
    ///
    /// No right to, or no memory.
    pub fn new(entries: u32) -> io::Result<Array> {
        const ARRAY: u32 = 2;
        let mut create = MapCreate {
            kind: ARRAY,
            key_size: size_of::<u32>() as u32,
            value_size: size_of::<u64>() as u32,
            max_entries: entries,
        };
        // SAFETY: no pointers.
        unsafe { made(MAP_CREATE, &mut create) }.map(Array)
    }

    /// The number at an index.
    ///
    /// # Errors
    ///
    /// The index is too large.
    pub fn get(&self, index: u32) -> io::Result<u64> {
        let mut value = 0;
        let mut lookup = self.element(&index, &raw mut value);
        // SAFETY: the map is an array, so its keys have 4 bytes and, by `new`, its values 8: those of
        // `index`, which is read, and of `value`, which is written. Both outlive the call.
        unsafe { bpf(MAP_LOOKUP, &mut lookup) }?;
        Ok(value)
    }

    /// Sets the number at an index.
    ///
    /// # Errors
    ///
    /// The index is too large.
    pub fn set(&self, index: u32, mut value: u64) -> io::Result<()> {
        let mut update = self.element(&index, &raw mut value);
        // SAFETY: as in `get`, and the value is only read.
        unsafe { bpf(MAP_UPDATE, &mut update) }.map(drop)
    }

    /// The two instructions that put a reference to the array into a register. They hold as long as the
    /// array does; the kernel refuses a program with a reference to what is no map.
    pub fn reference(&self, register: u8) -> [Instruction; 2] {
        reference(self.0.as_fd(), register)
    }

    fn element(&self, index: &u32, value: *mut u64) -> MapElement {
        MapElement {
            map: self.0.as_raw_fd() as u32,
            _pad: 0,
            key: address(index),
            value: value.expose_provenance() as u64,
            flags: 0,
        }
    }
}

impl Program {
    /// Has the kernel verify and take an XDP program.
    ///
    /// # Errors
    ///
    /// No right to; or what the verifier says against it, as far as 64 KiB hold it.
    pub fn xdp(instructions: &[Instruction]) -> io::Result<Program> {
        Program::load(6, instructions)
    }

    /// The same for a program that says of each packet how many bytes of it a socket gets, or which one of
    /// several sockets.
    ///
    /// # Errors
    ///
    /// As for [`xdp`](Program::xdp).
    pub fn socket_filter(instructions: &[Instruction]) -> io::Result<Program> {
        Program::load(1, instructions)
    }

    fn load(kind: u32, instructions: &[Instruction]) -> io::Result<Program> {
        const LICENSE: &CStr = c"Dual MIT/GPL";
        let mut log = vec![0u8; 64 << 10];
        let mut load = ProgramLoad {
            kind,
            count: instructions.len() as u32,
            instructions: address(instructions.as_ptr()),
            license: address(LICENSE.as_ptr()),
            log_level: 0,
            log_size: 0,
            log: 0,
            version: 0,
            flags: 0,
        };
        // SAFETY: `instructions` has `count` elements of the kernel's own form, the licence ends with
        // 0, and there is no log. All outlive the call.
        let error = match unsafe { made(PROGRAM_LOAD, &mut load) } {
            Ok(program) => return Ok(Program(program)),
            Err(error) => error,
        };
        (load.log_level, load.log_size) = (1, log.len() as u32);
        load.log = log.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: as before, and `log` has the `log_size` bytes that may be written.
        match unsafe { made(PROGRAM_LOAD, &mut load) } {
            Ok(program) => Ok(Program(program)),
            Err(_) => Err(io::Error::new(error.kind(), said(&error, &log))),
        }
    }

    /// Runs it on one frame, of at least 14 bytes. Returns its verdict (2 is `XDP_PASS`) and the frame
    /// as it left it.
    ///
    /// # Errors
    ///
    /// The frame is too short or too long, or the program made it longer.
    pub fn run(&self, frame: &[u8]) -> io::Result<(u32, Vec<u8>)> {
        let mut out = vec![0u8; frame.len()];
        let mut run = self.test(frame, 1);
        run.size_out = out.len() as u32;
        run.out = out.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: `frame` has `size_in` bytes, which are read, `out` has `size_out`, which may be
        // written; there is no context. Both outlive the call.
        unsafe { bpf(PROGRAM_RUN, &mut run) }?;
        out.truncate(run.size_out as usize);
        Ok((run.verdict, out))
    }

    /// Has the kernel take so many frames as received from an interface of the calling thread's network
    /// namespace, `batch` (at most 256) at a time, each as the program makes it of what the buffer
    /// held: `frame` at first, and whatever was left in it later. Returns when all are done with.
    ///
    /// # Errors
    ///
    /// There is no such interface; the batch is too large; a signal came in between.
    pub fn run_live(&self, frame: &[u8], interface: u32, count: u32, batch: u32) -> io::Result<()> {
        const LIVE_FRAMES: u32 = 2;
        let context = Context {
            data: 0,
            data_end: frame.len() as u32,
            data_meta: 0,
            ingress: interface,
            queue: 0,
            egress: 0,
        };
        let mut run = self.test(frame, count);
        run.context_size_in = size_of::<Context>() as u32;
        run.context_in = address(&raw const context);
        run.flags = LIVE_FRAMES;
        run.batch = batch;
        // SAFETY: `frame` has `size_in` bytes and `context` is as long as it says; both are only read
        // and outlive the call. There is nothing to be written back but the attributes themselves.
        unsafe { bpf(PROGRAM_RUN, &mut run) }.map(drop)
    }

    /// Puts an XDP program on an interface of the calling thread's network namespace, in the driver.
    ///
    /// # Errors
    ///
    /// There is no such interface, its driver knows no XDP, or it has a program already.
    pub fn attach(&self, interface: u32) -> io::Result<Attached> {
        self.attach_at(interface, Place::Driver)
    }

    /// The same, at that place.
    ///
    /// # Errors
    ///
    /// As for [`attach`](Program::attach).
    pub fn attach_at(&self, interface: u32, place: Place) -> io::Result<Attached> {
        const XDP: u32 = 37;
        let flags = match place {
            Place::Generic => 1 << 1,
            Place::Driver => 1 << 2,
        };
        let mut create = LinkCreate {
            program: self.0.as_raw_fd() as u32,
            target: interface,
            kind: XDP,
            flags,
        };
        // SAFETY: no pointers.
        let _link = unsafe { made(LINK_CREATE, &mut create) }?;
        Ok(Attached { _link })
    }

    fn test(&self, frame: &[u8], repeat: u32) -> ProgramRun {
        ProgramRun {
            program: self.0.as_raw_fd() as u32,
            size_in: frame.len() as u32,
            data_in: address(frame.as_ptr()),
            repeat,
            ..ProgramRun::default()
        }
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The two instructions that put a reference to a map into a register.
fn reference(map: BorrowedFd<'_>, register: u8) -> [Instruction; 2] {
    const LOAD_64: u8 = 0x18;
    const MAP: u8 = 1;
    let half = |code, registers, immediate| Instruction {
        code,
        registers,
        offset: 0,
        immediate,
    };
    [
        half(LOAD_64, MAP << 4 | register, map.as_raw_fd()),
        half(0, 0, 0),
    ]
}
