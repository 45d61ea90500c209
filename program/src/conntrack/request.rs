//! Requests and what their answers tell: the codec's, as the commands use them.

use ip_conntrack::change::{Change, Which};
use ip_conntrack::expectation::{NewExpectation, WhichExpectation};
use ip_conntrack::format::netlink::{self, Message, Origin, flag, kind};

use super::asked;
use super::options::{Family, Opt, Order, TableName};

/// The entries of a table.
pub(super) fn dump(out: &mut Vec<u8>, origin: Origin, order: &Order, is_kernels: bool) {
    let kind = match order.table {
        TableName::Dying => kind::CT_GET_DYING,
        TableName::Unconfirmed => kind::CT_GET_UNCONFIRMED,
        _ if order.given.has(Opt::Zero) => kind::CT_GET_CTRZERO,
        _ => kind::CT_GET,
    };
    netlink::put_dump(out, origin, kind, &asked::filter(order, is_kernels));
}

pub(super) fn get(out: &mut Vec<u8>, origin: Origin, which: &Which) {
    netlink::put_get(out, origin, which);
}

pub(super) fn delete(out: &mut Vec<u8>, origin: Origin, which: &Which) {
    netlink::put_delete(out, origin, which);
}

pub(super) fn create(out: &mut Vec<u8>, origin: Origin, change: &Change) {
    netlink::put_change(out, origin, flag::CREATE | flag::EXCL, change);
}

pub(super) fn update(out: &mut Vec<u8>, origin: Origin, change: &Change) {
    netlink::put_change(out, origin, 0, change);
}

pub(super) fn flush(out: &mut Vec<u8>, origin: Origin, order: &Order) {
    netlink::put_flush(out, origin, &asked::filter(order, true));
}

pub(super) fn stats(out: &mut Vec<u8>, origin: Origin) {
    netlink::put_stats(out, origin);
}

pub(super) fn entries(message: &Message<'_>) -> Option<u64> {
    netlink::read_entries(message).map(u64::from)
}

pub(super) fn dump_expectations(out: &mut Vec<u8>, origin: Origin, family: Option<Family>) {
    netlink::put_expect_dump(out, origin, family.map_or(0, Family::number));
}

pub(super) fn get_expectation(out: &mut Vec<u8>, origin: Origin, which: &WhichExpectation) {
    netlink::put_expect(out, origin, kind::EXP_GET, Some(which));
}

pub(super) fn delete_expectation(out: &mut Vec<u8>, origin: Origin, which: &WhichExpectation) {
    netlink::put_expect(out, origin, kind::EXP_DELETE, Some(which));
}

pub(super) fn flush_expectations(out: &mut Vec<u8>, origin: Origin) {
    netlink::put_expect(out, origin, kind::EXP_DELETE, None);
}

pub(super) fn create_expectation(out: &mut Vec<u8>, origin: Origin, new: &NewExpectation) {
    netlink::put_expect_new(out, origin, new);
}
