//! TCP segments with the options that connection tracking reads.

use super::sum::{put_sum, transport_sum};
use super::{Ends, Sum, TCP, ports};

/// A TCP segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tcp {
    /// The flag byte.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub len: usize,
    /// Window scale option.
    pub scale: Option<u8>,
    /// SACK-permitted option.
    pub sack_ok: bool,
    /// SACK blocks.
    pub sacks: Vec<(u32, u32)>,
    /// The data offset, if it is not to be the right one.
    pub offset: Option<u8>,
    /// The checksum.
    pub sum: Sum,
}

impl Tcp {
    pub(super) fn bytes(&self, ends: Ends) -> Vec<u8> {
        let mut options = Vec::new();
        if let Some(scale) = self.scale {
            options.extend([1, 3, 3, scale]);
        }
        if self.sack_ok {
            options.extend([1, 1, 4, 2]);
        }
        if !self.sacks.is_empty() {
            options.extend([1, 1, 5, 2 + 8 * self.sacks.len() as u8]);
            for (left, right) in &self.sacks {
                options.extend(left.to_be_bytes());
                options.extend(right.to_be_bytes());
            }
        }
        let offset = self.offset.unwrap_or(5 + (options.len() / 4) as u8);
        let mut bytes = ports(ends);
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([offset << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(options);
        bytes.resize(bytes.len() + self.len, b'x');
        put_sum(&mut bytes, 16, self.sum, |bytes| {
            transport_sum(ends, TCP, bytes, bytes.len())
        });
        bytes
    }
}
