//! Random packet sequences, biased towards the corners of the state machines.
//!
//! A sequence has one to three flows between the same two hosts. For TCP each side keeps a rough idea
//! of where it is (what it sent, what it saw), so that most packets continue what was begun and
//! connections get into every state; then one number or flag in a few is bent to something near an edge:
//! one off, a window away, before the beginning, beyond the wrap-around. SCTP sides know their tags
//! and what usually comes next. ICMP errors quote packets that were sent before. Now and then a rule marks
//! or labels the connection of a packet, or gives it a helper.

mod icmp;
mod sctp;
mod tcp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::craft::{Body, Craft, Ends, Sum, Tcp};
use crate::rng::Rng;
use crate::rule::Rule;

/// One packet of a sequence.
#[derive(Clone, PartialEq, Debug)]
pub struct Move {
    /// Nanoseconds to wait before it.
    pub wait: u64,
    /// The flow's ends in the direction of its first packet.
    pub flow: Ends,
    /// The packet.
    pub packet: Craft,
}

const MILLISECOND: u64 = 1_000_000;

/// What a flow speaks.
#[derive(Clone, Debug)]
enum Kind {
    Tcp(Box<[tcp::TcpSide; 2]>),
    Udp,
    UdpLite,
    Icmp,
    Sctp(Box<sctp::Sides>),
    Gre,
    Other(u8),
}

struct Flow {
    ends: Ends,
    kind: Kind,
    sent: Vec<Craft>,
}

/// A sequence of packets. `number` makes its addresses different from those of other sequences.
/// UDP-Lite only `with_udplite`: with checksums verified, the kernel has its defect there.
pub fn sequence(rng: &mut Rng, number: u32, with_udplite: bool) -> Vec<Move> {
    let is_v6 = rng.one_in(5);
    let mut flows: Vec<Flow> = Vec::new();
    for index in 0..1 + rng.weighted(&[6, 2, 1]) {
        flows.push(flow(rng, number, index as u16, is_v6, with_udplite));
    }
    let mut moves = Vec::new();
    for _ in 0..2 + rng.below(24) {
        let at = rng.below(flows.len() as u64) as usize;
        let all_sent: Vec<Craft> = flows.iter().flat_map(|flow| flow.sent.clone()).collect();
        let flow = &mut flows[at];
        let mut packet = if !all_sent.is_empty() && rng.one_in(14) {
            icmp::error(rng, &all_sent)
        } else {
            flow.packet(rng)
        };
        if rng.one_in(12) {
            packet.rule = rng.pick(&[Rule::Mark7, Rule::Label3, Rule::Ftp]);
        }
        let ends = match &packet.body {
            Body::IcmpError { about, .. } => {
                let of = |flow: &&Flow| flow.ends == about.ends || reverse(flow.ends) == about.ends;
                flows.iter().find(of).map_or(packet.ends, |flow| flow.ends)
            }
            _ => flow.ends,
        };
        if rng.one_in(20) {
            moves.extend(fragments(rng, ends, &packet));
            continue;
        }
        let wait = match rng.weighted(&[40, 3, 2, 1]) {
            0 => 0,
            1 => rng.below(20) * MILLISECOND,
            2 => 900 * MILLISECOND + rng.below(400) * MILLISECOND,
            _ => 1_800 * MILLISECOND + rng.below(2_500) * MILLISECOND,
        };
        moves.push(Move {
            wait,
            flow: ends,
            packet,
        });
    }
    moves
}

/// A packet in two or three pieces, in any order; now and then one is missing, comes twice or overlaps.
fn fragments(rng: &mut Rng, flow: Ends, packet: &Craft) -> Vec<Move> {
    let header = if packet.ends.src.is_ipv6() { 40 } else { 20 };
    let len = packet.bytes().len() - header;
    let id = rng.next() as u32 & 0xffff;
    let cut = |rng: &mut Rng| rng.below(len as u64 / 8 + 1) as usize * 8;
    let (one, two) = (cut(rng), cut(rng));
    let (first, second) = (one.min(two), one.max(two));
    let mut ranges = vec![(0, first), (first, second), (second, len)];
    ranges.retain(|(from, to)| from < to);
    if ranges.is_empty() {
        ranges.push((0, len));
    }
    for at in (1..ranges.len()).rev() {
        ranges.swap(at, rng.below(at as u64 + 1) as usize);
    }
    let one = rng.pick(&ranges);
    let place = rng.below(ranges.len() as u64 + 1) as usize;
    match rng.below(9) {
        0 | 1 => ranges.insert(place, one),
        2 => ranges.insert(place, (one.0.saturating_sub(8), one.1)),
        3 => drop(ranges.pop()),
        _ => {}
    }
    let piece = |(from, to)| Move {
        wait: 0,
        flow,
        packet: Craft {
            fragment: Some((from, to, id)),
            ..packet.clone()
        },
    };
    ranges.into_iter().map(piece).collect()
}

