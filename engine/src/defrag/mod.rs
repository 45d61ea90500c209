//! Fragments are put together before they are tracked.
//!
//! *Purpose.* Only the first fragment of a datagram has ports, so Linux reassembles in front of
//! connection tracking, and a datagram counts as one packet of its full length.
//!
//! *Life cycle.* The first fragment to arrive opens a queue (`queue.rs`); fragments are kept in the
//! order of their offsets; when the last one is known and nothing is missing, the datagram comes out
//! and the queue is gone. A queue that is not whole after its timeout is thrown away.
//!
//! *Bounds.* Any fragment is refused while the memory held exceeds the `high_thresh` of its family, also
//! one of a datagram that has begun. An IPv4 queue starts over when more than `ipfrag_max_dist`
//! fragments of the same sender came between two of its own, since identifications wrap. Whatever
//! refers to a queue goes with it.
//!
//! *Cut captures.* Fragments count with the length they had. The datagram's bytes end where the
//! first missing byte is, its length does not.

mod queue;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::config::{Config, Knob};
use crate::packet::{Fragment, Packet};
use crate::time::Time;
use crate::tuple::Addresses;
use crate::verdict::{Piece, Reason};
use queue::{Queue, Trouble};

/// A datagram that is whole.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// The IP packet, as far as it was captured.
    pub(crate) bytes: Vec<u8>,
    /// Its full length.
    pub(crate) len: usize,
}

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Outcome {
    Held,
    Whole(Datagram),
    Refused(Reason),
    /// It goes on as it is, as if it were no fragment.
    Stray,
}

/// All unfinished datagrams.
#[derive(Debug, Default)]
pub(crate) struct Defrag {
    v4: Family,
    v6: Family,
}

/// Queues of one address family.
#[derive(Debug, Default)]
struct Family {
    queues: BTreeMap<Key, Queue>,
    /// Each queue by its deadline and number.
    deadlines: BTreeMap<(Time, u64), Key>,
    memory: usize,
    opened: u64,
    /// Fragments thrown away with queues that ran out.
    expired: u64,
    /// IPv4: what is counted of each sender that has an open queue.
    senders: BTreeMap<u128, Sender>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    src: u128,
    dst: u128,
    id: u32,
    /// 0 for IPv6, where the identification alone counts.
    protocol: u8,
    zone: u16,
}

#[derive(Debug, Default)]
struct Sender {
    queues: u32,
    fragments: u32,
}

impl Defrag {
    /// Takes one fragment. => what became of it, and whether that is about others that came before.
    pub(crate) fn push(
        &mut self,
        packet: &Packet<'_>,
        fragment: Fragment,
        zone: u16,
        config: &Config,
        now: Time,
    ) -> (Outcome, Piece) {
        let key = key(packet, fragment, zone);
        let (family, high, timeout) = match packet.addresses() {
            Addresses::V4 { .. } => (&mut self.v4, Knob::IpfragHighThresh, Knob::IpfragTime),
            Addresses::V6 { .. } => (&mut self.v6, Knob::Frag6HighThresh, Knob::Frag6Timeout),
        };
        let high = usize::try_from(config.get(high)).unwrap_or(0);
        let deadline = now.plus_secs(config.get(timeout));
        if family
            .queues
            .get(&key)
            .is_some_and(|queue| queue.deadline <= now)
        {
            family.run_out(key);
        }
        if family.memory > high || high == 0 {
            return (Outcome::Refused(Reason::FragmentMemory), Piece::Alone);
        }
        if !family.queues.contains_key(&key) {
            family.open(key, deadline);
        }
        if matches!(packet.addresses(), Addresses::V4 { .. }) {
            family.check_distance(key, config.get(Knob::IpfragMaxDist), deadline);
        }
        family.add(key, packet, fragment)
    }

    /// Throws away what did not become whole in time, at most `budget` queues of each family. Returns
    /// whether that was enough.
    pub(crate) fn advance(&mut self, now: Time, budget: usize) -> bool {
        let no_more_v4 = self.v4.advance(now, budget);
        self.v6.advance(now, budget) && no_more_v4
    }

    /// Fragments that were thrown away since this was asked last.
    pub(crate) fn take_expired(&mut self) -> u64 {
        core::mem::take(&mut self.v4.expired) + core::mem::take(&mut self.v6.expired)
    }

    /// When the next queue runs out.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let first = |family: &Family| {
            family
                .deadlines
                .keys()
                .next()
                .map(|(deadline, _)| *deadline)
        };
        [first(&self.v4), first(&self.v6)]
            .into_iter()
            .flatten()
            .min()
    }
}

