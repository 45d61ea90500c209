//! pcap: a file header, then records of a header and the captured bytes.
//!
//! The magic says the byte order, whether the fraction of a second counts micro- or nanoseconds,
//! and whether record headers are longer: the "modified" format of patched libpcaps puts eight
//! more bytes (interface, protocol, packet type) after the usual sixteen.
//!
//! Times are unsigned seconds, good until 2106. A fraction of a whole second or more is added as
//! it stands. Of the link type field only the low 16 bits are the link type; above it are the
//! length of the frame check sequence and reserved bits.
//!
//! Source: draft-ietf-opsawg-pcap; the modified format as Wireshark's documentation describes it.

use pcap_parser::parse_pcap_header;

use super::Record;
use super::error::{CaptureErrorKind, Part};
use super::order::Order;
use super::window::Window;

/// The largest packet that a pcap record may claim to hold: four times what tcpdump will capture.
pub const MAX_PACKET: usize = 4 * 262_144;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MODIFIED_RECORD_HEADER: usize = 24;

/// The magics, as they stand in the file: little endian, then big.
const MICRO: [[u8; 4]; 2] = [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4]];
const NANO: [[u8; 4]; 2] = [[0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];
const MODIFIED: [[u8; 4]; 2] = [[0x34, 0xcd, 0xb2, 0xa1], [0xa1, 0xb2, 0xcd, 0x34]];

/// What the file header says about the records.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the fraction.
    unit: u64,
    header: usize,
    link_type: u32,
}

/// Whether a file that begins so is pcap.
pub(super) fn is_pcap(first: &[u8]) -> bool {
    let magic = first.first_chunk();
    magic.is_some_and(|m| [MICRO, NANO, MODIFIED].as_flattened().contains(m))
}

impl Pcap {
    /// Reads the file header, whose magic [`is_pcap`] has seen.
    pub(super) fn open(window: &mut Window) -> Result<Pcap, CaptureErrorKind> {
        let have = window.fill(FILE_HEADER)?;
        let Some(header) = window.bytes().first_chunk() else {
            return Err(CaptureErrorKind::cut(Part::FileHeader, have, FILE_HEADER));
        };
        let pcap = Pcap::parse(header)?;
        window.consume(FILE_HEADER);
        Ok(pcap)
    }

    fn parse(bytes: &[u8; FILE_HEADER]) -> Result<Pcap, CaptureErrorKind> {
        let mut plain = *bytes;
        let modified = MODIFIED.iter().position(|magic| bytes.starts_with(magic));
        if let Some(order) = modified {
            // Only the records differ; the parser knows this magic in one byte order of the two.
            plain[..4].copy_from_slice(&MICRO[order]);
        }
        let Ok((_, header)) = parse_pcap_header(&plain) else {
            let first = bytes.iter().take(8).copied().collect();
            return Err(CaptureErrorKind::NotACapture { first });
        };
        Ok(Pcap {
            order: if header.is_bigendian() {
                Order::Big
            } else {
                Order::Little
            },
            unit: if header.is_nanosecond_precision() {
                1
            } else {
                1_000
            },
            header: if modified.is_some() {
                MODIFIED_RECORD_HEADER
            } else {
                RECORD_HEADER
            },
            link_type: header.network.0.cast_unsigned() & 0xffff,
        })
    }

    /// Finds the next record. => it is not consumed; `None` where the file ends.
    pub(super) fn next_record(
        &mut self,
        window: &mut Window,
    ) -> Result<Option<Record>, CaptureErrorKind> {
        let have = window.fill(self.header)?;
        if have == 0 {
            return Ok(None);
        }
        let header = window.bytes().get(..self.header);
        let Some([seconds, fraction, captured, wire_len]) =
            header.and_then(|header| self.order.words(header))
        else {
            return Err(CaptureErrorKind::cut(Part::PacketHeader, have, self.header));
        };
        let captured = captured as usize;
        if captured > MAX_PACKET {
            return Err(CaptureErrorKind::too_long(
                Part::Packet,
                captured,
                MAX_PACKET,
            ));
        }
        let size = self.header + captured;
        let have = window.fill(size)?;
        if have < size {
            return Err(CaptureErrorKind::cut(
                Part::Packet,
                have - self.header,
                captured,
            ));
        }
        Ok(Some(Record {
            time_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit,
            link_type: self.link_type,
            wire_len,
            bytes: self.header..size,
            size,
        }))
    }
}
