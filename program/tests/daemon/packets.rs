//! Captures of as many UDP flows as are wanted.

use std::fs;
use std::path::Path;

/// Writes a capture of `flows` datagrams, each of a flow of its own, a microsecond apart.
pub(crate) fn write_flows(path: &Path, flows: u32) {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&65_535_u32.to_le_bytes());
    bytes.extend_from_slice(&101_u32.to_le_bytes());
    for flow in 0..flows {
        let [_, a, b, c] = flow.to_be_bytes();
        let mut packet = vec![
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, a, b, c, 192, 0, 2, 1,
        ];
        let sum = packet
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum::<u32>();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(&[0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
        let (secs, micros) = (1_700_000_000 + flow / 1_000_000, flow % 1_000_000);
        for number in [secs, micros, 28, 28] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&packet);
    }
    fs::write(path, bytes).unwrap();
}
