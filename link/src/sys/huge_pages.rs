//! Memory in pages of 2 MiB.
//!
//! **Purpose.** A table of a million connections, read at random, takes twice as long in pages of
//! 4 KiB, since every access also misses the TLB. Linux gives huge pages to memory that asks for them
//! (`madvise` is the usual setting of `/sys/kernel/mm/transparent_hugepage/enabled`). The table's
//! owner only allocates; the program that it runs in decides how, with one line:
//!
//! ```
//! # #[cfg(target_os = "linux")]
//! #[global_allocator]
//! static MEMORY: ip_conntrack_link::sys::HugePages = ip_conntrack_link::sys::HugePages;
//! # fn main() { assert_eq!(vec![7u8; 5 << 20].as_ptr() as usize % (2 << 20), 0); }
//! ```
//!
//! **How.** A block of 2 MiB or more is a mapping of its own: it begins at a multiple of 2 MiB, is
//! zeroed by the kernel page by page as it is touched (so `alloc_zeroed` costs nothing), goes back to
//! the system at once when it is freed, and grows by moving its pages instead of copying bytes. Smaller
//! blocks are the system allocator's.
//!
//! **Invariant.** Whether a block is large follows from its size alone, so the layout that comes back
//! with it says who has to free it, and how long its mapping is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// The global allocator that puts large blocks into huge pages; the module says how.
#[derive(Clone, Copy, Debug, Default)]
pub struct HugePages;

/// A huge page, and the smallest block that gets one: 2 MiB.
const HUGE: usize = 2 << 20;

/// Mappings are multiples of this: the largest size that an ordinary page has on any machine.
const GRAIN: usize = 64 << 10;

// SAFETY: nothing here unwinds or allocates. A block comes from the system allocator or is a part of a
// mapping that `reserve` made for it, at least as long and as aligned as the layout asks; its size,
// which does not change but by `realloc`, tells which, so it is freed where it came from.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match mapped_len(layout.size()) {
            Some(len) => reserve(len, layout.align()),
            // SAFETY: the caller's promises are those that `System` asks for.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match mapped_len(layout.size()) {
            Some(len) => reserve(len, layout.align()),
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match mapped_len(layout.size()) {
            // SAFETY: a block of this size is a mapping of `len` bytes, and its owner is done with it.
            Some(len) => unsafe { unmap(block, len) },
            // SAFETY: a block of this size is the system allocator's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match (mapped_len(layout.size()), mapped_len(size)) {
            // SAFETY: both sizes are small, so the system allocator has the block and keeps it.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(old), Some(new)) if new <= old => {
                // SAFETY: the block is a mapping of `old` bytes; what is behind the first `new` of them
                // is given up by the caller.
                unsafe { unmap(block.add(new), old - new) };
                block
            }
            (Some(old), Some(new)) => {
                // SAFETY: the block is a mapping of `old` bytes that the caller hands over.
                let moved = unsafe { grow(block, old, new, layout.align()) };
                if moved.is_null() {
                    // SAFETY: the block is as it was; the caller's promises are passed on.
                    return unsafe { self.copy(block, layout, size) };
                }
                moved
            }
            // SAFETY: the caller's promises are passed on.
            _ => unsafe { self.copy(block, layout, size) },
        }
    }
}

impl HugePages {
    /// `realloc` by a new block.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn copy(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size, rounded up to the alignment, is in range; the
        // new block is another one than the old, and both have at least the bytes that are copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// How long the mapping of a block of this size is; none for a small one.
const fn mapped_len(size: usize) -> Option<usize> {
    if size < HUGE {
        return None;
    }
    size.checked_next_multiple_of(GRAIN)
}

/// Fresh zeroed memory that asks for huge pages, aligned to one; null if there is none. `len` is a
/// multiple of [`GRAIN`].
fn reserve(len: usize, align: usize) -> *mut u8 {
    let align = align.max(HUGE);
    let Some(whole) = len.checked_add(align) else {
        return ptr::null_mut();
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at a place of the kernel's choice touches no memory in use.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            whole,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    let start = start.cast::<u8>();
    let head = start.addr().next_multiple_of(align) - start.addr();
    // SAFETY: `head` is below `align`, so head, block and tail lie in the mapping just made, one behind
    // the other; nobody has seen it yet. All three begin and end where pages do. Advice that the
    // kernel does not follow changes nothing.
    unsafe {
        let block = start.add(head);
        unmap(start, head);
        unmap(block.add(len), align - head);
        libc::madvise(block.cast(), len, libc::MADV_HUGEPAGE);
        block
    }
}

/// Moves a mapping to a longer one, page table by page table; null if the kernel does not, and then the
/// old one is as it was.
///
/// # Safety
///
/// `block` is a mapping of `old` bytes by [`reserve`], and the caller's to give up. `new` is larger.
unsafe fn grow(block: *mut u8, old: usize, new: usize, align: usize) -> *mut u8 {
    let place = reserve(new, align);
    if place.is_null() {
        return place;
    }
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the old mapping is the caller's, and the place that is written over was reserved for this.
    let moved = unsafe { libc::mremap(block.cast(), old, new, flags, place) };
    if moved == libc::MAP_FAILED {
        // The place stays reserved: whether the kernel has given it up already, and somebody else has it
        // now, cannot be known. It is untouched, so only addresses are lost.
        return ptr::null_mut();
    }
    place
}

/// Gives memory back. Where the kernel refuses (it may, when it would have to split a mapping and has
/// reached its limit of them), it is lost.
///
/// # Safety
///
/// `start` and `len` are the whole or an end of a mapping by [`reserve`], at the bounds of pages, and
/// nobody uses it any more.
unsafe fn unmap(start: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: the caller's promise.
        unsafe { libc::munmap(start.cast(), len) };
    }
}
