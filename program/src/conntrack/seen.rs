//! Which entries were printed, so that none is printed twice.
//!
//! A dump goes on behind the last entry that it told. If that has ended meanwhile, the kernel tells the
//! whole chain of its bucket again: up to 80 entries, since no chain is longer. So the last [`RECENT`] that
//! were told are remembered, and a listing of any length costs the same memory.
//!
//! A dump may say that it was interrupted: entries may then be missing, and it is repeated. To print only
//! what is missing, all that was printed would have to be remembered; it is, eight bytes an entry, as
//! long as they are no more than [`MOST`]. A larger table is not listed twice: it is said instead that entries may
//! be missing.
//!
//! An entry is known by its id and its original tuple, folded into 64 bits: of a million entries, one in
//! 10⁸ listings would lose one to a collision with one of the last 128.

use std::net::IpAddr;

use ip_conntrack::{Connection, Tuple};

/// Entries within which the kernel may repeat itself; longer than any chain.
const RECENT: usize = 128;

/// Entries that are remembered for a repetition: 8 MiB.
const MOST: usize = 1 << 20;

/// What was printed.
pub(crate) struct Seen {
    recent: [u64; RECENT],
    next: usize,
    all: Vec<u64>,
    /// How many of `all` are sorted: those of the dumps before this one.
    before: usize,
    overflowed: bool,
}

impl Seen {
    pub(crate) fn new() -> Seen {
        Seen {
            recent: [0; RECENT],
            next: 0,
            all: Vec::new(),
            before: 0,
            overflowed: false,
        }
    }

    /// Takes note of an entry. Returns whether it is new.
    pub(crate) fn is_new(&mut self, connection: &Connection) -> bool {
        let key = key(connection);
        let is_known =
            self.recent.contains(&key) || self.all[..self.before].binary_search(&key).is_ok();
        if is_known {
            return false;
        }
        self.recent[self.next] = key;
        self.next = (self.next + 1) % RECENT;
        if self.all.len() < MOST {
            self.all.push(key);
        } else {
            self.overflowed = true;
        }
        true
    }

    /// Prepares for the same table once more. Returns whether that makes sense: all that was
    /// printed is remembered.
    pub(crate) fn again(&mut self) -> bool {
        self.all.sort_unstable();
        self.before = self.all.len();
        !self.overflowed
    }
}

/// Never 0, so that an unused place of `recent` is nobody's.
fn key(connection: &Connection) -> u64 {
    let tuple = fold(&connection.original);
    (u64::from(connection.id) << 32 | u64::from(tuple)).max(1)
}

/// A tuple in 32 bits. Whoever makes two that fold alike still has two ids.
fn fold(tuple: &Tuple) -> u32 {
    let address = |address| match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(7)
        }
    };
    let ports = u64::from(tuple.src_part) << 16 | u64::from(tuple.dst_part);
    let mut folded = ports ^ u64::from(tuple.protocol.0) << 32;
    for part in [address(tuple.src), address(tuple.dst)] {
        folded = (folded ^ part)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
    (folded >> 32) as u32
}