const fn reverse(ends: Ends) -> Ends {
    Ends {
        src: ends.dst,
        dst: ends.src,
    }
}

fn flow(rng: &mut Rng, number: u32, index: u16, is_v6: bool, with_udplite: bool) -> Flow {
    let [_, a, b, c] = number.to_be_bytes();
    let host = |side: u8| -> IpAddr {
        match is_v6 {
            false => Ipv4Addr::new(10 + side, a, b, c).into(),
            true => {
                let side = u16::from(side);
                Ipv6Addr::new(
                    0x2001,
                    0xdb8,
                    side,
                    0,
                    0,
                    0,
                    (number >> 16) as u16,
                    number as u16,
                )
                .into()
            }
        }
    };
    let port = 40_000 + if rng.one_in(4) { 0 } else { index };
    let same_host = rng.one_in(40);
    let ends = Ends {
        src: SocketAddr::new(host(0), if rng.one_in(20) { 80 } else { port }),
        dst: SocketAddr::new(host(u8::from(!same_host)), 80),
    };
    let ends = if rng.one_in(3) { reverse(ends) } else { ends };
    let kind = match rng.weighted(&[60, 10, if with_udplite { 3 } else { 0 }, 8, 14, 3, 2]) {
        0 => Kind::Tcp(Box::new([tcp::side(rng), tcp::side(rng)])),
        1 => Kind::Udp,
        2 => Kind::UdpLite,
        3 => Kind::Icmp,
        4 => Kind::Sctp(Box::new(sctp::sides(rng))),
        5 => Kind::Gre,
        _ => Kind::Other(rng.pick(&[2, 33, 50, 99, 255])),
    };
    Flow {
        ends,
        kind,
        sent: Vec::new(),
    }
}

impl Flow {
    fn packet(&mut self, rng: &mut Rng) -> Craft {
        let from = usize::from(!self.sent.is_empty() && rng.one_in(2));
        let ends = if from == 0 {
            self.ends
        } else {
            reverse(self.ends)
        };
        let sum = match rng.below(60) {
            0 => Sum::Wrong,
            _ => Sum::Right,
        };
        let body = match &mut self.kind {
            Kind::Tcp(sides) => Body::Tcp(Tcp {
                sum,
                ..tcp::tcp(rng, sides, from)
            }),
            Kind::Udp => Body::Udp {
                len: rng.pick(&[0, 1, 5, 1_000]),
                length: rng.one_in(30).then(|| rng.pick(&[0, 7, 8, 9, 2_000])),
                sum: if rng.one_in(20) { Sum::None } else { sum },
            },
            Kind::UdpLite => Body::UdpLite {
                len: rng.pick(&[1, 100]),
                coverage: rng.pick(&[0, 0, 0, 7, 8, 9, 108, 109, 200]),
                sum: Sum::Right,
            },
            Kind::Icmp => icmp::query(rng, from, ends.src.is_ipv6(), sum),
            Kind::Sctp(sides) => sctp::sctp(rng, sides, from, sum),
            Kind::Gre => Body::Gre {
                version: rng.pick(&[0, 1, 1, 1, 2]),
                protocol: rng.pick(&[0x880b, 0x880b, 0x880b, 0x0800]),
                call: rng.pick(&[0, 1, 2]),
                key: None,
            },
            Kind::Other(protocol) => Body::Other {
                protocol: *protocol,
                bytes: vec![b'x'; rng.pick(&[0, 1, 8, 100])],
            },
        };
        let craft = Craft::new(ends, body);
        self.sent.push(craft.clone());
        craft
    }
}
