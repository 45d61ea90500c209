//! What an order says of entries, as the engine's values: tuples, changes, filters.

use std::net::IpAddr;

use ip_conntrack::{
    Change, Connection, Direction, ExpectFlags, Filter, Masked, NatRange, NewExpectation, Protocol,
    StateChange, Status, Tuple, TupleParts, Which, WhichExpectation, Zone, ZoneDirections,
};

use super::options::{Ends, Family, NatTarget, Net, Opt, Order, Part};
use super::say::{Failure, Tried, refusal};

/// `EINVAL`.
const INVALID: i32 = 22;

/// The bits of the labels that an order names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LabelBits {
    pub(super) wanted: u128,
    pub(super) add: u128,
    pub(super) del: u128,
}

/// The zone that is to be set.
pub(super) fn zone(order: &Order) -> Zone {
    let zone = |id, applies| Zone { id, applies };
    match order.given {
        given if given.has(Opt::OrigZone) => zone(order.orig_zone, ZoneDirections::Original),
        given if given.has(Opt::ReplyZone) => zone(order.reply_zone, ZoneDirections::Reply),
        _ => zone(order.zone, ZoneDirections::Both),
    }
}

/// Both tuples of the one connection that an order is about. What one direction lacks is the other's
/// mirror.
fn tuples(order: &Order) -> Option<[Tuple; 2]> {
    let (original, reply) = (order.original, order.reply);
    let either = |a: Option<Net>, b: Option<Net>| a.or(b).map(|net| net.address);
    let protocol = order.protocol?;
    let parts = parts(order, protocol)?;
    let first = Tuple {
        src: either(original.src, reply.dst)?,
        dst: either(original.dst, reply.src)?,
        protocol,
        src_part: parts[0].0,
        dst_part: parts[0].1,
    };
    let second = Tuple {
        src: either(reply.src, original.dst)?,
        dst: either(reply.dst, original.src)?,
        protocol,
        src_part: parts[1].0,
        dst_part: parts[1].1,
    };
    Some([first, second])
}

/// What the protocol adds to both tuples. `None` if it has no answer to that.
fn parts(order: &Order, protocol: Protocol) -> Option<[(u16, u16); 2]> {
    let part = |part| order.part16(part);
    if protocol.is_icmp() {
        let kind = part(Part::IcmpType).unwrap_or(0) << 8 | part(Part::IcmpCode).unwrap_or(0);
        let id = part(Part::IcmpId).unwrap_or(0);
        let plain = Tuple {
            src: IpAddr::V4(0.into()),
            dst: IpAddr::V4(0.into()),
            protocol,
            src_part: id,
            dst_part: kind,
        };
        let inverse = plain.inverse()?;
        return Some([(id, kind), (inverse.src_part, inverse.dst_part)]);
    }
    let [orig_src, orig_dst, reply_src, reply_dst] = [
        part(Part::OrigSrc),
        part(Part::OrigDst),
        part(Part::ReplySrc),
        part(Part::ReplyDst),
    ];
    let pair = |a: Option<u16>, b: Option<u16>| a.or(b).unwrap_or(0);
    Some([
        (pair(orig_src, reply_dst), pair(orig_dst, reply_src)),
        (pair(reply_src, orig_dst), pair(reply_dst, orig_src)),
    ])
}

/// The one connection that is meant, by the tuple that was given.
pub(super) fn which(order: &Order) -> Result<Which, Failure> {
    let Some([original, reply]) = tuples(order) else {
        return Err(refusal(Tried::Connection, INVALID, None));
    };
    let (tuple, direction) = match order.original.src {
        Some(_) => (original, Direction::Original),
        None => (reply, Direction::Reply),
    };
    Ok(Which {
        tuple,
        direction,
        zone: zone(order),
        id: order.given.has(Opt::Id).then_some(order.id),
    })
}

/// This very entry and no other.
pub(super) fn this(connection: &Connection) -> Which {
    Which {
        tuple: connection.original,
        direction: Direction::Original,
        zone: connection.zone,
        id: Some(connection.id),
    }
}

/// The connection that is to be made.
pub(super) fn creation(order: &Order, labels: LabelBits) -> Result<Change, Failure> {
    let Some([original, reply]) = tuples(order) else {
        return Err(refusal(Tried::Connection, INVALID, None));
    };
    let given = order.given;
    let bits = |value| Masked { value, mask: value };
    Ok(Change {
        original: Some(original),
        reply: Some(reply),
        zone: zone(order),
        timeout: Some(order.timeout),
        status: given
            .has(Opt::Status)
            .then(|| status(order, Status::CONFIRMED)),
        state: state(order),
        mark: order.mark.map(|mark| Masked {
            value: mark.value,
            mask: u32::MAX,
        }),
        labels: given.has(Opt::LabelAdd).then(|| bits(labels.add)),
        src_nat: range(order.src_nat, order.part16(Part::ReplyDst)),
        dst_nat: range(order.dst_nat, order.part16(Part::ReplySrc)),
        ..Change::default()
    })
}

/// What is to become of an entry that is there.
pub(super) fn update(order: &Order, labels: LabelBits, connection: &Connection) -> Change {
    let given = order.given;
    Change {
        original: Some(connection.original),
        zone: connection.zone,
        timeout: given.has(Opt::Timeout).then_some(order.timeout),
        status: given
            .has(Opt::Status)
            .then(|| status(order, connection.status)),
        mark: order.mark.map(|mark| Masked {
            value: mark.value,
            mask: mark.mask,
        }),
        labels: given
            .any(&[Opt::LabelAdd, Opt::LabelDel])
            .then_some(Masked {
                value: labels.add,
                mask: labels.add | labels.del,
            }),
        ..Change::default()
    }
}

