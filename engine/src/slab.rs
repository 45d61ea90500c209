//! Where entries live: numbered slots, in chunks that never move.
//!
//! A chunk is memory for 16,384 entries, one page of 2 MiB where the program's allocator gives such
//! pages. Chunks are reserved when the limit is set, and touched as they are used, so that a table of
//! a million entries costs what it holds. Slots are used in order, and freed ones first, last freed
//! first. Start times stand in an array beside the chunk, made when the first entry of the chunk needs
//! them; how often each slot was filled stands there too. The addresses of IPv6 entries stand in arrays
//! for four chunks each, so that such an array is as large as a huge page, too.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::entry::Entry;
use crate::prefetch;
use crate::time::Time;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Entries in a chunk: 2 MiB of them.
const CHUNK: usize = 1 << 14;

/// Entries to reserve for in advance, at most: 2 GiB of addresses, not of memory.
const RESERVED_AT_MOST: u32 = 1 << 24;

/// Slots whose IPv6 addresses stand together: 2 MiB of them.
const WIDE: usize = 1 << 16;

/// What packets do not need of a chunk's entries.
#[derive(Debug, Default)]
struct Beside {
    /// How often each slot was filled again, modulo 65,536.
    generations: Vec<u16>,
    /// Nanoseconds plus one; 0 is none.
    starts: Option<Box<[u64]>>,
}

#[derive(Debug)]
pub(crate) struct Slab {
    chunks: Vec<Vec<Entry>>,
    beside: Vec<Beside>,
    /// Addresses of IPv6 entries, as far as there are any; made when the first entry needs them.
    wide: Vec<Box<[[u128; 2]]>>,
    /// Chunks that there shall be.
    wanted: usize,
    free: u32,
    used: u32,
}

impl Slab {
    pub(crate) const fn new() -> Slab {
        Slab {
            chunks: Vec::new(),
            beside: Vec::new(),
            wide: Vec::new(),
            wanted: 0,
            free: NONE,
            used: 0,
        }
    }

    /// Wants room for `slots` entries in all, or for as many as may be needed soon. It is for
    /// [`reserve_some`](Slab::reserve_some) to get it.
    pub(crate) fn want(&mut self, slots: u32) {
        self.wanted = (slots.min(RESERVED_AT_MOST) as usize).div_ceil(CHUNK);
    }

    /// Wants a chunk beyond those in use.
    pub(crate) fn want_another(&mut self) {
        let wanted = self.wanted;
        self.want(self.used.saturating_add(CHUNK as u32));
        self.wanted = self.wanted.max(wanted);
    }

    /// Reserves one more chunk, if more are wanted. Returns whether that was so.
    pub(crate) fn reserve_some(&mut self) -> bool {
        let wants_more = self.chunks.len() < self.wanted;
        if wants_more {
            self.grow();
        }
        wants_more
    }

    fn grow(&mut self) {
        self.chunks.push(Vec::with_capacity(CHUNK));
        self.beside.push(Beside {
            generations: Vec::with_capacity(CHUNK),
            ..Beside::default()
        });
    }

    /// Slots for which there is memory.
    pub(crate) const fn reserved(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// Slots ever used: slots at and above this number hold nothing.
    pub(crate) const fn used(&self) -> u32 {
        self.used
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, entry: &Entry) -> Option<u32> {
        if self.free != NONE {
            let slot = self.free;
            self.free = self[slot].next;
            self[slot] = entry.clone();
            let generation =
                &mut self.beside[slot as usize / CHUNK].generations[slot as usize % CHUNK];
            *generation = generation.wrapping_add(1);
            return Some(slot);
        }
        let slot = self.used;
        if slot == NONE {
            return None;
        }
        let chunk = slot as usize / CHUNK;
        while self.chunks.len() <= chunk {
            self.grow();
        }
        self.chunks[chunk].push(entry.clone());
        self.beside[chunk].generations.push(0);
        self.used += 1;
        Some(slot)
    }

    /// The slot's entry must be out of every list.
    pub(crate) fn remove(&mut self, slot: u32) {
        let free = self.free;
        let entry = &mut self[slot];
        entry.parts = 0;
        entry.next = free;
        self.free = slot;
    }

    /// The slot, if it was ever used, whatever it holds.
    #[inline(always)]
    pub(crate) fn place_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let chunk = self.chunks.get_mut(slot as usize / CHUNK)?;
        chunk.get_mut(slot as usize % CHUNK)
    }

