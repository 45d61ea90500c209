//! Hosts that talk, so that what a random script makes them say is mostly what hosts would say: each
//! side of a TCP connection knows what it sent, what it acknowledged and what it allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::Time;
use proptest::prelude::*;
use proptest::sample::select;

use crate::frame::{self, Frame, Segment, Twist};
use crate::support::{ACK, FIN, Flow, RST, START, SYN};

/// Of every kind of flow there are four: two clients with two ports each.
const RANKS: u8 = 4;
const SECOND: u64 = 1_000_000_000;

/// What a flow speaks. In the order of the addresses, its client is first or second: both matter,
/// since the table sorts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    Tcp,
    TcpTurned,
    Tcp6,
    /// Both ends are the same.
    TcpMirrored,
    Udp,
    UdpTurned,
    Udp6,
    UdpMirrored,
    UdpLite,
    Icmp,
    Icmp6,
    Sctp,
    Gre,
    Other,
}

const KINDS: [Kind; 14] = [
    Kind::Tcp,
    Kind::TcpTurned,
    Kind::Tcp6,
    Kind::TcpMirrored,
    Kind::Udp,
    Kind::UdpTurned,
    Kind::Udp6,
    Kind::UdpMirrored,
    Kind::UdpLite,
    Kind::Icmp,
    Kind::Icmp6,
    Kind::Sctp,
    Kind::Gre,
    Kind::Other,
];

/// What a host does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Sends that many bytes; TCP opens the connection first if it must, and may set PSH.
    Data(u16),
    /// Acknowledges what there is.
    Ack,
    /// Says the same again.
    Repeat,
    Syn,
    SynAck,
    Fin,
    /// A RST that far from the sequence number that is expected.
    Reset(i8),
    /// A segment at the right (or left) edge of the window, and that far beyond it.
    AtEdge {
        is_left: bool,
        by: i8,
        len: u16,
    },
    /// An ACK that far from what was sent, or from the oldest that is believed.
    AckAtEdge {
        is_left: bool,
        by: i8,
    },
    /// An ACK with a SACK block that ends that far above it.
    Sack(u16),
    /// Offers another window.
    Window(u16),
    /// Any flags.
    Flags(u8),
    /// An ICMP error about the last packet from the other side.
    Complain(u8),
}

/// How the clock goes on before a packet.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Forward(u64),
    /// The packet is late: its time lies before the clock's.
    Back(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    kind: Kind,
    rank: u8,
    /// Who sends: 0 is the client.
    side: usize,
    act: Act,
    twist: Twist,
    wait: Wait,
}

fn act() -> impl Strategy<Value = Act> {
    let by = || prop_oneof![-2..=2_i8, any::<i8>()];
    prop_oneof![
        24 => select(&[0_u16, 1, 8, 100, 1000][..]).prop_map(Act::Data),
        12 => Just(Act::Ack),
        6 => Just(Act::Repeat),
        2 => Just(Act::Syn),
        2 => Just(Act::SynAck),
        2 => Just(Act::Fin),
        2 => by().prop_map(Act::Reset),
        3 => (any::<bool>(), by(), 0..3_u16)
            .prop_map(|(is_left, by, len)| Act::AtEdge { is_left, by, len }),
        3 => (any::<bool>(), by()).prop_map(|(is_left, by)| Act::AckAtEdge { is_left, by }),
        2 => (0..2000_u16).prop_map(Act::Sack),
        2 => select(&[0_u16, 1, 100, 0xffff][..]).prop_map(Act::Window),
        1 => any::<u8>().prop_map(Act::Flags),
        2 => any::<u8>().prop_map(Act::Complain),
    ]
}

fn twist() -> impl Strategy<Value = Twist> {
    let pieces = (
        any::<u8>(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.9),
        any::<bool>(),
    );
    prop_oneof![
        120 => Just(Twist::Nothing),
        3 => Just(Twist::WrongSum),
        2 => Just(Twist::WrongHeaderSum),
        4 => Just(Twist::NoSum),
        4 => any::<u8>().prop_map(Twist::Cut),
        1 => any::<u8>().prop_map(Twist::Short),
        3 => (0..20_u8).prop_map(Twist::Padded),
        3 => Just(Twist::Vlan),
        3 => Just(Twist::Raw),
        2 => Just(Twist::Cooked),
        3 => Just(Twist::Options),
        6 => Just(Twist::NothingFollows),
        4 => pieces.prop_map(|(at, first, second, reversed)| Twist::Pieces { at, first, second, reversed }),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(place, mask)| Twist::Changed(place, mask)),
        1 => any::<u8>().prop_map(|mask| Twist::Changed(0, mask)),
        1 => Just(Twist::NotIp),
    ]
}

