//! Which tracker a packet is for, and that several hold together what one would.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::{
    Action, Arrival, Class, Connection, Conntrack, Dispatch, Knob, Limit, LinkType, Packet,
    Protocol, Reason, Tuple, Verdict, Zone, ZoneDirections,
};
use proptest::prelude::*;
use proptest::sample::Index;
use support::*;

const GRE: u8 = 47;
const ESP: u8 = 50;
const SCTP: u8 = 132;

fn v4(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, number >> 4, number).into()
}

fn v6(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, number.into(), 0, 0, 0, 0, 0, 7).into()
}

/// A packet between two hosts, of a kind that the engine knows of, with small numbers in it so that
/// packets meet.
#[derive(Clone, Debug)]
enum Kind {
    Udp(u16),
    Tcp(u8, u32, u32),
    Echo { answers: bool, id: u16 },
    Sctp(u8),
    Gre(u16),
    Esp,
}

fn kind() -> impl Strategy<Value = Kind> {
    let flags = prop::sample::select(vec![SYN, SYN | ACK, ACK, FIN | ACK, RST]);
    prop_oneof![
        4 => (0..90_u16).prop_map(Kind::Udp),
        5 => (flags, 0..3_u32, 0..3_u32).prop_map(|(flags, seq, ack)| Kind::Tcp(flags, seq, ack)),
        3 => (any::<bool>(), 0..2_u16).prop_map(|(answers, id)| Kind::Echo { answers, id }),
        1 => (1..15_u8).prop_map(Kind::Sctp),
        1 => (0..2_u16).prop_map(Kind::Gre),
        1 => Just(Kind::Esp),
    ]
}

impl Kind {
    fn write(&self, flow: Flow) -> Vec<u8> {
        match *self {
            Kind::Udp(len) => flow.udp(len),
            Kind::Tcp(flags, seq, ack) => flow.tcp(flags, seq, ack),
            Kind::Echo { answers, id } => {
                let [ask, answer] = if flow.src.0.is_ipv4() {
                    [8, 0]
                } else {
                    [128, 129]
                };
                let kind = if answers { answer } else { ask };
                flow.icmp(kind, 0, &[0, id as u8, 0, 1, b'p', b'i', b'n', b'g'])
            }
            Kind::Sctp(chunk) => {
                let mut bytes = [flow.src.1.to_be_bytes(), flow.dst.1.to_be_bytes()].concat();
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, chunk, 0, 0, 20]);
                bytes.resize(32, 1);
                flow.ip(SCTP, &bytes)
            }
            Kind::Gre(call) => {
                let mut bytes = vec![0x30, 0x01, 0x88, 0x0b, 0, 0];
                bytes.extend(call.to_be_bytes());
                bytes.extend([0; 8]);
                flow.ip(GRE, &bytes)
            }
            Kind::Esp => flow.ip(ESP, &[1; 24]),
        }
    }
}

fn flows() -> impl Strategy<Value = Flow> {
    (any::<bool>(), 0..6_u8, 0..6_u8, 0..2_u16, 0..2_u16).prop_map(|(wide, a, b, from, to)| {
        let host = if wide { v6 } else { v4 };
        Flow {
            src: (host(a), 1000 + from),
            dst: (host(b), 1000 + to),
        }
    })
}

/// An error from `router` about a packet of `flow`, which it quotes the beginning of.
fn error(router: IpAddr, flow: Flow, quoted: &[u8], len: usize) -> Vec<u8> {
    let way = Flow {
        src: (router, 0),
        dst: flow.src,
    };
    let mut rest = vec![0; 4];
    rest.extend(&quoted[..len.min(quoted.len())]);
    way.icmp(if router.is_ipv4() { 3 } else { 1 }, 1, &rest)
}

/// A redirect (RFC 4861, 4.5) about a packet of `flow`, over IPv6.
fn redirect(flow: Flow, quoted: &[u8]) -> Vec<u8> {
    let way = Flow {
        src: ("fe80::1".parse().unwrap(), 0),
        dst: flow.src,
    };
    let mut rest = vec![0; 4 + 32];
    let len = 8 + quoted.len().next_multiple_of(8);
    rest.extend([4, (len / 8) as u8, 0, 0, 0, 0, 0, 0]);
    rest.extend(quoted);
    rest.resize(36 + len, 0);
    let mut bytes = way.icmp(137, 0, &rest);
    bytes[7] = 255;
    bytes
}

