//! Tuples in attributes.
//!
//! A filter may give a part of a tuple only; so what is read is a [`TupleParts`], which may or may not be a
//! whole [`Tuple`].

use core::net::IpAddr;

use super::names::{family, tuple};
use super::read::Attributes;
use super::write::Body;
use crate::parts::TupleParts;
use crate::tuple::{Protocol, Tuple};

impl TupleParts {
    /// Reads the attributes of a tuple.
    pub(super) fn read(attributes: Attributes<'_>) -> TupleParts {
        let mut parts = TupleParts::default();
        for attribute in attributes {
            match attribute.number {
                tuple::IP => parts.read_addresses(attribute.nest()),
                tuple::PROTO => parts.read_protocol(attribute.nest()),
                tuple::ZONE => parts.zone = attribute.u16(),
                _ => {}
            }
        }
        parts
    }

    #[inline(always)]
    fn read_addresses(&mut self, attributes: Attributes<'_>) {
        for attribute in attributes {
            let v4 = || Some(IpAddr::from(*attribute.value.first_chunk::<4>()?));
            let v6 = || Some(IpAddr::from(*attribute.value.first_chunk::<16>()?));
            match attribute.number {
                1 => self.src = v4(),
                2 => self.dst = v4(),
                3 => self.src = v6(),
                4 => self.dst = v6(),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn read_protocol(&mut self, attributes: Attributes<'_>) {
        for attribute in attributes {
            match attribute.number {
                1 => self.protocol = attribute.u8(),
                2 | 4 | 7 => self.src_part = attribute.u16(),
                3 => self.dst_part = attribute.u16(),
                5 | 8 => self.icmp_type = attribute.u8(),
                6 | 9 => self.icmp_code = attribute.u8(),
                _ => {}
            }
        }
    }

    /// Puts in what there is of it.
    pub(super) fn write(&self, body: &mut Body<'_>, number: u16) {
        body.nest(number, |nest| {
            if self.src.is_some() || self.dst.is_some() {
                nest.nest(tuple::IP, |ip| {
                    self.src.inspect(|src| put_address(ip, 1, *src));
                    self.dst.inspect(|dst| put_address(ip, 2, *dst));
                });
            }
            if let Some(protocol) = self.protocol {
                nest.nest(tuple::PROTO, |proto| self.put_protocol(proto, protocol));
            }
            self.zone.inspect(|zone| nest.u16(tuple::ZONE, *zone));
        });
    }

    fn put_protocol(&self, proto: &mut Body<'_>, protocol: u8) {
        proto.u8(1, protocol);
        let [src, third, fourth] = match Protocol(protocol) {
            Protocol::ICMP => [4, 5, 6],
            Protocol::ICMPV6 => [7, 8, 9],
            _ => [2, 3, 0],
        };
        self.src_part.inspect(|part| proto.u16(src, *part));
        self.dst_part.inspect(|part| proto.u16(third, *part));
        self.icmp_type.inspect(|kind| proto.u8(third, *kind));
        self.icmp_code.inspect(|code| proto.u8(fourth, *code));
    }
}

/// `number` is that of IPv4: those of IPv6 follow.
fn put_address(ip: &mut Body<'_>, number: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => ip.raw(number, address.octets()),
        IpAddr::V6(address) => ip.raw(number + 2, address.octets()),
    }
}

/// Puts in a whole tuple, with a zone that applies to its direction only.
pub(super) fn put(body: &mut Body<'_>, number: u16, tuple: &Tuple, zone: Option<u16>) {
    let mut parts = TupleParts::of(tuple);
    parts.zone = zone;
    let protocol = tuple.protocol;
    let has_parts = protocol.has_ports() || protocol.is_icmp() || protocol == Protocol::GRE;
    if !has_parts && (tuple.src_part, tuple.dst_part) == (0, 0) {
        (parts.src_part, parts.dst_part) = (None, None);
    }
    parts.write(body, number);
}

/// The address family of a tuple.
pub(super) const fn family_of(tuple: &Tuple) -> u8 {
    match tuple.is_ipv6() {
        true => family::INET6,
        false => family::INET,
    }
}
