//! Established connections.

use std::time::Instant;

use ip_conntrack::{
    Arrival, Class, Config, Conntrack, Knob, LinkType, Packet, Time, Verdict, Zone,
};

use super::floor::Floor;
use super::frames::{Family, Ring, Talk};
use crate::rng::Rng;

/// quick
pub fn quick(connections: u32, passes: u32, frames: usize, family: Family) {
    let mut config = Config::default();
    config.set(Knob::Acct, 1).unwrap();
    config.set(Knob::Checksum, 0).unwrap();
    config.set(Knob::Max, i64::from(connections)).unwrap();
    let mut ct = Conntrack::new(config, 42);
    let mut talk = Talk::new(connections);
    let mut ring = Ring::new(family, frames.max(3));
    let mut now = Time::from_secs(1_000_000);
    for n in 0..connections {
        ring.clear();
        for s in talk.handshake(n) {
            ring.push(&s);
        }
        for i in 0..3 {
            let p = Packet::parse(LinkType::Ethernet, ring.frame(i)).unwrap();
            ct.track(&p, now);
        }
    }
    let mut rng = Rng::new(1);
    let mut floor = Floor::new(connections);
    for _ in 0..passes {
        ring.clear();
        for _ in 0..frames {
            ring.push(&talk.next(&mut rng));
        }
        let start = Instant::now();
        let mut good = 0;
        let mut verdicts = [Verdict::default(); 32];
        for i in (0..ring.len() - 31).step_by(32) {
            now = Time::from_nanos(now.as_nanos() + 1000);
            ct.advance(now);
            let arrivals: [Arrival<'_>; 32] = std::array::from_fn(|at| {
                let bytes = ring.frame(i + at);
                Arrival {
                    link: LinkType::Ethernet,
                    bytes,
                    wire_len: bytes.len(),
                    time: now,
                }
            });
            ct.track_batch(Zone::default(), &arrivals, &mut verdicts);
            good += verdicts
                .iter()
                .filter(|v| v.class == Class::Established && v.reason.is_none())
                .count();
        }
        let ns = start.elapsed().as_nanos() as f64 / ring.len() as f64;
        let fl = floor.measure(&ring);
        println!("{ns:.1} ns, floor {fl:.1}, {good} of {}", ring.len());
    }
}
