//! Filters of listings and flushes.
//!
//! Parts of tuples count only if `FILTER` has their bit. Linux looks at IPv6 addresses wrongly there: an
//! address that is asked for filters out those entries that have it. Here it means what it says.

use alloc::vec::Vec;

use super::names::entry;
use super::read::{Attributes, Message};
use super::request::{Tuples, family_of, number_of};
use super::write::{Body, Head, netfilter};
use crate::change::{Filter, Masked, Refusal};
use crate::parts::TupleParts;

/// Bits of `FILTER`.
mod bit {
    pub(super) const IP_SRC: u32 = 1;
    pub(super) const IP_DST: u32 = 1 << 1;
    pub(super) const ZONE: u32 = 1 << 2;
    pub(super) const PROTOCOL: u32 = 1 << 3;
    pub(super) const SRC_PORT: u32 = 1 << 4;
    pub(super) const DST_PORT: u32 = 1 << 5;
    pub(super) const ICMP_TYPE: u32 = 1 << 6;
    pub(super) const ICMP_CODE: u32 = 1 << 7;
    pub(super) const ICMP_ID: u32 = 1 << 8;
    pub(super) const ICMPV6_TYPE: u32 = 1 << 9;
    pub(super) const ICMPV6_CODE: u32 = 1 << 10;
    pub(super) const ICMPV6_ID: u32 = 1 << 11;
}

/// Reads the filter of a listing.
pub(super) fn read(message: &Message<'_>) -> Result<Filter, Refusal> {
    let mut filter = read_attributes(message.attributes())?;
    filter.family = family_of(message)?;
    Ok(filter)
}

/// Reads the filter of a flush: the family counts only in requests of version 1 and later, and tuples do not
/// count at all.
pub(super) fn read_flush(message: &Message<'_>) -> Result<Filter, Refusal> {
    let mut filter = read_attributes(message.attributes())?;
    if message
        .attributes()
        .any(|attribute| attribute.number == entry::FILTER)
    {
        return Err(Refusal::Invalid);
    }
    let (_, version, _) = message.family_header();
    if version > 0 {
        filter.family = family_of(message)?;
    }
    Ok(filter)
}

fn read_attributes(attributes: Attributes<'_>) -> Result<Filter, Refusal> {
    let mut filter = Filter::default();
    let (mut mark, mut mark_mask) = (None, None);
    let (mut status, mut status_mask) = (None, None);
    let mut bits = None;
    for attribute in attributes.clone() {
        match attribute.number {
            entry::MARK => mark = attribute.u32(),
            entry::MARK_MASK => mark_mask = attribute.u32(),
            entry::STATUS => status = attribute.u32(),
            entry::STATUS_MASK => status_mask = attribute.u32(),
            entry::ZONE => filter.zone = attribute.u16(),
            entry::FILTER => bits = Some(filter_bits(attribute.nest())),
            _ => {}
        }
    }
    filter.mark = mark.map(|value| Masked {
        value,
        mask: mark_mask.unwrap_or(u32::MAX),
    });
    // Without a mask, all bits that are set have to be set.
    filter.status = match (status, status_mask.or(status)) {
        (Some(_), Some(0)) => return Err(Refusal::Invalid),
        (Some(value), Some(mask)) => Some(Masked {
            value: value as u16,
            mask: mask as u16,
        }),
        _ => None,
    };
    if let Some([original, reply]) = bits {
        let tuples = Tuples::read(attributes);
        filter.original = tuples.original.map(|parts| chosen(parts, original));
        filter.reply = tuples.reply.map(|parts| chosen(parts, reply));
    }
    Ok(filter)
}

/// The bits for the original and the reply tuple.
fn filter_bits(attributes: Attributes<'_>) -> [u32; 2] {
    let mut bits = [0; 2];
    for attribute in attributes {
        // These are in the machine's own order of bytes.
        let value = attribute.value.first_chunk().copied();
        let value = value.map_or(0, u32::from_ne_bytes);
        match attribute.number {
            1 => bits[0] = value,
            2 => bits[1] = value,
            _ => {}
        }
    }
    bits
}

