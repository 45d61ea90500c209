//! Which entries are meant: everything that was given has to hold.
//!
//! Options of the original direction are held against the original tuple, those of the reply direction
//! against the reply tuple. An option that was not given is held against nothing. With `-U`, mark, timer, status
//! and labels are what is to be set, and so choose nothing; with `-D` the timer is compared.
//!
//! Zones: an entry has a zone of both directions (`-w`) or of one (`--orig-zone`, `--reply-zone`); it counts
//! as zone 0 in the kinds that it does not have.

use std::net::IpAddr;

use ip_conntrack::{Connection, State, Status, Tuple, Zone, ZoneDirections};

use super::options::{Command, Ends, Family, Masked, NatTarget, Net, Opt, Order, Part, bits};

/// What entries are compared with.
pub(crate) struct Filter<'a> {
    order: &'a Order,
    original: Ends,
    labels: u128,
    /// Whether there is nothing to compare.
    takes_all: bool,
}

/// Options that choose nothing.
const NOT_CHOOSING: &[Opt] = &[
    Opt::Zero,
    Opt::EventMask,
    Opt::NatRange,
    Opt::Output,
    Opt::BufferSize,
    Opt::LabelAdd,
    Opt::LabelDel,
    Opt::LabelMap,
    Opt::Kernel,
    Opt::Ipct,
    Opt::Socket,
];

impl<'a> Filter<'a> {
    /// The filter of an order; `labels` are the bits of its labels.
    pub(crate) fn new(order: &'a Order, labels: u128) -> Filter<'a> {
        let ends = order.original;
        Filter {
            order,
            original: Ends {
                src: ends.src.map(|net| masked(net, order.mask_src)),
                dst: ends.dst.map(|net| masked(net, order.mask_dst)),
            },
            labels,
            takes_all: order.given.without(NOT_CHOOSING).is_empty(),
        }
    }

    /// Whether an entry is meant.
    pub(crate) fn takes(&self, connection: &Connection) -> bool {
        self.takes_all
            || self.has_addresses(connection)
                && self.has_parts(connection)
                && self.has_numbers(connection)
                && self.is_translated(connection)
    }

    fn has_addresses(&self, connection: &Connection) -> bool {
        let family = match connection.original.is_ipv6() {
            true => Family::V6,
            false => Family::V4,
        };
        self.order.family.is_none_or(|wanted| wanted == family)
            && within(self.original, &connection.original)
            && within(self.order.reply, &connection.reply)
    }

    fn has_parts(&self, connection: &Connection) -> bool {
        let (original, reply) = (&connection.original, &connection.reply);
        let order = self.order;
        let is = |part, value: u32| order.part(part).is_none_or(|wanted| wanted == value);
        order.protocol.is_none_or(|p| p == original.protocol)
            && is(Part::OrigSrc, original.src_part.into())
            && is(Part::OrigDst, original.dst_part.into())
            && is(Part::ReplySrc, reply.src_part.into())
            && is(Part::ReplyDst, reply.dst_part.into())
            && is(Part::IcmpType, original.icmp_type().into())
            && is(Part::IcmpCode, original.icmp_code().into())
            && is(Part::IcmpId, original.src_part.into())
            && order.part(Part::State).is_none_or(|wanted| {
                state_number(&connection.state).is_some_and(|number| number == wanted)
            })
    }

    fn has_numbers(&self, connection: &Connection) -> bool {
        let (order, given) = (self.order, self.order.given);
        (!given.has(Opt::Secmark) || connection.secmark == order.secmark)
            && (!given.has(Opt::Id) || connection.id == order.id)
            && connection.labels & self.labels == self.labels
            && self.has_what_can_be_set(connection)
            && self.has_zones(connection.zone)
    }

    fn has_what_can_be_set(&self, connection: &Connection) -> bool {
        let order = self.order;
        let status = u32::from(connection.status.0);
        let timeout = Some(u64::from(order.timeout));
        let compares_timeout = order.command == Command::Delete && order.given.has(Opt::Timeout);
        order.command == Command::Update
            || order
                .mark
                .is_none_or(|mark| has_mark(mark, connection.mark))
                && status & order.status.mask == order.status.set
                && (!compares_timeout || connection.timeout == timeout)
    }

    fn has_zones(&self, zone: Zone) -> bool {
        let order = self.order;
        let kinds = [
            (Opt::Zone, ZoneDirections::Both, order.zone),
            (Opt::OrigZone, ZoneDirections::Original, order.orig_zone),
            (Opt::ReplyZone, ZoneDirections::Reply, order.reply_zone),
        ];
        kinds.iter().all(|(opt, applies, wanted)| {
            let id = if zone.applies == *applies { zone.id } else { 0 };
            !order.given.has(*opt) || id == *wanted
        })
    }

    fn is_translated(&self, connection: &Connection) -> bool {
        let (order, reply) = (self.order, &connection.reply);
        let has = |bit, target: NatTarget, address: IpAddr, part: u16| {
            connection.status.has(bit)
                && target.address.is_none_or(|wanted| wanted == address)
                && target.port.is_none_or(|wanted| wanted == part)
        };
        let src = |target| has(Status::SRC_NAT, target, reply.dst, reply.dst_part);
        let dst = |target| has(Status::DST_NAT, target, reply.src, reply.src_part);
        let given = order.given;
        (!given.has(Opt::SrcNat) || src(order.src_nat))
            && (!given.has(Opt::DstNat) || dst(order.dst_nat))
            && (!given.has(Opt::AnyNat) || src(order.any_nat) || dst(order.any_nat))
    }
}

/// The net with a mask that was given apart.
fn masked(net: Net, mask: Option<IpAddr>) -> Net {
    Net {
        mask: mask.map_or(net.mask, bits),
        ..net
    }
}

fn within(ends: Ends, tuple: &Tuple) -> bool {
    let is_in = |net: Option<Net>, address: IpAddr| {
        net.is_none_or(|net| {
            Family::of(net.address) == Family::of(address)
                && (bits(net.address) ^ bits(address)) & net.mask == 0
        })
    };
    is_in(ends.src, tuple.src) && is_in(ends.dst, tuple.dst)
}

const fn has_mark(wanted: Masked, mark: u32) -> bool {
    mark & wanted.mask == wanted.value
}

/// The state's number in ctnetlink.
fn state_number(state: &State) -> Option<u32> {
    match state {
        State::Tcp { state, .. } => Some(*state as u32),
        State::Sctp { state, .. } => Some(*state as u32),
        State::Stateless | State::Gre { .. } => None,
    }
}
