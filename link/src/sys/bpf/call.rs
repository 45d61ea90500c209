//! bpf(2) itself: its commands, what each is told, and the call.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

pub(super) const MAP_CREATE: libc::c_long = 0;
pub(super) const MAP_LOOKUP: libc::c_long = 1;
pub(super) const MAP_UPDATE: libc::c_long = 2;
pub(super) const PROGRAM_LOAD: libc::c_long = 5;
pub(super) const PROGRAM_RUN: libc::c_long = 10;
pub(super) const LINK_CREATE: libc::c_long = 28;

// The members of `union bpf_attr`, in the kernel's order; the kernel takes what is missing at the end of
// one as zero.

#[repr(C)]
pub(super) struct MapCreate {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
}

#[repr(C)]
pub(super) struct MapElement {
    pub(super) map: u32,
    pub(super) _pad: u32,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) flags: u64,
}

#[repr(C)]
pub(super) struct ProgramLoad {
    pub(super) kind: u32,
    pub(super) count: u32,
    pub(super) instructions: u64,
    pub(super) license: u64,
    pub(super) log_level: u32,
    pub(super) log_size: u32,
    pub(super) log: u64,
    pub(super) version: u32,
    pub(super) flags: u32,
}

#[repr(C)]
#[derive(Default)]
pub(super) struct ProgramRun {
    pub(super) program: u32,
    pub(super) verdict: u32,
    pub(super) size_in: u32,
    pub(super) size_out: u32,
    pub(super) data_in: u64,
    pub(super) out: u64,
    pub(super) repeat: u32,
    pub(super) duration: u32,
    pub(super) context_size_in: u32,
    pub(super) context_size_out: u32,
    pub(super) context_in: u64,
    pub(super) context_out: u64,
    pub(super) flags: u32,
    pub(super) cpu: u32,
    pub(super) batch: u32,
    pub(super) _pad: u32,
}

#[repr(C)]
pub(super) struct LinkCreate {
    pub(super) program: u32,
    pub(super) target: u32,
    pub(super) kind: u32,
    pub(super) flags: u32,
}

/// `struct xdp_md`.
#[repr(C)]
pub(super) struct Context {
    pub(super) data: u32,
    pub(super) data_end: u32,
    pub(super) data_meta: u32,
    pub(super) ingress: u32,
    pub(super) queue: u32,
    pub(super) egress: u32,
}

/// An address, as attributes hold it.
pub(super) fn address<T>(of: *const T) -> u64 {
    of.expose_provenance() as u64
}

/// The error, and what the verifier said.
pub(super) fn said(error: &io::Error, log: &[u8]) -> String {
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    format!("{error}: {}", String::from_utf8_lossy(text).trim())
}

/// A command that makes something.
///
/// # Safety
///
/// As for [`bpf`]; the command returns a new file descriptor.
pub(super) unsafe fn made<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let descriptor = unsafe { bpf(command, attributes) }?;
    // SAFETY: the kernel has just made it for this call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The system call.
///
/// # Safety
///
/// `T` is the member of `union bpf_attr` that belongs to the command, and every address in it is that
/// of memory which may be read or written as the command does.
pub(super) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    let attributes = ptr::from_mut(attributes);
    // SAFETY: the kernel reads and writes `size_of::<T>()` bytes of the attributes, and otherwise only
    // what the caller promises.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}
