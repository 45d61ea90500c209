//! conntrack(8)'s command line: from words to an [`Order`] that is known to make sense.
//!
//! Words are taken apart from left to right ([`words`](mod@words)), their values are read as they come ([`parse`](mod@parse),
//! [`values`]), and when all are there it is checked whether they go together ([`check`]). What there is
//! stands in two declarations, [`declared`] and [`protocol`]; the help is made from the same.

mod check;
mod declared;
mod help;
mod parse;
mod protocol;
mod values;
mod words;

use std::net::IpAddr;
use std::path::PathBuf;

use ip_conntrack::{Protocol, Tuple};

pub(crate) use declared::{Command, Opt, completions};
pub(crate) use help::help;
pub(crate) use parse::parse;
pub(crate) use protocol::{Known, Part};
pub(crate) use values::{Events, Family, Masked, NatTarget, Net, Output, StatusBits, bits};

use crate::conntrack::say::{Failure, usage};
use protocol::PARTS;

/// Which of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum TableName {
    #[default]
    Conntrack,
    Expect,
    Dying,
    Unconfirmed,
}

impl TableName {
    /// Names that may be cut short.
    const NAMES: [(&'static str, TableName); 4] = [
        ("conntrack", TableName::Conntrack),
        ("expect", TableName::Expect),
        ("dying", TableName::Dying),
        ("unconfirmed", TableName::Unconfirmed),
    ];

    fn named(text: &str) -> Result<TableName, Failure> {
        let mut names = TableName::NAMES.iter();
        match names.find(|(name, _)| !text.is_empty() && name.starts_with(text)) {
            Some((_, table)) => Ok(*table),
            None => usage(format!("unknown type `{text}'")),
        }
    }
}

/// Whose table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Kernels,
    /// The daemon's that listens on this path.
    Daemons(PathBuf),
}

/// Where the daemon listens if nothing else is said.
pub(crate) const SOCKET: &str = "/run/ipct/control.sock";

/// A set of options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Given(u64);

impl Given {
    fn add(&mut self, opt: Opt) {
        self.0 |= 1 << opt as u32;
    }

    /// Whether this option was given.
    pub(crate) const fn has(self, opt: Opt) -> bool {
        self.0 >> opt as u32 & 1 == 1
    }

    /// Those that are not among these.
    pub(crate) fn without(self, opts: &[Opt]) -> Given {
        Given(
            opts.iter()
                .fold(self.0, |rest, opt| rest & !(1 << *opt as u32)),
        )
    }

    /// Whether nothing was given.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one of these was given.
    pub(crate) fn any(self, opts: &[Opt]) -> bool {
        opts.iter().any(|opt| self.has(*opt))
    }
}

/// The addresses of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) src: Option<Net>,
    pub(crate) dst: Option<Net>,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) table: TableName,
    pub(crate) whose: Whose,
    pub(crate) given: Given,
    pub(crate) family: Option<Family>,
    pub(crate) original: Ends,
    pub(crate) reply: Ends,
    /// Of an expectation.
    pub(crate) tuple: Ends,
    pub(crate) mask_src: Option<IpAddr>,
    pub(crate) mask_dst: Option<IpAddr>,
    pub(crate) protocol: Option<Protocol>,
    parts: [Option<u32>; PARTS],
    pub(crate) timeout: u32,
    pub(crate) status: StatusBits,
    pub(crate) events: Events,
    pub(crate) mark: Option<Masked>,
    pub(crate) secmark: u32,
    pub(crate) id: u32,
    pub(crate) src_nat: NatTarget,
    pub(crate) dst_nat: NatTarget,
    pub(crate) any_nat: NatTarget,
    pub(crate) output: Output,
    pub(crate) buffer_size: u32,
    pub(crate) zone: u16,
    pub(crate) orig_zone: u16,
    pub(crate) reply_zone: u16,
    /// Names of labels: to be had, given and taken away.
    pub(crate) labels: Vec<String>,
    pub(crate) label_add: Vec<String>,
    pub(crate) label_del: Vec<String>,
    pub(crate) label_map: Option<PathBuf>,
}

impl Order {
    fn new(whose: Whose) -> Order {
        Order {
            command: Command::Help,
            table: TableName::Conntrack,
            whose,
            given: Given::default(),
            family: None,
            original: Ends::default(),
            reply: Ends::default(),
            tuple: Ends::default(),
            mask_src: None,
            mask_dst: None,
            protocol: None,
            parts: [None; PARTS],
            timeout: 0,
            status: StatusBits::default(),
            events: Events::default(),
            mark: None,
            secmark: 0,
            id: 0,
            src_nat: NatTarget::default(),
            dst_nat: NatTarget::default(),
            any_nat: NatTarget::default(),
            output: Output::default(),
            buffer_size: 0,
            zone: 0,
            orig_zone: 0,
            reply_zone: 0,
            labels: Vec::new(),
            label_add: Vec::new(),
            label_del: Vec::new(),
            label_map: None,
        }
    }

    /// What a protocol's option says.
    pub(crate) const fn part(&self, part: Part) -> Option<u32> {
        self.parts[part as usize]
    }

    /// What a protocol's option says that has 16 bits.
    pub(crate) fn part16(&self, part: Part) -> Option<u16> {
        self.part(part).and_then(|value| u16::try_from(value).ok())
    }

    /// What is known of the protocol.
    pub(crate) fn known(&self) -> Option<&'static Known> {
        self.protocol.and_then(protocol::of)
    }

    /// One direction's tuple, if both addresses were given. What the protocol adds is 0 if it was not.
    pub(crate) fn tuple_of(&self, ends: &Ends, parts: [Part; 2]) -> Option<Tuple> {
        let (src_part, dst_part) = match self.part(Part::IcmpType) {
            Some(kind) => {
                let code = self.part16(Part::IcmpCode).unwrap_or(0);
                let kind = u16::try_from(kind).unwrap_or(0);
                (self.part16(Part::IcmpId), Some(kind << 8 | code))
            }
            None => (self.part16(parts[0]), self.part16(parts[1])),
        };
        Some(Tuple {
            src: ends.src?.address,
            dst: ends.dst?.address,
            protocol: self.protocol?,
            src_part: src_part.unwrap_or(0),
            dst_part: dst_part.unwrap_or(0),
        })
    }
}
