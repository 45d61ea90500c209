//! Packets that a rule holds up (NFQUEUE), one queue a worker: each is tracked, and goes on with its state in
//! its mark, or is dropped.
//!
//! *Whose packet it is.* The kernel spreads packets over queues as a rule says, and knows nothing of the
//! trackers: an ICMP error, for instance, comes to another queue than the connection that it is about. So
//! every worker looks whose a packet is (`Dispatch`) and hands those over that are not its own
//! ([`exchange`]); any rule will do, and none makes a connection appear twice.
//!
//! *Verdicts* go to the queue in which the packet waits, all of a batch together. One of them decides on
//! several packets only while nothing waits that is older: neither at another worker, nor for the rest of its
//! datagram.
//!
//! *Fragments.* Where the kernel does not put them together before the rule, the tracker has to see all of
//! them, and they wait in the kernel until it has ([`Held`]); all get the verdict of their datagram.
//!
//! *Checksums* that the kernel has found right, or leaves to hardware, are made right in our copy. Of a packet
//! that is longer than its copy they are not checked.

mod exchange;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use ip_conntrack::{
    Action, Arrival, Class, Dispatch, LinkType, Packet, Piece, Time, Verdict, finish_checksum,
};
use ip_conntrack_link::queue::{self, Checksum, Decided, Received};

use super::held::{Freed, Held};
use super::marking::Marking;
use super::{BATCH, Batch, Clock, Counts, Next, Source, Track};
pub(crate) use exchange::Exchange;
use exchange::{Handed, Post};

/// Where a packet waits, and what it is known by there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    queue: usize,
    id: u32,
    /// Its mark before.
    mark: u32,
}

/// A queue of the kernel's, for one worker.
pub(crate) struct Queue {
    queue: queue::Queue,
    clock: Clock,
    dispatch: Dispatch,
    shard: usize,
    judge: Judge,
    post: Post,
    handed: Handed,
    counts: QueueCounts,
}

#[derive(Default)]
struct QueueCounts {
    overruns: u64,
    handed_over: u64,
    not_handed_over: u64,
    invalid_dropped: u64,
    fragments_expired: u64,
}

/// Says what becomes of packets.
struct Judge {
    marking: Marking,
    drop_invalid: bool,
    held: Held<Place>,
    /// Where the verdicts on a batch are put together.
    decided: Vec<(usize, Decided)>,
    /// Verdicts on packets that are older than the batch.
    late: Vec<(usize, Decided)>,
}

/// What is wanted of a queue beside what the kernel has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) marking: Marking,
    pub(crate) drop_invalid: bool,
    /// Whether a packet passes that cannot be handed over to its worker.
    pub(crate) fail_open: bool,
    /// Fragments that may wait with a worker, in the queue, where they take the room of others.
    pub(crate) waiting: usize,
}

impl Queue {
    /// The source of worker `shard`, which has the queue of that number in `exchange`.
    ///
    /// # Errors
    ///
    /// The system has no file descriptor left.
    pub(crate) fn new(
        queue: queue::Queue,
        clock: Clock,
        dispatch: Dispatch,
        shard: usize,
        wanted: &Wanted,
        exchange: &Arc<Exchange>,
    ) -> io::Result<Queue> {
        Ok(Queue {
            post: Post::new(Arc::clone(exchange), shard, wanted.fail_open, &queue)?,
            queue,
            clock,
            dispatch,
            shard,
            judge: Judge {
                marking: wanted.marking,
                drop_invalid: wanted.drop_invalid,
                held: Held::new(wanted.waiting),
                decided: Vec::with_capacity(BATCH),
                late: Vec::new(),
            },
            handed: Handed::default(),
            counts: QueueCounts::default(),
        })
    }

    /// Has those packets tracked that others handed over. => whether there may be more.
    fn take_handed(&mut self, track: &mut dyn Track) -> io::Result<bool> {
        let Queue {
            post,
            handed,
            judge,
            counts,
            clock,
            ..
        } = self;
        if handed.is_empty() && !post.fetch(handed) {
            return Ok(false);
        }
        let (arrivals, places) = handed.next(clock.now());
        judge.decide(track, &arrivals, &places, post, counts);
        handed.took(places.len());
        judge.send(post)?;
        Ok(true)
    }

    /// Has those packets tracked that were received, and hands over what is another worker's.
    fn take_received(&mut self, track: &mut dyn Track) -> io::Result<()> {
        let Queue {
            queue,
            post,
            judge,
            counts,
            dispatch,
            shard,
            clock,
            ..
        } = self;
        let now = clock.now();
        let mut arrivals = Vec::with_capacity(BATCH);
        let mut places = Vec::with_capacity(BATCH);
        for packet in queue.packets() {
            if packet.checksum != Checksum::Unknown {
                finish_checksum(packet.bytes, packet.len);
            }
            let place = Place {
                queue: *shard,
                id: packet.id,
                mark: packet.mark,
            };
            let arrival = Arrival {
                link: LinkType::Raw,
                bytes: packet.bytes,
                wire_len: packet.len,
                time: now,
            };
            let owner = match dispatch.shards() {
                1 => *shard,
                _ => dispatch.shard_of_frame(&arrival),
            };
            if owner == *shard {
                arrivals.push(arrival);
                places.push(place);
            } else if post.hand_over(owner, place, &arrival) {
                counts.handed_over += 1;
            } else {
                counts.not_handed_over += 1;
            }
        }
        judge.decide(track, &arrivals, &places, post, counts);
        judge.send(post)
    }
}

