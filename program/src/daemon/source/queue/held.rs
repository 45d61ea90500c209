//! Fragments that wait in the kernel until the tracker has seen their whole datagram.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use ip_conntrack::{Packet, Protocol, Time, Tuple};

use super::Place;

/// Fragments that wait, at most.
const MOST: usize = 4096;

/// Seconds that the rest of a datagram may take.
const PATIENCE: u64 = 30;

/// Names a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// Of IPv4; in IPv6, the fragments' own headers do not all tell it.
    protocol: Option<Protocol>,
}

impl Datagram {
    /// The datagram of a fragment.
    pub(super) fn of(packet: &Packet<'_>) -> Option<Datagram> {
        let id = packet.datagram_id()?;
        let Tuple {
            src, dst, protocol, ..
        } = packet.tuple()?;
        Some(Datagram {
            source: src,
            destination: dst,
            id,
            protocol: src.is_ipv4().then_some(protocol),
        })
    }
}

/// Fragments that wait.
#[derive(Default)]
pub(super) struct Held {
    /// When the first fragment came, and those that wait.
    datagrams: HashMap<Datagram, (Time, Vec<Place>)>,
    /// By that time; some may be gone.
    since: VecDeque<(Time, Datagram)>,
    count: usize,
}

impl Held {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Has a fragment wait. => `false` if there are too many.
    pub(super) fn add(&mut self, datagram: Datagram, place: Place, now: Time) -> bool {
        if self.count >= MOST {
            return false;
        }
        let since = &mut self.since;
        let (_, places) = self.datagrams.entry(datagram).or_insert_with(|| {
            since.push_back((now, datagram));
            (now, Vec::new())
        });
        places.push(place);
        self.count += 1;
        if self.since.len() > 2 * MOST {
            self.forget_gone();
        }
        true
    }

    fn forget_gone(&mut self) {
        let datagrams = &self.datagrams;
        let waits =
            |(since, id): &(Time, Datagram)| datagrams.get(id).is_some_and(|(at, _)| at == since);
        self.since.retain(waits);
    }

    /// Takes out the fragments of a datagram.
    pub(super) fn take(&mut self, datagram: &Datagram) -> Vec<Place> {
        let places = self
            .datagrams
            .remove(datagram)
            .map(|(_, places)| places)
            .unwrap_or_default();
        self.count -= places.len();
        if self.count == 0 {
            self.since.clear();
        }
        places
    }

    /// Takes out the fragments of a datagram whose time has run out.
    pub(super) fn take_expired(&mut self, now: Time) -> Option<Vec<Place>> {
        while let Some((since, datagram)) = self.since.front().copied() {
            if now.nanos_since(since) < PATIENCE * 1_000_000_000 {
                return None;
            }
            self.since.pop_front();
            if self
                .datagrams
                .get(&datagram)
                .is_some_and(|(at, _)| *at == since)
            {
                return Some(self.take(&datagram));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(id: u32) -> Datagram {
        let address = IpAddr::from([10, 0, 0, 1]);
        Datagram {
            source: address,
            destination: address,
            id,
            protocol: None,
        }
    }

    fn place(id: u32) -> Place {
        Place {
            queue: 0,
            id,
            mark: 0,
        }
    }

    #[test]
    fn fragments_come_out_with_their_datagram_or_when_they_are_too_old() {
        let mut held = Held::default();
        let start = Time::from_secs(100);
        for (id, fragment) in [(1, 10), (2, 11), (1, 12)] {
            assert!(held.add(datagram(id), place(fragment), start));
        }
        assert_eq!(held.take(&datagram(1)), [place(10), place(12)]);
        assert_eq!(held.take(&datagram(1)), []);
        assert_eq!(held.take_expired(Time::from_secs(129)), None);
        let mut expired = Vec::new();
        while let Some(places) = held.take_expired(Time::from_secs(130)) {
            expired.extend(places);
        }
        assert_eq!((expired, held.len()), (vec![place(11)], 0));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut held = Held::default();
        let added =
            (0..2 * MOST as u32).filter(|id| held.add(datagram(*id), place(*id), Time::ZERO));
        assert_eq!(added.count(), MOST);
    }
}
