//! Random packet sequences, biased towards the corners of the state machines.
//!
//! A sequence has one to three flows between the same two hosts. For TCP each side keeps a rough idea
//! of where it is (what it sent, what it saw), so that most packets continue what was begun and
//! connections get into every state; then one number or flag in a few is bent to something near an edge:
//! one off, a window away, before the beginning, beyond the wrap-around. SCTP sides know their tags
//! and what usually comes next. ICMP errors quote packets that were sent before.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::craft::{Body, Craft, Ends, Sum, Tcp};
use crate::rng::Rng;

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

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

const MILLISECOND: u64 = 1_000_000;

/// What a flow speaks.
#[derive(Clone, Debug)]
enum Kind {
    Tcp(Box<[TcpSide; 2]>),
    Udp,
    UdpLite,
    Icmp,
    Sctp(Box<SctpSides>),
    Gre,
    Other(u8),
}

/// Where one side of a TCP connection believes to be.
#[derive(Clone, Debug, Default)]
struct TcpSide {
    start: u32,
    next: u32,
    /// The next number expected of the other side, as far as this one saw it.
    seen: u32,
    window: u16,
    scale: Option<u8>,
    sack_ok: bool,
    has_sent: bool,
}

#[derive(Clone, Debug, Default)]
struct SctpSides {
    tags: [u32; 2],
    stage: usize,
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
        let packet = if !all_sent.is_empty() && rng.one_in(14) {
            icmp_error(rng, &all_sent)
        } else {
            flow.packet(rng)
        };
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
    match rng.below(12) {
        0 => ranges.push((0, first.max(8))),
        1 => ranges.push((first.saturating_sub(8), second)),
        2 => drop(ranges.pop()),
        _ => {}
    }
    if rng.one_in(2) {
        ranges.reverse();
    }
    if ranges.len() > 1 && rng.one_in(3) {
        ranges.rotate_left(1);
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
        0 => Kind::Tcp(Box::new([tcp_side(rng), tcp_side(rng)])),
        1 => Kind::Udp,
        2 => Kind::UdpLite,
        3 => Kind::Icmp,
        4 => Kind::Sctp(Box::new(SctpSides {
            tags: [1 + rng.below(3) as u32, 0x1000 + rng.below(3) as u32],
            stage: 0,
        })),
        5 => Kind::Gre,
        _ => Kind::Other(rng.pick(&[2, 33, 50, 99, 255])),
    };
    Flow {
        ends,
        kind,
        sent: Vec::new(),
    }
}