/// The parts that the bits choose.
fn chosen(parts: TupleParts, bits: u32) -> TupleParts {
    let has = |any: u32| bits & any != 0;
    let src_part = has(bit::SRC_PORT | bit::ICMP_ID | bit::ICMPV6_ID);
    let icmp_type = has(bit::ICMP_TYPE | bit::ICMPV6_TYPE);
    let icmp_code = has(bit::ICMP_CODE | bit::ICMPV6_CODE);
    TupleParts {
        src: parts.src.filter(|_| has(bit::IP_SRC)),
        dst: parts.dst.filter(|_| has(bit::IP_DST)),
        protocol: parts.protocol.filter(|_| has(bit::PROTOCOL)),
        src_part: parts.src_part.filter(|_| src_part),
        dst_part: parts.dst_part.filter(|_| has(bit::DST_PORT)),
        icmp_type: parts.icmp_type.filter(|_| icmp_type),
        icmp_code: parts.icmp_code.filter(|_| icmp_code),
        zone: parts.zone.filter(|_| has(bit::ZONE)),
    }
}

/// The bits that choose the parts that are given.
fn bits_of(parts: &TupleParts) -> u32 {
    let [kind, code, id] = match parts.protocol {
        Some(1) => [bit::ICMP_TYPE, bit::ICMP_CODE, bit::ICMP_ID],
        Some(58) => [bit::ICMPV6_TYPE, bit::ICMPV6_CODE, bit::ICMPV6_ID],
        _ => [0, 0, bit::SRC_PORT],
    };
    [
        (parts.src.is_some(), bit::IP_SRC),
        (parts.dst.is_some(), bit::IP_DST),
        (parts.zone.is_some(), bit::ZONE),
        (parts.protocol.is_some(), bit::PROTOCOL),
        (parts.src_part.is_some(), id),
        (parts.dst_part.is_some(), bit::DST_PORT),
        (parts.icmp_type.is_some(), kind),
        (parts.icmp_code.is_some(), code),
    ]
    .iter()
    .fold(
        0,
        |bits, (given, bit)| if *given { bits | bit } else { bits },
    )
}

/// Writes the filter of a listing.
pub(super) fn write(out: &mut Vec<u8>, head: Head, filter: &Filter) {
    let family = number_of(filter.family);
    netfilter(out, head, family, 0, |body| put(body, filter));
}

/// Writes the filter of a flush, as version 1 if the family counts.
pub(super) fn write_flush(out: &mut Vec<u8>, head: Head, filter: &Filter) {
    let start = out.len();
    write(out, head, filter);
    /// Where the version stands.
    const VERSION: usize = super::HEADER + 1;
    if filter.family.is_some()
        && let Some(version) = out.get_mut(start + VERSION)
    {
        *version = 1;
    }
}

fn put(body: &mut Body<'_>, filter: &Filter) {
    if let Some(Masked { value, mask }) = filter.mark {
        body.u32(entry::MARK, value);
        if mask != u32::MAX {
            body.u32(entry::MARK_MASK, mask);
        }
    }
    if let Some(Masked { value, mask }) = filter.status {
        body.u32(entry::STATUS, value.into());
        body.u32(entry::STATUS_MASK, mask.into());
    }
    if let Some(zone) = filter.zone {
        body.u16(entry::ZONE, zone);
    }
    let tuples = [
        (entry::TUPLE_ORIG, &filter.original),
        (entry::TUPLE_REPLY, &filter.reply),
    ];
    for (number, parts) in tuples {
        parts.inspect(|parts| parts.write(body, number));
    }
    if filter.original.is_some() || filter.reply.is_some() {
        body.nest(entry::FILTER, |nest| {
            for (number, (_, parts)) in (1..).zip(tuples) {
                let bits = parts.map_or(0, |parts| bits_of(&parts));
                nest.raw(number, bits.to_ne_bytes());
            }
        });
    }
}
