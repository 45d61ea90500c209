//! A line of text: words, and what they look like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ip_conntrack::{Protocol, ProtocolState, SctpState, TcpState};

use super::{Form, Line};
use crate::flow::{Flow, Host};

/// What the words of a line said so far.
#[derive(Default)]
struct Said {
    protocol: Option<u8>,
    family_first: bool,
    /// Whole numbers before the first address.
    numbers: [Option<u64>; 3],
    state: Option<ProtocolState>,
    sides: [Side; 2],
    /// How many `src=` there were.
    tuples: usize,
    unreplied: bool,
    assured: bool,
    age: Option<u64>,
    last_was_code: bool,
    is_event: bool,
}

#[derive(Clone, Copy, Default)]
struct Side {
    src: Option<Host>,
    dst: Option<Host>,
    sport: u16,
    dport: u16,
    packets: Option<u64>,
    bytes: Option<u64>,
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> (Line, Form) {
    let mut said = Said::default();
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return (Line::Nothing, Form::Plain);
    };
    if first == b"conntrack" || first.starts_with(b"#") {
        return (Line::Nothing, Form::Plain);
    }
    said.first_word(first);
    for word in words {
        said.word(word);
    }
    let form = if said.family_first {
        Form::Extended
    } else {
        Form::Plain
    };
    (said.entry().map_or(Line::Unreadable, Line::Entry), form)
}

impl Said {
    fn first_word(&mut self, word: &[u8]) {
        match word {
            b"ipv4" | b"ipv6" => self.family_first = true,
            word if word.starts_with(b"[") => self.is_event = true,
            word => self.protocol = protocol_number(word),
        }
    }

    fn word(&mut self, word: &[u8]) {
        let last_was_code = std::mem::take(&mut self.last_was_code);
        // Words are short: a library call would take longer.
        if let Some(at) = word.iter().position(|byte| *byte == b'=') {
            return self.field(&word[..at], &word[at + 1..], last_was_code);
        }
        match word {
            b"[UNREPLIED]" => self.unreplied = true,
            b"[ASSURED]" | b"[OFFLOAD]" | b"[HW_OFFLOAD]" => self.assured = true,
            // Behind the addresses, words without `=` are parts of dates and names.
            _ if self.tuples > 0 => {}
            [b'0'..=b'9', ..] => self.number(word),
            word => match state(word) {
                Some(state) => self.state = Some(state),
                None => self.protocol = self.protocol.or_else(|| protocol_number(word)),
            },
        }
    }

    /// The family's number, the protocol's, the seconds.
    fn number(&mut self, word: &[u8]) {
        let free = self.numbers.iter_mut().find(|number| number.is_none());
        if let (Some(free), Some(number)) = (free, decimal(word)) {
            *free = Some(number);
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8], last_was_code: bool) {
        if name == b"src" {
            self.tuples += 1;
        }
        if name == b"delta-time" {
            self.age = decimal(value);
            return;
        }
        let Some(side) = self
            .tuples
            .checked_sub(1)
            .and_then(|n| self.sides.get_mut(n))
        else {
            return;
        };
        match name {
            b"src" => side.src = host(value),
            b"dst" => side.dst = host(value),
            b"sport" => side.sport = port(value),
            b"dport" => side.dport = port(value),
            b"srckey" => side.sport = key(value),
            b"dstkey" => side.dport = key(value),
            b"type" => side.dport = port(value) << 8,
            b"code" => {
                side.dport |= port(value) & 0xff;
                self.last_was_code = true;
            }
            b"id" if last_was_code => side.sport = port(value),
            b"packets" => side.packets = decimal(value),
            b"bytes" => side.bytes = decimal(value),
            _ => {}
        }
    }

    /// The entry, if both directions were told.
    fn entry(self) -> Option<Flow> {
        let [original, reply] = self.sides;
        let (src, dst) = (original.src?, original.dst?);
        let (answerer, asker) = (reply.src?, reply.dst?);
        if self.is_event
            || src.ip.is_ipv6() != dst.ip.is_ipv6()
            || answerer.ip.is_ipv6() != asker.ip.is_ipv6()
        {
            return None;
        }
        let skipped = usize::from(self.family_first);
        let number = self.numbers[skipped];
        let protocol = number
            .and_then(|number| u8::try_from(number).ok())
            .or(self.protocol)?;
        let pair = |of: fn(&Side) -> Option<u64>| Some([of(&original)?, of(&reply)?]);
        Some(Flow {
            state: fitting(self.state, protocol),
            replied: !self.unreplied,
            assured: self.assured,
            source_translated: asker != src,
            timeout: self.numbers.get(skipped + 1).copied().flatten(),
            packets: pair(|side| side.packets),
            bytes: pair(|side| side.bytes),
            age: self.age,
            ..Flow::new(src, dst, Protocol(protocol), original.sport, original.dport)
        })
    }
}