    /// The entry, if the slot was ever used and holds one.
    #[inline(always)]
    pub(crate) fn get(&self, slot: u32) -> Option<&Entry> {
        let chunk = self.chunks.get(slot as usize / CHUNK)?;
        let entry = chunk.get(slot as usize % CHUNK)?;
        (entry.parts != 0).then_some(entry)
    }

    /// Asks memory for an entry, if there is a chunk for the slot.
    #[inline(always)]
    pub(crate) fn expect(&self, slot: u32) {
        if let Some(chunk) = self.chunks.get(slot as usize / CHUNK) {
            prefetch::two_lines(chunk, slot as usize % CHUNK);
        }
    }

    /// Asks memory for the addresses of an IPv6 entry.
    #[inline(never)]
    pub(crate) fn expect_wide(&self, slot: u32) {
        if let Some(wide) = self.wide.get(slot as usize / WIDE) {
            prefetch::line(wide, slot as usize % WIDE);
        }
    }

    /// Asks memory for what changes beside the entry when its slot is filled again.
    pub(crate) fn expect_refill(&self, slot: u32) {
        if let Some(beside) = self.beside.get(slot as usize / CHUNK) {
            prefetch::line(&beside.generations, slot as usize % CHUNK);
        }
    }

    /// A number by which an entry differs from those that were in its slot before.
    pub(crate) fn generation(&self, slot: u32) -> u16 {
        self.beside[slot as usize / CHUNK].generations[slot as usize % CHUNK]
    }

    pub(crate) fn wide(&self, slot: u32) -> [u128; 2] {
        self.wide_at(slot).copied().unwrap_or_default()
    }

    /// The addresses in the place of a slot, whatever that holds.
    #[inline(always)]
    pub(crate) fn wide_at(&self, slot: u32) -> Option<&[u128; 2]> {
        let wide = self.wide.get(slot as usize / WIDE)?;
        wide.get(slot as usize % WIDE)
    }

    pub(crate) fn set_wide(&mut self, slot: u32, addresses: [u128; 2]) {
        let number = slot as usize / WIDE;
        if self.wide.len() <= number {
            self.wide.resize_with(number + 1, Box::default);
        }
        let wide = &mut self.wide[number];
        if wide.is_empty() {
            *wide = vec![[0; 2]; WIDE].into_boxed_slice();
        }
        wide[slot as usize % WIDE] = addresses;
    }

    /// When the entry was confirmed; `None` if that was not noted.
    pub(crate) fn start(&self, slot: u32) -> Option<Time> {
        let starts = self.beside[slot as usize / CHUNK].starts.as_ref()?;
        let nanos = starts[slot as usize % CHUNK];
        nanos.checked_sub(1).map(Time::from_nanos)
    }

    pub(crate) fn set_start(&mut self, slot: u32, start: Option<Time>) {
        let starts = &mut self.beside[slot as usize / CHUNK].starts;
        if start.is_none() && starts.is_none() {
            return;
        }
        let starts = starts.get_or_insert_with(|| vec![0; CHUNK].into_boxed_slice());
        let plus_one = |start: Time| start.as_nanos().saturating_add(1);
        starts[slot as usize % CHUNK] = start.map_or(0, plus_one);
    }
}

impl core::ops::Index<u32> for Slab {
    type Output = Entry;

    #[inline(always)]
    fn index(&self, slot: u32) -> &Entry {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}

impl core::ops::IndexMut<u32> for Slab {
    #[inline(always)]
    fn index_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }
}
