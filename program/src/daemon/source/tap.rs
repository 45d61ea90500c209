//! Interfaces that are listened on.
//!
//! *Time.* Packets have the kernel's time of arrival, and come late: they wait in a block until it is full or
//! [`LONGEST_WAIT`] has passed. So the tracker's clock stays behind ours, by that and a little more while nothing
//! waits, and at the last packet's time while there is a backlog. Entries run out by the time of packets then,
//! not by how far the worker has come. Somebody who sets the system's time changes nothing: what counts is how
//! long ago a packet arrived.
//!
//! *Interfaces* may go down, vanish and come back under the same name. They are looked at each second, and what
//! changed is said. There need not be any.
//!
//! *Losses.* What the kernel could not put into the ring is counted, and said now and then.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

use ip_conntrack::{Arrival, LinkType, Time, Verdict};
use ip_conntrack_link::Interface;
use ip_conntrack_link::sys::packet_ring::Seen;
use ip_conntrack_link::tap::{self, LONGEST_WAIT};
use tracing::{info, warn};

use super::{BATCH, Batch, Clock, Counts, Next, Source, Track};
use crate::daemon::settings::Settings;
use crate::often::Often;

/// How far the tracker's clock is behind while nothing waits. The kernel's timers are late by some milliseconds.
const LAG: Duration = LONGEST_WAIT.saturating_add(Duration::from_millis(16));

/// How often interfaces are looked at, and the kernel's counters.
const LOOK: Duration = Duration::from_secs(1);

/// One worker's share of the packets.
pub(crate) struct Tap {
    tap: tap::Tap,
    watched: Vec<Watched>,
    snap: u32,
    promiscuous: bool,
    clock: Clock,
    /// The latest packet's time, and whether more wait behind it.
    latest: Time,
    has_backlog: bool,
    looked: Instant,
    /// Packets that the kernel dropped, since the worker did not take them in time.
    lost: u64,
    losses: Losses,
}

/// An interface that is wanted, and as it was seen last.
struct Watched {
    name: String,
    seen: Option<Interface>,
}

impl Tap {
    /// Listens for so many workers. `key` is that of their `Dispatch`.
    ///
    /// # Errors
    ///
    /// In words: an interface is not there, or no right to.
    pub(crate) fn several(
        settings: &Settings,
        clock: Clock,
        key: [u64; 2],
        count: usize,
    ) -> Result<Vec<Tap>, String> {
        let names = &settings.run.tap.0;
        let interfaces: io::Result<Vec<_>> =
            names.iter().map(|name| Interface::named(name)).collect();
        let interfaces = interfaces.map_err(|error| error.to_string())?;
        let said = |error| format!("{}: nothing can be listened on: {error}", names.join(","));
        let taps = tap::Tap::several(count, settings.tap.ring.get() << 20, key).map_err(said)?;
        let watch = |interface: &Interface| Watched {
            name: interface.name.clone(),
            seen: Some(interface.clone()),
        };
        let mut workers: Vec<Tap> = Vec::with_capacity(count);
        for (number, tap) in taps.into_iter().enumerate() {
            let worker = Tap {
                tap,
                watched: interfaces.iter().map(watch).collect(),
                snap: settings.tap.snap.get() as u32,
                // For all of them.
                promiscuous: settings.tap.promiscuous && number == 0,
                clock,
                latest: clock.origin(),
                has_backlog: false,
                looked: Instant::now(),
                lost: 0,
                losses: Losses {
                    speaks: number == 0,
                    ..Losses::default()
                },
            };
            worker.listen().map_err(said)?;
            workers.push(worker);
        }
        for interface in &interfaces {
            let down = if interface.is_running {
                ""
            } else {
                ", whose link is down"
            };
            info!("listens on {}{down}", interface.name);
        }
        Ok(workers)
    }

    /// Takes the packets of those interfaces that are there.
    fn listen(&self) -> io::Result<()> {
        let there: Vec<_> = self
            .watched
            .iter()
            .filter_map(|watched| watched.seen.clone())
            .collect();
        if self.promiscuous {
            for interface in there.iter().filter(|interface| !interface.is_loopback) {
                // It may be gone again.
                let _ = self.tap.be_promiscuous(interface);
            }
        }
        self.tap.listen(&there, self.snap)
    }

    /// Looks whether interfaces and counters have changed.
    fn look(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        let mut has_changed = false;
        for watched in &mut self.watched {
            has_changed |= watched.look(self.losses.speaks);
        }
        if has_changed {
            self.listen()?;
        }
        let counted = self.tap.counted()?;
        self.lost += counted.dropped;
        self.losses
            .tell(counted.dropped, self.lost, self.clock.now());
        Ok(())
    }
}

