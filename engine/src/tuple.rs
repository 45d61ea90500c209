//! What identifies a connection: addresses, protocol and the protocol's own part.
//!
//! A connection has two tuples, the original one and the reply one. Without address translation
//! the reply tuple is the inverse of the original: source and destination exchanged, and for ICMP
//! the request type replaced by its answer. Equality is on the whole tuple; there are no wildcards.
//!
//! The protocol's part is two 16-bit numbers (RFC 9293 ports, RFC 792 identifier and type/code,
//! RFC 2637 call ids), so that every protocol is keyed, hashed and inverted by the same code.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP protocol number, or the last IPv6 next header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP, RFC 792.
    pub const ICMP: Protocol = Protocol(1);
    /// TCP, RFC 9293.
    pub const TCP: Protocol = Protocol(6);
    /// UDP, RFC 768.
    pub const UDP: Protocol = Protocol(17);
    /// DCCP, RFC 4340: named, not tracked as such.
    pub const DCCP: Protocol = Protocol(33);
    /// GRE, RFC 2784 and 2637.
    pub const GRE: Protocol = Protocol(47);
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: Protocol = Protocol(58);
    /// SCTP, RFC 9260.
    pub const SCTP: Protocol = Protocol(132);
    /// UDP-Lite, RFC 3828.
    pub const UDPLITE: Protocol = Protocol(136);

    /// The name that listings use; `unknown` for a protocol without a tracker of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::ICMP => "icmp",
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::GRE => "gre",
            Protocol::ICMPV6 => "icmpv6",
            Protocol::SCTP => "sctp",
            Protocol::UDPLITE => "udplite",
            _ => "unknown",
        }
    }

    /// Whether the protocol's part is a pair of ports.
    pub const fn has_ports(self) -> bool {
        matches!(
            self,
            Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::UDPLITE
        )
    }

    /// Whether the protocol's part is an ICMP type, code and identifier.
    pub const fn is_icmp(self) -> bool {
        matches!(self, Protocol::ICMP | Protocol::ICMPV6)
    }
}

/// Which side sent a packet, seen from the connection that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// The direction of the packet that opened the connection.
    Original = 0,
    /// The other one.
    Reply = 1,
}

impl Direction {
    /// The opposite direction.
    #[must_use]
    pub const fn other(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }

    /// 0 for original, 1 for reply: an index into arrays of two.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `orig` or `reply`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Original => "orig",
            Direction::Reply => "reply",
        }
    }
}

/// Source and destination address of one packet. Numbers are in host order, so that comparing
/// them compares the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Addresses {
    V4 { src: u32, dst: u32 },
    V6 { src: u128, dst: u128 },
}

impl Addresses {
    pub(crate) const fn source(self) -> IpAddr {
        match self {
            Addresses::V4 { src, .. } => IpAddr::V4(Ipv4Addr::from_bits(src)),
            Addresses::V6 { src, .. } => IpAddr::V6(Ipv6Addr::from_bits(src)),
        }
    }

    pub(crate) const fn exchanged(self) -> Addresses {
        match self {
            Addresses::V4 { src, dst } => Addresses::V4 { src: dst, dst: src },
            Addresses::V6 { src, dst } => Addresses::V6 { src: dst, dst: src },
        }
    }
}

/// One direction of a connection.
///
/// `src_part` and `dst_part` hold what the protocol adds to the addresses: ports for TCP, UDP,
/// UDP-Lite and SCTP; for ICMP and ICMPv6 the identifier in `src_part` and type × 256 + code in
/// `dst_part`; for GRE the keys; 0 for everything else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family as `src`.
    pub dst: IpAddr,
    /// Protocol number.
    pub protocol: Protocol,
    /// Source port, GRE source key or ICMP identifier.
    pub src_part: u16,
    /// Destination port, GRE destination key or ICMP type and code.
    pub dst_part: u16,
}

impl Tuple {
    /// Whether the addresses are IPv6.
    pub const fn is_ipv6(&self) -> bool {
        matches!(self.src, IpAddr::V6(_))
    }

    /// ICMP type; meaningful for ICMP and ICMPv6 only.
    pub const fn icmp_type(&self) -> u8 {
        (self.dst_part >> 8) as u8
    }

    /// ICMP code; meaningful for ICMP and ICMPv6 only.
    pub const fn icmp_code(&self) -> u8 {
        self.dst_part as u8
    }

    /// The tuple of the answers to this one: `None` for an ICMP type that has no answer.
    pub fn inverse(&self) -> Option<Tuple> {
        let (src_part, dst_part) = invert_parts(self.protocol, self.src_part, self.dst_part)?;
        Some(Tuple {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            src_part,
            dst_part,
        })
    }

