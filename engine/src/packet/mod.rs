//! What the bytes of a packet say, without what they mean.
//!
//! [`Packet::parse`] strips the link header, checks that the IP header is one that Linux's IP layer
//! would take, walks the IPv6 extension headers and finds the transport header. It borrows the bytes
//! and allocates nothing. Transport headers are read by the modules below when a tracker asks for
//! them, since what counts as malformed is the trackers' business.
//!
//! Two lengths are kept apart throughout: how many bytes there *are* (a capture may be cut, as by
//! `tcpdump -s 96`), and how many the packet *had*. Tracking goes by the second; the first only
//! limits what can be read and which checksums can be verified.

pub(crate) mod checksum;
mod finish;
pub(crate) mod gre;
pub(crate) mod icmp;
pub(crate) mod ip;
mod link;
mod plain;
pub(crate) mod sctp;
pub(crate) mod tcp;
pub(crate) mod udp;

pub use finish::finish_checksum;
pub(crate) use ip::Fragment;
pub use link::LinkType;
pub(crate) use plain::{Plain, PlainWide};

use core::net::IpAddr;

use crate::tuple::{Addresses, Protocol, Tuple};
use crate::verdict::Reason;

/// A run of bytes of which perhaps only the first part was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// What there is.
    pub(crate) bytes: &'a [u8],
    /// How many bytes there were on the wire; at least `bytes.len()`.
    pub(crate) len: usize,
}

/// Why bytes at a place could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// The packet never had them.
    Absent,
    /// The capture was cut before them.
    Snapped,
}

impl<'a> Segment<'a> {
    /// The `N` bytes at `offset`.
    #[inline(always)]
    pub(crate) fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], Missing> {
        let tail = self.bytes.get(offset..).unwrap_or_default();
        match tail.first_chunk::<N>() {
            Some(bytes) => Ok(*bytes),
            None if offset.saturating_add(N) > self.len => Err(Missing::Absent),
            None => Err(Missing::Snapped),
        }
    }

    /// What follows the first `offset` bytes.
    #[inline(always)]
    pub(crate) fn skip(&self, offset: usize) -> Segment<'a> {
        Segment {
            bytes: self.bytes.get(offset..).unwrap_or_default(),
            len: self.len.saturating_sub(offset),
        }
    }

    /// Whether every byte was captured.
    pub(crate) const fn is_whole(&self) -> bool {
        self.bytes.len() == self.len
    }
}

/// What the fragments of one datagram are told from others by. Datagrams may have the same name one after the
/// other, and anybody may forge one: [`Verdict::piece`](crate::Verdict) says which go together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DatagramName {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// Of IPv4; in IPv6 the identification alone counts.
    protocol: Option<Protocol>,
}

/// One IP packet, borrowed from a frame: where its parts are. What they say is read from the bytes
/// when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// From the IP header on.
    pub(crate) ip: Segment<'a>,
    /// Where the transport header begins; of a fragment, its payload.
    l4_at: u32,
    /// The transport protocol; meaningless if `unusable`.
    pub(crate) protocol: Protocol,
    is_v6: bool,
    is_fragment: bool,
    /// Why there is no transport protocol.
    pub(crate) unusable: Option<Reason>,
}

