//! The messages of a queue: configuration and verdicts out, packets in. Numbers in attributes are big-endian, those
//! of a message's header are the machine's.

use super::Decided;

const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIG: u16 = SUBSYSTEM | 2;
const VERDICT_BATCH: u16 = SUBSYSTEM | 3;
/// Netlink's own: an acknowledgement, or an error.
const ERROR: u16 = 2;

const REQUEST: u16 = 1;
const ACK: u16 = 4;

/// Netlink's header and netfilter's.
const HEADERS: usize = 20;

/// A setting of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Config {
    Bind,
    /// GSO packets come whole in any case.
    Flags {
        fail_open: bool,
    },
    Length(u32),
    /// Bytes of each packet.
    Copy(u32),
}

impl Config {
    pub(super) fn write(self, out: &mut Vec<u8>, queue: u16) {
        const COMMAND: u16 = 1;
        const PARAMETERS: u16 = 2;
        const MAX_LENGTH: u16 = 3;
        const MASK: u16 = 4;
        const FLAGS: u16 = 5;
        const FAIL_OPEN: u32 = 1;
        const GSO: u32 = 4;
        message(out, CONFIG, ACK, queue, |out| match self {
            Config::Bind => attribute(out, COMMAND, &[1, 0, 0, 0]),
            Config::Flags { fail_open } => {
                let flags = GSO | if fail_open { FAIL_OPEN } else { 0 };
                attribute(out, FLAGS, &flags.to_be_bytes());
                attribute(out, MASK, &(GSO | FAIL_OPEN).to_be_bytes());
            }
            Config::Length(packets) => attribute(out, MAX_LENGTH, &packets.to_be_bytes()),
            Config::Copy(bytes) => {
                const PACKET: u8 = 2;
                let [a, b, c, d] = bytes.to_be_bytes();
                attribute(out, PARAMETERS, &[a, b, c, d, PACKET]);
            }
        });
    }
}

/// Adds a verdict: on one packet, or on all that wait up to it.
pub(super) fn put_verdict(out: &mut Vec<u8>, queue: u16, decided: &Decided, up_to_it: bool) {
    const HEADER: u16 = 2;
    const MARK: u16 = 3;
    let kind = if up_to_it { VERDICT_BATCH } else { VERDICT };
    message(out, kind, 0, queue, |out| {
        let verdict = u64::from(u32::from(decided.accept)) << 32 | u64::from(decided.id);
        attribute(out, HEADER, &verdict.to_be_bytes());
        if decided.accept {
            attribute(out, MARK, &decided.mark.to_be_bytes());
        }
    });
}

fn message(out: &mut Vec<u8>, kind: u16, flags: u16, queue: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind.to_ne_bytes());
    out.extend((REQUEST | flags).to_ne_bytes());
    out.extend([0; 8]);
    // Any family, version 0.
    out.extend([0, 0]);
    out.extend(queue.to_be_bytes());
    body(out);
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_ne_bytes());
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    out.extend((payload.len() as u16 + 4).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The error number of a message that is an acknowledgement, where 0 is none.
pub(super) fn error_of(message: &[u8]) -> Option<i32> {
    let kind = message.get(4..6)?;
    let errno: [u8; 4] = message.get(16..20)?.try_into().ok()?;
    (kind == ERROR.to_ne_bytes()).then(|| -i32::from_ne_bytes(errno))
}

/// What the kernel knows of a packet's checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// It has not looked.
    Unknown,
    /// It is right.
    Right,
    /// It is not there yet: hardware, or nobody, will put it in.
    Unfinished,
}

/// A packet that waits for a verdict.
#[derive(Debug)]
pub struct Packet<'a> {
    /// Its number in the queue: each is higher than the one before, until they begin again.
    pub id: u32,
    /// Its mark.
    pub mark: u32,
    /// From the IP header on, as far as it was copied.
    pub bytes: &'a mut [u8],
    /// Its length in bytes.
    pub len: usize,
    /// What the kernel knows of its checksum.
    pub checksum: Checksum,
}

