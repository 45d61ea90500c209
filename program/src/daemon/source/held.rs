//! Fragments that wait until the tracker has seen their whole datagram, and then go on or are dropped together.
//!
//! Nothing of a datagram may be sent on before: whoever is sent the first fragments of one that is refused in the
//! end needs only the last one again, which the tracker would take for the beginning of another.
//!
//! Which fragments go together says the verdict ([`Piece`]). One name may be that of a second datagram while
//! fragments of a first one still wait, since names are forged, and the tracker gives datagrams up. Where there is no
//! more room the oldest datagram is given up: so whoever sends many beginnings keeps others out for no longer than he
//! sends.

use std::collections::{HashMap, VecDeque};

use ip_conntrack::{DatagramName, Packet, Piece, Time};

/// Fragments that wait, at most, where nothing else bounds them.
pub(crate) const MOST: usize = 4096;

/// Seconds that the rest of a datagram may take.
const PATIENCE: u64 = 30;

/// Fragments that wait.
pub(super) struct Held<T> {
    /// When the first fragment came, and those that wait.
    datagrams: HashMap<DatagramName, (Time, Vec<T>)>,
    /// By that time; some may be gone.
    since: VecDeque<(Time, DatagramName)>,
    count: usize,
    most: usize,
}

/// What becomes of fragments that have waited.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Freed<T> {
    /// The verdict on the packet at hand is theirs.
    Judged(Vec<T>),
    /// Their datagram was given up.
    GivenUp(Vec<T>),
}

impl<T> Held<T> {
    /// Room for so many fragments.
    pub(super) fn new(most: usize) -> Held<T> {
        Held {
            datagrams: HashMap::new(),
            since: VecDeque::new(),
            count: 0,
            most: most.max(1),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes out what a verdict decides on beside the packet that it is on.
    pub(super) fn free(&mut self, piece: Piece, packet: Option<&Packet<'_>>) -> Freed<T> {
        let datagram = match piece {
            Piece::First | Piece::Last | Piece::Stray if !self.is_empty() => {
                packet.and_then(Packet::datagram)
            }
            _ => None,
        };
        let places = datagram.map_or(Vec::new(), |name| self.take(&name));
        match piece {
            Piece::Last => Freed::Judged(places),
            _ => Freed::GivenUp(places),
        }
    }

    /// Has a fragment wait. => those that are given up for it.
    pub(super) fn add(&mut self, datagram: DatagramName, place: T, now: Time) -> Vec<T> {
        let mut given_up = Vec::new();
        while self.count >= self.most && !self.since.is_empty() {
            given_up.extend(self.take_oldest());
        }
        let since = &mut self.since;
        let (_, places) = self.datagrams.entry(datagram).or_insert_with(|| {
            since.push_back((now, datagram));
            (now, Vec::new())
        });
        places.push(place);
        self.count += 1;
        if self.since.len() > 2 * self.most {
            self.forget_gone();
        }
        given_up
    }

    fn forget_gone(&mut self) {
        let datagrams = &self.datagrams;
        let waits = |(since, id): &(Time, DatagramName)| {
            datagrams.get(id).is_some_and(|(at, _)| at == since)
        };
        self.since.retain(waits);
    }

    /// Takes out the fragments of a datagram.
    fn take(&mut self, datagram: &DatagramName) -> Vec<T> {
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
    pub(super) fn take_expired(&mut self, now: Time) -> Option<Vec<T>> {
        while let Some((since, _)) = self.since.front() {
            if now.nanos_since(*since) < PATIENCE * 1_000_000_000 {
                return None;
            }
            let places = self.take_oldest();
            if !places.is_empty() {
                return Some(places);
            }
        }
        None
    }

    /// Takes out the fragments of the datagram that came first; none if they are gone already.
    fn take_oldest(&mut self) -> Vec<T> {
        let Some((since, datagram)) = self.since.pop_front() else {
            return Vec::new();
        };
        let waits = self.datagrams.get(&datagram);
        match waits.is_some_and(|(at, _)| *at == since) {
            true => self.take(&datagram),
            false => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ip_conntrack::{DatagramName, LinkType, Packet, Piece, Time};

    use super::{Freed, Held};

    /// A fragment of a datagram of that number.
    fn fragment(id: u16) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 28, 0, 0, 0x20, 0, 64, 17, 0, 0];
        bytes[4..6].copy_from_slice(&id.to_be_bytes());
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([0; 8]);
        bytes
    }

    fn datagram(id: u16) -> DatagramName {
        let bytes = fragment(id);
        let packet = Packet::parse(LinkType::Raw, &bytes);
        packet.ok().and_then(|packet| packet.datagram()).unwrap()
    }

    fn free(held: &mut Held<u32>, piece: Piece, id: u16) -> Freed<u32> {
        let bytes = fragment(id);
        held.free(piece, Packet::parse(LinkType::Raw, &bytes).ok().as_ref())
    }

    #[test]
    fn fragments_come_out_with_their_datagram_or_when_they_are_too_old() {
        let mut held = Held::new(100);
        let start = Time::from_secs(100);
        for (id, fragment) in [(1, 10), (2, 11), (1, 12)] {
            assert!(held.add(datagram(id), fragment, start).is_empty());
        }
        assert_eq!(free(&mut held, Piece::Last, 1), Freed::Judged(vec![10, 12]));
        assert_eq!(free(&mut held, Piece::Last, 1), Freed::Judged(vec![]));
        assert_eq!(held.take_expired(Time::from_secs(129)), None);
        let mut expired = Vec::new();
        while let Some(places) = held.take_expired(Time::from_secs(130)) {
            expired.extend(places);
        }
        assert_eq!((expired, held.len()), (vec![11], 0));
    }

    #[test]
    fn a_verdict_frees_those_that_it_is_about() {
        for (piece, freed) in [
            (Piece::Alone, Freed::GivenUp(vec![])),
            (Piece::Next, Freed::GivenUp(vec![])),
            (Piece::First, Freed::GivenUp(vec![7])),
            (Piece::Stray, Freed::GivenUp(vec![7])),
            (Piece::Last, Freed::Judged(vec![7])),
        ] {
            let mut held = Held::new(100);
            held.add(datagram(1), 7, Time::ZERO);
            assert_eq!(free(&mut held, piece, 1), freed, "{piece:?}");
        }
    }

    #[test]
    fn no_more_wait_than_there_is_room_for_and_the_oldest_go() {
        let mut held = Held::new(4);
        for (id, fragment) in [(1, 0), (1, 1), (2, 2), (3, 3)] {
            assert!(held.add(datagram(id), fragment, Time::ZERO).is_empty());
        }
        assert_eq!(held.add(datagram(4), 4, Time::ZERO), [0, 1]);
        assert!(held.add(datagram(4), 5, Time::ZERO).is_empty());
        assert_eq!(held.add(datagram(5), 6, Time::ZERO), [2]);
        assert_eq!(held.len(), 4);
        assert_eq!(free(&mut held, Piece::Last, 4), Freed::Judged(vec![4, 5]));
    }
}
