//! Fragments are put together before they are tracked.
//!
//! *Purpose.* Only the first fragment of a datagram has ports, so Linux reassembles in front of
//! connection tracking, and a datagram counts as one packet of its full length.
//!
//! *Life cycle.* The first fragment to arrive opens a queue; fragments are kept in the order of
//! their offsets; when the last one is known and nothing is missing, the datagram comes out and the
//! queue is gone. A queue that is not whole after its timeout is thrown away.
//!
//! *Overlaps.* A fragment that lies inside data already there, as received in one run, is taken for
//! a repetition and dropped alone. Any other overlap discards the whole datagram (RFC 5722 for
//! IPv6, and Linux's answer to overlap attacks for IPv4), as does data beyond the announced end.
//!
//! *Bounds.* A new queue is refused while the memory held exceeds the `high_thresh` of its family,
//! and any fragment at four times that. An IPv4 queue starts over when more than `ipfrag_max_dist`
//! fragments of the same sender came between two of its own, since identifications wrap.
//!
//! *Cut captures.* Fragments count with the length they had. The datagram's bytes end where the
//! first missing byte is, its length does not.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::config::{Config, Knob};
use crate::packet::{Fragment, Packet, checksum};
use crate::time::Time;
use crate::tuple::Addresses;
use crate::verdict::Reason;

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

/// Queues of one address family.
#[derive(Debug, Default)]
struct Family {
    queues: BTreeMap<Key, Queue>,
    /// Deadlines in the order of opening, with the key and the queue's number.
    deadlines: VecDeque<(Time, Key, u64)>,
    memory: usize,
    opened: u64,
    /// Per IPv4 sender: queues that are open, fragments seen.
    senders: BTreeMap<u32, Sender>,
}

/// All unfinished datagrams.
#[derive(Debug, Default)]
pub(crate) struct Defrag {
    v4: Family,
    v6: Family,
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

#[derive(Debug, Default)]
struct Queue {
    number: u64,
    /// Payload length as far as it is known.
    len: u32,
    has_last: bool,
    received: u32,
    memory: usize,
    /// The sender's count of fragments at this queue's last one.
    sender_count: u32,
    /// Headers of the fragment at offset 0.
    header: Option<Vec<u8>>,
    /// In the order of offsets.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    offset: u32,
    end: u32,
    /// Where the run of fragments that arrived one behind the other starts and ends; known at the
    /// run's first piece.
    run_end: u32,
    starts_run: bool,
    bytes: Vec<u8>,
}

/// What a fragment costs beside its bytes.
const OVERHEAD: usize = 256;
const PAYLOAD_MAX: u32 = 65_535;

/// Why a fragment did not go in, and whether it takes its queue along.
enum Trouble {
    Duplicate,
    Bad,
    Poison,
    /// IPv6: not the last, and yet not a multiple of eight bytes long. Linux discards the datagram and
    /// lets this piece go on by itself.
    Odd,
}

impl Defrag {
    /// Takes one fragment.
    pub(crate) fn push(
        &mut self,
        packet: &Packet<'_>,
        fragment: Fragment,
        zone: u16,
        config: &Config,
        now: Time,
    ) -> Outcome {
        let (family, high, timeout) = match packet.addresses {
            Addresses::V4 { .. } => (&mut self.v4, Knob::IpfragHighThresh, Knob::IpfragTime),
            Addresses::V6 { .. } => (&mut self.v6, Knob::Frag6HighThresh, Knob::Frag6Timeout),
        };
        let high = usize::try_from(config.get(high)).unwrap_or(0);
        let key = key(packet, fragment, zone);
        let is_new = !family.queues.contains_key(&key);
        let limit = if is_new { high } else { high.saturating_mul(4) };
        if family.memory > limit || high == 0 {
            return Outcome::Refused(Reason::FragmentMemory);
        }
        if is_new {
            family.open(key, now.plus_secs(config.get(timeout)));
        }
        family.add(key, packet, fragment, config.get(Knob::IpfragMaxDist))
    }

    /// Throws away what did not become whole in time; returns how many fragments that were.
    pub(crate) fn advance(&mut self, now: Time) -> u64 {
        self.v4.expire(now) + self.v6.expire(now)
    }

