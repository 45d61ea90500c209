//! Packets and trackers for the tests of the interface: numbered flows, each packet whole and right.
//! Not a test itself.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::{
    Begin, Config, Connection, Conntrack, Event, EventKind, Handle, Knob, LinkType, Packet,
    Protocol, Time, Tuple, Unconfirmed, Verdict, Zone,
};

/// When the tests begin.
pub(crate) const START: Time = Time::from_secs(1_000_000);

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// Seconds after [`START`].
pub(crate) const fn at(secs: i64) -> Time {
    START.plus_secs(secs)
}

/// Milliseconds after [`START`].
pub(crate) const fn at_ms(millis: u64) -> Time {
    Time::from_nanos(START.as_nanos() + millis * 1_000_000)
}

/// The two ends of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) src: (IpAddr, u16),
    pub(crate) dst: (IpAddr, u16),
}

/// The flow of that number, from one of many clients to one server, over IPv4.
pub(crate) fn flow(number: u32) -> Flow {
    Flow {
        src: (Ipv4Addr::from_bits(0x0a00_0000 + number).into(), 40_000),
        dst: (Ipv4Addr::new(192, 0, 2, 1).into(), 53),
    }
}

/// The same over IPv6.
pub(crate) fn flow6(number: u32) -> Flow {
    let net = 0xfd00_u128 << 112;
    Flow {
        src: (Ipv6Addr::from_bits(net + u128::from(number)).into(), 40_000),
        dst: (Ipv6Addr::from_bits(net + (1 << 64)).into(), 53),
    }
}

impl Flow {
    /// Between these two.
    pub(crate) fn between(src: (IpAddr, u16), dst: (IpAddr, u16)) -> Flow {
        Flow { src, dst }
    }

    /// The way back.
    pub(crate) fn back(self) -> Flow {
        Flow {
            src: self.dst,
            dst: self.src,
        }
    }

    /// How a table names it.
    pub(crate) fn tuple(self, protocol: Protocol) -> Tuple {
        Tuple {
            src: self.src.0,
            dst: self.dst.0,
            protocol,
            src_part: self.src.1,
            dst_part: self.dst.1,
        }
    }

    pub(crate) fn ports(self) -> Vec<u8> {
        [self.src.1.to_be_bytes(), self.dst.1.to_be_bytes()].concat()
    }

    /// A datagram of `len` bytes of payload: 28 more over IPv4, 48 over IPv6.
    pub(crate) fn udp(self, len: u16) -> Vec<u8> {
        let mut bytes = self.ports();
        bytes.extend((8 + len).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.resize(8 + usize::from(len), b'x');
        self.sum_into(&mut bytes, 17, 6);
        self.ip(17, &bytes)
    }

    /// A segment without data.
    pub(crate) fn tcp(self, flags: u8, seq: u32, ack: u32) -> Vec<u8> {
        let mut bytes = self.ports();
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
        self.sum_into(&mut bytes, 6, 16);
        self.ip(6, &bytes)
    }

    /// An ICMP or ICMPv6 message, by the family; ports do not come into it.
    pub(crate) fn icmp(self, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, code, 0, 0];
        bytes.extend(rest);
        if self.src.0.is_ipv6() {
            self.sum_into(&mut bytes, 58, 2);
            return self.ip(58, &bytes);
        }
        let sum = internet_sum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(1, &bytes)
    }

    /// Puts the checksum of a payload, pseudo-header included, to its place.
    pub(crate) fn sum_into(self, bytes: &mut [u8], protocol: u8, place: usize) {
        let mut summed = [octets(self.src.0), octets(self.dst.0)].concat();
        summed.extend((bytes.len() as u32).to_be_bytes());
        summed.extend([0, 0, 0, protocol]);
        summed.extend(&*bytes);
        bytes[place..place + 2].copy_from_slice(&internet_sum(&summed).to_be_bytes());
    }

