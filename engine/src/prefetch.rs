//! Asking memory for what will be needed soon: the only file of this crate in which unsafe code is
//! allowed.
//!
//! A prefetch is a hint. It changes nothing that a program can see, whatever the address, and where
//! the processor is none that we know, it is nothing at all. The intrinsic is unsafe for no other
//! reason than that it takes a raw pointer.

#![allow(unsafe_code)]

/// Bytes in a cache line.
pub(crate) const LINE: usize = 64;

/// Asks for the line in which element `at` of a slice begins, or would if there were so many.
#[inline(always)]
pub(crate) fn line<T>(slice: &[T], at: usize) {
    address(slice.as_ptr().wrapping_add(at).cast());
}

/// Asks for the first two lines of element `at` of a slice, there or not.
#[inline(always)]
pub(crate) fn two_lines<T>(slice: &[T], at: usize) {
    let first: *const u8 = slice.as_ptr().wrapping_add(at).cast();
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
