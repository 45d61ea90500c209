//! Bytes out: messages and attributes appended to a buffer that the caller keeps.

use alloc::vec::Vec;

use super::read::{FAMILY_HEADER, Message};

const NESTED: u16 = 0x8000;

/// Text that is longer is cut: no name in netfilter is, and no nest overflows its length then.
const LONGEST_TEXT: usize = 1024;

/// Whose request a message answers, or by whose request an event happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The number that the request had; 0 for events.
    pub sequence: u32,
    /// The port of who made it; 0 is nobody.
    pub port: u32,
}

impl Origin {
    /// Of a request.
    pub const fn of(message: &Message<'_>) -> Origin {
        Origin {
            sequence: message.sequence,
            port: message.port,
        }
    }
}

/// The head of a message to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) origin: Origin,
}

/// Appends a message whose body is what `fill` puts in.
pub(super) fn message(out: &mut Vec<u8>, head: Head, fill: impl FnOnce(&mut Body<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.kind.to_ne_bytes());
    out.extend_from_slice(&head.flags.to_ne_bytes());
    out.extend_from_slice(&head.origin.sequence.to_ne_bytes());
    out.extend_from_slice(&head.origin.port.to_ne_bytes());
    fill(&mut Body(out));
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_ne_bytes());
    }
    out.resize(start + (len as usize).next_multiple_of(4), 0);
}

/// Appends a message with netfilter's header, whose attributes are what `fill` puts in.
pub(super) fn netfilter(
    out: &mut Vec<u8>,
    head: Head,
    family: u8,
    resource: u16,
    fill: impl FnOnce(&mut Body<'_>),
) {
    message(out, head, |body| {
        let [a, b] = resource.to_be_bytes();
        let header: [u8; FAMILY_HEADER] = [family, 0, a, b];
        body.0.extend_from_slice(&header);
        fill(body);
    });
}

/// Where attributes are put.
pub(super) struct Body<'a>(pub(super) &'a mut Vec<u8>);

impl Body<'_> {
    #[inline]
    fn fixed<const N: usize>(&mut self, number: u16, value: [u8; N]) {
        let mut bytes = [0; 20];
        let len = (4 + N) as u16;
        bytes[..2].copy_from_slice(&len.to_ne_bytes());
        bytes[2..4].copy_from_slice(&number.to_ne_bytes());
        bytes[4..4 + N].copy_from_slice(&value);
        self.0.extend_from_slice(&bytes[..(4 + N + 3) & !3]);
    }

    pub(super) fn u8(&mut self, number: u16, value: u8) {
        self.fixed(number, [value]);
    }

    pub(super) fn u16(&mut self, number: u16, value: u16) {
        self.fixed(number, value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u16, value: u32) {
        self.fixed(number, value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, number: u16, value: u64) {
        self.fixed(number, value.to_be_bytes());
    }

    /// Up to sixteen bytes as they are.
    pub(super) fn raw<const N: usize>(&mut self, number: u16, value: [u8; N]) {
        const { assert!(N <= 16) };
        self.fixed(number, value);
    }

    /// Numbers, one after the other; at most sixteen.
    pub(super) fn numbers(&mut self, number: u16, values: &[u32]) {
        let values = values.get(..16).unwrap_or(values);
        let len = (4 + 4 * values.len()) as u16;
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&number.to_ne_bytes());
        for value in values {
            self.0.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// Text, with the NUL that ends it.
    pub(super) fn text(&mut self, number: u16, text: &str) {
        let text = text.as_bytes();
        let text = text.get(..LONGEST_TEXT).unwrap_or(text);
        let start = self.0.len();
        let len = (4 + text.len() + 1) as u16;
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&number.to_ne_bytes());
        self.0.extend_from_slice(text);
        self.0
            .resize(start + usize::from(len).next_multiple_of(4), 0);
    }

    /// An attribute of attributes.
    #[inline]
    pub(super) fn nest(&mut self, number: u16, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&(number | NESTED).to_ne_bytes());
        fill(&mut Body(self.0));
        let len = (self.0.len() - start) as u16;
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&len.to_ne_bytes());
        }
    }
}