    pub(crate) fn from_parts(addresses: Addresses, protocol: Protocol, parts: (u16, u16)) -> Tuple {
        let (src, dst) = match addresses {
            Addresses::V4 { src, dst } => (
                IpAddr::V4(Ipv4Addr::from_bits(src)),
                IpAddr::V4(Ipv4Addr::from_bits(dst)),
            ),
            Addresses::V6 { src, dst } => (
                IpAddr::V6(Ipv6Addr::from_bits(src)),
                IpAddr::V6(Ipv6Addr::from_bits(dst)),
            ),
        };
        Tuple {
            src,
            dst,
            protocol,
            src_part: parts.0,
            dst_part: parts.1,
        }
    }

    /// `None` if the two addresses are of different families.
    pub(crate) fn addresses(&self) -> Option<Addresses> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Addresses::V4 {
                src: src.to_bits(),
                dst: dst.to_bits(),
            }),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some(Addresses::V6 {
                src: src.to_bits(),
                dst: dst.to_bits(),
            }),
            _ => None,
        }
    }
}

/// The protocol's part of the inverse tuple. ICMP keeps identifier and code and maps the type;
/// the others exchange source and destination.
pub(crate) const fn invert_parts(protocol: Protocol, src: u16, dst: u16) -> Option<(u16, u16)> {
    let answer = match protocol {
        Protocol::ICMP => icmp_counterpart((dst >> 8) as u8),
        Protocol::ICMPV6 => icmpv6_counterpart((dst >> 8) as u8),
        _ => return Some((dst, src)),
    };
    match answer {
        Some(kind) => Some((src, (kind as u16) << 8 | dst & 0xff)),
        None => None,
    }
}

/// The ICMP type that answers `kind`, or that `kind` answers.
pub(crate) const fn icmp_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The ICMPv6 type that answers `kind`, or that `kind` answers (RFC 4443, 4620).
pub(crate) const fn icmpv6_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129,
        129 => 128,
        139 => 140,
        140 => 139,
        _ => return None,
    })
}

/// Whether an ICMP or ICMPv6 type that has a counterpart is the asking one.
pub(crate) const fn icmp_is_request(protocol: Protocol, kind: u8) -> bool {
    match protocol {
        Protocol::ICMP => matches!(kind, 8 | 13 | 15 | 17),
        _ => matches!(kind, 128 | 139),
    }
}

/// A conntrack zone: a number that keeps equal tuples apart, and the directions to which it
/// applies. A direction outside the zone counts as zone 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Zone {
    /// 0 is the default zone.
    pub id: u16,
    /// Which tuples carry the number.
    pub applies: ZoneDirections,
}

/// The directions that a zone applies to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum ZoneDirections {
    /// Both directions: the usual case.
    #[default]
    Both,
    /// The original direction only.
    Original,
    /// The reply direction only.
    Reply,
}

impl Zone {
    /// Zone `id` for both directions.
    pub const fn both(id: u16) -> Zone {
        Zone {
            id,
            applies: ZoneDirections::Both,
        }
    }

    /// The number that `direction` counts under.
    pub const fn id_of(self, direction: Direction) -> u16 {
        match (self.applies, direction) {
            (ZoneDirections::Both, _)
            | (ZoneDirections::Original, Direction::Original)
            | (ZoneDirections::Reply, Direction::Reply) => self.id,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(protocol: Protocol, src_part: u16, dst_part: u16) -> Tuple {
        let addresses = Addresses::V4 { src: 1, dst: 2 };
        Tuple::from_parts(addresses, protocol, (src_part, dst_part))
    }

    #[test]
    fn ports_are_exchanged() {
        let inverse = tuple(Protocol::TCP, 40000, 80).inverse().unwrap();
        assert_eq!((inverse.src_part, inverse.dst_part), (80, 40000));
        assert_eq!(inverse.inverse().unwrap(), tuple(Protocol::TCP, 40000, 80));
    }

    #[test]
    fn an_echo_is_answered_by_an_echo_reply_of_the_same_code_and_identifier() {
        let inverse = tuple(Protocol::ICMP, 77, 8 << 8 | 3).inverse().unwrap();
        assert_eq!(
            (inverse.src_part, inverse.icmp_type(), inverse.icmp_code()),
            (77, 0, 3)
        );
    }

    #[test]
    fn a_type_without_answer_has_no_inverse() {
        assert_eq!(tuple(Protocol::ICMP, 0, 3 << 8).inverse(), None);
        assert_eq!(tuple(Protocol::ICMPV6, 0, 135 << 8).inverse(), None);
    }

    #[test]
    fn a_zone_of_one_direction_leaves_the_other_in_zone_0() {
        let zone = Zone {
            id: 6,
            applies: ZoneDirections::Original,
        };
        assert_eq!(zone.id_of(Direction::Original), 6);
        assert_eq!(zone.id_of(Direction::Reply), 0);
    }
}
