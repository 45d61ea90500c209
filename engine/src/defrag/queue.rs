//! The fragments of one datagram.
//!
//! A fragment that lies inside data already there, as received in one run, is taken for a repetition
//! and dropped alone. Any other overlap discards the whole datagram (RFC 5722 for IPv6, and Linux's
//! answer to overlap attacks for IPv4). Data beyond the announced end, a second end elsewhere, and
//! fragments without data discard it too in IPv4; in IPv6 only the fragment that lies is dropped.
//!
//! A *run* is what arrived one behind the other at the end of the data there was.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Datagram;
use crate::packet::{Fragment, Packet, checksum};
use crate::time::Time;
use crate::tuple::Addresses;

/// What a fragment costs beside its bytes, and a queue beside its fragments.
const OVERHEAD: usize = 512;
const PAYLOAD_MAX: u32 = 65_535;

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) deadline: Time,
    pub(super) number: u64,
    /// The sender's count of fragments at this queue's last one.
    pub(super) sender_count: u32,
    memory: usize,
    /// Payload length as far as it is known.
    len: u32,
    has_last: bool,
    received: u32,
    /// A bit for each value of the congestion notification seen.
    ecn: u8,
    /// Headers of the fragment at offset 0.
    header: Option<Vec<u8>>,
    /// End and bytes by offset.
    pieces: BTreeMap<u32, Piece>,
    /// End by offset.
    runs: BTreeMap<u32, u32>,
}

#[derive(Debug)]
struct Piece {
    end: u32,
    bytes: Vec<u8>,
}

/// Why a fragment did not go in, and whether it takes its queue along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    Duplicate,
    Bad,
    Poison,
    /// IPv6: not the last, and yet not a multiple of eight bytes long. Linux discards the datagram and
    /// lets this piece go on by itself.
    Odd,
}

impl Queue {
    pub(super) const fn new(deadline: Time, number: u64) -> Queue {
        Queue {
            deadline,
            number,
            sender_count: 0,
            memory: OVERHEAD,
            len: 0,
            has_last: false,
            received: 0,
            ecn: 0,
            header: None,
            pieces: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Bytes that it holds; never less after an insertion.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.has_last && self.header.is_some() && self.received == self.len
    }

    pub(super) fn insert(
        &mut self,
        packet: &Packet<'_>,
        fragment: Fragment,
    ) -> Result<(), Trouble> {
        let is_v4 = matches!(packet.addresses(), Addresses::V4 { .. });
        let lie = if is_v4 { Trouble::Poison } else { Trouble::Bad };
        let offset = fragment.offset;
        let mut end = offset + packet.l4().len as u32;
        if end > PAYLOAD_MAX {
            return Err(Trouble::Bad);
        }
        if fragment.more && !end.is_multiple_of(8) {
            if !is_v4 {
                return Err(Trouble::Odd);
            }
            end &= !7;
        }
        self.check_end(end, fragment.more, lie)?;
        if end <= offset {
            return Err(lie);
        }
        self.place(offset, end)?;
        let len = (end - offset) as usize;
        let bytes = packet
            .l4()
            .bytes
            .get(..len)
            .unwrap_or(packet.l4().bytes)
            .to_vec();
        self.memory += bytes.len() + OVERHEAD;
        self.received += end - offset;
        self.ecn |= 1 << fragment.ecn;
        self.pieces.insert(offset, Piece { end, bytes });
        if offset == 0 {
            let header = header(packet, fragment);
            self.memory += header.len();
            self.header = Some(header);
        }
        Ok(())
    }

    fn check_end(&mut self, end: u32, more: bool, lie: Trouble) -> Result<(), Trouble> {
        if more {
            if end > self.len {
                if self.has_last {
                    return Err(lie);
                }
                self.len = end;
            }
        } else {
            if end < self.len || (self.has_last && end != self.len) {
                return Err(lie);
            }
            self.has_last = true;
            self.len = end;
        }
        Ok(())
    }

    /// Finds out whether the place is free, and notes the run.
    fn place(&mut self, offset: u32, end: u32) -> Result<(), Trouble> {
        let last_end = self
            .pieces
            .last_key_value()
            .map_or(0, |(_, piece)| piece.end);
        if end > last_end {
            if offset < last_end {
                return Err(Trouble::Poison);
            }
            if offset == last_end
                && let Some(mut run) = self.runs.last_entry()
            {
                run.insert(end);
                return Ok(());
            }
        } else if let Some((start, run_end)) = self.runs.range(..end).next_back()
            && offset < *run_end
        {
            let is_inside = offset >= *start && end <= *run_end;
            return Err(if is_inside {
                Trouble::Duplicate
            } else {
                Trouble::Poison
            });
        }
        self.runs.insert(offset, end);
        Ok(())
    }

    /// The datagram, if it can be one. A mixture of pieces that take part in congestion notification
    /// and pieces that do not is none (RFC 3168, 5.3).
    pub(super) fn assemble(self, packet: &Packet<'_>) -> Option<Datagram> {
        const TAKES_NO_PART: u8 = 1;
        if self.ecn & TAKES_NO_PART != 0 && self.ecn != TAKES_NO_PART {
            return None;
        }
        let mut bytes = self.header?;
        let header_len = bytes.len();
        let len = header_len + self.len as usize;
        let is_v4 = matches!(packet.addresses(), Addresses::V4 { .. });
        let counted = if is_v4 { len } else { len - 40 };
        let counted = u16::try_from(counted).ok()?.to_be_bytes();
        let at = if is_v4 { 2 } else { 4 };
        bytes.get_mut(at..at + 2)?.copy_from_slice(&counted);
        if is_v4 {
            finish_v4_header(&mut bytes)?;
        }
        for (offset, piece) in &self.pieces {
            bytes.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < (piece.end - offset) as usize {
                break;
            }
        }
        Some(Datagram { bytes, len })
    }
}

/// The headers that the datagram will have; lengths are filled in when they are known.
fn header(packet: &Packet<'_>, fragment: Fragment) -> Vec<u8> {
    let bytes = packet.ip.bytes.get(..fragment.header_len);
    let mut header = bytes.unwrap_or_default().to_vec();
    if let (Addresses::V6 { .. }, Some(next)) =
        (packet.addresses(), header.get_mut(fragment.next_header_at))
    {
        *next = packet.protocol.0;
    }
    header
}

/// No longer a fragment, and with a right checksum.
fn finish_v4_header(header: &mut [u8]) -> Option<()> {
    header.get_mut(6..8)?.copy_from_slice(&[0, 0]);
    header.get_mut(10..12)?.copy_from_slice(&[0, 0]);
    let sum = !checksum::sum(header);
    header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}
