//! One thing that asks for a place in the table, as the analysis sees it: an entry, or packets that were
//! refused and so left none. Both have a sender, a target, ports and a history, and an attack is
//! recognised by how those are distributed, whichever of the two it left.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::{Connection, Protocol, ProtocolState, State, Status, TcpState, Tuple};

/// An address, of which a listing may have hidden parts: `xxx.xxx.1.2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Host {
    /// The address; hidden parts are 0.
    pub ip: IpAddr,
    /// Bit n: the n-th part from the left is hidden (bytes of IPv4, groups of IPv6).
    pub hidden: u8,
}

impl Host {
    /// How many bits from the left are not hidden.
    pub fn visible_bits(self) -> u8 {
        let parts = self.hidden.trailing_zeros() as u8;
        match self.ip {
            IpAddr::V4(_) => 8 * parts.min(4),
            IpAddr::V6(_) => 16 * parts.min(8),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Host {
        Host { ip, hidden: 0 }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hidden == 0 {
            return self.ip.fmt(f);
        }
        let is_hidden = |part: usize| self.hidden >> part & 1 != 0;
        let (parts, separator) = match self.ip {
            IpAddr::V4(ip) => (ip.octets().map(|part| part.to_string()).to_vec(), "."),
            IpAddr::V6(ip) => (ip.segments().map(|part| format!("{part:x}")).to_vec(), ":"),
        };
        for (n, part) in parts.iter().enumerate() {
            let separator = if n == 0 { "" } else { separator };
            let part = if is_hidden(n) { "xxx" } else { part };
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

/// How a flow came to be known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Origin {
    /// It is, or was, an entry of the table.
    #[default]
    Entry,
    /// It was an entry until a RST answered its first packet: a closed port.
    ResetAtOnce,
    /// Only SYN/ACKs that nobody asked for.
    StraySynAck,
    /// TCP packets of no connection, with ACK but without SYN.
    StrayAck,
    /// Only RSTs of no connection.
    StrayReset,
    /// TCP packets with flags that no connection uses.
    StrayFlags,
    /// ICMP that opens nothing and answers nothing.
    StrayIcmp,
    /// Fragments of datagrams that never became whole.
    Fragments,
    /// Asked for by ARP.
    Arp,
    /// Refused for another reason, a wrong checksum for instance.
    Other,
}

impl Origin {
    /// All, by number.
    pub const ALL: [Origin; 10] = [
        Origin::Entry,
        Origin::ResetAtOnce,
        Origin::StraySynAck,
        Origin::StrayAck,
        Origin::StrayReset,
        Origin::StrayFlags,
        Origin::StrayIcmp,
        Origin::Fragments,
        Origin::Arp,
        Origin::Other,
    ];

    /// Whether it is or was in the table.
    pub const fn is_entry(self) -> bool {
        matches!(self, Origin::Entry | Origin::ResetAtOnce)
    }
}

/// An entry, or packets of one tuple that were refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flow {
    /// Who sent the first packet.
    pub src: Host,
    /// To whom.
    pub dst: Host,
    /// The protocol's number.
    pub protocol: Protocol,
    /// Source port, or what takes its place ([`Tuple::src_part`]).
    pub sport: u16,
    /// Destination port, or what takes its place ([`Tuple::dst_part`]).
    pub dport: u16,
    /// The state of TCP and SCTP.
    pub state: Option<ProtocolState>,
    /// Whether there was an answer.
    pub replied: bool,
    /// Whether early drop must leave it alone.
    pub assured: bool,
    /// Whether its source address is translated, so that it comes from inside.
    pub source_translated: bool,
    /// Seconds to expiry.
    pub timeout: Option<u64>,
    /// Packets of the original and the reply direction, with accounting.
    pub packets: Option<[u64; 2]>,
    /// Bytes of both directions.
    pub bytes: Option<[u64; 2]>,
    /// Seconds since it began.
    pub age: Option<u64>,
    /// How it is known.
    pub origin: Origin,
}

impl Flow {
    /// A flow of which no more is known than who talks to whom, unanswered.
    pub fn new(src: Host, dst: Host, protocol: Protocol, sport: u16, dport: u16) -> Flow {
        Flow {
            src,
            dst,
            protocol,
            sport,
            dport,
            state: None,
            replied: false,
            assured: false,
            source_translated: false,
            timeout: None,
            packets: None,
            bytes: None,
            age: None,
            origin: Origin::Entry,
        }
    }

    /// Packets of one tuple.
    pub fn of_tuple(tuple: &Tuple) -> Flow {
        let Tuple {
            src,
            dst,
            protocol,
            src_part,
            dst_part,
        } = *tuple;
        Flow::new(src.into(), dst.into(), protocol, src_part, dst_part)
    }

    /// Whether it is a TCP connection whose handshake is not complete, or was refused.
    pub fn is_half_open(&self) -> bool {
        is_half_open(self.origin, self.state, self.replied, self.packets)
    }
}

/// A connection that was reset is among them if no more was said than SYN, SYN/ACK and RST.
pub(crate) fn is_half_open(
    origin: Origin,
    state: Option<ProtocolState>,
    replied: bool,
    packets: Option<[u64; 2]>,
) -> bool {
    let Some(ProtocolState::Tcp(state)) = state else {
        return false;
    };
    match state {
        TcpState::SynSent | TcpState::SynRecv | TcpState::SynSent2 => true,
        TcpState::Close => {
            let was_short = packets.is_some_and(|[out, back]| out <= 2 && back <= 1);
            !replied || origin == Origin::ResetAtOnce || was_short
        }
        _ => false,
    }
}

impl From<&Connection> for Flow {
    fn from(connection: &Connection) -> Flow {
        let counters = connection.counters;
        Flow {
            state: match connection.state {
                State::Tcp { state, .. } => Some(ProtocolState::Tcp(state)),
                State::Sctp { state, .. } => Some(ProtocolState::Sctp(state)),
                State::Stateless | State::Gre { .. } => None,
            },
            replied: connection.is_replied(),
            assured: connection.is_assured(),
            source_translated: connection.status.has(Status::SRC_NAT)
                || connection.reply.dst != connection.original.src,
            timeout: connection.timeout,
            packets: counters.map(|both| both.map(|one| one.packets)),
            bytes: counters.map(|both| both.map(|one| one.bytes)),
            age: connection.delta_time,
            ..Flow::of_tuple(&connection.original)
        }
    }
}

/// What an address is good for, as far as its number tells (IANA's special-purpose registries).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Of a network behind a router: RFC 1918, 6598, 4193, link-local, loopback.
    Private,
    /// To many: multicast and broadcast.
    Group,
    /// No host has it: reserved, or no source address.
    Impossible,
    /// Anybody on the Internet.
    Public,
}

/// The scope of an address.
pub fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => scope_v6(ip),
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    let [a, b, _, d] = ip.octets();
    match (a, b) {
        (224..=239, _) => Scope::Group,
        (255, 255) if d == 255 => Scope::Group,
        (0 | 240..=255, _) => Scope::Impossible,
        (100, 64..=127) => Scope::Private,
        _ if ip.is_private() || ip.is_link_local() || ip.is_loopback() => Scope::Private,
        _ => Scope::Public,
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    match ip.segments()[0] {
        0xff00..=0xffff => Scope::Group,
        0xfc00..=0xfdff | 0xfe80..=0xfebf => Scope::Private,
        _ if ip.is_loopback() => Scope::Private,
        _ if ip.is_unspecified() => Scope::Impossible,
        _ => Scope::Public,
    }
}
