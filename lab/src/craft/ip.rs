//! IP headers around what is in them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::sum::{ones_complement, put_sum};
use super::{ROUTING, Sum};

pub(super) fn ipv4(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
    fragment: Option<(usize, bool, u32)>,
) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    let (from, more, id) = fragment.unwrap_or((0, false, 1));
    bytes.extend((id as u16).to_be_bytes());
    let word = (from / 8) as u16 | u16::from(more) << 13;
    bytes.extend(word.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    put_sum(&mut bytes, 10, Sum::Right, |bytes| {
        ones_complement(&[bytes])
    });
    bytes.extend(payload);
    bytes
}

pub(super) fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((inside.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    bytes.extend(inside);
    bytes
}

/// Eight bytes: options that are nothing but padding, or a route of which nothing is left to go.
pub(super) fn extension_header(kind: u8, next: u8) -> [u8; 8] {
    const UNASSIGNED_ROUTING: u8 = 200;
    match kind {
        ROUTING => [next, 0, UNASSIGNED_ROUTING, 0, 0, 0, 0, 0],
        _ => [next, 0, 1, 4, 0, 0, 0, 0],
    }
}