fn wait() -> impl Strategy<Value = Wait> {
    let corners = [2, 3, 5, 10, 30, 60, 120, 300, 432_000].map(|secs| secs * SECOND);
    let corner = (select(corners.to_vec()), 0..3_u64).prop_map(|(nanos, by)| nanos + by - 1);
    prop_oneof![
        60 => Just(Wait::Forward(0)),
        20 => (0..SECOND / 10).prop_map(Wait::Forward),
        4 => (0..3 * SECOND).prop_map(Wait::Forward),
        3 => corner.prop_map(Wait::Forward),
        2 => (1..3 * SECOND).prop_map(Wait::Back),
    ]
}

/// Questions and answers of a few UDP flows, which in a very small table take each other's places.
pub(crate) fn crowded_step() -> impl Strategy<Value = Step> {
    // Now and then all of them run out, or nearly.
    let wait = prop_oneof![40 => Just(0), 2 => Just(30 * SECOND), 1 => Just(30 * SECOND - 1)];
    (0..RANKS, 0..2_usize, 0..3_u16, wait).prop_map(|(rank, side, len, wait)| Step {
        kind: Kind::Udp,
        rank,
        side,
        act: Act::Data(len),
        twist: Twist::Nothing,
        wait: Wait::Forward(wait),
    })
}

/// One act. Few flows act often, so that they get far.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        8 => select(&KINDS[..3]),
        6 => select(&KINDS[4..8]),
        3 => select(&KINDS[..]),
    ];
    let rank = prop_oneof![3 => Just(0), 2 => 0..RANKS];
    (kind, rank, 0..2_usize, act(), twist(), wait()).prop_map(
        |(kind, rank, side, act, twist, wait)| Step {
            kind,
            rank,
            side,
            act,
            twist,
            wait,
        },
    )
}

/// One end of a TCP connection.
#[derive(Clone, Copy)]
struct Host {
    /// The next sequence number that it sends.
    next: u32,
    /// The highest that it acknowledged.
    acked: u32,
    window: u16,
}

#[derive(Clone)]
struct Talk {
    hosts: [Host; 2],
    is_open: bool,
    /// The last packet of each side.
    last: [Option<Vec<u8>>; 2],
}

/// All hosts and the clock.
pub(crate) struct Talks {
    talks: Vec<Talk>,
    clock: Time,
}

impl Talks {
    pub(crate) fn new() -> Talks {
        let host = |next| Host {
            next,
            acked: 0,
            window: 8000,
        };
        let talk = |number: u32| Talk {
            // Some wrap soon.
            hosts: [host(0_u32.wrapping_sub(number * 50)), host(7000)],
            is_open: false,
            last: [None, None],
        };
        let number_of_talks = KINDS.len() as u32 * u32::from(RANKS);
        Talks {
            talks: (0..number_of_talks).map(talk).collect(),
            clock: START,
        }
    }

    pub(crate) fn clock(&self) -> Time {
        self.clock
    }

    /// The frames that come of a step.
    pub(crate) fn play(&mut self, step: &Step) -> Vec<Frame> {
        let time = match step.wait {
            Wait::Forward(nanos) => {
                self.clock = Time::from_nanos(self.clock.as_nanos() + nanos);
                self.clock
            }
            Wait::Back(nanos) => Time::from_nanos(self.clock.as_nanos() - nanos),
        };
        let talk = &mut self.talks[usize::from(step.kind as u8 * RANKS + step.rank)];
        let packets = talk.act(step);
        if let Some(last) = packets.last() {
            talk.last[step.side] = Some(last.clone());
        }
        let (last, before) = packets
            .split_last()
            .map_or((None, &[][..]), |(l, b)| (Some(l), b));
        let mut frames: Vec<Frame> = Vec::new();
        for packet in before {
            frames.extend(frame::frames(packet, Twist::Nothing, time));
        }
        if let Some(last) = last {
            frames.extend(frame::frames(last, step.twist, time));
        }
        frames
    }
}

