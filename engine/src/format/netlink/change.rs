//! What an entry shall be: the attributes of a request to make or change one.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::entries::{labels, labels_bytes, name, status};
use super::names::{entry, nat, protoinfo};
use super::read::{Attributes, Message};
use super::request::{Tuples, family_of, number_of};
use super::tuple::put as put_tuple;
use super::write::{Body, Head, netfilter};
use crate::change::{Change, Family, Masked, NatRange, Refusal, StateChange};
use crate::parts::TupleParts;
use crate::tuple::{Tuple, ZoneDirections};

pub(super) fn read(message: &Message<'_>) -> Result<Change, Refusal> {
    let family = family_of(message)?;
    let tuples = Tuples::read(message.attributes());
    let mut change = Change {
        zone: tuples.zone(),
        ..Change::default()
    };
    for (parts, tuple) in [
        (tuples.original, &mut change.original),
        (tuples.reply, &mut change.reply),
    ] {
        if let Some(parts) = parts {
            *tuple = Some(whole(&parts, family)?);
        }
    }
    read_values(message.attributes(), family, &mut change)?;
    Ok(change)
}

/// The tuple, of the family that the request is for.
pub(super) fn whole(parts: &TupleParts, family: Option<Family>) -> Result<Tuple, Refusal> {
    let family = family.ok_or(Refusal::NotSupported)?;
    let tuple = parts.whole().ok_or(Refusal::Invalid)?;
    match Family::of(&tuple) == family {
        true => Ok(tuple),
        false => Err(Refusal::Invalid),
    }
}

fn read_values(
    attributes: Attributes<'_>,
    family: Option<Family>,
    change: &mut Change,
) -> Result<(), Refusal> {
    let (mut mark, mut mark_mask) = (None, None);
    let (mut bits, mut bits_mask) = (None, None);
    for attribute in attributes {
        match attribute.number {
            entry::STATUS => change.status = status(&attribute),
            entry::PROTOINFO => change.state = read_state(attribute.nest())?,
            entry::HELP => {
                change.helper = Some(name(&attribute).ok_or(Refusal::Invalid)?.to_owned());
            }
            entry::TIMEOUT => change.timeout = attribute.u32(),
            entry::MARK => mark = attribute.u32(),
            entry::MARK_MASK => mark_mask = attribute.u32(),
            entry::LABELS => bits = Some(read_labels(attribute.value)?),
            entry::LABELS_MASK => bits_mask = Some(read_labels(attribute.value)?),
            entry::TUPLE_MASTER => {
                change.master = Some(whole(&TupleParts::read(attribute.nest()), family)?);
            }
            entry::NAT_SRC => change.src_nat = Some(read_nat(attribute.nest())),
            entry::NAT_DST => change.dst_nat = Some(read_nat(attribute.nest())),
            _ => {}
        }
    }
    change.mark = mark.map(|value| Masked {
        value,
        mask: mark_mask.unwrap_or(u32::MAX),
    });
    change.labels = bits.map(|value| Masked {
        value,
        mask: bits_mask.unwrap_or(u128::MAX),
    });
    Ok(())
}

/// Whole words of four bytes, sixteen bytes at most.
fn read_labels(bytes: &[u8]) -> Result<u128, Refusal> {
    match bytes.len() {
        0 => Err(Refusal::Invalid),
        17.. => Err(Refusal::OutOfRange),
        len if len % 4 != 0 => Err(Refusal::Invalid),
        _ => Ok(labels(bytes)),
    }
}

fn read_state(attributes: Attributes<'_>) -> Result<Option<StateChange>, Refusal> {
    for attribute in attributes {
        match attribute.number {
            protoinfo::TCP => return read_tcp(attribute.nest()).map(Some),
            protoinfo::SCTP => return Ok(Some(read_sctp(attribute.nest()))),
            _ => {}
        }
    }
    Ok(None)
}

/// Flags are two bytes, the second one the mask.
fn read_tcp(attributes: Attributes<'_>) -> Result<StateChange, Refusal> {
    let (mut state, mut window_scales, mut flags) = (None, [None; 2], [None; 2]);
    for attribute in attributes {
        let masked = match attribute.value {
            [value, mask, ..] => Some(Masked {
                value: *value,
                mask: *mask,
            }),
            _ => None,
        };
        match attribute.number {
            1 => state = attribute.u8(),
            2 => window_scales[0] = attribute.u8(),
            3 => window_scales[1] = attribute.u8(),
            4 => flags[0] = Some(masked.ok_or(Refusal::OutOfRange)?),
            5 => flags[1] = Some(masked.ok_or(Refusal::OutOfRange)?),
            _ => {}
        }
    }
    Ok(StateChange::Tcp {
        state,
        window_scales,
        flags,
    })
}

fn read_sctp(attributes: Attributes<'_>) -> StateChange {
    let (mut state, mut tags) = (None, [None; 2]);
    for attribute in attributes {
        match attribute.number {
            1 => state = attribute.u8(),
            2 => tags[0] = attribute.u32(),
            3 => tags[1] = attribute.u32(),
            _ => {}
        }
    }
    StateChange::Sctp { state, tags }
}

