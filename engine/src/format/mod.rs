//! Text forms of entries, events and counters.
//!
//! Scripts read what netfilter's tools and `/proc` files print, so these forms are kept to the
//! byte: order of the fields, blanks, what is left out and when. Where two forms show the same
//! thing differently (`use=` is one higher in `/proc`, `zone=0` appears there and nowhere else) both
//! habits are kept, because a parser written for one would stumble over the other. JSON is the one
//! form that is our own.
//!
//! - [`mod@line`]: the `/proc` files of old and new kernels, `conntrack -L` and `conntrack -E`;
//! - [`xml`]: `-o xml`;
//! - [`save`]: `-o save`, the commands that would make the entries;
//! - [`expect`]: expectations, in all of these;
//! - [`json`]: one object a line, for `jq`;
//! - [`stats`]: `conntrack -S` and the two `/proc/net/stat` files;
//! - [`netlink`]: no text, but ctnetlink's messages, both ways.
//!
//! Rules for all of them:
//!
//! - Everything is appended to a `Vec<u8>`, which stays valid UTF-8 if it was before. Bytes rather
//!   than a `String`, because numbers are most of the text and need no check when they are copied
//!   as bytes; `core::fmt` is kept to the short form of IPv6 addresses. A listing clears and reuses
//!   one buffer.
//! - Whatever is one line in the form ends with its newline, also where it is the last one.
//! - Names that came from outside (helpers, labels, security contexts) cannot break a form: they
//!   are escaped where the form has escapes, and lose blanks and control characters where not.
//! - Nothing is looked up. Local time and label names come from the caller, in [`Options`].

mod attributes;
mod date;
pub mod expect;
pub mod json;
pub mod line;
pub mod netlink;
mod put;
pub mod save;
pub mod stats;
pub mod xml;

pub use attributes::Told;

use crate::tuple::Protocol;

/// Seconds that local time is ahead of UTC, for a moment in seconds since the Unix epoch.
pub type UtcOffset = fn(i64) -> i64;

/// What the tool's `-o` selects, and what it needs for that.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Begin with the network protocol's name and number.
    pub extended: bool,
    /// Show `id=`.
    pub id: bool,
    /// Begin an event with its time.
    pub timestamp: bool,
    /// Show when the entry was confirmed and when it ended, if it knows.
    pub ktimestamp: bool,
    /// Show labels, by the names given here: bit number and name. `None`: do not.
    pub labels: Option<&'a [(u8, &'a str)]>,
    /// For the forms that show local time.
    pub utc_offset: UtcOffset,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            extended: false,
            id: false,
            timestamp: false,
            ktimestamp: false,
            labels: None,
            utc_offset: utc,
        }
    }
}

/// The offset of whoever lives by UTC.
const fn utc(_: i64) -> i64 {
    0
}

/// The name as the tool prints it. It knows DCCP, which `/proc` calls `unknown`.
const fn tool_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::DCCP => "dccp",
        _ => protocol.name(),
    }
}

/// Whether the tool shows ports, which it does for DCCP too, although they are never known.
const fn tool_has_ports(protocol: Protocol) -> bool {
    protocol.has_ports() || matches!(protocol, Protocol::DCCP)
}

/// The numbers of the labels that are set, lowest first.
fn label_bits(labels: u128) -> impl Iterator<Item = u8> {
    (0..128).filter(move |bit| labels >> bit & 1 == 1)
}

/// The name of label `bit`.
fn label_name<'a>(names: &[(u8, &'a str)], bit: u8) -> Option<&'a str> {
    let mut found = names.iter().filter(|(number, _)| *number == bit);
    found.next().map(|(_, name)| *name)
}

/// The names of the labels that are set and have one, in the order of their numbers.
fn named_labels<'a>(labels: u128, names: &[(u8, &'a str)]) -> impl Iterator<Item = &'a str> {
    label_bits(labels).filter_map(move |bit| label_name(names, bit))
}
