//! What options' arguments mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::Status;

use crate::conntrack::say::{Failure, failed, usage};

/// An IP version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of an address.
    pub(crate) const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// As `-f` names it.
    pub(super) fn named(text: &str) -> Result<Family, Failure> {
        match text {
            "ipv4" => Ok(Family::V4),
            "ipv6" => Ok(Family::V6),
            _ => usage(format!("`{text}' unsupported protocol")),
        }
    }
}

/// An address and the bits of it that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Net {
    pub(crate) address: IpAddr,
    pub(crate) mask: u128,
}

/// Where a translated connection leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct NatTarget {
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

/// A value, and the bits that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Masked {
    pub(crate) value: u32,
    pub(crate) mask: u32,
}

/// The bits of an address, IPv4 in the lowest 32.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The mask of so many leading bits.
fn leading(family: Family, length: u32) -> Option<u128> {
    let width = width(family);
    let all = u128::MAX >> (128 - width);
    let host = width.checked_sub(length)?;
    // A shift by all 128 bits is none.
    Some(all & u128::MAX.checked_shl(host).unwrap_or(0))
}

const fn width(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

pub(super) fn address(text: &str) -> Result<IpAddr, Failure> {
    let v4 = text.parse::<Ipv4Addr>().map(IpAddr::V4);
    match v4.or_else(|_| text.parse::<Ipv6Addr>().map(IpAddr::V6)) {
        Ok(address) => Ok(address),
        Err(_) => usage(format!("Invalid IP address `{text}'")),
    }
}

/// `ADDRESS` or `ADDRESS/LENGTH`; an empty length is none.
pub(super) fn net(text: &str) -> Result<Net, Failure> {
    let (plain, length) = text.split_once('/').unwrap_or((text, ""));
    let address = address(plain)?;
    let family = Family::of(address);
    let length = match length {
        "" => Some(width(family)),
        length => length.parse().ok(),
    };
    match length.and_then(|length| leading(family, length)) {
        Some(mask) => Ok(Net { address, mask }),
        None => usage("Invalid netmask"),
    }
}

/// An address that takes no length.
pub(super) fn host(text: &str, option: &str) -> Result<IpAddr, Failure> {
    if text.contains('/') {
        return usage(format!("CIDR notation unavailable for `--{option}'"));
    }
    address(text)
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`.
pub(super) fn nat_target(text: &str, option: &str) -> Result<NatTarget, Failure> {
    let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (text, None),
        },
    };
    let port = match split.1 {
        Some(port) => match port.parse() {
            Ok(port) => Some(port),
            Err(_) => return usage(format!("Invalid port `{port}'")),
        },
        None => None,
    };
    let address = match split.0 {
        "" if port.is_some() => None,
        address => Some(host(address, option)?),
    };
    Ok(NatTarget { address, port })
}

/// A number as C writes it: decimal, `0x` and hexadecimal, `0` and octal. `option` is the name to be
/// blamed, with its dashes.
pub(super) fn number(text: &str, max: u32, option: &str) -> Result<u32, Failure> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    let starts_well = digits.chars().next().is_some_and(|c| c.is_digit(base));
    let number = u32::from_str_radix(digits, base).ok();
    match number.filter(|number| starts_well && *number <= max) {
        Some(number) => Ok(number),
        None => failed(format!("unexpected value '{text}' with {option} option")),
    }
}

/// `MARK` or `MARK/MASK`.
pub(super) fn masked(text: &str, option: &str) -> Result<Masked, Failure> {
    let Some((value, mask)) = text.split_once('/') else {
        let value = number(text, u32::MAX, option)?;
        return Ok(Masked {
            value,
            mask: u32::MAX,
        });
    };
    Ok(Masked {
        value: number(value, u32::MAX, option)?,
        mask: number(mask, u32::MAX, option)?,
    })
}

/// Status bits that an entry is to have, of those that are looked at; for a new entry, the bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct StatusBits {
    pub(crate) set: u32,
    pub(crate) mask: u32,
}

/// The names of status bits. Both kinds of offload are beyond what the engine has.
const STATUS: [(&str, u32); 6] = [
    ("ASSURED", Status::ASSURED.0 as u32),
    ("SEEN_REPLY", Status::SEEN_REPLY.0 as u32),
    ("FIXED_TIMEOUT", Status::FIXED_TIMEOUT.0 as u32),
    ("EXPECTED", Status::EXPECTED.0 as u32),
    ("OFFLOAD", 1 << 14),
    ("HW_OFFLOAD", 1 << 15),
];

/// Status bits by name, in any case. `UNSET` is none; with `!` a bit that is not to be there.
pub(super) fn status(text: &str) -> Result<StatusBits, Failure> {
    let mut bits = StatusBits::default();
    for word in text.split(',') {
        let upper = word.to_ascii_uppercase();
        let (plain, wanted) = match upper.strip_prefix('!') {
            Some(plain) => (plain, false),
            None => (upper.as_str(), true),
        };
        let named = STATUS.iter().find(|(name, _)| *name == plain);
        match (named, plain, wanted) {
            (Some((_, bit)), _, _) => {
                bits.mask |= bit;
                bits.set |= if wanted { *bit } else { 0 };
            }
            (None, "UNREPLIED", true) => bits.mask |= u32::from(Status::SEEN_REPLY.0),
            (None, "UNSET", true) => {}
            _ => {
                let word = word.strip_prefix('!').unwrap_or(word);
                return usage(format!("Bad parameter `{word}'"));
            }
        }
    }
    Ok(bits)
}

/// The events to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Events {
    pub(crate) new: bool,
    pub(crate) update: bool,
    pub(crate) destroy: bool,
}

impl Events {
    /// All of them.
    pub(crate) const ALL: Events = Events {
        new: true,
        update: true,
        destroy: true,
    };

    pub(super) fn add(&mut self, text: &str) -> Result<(), Failure> {
        for word in text.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "ALL" => *self = Events::ALL,
                "NEW" => self.new = true,
                "UPDATES" => self.update = true,
                "DESTROY" => self.destroy = true,
                _ => return usage(format!("Bad parameter `{word}'")),
            }
        }
        Ok(())
    }
}

/// The forms that `-o` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Output {
    pub(crate) extended: bool,
    pub(crate) xml: bool,
    pub(crate) save: bool,
    pub(crate) id: bool,
    pub(crate) timestamp: bool,
    pub(crate) ktimestamp: bool,
    pub(crate) labels: bool,
    pub(crate) userspace: bool,
}

impl Output {
    pub(super) fn add(&mut self, text: &str) -> Result<(), Failure> {
        for word in text.split(',') {
            *match word.to_ascii_lowercase().as_str() {
                "extended" => &mut self.extended,
                "xml" => &mut self.xml,
                "save" => &mut self.save,
                "id" => &mut self.id,
                "timestamp" => &mut self.timestamp,
                "ktimestamp" => &mut self.ktimestamp,
                "labels" => &mut self.labels,
                "userspace" => &mut self.userspace,
                _ => return usage(format!("Bad parameter `{word}'")),
            } = true;
        }
        let alone = Output {
            save: true,
            ..Output::default()
        };
        if self.save && *self != alone {
            return failed(
                "cannot combine save output with any other output type, use -o save only",
            );
        }
        Ok(())
    }
}
