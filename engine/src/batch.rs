//! Many packets at a time, so that their waits for memory overlap.
//!
//! With a million connections nearly every packet finds nothing of its connection in the cache. One
//! after the other, packets would wait for a bucket of the index, then for the entry that it names.
//! Here packets go in groups through four steps: they are looked at and their buckets asked for;
//! the buckets are glanced at and the entries asked for; so, by their other bucket, for the few that
//! are not at home; and each packet is tracked, in order. While one group is tracked the next is on its
//! way from memory.
//!
//! *Groups.* Requests of a group follow each other closely: a request that misses the TLB holds up what
//! comes after it, and only those that are close together have their page walks at the same time. A
//! core has about sixteen requests open at once, of which five packets take ten.
//!
//! *Invariant.* Only the last step changes anything, or believes anything about the table: the result
//! is that of [`Conntrack::track_in`] for one packet after the other. A glance is where the entry
//! probably is; if a packet before it in the batch moved, removed or made the entry, the glance fails
//! and the index is asked again.

use crate::conntrack::Conntrack;
use crate::hash::{Key, Probe};
use crate::index::Glance;
use crate::look::Look;
use crate::packet::{LinkType, Packet, Plain, PlainWide};
use crate::prefetch;
use crate::proto::Terms;
use crate::slab::NONE;
use crate::time::Time;
use crate::tuple::{Addresses, Direction, Zone, ZoneDirections};
use crate::usual::Guess;
use crate::verdict::Verdict;

/// Packets that go through a step together.
const GROUP: usize = 5;

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
    /// The bucket in which the entry is looked for; once that was glanced at, the slot that the entry
    /// probably has, or [`NONE`].
    place: u32,
    kind: Kind,
    flipped: bool,
}

/// What is to be done with a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// There is nothing to track in it.
    Skip,
    /// It asks for the connection of its own tuple.
    Own,
    /// So it does, and the entry may be in the other bucket, which is its place for now.
    Away,
    /// It asks for something else, which is found out when its turn comes.
    Other,
}

const EMPTY: Lane<'_> = Lane {
    packet: Packet::NOTHING,
    ends: 0,
    parts: 0,
    hash: 0,
    place: NONE,
    kind: Kind::Skip,
    flipped: false,
};

