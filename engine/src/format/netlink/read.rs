//! Bytes in: messages in a buffer, attributes in a message. Everything is borrowed; nothing is believed.
//!
//! A message is length, type, flags, sequence, port in the machine's own order of bytes; behind that,
//! for all but netlink's own, family, version and a big-endian resource number, then attributes. An
//! attribute is length, type, payload. Both are padded to four bytes.

use core::fmt;

use super::names::control;

/// Bytes of a message's header.
pub const HEADER: usize = 16;
/// Bytes of netfilter's header behind it.
pub(super) const FAMILY_HEADER: usize = 4;
/// Bytes of an attribute's header.
pub(super) const ATTRIBUTE: usize = 4;

/// The longest message that is read or written: enough for any entry, and a bound for what a peer can make
/// the other side keep.
pub const LONGEST: usize = 1 << 16;

/// Bytes that are no message, or not the one that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Malformed {
    /// A length below that of the header, or above [`LONGEST`].
    Length(u32),
    /// The message ends before its length says so.
    CutShort,
    /// An attribute that must be there is not, or is too short to mean anything.
    Attribute(u16),
    /// A type that is not known here.
    Kind(u16),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Length(len) => write!(f, "a netlink message of {len} bytes"),
            Malformed::CutShort => write!(f, "a netlink message that is cut short"),
            Malformed::Attribute(number) => {
                write!(f, "netlink attribute {number} is missing or bad")
            }
            Malformed::Kind(kind) => write!(f, "an unknown netlink message type {kind:#06x}"),
        }
    }
}

impl core::error::Error for Malformed {}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `nlmsg_type`, see [`kind`](super::names::kind) and [`control`].
    pub kind: u16,
    /// `nlmsg_flags`, see [`flag`](super::names::flag).
    pub flags: u16,
    /// The number of the request.
    pub sequence: u32,
    /// Whose request it was; 0 is the kernel's own doing.
    pub port: u32,
    /// What follows the header, without padding.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of a stream, and the bytes that it takes with its padding; `None` if more bytes
    /// have to come first.
    ///
    /// # Errors
    ///
    /// The length is impossible: the stream cannot be read any further.
    pub fn first(bytes: &'a [u8]) -> Result<Option<(Message<'a>, usize)>, Malformed> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [
            l0,
            l1,
            l2,
            l3,
            k0,
            k1,
            f0,
            f1,
            s0,
            s1,
            s2,
            s3,
            p0,
            p1,
            p2,
            p3,
        ] = *header;
        let told = u32::from_ne_bytes([l0, l1, l2, l3]);
        let len = told as usize;
        if !(HEADER..=LONGEST).contains(&len) {
            return Err(Malformed::Length(told));
        }
        let padded = len.next_multiple_of(4);
        let Some(body) = bytes.get(HEADER..len) else {
            return Ok(None);
        };
        let message = Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            body,
        };
        Ok(Some((message, padded)))
    }

    /// Whether the message is netlink's own: an acknowledgement, an error, the end.
    pub const fn is_control(&self) -> bool {
        self.kind < control::MIN_TYPE
    }

    /// Whether all bits of `flag` are set.
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag == flag
    }

    /// Address family, version and resource number of netfilter's header; zeros if it is not there.
    pub fn family_header(&self) -> (u8, u8, u16) {
        match self.body.first_chunk::<FAMILY_HEADER>() {
            Some([family, version, a, b]) => (*family, *version, u16::from_be_bytes([*a, *b])),
            None => (0, 0, 0),
        }
    }

    /// The attributes behind netfilter's header.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes(self.body.get(FAMILY_HEADER..).unwrap_or_default())
    }
}

/// The messages of a datagram, in order; the last one may end without padding.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// The messages in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Messages<'a> {
        Messages(bytes)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Result<Message<'a>, Malformed>> {
        if self.0.is_empty() {
            return None;
        }
        let first = Message::first(self.0).and_then(|first| first.ok_or(Malformed::CutShort));
        self.0 = match first {
            Ok((_, used)) => self.0.get(used..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(first.map(|(message, _)| message))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Its number, without the bits that say how to read it.
    pub number: u16,
    /// What it holds, without padding.
    pub value: &'a [u8],
}

/// The attributes of a message or of a nest, up to the first that is malformed.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Attribute<'a>> {
        /// Above it are the bits "nested" and "big-endian".
        const NUMBER: u16 = 0x3fff;
        let [a, b, c, d] = *self.0.first_chunk::<ATTRIBUTE>()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let value = self.0.get(ATTRIBUTE..len)?;
        self.0 = self.0.get((len + 3) & !3..).unwrap_or_default();
        Some(Attribute {
            number: u16::from_ne_bytes([c, d]) & NUMBER,
            value,
        })
    }
}

impl<'a> Attribute<'a> {
    /// The attributes of a nest.
    pub const fn nest(&self) -> Attributes<'a> {
        Attributes(self.value)
    }

    /// A byte.
    pub const fn u8(&self) -> Option<u8> {
        match self.value {
            [value, ..] => Some(*value),
            [] => None,
        }
    }

    /// A big-endian number of two bytes.
    #[inline(always)]
    pub fn u16(&self) -> Option<u16> {
        self.value.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// A big-endian number of four bytes.
    #[inline(always)]
    pub fn u32(&self) -> Option<u32> {
        self.value.first_chunk().copied().map(u32::from_be_bytes)
    }

    /// A big-endian number of eight bytes.
    #[inline(always)]
    pub fn u64(&self) -> Option<u64> {
        self.value.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// Text up to its first NUL; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|byte| *byte == 0);
        let text = self.value.get(..end.unwrap_or(self.value.len()))?;
        core::str::from_utf8(text).ok()
    }
}