    /// The IP packet that carries a payload.
    pub(crate) fn ip(self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u16;
        let addresses = [octets(self.src.0), octets(self.dst.0)].concat();
        let mut bytes;
        if self.src.0.is_ipv4() {
            bytes = vec![0x45, 0];
            bytes.extend((20 + len).to_be_bytes());
            bytes.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            bytes.extend(addresses);
            let sum = internet_sum(&bytes);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            bytes = vec![0x60, 0, 0, 0];
            bytes.extend(len.to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(addresses);
        }
        bytes.extend(payload);
        bytes
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 1071.
pub(crate) fn internet_sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(pair[0]) << 8 | u64::from(low)
    });
    let mut sum: u64 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A tracker with these knobs turned.
pub(crate) fn tracker(knobs: &[(Knob, i64)]) -> Conntrack {
    seeded(1, knobs)
}

/// A tracker under that seed, with these knobs turned.
pub(crate) fn seeded(seed: u128, knobs: &[(Knob, i64)]) -> Conntrack {
    let mut config = Config::default();
    for (knob, value) in knobs {
        config.set(*knob, *value).unwrap();
    }
    Conntrack::new(config, seed)
}

/// A tracker with these knobs turned, whose events are kept.
pub(crate) fn listener(knobs: &[(Knob, i64)]) -> Conntrack {
    let mut conntrack = tracker(knobs);
    conntrack.set_event_capacity(1_000_000);
    conntrack
}

/// Tracks an IP packet.
pub(crate) fn send(conntrack: &mut Conntrack, bytes: &[u8], now: Time) -> Verdict {
    conntrack.track(&Packet::parse(LinkType::Raw, bytes).unwrap(), now)
}

/// The first phase, for a packet that opens a connection.
pub(crate) fn propose(conntrack: &mut Conntrack, bytes: &[u8], now: Time) -> Unconfirmed {
    let packet = Packet::parse(LinkType::Raw, bytes).unwrap();
    match conntrack.begin(Zone::default(), &packet, now) {
        Begin::New(unconfirmed) => unconfirmed,
        Begin::Done(verdict) => panic!("{verdict:?} instead of a new connection"),
    }
}

/// One datagram of a flow that nobody answers.
pub(crate) fn ask(conntrack: &mut Conntrack, flow: Flow, now: Time) -> Handle {
    let verdict = send(conntrack, &flow.udp(1), now);
    verdict
        .connection
        .unwrap_or_else(|| panic!("{flow:?}: {verdict:?}"))
}

/// A datagram and its answer: replied, not ASSURED.
pub(crate) fn converse(conntrack: &mut Conntrack, flow: Flow, now: Time) -> Handle {
    ask(conntrack, flow, now);
    ask(conntrack, flow.back(), now)
}

/// A TCP handshake, after which the connection is ASSURED.
pub(crate) fn connect(conntrack: &mut Conntrack, flow: Flow, now: Time) -> Handle {
    send(conntrack, &flow.tcp(SYN, 1000, 0), now);
    send(conntrack, &flow.back().tcp(SYN | ACK, 5000, 1001), now);
    let verdict = send(conntrack, &flow.tcp(ACK, 1001, 5001), now);
    verdict
        .connection
        .unwrap_or_else(|| panic!("{flow:?}: {verdict:?}"))
}

/// Whether the table has the flow's connection, looked for by its first tuple.
pub(crate) fn has(conntrack: &Conntrack, flow: Flow, protocol: Protocol) -> bool {
    let found = conntrack.find(&flow.tuple(protocol), Zone::default());
    found.is_some()
}

pub(crate) fn list(conntrack: &Conntrack) -> Vec<Connection> {
    conntrack.connections().collect()
}

/// The events that were not read yet.
pub(crate) fn events(conntrack: &mut Conntrack) -> Vec<Event> {
    std::iter::from_fn(|| conntrack.poll_event()).collect()
}

/// What they tell, without the entries.
pub(crate) fn kinds(conntrack: &mut Conntrack) -> Vec<EventKind> {
    let events = events(conntrack);
    events.into_iter().map(|event| event.kind).collect()
}
