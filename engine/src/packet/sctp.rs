//! SCTP packets: the common header and the chunks behind it (RFC 9260, section 3).

use super::{Missing, Segment};

/// Chunk types that connection tracking looks at.
pub(crate) mod chunk {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
}

const HEADER_LEN: usize = 12;
/// An INIT or INIT_ACK without parameters.
const INIT_LEN: usize = 20;

/// The common header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Verification tag.
    pub(crate) tag: u32,
}

/// One chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) length: u16,
    /// The initiate tag, where an INIT or INIT_ACK would have it.
    pub(crate) init_tag: Option<u32>,
}

impl Chunk {
    /// The T bit of ABORT and SHUTDOWN_COMPLETE: the tag is the peer's.
    pub(crate) const fn has_peers_tag(&self) -> bool {
        self.flags & 1 != 0
    }
}

impl Header {
    pub(crate) fn parse(segment: Segment<'_>) -> Result<Header, Missing> {
        let bytes: [u8; HEADER_LEN] = segment.array(0)?;
        Ok(Header {
            tag: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
    }
}

/// The chunks of a packet. A chunk of length 0 would never end: it is given once, and is the last.
pub(crate) struct Chunks<'a> {
    rest: Segment<'a>,
}

impl<'a> Chunks<'a> {
    pub(crate) fn of(segment: Segment<'a>) -> Chunks<'a> {
        Chunks {
            rest: segment.skip(HEADER_LEN),
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let [kind, flags, high, low] = self.rest.array(0).ok()?;
        let length = u16::from_be_bytes([high, low]);
        let has_init = self.rest.len >= INIT_LEN;
        let init_tag = self
            .rest
            .array(4)
            .ok()
            .filter(|_| has_init)
            .map(u32::from_be_bytes);
        let padded = usize::from(length).next_multiple_of(4);
        let step = if length == 0 { self.rest.len } else { padded };
        self.rest = self.rest.skip(step);
        Some(Chunk {
            kind,
            flags,
            length,
            init_tag,
        })
    }
}
