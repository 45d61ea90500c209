//! UDP (RFC 768) and UDP-Lite (RFC 3828) headers: eight bytes each.

use super::{Missing, Segment};

/// The third and fourth field of the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// UDP: length of the datagram. UDP-Lite: checksum coverage.
    pub(crate) length: u16,
    pub(crate) checksum: u16,
}

impl Header {
    #[inline(always)]
    pub(crate) fn parse(segment: Segment<'_>) -> Result<Header, Missing> {
        let bytes: [u8; 8] = segment.array(0)?;
        Ok(Header {
            length: u16::from_be_bytes([bytes[4], bytes[5]]),
            checksum: u16::from_be_bytes([bytes[6], bytes[7]]),
        })
    }
}
