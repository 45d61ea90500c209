//! The helpers that there are, by name: for which connections, and what they may expect.
//!
//! A helper reads the data of a connection for others that it announces. None reads anything yet: the table
//! here is what Linux's helpers are called and how many expectations of each class they may have, so that a
//! connection can be given one by hand, and what is expected can be told by whoever reads the data.
//!
//! Source: netfilter-behaviour, "helpers"; names, limits and times are Linux's.

use crate::change::Family;
use crate::tuple::Protocol;

/// A class of expectations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    /// A connection may have so many of it at once.
    pub(crate) most: u32,
    /// They live so long, in seconds.
    pub(crate) secs: u32,
}

/// A helper.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) name: &'static str,
    protocols: &'static [Protocol],
    has_v6: bool,
    pub(crate) classes: &'static [Class],
}

const fn class(most: u32, secs: u32) -> Class {
    Class { most, secs }
}

const TCP: &[Protocol] = &[Protocol::TCP];
const UDP: &[Protocol] = &[Protocol::UDP];

macro_rules! helpers {
    ($($name:literal $protocols:expr, $has_v6:literal, [$($class:expr),+];)*) => {
        static HELPERS: &[Helper] = &[$(Helper {
            name: $name,
            protocols: $protocols,
            has_v6: $has_v6,
            classes: &[$($class),+],
        }),*];
    };
}

helpers! {
    "ftp" TCP, true, [class(1, 300)];
    "tftp" UDP, true, [class(1, 300)];
    "irc" TCP, false, [class(8, 300)];
    "sip" &[Protocol::TCP, Protocol::UDP], true,
        [class(1, 180), class(4, 180), class(4, 180), class(2, 180)];
    "amanda" UDP, true, [class(4, 180)];
    "pptp" TCP, false, [class(2, 300)];
    "netbios-ns" UDP, false, [class(1, 3)];
    "snmp" UDP, false, [class(1, 30)];
    "sane" TCP, true, [class(1, 300)];
    "RAS" UDP, true, [class(32, 240)];
    "Q.931" TCP, true, [class(20, 240)];
    // Over TCP in truth; but Linux knows it by this, and by no other.
    "H.245" UDP, true, [class(18, 240)];
}

/// The helper of that name, if it is one for such connections.
pub(crate) fn find(name: &str, protocol: Protocol, family: Family) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| {
        helper.name == name
            && helper.protocols.contains(&protocol)
            && (family == Family::V4 || helper.has_v6)
    })
}
