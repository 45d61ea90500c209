//! Checksums of packets that are made: the Internet's sum of sixteen-bit words (RFC 1071), over a
//! pseudo-header where the protocol wants one, and CRC32c for SCTP.

use std::net::IpAddr;

use super::{Ends, ICMP, ICMPV6, Sum};

pub(super) fn put_sum(bytes: &mut [u8], at: usize, sum: Sum, right: impl Fn(&[u8]) -> u16) {
    let value = match sum {
        Sum::None => 0,
        Sum::Right | Sum::Stated => right(bytes),
        Sum::Wrong => right(bytes) ^ 0x5555,
    };
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub(super) fn finish_icmp(ends: Ends, mut bytes: Vec<u8>, sum: Sum) -> (u8, Vec<u8>) {
    if ends.src.is_ipv6() {
        put_sum(&mut bytes, 2, sum, |bytes| {
            transport_sum(ends, ICMPV6, bytes, bytes.len())
        });
        (ICMPV6, bytes)
    } else {
        put_sum(&mut bytes, 2, sum, |bytes| ones_complement(&[bytes]));
        (ICMP, bytes)
    }
}

/// The checksum over a pseudo-header and the first `covered` bytes.
pub(super) fn transport_sum(ends: Ends, protocol: u8, bytes: &[u8], covered: usize) -> u16 {
    let mut pseudo = Vec::new();
    for address in [ends.src.ip(), ends.dst.ip()] {
        match address {
            IpAddr::V4(address) => pseudo.extend(address.octets()),
            IpAddr::V6(address) => pseudo.extend(address.octets()),
        }
    }
    pseudo.extend((bytes.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    match ones_complement(&[&pseudo, &bytes[..covered]]) {
        0 => 0xffff,
        sum => sum,
    }
}

/// RFC 1071, word by word; each run but the last has an even length.
pub(super) fn ones_complement(runs: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for run in runs {
        for pair in run.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(pair[0]) << 8 | u32::from(low);
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !(sum as u16)
}

/// Bit by bit, reflected, polynomial 0x1EDC6F41.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
