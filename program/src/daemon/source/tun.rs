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

use ip_conntrack::{Action, Arrival, Class, LinkType, Time, Verdict};
use ip_conntrack_link::tun::Device;

use super::{BATCH, Batch, Clock, Counts, Next, Source, Track};

/// A TUN device, for the one worker.
pub(crate) struct Tun {
    device: Device,
    clock: Clock,
    drop_invalid: bool,
    packets: Vec<u8>,
    counts: TunCounts,
}

#[derive(Default)]
struct TunCounts {
    invalid_dropped: u64,
    not_taken_back: u64,
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
        let is_refused = self.drop_invalid && verdict.class == Class::Invalid;
        if is_refused && verdict.action == Action::Accept {
            self.counts.invalid_dropped += 1;
        }
        // A fragment goes on at once; the tracker has a copy of it.
        verdict.action != Action::Drop && !(is_refused && verdict.action == Action::Accept)
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
        let lens = self.read()?;
        if lens.is_empty() {
            return Ok(Next::Readable);
        }
        let mut verdicts = [Verdict::default(); BATCH];
        let verdicts = verdicts.get_mut(..lens.len()).unwrap_or_default();
        let places = self.packets.chunks_exact(LONGEST).zip(&lens);
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
        for ((place, len), verdict) in (0..).zip(&lens).zip(verdicts.iter()) {
            let from = place * LONGEST;
            if self.goes_on(verdict) {
                let packet = self.packets.get(from..from + len).unwrap_or_default();
                let is_taken = self.device.send(packet)?;
                self.counts.not_taken_back += u64::from(!is_taken);
            }
        }
        Ok(Next::Now)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.device.as_fd())
    }

    fn counts(&self) -> Counts {
        vec![
            ("tun_invalid_dropped", self.counts.invalid_dropped),
            ("tun_not_taken_back", self.counts.not_taken_back),
        ]
    }
}
