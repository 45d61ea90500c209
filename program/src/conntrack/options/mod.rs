//! conntrack(8)'s command line: from words to an [`Order`] that is known to make sense.
//!
//! Words are taken apart from left to right ([`words`]), their values are read as they come
//! ([`values`]), and when all are there it is checked whether they go together ([`check`]). What there is
//! stands in two declarations, [`declared`] and [`protocol`]; the help is made from the same.

mod check;
mod declared;
mod help;
mod protocol;
mod values;
mod words;

use std::net::IpAddr;
use std::path::PathBuf;

use ip_conntrack::{Protocol, Tuple};

pub(crate) use declared::{Command, Opt, words};
pub(crate) use help::help;
pub(crate) use protocol::{Known, Part};
pub(crate) use values::{Events, Family, Masked, NatTarget, Net, Output, StatusBits, bits};

use crate::conntrack::say::{Failure, Voice, usage};
use protocol::{PARTS, PartOption, Written};
use words::{Item, Named, Words};

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
const SOCKET: &str = "/run/ipct/control.sock";

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

/// Reads a command line. `whose` is whose table is meant if the line does not say.
pub(crate) fn parse(words: &[String], voice: Voice) -> Result<Order, Failure> {
    let whose = match voice {
        Voice::Ipct => Whose::Daemons(SOCKET.into()),
        Voice::Conntrack => Whose::Kernels,
    };
    let mut parser = Parser {
        order: Order::new(whose),
        command: None,
        family_of: None,
    };
    let mut words = Words::new(words);
    while let Some(item) = words.next(parser.order.known())? {
        match item {
            Item::Named(Named::Command(declared), table) => parser.command(declared, table)?,
            Item::Named(Named::Option(declared), argument) => {
                let name = match declared.short {
                    Some(short) => format!("-{short}"),
                    None => format!("--{}", declared.name()),
                };
                parser.option(declared.opt, &argument.unwrap_or_default(), &name)?;
            }
            Item::Named(Named::Part(option), argument) => {
                parser.part(option, &argument.unwrap_or_default())?;
            }
            Item::Word(word) => return usage(format!("unknown argument `{word}'")),
        }
    }
    let order = parser.finish()?;
    check::check(&order)?;
    Ok(order)
}

struct Parser {
    order: Order,
    command: Option<Command>,
    /// The family that an address told.
    family_of: Option<Family>,
}

impl Parser {
    fn command(
        &mut self,
        declared: &declared::DeclaredCommand,
        table: Option<String>,
    ) -> Result<(), Failure> {
        if self.command.replace(declared.command).is_some() {
            return usage("Invalid commands combination");
        }
        if let Some(table) = table {
            self.order.table = TableName::named(&table)?;
        }
        Ok(())
    }

    fn option(&mut self, opt: Opt, text: &str, name: &str) -> Result<(), Failure> {
        self.order.given.add(opt);
        match opt {
            Opt::Src | Opt::Dst | Opt::TupleSrc | Opt::TupleDst => self.net(opt, text),
            Opt::ReplySrc | Opt::ReplyDst | Opt::MaskSrc | Opt::MaskDst => self.host(opt, text),
            Opt::SrcNat | Opt::DstNat | Opt::AnyNat => self.nat(opt, text),
            Opt::Family => {
                let family = Family::named(text)?;
                self.is_of(family)
            }
            Opt::Protocol => match protocol::by_name(text) {
                Some((protocol, _)) => {
                    self.order.protocol = Some(protocol);
                    Ok(())
                }
                None => usage(format!("`{text}' unsupported protocol")),
            },
            _ => self.plain(opt, text, name),
        }
    }

