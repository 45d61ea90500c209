//! Which shard a packet belongs to, where several trackers share the work.
//!
//! *Rule.* A shard owns pairs of addresses. The hash of the pair, sorted, names it, so that both
//! directions of a connection go to one tracker, and so do all fragments of a datagram, of which only
//! the first has ports. An ICMP error goes by the pair of the packet that it quotes: there is the
//! connection that it is about. Nothing is ever handed over from one shard to another.
//!
//! *What is left out, and why.* Ports, since fragments have none: all that two hosts have with each
//! other is one shard's, and a tunnel's traffic is not spread at all. Zones, since a connection may
//! have another one in each direction.
//!
//! *What does not work.* An ICMP error that comes in fragments itself goes by its own addresses, since
//! only the first fragment quotes anything. From a router on the way it is then INVALID, unless
//! the same shard owns the other pair too.
//!
//! *Another rule* will do as well, such as a network card's own symmetric hash, if it keeps these
//! together: both directions, all fragments, and errors with what they quote.

use crate::batch::Arrival;
use crate::config::{Config, Knob};
use crate::packet::Packet;
use crate::proto::icmp::{self, Message};
use crate::sip::Sip;
use crate::tuple::{Addresses, Tuple};

/// Says which of several trackers a packet is for: the same for both directions of a connection, for all
/// fragments of a datagram, and for ICMP errors about it.
///
/// It looks at the two addresses only, so what two hosts have with each other all goes to one
/// tracker. Trackers that share a [`Limit`](crate::Limit) do not mind if that is uneven.
#[derive(Clone, Debug)]
pub struct Dispatch {
    hash: Sip,
    shards: u32,
    /// What ICMP messages are read with. Wrong checksums are the trackers' business.
    config: Config,
}

impl Dispatch {
    /// Spreads packets over `shards` trackers, numbered from 0; at least one. `seed` keys the hash, so
    /// that nobody can choose addresses that all go to one of them; it may be the trackers' own seed.
    pub fn new(seed: u128, shards: usize) -> Dispatch {
        let mut config = Config::default();
        // A flag takes a 0.
        let _ = config.set(Knob::Checksum, 0);
        Dispatch {
            hash: Sip::new((seed >> 64) as u64, seed as u64),
            shards: u32::try_from(shards).unwrap_or(u32::MAX).max(1),
            config,
        }
    }

    /// How many trackers there are.
    pub const fn shards(&self) -> usize {
        self.shards as usize
    }

    /// The number of the tracker that a packet is for.
    #[inline]
    pub fn shard_of(&self, packet: &Packet<'_>) -> usize {
        let addresses = match packet.protocol.is_icmp() {
            true => self.meant(packet),
            false => packet.addresses(),
        };
        self.scale(self.hash_of(addresses))
    }

    /// The number of the tracker that a frame is for. One without a packet in it is for the first, which
    /// counts it.
    pub fn shard_of_frame(&self, frame: &Arrival<'_>) -> usize {
        let packet = Packet::parse_cut(frame.link, frame.bytes, frame.wire_len);
        packet.map_or(0, |packet| self.shard_of(&packet))
    }

    /// The number of the tracker that has the connection of a tuple, where the other direction is its
    /// inverse; for a tuple of two families, which no connection has, the first.
    pub fn shard_of_tuple(&self, tuple: &Tuple) -> usize {
        let addresses = tuple.addresses();
        addresses.map_or(0, |addresses| self.scale(self.hash_of(addresses)))
    }

    /// The addresses of the connection that an ICMP message is about.
    #[inline(never)]
    fn meant(&self, packet: &Packet<'_>) -> Addresses {
        if packet.is_fragment() {
            return packet.addresses();
        }
        match icmp::examine(packet, &self.config) {
            Ok(Message::Error(quote)) => quote.addresses,
            _ => packet.addresses(),
        }
    }

    #[inline]
    fn hash_of(&self, addresses: Addresses) -> u64 {
        match addresses {
            Addresses::V4 { src, dst } => {
                let (low, high) = (src.min(dst), src.max(dst));
                self.hash.hash([u64::from(low) << 32 | u64::from(high), 0])
            }
            Addresses::V6 { src, dst } => {
                let half = |address: u128| self.hash.hash([(address >> 64) as u64, address as u64]);
                self.hash.hash([half(src.min(dst)), half(src.max(dst))])
            }
        }
    }

    /// A shard from a hash, without dividing.
    #[inline]
    const fn scale(&self, hash: u64) -> usize {
        (((hash >> 32) * self.shards as u64) >> 32) as usize
    }
}
