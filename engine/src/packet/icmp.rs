//! ICMP (RFC 792) and ICMPv6 (RFC 4443) headers, and the packet that an error quotes.

use super::{Missing, Segment};

/// Length of the header before the quoted packet.
pub(crate) const HEADER_LEN: usize = 8;

/// Type and code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) code: u8,
}

impl Header {
    pub(crate) fn parse(segment: Segment<'_>) -> Result<Header, Missing> {
        let [kind, code, ..] = segment.array::<HEADER_LEN>(0)?;
        Ok(Header { kind, code })
    }

    /// Whether an ICMP type reports an error about another packet.
    pub(crate) const fn is_v4_error(&self) -> bool {
        matches!(self.kind, 3 | 4 | 5 | 11 | 12)
    }

    /// Whether an ICMPv6 type reports an error about another packet.
    pub(crate) const fn is_v6_error(&self) -> bool {
        self.kind < 128
    }

    /// Multicast listener, neighbour and router discovery: one-way traffic of the link, never
    /// tracked. Redirects are not among them.
    pub(crate) const fn is_v6_untracked(&self) -> bool {
        matches!(self.kind, 130..=136 | 143 | 151 | 152)
    }
}
