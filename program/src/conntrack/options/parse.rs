//! From words to an order: each option as it comes, with what it means at once.

use super::declared::{self, Command, Opt};
use super::protocol::{self, PartOption, Written};
use super::values::{self, Family};
use super::words::{Item, Named, Words};
use super::{Net, Order, SOCKET, TableName, Whose, check};
use crate::conntrack::say::{Failure, Voice, note, usage};

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
            Opt::NatRange => note("WARNING: ignoring -a, deprecated option."),
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