impl Judge {
    /// Has packets tracked, at most [`BATCH`], and notes what becomes of them.
    fn decide(
        &mut self,
        track: &mut dyn Track,
        arrivals: &[Arrival<'_>],
        places: &[Place],
        post: &Post,
        counts: &mut QueueCounts,
    ) {
        let mut verdicts = [Verdict::default(); BATCH];
        let verdicts = verdicts.get_mut(..arrivals.len()).unwrap_or_default();
        track.batch(&Batch::of(arrivals), verdicts);
        for ((arrival, place), verdict) in arrivals.iter().zip(places).zip(verdicts.iter()) {
            if verdict.piece != Piece::Alone && self.waits(arrival, *place, verdict, track, counts)
            {
                post.goes_away(place.queue);
                continue;
            }
            counts.invalid_dropped += u64::from(self.drops_as_invalid(verdict));
            self.decided.push(self.judge(*place, verdict, track));
        }
    }

    /// Decides on fragments that a verdict on another one frees. => whether that one waits itself.
    fn waits(
        &mut self,
        arrival: &Arrival<'_>,
        place: Place,
        verdict: &Verdict,
        track: &dyn Track,
        counts: &mut QueueCounts,
    ) -> bool {
        let packet = Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len).ok();
        match self.held.free(verdict.piece, packet.as_ref()) {
            Freed::Judged(places) => {
                let judged = places.into_iter().map(|it| self.judge(it, verdict, track));
                let judged: Vec<_> = judged.collect();
                self.late.extend(judged);
            }
            Freed::GivenUp(places) => self.give_up(places, counts),
        }
        match packet.as_ref().and_then(Packet::datagram) {
            Some(name) if verdict.action == Action::Hold => {
                let given_up = self.held.add(name, place, arrival.time);
                self.give_up(given_up, counts);
                true
            }
            _ => false,
        }
    }

    fn give_up(&mut self, places: Vec<Place>, counts: &mut QueueCounts) {
        counts.fragments_expired += places.len() as u64;
        self.late.extend(places.into_iter().map(dropped));
    }

    fn judge(&self, place: Place, verdict: &Verdict, track: &dyn Track) -> (usize, Decided) {
        let accept = verdict.action == Action::Accept && !self.drops_as_invalid(verdict);
        let mark = self
            .marking
            .mark(place.mark, verdict, |handle| track.mark(handle));
        (
            place.queue,
            Decided {
                id: place.id,
                accept,
                mark,
            },
        )
    }

    fn drops_as_invalid(&self, verdict: &Verdict) -> bool {
        self.drop_invalid && verdict.action == Action::Accept && verdict.class == Class::Invalid
    }

    /// Drops fragments whose datagram has not become whole in time.
    fn expire(&mut self, now: Time, counts: &mut QueueCounts) {
        while let Some(places) = self.held.take_expired(now) {
            self.give_up(places, counts);
        }
    }

    fn send(&mut self, post: &mut Post) -> io::Result<()> {
        let sent = post.send(&self.decided, &self.late);
        self.decided.clear();
        self.late.clear();
        sent
    }
}

/// A fragment whose datagram is given up.
fn dropped(place: Place) -> (usize, Decided) {
    let decided = Decided {
        id: place.id,
        accept: false,
        mark: place.mark,
    };
    (place.queue, decided)
}

impl Source for Queue {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn until(&self, time: Time) -> Duration {
        self.clock.until(time)
    }

    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next> {
        if !self.judge.held.is_empty() {
            self.judge.expire(self.clock.now(), &mut self.counts);
            self.judge.send(&mut self.post)?;
        }
        let was_handed = self.take_handed(track)?;
        match self.queue.receive()? {
            Received::Packets(0) if !was_handed => return Ok(Next::Readable),
            Received::Packets(0) => {}
            Received::Packets(_) => self.take_received(track)?,
            Received::Overrun => self.counts.overruns += 1,
        }
        Ok(Next::Now)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.post.fd())
    }

    fn drain(&mut self) -> bool {
        // If it is not heard, more will come, and it takes a second.
        let _ = self.queue.take_no_more();
        true
    }

    fn counts(&self) -> Counts {
        let losses = self.queue.losses().unwrap_or_default();
        let counts = &self.counts;
        vec![
            ("queue_overruns", counts.overruns),
            ("queue_full", losses.queue_full),
            ("queue_buffer_full", losses.buffer_full),
            ("queue_waiting", losses.waiting),
            ("queue_handed_over", counts.handed_over),
            ("queue_not_handed_over", counts.not_handed_over),
            ("queue_invalid_dropped", counts.invalid_dropped),
            ("queue_fragments_waiting", self.judge.held.len() as u64),
            ("queue_fragments_expired", counts.fragments_expired),
        ]
    }
}
