//! Many packets at a time, so that their waits for memory overlap.
//!
//! With a million connections nearly every packet finds nothing of its connection in the cache. One
//! after the other, packets would wait for a bucket of the index, then for the entry that it names.
//! Here up to [`AT_ONCE`] packets go through each step together: all are looked at and their buckets
//! asked for; then all buckets are glanced at and the entries asked for; then each packet is tracked,
//! in order.
//!
//! *Invariant.* Only the last step changes anything, or believes anything about the table: the result
//! is that of [`Conntrack::track_in`] for one packet after the other. A glance is where the entry
//! probably is; if a packet before it in the batch moved, removed or made the entry, the glance fails
//! and the index is asked again.

use crate::conntrack::Conntrack;
use crate::hash::{Key, Probe};
use crate::look::Look;
use crate::packet::{self, LinkType, Packet, Segment};
use crate::slab::NONE;
use crate::time::Time;
use crate::tuple::{Addresses, Direction, Zone};
use crate::verdict::Verdict;

/// Packets that are under way together. Memory serves a few dozen requests at once.
const AT_ONCE: usize = 32;

/// A frame that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// How its bytes begin.
    pub link: LinkType,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long it was, in bytes.
    pub wire_len: usize,
    /// When it arrived.
    pub time: Time,
}

/// A frame on its way: one line of numbers, which are written and read as they stand.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Lane<'a> {
    packet: Packet<'a>,
    ends: u64,
    parts: u64,
    hash: u64,
    /// Where the entry probably is, or [`NONE`].
    glance: u32,
    kind: Kind,
    flipped: bool,
    mirrored: bool,
}

/// What is to be done with a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// There is nothing to track in it.
    Skip,
    /// It asks for the connection of its own tuple.
    Own,
    /// It asks for something else, which is found out when its turn comes.
    Other,
}

const EMPTY: Lane<'_> = Lane {
    packet: Packet::NOTHING,
    ends: 0,
    parts: 0,
    hash: 0,
    glance: NONE,
    kind: Kind::Skip,
    flipped: false,
    mirrored: false,
};

const _: () = assert!(size_of::<Lane<'_>>() == 64);

impl Conntrack {
    /// Tracks frames in the order in which they are given, each at its time, as
    /// [`Packet::parse_cut`] with [`track_in`](Conntrack::track_in) or [`skip`](Conntrack::skip)
    /// would, but faster. The verdict on each goes to the same place in `verdicts`; frames for which
    /// that has no place are not tracked.
    ///
    /// It does not [`advance`](Conntrack::advance): that is for the caller to do between batches.
    pub fn track_batch(&mut self, zone: Zone, arrivals: &[Arrival<'_>], verdicts: &mut [Verdict]) {
        let arrivals = arrivals.chunks(AT_ONCE);
        for (arrivals, verdicts) in arrivals.zip(verdicts.chunks_mut(AT_ONCE)) {
            self.track_some(zone, arrivals, verdicts);
        }
    }

    #[inline(never)]
    fn track_some(&mut self, zone: Zone, arrivals: &[Arrival<'_>], verdicts: &mut [Verdict]) {
        let mut lanes = [EMPTY; AT_ONCE];
        for (lane, arrival) in lanes.iter_mut().zip(arrivals) {
            self.enter(zone, arrival, lane);
        }
        for lane in lanes.iter_mut().take(arrivals.len()) {
            if lane.kind == Kind::Own {
                lane.glance = self.table.glance(lane.hash);
            }
        }
        for ((lane, arrival), verdict) in lanes.iter().zip(arrivals).zip(verdicts) {
            match lane.kind {
                Kind::Own => {
                    let (probe, glance) = (lane.probe(), lane.glance);
                    self.track_own(zone, &lane.packet, &probe, glance, arrival.time, verdict);
                }
                Kind::Other => *verdict = self.track_in(zone, &lane.packet, arrival.time),
                Kind::Skip => *verdict = self.skip_arrival(arrival),
            }
        }
    }

    /// The first step of one frame: what most frames are, first.
    #[inline(always)]
    fn enter<'a>(&self, zone: Zone, arrival: &Arrival<'a>, lane: &mut Lane<'a>) {
        let frame = Segment {
            bytes: arrival.bytes,
            len: arrival.wire_len.max(arrival.bytes.len()),
        };
        match packet::plain_v4(arrival.link, frame) {
            Some(packet) => self.enter_packet(zone, packet, lane),
            None => self.enter_other(zone, arrival, lane),
        }
    }

    #[inline(never)]
    fn enter_other<'a>(&self, zone: Zone, arrival: &Arrival<'a>, lane: &mut Lane<'a>) {
        match Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) {
            Ok(packet) => self.enter_packet(zone, packet, lane),
            Err(_) => lane.kind = Kind::Skip,
        }
    }

    #[inline(always)]
    fn enter_packet<'a>(&self, zone: Zone, packet: Packet<'a>, lane: &mut Lane<'a>) {
        lane.packet = packet;
        lane.kind = Kind::Other;
        if Look::is_odd(&packet, &self.config) {
            return;
        }
        let Ok(parts) = packet.parts() else { return };
        let id = zone.id_of(Direction::Original);
        let hasher = &self.table.hasher;
        let probe = hasher.probe(packet.addresses(), packet.protocol, parts, id);
        self.table.expect(probe.hash);
        lane.ends = probe.key.ends;
        lane.parts = probe.key.parts;
        lane.hash = probe.hash;
        lane.flipped = probe.flipped;
        lane.mirrored = probe.mirrored;
        lane.kind = Kind::Own;
    }

    #[inline(never)]
    fn skip_arrival(&mut self, arrival: &Arrival<'_>) -> Verdict {
        match Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) {
            Ok(_) => Verdict::default(),
            Err(reason) => self.skip(reason),
        }
    }
}

impl Lane<'_> {
    /// What the lane looks for.
    #[inline(always)]
    fn probe(&self) -> Probe {
        let wide = match self.packet.addresses() {
            Addresses::V4 { .. } => None,
            Addresses::V6 { src, dst } if self.flipped => Some([dst, src]),
            Addresses::V6 { src, dst } => Some([src, dst]),
        };
        Probe {
            key: Key {
                ends: self.ends,
                parts: self.parts,
                wide,
            },
            hash: self.hash,
            flipped: self.flipped,
            mirrored: self.mirrored,
        }
    }
}