const _: () = assert!(size_of::<Lane<'_>>() == 64);

impl Conntrack {
    /// Tracks frames in the order in which they are given, each at its time, as
    /// [`Packet::parse_cut`] with [`track_in`](Conntrack::track_in) or [`skip`](Conntrack::skip)
    /// would, but faster. The verdict on each goes to the same place in `verdicts`; frames for which
    /// that has no place are not tracked.
    ///
    /// It does not [`advance`](Conntrack::advance): that is for the caller to do between batches.
    #[inline(never)]
    pub fn track_batch(&mut self, zone: Zone, arrivals: &[Arrival<'_>], verdicts: &mut [Verdict]) {
        let count = arrivals.len().min(verdicts.len());
        let (arrivals, verdicts) = (&arrivals[..count], &mut verdicts[..count]);
        let groups = count.div_ceil(GROUP);
        let terms = Terms::of(&self.config);
        let mut lanes = [[EMPTY; GROUP]; 4];
        let mut entering = arrivals.chunks(GROUP);
        let mut coming = arrivals.chunks(GROUP).skip(1);
        let mut leaving = arrivals.chunks(GROUP).zip(verdicts.chunks_mut(GROUP));
        for turn in 0..groups + 3 {
            for arrival in coming.next().unwrap_or_default() {
                prefetch::line(arrival.bytes, 0);
            }
            if let Some(arrivals) = entering.next() {
                self.enter_group(zone, arrivals, &mut lanes[turn % 4]);
            }
            if (1..=groups).contains(&turn) {
                self.glance_group(&mut lanes[(turn - 1) % 4]);
            }
            if (2..=groups + 1).contains(&turn) {
                self.glance_group_again(&mut lanes[(turn - 2) % 4]);
            }
            if turn >= 3
                && let Some((arrivals, verdicts)) = leaving.next()
            {
                let lanes = &lanes[(turn - 3) % 4];
                self.leave_group(zone, &terms, lanes, arrivals, verdicts);
            }
        }
    }

    fn enter_group<'a>(&self, zone: Zone, arrivals: &[Arrival<'a>], lanes: &mut [Lane<'a>; GROUP]) {
        for lane in lanes.iter_mut() {
            lane.kind = Kind::Skip;
        }
        for (lane, arrival) in lanes.iter_mut().zip(arrivals) {
            self.enter(zone, arrival, lane);
        }
        for lane in lanes {
            self.table.expect_bucket(lane.place);
        }
    }

    fn glance_group(&self, lanes: &mut [Lane<'_>; GROUP]) {
        for lane in lanes.iter_mut() {
            self.glance(lane);
        }
        for lane in lanes {
            self.table.slab.expect(lane.place);
            if lane.is_v6() {
                self.table.slab.expect_wide(lane.place);
            }
        }
    }

    fn glance_group_again(&self, lanes: &mut [Lane<'_>; GROUP]) {
        for lane in lanes {
            self.glance_again(lane);
        }
    }

    fn leave_group(
        &mut self,
        zone: Zone,
        terms: &Terms,
        lanes: &[Lane<'_>; GROUP],
        arrivals: &[Arrival<'_>],
        verdicts: &mut [Verdict],
    ) {
        for ((lane, arrival), verdict) in lanes.iter().zip(arrivals).zip(verdicts) {
            self.leave(zone, terms, lane, arrival, verdict);
        }
    }

    /// The second step: from the bucket to the entry.
    #[inline(always)]
    fn glance(&self, lane: &mut Lane<'_>) {
        if lane.kind == Kind::Own {
            match self.table.glance(lane.place, lane.hash) {
                Glance::At(slot) => lane.place = slot,
                Glance::Away(bucket) => {
                    lane.place = bucket;
                    lane.kind = Kind::Away;
                }
            }
        }
    }

    /// The third step, for the few whose entry is not in its home bucket.
    #[inline(always)]
    fn glance_again(&self, lane: &mut Lane<'_>) {
        if lane.kind == Kind::Away {
            lane.kind = Kind::Own;
            lane.place = self.table.glance_away(lane.place, lane.hash);
        }
    }

    /// The last step.
    #[inline(always)]
    fn leave(
        &mut self,
        zone: Zone,
        terms: &Terms,
        lane: &Lane<'_>,
        arrival: &Arrival<'_>,
        verdict: &mut Verdict,
    ) {
        let may_be_usual = lane.kind == Kind::Own && zone.applies == ZoneDirections::Both;
        if !may_be_usual || !self.leave_usually(terms, lane, arrival.time, verdict) {
            self.leave_slowly(zone, lane, arrival, verdict);
        }
    }

    /// The last step of a usual packet; `false` if it is none. (A function of its own, so that what the
    /// others keep at hand does not crowd it.)
    #[inline(never)]
    fn leave_usually(
        &mut self,
        terms: &Terms,
        lane: &Lane<'_>,
        now: Time,
        verdict: &mut Verdict,
    ) -> bool {
        if now < self.now || (lane.is_v6() && !self.has_addresses(lane)) {
            return false;
        }
        let guess = Guess {
            slot: lane.place,
            ends: lane.ends,
            parts: lane.parts,
            flipped: lane.flipped,
        };
        if !self.follow_usually(&guess, &lane.packet, now, terms, verdict) {
            return false;
        }
        self.stats.packets += 1;
        self.now = now;
        true
    }

    /// Whether the entry in an IPv6 lane's place has its addresses.
    #[inline(never)]
    fn has_addresses(&self, lane: &Lane<'_>) -> bool {
        let wide = lane.key().wide;
        wide.is_some_and(|wide| self.table.slab.wide_at(lane.place) == Some(&wide))
    }

    /// The last step of all others.
    #[inline(never)]
    fn leave_slowly(
        &mut self,
        zone: Zone,
        lane: &Lane<'_>,
        arrival: &Arrival<'_>,
        verdict: &mut Verdict,
    ) {
        *verdict = match lane.kind {
            Kind::Own | Kind::Away => {
                self.stats.packets += 1;
                let now = self.tick(arrival.time);
                self.track_own(zone, &lane.packet, &lane.probe(), now)
            }
            Kind::Other => self.track_in(zone, &lane.packet, arrival.time),
            Kind::Skip => match Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) {
                Ok(_) => return,
                Err(reason) => self.skip(reason),
            },
        }
    }

    /// The first step of one frame: what most frames are, first.
    #[inline(always)]
    fn enter<'a>(&self, zone: Zone, arrival: &Arrival<'a>, lane: &mut Lane<'a>) {
        let id = zone.id_of(Direction::Original);
        match Plain::read(arrival.link, arrival.bytes, arrival.wire_len) {
            Some(plain) if !Look::has_wrong_checksum(&plain.packet, &self.config) => {
                let Plain {
                    packet,
                    addresses,
                    ports,
                } = plain;
                let hasher = &self.table.hasher;
                let probe = hasher.probe_ports(addresses, ports, packet.protocol, id);
                self.expect(packet, &probe, lane);
            }
            _ => self.enter_wide(id, arrival, lane),
        }
    }

    /// The same of IPv6.
    #[inline(never)]
    fn enter_wide<'a>(&self, zone: u16, arrival: &Arrival<'a>, lane: &mut Lane<'a>) {
        let Some(plain) = PlainWide::read(arrival.link, arrival.bytes, arrival.wire_len) else {
            return self.enter_other(zone, arrival, lane);
        };
        // Its transport header ends beyond the line in which the frame begins.
        prefetch::line(arrival.bytes, prefetch::LINE);
        let PlainWide {
            packet,
            addresses,
            ports,
        } = plain;
        let hasher = &self.table.hasher;
        let probe = hasher.probe_wide_ports(addresses, ports, packet.protocol, zone);
        self.expect(packet, &probe, lane);
    }

    #[inline(never)]
    fn enter_other<'a>(&self, zone: u16, arrival: &Arrival<'a>, lane: &mut Lane<'a>) {
        let Ok(packet) = Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) else {
            return;
        };
        let parts = packet.parts();
        match parts {
            Ok(parts) if !Look::is_odd(&packet, &self.config) => {
                let hasher = &self.table.hasher;
                let probe = hasher.probe(packet.addresses(), packet.protocol, parts, zone);
                self.expect(packet, &probe, lane);
            }
            _ => {
                lane.packet = packet;
                lane.kind = Kind::Other;
            }
        }
    }

    /// Notes what a lane looks for.
    #[inline(always)]
    fn expect<'a>(&self, packet: Packet<'a>, probe: &Probe, lane: &mut Lane<'a>) {
        lane.packet = packet;
        lane.ends = probe.key.ends;
        lane.parts = probe.key.parts;
        lane.hash = probe.hash;
        lane.place = self.table.home(probe.hash);
        lane.kind = match probe.mirrored {
            true => Kind::Other,
            false => Kind::Own,
        };
        lane.flipped = probe.flipped;
    }
}

impl Lane<'_> {
    /// As the key has it.
    #[inline(always)]
    const fn is_v6(&self) -> bool {
        !self.packet.is_v4()
    }

    #[inline(always)]
    fn key(&self) -> Key {
        let wide = match self.packet.addresses() {
            Addresses::V4 { .. } => None,
            Addresses::V6 { src, dst } if self.flipped => Some([dst, src]),
            Addresses::V6 { src, dst } => Some([src, dst]),
        };
        Key {
            ends: self.ends,
            parts: self.parts,
            wide,
        }
    }

    fn probe(&self) -> Probe {
        Probe {
            key: self.key(),
            hash: self.hash,
            flipped: self.flipped,
            mirrored: false,
        }
    }
}