const _: () = assert!(size_of::<Packet<'_>>() <= 32);

impl<'a> Packet<'a> {
    /// No packet at all.
    pub(crate) const NOTHING: Packet<'static> = Packet {
        ip: Segment { bytes: &[], len: 0 },
        l4_at: 0,
        protocol: Protocol(0),
        is_v6: false,
        is_fragment: false,
        unusable: None,
    };

    /// Finds the IP packet in a frame that was captured whole.
    ///
    /// # Errors
    ///
    /// The reason for which there is nothing to track: no IP, or not a packet that Linux's IP layer
    /// would hand to connection tracking. [`Conntrack::skip`](crate::Conntrack::skip) counts it.
    pub fn parse(link: LinkType, frame: &'a [u8]) -> Result<Packet<'a>, Reason> {
        Packet::parse_cut(link, frame, frame.len())
    }

    /// As [`parse`](Packet::parse), for a frame of which only the first `frame.len()` of
    /// `wire_len` bytes were captured.
    ///
    /// # Errors
    ///
    /// As [`parse`](Packet::parse), and [`Reason::Snapped`] where the cut took needed headers.
    #[inline(always)]
    pub fn parse_cut(
        link: LinkType,
        frame: &'a [u8],
        wire_len: usize,
    ) -> Result<Packet<'a>, Reason> {
        let frame = Segment {
            bytes: frame,
            len: wire_len.max(frame.len()),
        };
        let datagram = link::strip(link, frame)?;
        ip::parse(datagram)
    }

    /// The IP packet's bytes, as far as they were captured.
    pub const fn bytes(&self) -> &'a [u8] {
        self.ip.bytes
    }

    /// Whether the packet was captured whole.
    pub const fn is_whole(&self) -> bool {
        self.ip.is_whole()
    }

    /// Length of the IP packet in bytes, headers included.
    pub const fn ip_len(&self) -> u32 {
        self.ip.len as u32
    }

    /// The transport protocol's number.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether this is one piece of a fragmented datagram.
    pub const fn is_fragment(&self) -> bool {
        self.is_fragment
    }

    /// What the headers say of where it comes from and goes to, whatever tracking makes of it. Of a
    /// fragment other than the first, and of a protocol that has none, both parts are 0. `None` if
    /// there is no transport protocol, or its header is not there.
    pub fn tuple(&self) -> Option<Tuple> {
        let has_header = self.fragment().is_none_or(|fragment| fragment.offset == 0);
        let parts = match (self.unusable, has_header) {
            (Some(_), _) => return None,
            (None, true) => self.parts().ok()?,
            (None, false) => (0, 0),
        };
        Some(Tuple::from_parts(self.addresses(), self.protocol, parts))
    }

    /// The flags of a TCP header, from FIN in the lowest bit to CWR in the highest. `None` if there is
    /// no such header.
    pub fn tcp_flags(&self) -> Option<u8> {
        let has_header = self.fragment().is_none_or(|fragment| fragment.offset == 0);
        let is_tcp = self.protocol == Protocol::TCP && self.unusable.is_none();
        if !(is_tcp && has_header) {
            return None;
        }
        self.l4()
            .array::<1>(tcp::FLAGS_AT)
            .ok()
            .map(|[flags]| flags)
    }

    /// What all fragments of the datagram that this is one of have in common.
    pub fn datagram(&self) -> Option<DatagramName> {
        let id = self.fragment()?.id;
        let addresses = self.addresses();
        Some(DatagramName {
            source: addresses.source(),
            destination: addresses.exchanged().source(),
            id,
            protocol: self.is_v4().then_some(self.protocol),
        })
    }

    /// Whether it is IPv4.
    pub(crate) const fn is_v4(&self) -> bool {
        !self.is_v6
    }

    /// Source and destination.
    #[inline(always)]
    pub(crate) fn addresses(&self) -> Addresses {
        ip::addresses(self.ip.bytes, self.is_v6)
    }

    /// From the transport header on; of a fragment, its payload.
    #[inline(always)]
    pub(crate) fn l4(&self) -> Segment<'a> {
        self.ip.skip(self.l4_at as usize)
    }

    /// The same, if the transport header begins within what there is.
    #[inline(always)]
    pub(crate) fn l4_usual(&self) -> Option<Segment<'a>> {
        let at = self.l4_at as usize;
        Some(Segment {
            bytes: self.ip.bytes.get(at..)?,
            len: self.ip.len.wrapping_sub(at),
        })
    }

    /// Where it belongs, if it is a fragment.
    #[inline]
    pub(crate) fn fragment(&self) -> Option<Fragment> {
        if !self.is_fragment {
            return None;
        }
        ip::fragment(self)
    }

    /// The IP header; for IPv6, nothing of use.
    pub(crate) fn ip_header(&self) -> &'a [u8] {
        let len = self.l4_at as usize;
        self.ip.bytes.get(..len).unwrap_or_default()
    }

    /// Whether the packet is addressed to `address`.
    pub(crate) fn goes_to(&self, address: IpAddr) -> bool {
        match (self.addresses(), address) {
            (Addresses::V4 { dst, .. }, IpAddr::V4(address)) => address.to_bits() == dst,
            (Addresses::V6 { dst, .. }, IpAddr::V6(address)) => address.to_bits() == dst,
            _ => false,
        }
    }

    /// The protocol's part of the tuple.
    #[inline(always)]
    pub(crate) fn parts(&self) -> Result<(u16, u16), Reason> {
        match self.protocol {
            Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP => {
                let ports = u32::from_be_bytes(self.l4().array(0).map_err(no_tuple)?);
                Ok(((ports >> 16) as u16, ports as u16))
            }
            Protocol::ICMP | Protocol::ICMPV6 => {
                let header: [u8; 8] = self.l4().array(0).map_err(no_tuple)?;
                let [kind, code, _, _, id_high, id_low, ..] = header;
                let id = u16::from_be_bytes([id_high, id_low]);
                Ok((id, u16::from_be_bytes([kind, code])))
            }
            Protocol::GRE => gre::parts(self.l4()),
            _ => Ok((0, 0)),
        }
    }
}

fn no_tuple(missing: Missing) -> Reason {
    match missing {
        Missing::Absent => Reason::NoTuple,
        Missing::Snapped => Reason::Snapped,
    }
}
