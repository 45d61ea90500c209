//! Whether what was given goes together. Of several things that are wrong the first in the order of the
//! declarations is named: what is missing and what is too much, then pairs, then what excludes each other.

use std::net::IpAddr;

use super::declared::{COMMANDS, Command, OPTIONS, Opt};
use super::protocol::{Part, PartOption};
use super::{Net, Order, TableName};
use crate::conntrack::say::{Failure, usage};

/// Options that choose entries, which `-z` cannot be given with.
const CHOOSING: &[Opt] = &[
    Opt::Src,
    Opt::Dst,
    Opt::ReplySrc,
    Opt::ReplyDst,
    Opt::Protocol,
    Opt::Status,
    Opt::Mark,
    Opt::Secmark,
    Opt::SrcNat,
    Opt::DstNat,
    Opt::AnyNat,
    Opt::Zone,
    Opt::OrigZone,
    Opt::ReplyZone,
    Opt::Label,
    Opt::Id,
];

/// # Errors
///
/// The line makes no sense; the first reason found.
pub(super) fn check(order: &Order) -> Result<(), Failure> {
    table(order)?;
    options(order)?;
    addresses(order)?;
    parts(order)?;
    together(order)
}

/// The letter of the command in rules.
fn letter(command: Command) -> char {
    let declared = COMMANDS.iter().find(|c| c.command == command);
    declared.map_or('h', |declared| declared.letter)
}

/// Which of the two sets of rules holds.
fn side(order: &Order) -> usize {
    usize::from(order.table == TableName::Expect)
}

fn table(order: &Order) -> Result<(), Failure> {
    match (order.command, order.table) {
        (Command::List, _) | (_, TableName::Conntrack) => Ok(()),
        (Command::Add, TableName::Expect) => usage("Can't do --add on expectations"),
        (Command::Update, TableName::Expect) => usage("Can't do --update on expectations"),
        (_, TableName::Expect) => Ok(()),
        (_, TableName::Dying | TableName::Unconfirmed) => {
            usage("Can't do that command with tables `dying' and `unconfirmed'")
        }
    }
}

fn options(order: &Order) -> Result<(), Failure> {
    let (letter, side) = (letter(order.command), side(order));
    for declared in OPTIONS {
        let (may, must) = (declared.may[side], declared.must[side]);
        rule(
            order.given.has(declared.opt),
            may.contains(letter),
            must.contains(letter),
            declared.name(),
        )?;
    }
    Ok(())
}

fn rule(given: bool, may: bool, must: bool, name: &str) -> Result<(), Failure> {
    match (given, may || must, must) {
        (false, _, true) => usage(format!(
            "You need to supply the `--{name}' option for this command"
        )),
        (true, false, _) => usage(format!("Illegal option `--{name}' with this command")),
        _ => Ok(()),
    }
}

/// Whether the command is about one tuple, which has to be whole.
fn needs_tuple(order: &Order) -> bool {
    matches!(order.command, Command::Create | Command::Add | Command::Get)
        || order.command == Command::Delete && order.table == TableName::Expect
}

fn addresses(order: &Order) -> Result<(), Failure> {
    if !needs_tuple(order) {
        return Ok(());
    }
    let (original, reply) = (order.original, order.reply);
    let names = ["src", "dst", "reply-src", "reply-dst"];
    let given = [
        original.src.is_some(),
        original.dst.is_some(),
        reply.src.is_some(),
        reply.dst.is_some(),
    ];
    pairs(given, names)
}

/// The original pair, the reply pair or both. A new connection may have one half of the second: what
/// is missing is mirrored.
fn pairs(given: [bool; 4], names: [&str; 4]) -> Result<(), Failure> {
    let [src, dst, reply_src, reply_dst] = given;
    let both = |a: &str, b: &str| usage(format!("you have to specify `--{a}' and `--{b}'"));
    if src && dst {
        return Ok(());
    }
    if !(src || dst) && reply_src && reply_dst {
        return Ok(());
    }
    if !(src || dst) && (reply_src || reply_dst) {
        return both(names[2], names[3]);
    }
    both(names[0], names[1])
}

fn parts(order: &Order) -> Result<(), Failure> {
    let Some(known) = order.known() else {
        return Ok(());
    };
    let (letter, side) = (letter(order.command), side(order));
    for option in known.options() {
        let (may, must) = (option.may[side], option.must[side]);
        let given = order.part(option.part).is_some();
        rule(
            given,
            may.contains(letter),
            must.contains(letter),
            option.name(),
        )?;
    }
    let tuple = [Part::OrigSrc, Part::OrigDst, Part::ReplySrc, Part::ReplyDst];
    let options = tuple.map(|part| known.option(part));
    if !needs_tuple(order) || options[0].is_none() {
        return Ok(());
    }
    pairs(
        tuple.map(|part| order.part(part).is_some()),
        options.map(|option| option.map_or("", PartOption::name)),
    )
}

fn together(order: &Order) -> Result<(), Failure> {
    let given = order.given;
    if given.has(Opt::AnyNat) && given.any(&[Opt::SrcNat, Opt::DstNat]) {
        return usage("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'");
    }
    if given.has(Opt::Zero) && given.any(CHOOSING) {
        return usage("Can't use -z with filtering parameters");
    }
    if given.has(Opt::LabelAdd) && given.has(Opt::LabelDel) {
        return usage("cannot use --label-add and --label-del at the same time");
    }
    if given.has(Opt::Kernel) && given.any(&[Opt::Ipct, Opt::Socket]) {
        return usage("cannot specify `--ipct' or `--socket' with `--kernel'");
    }
    let sets = matches!(
        order.command,
        Command::Create | Command::Add | Command::Update
    );
    if sets && order.status.mask != order.status.set {
        return usage("a status bit can be set with this command, not taken away");
    }
    if order.table == TableName::Expect {
        return Ok(());
    }
    mask(order.original.src, order.mask_src, "src")?;
    mask(order.original.dst, order.mask_dst, "dst")
}

/// A mask needs something to be laid on.
fn mask(net: Option<Net>, mask: Option<IpAddr>, name: &str) -> Result<(), Failure> {
    match (net, mask) {
        (None, Some(_)) => usage(format!("Can't use --mask-{name} without --{name}")),
        _ => Ok(()),
    }
}
