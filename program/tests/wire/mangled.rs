//! Frames of random bytes, truncated packets, packets that were right once: many of them, beside traffic that is right.
//!
//! A hundred thousand are sent, or as many as `IP_CONNTRACK_FRAMES` says (`just mangled` asks for a hundred million).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::frames::{Random, Sender, frame, udp, v4};

/// Frames that are made anew; each changes a little whenever it is sent.
const POOL: usize = 10_000;

/// Bytes by which memory may grow once the table is full.
const FLAT: u64 = 16 << 20;

const ETHERNET: usize = 14;

/// How much of a frame is left as it is.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "each test program has its own")]
pub(crate) enum Whole {
    /// The Ethernet header.
    Frame,
    /// The Ethernet and IPv4 headers, without which a router takes nothing.
    Header,
    /// Nothing: there is no Ethernet.
    Nothing,
}

/// What makes them.
pub(crate) struct Mangler {
    random: Random,
    pool: Vec<Vec<u8>>,
    /// Bytes at the beginning that do not change.
    whole: usize,
}

impl Mangler {
    pub(crate) fn new(seed: u64, whole: Whole) -> Mangler {
        let mut random = Random(seed);
        let make = |random: &mut Random| match whole {
            Whole::Frame => mangled(random),
            Whole::Header => routed(random),
            Whole::Nothing => mangled(random).split_off(ETHERNET),
        };
        let mut pool: Vec<_> = (0..POOL).map(|_| make(&mut random)).collect();
        pool.retain(|frame| frame.len() >= ETHERNET);
        let whole = match whole {
            Whole::Frame => ETHERNET,
            Whole::Header => ETHERNET + 20,
            Whole::Nothing => 0,
        };
        Mangler {
            random,
            pool,
            whole,
        }
    }

    fn next(&mut self) -> &[u8] {
        let random = &mut self.random;
        let (which, at, byte) = (
            random.below(self.pool.len()),
            random.below(64),
            random.next(),
        );
        let frame = &mut self.pool[which];
        if let Some(place) = frame.get_mut(self.whole + at) {
            *place = (byte >> 32) as u8;
        }
        frame
    }
}

/// What is poured into, and asked meanwhile.
pub(crate) struct Into<'a> {
    /// Frames a second: what finds a queue full is lost, and what is right with it.
    pub(crate) rate: u32,
    /// Packets that the daemon has had.
    pub(crate) seen: &'a dyn Fn() -> u64,
    /// Bytes of its memory.
    pub(crate) memory: &'a dyn Fn() -> u64,
    /// Whether traffic that is right comes through.
    pub(crate) works: &'a (dyn Fn() -> bool + Sync),
}

impl Into<'_> {
    /// Sends until the daemon has had so many as are asked for, and asserts that memory is flat and traffic goes on.
    pub(crate) fn pour(&self, sender: &mut Sender, mangler: &mut Mangler) {
        let wanted = frames();
        let (is_over, worked, failed) =
            (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let outcome = if (self.works)() { &worked } else { &failed };
                    outcome.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(100));
                }
            });
            let _end = End(&is_over);
            let (mut sent, mut begin) = (0, None);
            while (self.seen)() < wanted {
                assert!(sent < 100 * wanted, "{} of {sent} were seen", (self.seen)());
                self.send(wanted / 20, sender, mangler);
                sent += wanted / 20;
                let memory = (self.memory)();
                let begin = *begin.get_or_insert(memory);
                assert!(
                    memory < begin + FLAT,
                    "memory grew from {begin} to {memory}"
                );
            }
            println!(
                "{sent} frames sent, {} seen, memory {:?}",
                (self.seen)(),
                begin
            );
        });
        let (worked, failed) = (worked.into_inner(), failed.into_inner());
        println!("beside it, {worked} requests went well, {failed} did not");
        assert!(worked > 10 * failed, "{worked} went well, {failed} did not");
        assert!((self.works)());
    }

    fn send(&self, frames: u64, sender: &mut Sender, mangler: &mut Mangler) {
        let begin = Instant::now();
        for sent in (0..frames).step_by(AT_ONCE as usize) {
            let due = Duration::from_secs(sent) / self.rate;
            thread::sleep(due.saturating_sub(begin.elapsed()));
            for _ in 0..AT_ONCE {
                sender.send(mangler.next());
            }
        }
        sender.finish();
    }
}

/// Frames between two looks at the clock.
const AT_ONCE: u64 = 64;

/// Tells that it is over, even after a failed assertion.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn frames() -> u64 {
    let asked = std::env::var("IP_CONNTRACK_FRAMES");
    asked.map_or(100_000, |frames| frames.parse().unwrap())
}

/// A frame of random bytes, or a packet that was right once.
fn mangled(random: &mut Random) -> Vec<u8> {
    let kinds = [0x0800, 0x86dd, 0x8100, 0x8847, 0x8864, 0x0806];
    let kind = kinds[random.below(kinds.len())];
    let len = random.below(1400);
    if random.below(2) == 0 {
        return frame(kind, &random.bytes(len));
    }
    let mut packet = packet(random);
    for _ in 0..random.below(3) {
        let at = random.below(packet.len());
        packet[at] = random.next() as u8;
    }
    packet.truncate(1 + random.below(packet.len()));
    frame(kind, &packet)
}

/// An IPv4 packet that a router takes; what is in it is not right.
fn routed(random: &mut Random) -> Vec<u8> {
    let packet = packet(random);
    frame(0x0800, &packet)
}

fn packet(random: &mut Random) -> Vec<u8> {
    let protocols = [1, 6, 17, 132, 47, 58];
    let protocol = protocols[random.below(protocols.len())];
    let port = random.below(1 << 16) as u16;
    let len = random.below(1400);
    v4(
        protocol,
        [10, 93, 7, 1],
        [10, 93, 7, 2],
        &udp(port, 53, &random.bytes(len))[..random.below(8 + len)],
    )
}
