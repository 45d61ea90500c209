//! What ends an answer: acknowledgement, error, end of a listing.

use alloc::vec::Vec;

use super::names::{control, flag};
use super::read::{ATTRIBUTE, Attributes, HEADER, Message};
use super::write::{Head, Origin, message};
use crate::change::Refusal;
use crate::config::ConfigError;

/// Error numbers, those of Linux on most processors.
pub mod number {
    /// Not permitted.
    pub const EPERM: i32 = 1;
    /// No such thing.
    pub const ENOENT: i32 = 2;
    /// No room.
    pub const ENOMEM: i32 = 12;
    /// Something is in the way.
    pub const EBUSY: i32 = 16;
    /// It is there already.
    pub const EEXIST: i32 = 17;
    /// It makes no sense.
    pub const EINVAL: i32 = 22;
    /// Too many.
    pub const EMFILE: i32 = 24;
    /// No room for that.
    pub const ENOSPC: i32 = 28;
    /// Out of range.
    pub const ERANGE: i32 = 34;
    /// Not supported.
    pub const EOPNOTSUPP: i32 = 95;
    /// Messages were lost.
    pub const ENOBUFS: i32 = 105;
    /// Already under way.
    pub const EALREADY: i32 = 114;
}

/// The error number of a refusal. The same refusal has one number everywhere, but for a bad address in
/// a request, which Linux does not tell from one that is missing either.
pub const fn errno(refusal: Refusal) -> i32 {
    match refusal {
        Refusal::NotFound => number::ENOENT,
        Refusal::Exists => number::EEXIST,
        Refusal::Full => number::ENOMEM,
        Refusal::Invalid => number::EINVAL,
        Refusal::Busy => number::EBUSY,
        Refusal::Fixed => number::EPERM,
        Refusal::NotSupported => number::EOPNOTSUPP,
        Refusal::OutOfRange => number::ERANGE,
        Refusal::NoRoom => number::ENOSPC,
        Refusal::Already => number::EALREADY,
        Refusal::TooMany => number::EMFILE,
    }
}

/// The error number of a setting that was refused.
pub const fn config_errno(error: &ConfigError) -> i32 {
    match error {
        ConfigError::UnknownKnob { .. } => number::ENOENT,
        ConfigError::ReadOnly { .. } => number::EPERM,
        ConfigError::NotANumber { .. }
        | ConfigError::OutOfBounds { .. }
        | ConfigError::ThresholdOrder { .. } => number::EINVAL,
    }
}

/// What a message of netlink's own says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// The request is done.
    Ack,
    /// The request is refused, with that error number, greater than 0, and perhaps in words.
    Error(i32, Option<&'a str>),
    /// That was all of it. The number is 0, or that of an error that cut it short.
    Done(i32),
    /// Messages were lost.
    Overrun,
    /// Nothing.
    Noop,
}

impl<'a> Answer<'a> {
    /// What a message says, if it is netlink's own.
    pub fn read(message: &Message<'a>) -> Option<Answer<'a>> {
        let number = message.body.first_chunk().copied();
        let number = number.map_or(0, i32::from_ne_bytes).saturating_neg().max(0);
        Some(match message.kind {
            control::NOOP => Answer::Noop,
            control::ERROR if number == 0 => Answer::Ack,
            control::ERROR => Answer::Error(number, words(message)),
            control::DONE => Answer::Done(number),
            control::OVERRUN => Answer::Overrun,
            _ => return None,
        })
    }
}

/// `NLMSGERR_ATTR_MSG`.
const WORDS: u16 = 1;

/// The words of an error: behind the request that it repeats, or only that one's header.
fn words<'a>(message: &Message<'a>) -> Option<&'a str> {
    if !message.has(flag::ACK_TLVS) {
        return None;
    }
    let request = message.body.get(ATTRIBUTE..)?;
    let repeated = match message.has(flag::CAPPED) {
        true => HEADER,
        false => u32::from_ne_bytes(*request.first_chunk()?) as usize,
    };
    let attributes = request.get(repeated.checked_next_multiple_of(4)?..)?;
    let mut words = Attributes(attributes).filter(|attribute| attribute.number == WORDS);
    words.next()?.text()
}

/// Appends the acknowledgement of a request.
pub fn put_ack(out: &mut Vec<u8>, request: &Message<'_>) {
    put_outcome(out, request, 0, None);
}

/// Appends the refusal of a request, with that error number (greater than 0) and perhaps in words.
pub fn put_error(out: &mut Vec<u8>, request: &Message<'_>, errno: i32, words: Option<&str>) {
    put_outcome(out, request, errno, words);
}

/// Of the request, only the header is repeated.
fn put_outcome(out: &mut Vec<u8>, request: &Message<'_>, errno: i32, words: Option<&str>) {
    let told = if words.is_some() { flag::ACK_TLVS } else { 0 };
    let head = Head {
        kind: control::ERROR,
        flags: flag::CAPPED | told,
        origin: Origin::of(request),
    };
    message(out, head, |body| {
        let len = (HEADER + request.body.len()) as u32;
        body.0
            .extend_from_slice(&errno.saturating_neg().to_ne_bytes());
        body.0.extend_from_slice(&len.to_ne_bytes());
        body.0.extend_from_slice(&request.kind.to_ne_bytes());
        body.0.extend_from_slice(&request.flags.to_ne_bytes());
        body.0.extend_from_slice(&request.sequence.to_ne_bytes());
        body.0.extend_from_slice(&request.port.to_ne_bytes());
        if let Some(words) = words {
            body.text(WORDS, words);
        }
    });
}

/// Appends the end of an answer in several messages.
pub fn put_done(out: &mut Vec<u8>, origin: Origin) {
    let head = Head {
        kind: control::DONE,
        flags: flag::MULTI,
        origin,
    };
    message(out, head, |body| body.0.extend_from_slice(&[0; 4]));
}

/// Appends that messages were lost.
pub fn put_overrun(out: &mut Vec<u8>, origin: Origin) {
    let head = Head {
        kind: control::OVERRUN,
        flags: 0,
        origin,
    };
    message(out, head, |_| ());
}
