//! TCP: each side keeps a rough idea of where it is, most segments continue what was begun, and one number
//! or flag in a few is bent to something near an edge.

use crate::craft::Tcp;
use crate::rng::Rng;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// Where one side of a TCP connection believes to be.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpSide {
    start: u32,
    next: u32,
    /// The next number expected of the other side, as far as this one saw it.
    seen: u32,
    window: u16,
    scale: Option<u8>,
    sack_ok: bool,
    has_sent: bool,
}

pub(super) fn side(rng: &mut Rng) -> TcpSide {
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

/// What usually comes next, by what each side has done.
pub(super) fn tcp(rng: &mut Rng, sides: &mut [TcpSide; 2], from: usize) -> Tcp {
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
