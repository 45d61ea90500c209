//! Flows, packed and bounded: what rankings and classification look at.
//!
//! *Exact is cheap.* A row is 32 bytes (IPv6: 32 more). Sorting a column of a million of them takes some
//! tens of milliseconds and gives exact counts, distinct counts and entropy at once, which is less than
//! sketches cost and has no error. So there are no sketches.
//!
//! *Bounded.* Beyond [`MOST`] rows, each further flow takes the place of a random one with the
//! probability that keeps the rows a uniform sample (Vitter's algorithm R, 1985). Shares are then
//! estimates, within a tenth of a percent; distinct counts are those of the sample.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::{Protocol, ProtocolState, SctpState, TcpState};

use crate::flow::{Flow, Host, Origin, is_half_open};

/// Rows that are kept, at most: 32 MiB of IPv4, 64 MiB of IPv6.
pub const MOST: usize = 1 << 20;

const REPLIED: u8 = 1;
const ASSURED: u8 = 1 << 1;
const TRANSLATED: u8 = 1 << 2;
const V6: u8 = 1 << 3;
const UNKNOWN: u32 = u32::MAX;

/// A packed [`Flow`]. Numbers beyond 32 bits are cut off; sums are kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// IPv4 addresses; for IPv6, `src` is the place of both in the list of those.
    src: u32,
    dst: u32,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    timeout: u32,
    /// Of the original direction.
    packets: u32,
    bytes: [u32; 2],
    pub(crate) protocol: Protocol,
    state: u8,
    flags: u8,
    /// The origin's number; above it, packets of the reply direction, [`MANY`] at most.
    origin: u8,
}

/// Bits that an origin takes.
const ORIGIN_BITS: u8 = 4;
const _: () = assert!(Origin::ALL.len() <= 1 << ORIGIN_BITS);

/// Packets of the reply direction that are told apart: whether there were any, and few, is all that
/// is asked.
const MANY: u32 = 15;

const _: () = assert!(size_of::<Row>() == 32);

/// Many flows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: Vec<Row>,
    /// Addresses of IPv6 rows, source and destination.
    v6: Vec<[u128; 2]>,
    /// Places in `v6` that are free again.
    free: Vec<u32>,
    /// What is hidden of source and destination, for listings that hide something; else empty.
    hidden: Vec<[u8; 2]>,
    seen: u64,
    random: u64,
}

impl Rows {
    /// Takes a flow in.
    pub fn push(&mut self, flow: &Flow) {
        self.seen += 1;
        let row = self.pack(flow);
        let hidden = [flow.src.hidden, flow.dst.hidden];
        if !self.hidden.is_empty() || hidden != [0, 0] {
            self.hidden.resize(self.rows.len(), [0, 0]);
        }
        if self.rows.len() < MOST {
            if !self.hidden.is_empty() || hidden != [0, 0] {
                self.hidden.push(hidden);
            }
            self.rows.push(row);
            return;
        }
        let place = (self.next_random() % self.seen) as usize;
        if place >= MOST {
            self.release(&row);
            return;
        }
        let old = std::mem::replace(&mut self.rows[place], row);
        self.release(&old);
        if hidden != [0, 0] || !self.hidden.is_empty() {
            self.hidden.resize(self.rows.len(), [0, 0]);
            self.hidden[place] = hidden;
        }
    }

    /// splitmix64: the sample need not be secret, and the same flows give the same one.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn release(&mut self, row: &Row) {
        if row.flags & V6 != 0 {
            self.free.push(row.src);
        }
    }

    fn pack(&mut self, flow: &Flow) -> Row {
        let (src, dst, family) = match (flow.src.ip, flow.dst.ip) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => (src.to_bits(), dst.to_bits(), 0),
            (src, dst) => (self.place_v6([bits(src), bits(dst)]), 0, V6),
        };
        let replies = flow.packets.map_or(0, |[_, reply]| cut(reply).min(MANY));
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Row {
            src,
            dst,
            sport: flow.sport,
            dport: flow.dport,
            timeout: flow.timeout.map_or(UNKNOWN, cut),
            packets: flow.packets.map_or(UNKNOWN, |[original, _]| cut(original)),
            bytes: flow.bytes.map_or([UNKNOWN; 2], |both| both.map(cut)),
            protocol: flow.protocol,
            state: state_number(flow.state),
            flags: flag(flow.replied, REPLIED)
                | flag(flow.assured, ASSURED)
                | flag(flow.source_translated, TRANSLATED)
                | family,
            origin: flow.origin as u8 | (replies as u8) << ORIGIN_BITS,
        }
    }

    fn place_v6(&mut self, pair: [u128; 2]) -> u32 {
        if let Some(place) = self.free.pop() {
            self.v6[place as usize] = pair;
            return place;
        }
        self.v6.push(pair);
        self.v6.len() as u32 - 1
    }

    /// Flows that were taken in, those included that are not kept.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Flows that are kept.
    pub fn kept(&self) -> usize {
        self.rows.len()
    }

    /// Whether every flow is kept.
    pub fn is_exact(&self) -> bool {
        self.seen == self.rows.len() as u64
    }

    /// Whether addresses are hidden in part.
    pub fn hides_addresses(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// How many flows each kept one stands for.
    pub(crate) fn weight(&self) -> f64 {
        self.seen as f64 / self.rows.len().max(1) as f64
    }

    pub(crate) fn view(&self, place: usize) -> Option<View<'_>> {
        let row = self.rows.get(place)?;
        Some(View {
            rows: self,
            row,
            place,
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = View<'_>> + Clone {
        let rows = self.rows.iter().enumerate();
        rows.map(|(place, row)| View {
            rows: self,
            row,
            place,
        })
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Cut to 32 bits, and never [`UNKNOWN`].
fn cut(number: u64) -> u32 {
    number.min(u64::from(UNKNOWN - 1)) as u32
}

fn state_number(state: Option<ProtocolState>) -> u8 {
    match state {
        None => 0,
        Some(ProtocolState::Tcp(state)) => 1 + state as u8,
        Some(ProtocolState::Sctp(state)) => 32 + state as u8,
    }
}

/// Which end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Who sent the first packet.
    Source,
    /// To whom.
    Destination,
}

/// A row with what belongs to it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    rows: &'a Rows,
    row: &'a Row,
    place: usize,
}

impl std::ops::Deref for View<'_> {
    type Target = Row;

    fn deref(&self) -> &Row {
        self.row
    }
}

