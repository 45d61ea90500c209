//! The key of a connection: one value for both of its directions.
//!
//! The two ends of a connection are put into a fixed order, so that a packet and its answer have
//! the same key and one index slot serves both; whether that exchanged them is the packet's
//! *orientation*. ICMP is ordered by who asks: two hosts that ping each other with the same identifier
//! have two connections.
//!
//! The hash is SipHash-1-3 under a secret key, so that nobody outside can choose packets that meet
//! in one bucket. (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.)

use siphasher::sip::SipHasher13;

use crate::tuple::{Addresses, Protocol, icmp_counterpart, icmp_is_request, icmpv6_counterpart};

/// A connection's tuples and zone, the same for both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    /// IPv4: both addresses. IPv6: the hash of both addresses.
    pub(crate) ends: u64,
    /// Both protocol parts, zone, protocol number and family.
    pub(crate) parts: u64,
    /// IPv6: both addresses.
    pub(crate) wide: Option<[u128; 2]>,
}

/// A key with what a look-up needs beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) key: Key,
    pub(crate) hash: u64,
    /// Whether the packet's source is the key's second end.
    pub(crate) flipped: bool,
    /// Whether both ends are equal, so that every packet is its own inverse.
    pub(crate) mirrored: bool,
}

/// The secret key.
#[derive(Clone, Debug)]
pub(crate) struct Hasher(SipHasher13);

impl Hasher {
    pub(crate) fn new(seed: u128) -> Hasher {
        Hasher(SipHasher13::new_with_keys((seed >> 64) as u64, seed as u64))
    }

    /// The hash of two words.
    pub(crate) fn words(&self, a: u64, b: u64) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..].copy_from_slice(&b.to_le_bytes());
        self.0.hash(&bytes)
    }

    fn wide(&self, [a, b]: [u128; 2]) -> u64 {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&a.to_le_bytes());
        bytes[16..].copy_from_slice(&b.to_le_bytes());
        self.0.hash(&bytes)
    }

    /// What to look up for a packet.
    pub(crate) fn probe(
        &self,
        addresses: Addresses,
        protocol: Protocol,
        parts: (u16, u16),
        zone: u16,
    ) -> Probe {
        let (flipped, (first, second)) = orient(addresses, protocol, parts);
        let (ends, wide, family, same) = match addresses {
            Addresses::V4 { src, dst } => {
                let (a, b) = if flipped { (dst, src) } else { (src, dst) };
                (u64::from(a) << 32 | u64::from(b), None, 4, a == b)
            }
            Addresses::V6 { src, dst } => {
                let pair = if flipped { [dst, src] } else { [src, dst] };
                (self.wide(pair), Some(pair), 6, src == dst)
            }
        };
        let parts = u64::from(first) << 48
            | u64::from(second) << 32
            | u64::from(zone) << 16
            | u64::from(protocol.0) << 8
            | family;
        Probe {
            key: Key { ends, parts, wide },
            hash: self.words(ends, parts),
            flipped,
            mirrored: same && first == second && !protocol.is_icmp(),
        }
    }
}

impl Key {
    pub(crate) const fn protocol(&self) -> Protocol {
        Protocol((self.parts >> 8) as u8)
    }

    /// Addresses and parts as a packet of that orientation has them.
    pub(crate) fn sides(&self, flipped: bool) -> (Addresses, (u16, u16)) {
        let addresses = match self.wide {
            Some([a, b]) => {
                let (src, dst) = if flipped { (b, a) } else { (a, b) };
                Addresses::V6 { src, dst }
            }
            None => {
                let (a, b) = ((self.ends >> 32) as u32, self.ends as u32);
                let (src, dst) = if flipped { (b, a) } else { (a, b) };
                Addresses::V4 { src, dst }
            }
        };
        let (first, second) = ((self.parts >> 48) as u16, (self.parts >> 32) as u16);
        let parts = if self.protocol().is_icmp() {
            let second = if flipped {
                answer(self.protocol(), second)
            } else {
                second
            };
            (first, second)
        } else if flipped {
            (second, first)
        } else {
            (first, second)
        };
        (addresses, parts)
    }
}

/// Type and code of the counterpart of an ICMP type and code.
fn answer(protocol: Protocol, kind_and_code: u16) -> u16 {
    let kind = (kind_and_code >> 8) as u8;
    let counterpart = match protocol {
        Protocol::ICMP => icmp_counterpart(kind),
        _ => icmpv6_counterpart(kind),
    };
    u16::from(counterpart.unwrap_or(kind)) << 8 | kind_and_code & 0xff
}

/// Whether to exchange the ends, and the parts in the order that results.
fn orient(addresses: Addresses, protocol: Protocol, parts: (u16, u16)) -> (bool, (u16, u16)) {
    let (src, dst) = parts;
    if protocol.is_icmp() {
        let is_answer = !icmp_is_request(protocol, (dst >> 8) as u8);
        let asked = if is_answer {
            answer(protocol, dst)
        } else {
            dst
        };
        return (is_answer, (src, asked));
    }
    let flipped = match addresses {
        Addresses::V4 { src: a, dst: b } => (a, src) > (b, dst),
        Addresses::V6 { src: a, dst: b } => (a, src) > (b, dst),
    };
    (flipped, if flipped { (dst, src) } else { (src, dst) })
}
