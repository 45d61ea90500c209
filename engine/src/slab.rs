//! Where entries live: numbered slots, in chunks that never move.
//!
//! Chunks are reserved when the limit is set and touched when they are used, so that a table of a
//! million entries costs what it holds. Slots are used in order, and freed ones first, last freed
//! first. The addresses of IPv6 entries and start times stand in arrays beside the chunk, made when
//! the first entry of the chunk needs them; how often each slot was filled stands there too.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::entry::Entry;
use crate::time::Time;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Entries in a chunk: 2 MiB of them.
const CHUNK: usize = 1 << 14;

/// Entries to reserve for in advance, at most: 2 GiB of addresses, not of memory.
const RESERVED_AT_MOST: u32 = 1 << 24;

#[derive(Debug, Default)]
struct Chunk {
    entries: Vec<Entry>,
    /// How often each slot was filled again, modulo 65,536.
    generations: Vec<u16>,
    wide: Option<Box<[[u128; 2]]>>,
    /// Nanoseconds plus one; 0 is none.
    starts: Option<Box<[u64]>>,
}

#[derive(Debug)]
pub(crate) struct Slab {
    chunks: Vec<Chunk>,
    free: u32,
    used: u32,
}

impl Slab {
    pub(crate) const fn new() -> Slab {
        Slab {
            chunks: Vec::new(),
            free: NONE,
            used: 0,
        }
    }

    /// Reserves room for `slots` entries in all, or for as many as may be wanted soon.
    pub(crate) fn reserve(&mut self, slots: u32) {
        self.grow(slots.min(RESERVED_AT_MOST));
    }

    fn grow(&mut self, slots: u32) {
        while self.chunks.len() * CHUNK < slots as usize {
            self.chunks.push(Chunk {
                entries: Vec::with_capacity(CHUNK),
                generations: Vec::with_capacity(CHUNK),
                ..Chunk::default()
            });
        }
    }

    /// Slots ever used: slots at and above this number hold nothing.
    pub(crate) const fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn insert(&mut self, entry: Entry) -> Option<u32> {
        if self.free != NONE {
            let slot = self.free;
            self.free = self[slot].next;
            self[slot] = entry;
            let generation =
                &mut self.chunks[slot as usize / CHUNK].generations[slot as usize % CHUNK];
            *generation = generation.wrapping_add(1);
            return Some(slot);
        }
        let slot = self.used;
        if slot == NONE {
            return None;
        }
        self.grow(slot + 1);
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        chunk.entries.push(entry);
        chunk.generations.push(0);
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

    /// The entry, if the slot was ever used and holds one.
    pub(crate) fn get(&self, slot: u32) -> Option<&Entry> {
        let chunk = self.chunks.get(slot as usize / CHUNK)?;
        let entry = chunk.entries.get(slot as usize % CHUNK)?;
        (entry.parts != 0).then_some(entry)
    }

    /// A number by which an entry differs from those that were in its slot before.
    pub(crate) fn generation(&self, slot: u32) -> u16 {
        self.chunks[slot as usize / CHUNK].generations[slot as usize % CHUNK]
    }

    pub(crate) fn wide(&self, slot: u32) -> [u128; 2] {
        let wide = self.chunks[slot as usize / CHUNK].wide.as_ref();
        wide.map_or([0; 2], |wide| wide[slot as usize % CHUNK])
    }

    pub(crate) fn set_wide(&mut self, slot: u32, addresses: [u128; 2]) {
        let wide = &mut self.chunks[slot as usize / CHUNK].wide;
        let wide = wide.get_or_insert_with(|| vec![[0; 2]; CHUNK].into_boxed_slice());
        wide[slot as usize % CHUNK] = addresses;
    }

    /// When the entry was confirmed; `None` if that was not noted.
    pub(crate) fn start(&self, slot: u32) -> Option<Time> {
        let starts = self.chunks[slot as usize / CHUNK].starts.as_ref()?;
        let nanos = starts[slot as usize % CHUNK];
        nanos.checked_sub(1).map(Time::from_nanos)
    }

    pub(crate) fn set_start(&mut self, slot: u32, start: Option<Time>) {
        let starts = &mut self.chunks[slot as usize / CHUNK].starts;
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

    fn index(&self, slot: u32) -> &Entry {
        &self.chunks[slot as usize / CHUNK].entries[slot as usize % CHUNK]
    }
}

impl core::ops::IndexMut<u32> for Slab {
    fn index_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK].entries[slot as usize % CHUNK]
    }
}