    /// When the next queue runs out.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let fronts = [self.v4.deadlines.front(), self.v6.deadlines.front()];
        fronts.into_iter().flatten().map(|front| front.0).min()
    }
}

fn key(packet: &Packet<'_>, fragment: Fragment, zone: u16) -> Key {
    let (src, dst, protocol) = match packet.addresses {
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
        let number = self.opened;
        self.queues.insert(
            key,
            Queue {
                number,
                ..Queue::default()
            },
        );
        self.deadlines.push_back((deadline, key, number));
        self.senders.entry(key.src as u32).or_default().queues += 1;
    }

    fn close(&mut self, key: Key) -> Option<Queue> {
        let queue = self.queues.remove(&key)?;
        self.memory -= queue.memory;
        if let Some(sender) = self.senders.get_mut(&(key.src as u32)) {
            sender.queues -= 1;
            if sender.queues == 0 {
                self.senders.remove(&(key.src as u32));
            }
        }
        Some(queue)
    }

    fn add(&mut self, key: Key, packet: &Packet<'_>, fragment: Fragment, max_dist: i64) -> Outcome {
        let Some(queue) = self.queues.get_mut(&key) else {
            return Outcome::Refused(Reason::FragmentMemory);
        };
        if let (Addresses::V4 { .. }, Some(sender)) =
            (packet.addresses, self.senders.get_mut(&(key.src as u32)))
        {
            self.memory -= queue.restart_if_too_far(sender, max_dist);
        }
        match queue.insert(packet, fragment) {
            Ok(grown) => {
                self.memory += grown;
                if !queue.is_whole() {
                    return Outcome::Held;
                }
                match self.close(key).and_then(|queue| queue.assemble(packet)) {
                    Some(datagram) => Outcome::Whole(datagram),
                    None => Outcome::Refused(Reason::FragmentBad),
                }
            }
            Err(trouble) => {
                if matches!(trouble, Trouble::Poison | Trouble::Odd) || queue.pieces.is_empty() {
                    self.close(key);
                }
                match trouble {
                    Trouble::Duplicate => Outcome::Refused(Reason::FragmentDuplicate),
                    Trouble::Bad | Trouble::Poison => Outcome::Refused(Reason::FragmentBad),
                    Trouble::Odd => Outcome::Stray,
                }
            }
        }
    }

    fn expire(&mut self, now: Time) -> u64 {
        let mut fragments = 0;
        while let Some(&(deadline, key, number)) = self.deadlines.front() {
            let is_open = self.queues.get(&key).is_some_and(|q| q.number == number);
            if is_open && deadline > now {
                break;
            }
            self.deadlines.pop_front();
            if is_open {
                let pieces = self.close(key).map_or(0, |queue| queue.pieces.len());
                fragments += pieces as u64;
            }
        }
        fragments
    }
}

impl Queue {
    /// Returns the memory given back.
    fn restart_if_too_far(&mut self, sender: &mut Sender, max_dist: i64) -> usize {
        sender.fragments = sender.fragments.wrapping_add(1);
        let distance = sender.fragments.wrapping_sub(self.sender_count);
        self.sender_count = sender.fragments;
        if max_dist == 0 || self.pieces.is_empty() || i64::from(distance) <= max_dist {
            return 0;
        }
        let freed = self.memory;
        *self = Queue {
            number: self.number,
            sender_count: self.sender_count,
            ..Queue::default()
        };
        freed
    }

    /// Returns the memory taken.
    fn insert(&mut self, packet: &Packet<'_>, fragment: Fragment) -> Result<usize, Trouble> {
        let is_v4 = matches!(packet.addresses, Addresses::V4 { .. });
        let offset = fragment.offset;
        let mut end = offset + packet.l4.len as u32;
        if end > PAYLOAD_MAX {
            return Err(Trouble::Bad);
        }
        if fragment.more && !end.is_multiple_of(8) {
            if !is_v4 {
                return Err(Trouble::Odd);
            }
            end &= !7;
        }
        self.check_end(end, fragment.more, is_v4)?;
        if end <= offset {
            return Err(if is_v4 { Trouble::Poison } else { Trouble::Bad });
        }
        self.place(packet, offset, end)?;
        if offset == 0 {
            self.header = Some(header(packet, fragment));
        }
        self.received += end - offset;
        let grown = packet.l4.bytes.len() + OVERHEAD;
        self.memory += grown;
        Ok(grown)
    }