/// A state that TCP and SCTP both have is TCP's unless the protocol is SCTP.
fn fitting(state: Option<ProtocolState>, protocol: u8) -> Option<ProtocolState> {
    match state? {
        ProtocolState::Tcp(TcpState::Established) if protocol == Protocol::SCTP.0 => {
            Some(ProtocolState::Sctp(SctpState::Established))
        }
        ProtocolState::Tcp(TcpState::None) if protocol == Protocol::SCTP.0 => {
            Some(ProtocolState::Sctp(SctpState::None))
        }
        state => Some(state),
    }
}

/// A state by its name.
pub(super) fn state(word: &[u8]) -> Option<ProtocolState> {
    let tcp = TcpState::ALL
        .iter()
        .find(|state| state.name().as_bytes() == word);
    let sctp = || {
        SctpState::ALL
            .iter()
            .find(|state| state.name().as_bytes() == word)
    };
    let old = || match word {
        // Linux 2.4 and 2.6 called SYN_SENT2 so.
        b"LISTEN" => Some(ProtocolState::Tcp(TcpState::SynSent2)),
        _ => None,
    };
    tcp.map(|state| ProtocolState::Tcp(*state))
        .or_else(|| sctp().map(|state| ProtocolState::Sctp(*state)))
        .or_else(old)
}

pub(super) fn protocol_number(word: &[u8]) -> Option<u8> {
    let protocol = match word {
        b"tcp" => Protocol::TCP,
        b"udp" => Protocol::UDP,
        b"icmp" => Protocol::ICMP,
        b"icmpv6" => Protocol::ICMPV6,
        b"gre" => Protocol::GRE,
        b"sctp" => Protocol::SCTP,
        b"dccp" => Protocol::DCCP,
        b"udplite" => Protocol::UDPLITE,
        _ => return None,
    };
    Some(protocol.0)
}

/// A whole number; the greatest there is, if it is greater.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.saturating_mul(10).saturating_add(digit.into());
    }
    (!digits.is_empty()).then_some(number)
}

pub(super) fn port(value: &[u8]) -> u16 {
    decimal(value)
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(0)
}

fn key(value: &[u8]) -> u16 {
    let digits = value.strip_prefix(b"0x").unwrap_or(value);
    let text = std::str::from_utf8(digits).unwrap_or_default();
    u16::from_str_radix(text, 16).unwrap_or(0)
}

/// An address, parts of which may be hidden.
pub(super) fn host(text: &[u8]) -> Option<Host> {
    match text.contains(&b':') {
        false => host_v4(text),
        true => host_v6(text),
    }
}

fn host_v4(text: &[u8]) -> Option<Host> {
    let (mut bits, mut hidden, mut parts) = (0_u32, 0, 0);
    for part in text.split(|byte| *byte == b'.') {
        if parts == 4 {
            return None;
        }
        let number = match is_hidden(part) {
            true => {
                hidden |= 1 << parts;
                0
            }
            false => decimal(part).filter(|number| *number <= 255 && part.len() <= 3)? as u32,
        };
        bits = bits << 8 | number;
        parts += 1;
    }
    let ip = IpAddr::V4(Ipv4Addr::from_bits(bits));
    (parts == 4).then_some(Host { ip, hidden })
}

/// `x`, `xxx`, `*`.
fn is_hidden(part: &[u8]) -> bool {
    !part.is_empty() && part.iter().all(|byte| matches!(byte, b'x' | b'X' | b'*'))
}

fn host_v6(text: &[u8]) -> Option<Host> {
    let mut hidden = 0;
    let mut plain = Vec::new();
    if text.iter().any(|byte| matches!(byte, b'x' | b'X' | b'*')) {
        for (n, part) in text.split(|byte| *byte == b':').enumerate().take(8) {
            if n > 0 {
                plain.push(b':');
            }
            match is_hidden(part) {
                true => {
                    hidden |= 1 << n;
                    plain.push(b'0');
                }
                false => plain.extend_from_slice(part),
            }
        }
    }
    let text = if plain.is_empty() { text } else { &plain };
    let ip: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Host {
        ip: IpAddr::V6(ip),
        hidden,
    })
}