/// The flow that a step is about, from the client to the server.
fn flow(kind: Kind, rank: u8) -> Flow {
    let (host, port) = (rank / 2, 40_000 + u16::from(rank % 2));
    let v4 = |a: u8, d: u8| IpAddr::from(Ipv4Addr::new(a, 0, 2, d));
    let v6 = |d: u16| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, d));
    match kind {
        Kind::Tcp6 | Kind::Udp6 | Kind::Icmp6 => {
            Flow::between((v6(u16::from(host) * 8 + 1), port), (v6(4), 80))
        }
        Kind::TcpMirrored | Kind::UdpMirrored => {
            Flow::between((v4(10, host), port), (v4(10, host), port))
        }
        Kind::TcpTurned | Kind::UdpTurned => Flow::between((v4(192, host), port), (v4(10, 1), 80)),
        _ => Flow::between((v4(10, host), port), (v4(192, 1), 80)),
    }
}

impl Talk {
    fn act(&mut self, step: &Step) -> Vec<Vec<u8>> {
        let there = flow(step.kind, step.rank);
        let flow = [there, there.back()][step.side];
        let is_v6 = matches!(step.kind, Kind::Tcp6 | Kind::Udp6 | Kind::Icmp6);
        match (step.act, step.kind) {
            (Act::Complain(kind), _) => self.complain(step.side, flow, is_v6, kind),
            (Act::Repeat, _) => self.last[step.side].clone().into_iter().collect(),
            (_, Kind::Tcp | Kind::TcpTurned | Kind::Tcp6 | Kind::TcpMirrored) => {
                self.act_tcp(step, there)
            }
            (act, Kind::Udp | Kind::UdpTurned | Kind::Udp6 | Kind::UdpMirrored) => {
                vec![flow.udp(size(act))]
            }
            (act, Kind::UdpLite) => vec![frame::udp_lite(flow, size(act))],
            (act, Kind::Icmp | Kind::Icmp6) => vec![echo(flow, is_v6, step.side, act)],
            (act, Kind::Sctp) => vec![frame::sctp(flow, tag(step.side, act), chunk(act), 5)],
            (act, Kind::Gre) => vec![flow.ip(47, &gre(act))],
            (act, Kind::Other) => vec![flow.ip(253, &vec![0; usize::from(size(act))])],
        }
    }

    /// About the last packet that came from the other side, to the host that sent it.
    fn complain(&self, side: usize, flow: Flow, is_v6: bool, kind: u8) -> Vec<Vec<u8>> {
        let Some(about) = &self.last[1 - side] else {
            return Vec::new();
        };
        let mut rest = vec![0; 4];
        rest.extend(about.iter().take(60));
        let kind = match is_v6 {
            true => [kind % 5, 0],
            false => [[3, 11, 12, 5][usize::from(kind % 4)], kind >> 6],
        };
        vec![frame::icmp(flow, is_v6, kind, &rest)]
    }