/// The status bits that were given, beside those that an entry has: none of them can be taken away.
fn status(order: &Order, has: Status) -> Status {
    Status(has.0 | (order.status.set & 0xffff) as u16)
}

fn state(order: &Order) -> Option<StateChange> {
    let state = order
        .part16(Part::State)
        .and_then(|state| u8::try_from(state).ok());
    match order.protocol? {
        Protocol::TCP => Some(StateChange::Tcp {
            state: Some(state?),
            window_scales: [None; 2],
            flags: [None; 2],
        }),
        Protocol::SCTP => Some(StateChange::Sctp {
            state: Some(state?),
            // Written with their bytes in the order of the packet, see `format::save`.
            tags: [Part::OrigTag, Part::ReplyTag].map(|tag| order.part(tag).map(u32::from_be)),
        }),
        _ => None,
    }
}

/// One address and one port: that of the reply direction if none is given with the address, as commands that
/// were saved have it.
fn range(target: NatTarget, reply: Option<u16>) -> Option<NatRange> {
    (target != NatTarget::default()).then_some(NatRange {
        addresses: target.address.map(|address| (address, address)),
        ports: target.port.or(reply).map(|port| (port, port)),
    })
}

/// What whoever has the table can choose by itself; everything is looked at again when it comes.
///
/// The kernel takes parts of tuples for one family only, and turns the test of IPv6 addresses around, so those
/// are not given to it.
pub(super) fn filter(order: &Order, is_kernels: bool) -> Filter {
    let given = order.given;
    let chooses = order.command != super::options::Command::Update;
    let one_family = order.family.is_some() || !is_kernels;
    let original = parts_of(order, &order.original, [Part::OrigSrc, Part::OrigDst]);
    let reply = parts_of(order, &order.reply, [Part::ReplySrc, Part::ReplyDst]);
    let usable = |parts: TupleParts| {
        let is_v6 = order.family == Some(Family::V6);
        let parts = match is_kernels && is_v6 {
            true => TupleParts {
                src: None,
                dst: None,
                ..parts
            },
            false => parts,
        };
        (one_family && parts != TupleParts::default()).then_some(parts)
    };
    Filter {
        family: family(order),
        mark: order.mark.filter(|_| chooses).map(|mark| Masked {
            value: mark.value,
            mask: mark.mask,
        }),
        status: (chooses && given.has(Opt::Status)).then_some(Masked {
            value: (order.status.set & 0xffff) as u16,
            mask: (order.status.mask & 0xffff) as u16,
        }),
        zone: (given.has(Opt::Zone) && order.zone != 0).then_some(order.zone),
        original: usable(original),
        reply: usable(reply),
    }
}

/// The family that was given, or that of an address.
pub(super) fn family(order: &Order) -> Option<ip_conntrack::Family> {
    order.family.map(|family| match family {
        Family::V4 => ip_conntrack::Family::V4,
        Family::V6 => ip_conntrack::Family::V6,
    })
}

/// Whole addresses, protocol and ports of one direction.
fn parts_of(order: &Order, ends: &Ends, parts: [Part; 2]) -> TupleParts {
    let exact = |net: Option<Net>| net.filter(|net| is_exact(*net)).map(|net| net.address);
    let has_masks = order.mask_src.is_some() || order.mask_dst.is_some();
    let is_original = parts[0] == Part::OrigSrc;
    TupleParts {
        src: exact(ends.src).filter(|_| !has_masks),
        dst: exact(ends.dst).filter(|_| !has_masks),
        protocol: order.protocol.filter(|_| is_original).map(|p| p.0),
        src_part: order.part16(parts[0]),
        dst_part: order.part16(parts[1]),
        ..TupleParts::default()
    }
}

/// Whether all bits of an address count.
fn is_exact(net: Net) -> bool {
    let width = match Family::of(net.address) {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    net.mask.trailing_ones() >= width
}

/// The expectation that is to be made.
pub(super) fn expectation(order: &Order) -> Result<NewExpectation, Failure> {
    let new = new_expectation(order);
    new.ok_or_else(|| refusal(Tried::CreateExpectation, INVALID, None))
}

fn new_expectation(order: &Order) -> Option<NewExpectation> {
    let mask = Ends {
        src: order.mask_src.map(host),
        dst: order.mask_dst.map(host),
    };
    Some(NewExpectation {
        tuple: order.tuple_of(&order.tuple, [Part::TupleSrc, Part::TupleDst])?,
        mask: Some(order.tuple_of(&mask, [Part::MaskSrc, Part::MaskDst])?),
        master: Some(order.tuple_of(&order.original, [Part::OrigSrc, Part::OrigDst])?),
        zone: zone(order),
        timeout: Some(order.timeout),
        flags: ExpectFlags::default(),
        class: 0,
    })
}

fn host(address: IpAddr) -> Net {
    Net {
        address,
        mask: u128::MAX,
    }
}

/// The expectation that is meant: by the tuple of the connection that is expected.
pub(super) fn which_expectation(order: &Order) -> Result<WhichExpectation, Failure> {
    let Some([tuple, _]) = tuples(order) else {
        return Err(refusal(Tried::Expectation, INVALID, None));
    };
    Ok(WhichExpectation {
        tuple,
        zone: zone(order),
        id: None,
    })
}