/// The greatest address and port are the least where only those are given.
fn read_nat(attributes: Attributes<'_>) -> NatRange {
    let (mut min, mut max, mut ports) = (None, None, None);
    for attribute in attributes {
        let v4 = || Some(IpAddr::from(*attribute.value.first_chunk::<4>()?));
        let v6 = || Some(IpAddr::from(*attribute.value.first_chunk::<16>()?));
        match attribute.number {
            nat::V4_MIN => min = v4(),
            nat::V4_MAX => max = v4(),
            nat::V6_MIN => min = v6(),
            nat::V6_MAX => max = v6(),
            nat::PROTO => ports = read_ports(attribute.nest()),
            _ => {}
        }
    }
    NatRange {
        addresses: min.map(|min| (min, max.unwrap_or(min))),
        ports,
    }
}

fn read_ports(attributes: Attributes<'_>) -> Option<(u16, u16)> {
    let (mut min, mut max) = (None, None);
    for attribute in attributes {
        match attribute.number {
            1 => min = attribute.u16(),
            2 => max = attribute.u16(),
            _ => {}
        }
    }
    min.map(|min| (min, max.unwrap_or(min)))
}

pub(super) fn write(out: &mut Vec<u8>, head: Head, change: &Change) {
    let tuple = change.original.or(change.reply);
    let family = number_of(tuple.as_ref().map(Family::of));
    netfilter(out, head, family, 0, |body| put(body, change));
}

fn put(body: &mut Body<'_>, change: &Change) {
    let zone = change.zone;
    let only = |applies| (zone.id != 0 && zone.applies == applies).then_some(zone.id);
    if let Some(tuple) = &change.original {
        put_tuple(
            body,
            entry::TUPLE_ORIG,
            tuple,
            only(ZoneDirections::Original),
        );
    }
    if let Some(tuple) = &change.reply {
        put_tuple(body, entry::TUPLE_REPLY, tuple, only(ZoneDirections::Reply));
    }
    if let Some(id) = only(ZoneDirections::Both) {
        body.u16(entry::ZONE, id);
    }
    change
        .status
        .inspect(|status| body.u32(entry::STATUS, status.0.into()));
    change
        .timeout
        .inspect(|secs| body.u32(entry::TIMEOUT, *secs));
    if let Some(Masked { value, mask }) = change.mark {
        body.u32(entry::MARK, value);
        if mask != u32::MAX {
            body.u32(entry::MARK_MASK, mask);
        }
    }
    change.state.inspect(|state| put_state(body, state));
    if let Some(helper) = &change.helper {
        body.nest(entry::HELP, |nest| nest.text(1, helper));
    }
    if let Some(Masked { value, mask }) = change.labels {
        body.raw(entry::LABELS, labels_bytes(value));
        body.raw(entry::LABELS_MASK, labels_bytes(mask));
    }
    change
        .src_nat
        .inspect(|range| put_nat(body, entry::NAT_SRC, range));
    change
        .dst_nat
        .inspect(|range| put_nat(body, entry::NAT_DST, range));
    if let Some(master) = &change.master {
        put_tuple(body, entry::TUPLE_MASTER, master, None);
    }
}

fn put_state(body: &mut Body<'_>, state: &StateChange) {
    body.nest(entry::PROTOINFO, |info| match state {
        StateChange::Tcp {
            state,
            window_scales,
            flags,
        } => info.nest(protoinfo::TCP, |tcp| {
            state.inspect(|state| tcp.u8(1, *state));
            for (number, scale) in (2..).zip(window_scales) {
                scale.inspect(|scale| tcp.u8(number, *scale));
            }
            for (number, flags) in (4..).zip(flags) {
                flags.inspect(|flags| tcp.raw(number, [flags.value, flags.mask]));
            }
        }),
        StateChange::Sctp { state, tags } => info.nest(protoinfo::SCTP, |sctp| {
            state.inspect(|state| sctp.u8(1, *state));
            for (number, tag) in (2..).zip(tags) {
                tag.inspect(|tag| sctp.u32(number, *tag));
            }
        }),
    });
}

fn put_nat(body: &mut Body<'_>, number: u16, range: &NatRange) {
    body.nest(number, |nest| {
        if let Some((min, max)) = range.addresses {
            put_address(nest, [nat::V4_MIN, nat::V6_MIN], min);
            put_address(nest, [nat::V4_MAX, nat::V6_MAX], max);
        }
        if let Some((min, max)) = range.ports {
            nest.nest(nat::PROTO, |ports| {
                ports.u16(1, min);
                ports.u16(2, max);
            });
        }
    });
}

fn put_address(body: &mut Body<'_>, [v4, v6]: [u16; 2], address: IpAddr) {
    match address {
        IpAddr::V4(address) => body.raw(v4, address.octets()),
        IpAddr::V6(address) => body.raw(v6, address.octets()),
    }
}
