//! The way between two interfaces, with the tracker in it.
//!
//! A frame that comes in at one side goes out at the other as it is, if the tracker and the policy let it. What is
//! no IP always passes. A fragment waits, as a copy, until its datagram is whole, and passes with the verdict on
//! that ([`Held`]).
//!
//! *Workers.* Each has a part of the queues of both interfaces. Whose a frame is says the `Dispatch`, and network
//! cards spread by other rules; so a frame that came to another worker is copied to the one whose it is, which
//! sends it. A worker whose queue of such frames is full loses them, and they are counted.
//!
//! *Interfaces.* When a link is down, frames wait or are lost, and it goes on when the link is up again. When an
//! interface is gone, it ends: who depends on the way between two networks is not helped by half of it.

mod mates;
mod policy;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ip_conntrack::{Action, Arrival, Dispatch, LinkType, Packet, Piece, Time, Verdict};
use ip_conntrack_link::Interface;
use ip_conntrack_link::sys::xsk::Frame;
use ip_conntrack_link::wire::{self, Side, Wire};
use rustix::event::epoll;
use tracing::{info, warn};

use super::held::{self, Freed, Held};
use super::{BATCH, Batch, Clock, Counts, Next, Source, Track};
use mates::{Mates, Strayed};
pub(crate) use policy::Policy;

/// How often interfaces are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How soon it is tried again to send what could not be sent.
const AGAIN: Duration = Duration::from_millis(1);

/// One worker's part of the way.
pub(crate) struct Bridge {
    wire: Wire,
    policy: Policy,
    clock: Clock,
    mates: Mates,
    interfaces: [Interface; 2],
    /// Readable when any of its sockets is, or the bell of its mates was rung.
    ready: OwnedFd,
    looked: Instant,
    speaks: bool,
    /// Frames of a batch, and of those the ones that are its own.
    frames: Vec<Frame>,
    held: Held<Strayed>,
    counts: BridgeCounts,
}

#[derive(Default)]
struct BridgeCounts {
    /// Frames that the policy or the tracker did not let pass.
    refused: u64,
    /// Frames given to the worker whose they are, and those that it could not take.
    handed_over: u64,
    not_handed_over: u64,
    /// Frames for which there was no memory to send them from.
    unsent: u64,
    /// Fragments that were dropped, since their datagram was not whole in time or was given up.
    fragments_expired: u64,
}