fn key(packet: &Packet<'_>, fragment: Fragment, zone: u16) -> Key {
    let (src, dst, protocol) = match packet.addresses() {
        Addresses::V4 { src, dst } => (u128::from(src), u128::from(dst), packet.protocol.0),
        Addresses::V6 { src, dst } => (src, dst, 0),
    };
    Key {
        src,
        dst,
        id: fragment.id,
        protocol,
        zone,
    }
}

impl Family {
    fn open(&mut self, key: Key, deadline: Time) {
        self.opened += 1;
        let queue = Queue::new(deadline, self.opened);
        self.memory += queue.memory();
        self.queues.insert(key, queue);
        self.deadlines.insert((deadline, self.opened), key);
        self.senders.entry(key.src).or_default().queues += 1;
    }

    fn close(&mut self, key: Key) -> Option<Queue> {
        let queue = self.queues.remove(&key)?;
        self.memory -= queue.memory();
        self.deadlines.remove(&(queue.deadline, queue.number));
        if let Some(sender) = self.senders.get_mut(&key.src) {
            sender.queues -= 1;
            if sender.queues == 0 {
                self.senders.remove(&key.src);
            }
        }
        Some(queue)
    }

    /// Counts a fragment of the queue's sender, and starts the queue over if too many of others came
    /// since its last one.
    fn check_distance(&mut self, key: Key, max_dist: i64, deadline: Time) {
        let Some(sender) = self.senders.get_mut(&key.src) else {
            return;
        };
        sender.fragments = sender.fragments.wrapping_add(1);
        let count = sender.fragments;
        let Some(queue) = self.queues.get_mut(&key) else {
            return;
        };
        let distance = count.wrapping_sub(core::mem::replace(&mut queue.sender_count, count));
        if max_dist == 0 || queue.is_empty() || i64::from(distance) <= max_dist {
            return;
        }
        // The sender's count goes on, so the new queue is opened before the old one would end it.
        self.senders.entry(key.src).or_default().queues += 1;
        self.close(key);
        self.open(key, deadline);
        self.senders.entry(key.src).or_default().queues -= 1;
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.sender_count = count;
        }
    }

    fn add(&mut self, key: Key, packet: &Packet<'_>, fragment: Fragment) -> (Outcome, Piece) {
        let Some(queue) = self.queues.get_mut(&key) else {
            return (Outcome::Refused(Reason::FragmentMemory), Piece::Alone);
        };
        let is_first = queue.is_empty();
        let before = queue.memory();
        let is_v4 = matches!(packet.addresses(), Addresses::V4 { .. });
        let outcome = queue.insert(packet, fragment);
        self.memory += queue.memory() - before;
        let (is_whole, is_empty) = (queue.is_whole(), queue.is_empty());
        match outcome {
            Ok(()) if !is_whole && is_first => (Outcome::Held, Piece::First),
            Ok(()) if !is_whole => (Outcome::Held, Piece::Next),
            Ok(()) => {
                // One that is the whole datagram says nothing about those before it.
                let piece = if is_first { Piece::Stray } else { Piece::Last };
                match self.close(key).and_then(|queue| queue.assemble(packet)) {
                    Some(datagram) => (Outcome::Whole(datagram), piece),
                    None => (Outcome::Refused(Reason::FragmentBad), piece),
                }
            }
            Err(trouble) => {
                let is_over =
                    matches!(trouble, Trouble::Poison | Trouble::Odd) || (is_empty && is_v4);
                if is_over {
                    self.close(key);
                }
                let piece = if is_over { Piece::Last } else { Piece::Alone };
                match trouble {
                    Trouble::Duplicate => (Outcome::Refused(Reason::FragmentDuplicate), piece),
                    Trouble::Bad | Trouble::Poison => {
                        (Outcome::Refused(Reason::FragmentBad), piece)
                    }
                    Trouble::Odd => (Outcome::Stray, Piece::Stray),
                }
            }
        }
    }

    fn run_out(&mut self, key: Key) {
        self.expired += self.close(key).map_or(0, |queue| queue.pieces() as u64);
    }

    fn advance(&mut self, now: Time, budget: usize) -> bool {
        for _ in 0..budget {
            match self.deadlines.first_key_value() {
                Some(((deadline, _), key)) if *deadline <= now => {
                    let key = *key;
                    self.run_out(key);
                }
                _ => return true,
            }
        }
        false
    }
}
