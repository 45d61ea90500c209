//! A limit that trackers on several threads share, while they run.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst};
use std::thread;

use ip_conntrack::{Config, Conntrack, Knob, Limit};
use support::*;

fn shard_of(limit: &Limit) -> Conntrack {
    Conntrack::with_limit(Config::default(), 1, limit)
}

/// Entries of all trackers that are not just busy with a packet. Each adds what it has when it is done
/// and takes it out before it begins, so the sum is a moment's truth and never too much.
#[derive(Default)]
struct Watch {
    sum: AtomicI64,
    most: AtomicI64,
}

impl Watch {
    fn around(&self, shard: &mut Conntrack, packet: impl FnOnce(&mut Conntrack)) {
        self.sum.fetch_sub(shard.len() as i64, SeqCst);
        packet(shard);
        let len = shard.len() as i64;
        let sum = self.sum.fetch_add(len, SeqCst) + len;
        self.most.fetch_max(sum, SeqCst);
    }
}

/// Keeps a tracker busy: many connections, some of them answered, some ended, at random.
fn work(shard: &mut Conntrack, watch: &Watch, random: &mut u64, packets: u32) {
    let flows = shard.config().get(Knob::Max).clamp(100, 100_000) as u32;
    for _ in 0..packets {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let number = (*random >> 20) as u32 % flows;
        watch.around(shard, |shard| match *random % 4096 {
            0 => shard.flush(),
            1..200 => drop(shard.advance(START)),
            200..600 => drop(send(shard, &flow(number).back().udp(1), START)),
            _ => drop(send(shard, &flow(number).udp(1), START)),
        });
    }
}

#[test]
fn threads_are_never_above_the_limit_together() {
    for (max, threads) in [(10, 4), (997, 4), (3_000, 3), (70_000, 2)] {
        let limit = Limit::new(max, threads);
        let (watch, is_over) = (Watch::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            let workers = (0..threads).map(|number| {
                let (limit, watch) = (limit.clone(), &watch);
                scope.spawn(move || {
                    let mut shard = shard_of(&limit);
                    let mut random = 0x9e37_79b9_7f4a_7c15_u64 + number as u64;
                    work(&mut shard, watch, &mut random, 60_000);
                    watch.around(&mut shard, Conntrack::flush);
                })
            });
            let workers: Vec<_> = workers.collect();
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    assert!(limit.taken() <= max);
                    thread::yield_now();
                }
            });
            for worker in workers {
                worker.join().unwrap();
            }
            is_over.store(true, SeqCst);
        });
        let most = watch.most.load(SeqCst);
        assert!(most <= i64::from(max), "{most} of {max}");
        if max < 1_000 {
            assert!(most >= i64::from(max) / 2, "{most} of {max} is no test");
        }
        assert_eq!(limit.taken(), 0);
    }
}

#[test]
fn threads_follow_a_limit_that_is_changed_under_them() {
    const THREADS: usize = 4;
    let limit = Limit::new(2_000, THREADS);
    let (watch, barrier) = (Watch::default(), Barrier::new(THREADS + 1));
    let kept = AtomicU32::new(0);
    let phases = [2_000, 300, 4_000, 17, 40_000, 4_000, 1, 900];
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (limit, watch, barrier, kept) = (limit.clone(), &watch, &barrier, &kept);
            scope.spawn(move || {
                let mut shard = shard_of(&limit);
                let mut random = 0x2545_f491_4f6c_dd1d_u64 + number as u64;
                for _ in phases {
                    // One half while the limit is being changed, one after it was.
                    for _ in 0..2 {
                        barrier.wait();
                        work(&mut shard, watch, &mut random, 8_000);
                        barrier.wait();
                        kept.fetch_add(shard.len() as u32, SeqCst);
                        barrier.wait();
                    }
                }
            });
        }
        let half = |during: &dyn Fn()| {
            watch.most.store(0, SeqCst);
            barrier.wait();
            during();
            barrier.wait();
            barrier.wait();
            let most = watch.most.load(SeqCst) as u32;
            (most, kept.swap(0, SeqCst))
        };
        let mut before = (limit.max(), 0);
        for max in phases {
            let (most, stayed) = half(&|| limit.set(max));
            let (old, there) = before;
            assert!(
                most.max(stayed) <= old.max(max).max(there),
                "from {old} to {max}: {most}"
            );
            let (most, end) = half(&|| ());
            assert!(
                most.max(end) <= max.max(stayed),
                "after {max} was set: {most}, {end}"
            );
            before = (max, end);
        }
    });
    assert_eq!(limit.taken(), 0);
}