    fn act_tcp(&mut self, step: &Step, there: Flow) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let uses = |option: bool, rank| option && rank % 2 == 0;
        let (scales, stamps) = (uses(true, step.rank), step.rank < 2);
        let mut say = |talk: &mut Talk, side: usize, act| {
            let segment = talk.segment(side, act, scales, stamps);
            packets.push(segment.over([there, there.back()][side]));
        };
        if !self.is_open && matches!(step.act, Act::Data(_)) {
            self.is_open = true;
            for (side, act) in [(0, Act::Syn), (1, Act::SynAck), (0, Act::Ack)] {
                say(self, side, act);
            }
        }
        say(self, step.side, step.act);
        packets
    }

    /// The segment, after which its sender has sent it.
    fn segment(&mut self, side: usize, act: Act, scales: bool, stamps: bool) -> Segment {
        let (own, peer) = (self.hosts[side], self.hosts[1 - side]);
        let scale = if scales { 3 } else { 0 };
        let allowed = u32::from(peer.window) << scale;
        let mut segment = Segment {
            seq: own.next,
            ack: peer.next,
            flags: ACK,
            window: own.window,
            options: if stamps { stamp() } else { Vec::new() },
            len: 0,
        };
        match act {
            Act::Data(len) => {
                segment.len = len;
                segment.flags |= len as u8 & 8;
            }
            Act::Syn => {
                (segment.flags, segment.ack) = (SYN, 0);
                segment.options.extend(syn_options(scales));
            }
            Act::SynAck => {
                segment.flags |= SYN;
                segment.options.extend(syn_options(scales));
            }
            Act::Fin => segment.flags |= FIN,
            Act::Reset(by) => {
                segment.flags = RST | (by as u8 & ACK);
                segment.seq = near(own.next, by);
            }
            Act::AtEdge { is_left, by, len } => {
                let edge = match is_left {
                    true => own.next.wrapping_sub(allowed),
                    false => peer.acked.wrapping_add(allowed),
                };
                (segment.seq, segment.len) = (near(edge, by), len);
            }
            Act::AckAtEdge { is_left, by } => {
                let edge = if is_left { 66_000 } else { 0 };
                segment.ack = near(peer.next.wrapping_sub(edge), by);
            }
            Act::Sack(above) => segment.options.extend(sack(peer.next, above)),
            Act::Window(window) => {
                self.hosts[side].window = window;
                segment.window = window;
            }
            Act::Flags(flags) => segment.flags = flags,
            Act::Ack | Act::Repeat | Act::Complain(_) => {}
        }
        self.note(side, act, &segment);
        segment
    }

    fn note(&mut self, side: usize, act: Act, segment: &Segment) {
        let is_said = matches!(
            act,
            Act::Data(_) | Act::Ack | Act::Syn | Act::SynAck | Act::Fin | Act::Window(_)
        );
        if is_said {
            let flags = [SYN, FIN].map(|flag| u32::from(segment.flags & flag != 0));
            let more = u32::from(segment.len) + flags[0] + flags[1];
            self.hosts[side].next = segment.seq.wrapping_add(more);
            self.hosts[side].acked = segment.ack;
        }
        if matches!(act, Act::Fin | Act::Reset(_)) {
            self.is_open = false;
        }
    }
}

fn near(number: u32, by: i8) -> u32 {
    number.wrapping_add_signed(i32::from(by))
}

/// As most segments have it.
fn stamp() -> Vec<u8> {
    vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
}

fn syn_options(scales: bool) -> Vec<u8> {
    match scales {
        true => vec![3, 3, 3, 1, 4, 2, 1, 1],
        false => vec![2, 4, 5, 0xb4],
    }
}

fn sack(ack: u32, above: u16) -> Vec<u8> {
    let right = ack.wrapping_add(u32::from(above));
    let mut option = vec![1, 1, 5, 10];
    option.extend(right.wrapping_sub(1).to_be_bytes());
    option.extend(right.to_be_bytes());
    option
}

fn size(act: Act) -> u16 {
    match act {
        Act::Data(len) | Act::Window(len) => len % 1001,
        _ => 3,
    }
}

fn echo(flow: Flow, is_v6: bool, side: usize, act: Act) -> Vec<u8> {
    let kind = match is_v6 {
        true => [128, 129][side],
        false => [8, 0][side],
    };
    // Neighbour discovery is not tracked.
    let kind = if is_v6 && matches!(act, Act::Syn) {
        135
    } else {
        kind
    };
    frame::icmp(flow, is_v6, [kind, 0], &[0, 7, 0, 1, 0, 0, 0, 0])
}

fn chunk(act: Act) -> u8 {
    match act {
        Act::Syn | Act::Data(_) => 1,
        Act::SynAck | Act::Ack => 2,
        Act::Fin => 7,
        Act::Reset(_) => 6,
        Act::AtEdge { len, .. } => [10, 11, 0][usize::from(len % 3)],
        Act::Flags(kind) => kind % 16,
        _ => 4,
    }
}

/// An INIT has no tag to show.
fn tag(side: usize, act: Act) -> u32 {
    match (chunk(act), side) {
        (1, _) => 0,
        _ => 5,
    }
}

fn gre(act: Act) -> Vec<u8> {
    match act {
        Act::Data(call) => vec![0x30, 1, 0x88, 0x0b, 0, 0, 0, call as u8],
        _ => vec![0; 8],
    }
}
