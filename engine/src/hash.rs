//! The key of a connection: one value for both of its directions.
//!
//! The two ends of a connection are put into a fixed order, so that a packet and its answer have
//! the same key and one index slot serves both; whether that exchanged them is the packet's
//! *orientation*. ICMP is ordered by who asks: two hosts that ping each other with the same identifier
//! have two connections.
//!
//! The hash is SipHash-1-3 under a secret key, so that nobody outside can choose packets that meet
//! in one bucket. (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.)

use core::hint::select_unpredictable;

use crate::sip::Sip;
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
pub(crate) struct Hasher(Sip);

impl Hasher {
    pub(crate) const fn new(seed: u128) -> Hasher {
        Hasher(Sip::new((seed >> 64) as u64, seed as u64))
    }

    /// The hash of two words.
    #[inline]
    pub(crate) fn words(&self, a: u64, b: u64) -> u64 {
        self.0.hash([a, b])
    }

    /// The hash of a key. The family is left out: what the ends are is hash enough to tell it.
    #[inline(always)]
    pub(crate) fn key(&self, ends: u64, parts: u64) -> u64 {
        self.0.hash_15(ends, parts >> 8)
    }

    /// The hash of two addresses.
    #[inline(always)]
    fn wide(&self, [a, b]: [u128; 2]) -> u64 {
        let high = |address: u128| (address >> 64) as u64;
        self.0.hash([high(a), a as u64, high(b), b as u64])
    }

    /// The same tuple in another zone.
    pub(crate) fn in_zone(&self, probe: &Probe, zone: u16) -> Probe {
        let mut key = probe.key;
        key.parts = key.parts & !0xffff_0000 | u64::from(zone) << 16;
        Probe {
            key,
            hash: self.key(key.ends, key.parts),
            ..*probe
        }
    }

    /// What to look up for a packet.
    pub(crate) fn probe(
        &self,
        addresses: Addresses,
        protocol: Protocol,
        parts: (u16, u16),
        zone: u16,
    ) -> Probe {
        match addresses {
            Addresses::V6 { src, dst } => self.probe_wide(src, dst, protocol, parts, zone),
            Addresses::V4 { src, dst } if !protocol.is_icmp() => {
                let addresses = u64::from(src) << 32 | u64::from(dst);
                let ports = u32::from(parts.0) << 16 | u32::from(parts.1);
                self.probe_ports(addresses, ports, protocol, zone)
            }
            Addresses::V4 { src, dst } => {
                let (flipped, (first, second)) = orient_icmp(protocol, parts);
                let (a, b) = if flipped { (dst, src) } else { (src, dst) };
                let key = Key {
                    ends: u64::from(a) << 32 | u64::from(b),
                    parts: pack(first, second, zone, protocol, 4),
                    wide: None,
                };
                self.probe_of(key, flipped, false)
            }
        }
    }

    /// The same for IPv4 and what is no ICMP, from source and destination as they stand in the headers.
    #[inline(always)]
    pub(crate) fn probe_ports(
        &self,
        addresses: u64,
        ports: u32,
        protocol: Protocol,
        zone: u16,
    ) -> Probe {
        let (turned, turned_ports) = (addresses.rotate_left(32), ports.rotate_left(16));
        // Two different hosts are put in order by their addresses.
        let flipped = match addresses == turned {
            false => addresses > turned,
            true => ports > turned_ports,
        };
        let key_ports = select_unpredictable(flipped, turned_ports, ports);
        let key = Key {
            ends: select_unpredictable(flipped, turned, addresses),
            parts: u64::from(key_ports) << 32 | pack(0, 0, zone, protocol, 4),
            wide: None,
        };
        let mirrored = addresses == turned && ports == turned_ports;
        self.probe_of(key, flipped, mirrored)
    }

    #[inline(never)]
    fn probe_wide(
        &self,
        src: u128,
        dst: u128,
        protocol: Protocol,
        parts: (u16, u16),
        zone: u16,
    ) -> Probe {
        if !protocol.is_icmp() {
            let ports = u32::from(parts.0) << 16 | u32::from(parts.1);
            return self.probe_wide_ports([src, dst], ports, protocol, zone);
        }
        let (flipped, (first, second)) = orient_icmp(protocol, parts);
        let pair = if flipped { [dst, src] } else { [src, dst] };
        let parts = pack(first, second, zone, protocol, 6);
        self.probe_of(self.wide_key(pair, parts), flipped, false)
    }

    /// As [`probe_ports`](Hasher::probe_ports), for IPv6.
    #[inline(always)]
    pub(crate) fn probe_wide_ports(
        &self,
        [src, dst]: [u128; 2],
        ports: u32,
        protocol: Protocol,
        zone: u16,
    ) -> Probe {
        let turned_ports = ports.rotate_left(16);
        let flipped = match src == dst {
            false => src > dst,
            true => ports > turned_ports,
        };
        let pair = [
            select_unpredictable(flipped, dst, src),
            select_unpredictable(flipped, src, dst),
        ];
        let key_ports = select_unpredictable(flipped, turned_ports, ports);
        let parts = u64::from(key_ports) << 32 | pack(0, 0, zone, protocol, 6);
        let mirrored = src == dst && ports == turned_ports;
        self.probe_of(self.wide_key(pair, parts), flipped, mirrored)
    }

    #[inline(always)]
    fn wide_key(&self, pair: [u128; 2], parts: u64) -> Key {
        Key {
            ends: self.wide(pair),
            parts,
            wide: Some(pair),
        }
    }

    /// `mirrored`: both ends are equal, and not by who asks.
    #[inline(always)]
    fn probe_of(&self, key: Key, flipped: bool, mirrored: bool) -> Probe {
        Probe {
            key,
            hash: self.key(key.ends, key.parts),
            flipped,
            mirrored,
        }
    }
}

/// Both parts, zone, protocol and family in one word.
#[inline(always)]
const fn pack(first: u16, second: u16, zone: u16, protocol: Protocol, family: u64) -> u64 {
    (first as u64) << 48
        | (second as u64) << 32
        | (zone as u64) << 16
        | (protocol.0 as u64) << 8
        | family
}

impl Key {
    pub(crate) const fn protocol(&self) -> Protocol {
        Protocol((self.parts >> 8) as u8)
    }

    pub(crate) const fn zone(&self) -> u16 {
        (self.parts >> 16) as u16
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

/// Whether to exchange the ends of ICMP, which goes by who asks, and the parts in the order that results.
#[inline(never)]
fn orient_icmp(protocol: Protocol, (id, kind_and_code): (u16, u16)) -> (bool, (u16, u16)) {
    let is_answer = !icmp_is_request(protocol, (kind_and_code >> 8) as u8);
    let asked = if is_answer {
        answer(protocol, kind_and_code)
    } else {
        kind_and_code
    };
    (is_answer, (id, asked))
}
