//! Packets that were refused, by whom they came from: a flood that the tracker keeps out leaves no entry,
//! and shows here only.
//!
//! Packets of one tuple count as one flow, for that is what an entry would be: the one half of a long
//! conversation of which the other half was not captured is one stray, not thousands. At most [`MOST`]
//! tuples are told apart; packets beyond are only counted.

use std::collections::HashMap;

use ip_conntrack::{Protocol, Tuple};

use crate::flow::{Flow, Origin};
use crate::rows::Rows;

/// Tuples that are told apart, at most: some 30 MiB.
pub const MOST: usize = 1 << 18;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What a refused packet was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// TCP that its connection did not expect, or that has none, with its flags.
    Tcp(u8),
    /// TCP with flags that no connection uses.
    TcpFlags,
    /// ICMP that opens nothing and answers nothing, errors about unknown connections included.
    Icmp,
    /// A fragment that waits, or waited in vain, for the rest of its datagram.
    Fragment,
    /// An ARP request for the destination.
    Arp,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Default, Debug)]
struct Stray {
    packets: u64,
    bytes: u64,
    /// Bit n: there were packets of the n-th origin.
    origins: u16,
    answered: bool,
}

/// Refused packets by tuple.
#[derive(Clone, Debug, Default)]
pub struct Strays {
    by_tuple: HashMap<Tuple, Stray>,
    /// Packets in all.
    pub packets: u64,
}

impl Strays {
    /// Counts a refused packet of `bytes` bytes.
    pub fn push(&mut self, tuple: &Tuple, kind: Kind, bytes: u32) {
        self.packets += 1;
        let is_full = self.by_tuple.len() >= MOST;
        let stray = match self.by_tuple.get_mut(tuple) {
            Some(stray) => stray,
            None if is_full => return,
            None => self.by_tuple.entry(*tuple).or_default(),
        };
        stray.packets += 1;
        stray.bytes += u64::from(bytes);
        stray.origins |= 1 << origin(kind) as u16;
    }

    /// Notes that what was asked for was answered.
    pub fn answered(&mut self, tuple: &Tuple) {
        if let Some(stray) = self.by_tuple.get_mut(tuple) {
            stray.answered = true;
        }
    }

    /// Forgets a tuple: its packets came to something after all.
    pub fn forget(&mut self, tuple: &Tuple) {
        if let Some(stray) = self.by_tuple.remove(tuple) {
            self.packets = self.packets.saturating_sub(stray.packets);
        }
    }

    /// The strays as flows.
    pub fn rows(&self) -> Rows {
        let mut tuples: Vec<_> = self.by_tuple.iter().collect();
        // The order of a hash map is random, and a report is not.
        tuples.sort_unstable_by_key(|(tuple, _)| **tuple);
        let mut rows = Rows::default();
        for (tuple, stray) in tuples {
            rows.push(&Flow {
                packets: Some([stray.packets, 0]),
                bytes: Some([stray.bytes, 0]),
                origin: stray.origin(),
                replied: stray.answered,
                ..Flow::of_tuple(tuple)
            });
        }
        rows
    }
}

impl Stray {
    /// What its packets were, all together. SYN/ACKs beside others are one half of a conversation.
    fn origin(&self) -> Origin {
        let has = |origin: Origin| self.origins >> origin as u16 & 1 != 0;
        let only = |origin: Origin| self.origins == 1 << origin as u16;
        let pure = [Origin::StraySynAck, Origin::StrayReset, Origin::StrayFlags];
        if let Some(origin) = pure.into_iter().find(|origin| only(*origin)) {
            return origin;
        }
        let rest = [
            Origin::StrayAck,
            Origin::StraySynAck,
            Origin::StrayFlags,
            Origin::StrayReset,
        ];
        let others = [Origin::Fragments, Origin::StrayIcmp, Origin::Arp];
        if rest.into_iter().any(has) {
            return Origin::StrayAck;
        }
        others
            .into_iter()
            .find(|origin| has(*origin))
            .unwrap_or(Origin::Other)
    }
}

fn origin(kind: Kind) -> Origin {
    match kind {
        Kind::Tcp(flags) if flags & RST != 0 => Origin::StrayReset,
        Kind::Tcp(flags) if flags & SYN != 0 && flags & ACK != 0 => Origin::StraySynAck,
        Kind::Tcp(_) => Origin::StrayAck,
        Kind::TcpFlags => Origin::StrayFlags,
        Kind::Icmp => Origin::StrayIcmp,
        Kind::Fragment => Origin::Fragments,
        Kind::Arp => Origin::Arp,
        Kind::Other => Origin::Other,
    }
}

/// The tuple of an ARP request: who asks for whom.
pub fn arp_tuple(src: [u8; 4], dst: [u8; 4]) -> Tuple {
    Tuple {
        src: std::net::Ipv4Addr::from(src).into(),
        dst: std::net::Ipv4Addr::from(dst).into(),
        protocol: Protocol(0),
        src_part: 0,
        dst_part: 0,
    }
}
