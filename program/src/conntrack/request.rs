//! Requests, as the commands make them.

use ip_conntrack::Which;
use ip_conntrack::format::netlink::{Ask, List};

use super::asked;
use super::options::{Opt, Order, TableName};

/// The entries of a table.
pub(super) fn list(order: &Order, is_kernels: bool) -> Ask {
    Ask::List {
        list: match order.table {
            TableName::Dying => List::Dying,
            TableName::Unconfirmed => List::Unconfirmed,
            TableName::Conntrack | TableName::Expect => List::Table,
        },
        filter: asked::filter(order, is_kernels),
        zero: order.given.has(Opt::Zero),
    }
}

/// One entry. Linux looks for it by its tuple and its zone.
pub(super) fn get(which: Which) -> Ask {
    Ask::Get {
        which: Which { id: None, ..which },
        zero: false,
    }
}
