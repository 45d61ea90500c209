//! A part of a tuple: what a filter compares, or what somebody gave of one.

use core::net::IpAddr;

use crate::tuple::{Protocol, Tuple};

/// As much of a tuple as is given. ICMP's type and code stand apart, since either may be given alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TupleParts {
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Protocol number.
    pub protocol: Option<u8>,
    /// Source port, GRE source key or ICMP identifier.
    pub src_part: Option<u16>,
    /// Destination port or GRE destination key.
    pub dst_part: Option<u16>,
    /// ICMP type.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
    /// The zone that the tuple counts under.
    pub zone: Option<u16>,
}

impl TupleParts {
    /// The parts of a whole tuple, without a zone.
    pub fn of(tuple: &Tuple) -> TupleParts {
        let is_icmp = tuple.protocol.is_icmp();
        TupleParts {
            src: Some(tuple.src),
            dst: Some(tuple.dst),
            protocol: Some(tuple.protocol.0),
            src_part: Some(tuple.src_part),
            dst_part: (!is_icmp).then_some(tuple.dst_part),
            icmp_type: is_icmp.then(|| tuple.icmp_type()),
            icmp_code: is_icmp.then(|| tuple.icmp_code()),
            zone: None,
        }
    }

    /// The whole tuple, if its addresses, of one family, and its protocol are there. Missing numbers of the
    /// protocol are 0.
    pub fn whole(&self) -> Option<Tuple> {
        let (src, dst) = (self.src?, self.dst?);
        if src.is_ipv4() != dst.is_ipv4() {
            return None;
        }
        let protocol = Protocol(self.protocol?);
        let icmp = [self.icmp_type.unwrap_or(0), self.icmp_code.unwrap_or(0)];
        Some(Tuple {
            src,
            dst,
            protocol,
            src_part: self.src_part.unwrap_or(0),
            dst_part: match protocol.is_icmp() {
                true => u16::from_be_bytes(icmp),
                false => self.dst_part.unwrap_or(0),
            },
        })
    }

    /// Whether all parts that are given are those of `tuple`, which counts under `zone`.
    pub fn matches(&self, tuple: &Tuple, zone: u16) -> bool {
        let of_icmp = |part: u8| tuple.protocol.is_icmp().then_some(part);
        let of_ports = (!tuple.protocol.is_icmp()).then_some(tuple.dst_part);
        is_given(self.src, Some(tuple.src))
            && is_given(self.dst, Some(tuple.dst))
            && is_given(self.protocol, Some(tuple.protocol.0))
            && is_given(self.src_part, Some(tuple.src_part))
            && is_given(self.dst_part, of_ports)
            && is_given(self.icmp_type, of_icmp(tuple.icmp_type()))
            && is_given(self.icmp_code, of_icmp(tuple.icmp_code()))
            && is_given(self.zone, Some(zone))
    }
}

/// Whether `part`, if there is one, is `own`.
fn is_given<T: PartialEq>(part: Option<T>, own: Option<T>) -> bool {
    part.is_none() || part == own
}