impl Watched {
    /// The interface of that name as it is now, if there is one.
    fn now(&self) -> io::Result<Option<Interface>> {
        if let Some(seen) = &self.seen
            && let Some(now) = seen.again()?
        {
            return Ok(Some(now));
        }
        match Interface::named(&self.name) {
            Ok(now) => Ok(Some(now)),
            Err(error) if Interface::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at the interface again, and says what has changed. => whether it is another one, or none.
    fn look(&mut self, speaks: bool) -> bool {
        // What cannot be found out now is looked at again in a second.
        let Ok(now) = self.now() else { return false };
        let index = |seen: &Option<Interface>| seen.as_ref().map(|seen| seen.index);
        let runs = |seen: &Option<Interface>| seen.as_ref().is_some_and(|seen| seen.is_running);
        let name = &self.name;
        let is_another = index(&self.seen) != index(&now);
        if speaks {
            match (&now, is_another) {
                (None, true) => warn!("{name} is gone; it is listened on again when it comes back"),
                (Some(_), true) => info!("{name} has come back, and is listened on"),
                (_, false) if runs(&self.seen) && !runs(&now) => warn!("{name}: the link is down"),
                (_, false) if !runs(&self.seen) && runs(&now) => info!("{name}: the link is up"),
                _ => {}
            }
        }
        self.seen = now;
        is_another
    }
}

/// Says that packets were lost, but not too often.
#[derive(Default)]
struct Losses {
    speaks: bool,
    often: Often,
}

impl Losses {
    fn tell(&mut self, now: u64, in_all: u64, time: Time) {
        if now > 0 && self.often.may_say(time) {
            warn!(
                "{now} packets were lost before they could be looked at, {in_all} so far: more workers or a \
                 larger tap.ring may help"
            );
        }
    }
}

/// Nanoseconds since 1970, by the system's clock of now.
fn system_time() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// A packet as the tracker takes it: from the link header on where that is Ethernet's, otherwise from the
/// network header on.
#[inline]
fn arrival<'a>(seen: &Seen<'a>, time: Time) -> Arrival<'a> {
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    if matches!(seen.link_type, ETHERNET | LOOPBACK) {
        return Arrival {
            link: LinkType::Ethernet,
            bytes: seen.bytes,
            wire_len: seen.wire_len,
            time,
        };
    }
    Arrival {
        link: LinkType::Raw,
        bytes: seen.bytes.get(seen.network..).unwrap_or_default(),
        wire_len: seen.wire_len.saturating_sub(seen.network),
        time,
    }
}

const NO_ARRIVAL: Arrival<'static> = Arrival {
    link: LinkType::Raw,
    bytes: &[],
    wire_len: 0,
    time: Time::ZERO,
};

impl Source for Tap {
    fn now(&self) -> Time {
        if self.has_backlog {
            return self.latest;
        }
        let behind = self
            .clock
            .now()
            .as_nanos()
            .saturating_sub(LAG.as_nanos() as u64);
        self.latest.max(Time::from_nanos(behind))
    }

    fn until(&self, time: Time) -> Duration {
        self.clock.until(time).saturating_add(LAG)
    }

    fn take(&mut self, track: &mut dyn Track) -> io::Result<Next> {
        if self.looked.elapsed() >= LOOK {
            self.look()?;
        }
        let now = self.clock.now();
        // What the system's clock shows beyond ours.
        let ahead = system_time().saturating_sub(now.as_nanos());
        let mut arrivals = [NO_ARRIVAL; BATCH];
        let mut checked = [false; BATCH];
        let mut count = 0;
        let places = arrivals.iter_mut().zip(&mut checked);
        for ((place, is_checked), seen) in places.zip(self.tap.frames()) {
            let time = Time::from_nanos(seen.time_ns.saturating_sub(ahead));
            self.latest = self.latest.max(time.min(now));
            *place = arrival(&seen, self.latest);
            *is_checked = seen.is_checked;
            count += 1;
        }
        let arrivals = &arrivals[..count];
        let mut verdicts = [Verdict::default(); BATCH];
        let mut rest = arrivals;
        for run in checked[..count].chunk_by(|one, next| one == next) {
            let (part, behind) = rest.split_at(run.len());
            let is_checked = run.first() == Some(&true);
            track.batch(
                &Batch {
                    is_checked,
                    ..Batch::of(part)
                },
                &mut verdicts,
            );
            rest = behind;
        }
        self.has_backlog = count > 0;
        Ok(if count > 0 { Next::Now } else { Next::Readable })
    }

    fn counts(&self) -> Counts {
        vec![("tap_lost", self.lost)]
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.tap.as_fd())
    }
}
