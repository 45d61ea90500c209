//! Packets on their way from the worker that received them to the one that tracks them, and verdicts on their
//! way to the queue in which a packet waits.
//!
//! Each worker has an inbox, which takes a bounded number of packets; one that finds no room is decided on
//! at once, unseen: it passes with its mark as it was, or is dropped. Packets are in an inbox in the order in which
//! each queue had them. Each queue counts the packets that are away, that is, received and neither decided on
//! nor in the batch at hand.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ip_conntrack::{Arrival, LinkType, Time};
use ip_conntrack_link::queue::{self, Decided, Verdicts};
use rustix::event::epoll;

use super::{BATCH, Place};
use crate::daemon::worker::Bell;

/// Packets that an inbox takes.
const MOST: usize = 4096;

/// What all workers share.
pub(crate) struct Exchange {
    inboxes: Vec<Inbox>,
    queues: Vec<Waiting>,
}

struct Inbox {
    letters: Mutex<Letters>,
    bell: Bell,
}

/// A queue in which packets wait.
struct Waiting {
    verdicts: Verdicts,
    away: AtomicUsize,
}

/// Packets with their bytes behind each other.
#[derive(Default)]
struct Letters {
    bytes: Vec<u8>,
    letters: Vec<Letter>,
}

struct Letter {
    place: Place,
    wire_len: usize,
    /// Where its bytes begin and end.
    bytes: (usize, usize),
}

/// Packets that were fetched from the inbox.
#[derive(Default)]
pub(super) struct Handed {
    letters: Letters,
    taken: usize,
}

/// A worker's way to the others and to the queues.
pub(super) struct Post {
    exchange: Arc<Exchange>,
    shard: usize,
    fail_open: bool,
    /// Readable when the queue or the inbox has something.
    epoll: OwnedFd,
    verdicts: Vec<Decided>,
    buffer: Vec<u8>,
}

impl Exchange {
    /// For a worker to each queue.
    ///
    /// # Errors
    ///
    /// The system has no file descriptor left.
    pub(crate) fn new(queues: &[queue::Queue]) -> io::Result<Exchange> {
        let inbox = |_| {
            Ok(Inbox {
                letters: Mutex::default(),
                bell: Bell::new()?,
            })
        };
        let waiting = |queue: &queue::Queue| Waiting {
            verdicts: queue.verdicts(),
            away: AtomicUsize::new(0),
        };
        Ok(Exchange {
            inboxes: queues.iter().map(inbox).collect::<io::Result<_>>()?,
            queues: queues.iter().map(waiting).collect(),
        })
    }
}

impl Letters {
    fn clear(&mut self) {
        self.bytes.clear();
        self.letters.clear();
    }

    fn put(&mut self, place: Place, arrival: &Arrival<'_>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(arrival.bytes);
        let bytes = (from, self.bytes.len());
        self.letters.push(Letter {
            place,
            wire_len: arrival.wire_len,
            bytes,
        });
    }
}

impl Handed {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.letters.letters.len()
    }

    /// The next packets, at most [`BATCH`], which arrive now.
    pub(super) fn next(&self, now: Time) -> (Vec<Arrival<'_>>, Vec<Place>) {
        let Letters { bytes, letters } = &self.letters;
        let next = letters.iter().skip(self.taken).take(BATCH);
        let arrival = |letter: &Letter| Arrival {
            link: LinkType::Raw,
            bytes: bytes
                .get(letter.bytes.0..letter.bytes.1)
                .unwrap_or_default(),
            wire_len: letter.wire_len,
            time: now,
        };
        next.map(|letter| (arrival(letter), letter.place)).unzip()
    }

    pub(super) fn took(&mut self, count: usize) {
        self.taken += count;
    }
}

impl Post {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        shard: usize,
        fail_open: bool,
        queue: &queue::Queue,
    ) -> io::Result<Post> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, queue, data, epoll::EventFlags::IN)?;
        if let Some(inbox) = exchange.inboxes.get(shard) {
            epoll::add(&epoll, &inbox.bell, data, epoll::EventFlags::IN)?;
        }
        Ok(Post {
            exchange,
            shard,
            fail_open,
            epoll,
            verdicts: Vec::with_capacity(BATCH),
            buffer: Vec::new(),
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// A packet of a queue will be decided on later, or elsewhere.
    pub(super) fn goes_away(&self, queue: usize) {
        if let Some(queue) = self.exchange.queues.get(queue) {
            queue.away.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands a packet over. => `false` if that is not possible; then it is decided on here.
    pub(super) fn hand_over(&mut self, owner: usize, place: Place, arrival: &Arrival<'_>) -> bool {
        let Some(inbox) = self.exchange.inboxes.get(owner) else {
            return false;
        };
        self.goes_away(place.queue);
        let mut letters = inbox.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let before = letters.letters.len();
        if before < MOST {
            letters.put(place, arrival);
        }
        drop(letters);
        if before == 0 {
            inbox.bell.ring();
        }
        if before >= MOST {
            let unseen = Decided {
                id: place.id,
                accept: self.fail_open,
                mark: place.mark,
            };
            // If that fails, so will the verdicts on the batch, which is told.
            let _ = self.send_late(&[(place.queue, unseen)]);
        }
        before < MOST
    }

    /// Fetches what others have handed over, when all that was fetched before is done. => whether there is any.
    pub(super) fn fetch(&self, handed: &mut Handed) -> bool {
        handed.letters.clear();
        handed.taken = 0;
        if let Some(inbox) = self.exchange.inboxes.get(self.shard) {
            inbox.bell.hear();
            let mut letters = inbox.letters.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *letters, &mut handed.letters);
        }
        !handed.is_empty()
    }

    /// Sends the verdicts on a batch, and those on packets that were away.
    pub(super) fn send(
        &mut self,
        decided: &[(usize, Decided)],
        late: &[(usize, Decided)],
    ) -> io::Result<()> {
        for same in decided.chunk_by(|a, b| a.0 == b.0) {
            let Some((queue, _)) = same.first() else {
                continue;
            };
            if *queue != self.shard {
                self.send_late(same)?;
            } else if let Some(queue) = self.exchange.queues.get(*queue) {
                self.verdicts.clear();
                self.verdicts
                    .extend(same.iter().map(|(_, decided)| *decided));
                let is_oldest = queue.away.load(Ordering::Acquire) == 0;
                queue
                    .verdicts
                    .send(&self.verdicts, is_oldest, &mut self.buffer)?;
            }
        }
        self.send_late(late)
    }

    fn send_late(&mut self, late: &[(usize, Decided)]) -> io::Result<()> {
        for same in late.chunk_by(|a, b| a.0 == b.0) {
            let queue = same
                .first()
                .and_then(|(queue, _)| self.exchange.queues.get(*queue));
            if let Some(queue) = queue {
                self.verdicts.clear();
                self.verdicts
                    .extend(same.iter().map(|(_, decided)| *decided));
                let sent = queue.verdicts.send(&self.verdicts, false, &mut self.buffer);
                queue.away.fetch_sub(same.len(), Ordering::Release);
                sent?;
            }
        }
        Ok(())
    }
}
