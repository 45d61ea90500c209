//! TCP headers and options (RFC 9293, 7323, 2018).

use super::{Missing, Segment};
use crate::verdict::Reason;

/// Flag bits of the thirteenth and fourteenth header byte.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}

const HEADER_MIN: usize = 20;

/// Where in the header the flags stand.
pub(crate) const FLAGS_AT: usize = 13;

/// A TCP header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// Bytes behind the header.
    pub(crate) payload_len: u32,
    options: &'a [u8],
}

/// What a SYN's options offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SynOptions {
    /// Window scale, at most 14.
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
}

impl<'a> Header<'a> {
    /// Reads the header at the start of `segment`.
    #[inline]
    pub(crate) fn parse(segment: Segment<'a>) -> Result<Header<'a>, Reason> {
        let fixed: [u8; HEADER_MIN] = segment.array(0).map_err(|missing| match missing {
            Missing::Absent => Reason::TcpHeader,
            Missing::Snapped => Reason::Snapped,
        })?;
        let header_len = usize::from(fixed[12] >> 4) * 4;
        if header_len < HEADER_MIN || header_len > segment.len {
            return Err(Reason::TcpHeader);
        }
        let options = segment.bytes.get(HEADER_MIN..).unwrap_or_default();
        Ok(Header {
            seq: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ack: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            flags: fixed[FLAGS_AT],
            window: u16::from_be_bytes([fixed[14], fixed[15]]),
            payload_len: (segment.len - header_len) as u32,
            options: options.get(..header_len - HEADER_MIN).unwrap_or(options),
        })
    }

    /// Reads the header of a segment that has nothing but an acknowledgement, and perhaps data: no flag
    /// counts but ACK, and there are no options but the timestamp, laid out as RFC 7323, appendix A
    /// recommends. `None` for all others. The options are left out.
    #[inline(always)]
    pub(crate) fn parse_usual(segment: Segment<'a>) -> Option<Header<'a>> {
        /// Data offset, and the flags that make a class.
        const LOOKED_AT: u32 = 0xf000 | (flag::FIN | flag::SYN | flag::RST | flag::ACK) as u32;
        const BARE: u32 = 0x5000 | flag::ACK as u32;
        const STAMPED: u32 = 0x8000 | flag::ACK as u32;
        let (fixed, options) = segment.bytes.split_first_chunk::<HEADER_MIN>()?;
        let word = u32::from_be_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]);
        let looked_at = word >> 16 & LOOKED_AT;
        let header_len = looked_at >> 12 << 2;
        let is_usual = looked_at == BARE
            || looked_at == STAMPED && segment.len >= 32 && options.starts_with(&[1, 1, 8, 10]);
        let [_, _, _, _, numbers @ .., _, _, _, _, _, _, _, _] = *fixed;
        let numbers = u64::from_be_bytes(numbers);
        is_usual.then_some(Header {
            seq: (numbers >> 32) as u32,
            ack: numbers as u32,
            flags: flag::ACK,
            window: word as u16,
            payload_len: (segment.len as u32).wrapping_sub(header_len),
            options: &[],
        })
    }

    pub(crate) const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number after this segment: SYN and FIN count one each.
    pub(crate) const fn end(&self) -> u32 {
        let flags = self.has(flag::SYN) as u32 + self.has(flag::FIN) as u32;
        self.seq.wrapping_add(self.payload_len).wrapping_add(flags)
    }

    pub(crate) const fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// Window scale and SACK-permitted; the last of several counts.
    pub(crate) fn syn_options(&self) -> SynOptions {
        let mut found = SynOptions::default();
        for (kind, data) in Options(self.options) {
            match (kind, data) {
                (3, [scale]) => found.window_scale = Some((*scale).min(14)),
                (4, []) => found.sack_permitted = true,
                _ => {}
            }
        }
        found
    }

    /// The highest right edge of the first SACK option, if that is after `ack`; else `ack`.
    pub(crate) fn highest_sack(&self, ack: u32) -> u32 {
        let sacks = Options(self.options)
            .find(|(kind, data)| *kind == 5 && data.len() >= 8 && data.len() % 8 == 0);
        let Some((_, blocks)) = sacks else { return ack };
        blocks.chunks_exact(8).fold(ack, |highest, block| {
            let edge = u32::from_be_bytes([block[4], block[5], block[6], block[7]]);
            if after(edge, highest) { edge } else { highest }
        })
    }
}

/// Whether sequence number `a` comes after `b`, modulo 2³².
pub(crate) const fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

/// Whether sequence number `a` comes before `b`, modulo 2³².
pub(crate) const fn before(a: u32, b: u32) -> bool {
    after(b, a)
}

/// Kind and data of each option; ends at the end-of-list option and at the first malformed one.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (kind, rest) = self.0.split_first()?;
            match kind {
                0 => return None,
                1 => self.0 = rest,
                _ => {
                    let len = usize::from(*rest.first()?).checked_sub(1)?;
                    let (option, following) = rest.split_at_checked(len)?;
                    let data = option.get(1..)?;
                    self.0 = following;
                    return Some((*kind, data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(options: &[u8]) -> Header<'_> {
        Header {
            seq: 0,
            ack: 0,
            flags: 0,
            window: 0,
            payload_len: 0,
            options,
        }
    }

    #[test]
    fn a_scale_above_14_is_14() {
        let found = header(&[1, 3, 3, 200]).syn_options();
        assert_eq!(found.window_scale, Some(14));
    }

    #[test]
    fn options_of_impossible_length_end_the_list() {
        assert_eq!(
            header(&[4, 0, 3, 3, 7]).syn_options(),
            SynOptions::default()
        );
        assert_eq!(
            header(&[4, 1, 3, 3, 7]).syn_options(),
            SynOptions::default()
        );
        assert_eq!(header(&[3, 9, 7]).syn_options(), SynOptions::default());
        assert_eq!(header(&[3]).syn_options(), SynOptions::default());
    }

    #[test]
    fn the_highest_edge_of_several_sack_blocks_counts() {
        let mut options = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 5];
        assert_eq!(header(&options).highest_sack(2), 9);
        assert_eq!(header(&options).highest_sack(20), 20);
        options[3] = 17;
        assert_eq!(header(&options).highest_sack(2), 2);
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert!(after(1, 0xffff_ffff));
        assert!(before(0xffff_ffff, 1));
        assert!(!after(7, 7) && !before(7, 7));
    }
}