    /// Options that say nothing about addresses.
    fn plain(&mut self, opt: Opt, text: &str, name: &str) -> Result<(), Failure> {
        let order = &mut self.order;
        let number = |max| values::number(text, max, name);
        let zone = || number(0xffff).map(|zone| u16::try_from(zone).unwrap_or(0));
        match opt {
            Opt::Timeout => order.timeout = number(u32::MAX)?,
            Opt::Status => order.status = values::status(text)?,
            Opt::EventMask => order.events.add(text)?,
            Opt::NatRange => {
                crate::conntrack::say::note("WARNING: ignoring -a, deprecated option.")
            }
            Opt::Mark => order.mark = Some(values::masked(text, name)?),
            Opt::Id => order.id = number(u32::MAX)?,
            Opt::Output => order.output.add(text)?,
            Opt::Secmark => order.secmark = number(u32::MAX)?,
            Opt::BufferSize => order.buffer_size = number(i32::MAX as u32)?,
            Opt::Zone => order.zone = zone()?,
            Opt::OrigZone => order.orig_zone = zone()?,
            Opt::ReplyZone => order.reply_zone = zone()?,
            Opt::Label => order.labels.extend(list(text)),
            Opt::LabelAdd => order.label_add.extend(list(text)),
            Opt::LabelDel if text.is_empty() => {}
            Opt::LabelDel => order.label_del.extend(list(text)),
            Opt::LabelMap => order.label_map = Some(text.into()),
            Opt::Kernel => order.whose = Whose::Kernels,
            Opt::Ipct if order.whose == Whose::Kernels => {
                order.whose = Whose::Daemons(SOCKET.into());
            }
            Opt::Socket => order.whose = Whose::Daemons(text.into()),
            _ => {}
        }
        Ok(())
    }

    fn net(&mut self, opt: Opt, text: &str) -> Result<(), Failure> {
        let net = values::net(text)?;
        let order = &mut self.order;
        *match opt {
            Opt::Src => &mut order.original.src,
            Opt::Dst => &mut order.original.dst,
            Opt::TupleSrc => &mut order.tuple.src,
            _ => &mut order.tuple.dst,
        } = Some(net);
        self.is_of(Family::of(net.address))
    }

    fn host(&mut self, opt: Opt, text: &str) -> Result<(), Failure> {
        let name = declared::OPTIONS.iter().find(|o| o.opt == opt);
        let address = values::host(text, name.map_or("", declared::Declared::name))?;
        let all = Net {
            address,
            mask: u128::MAX,
        };
        let order = &mut self.order;
        match opt {
            Opt::ReplySrc => order.reply.src = Some(all),
            Opt::ReplyDst => order.reply.dst = Some(all),
            Opt::MaskSrc => order.mask_src = Some(address),
            _ => order.mask_dst = Some(address),
        }
        self.is_of(Family::of(address))
    }

    fn nat(&mut self, opt: Opt, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let name = declared::OPTIONS.iter().find(|o| o.opt == opt);
        let target = values::nat_target(text, name.map_or("", declared::Declared::name))?;
        let order = &mut self.order;
        *match opt {
            Opt::SrcNat => &mut order.src_nat,
            Opt::DstNat => &mut order.dst_nat,
            _ => &mut order.any_nat,
        } = target;
        match target.address {
            Some(address) => self.is_of(Family::of(address)),
            None => Ok(()),
        }
    }

    /// All addresses and `-f` are of one family.
    fn is_of(&mut self, family: Family) -> Result<(), Failure> {
        if *self.family_of.get_or_insert(family) != family {
            return usage("mismatched address family");
        }
        Ok(())
    }

    fn part(&mut self, option: &PartOption, text: &str) -> Result<(), Failure> {
        let known = self.order.known();
        let value = match option.written {
            Written::Number(max) => {
                values::number(text, max, &format!("--{}", option.name())).map(Some)?
            }
            Written::State => known.and_then(|known| known.state(text)),
            Written::Role => ["client", "server"]
                .iter()
                .position(|role| *role == text)
                .and_then(|role| u32::try_from(role).ok()),
        };
        let Some(value) = value else {
            let title = known.map_or("", |known| known.title);
            return usage(format!("unknown {title} {} `{text}'", option.name()));
        };
        self.order.parts[option.part as usize] = Some(value);
        Ok(())
    }

    fn finish(mut self) -> Result<Order, Failure> {
        self.order.family = self.family_of;
        // Options without a command ask for nothing; an empty line asks for help.
        self.order.command = match self.command {
            Some(command) => command,
            None => Command::Help,
        };
        Ok(self.order)
    }
}

/// Names between commas.
fn list(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(',').map(str::to_owned)
}
