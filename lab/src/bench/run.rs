//! Established connections.

use std::time::Instant;

use ip_conntrack::{
    Arrival, Class, Config, Conntrack, Knob, LinkType, Packet, Time, Verdict, Zone,
};

use super::floor::Floor;
use super::frames::{Family, Ring, Talk};
use crate::rng::Rng;

const SEGMENT: usize = 1 << 13;
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
        let mut good = 0;
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        let mut verdicts = [Verdict::default(); 256];
        for from in (0..ring.len()).step_by(SEGMENT) {
            let to = (from + SEGMENT).min(ring.len());
            let start = Instant::now();
            for i in (from..to).step_by(256) {
                now = Time::from_nanos(now.as_nanos() + 1000);
                ct.advance(now);
                let arrivals: [Arrival<'_>; 256] = std::array::from_fn(|at| {
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
            ours.push(start.elapsed().as_nanos() as f64 / (to - from) as f64);
            floors.push(floor.measure(&ring, from..to));
        }
        if std::env::var_os("SHOW").is_some() {
            for o in &ours {
                print!("{o:.0} ");
            }
            println!();
        }
        ours.sort_by(f64::total_cmp);
        floors.sort_by(f64::total_cmp);
        let at = |v: &[f64], q: usize| v[v.len() * q / 100];
        println!(
            "min {:.1} q10 {:.1} median {:.1}; floor min {:.1} q10 {:.1} median {:.1}; q10 ratio {:.2} {good} of {}",
            ours[0],
            at(&ours, 10),
            at(&ours, 50),
            floors[0],
            at(&floors, 10),
            at(&floors, 50),
            at(&ours, 10) / at(&floors, 10),
            ring.len()
        );
    }
}
