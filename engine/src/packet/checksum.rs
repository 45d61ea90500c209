//! The Internet checksum (RFC 1071), with the pseudo-headers of IPv4 and IPv6, and the CRC32c of SCTP.
//!
//! As in Linux, the pseudo-header's length is that of the whole IP payload.

use crate::tuple::{Addresses, Protocol};

/// One's complement sum of the bytes as big-endian 16-bit words, folded; an odd last byte counts as
/// the high half of a word. Never 0 unless all bytes are, and 0xffff for data with a right checksum.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut words = bytes.chunks_exact(8);
    // Four lanes' worth of carries: each addend is below 2^32, so the sum cannot overflow.
    let mut total = 0u64;
    for chunk in &mut words {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_ne_bytes(word);
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    let word = u64::from_ne_bytes(last);
    total += (word & 0xffff_ffff) + (word >> 32);
    u16::from_be_bytes(fold(total).to_ne_bytes())
}

/// Adds the carries back in until sixteen bits are left.
pub(super) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Whether an IPv4 header's checksum is right.
pub(crate) fn is_right(header: &[u8]) -> bool {
    sum(header) == 0xffff
}

/// Whether the checksum of an IP payload is right, counted over the first `covered` bytes.
pub(crate) fn is_right_with_pseudo_header(
    addresses: Addresses,
    protocol: Protocol,
    payload: &[u8],
    covered: usize,
) -> bool {
    let covered = payload.get(..covered).unwrap_or(payload);
    fold(u64::from(sum(covered)) + sum_pseudo_header(addresses, protocol, payload.len())) == 0xffff
}

/// The sum over a whole IP payload and its pseudo-header.
pub(crate) fn with_pseudo_header(addresses: Addresses, protocol: Protocol, payload: &[u8]) -> u16 {
    fold(u64::from(sum(payload)) + sum_pseudo_header(addresses, protocol, payload.len()))
}

fn sum_pseudo_header(addresses: Addresses, protocol: Protocol, len: usize) -> u64 {
    sum_addresses(addresses) + u64::from(protocol.0) + len as u64
}

fn sum_addresses(addresses: Addresses) -> u64 {
    match addresses {
        Addresses::V4 { src, dst } => {
            u64::from(sum(&src.to_be_bytes())) + u64::from(sum(&dst.to_be_bytes()))
        }
        Addresses::V6 { src, dst } => {
            u64::from(sum(&src.to_be_bytes())) + u64::from(sum(&dst.to_be_bytes()))
        }
    }
}

/// The SCTP checksum (RFC 9260, appendix A): CRC32c with the checksum field taken as 0.
pub(crate) fn is_right_sctp(packet: &[u8]) -> bool {
    let Some((header, chunks)) = packet.split_at_checked(12) else {
        return false;
    };
    let stored = [header[8], header[9], header[10], header[11]];
    let mut digest = CRC32C.digest();
    digest.update(&header[..8]);
    digest.update(&[0; 4]);
    digest.update(chunks);
    digest.finalize() == u32::from_le_bytes(stored)
}

static CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_rfc_1071s_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&bytes), 0xddf2);
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half() {
        assert_eq!(sum(&[0x12]), 0x1200);
        let nine = [0, 0, 0, 0, 0, 0, 0, 0, 0x12];
        assert_eq!(sum(&nine), 0x1200);
    }

    #[test]
    fn an_ipv4_header_with_one_bit_turned_is_wrong() {
        let mut header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert!(is_right(&header));
        header[8] ^= 1;
        assert!(!is_right(&header));
    }

    #[test]
    fn crc32c_check_value() {
        assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
    }
}
