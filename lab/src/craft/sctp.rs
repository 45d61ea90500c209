//! SCTP packets: the common header and chunks with bodies of the right size.

use super::sum::crc32c;
use super::{Ends, Sum, ports};

pub(super) fn sctp(
    ends: Ends,
    tag: u32,
    chunks: &[(u8, u8, Option<u32>)],
    length: Option<u16>,
    sum: Sum,
) -> Vec<u8> {
    let mut bytes = ports(ends);
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    for (number, (kind, flags, init_tag)) in chunks.iter().enumerate() {
        let body: Vec<u8> = match (kind, init_tag) {
            (_, Some(init_tag)) => {
                let mut body = init_tag.to_be_bytes().to_vec();
                body.extend([0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
                body
            }
            (0, None) => vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, b'x', b'x', b'x', b'x'],
            (3, None) => vec![0, 0, 0, 1, 0, 0, 0x10, 0, 0, 0, 0, 0],
            (4 | 5, None) => vec![0, 1, 0, 8, 1, 2, 3, 4],
            (7, None) => vec![0, 0, 0, 1],
            (10, None) => vec![b'c'; 16],
            _ => Vec::new(),
        };
        bytes.extend([*kind, *flags]);
        let right = 4 + body.len() as u16;
        let length = length.filter(|_| number + 1 == chunks.len());
        bytes.extend(length.unwrap_or(right).to_be_bytes());
        bytes.extend(body);
    }
    let crc = match sum {
        Sum::Right | Sum::Stated => crc32c(&bytes),
        Sum::Wrong => crc32c(&bytes) ^ 1,
        Sum::None => 0,
    };
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}