fn tcp_side(rng: &mut Rng) -> TcpSide {
    let start = match rng.below(4) {
        0 => 0u32.wrapping_sub(rng.below(2_000) as u32),
        1 => 0x8000_0000u32.wrapping_sub(rng.below(2_000) as u32),
        _ => rng.next() as u32,
    };
    TcpSide {
        start,
        next: start,
        window: rng.pick(&[0, 1, 100, 1_000, 8_192, 29_200, 65_535]),
        scale: (!rng.one_in(3)).then(|| rng.pick(&[0, 1, 2, 7, 14, 15])),
        sack_ok: rng.one_in(2),
        ..TcpSide::default()
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
                ..tcp(rng, sides, from)
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
            Kind::Icmp => icmp(rng, from, ends.src.is_ipv6(), sum),
            Kind::Sctp(sides) => sctp(rng, sides, from, sum),
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

/// What usually comes next, by what each side has done.
fn tcp(rng: &mut Rng, sides: &mut [TcpSide; 2], from: usize) -> Tcp {
    let other = sides[1 - from].clone();
    let side = &mut sides[from];
    let flags = tcp_flags(rng, side, &other);
    let len = match rng.weighted(&[6, 3, 1]) {
        0 => 0,
        1 => rng.pick(&[1, 10, 100]),
        _ => rng.pick(&[1_000, 1_400]),
    };
    let starts_again = flags & SYN != 0 && side.has_sent && rng.one_in(3);
    if starts_again {
        let step = rng.pick(&[1, 1_000, 100_000, 0x7fff_ffff]);
        side.start = side.next.wrapping_add(step);
        side.next = side.start;
    }
    let mut seq = if flags & SYN != 0 {
        side.start
    } else {
        side.next
    };
    let mut ack = if rng.one_in(4) { side.seen } else { other.next };
    let span = u32::from(other.window) << other.scale.unwrap_or(0).min(14);
    if rng.one_in(7) {
        seq = bend(rng, seq, span);
    }
    if rng.one_in(9) {
        ack = bend(rng, ack, span);
    }
    if rng.one_in(8) {
        side.window = rng.pick(&[0, 1, 100, 8_192, 65_535]);
    }
    let mut tcp = Tcp {
        flags,
        seq,
        ack,
        window: side.window,
        len: if flags & (SYN | RST) != 0 && !rng.one_in(10) {
            0
        } else {
            len
        },
        ..Tcp::default()
    };
    if flags & SYN != 0 || rng.one_in(20) {
        tcp.scale = side.scale;
        tcp.sack_ok = side.sack_ok;
    } else if side.sack_ok && rng.one_in(4) {
        let left = other.next.wrapping_add(rng.pick(&[1, 100, 1_000]));
        let right = left.wrapping_add(rng.pick(&[1, 500, 2_000]));
        let right = if rng.one_in(3) {
            bend(rng, right, span)
        } else {
            right
        };
        tcp.sacks.push((left, right));
    }
    if rng.one_in(200) {
        tcp.offset = Some(rng.pick(&[4, 15]));
    }
    let counts = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let end = seq.wrapping_add(tcp.len as u32).wrapping_add(counts);
    if end.wrapping_sub(side.next) < 1 << 20 {
        side.next = end;
    }
    side.has_sent = true;
    let receiver = &mut sides[1 - from];
    if !rng.one_in(5) {
        receiver.seen = end;
    }
    tcp
}

fn tcp_flags(rng: &mut Rng, side: &TcpSide, other: &TcpSide) -> u8 {
    let usual = match (side.has_sent, other.has_sent) {
        (false, false) => [SYN, SYN, SYN, ACK],
        (false, true) => [SYN | ACK, SYN | ACK, SYN | ACK, ACK],
        (true, false) => [SYN, SYN, ACK, RST],
        (true, true) => [ACK, ACK, ACK | PSH, FIN | ACK],
    };
    match rng.weighted(&[30, 6, 1]) {
        0 => rng.pick(&usual),
        1 => rng.pick(&[
            SYN,
            SYN | ACK,
            ACK,
            FIN | ACK,
            RST,
            RST | ACK,
            ACK | PSH,
            RST,
            SYN,
        ]),
        _ => rng.pick(&[
            0,
            FIN,
            SYN | FIN,
            SYN | URG,
            ACK | URG,
            FIN | ACK | URG,
            SYN | RST,
            RST | URG,
            FIN | ACK | PSH,
        ]),
    }
}

/// A number near an edge.
fn bend(rng: &mut Rng, number: u32, span: u32) -> u32 {
    let distance = rng.pick(&[
        1,
        2,
        span,
        span.wrapping_add(1),
        span.wrapping_sub(1),
        66_000,
        66_001,
        1_000,
        0x8000_0000,
    ]);
    match rng.below(8) {
        0 => 0,
        1..=3 => number.wrapping_sub(distance),
        _ => number.wrapping_add(distance),
    }
}

fn icmp(rng: &mut Rng, from: usize, is_v6: bool, sum: Sum) -> Body {
    let kind = match (is_v6, from) {
        (false, 0) => rng.pick(&[8, 8, 8, 13, 15, 17, 0, 5]),
        (false, _) => rng.pick(&[0, 0, 0, 14, 16, 18, 8, 19, 3]),
        (true, 0) => rng.pick(&[128, 128, 128, 139, 129, 130, 135]),
        (true, _) => rng.pick(&[129, 129, 129, 140, 128, 1, 137, 200]),
    };
    Body::Icmp {
        kind,
        code: u8::from(rng.one_in(12)),
        id: rng.below(2) as u16,
        len: rng.pick(&[0, 8, 56]),
        sum,
    }
}

fn icmp_error(rng: &mut Rng, sent: &[Craft]) -> Craft {
    let about = rng.pick(sent);
    let is_v6 = about.ends.src.is_ipv6();
    let (kind, code) = match is_v6 {
        false => rng.pick(&[(3, 1), (3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)]),
        true => rng.pick(&[(1, 0), (1, 4), (2, 0), (3, 0), (4, 1)]),
    };
    let mut ends = reverse(about.ends);
    if rng.one_in(3) {
        let router = if is_v6 { "2001:db8:9::9" } else { "10.9.9.9" };
        if let Ok(address) = router.parse() {
            ends.src.set_ip(address);
        }
    }
    if rng.one_in(8) {
        ends.dst = ends.src;
        ends.src = about.ends.dst;
    }
    let header = if is_v6 { 40 } else { 20 };
    let body = Body::IcmpError {
        kind,
        code,
        about: Box::new(about),
        quoted: header + rng.pick(&[0, 3, 4, 7, 8, 8, 20, 500]),
        sum: Sum::Right,
    };
    Craft::new(ends, body)
}

/// Chunk types in the order of an association's life, with who sends them.
const SCTP_LIFE: [(u8, usize); 10] = [
    (1, 0),
    (2, 1),
    (10, 0),
    (11, 1),
    (0, 0),
    (3, 1),
    (4, 0),
    (7, 0),
    (8, 1),
    (14, 0),
];

fn sctp(rng: &mut Rng, sides: &mut SctpSides, from: usize, sum: Sum) -> Body {
    let follows = rng.weighted(&[1, 6]) == 1;
    let (kind, from) = match SCTP_LIFE.get(sides.stage) {
        Some((kind, who)) if follows => {
            let kind = *kind;
            if *who == from {
                sides.stage += 1;
                (kind, from)
            } else {
                (rng.pick(&[0, 3, 4, 5]), from)
            }
        }
        _ => (
            rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]),
            from,
        ),
    };
    // A packet carries the tag that the other side chose.
    let mut tag = if kind == 1 { 0 } else { sides.tags[1 - from] };
    if rng.one_in(10) {
        tag = rng.pick(&[0, sides.tags[from], 7, tag.wrapping_add(1)]);
    }
    let flags = u8::from(matches!(kind, 6 | 14) && rng.one_in(3));
    if flags == 1 && !rng.one_in(4) {
        tag = sides.tags[from];
    }
    if kind == 1 && rng.one_in(6) {
        sides.tags[from] = sides.tags[from].wrapping_add(0x100);
    }
    let mut chunks = Vec::new();
    let init_tag = matches!(kind, 1 | 2).then_some(sides.tags[from]);
    chunks.push((kind, flags, init_tag));
    if rng.one_in(5) {
        let second = rng.pick(&[0, 3, 4, 5, 6, 7, 10, 11]);
        chunks.push((second, flags, None));
    }
    Body::Sctp {
        tag,
        chunks,
        length: None,
        sum,
    }
}
