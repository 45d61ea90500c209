//! Asking memory for what will be needed soon: the only file of this crate in which unsafe code is
//! allowed.
//!
//! A prefetch is a hint. It changes nothing that a program can see, whatever the address, and where
//! the processor is none that we know, it is nothing at all. The intrinsic is unsafe for no other
//! reason than that it takes a raw pointer.

#![allow(unsafe_code)]

use crate::entry::Entry;

/// Bytes in a cache line.
const LINE: usize = 64;

/// Asks for the line in which a value begins.
#[inline(always)]
pub(crate) fn line<T: ?Sized>(value: &T) {
    address(core::ptr::from_ref(value).cast());
}

/// Asks for both lines of an entry.
#[inline(always)]
pub(crate) fn entry(entry: &Entry) {
    let first: *const u8 = core::ptr::from_ref(entry).cast();
    address(first);
    address(first.wrapping_add(LINE));
}

#[inline(always)]
fn address(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 reads nothing into the program and never faults, so every pointer is allowed;
    // it is part of SSE, which every x86-64 processor has.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