impl Bridge {
    /// The ways of so many workers between two interfaces.
    ///
    /// # Errors
    ///
    /// In words: an interface is not there or will not do, or no right to.
    pub(crate) fn several(
        names: &[String; 2],
        policy: Policy,
        clock: Clock,
        dispatch: &Dispatch,
    ) -> io::Result<Vec<Bridge>> {
        let [first, second] = names;
        let interfaces = [Interface::named(first)?, Interface::named(second)?];
        let (wires, mode) = wire::between(&interfaces, dispatch.shards())?;
        info!(
            "between {first} and {second}: {mode}, {} workers",
            wires.len()
        );
        interfaces.iter().for_each(warn_of);
        let mut bridges = Vec::with_capacity(wires.len());
        for (mates, wire) in Mates::several(dispatch)?.into_iter().zip(wires) {
            let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let add = |fd: BorrowedFd<'_>| {
                epoll::add(
                    &ready,
                    fd,
                    epoll::EventData::new_u64(0),
                    epoll::EventFlags::IN,
                )
            };
            wire.descriptors().try_for_each(add)?;
            add(mates.bell.as_fd())?;
            bridges.push(Bridge {
                wire,
                policy,
                clock,
                speaks: mates.number == 0,
                mates,
                interfaces: interfaces.clone(),
                ready,
                looked: Instant::now(),
                frames: Vec::with_capacity(BATCH),
                held: Held::new(held::MOST),
                counts: BridgeCounts::default(),
            });
        }
        Ok(bridges)
    }

    /// Takes what came in at a side. => how many frames.
    fn take_side(&mut self, side: Side, track: &mut dyn Track) -> usize {
        let mut frames = std::mem::take(&mut self.frames);
        self.wire.receive(side, BATCH, &mut frames);
        let count = frames.len();
        if self.mates.others.len() > 1 {
            self.hand_over(side, &mut frames);
        }
        self.track(side, &mut frames, track);
        self.frames = frames;
        count
    }

    /// Takes what other workers handed over. => how many frames.
    fn take_strayed(&mut self, track: &mut dyn Track) -> usize {
        if self.mates.others.len() < 2 {
            return 0;
        }
        self.mates.bell.hear();
        let mut count = 0;
        let mut batches = [Vec::new(), Vec::new()];
        while count < BATCH
            && let Ok(Strayed { side, bytes }) = self.mates.strayed.try_recv()
        {
            count += 1;
            match self.wire.frame_of(&bytes) {
                Some(frame) => batches[side as usize].push(frame),
                None => self.counts.not_handed_over += 1,
            }
        }
        for (side, mut frames) in Side::BOTH.into_iter().zip(batches) {
            self.track(side, &mut frames, track);
        }
        count
    }

    /// Gives those frames away that are other workers'.
    fn hand_over(&mut self, side: Side, frames: &mut Vec<Frame>) {
        for frame in std::mem::take(frames) {
            let bytes = self.wire.bytes(&frame);
            let home = self
                .mates
                .dispatch
                .shard_of_frame(&arrival(bytes, Time::ZERO));
            if home == self.mates.number {
                frames.push(frame);
                continue;
            }
            match self.mates.send(home, side, bytes) {
                true => self.counts.handed_over += 1,
                false => self.counts.not_handed_over += 1,
            }
            self.wire.discard(frame);
        }
    }

    /// Has frames of one side tracked, and passes or discards them.
    fn track(&mut self, side: Side, frames: &mut Vec<Frame>, track: &mut dyn Track) {
        if frames.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut verdicts = [Verdict::default(); BATCH];
        let mut arrivals = [arrival(&[], now); BATCH];
        for (arrival, frame) in arrivals.iter_mut().zip(&*frames) {
            arrival.bytes = self.wire.bytes(frame);
            arrival.wire_len = frame.len();
        }
        let batch = Batch {
            may_open: self.policy.may_open(side),
            ..Batch::of(&arrivals[..frames.len().min(BATCH)])
        };
        track.batch(&batch, &mut verdicts);
        for (frame, verdict) in frames.drain(..).zip(&verdicts) {
            if verdict.piece != Piece::Alone && self.waits(side, &frame, verdict, now) {
                self.wire.discard(frame);
            } else if self.policy.lets_pass(verdict) {
                self.wire.pass(side.other(), frame);
            } else {
                self.wire.discard(frame);
                self.counts.refused += 1;
            }
        }
    }

    /// Decides on fragments that a verdict on another one frees. => whether that one waits itself.
    fn waits(&mut self, side: Side, frame: &Frame, verdict: &Verdict, now: Time) -> bool {
        let bytes = self.wire.bytes(frame);
        let packet = Packet::parse(LinkType::Ethernet, bytes).ok();
        let datagram = packet.as_ref().and_then(Packet::datagram);
        let freed = self.held.free(verdict.piece, packet.as_ref());
        let waits = match datagram {
            Some(name) if verdict.action == Action::Hold => {
                let given_up = self.held.add(name, Strayed::of(side, bytes), now);
                self.counts.fragments_expired += given_up.len() as u64;
                true
            }
            _ => false,
        };
        match freed {
            Freed::Judged(frames) if self.policy.lets_pass(verdict) => self.pass_on(frames),
            Freed::Judged(frames) => self.counts.refused += frames.len() as u64,
            Freed::GivenUp(frames) => self.counts.fragments_expired += frames.len() as u64,
        }
        waits
    }

    /// Sends what has waited.
    fn pass_on(&mut self, frames: Vec<Strayed>) {
        for Strayed { side, bytes } in frames {
            match self.wire.frame_of(&bytes) {
                Some(frame) => self.wire.pass(side.other(), frame),
                None => self.counts.unsent += 1,
            }
        }
    }

    /// Forgets fragments whose datagram has not become whole in time.
    fn expire(&mut self) {
        let now = self.clock.now();
        while let Some(frames) = self.held.take_expired(now) {
            self.counts.fragments_expired += frames.len() as u64;
        }
    }

    /// Looks whether interfaces have changed.
    fn look(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        for interface in &mut self.interfaces {
            let name = &interface.name;
            // What cannot be found out now is looked at again in a second.
            let Ok(again) = interface.again() else {
                continue;
            };
            let Some(now) = again else {
                let text = format!("{name} is gone, and so is the way through it");
                return Err(io::Error::other(text));
            };
            match (interface.is_running, now.is_running) {
                (true, false) if self.speaks => warn!("{name}: the link is down"),
                (false, true) if self.speaks => info!("{name}: the link is up"),
                _ => {}
            }
            *interface = now;
        }
        Ok(())
    }
}

/// What may be wrong with an interface from the start.
fn warn_of(interface: &Interface) {
    let name = &interface.name;
    if !interface.is_running {
        warn!("{name}: the link is down");
    }
    if interface.strips_tags {
        warn!(
            "{name} takes VLAN tags off what it receives, and they are lost: `ethtool -K {name} rxvlan off`"
        );
    }
}

#[inline]
fn arrival(bytes: &[u8], time: Time) -> Arrival<'_> {
    Arrival {
        link: LinkType::Ethernet,
        bytes,
        wire_len: bytes.len(),
        time,
    }
}

impl Source for Bridge {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn until(&self, time: Time) -> Duration {
        self.clock.until(time)
    }

    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next> {
        if self.looked.elapsed() >= LOOK {
            self.look()?;
        }
        if !self.held.is_empty() {
            self.expire();
        }
        let mut taken = 0;
        for side in Side::BOTH {
            taken += self.take_side(side, track);
        }
        taken += self.take_strayed(track);
        // A link that is down is said when interfaces are looked at.
        let waits = self.wire.flush().unwrap_or(true);
        Ok(match (taken, waits) {
            (0, true) => Next::After(AGAIN),
            (0, false) => Next::Readable,
            _ => Next::Now,
        })
    }

    fn drain(&mut self) -> bool {
        true
    }

    fn counts(&self) -> Counts {
        let (wire, counts) = (self.wire.counted(), &self.counts);
        vec![
            ("bridge_received", wire.received),
            ("bridge_lost", wire.lost),
            ("bridge_sent", wire.sent),
            ("bridge_unsent", wire.unsent + counts.unsent),
            ("bridge_refused", counts.refused),
            ("bridge_fragments_waiting", self.held.len() as u64),
            ("bridge_fragments_expired", counts.fragments_expired),
            ("bridge_handed_over", counts.handed_over),
            ("bridge_not_handed_over", counts.not_handed_over),
        ]
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.ready.as_fd())
    }
}
