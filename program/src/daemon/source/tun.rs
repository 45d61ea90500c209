//! A TUN device as a source: what is routed into it is tracked and comes out of it again.
//!
//! To the kernel the device is a network interface (`ipct run --tun NAME`). It hands over each IP packet that
//! its routes send there; a packet that is accepted goes back and is received from the interface, to be routed
//! on. With a rule that sends what comes from elsewhere to the device, the tracker is in the path of all that
//! the machine forwards.
//!
//! The device is there as long as the daemon is. One that was made before (`ip tuntap add`) stays, and may
//! be used without being root if it was made for the user.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ip_conntrack::{Action, Arrival, Class, LinkType, Packet, Piece, Time, Verdict};
use ip_conntrack_link::tun::Device;

use super::held::{self, Freed, Held};
use super::{BATCH, Batch, Clock, Counts, Next, Source, Track};

/// A TUN device, for the one worker.
pub(crate) struct Tun {
    device: Device,
    clock: Clock,
    drop_invalid: bool,
    packets: Vec<u8>,
    held: Held<Box<[u8]>>,
    counts: TunCounts,
}

#[derive(Default)]
struct TunCounts {
    invalid_dropped: u64,
    not_taken_back: u64,
    fragments_expired: u64,
}

/// Bytes of the longest packet.
const LONGEST: usize = 1 << 16;

impl Tun {
    pub(crate) fn new(device: Device, clock: Clock, drop_invalid: bool) -> Tun {
        Tun {
            device,
            clock,
            drop_invalid,
            packets: vec![0; LONGEST * BATCH],
            held: Held::new(held::MOST),
            counts: TunCounts::default(),
        }
    }

    /// Reads what is there. => the lengths of packets, each in a place of [`LONGEST`] bytes.
    fn read(&mut self) -> io::Result<Vec<usize>> {
        let mut lens = Vec::with_capacity(BATCH);
        for place in self.packets.chunks_exact_mut(LONGEST) {
            match self.device.receive(place)? {
                Some(len) => lens.push(len),
                None => break,
            }
        }
        Ok(lens)
    }

    fn goes_on(&mut self, verdict: &Verdict) -> bool {
        if verdict.action != Action::Accept {
            return false;
        }
        let is_refused = self.drop_invalid && verdict.class == Class::Invalid;
        self.counts.invalid_dropped += u64::from(is_refused);
        !is_refused
    }

    /// What goes on with a packet, and has waited for that. One that waits itself is kept.
    fn freed(
        &mut self,
        bytes: &[u8],
        verdict: &Verdict,
        goes_on: bool,
        now: Time,
    ) -> Vec<Box<[u8]>> {
        let packet = Packet::parse(LinkType::Raw, bytes).ok();
        let freed = self.held.free(verdict.piece, packet.as_ref());
        if verdict.action == Action::Hold
            && let Some(name) = packet.as_ref().and_then(Packet::datagram)
        {
            let given_up = self.held.add(name, bytes.into(), now);
            self.counts.fragments_expired += given_up.len() as u64;
        }
        match freed {
            Freed::Judged(packets) if goes_on => packets,
            Freed::Judged(_) => Vec::new(),
            Freed::GivenUp(packets) => {
                self.counts.fragments_expired += packets.len() as u64;
                Vec::new()
            }
        }
    }

    /// Has a packet received again.
    fn give_back(&mut self, packet: &[u8]) -> io::Result<()> {
        let is_taken = self.device.send(packet)?;
        self.counts.not_taken_back += u64::from(!is_taken);
        Ok(())
    }

    /// Forgets fragments whose datagram has not become whole in time.
    fn expire(&mut self) {
        let now = self.clock.now();
        while let Some(packets) = self.held.take_expired(now) {
            self.counts.fragments_expired += packets.len() as u64;
        }
    }
}

impl Source for Tun {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn until(&self, time: Time) -> Duration {
        self.clock.until(time)
    }

    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next> {
        self.expire();
        let lens = self.read()?;
        if lens.is_empty() {
            return Ok(Next::Readable);
        }
        let mut verdicts = [Verdict::default(); BATCH];
        let verdicts = verdicts.get_mut(..lens.len()).unwrap_or_default();
        let packets = std::mem::take(&mut self.packets);
        let places = packets.chunks_exact(LONGEST).zip(&lens);
        let bytes = places.map(|(place, len)| place.get(..*len).unwrap_or_default());
        let time = self.clock.now();
        let arrivals: Vec<_> = bytes
            .map(|bytes| Arrival {
                link: LinkType::Raw,
                bytes,
                wire_len: bytes.len(),
                time,
            })
            .collect();
        track.batch(&Batch::of(&arrivals), verdicts);
        for (arrival, verdict) in arrivals.iter().zip(verdicts.iter()) {
            let goes_on = self.goes_on(verdict);
            if verdict.piece != Piece::Alone {
                for packet in self.freed(arrival.bytes, verdict, goes_on, time) {
                    self.give_back(&packet)?;
                }
            }
            if goes_on {
                self.give_back(arrival.bytes)?;
            }
        }
        self.packets = packets;
        Ok(Next::Now)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.device.as_fd())
    }

    fn drain(&mut self) -> bool {
        true
    }

    fn counts(&self) -> Counts {
        vec![
            ("tun_invalid_dropped", self.counts.invalid_dropped),
            ("tun_not_taken_back", self.counts.not_taken_back),
            ("tun_fragments_waiting", self.held.len() as u64),
            ("tun_fragments_expired", self.counts.fragments_expired),
        ]
    }
}