/// A packet in two fragments, the second of which begins `cut` × 8 bytes into its payload; or whole, if
/// it is too short for that.
fn fragments(packet: &[u8], cut: usize, id: u8) -> Vec<Vec<u8>> {
    let is_v4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if is_v4 { 20 } else { 40 });
    let cut = cut * 8;
    if cut == 0 || cut >= payload.len() {
        return vec![packet.to_vec()];
    }
    let piece = |at: usize, more: bool, payload: &[u8]| {
        let mut bytes = header.to_vec();
        let word = ((at as u16 / 8) << if is_v4 { 0 } else { 3 }).to_be_bytes();
        if is_v4 {
            bytes[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
            bytes[5] = id;
            bytes[6..8].copy_from_slice(&word);
            bytes[6] |= u8::from(more) << 5;
            bytes[10..12].fill(0);
            let sum = internet_sum(&bytes);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            bytes[4..6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
            bytes[6] = 44;
            bytes.extend([header[6], 0, word[0], word[1] | u8::from(more), 0, 0, 0, id]);
        }
        bytes.extend(payload);
        bytes
    };
    vec![
        piece(0, true, &payload[..cut]),
        piece(cut, false, &payload[cut..]),
    ]
}

fn shard_of(dispatch: &Dispatch, bytes: &[u8]) -> usize {
    dispatch.shard_of(&Packet::parse(LinkType::Raw, bytes).unwrap())
}

proptest! {
    #[test]
    fn all_that_two_hosts_have_with_each_other_is_one_shards(
        seed: u128, shards in 1..40_usize, flow in flows(), router in 0..200_u8,
        kinds in prop::collection::vec((kind(), 0..9_usize, 0..200_usize), 1..12),
    ) {
        let dispatch = Dispatch::new(seed, shards);
        let router = if flow.src.0.is_ipv4() { v4(router) } else { v6(router) };
        let ours = shard_of(&dispatch, &flow.udp(0));
        let tuple = Tuple {
            src: flow.src.0,
            dst: flow.dst.0,
            protocol: Protocol::UDP,
            src_part: 1,
            dst_part: 2,
        };
        prop_assert_eq!(dispatch.shard_of_tuple(&tuple), ours);
        prop_assert_eq!(dispatch.shard_of_tuple(&tuple.inverse().unwrap()), ours);
        prop_assert!(ours < shards);
        for (kind, cut, len) in kinds {
            for flow in [flow, flow.back()] {
                let packet = kind.write(flow);
                prop_assert_eq!(shard_of(&dispatch, &packet), ours);
                for fragment in fragments(&packet, cut, 1) {
                    prop_assert_eq!(shard_of(&dispatch, &fragment), ours);
                }
                let headers = if router.is_ipv4() { 28 } else { 48 };
                let error = error(router, flow, &packet, headers + len);
                if !matches!(kind, Kind::Echo { answers: true, .. }) {
                    prop_assert_eq!(shard_of(&dispatch, &error), ours);
                    // The trackers may have been told not to mind.
                    let mut wrong = error;
                    let at = if router.is_ipv4() { 22 } else { 42 };
                    wrong[at] ^= 0x55;
                    prop_assert_eq!(shard_of(&dispatch, &wrong), ours);
                }
                if router.is_ipv6() {
                    prop_assert_eq!(shard_of(&dispatch, &redirect(flow, &packet)), ours);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_some_shards(
        seed: u128, shards in 0..9_usize, bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let dispatch = Dispatch::new(seed, shards);
        let frame = Arrival { link: LinkType::Raw, bytes: &bytes, wire_len: bytes.len(), time: START };
        prop_assert!(dispatch.shard_of_frame(&frame) < shards.max(1));
        if let Ok(packet) = Packet::parse(LinkType::Raw, &bytes) {
            prop_assert_eq!(dispatch.shard_of(&packet), dispatch.shard_of_frame(&frame));
        }
    }
}

#[test]
fn pairs_of_addresses_are_spread_evenly_and_each_seed_spreads_them_otherwise() {
    const PAIRS: u32 = 16_000;
    for flow_of in [flow, flow6] {
        let [one, two] = [1, 2].map(|seed| Dispatch::new(seed, 8));
        let (mut counts, mut same) = ([0; 8], 0);
        for number in 0..PAIRS {
            let packet = flow_of(number).udp(0);
            let shard = shard_of(&one, &packet);
            counts[shard] += 1;
            same += u32::from(shard == shard_of(&two, &packet));
        }
        // Five standard deviations of a binomial distribution are 209.
        for count in counts {
            assert!((1_790..=2_210).contains(&count), "{counts:?}");
        }
        assert!((1_790..=2_210).contains(&same), "{same}");
    }
}

/// What happens to the trackers.
#[derive(Clone, Debug)]
enum Op {
    /// Some of the fragments of a packet: the whole of it, mostly.
    Packet(Flow, Kind, usize, u8),
    /// An error about a packet: from that router, or from where the packet went.
    Error(Flow, Kind, Option<u8>, usize),
    Redirect(Flow, Kind),
    /// A packet of which that byte was changed.
    Broken(Flow, Kind, Index, u8),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let cut = prop_oneof![4 => Just(0), 1 => 1..5_usize];
    let router = prop::option::of(0..9_u8);
    prop_oneof![
        16 => (flows(), kind(), cut, any::<u8>()).prop_map(|(f, k, c, order)| Op::Packet(f, k, c, order)),
        3 => (flows(), kind(), router, 0..99_usize).prop_map(|(f, k, r, len)| Op::Error(f, k, r, len)),
        1 => (flows(), kind()).prop_map(|(f, k)| Op::Redirect(f, k)),
        1 => (flows(), kind(), any::<Index>(), any::<u8>()).prop_map(|(f, k, i, b)| Op::Broken(f, k, i, b)),
        1 => (0..40_000_u64).prop_map(Op::Wait),
    ]
}

impl Op {
    /// The packets that come of it.
    fn packets(&self) -> Vec<Vec<u8>> {
        match self {
            Op::Packet(flow, kind, cut, order) => {
                let mut pieces = fragments(&kind.write(*flow), *cut, order & 1);
                if order & 2 != 0 {
                    pieces.reverse();
                }
                if order & 12 == 12 {
                    pieces.pop();
                }
                pieces
            }
            Op::Error(flow, kind, router, len) => {
                let host = if flow.src.0.is_ipv4() { v4 } else { v6 };
                let router = router.map_or(flow.dst.0, host);
                vec![error(router, *flow, &kind.write(*flow), *len)]
            }
            Op::Redirect(flow, kind) if flow.src.0.is_ipv6() => {
                vec![redirect(*flow, &kind.write(*flow))]
            }
            Op::Broken(flow, kind, place, byte) => {
                let mut bytes = kind.write(*flow);
                let place = place.index(bytes.len());
                bytes[place] = *byte;
                vec![bytes]
            }
            Op::Redirect(..) | Op::Wait(_) => Vec::new(),
        }
    }
}

/// A verdict without the place in the table, which differs.
fn told(verdict: Verdict) -> Verdict {
    Verdict {
        connection: None,
        ..verdict
    }
}

/// Entries in an order of their own, without the places in the table.
fn sorted<'a>(trackers: impl Iterator<Item = &'a Conntrack>) -> Vec<Connection> {
    let mut entries: Vec<_> = trackers.flat_map(Conntrack::connections).collect();
    for entry in &mut entries {
        entry.id = 0;
    }
    entries.sort_by_key(|entry| (entry.original, entry.zone));
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn shards_hold_together_what_one_tracker_holds(
        seed: u128, shards in 2..6_usize, ops in prop::collection::vec((op(), 0..3_usize), 1..150),
    ) {
        // How far fragments of one sender lie apart each tracker counts by itself.
        let knobs = [(Knob::Acct, 1), (Knob::Timestamp, 1), (Knob::IpfragMaxDist, 0)];
        let mut one = seeded(seed, &knobs);
        let dispatch = Dispatch::new(seed, shards);
        let limit = Limit::new(100_000, shards);
        let mut many: Vec<_> = (0..shards)
            .map(|_| Conntrack::with_limit(one.config().clone(), seed, &limit))
            .collect();
        one.set(Knob::Max, 100_000).unwrap();
        let mut now = 0;
        for (op, zone) in &ops {
            // Of the third, only the direction of the first packet has the number.
            let applies = if *zone == 2 { ZoneDirections::Original } else { ZoneDirections::Both };
            let zone = Zone { id: *zone as u16, applies };
            now += if let Op::Wait(millis) = op { *millis } else { 1 };
            for tracker in many.iter_mut().chain([&mut one]) {
                tracker.advance(at_ms(now));
            }
            for bytes in op.packets() {
                let Ok(packet) = Packet::parse(LinkType::Raw, &bytes) else { continue };
                let expected = one.track_in(zone, &packet, at_ms(now));
                let verdict = many[dispatch.shard_of(&packet)].track_in(zone, &packet, at_ms(now));
                prop_assert_eq!(told(verdict), told(expected), "{:?}", bytes);
            }
            prop_assert_eq!(sorted(many.iter()), sorted([&one].into_iter()));
        }
        for reason in Reason::ALL {
            let sum: u64 = many.iter().map(|shard| shard.stats().reason(*reason)).sum();
            prop_assert_eq!(sum, one.stats().reason(*reason), "{:?}", reason);
        }
        let sum: u64 = many.iter().map(|shard| shard.stats().packets).sum();
        prop_assert_eq!(sum, one.stats().packets);
    }
}

/// Three shards, and the numbers of those that `flow` and errors from `router` to it belong to.
fn three_shards(flow: Flow, router: IpAddr) -> (Dispatch, usize, usize) {
    let dispatch = Dispatch::new(1, 3);
    let way = Flow {
        src: (router, 0),
        dst: flow.src,
    };
    let numbers = [flow.udp(0), way.udp(0)].map(|bytes| shard_of(&dispatch, &bytes));
    (dispatch, numbers[0], numbers[1])
}

#[test]
fn an_error_from_a_router_reaches_the_shard_of_the_connection() {
    let flow = flow(1);
    let router = (0..50).map(v4).find(|router| {
        let (_, ours, routers) = three_shards(flow, *router);
        ours != routers
    });
    let router = router.expect("a router of another shard");
    let (dispatch, ours, _) = three_shards(flow, router);
    let mut conntrack = tracker(&[]);
    ask(&mut conntrack, flow, START);
    let error = error(router, flow, &flow.udp(1), 28);
    assert_eq!(shard_of(&dispatch, &error), ours);
    assert_eq!(send(&mut conntrack, &error, START).class, Class::Related);
}

/// What the documentation of the dispatch says does not work.
#[test]
fn an_error_in_fragments_goes_by_its_own_addresses() {
    let flow = flow(1);
    for router in (0..50).map(v4) {
        let (dispatch, ours, routers) = three_shards(flow, router);
        let whole = error(router, flow, &flow.udp(90), 118);
        let pieces = fragments(&whole, 6, 1);
        assert_eq!(pieces.len(), 2);
        for piece in &pieces {
            assert_eq!(shard_of(&dispatch, piece), routers);
        }
        let mut owner = tracker(&[]);
        let mut other = tracker(&[]);
        ask(&mut owner, flow, START);
        let target = if ours == routers {
            &mut owner
        } else {
            &mut other
        };
        assert_eq!(send(target, &pieces[0], START).action, Action::Hold);
        let reason = send(target, &pieces[1], START).reason;
        let expected = (ours != routers).then_some(Reason::IcmpUnrelated);
        assert_eq!(reason, expected);
    }
}

#[test]
fn a_frame_without_a_packet_is_the_first_shards() {
    let dispatch = Dispatch::new(7, 5);
    let frame = Arrival {
        link: LinkType::Ethernet,
        bytes: &[0; 60],
        wire_len: 60,
        time: START,
    };
    assert_eq!(dispatch.shard_of_frame(&frame), 0);
}