impl<'a> Packet<'a> {
    /// Reads a message of this queue. => `None` if it is none, or has no packet.
    pub(super) fn read(message: &'a mut [u8], queue: u16) -> Option<Packet<'a>> {
        const HEADER: u16 = 1;
        const MARK: u16 = 3;
        const PAYLOAD: u16 = 10;
        const FULL_LEN: u16 = 13;
        const INFO: u16 = 14;
        let head = message.first_chunk::<HEADERS>()?;
        if head[4..6] != PACKET.to_ne_bytes() || head[18..20] != queue.to_be_bytes() {
            return None;
        }
        let (mut id, mut mark, mut full_len, mut info) = (None, 0, 0, 0);
        let mut payload = None;
        let mut at = HEADERS;
        while let Some((kind, value)) = attribute_at(message, at) {
            let number = || be32(message.get(value.clone()));
            match kind {
                HEADER => id = number(),
                MARK => mark = number()?,
                FULL_LEN => full_len = number()?,
                INFO => info = number()?,
                PAYLOAD => payload = Some(value.clone()),
                _ => {}
            }
            at = value.end.next_multiple_of(4);
        }
        let bytes = message.get_mut(payload?)?;
        Some(Packet {
            id: id?,
            mark,
            len: bytes.len().max(full_len as usize),
            bytes,
            checksum: checksum(info),
        })
    }
}

fn checksum(info: u32) -> Checksum {
    const UNFINISHED: u32 = 1;
    const NOT_VERIFIED: u32 = 4;
    match info {
        info if info & UNFINISHED != 0 => Checksum::Unfinished,
        info if info & NOT_VERIFIED != 0 => Checksum::Unknown,
        _ => Checksum::Right,
    }
}

/// An attribute: its kind, and where its value is.
fn attribute_at(message: &[u8], at: usize) -> Option<(u16, std::ops::Range<usize>)> {
    let [len_low, len_high, kind_low, kind_high] = *message.get(at..)?.first_chunk()?;
    let len = usize::from(u16::from_ne_bytes([len_low, len_high]));
    let kind = u16::from_ne_bytes([kind_low, kind_high]) & 0x3fff;
    let is_there = len >= 4 && at + len <= message.len();
    is_there.then_some((kind, at + 4..at + len))
}

fn be32(bytes: Option<&[u8]>) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet_message(queue: u16) -> Vec<u8> {
        let mut out = Vec::new();
        message(&mut out, PACKET, 0, queue, |out| {
            attribute(out, 1, &[0, 0, 0, 9, 8, 0, 0]);
            attribute(out, 3, &[0, 0, 0, 5]);
            attribute(out, 10, b"packet");
            attribute(out, 13, &[0, 0, 1, 0]);
            attribute(out, 14, &[0, 0, 0, 3]);
        });
        out
    }

    #[test]
    fn a_packet_is_read_with_its_number_mark_and_full_length() {
        let mut bytes = packet_message(2);
        let packet = Packet::read(&mut bytes, 2).expect("a packet");
        assert_eq!(
            (packet.id, packet.mark, &*packet.bytes, packet.len),
            (9, 5, &b"packet"[..], 256)
        );
        assert_eq!(packet.checksum, Checksum::Unfinished);
        assert!(Packet::read(&mut bytes, 3).is_none(), "another queue's");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_none(
            mut body in prop::collection::vec(any::<u8>(), 0..200),
            is_packet in any::<bool>(),
        ) {
            if is_packet && body.len() >= HEADERS {
                body[4..6].copy_from_slice(&PACKET.to_ne_bytes());
                body[18..20].copy_from_slice(&[0, 0]);
            }
            let len = body.len();
            if let Some(packet) = Packet::read(&mut body, 0) {
                prop_assert!(packet.bytes.len() < len && packet.len >= packet.bytes.len());
            }
        }
    }
}