impl View<'_> {
    pub(crate) fn host(&self, side: Side) -> Host {
        Host {
            ip: self.ip(side),
            hidden: self.hidden(side),
        }
    }

    pub(crate) fn ip(&self, side: Side) -> IpAddr {
        if self.is_v6() {
            let pair = self.rows.v6.get(self.src as usize);
            let pair = pair.copied().unwrap_or([0, 0]);
            return IpAddr::V6(Ipv6Addr::from_bits(pair[side as usize]));
        }
        IpAddr::V4(Ipv4Addr::from_bits(match side {
            Side::Source => self.src,
            Side::Destination => self.dst,
        }))
    }

    fn hidden(&self, side: Side) -> u8 {
        let hidden = self.rows.hidden.get(self.place).copied().unwrap_or([0, 0]);
        hidden[side as usize]
    }

    /// A number for an address: another for another address (IPv6: all but certainly). Below 2^40 for
    /// IPv4.
    #[inline]
    pub(crate) fn key(&self, side: Side) -> u64 {
        let bits = match side {
            Side::Source => self.src,
            Side::Destination => self.dst,
        };
        match self.is_v6() || !self.rows.hidden.is_empty() {
            true => self.long_key(side),
            false => u64::from(bits),
        }
    }

    /// [`key`](View::key) of an address that is not just 32 bits.
    #[cold]
    fn long_key(&self, side: Side) -> u64 {
        match self.host(side) {
            Host {
                ip: IpAddr::V4(ip),
                hidden,
            } => u64::from(ip.to_bits()) | u64::from(hidden) << 32,
            host => hash(&host) | 1 << 63,
        }
    }

    /// A number for both addresses.
    #[inline]
    pub(crate) fn pair_key(&self) -> u64 {
        if !self.is_v6() && self.rows.hidden.is_empty() {
            return u64::from(self.src) << 32 | u64::from(self.dst);
        }
        hash(&(self.key(Side::Source), self.key(Side::Destination)))
    }

    /// A number for a destination and its port.
    pub(crate) fn service_key(&self) -> u64 {
        with_port(self.key(Side::Destination), self.dport)
    }

    /// A number for a source, the protocol and the destination port.
    pub(crate) fn source_port_key(&self) -> u64 {
        let key = with_port(self.key(Side::Source), self.dport);
        key ^ u64::from(self.protocol.0) << 56
    }

    /// A number for a source, a destination and its port.
    pub(crate) fn call_key(&self) -> u64 {
        let (source, service) = (self.key(Side::Source), self.service_key());
        // Multiplication by an odd number loses nothing, so only 80 bits in 64 may clash.
        source.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ service
    }
}

/// 16 bits more; exact for keys of IPv4.
fn with_port(key: u64, port: u16) -> u64 {
    match key >> 40 {
        0 => key | u64::from(port) << 40,
        _ => key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(port),
    }
}

/// The keys of [`DefaultHasher`] are fixed, so that the same listing gives the same report.
pub(crate) fn hash(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

impl Row {
    pub(crate) const fn is_v6(&self) -> bool {
        self.flags & V6 != 0
    }

    pub(crate) const fn replied(&self) -> bool {
        self.flags & REPLIED != 0
    }

    pub(crate) const fn assured(&self) -> bool {
        self.flags & ASSURED != 0
    }

    pub(crate) const fn source_translated(&self) -> bool {
        self.flags & TRANSLATED != 0
    }

    pub(crate) fn origin(&self) -> Origin {
        let number = usize::from(self.origin & ((1 << ORIGIN_BITS) - 1));
        Origin::ALL.get(number).copied().unwrap_or(Origin::Other)
    }

    pub(crate) fn timeout(&self) -> Option<u32> {
        (self.timeout != UNKNOWN).then_some(self.timeout)
    }

    /// Packets of both directions; [`MANY`] or more in reply are [`MANY`].
    pub(crate) fn packets(&self) -> Option<[u32; 2]> {
        let replies = u32::from(self.origin >> ORIGIN_BITS);
        (self.packets != UNKNOWN).then_some([self.packets, replies])
    }

    pub(crate) fn bytes(&self) -> Option<[u32; 2]> {
        (self.bytes[0] != UNKNOWN).then_some(self.bytes)
    }

    pub(crate) fn state(&self) -> Option<ProtocolState> {
        let tcp = |n: u8| TcpState::ALL.get(usize::from(n)).copied();
        let sctp = |n: u8| SctpState::ALL.get(usize::from(n)).copied();
        match self.state {
            0 => None,
            n @ 1..32 => tcp(n - 1).map(ProtocolState::Tcp),
            n => sctp(n - 32).map(ProtocolState::Sctp),
        }
    }

    pub(crate) fn tcp(&self) -> Option<TcpState> {
        match self.state() {
            Some(ProtocolState::Tcp(state)) => Some(state),
            _ => None,
        }
    }

    pub(crate) fn is_half_open(&self) -> bool {
        is_half_open(
            self.origin(),
            self.state(),
            self.replied(),
            self.packets().map(|both| both.map(u64::from)),
        )
    }
}