    /// Data beyond the end, or a second end elsewhere, is a lie.
    fn check_end(&mut self, end: u32, more: bool, is_v4: bool) -> Result<(), Trouble> {
        let lie = if is_v4 { Trouble::Poison } else { Trouble::Bad };
        if more {
            if end > self.len {
                if self.has_last {
                    return Err(lie);
                }
                self.len = end;
            }
        } else {
            if end < self.len || (self.has_last && end != self.len) {
                return Err(lie);
            }
            self.has_last = true;
            self.len = end;
        }
        Ok(())
    }

    fn place(&mut self, packet: &Packet<'_>, offset: u32, end: u32) -> Result<(), Trouble> {
        let last_end = self.pieces.last().map_or(0, |piece| piece.end);
        let behind = end > last_end;
        if behind && offset < last_end {
            return Err(Trouble::Poison);
        }
        if !behind {
            self.check_overlap(offset, end)?;
        }
        let appends = behind && offset == last_end && !self.pieces.is_empty();
        if appends {
            let start = self.pieces.iter_mut().rev().find(|piece| piece.starts_run);
            if let Some(start) = start {
                start.run_end = end;
            }
        }
        let len = (end - offset) as usize;
        let bytes = packet.l4.bytes.get(..len).unwrap_or(packet.l4.bytes);
        let at = self.pieces.partition_point(|piece| piece.offset < offset);
        self.pieces.insert(
            at,
            Piece {
                offset,
                end,
                run_end: end,
                starts_run: !appends,
                bytes: bytes.to_vec(),
            },
        );
        Ok(())
    }

    fn check_overlap(&self, offset: u32, end: u32) -> Result<(), Trouble> {
        let at = self.pieces.partition_point(|piece| piece.offset < end);
        let runs = self.pieces[..at].iter().rev();
        let Some(run) = runs.clone().find(|piece| piece.starts_run) else {
            return Ok(());
        };
        if offset >= run.run_end {
            Ok(())
        } else if offset >= run.offset && end <= run.run_end {
            Err(Trouble::Duplicate)
        } else {
            Err(Trouble::Poison)
        }
    }

    const fn is_whole(&self) -> bool {
        self.has_last && self.header.is_some() && self.received == self.len
    }

    fn assemble(self, packet: &Packet<'_>) -> Option<Datagram> {
        let mut bytes = self.header?;
        let header_len = bytes.len();
        let len = header_len + self.len as usize;
        let is_v4 = matches!(packet.addresses, Addresses::V4 { .. });
        let counted = if is_v4 { len } else { len - 40 };
        let counted = u16::try_from(counted).ok()?.to_be_bytes();
        let at = if is_v4 { 2 } else { 4 };
        bytes.get_mut(at..at + 2)?.copy_from_slice(&counted);
        if is_v4 {
            finish_v4_header(&mut bytes)?;
        }
        for piece in &self.pieces {
            bytes.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < (piece.end - piece.offset) as usize {
                break;
            }
        }
        Some(Datagram { bytes, len })
    }
}

/// The headers that the datagram will have; lengths are filled in when they are known.
fn header(packet: &Packet<'_>, fragment: Fragment) -> Vec<u8> {
    let bytes = packet.ip.bytes.get(..fragment.header_len);
    let mut header = bytes.unwrap_or_default().to_vec();
    if let (Addresses::V6 { .. }, Some(next)) =
        (packet.addresses, header.get_mut(fragment.next_header_at))
    {
        *next = packet.protocol.0;
    }
    header
}

/// No longer a fragment, and with a right checksum.
fn finish_v4_header(header: &mut [u8]) -> Option<()> {
    header.get_mut(6..8)?.copy_from_slice(&[0, 0]);
    header.get_mut(10..12)?.copy_from_slice(&[0, 0]);
    let sum = !checksum::sum(header);
    header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}
