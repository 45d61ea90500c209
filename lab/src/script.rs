//! Scripts: packets and what is expected of them, one a line.
//!
//! ```text
//! # What the script shows, in one or two sentences.
//! sysctl nf_conntrack_tcp_loose=0
//! flow 2 10.0.1.3:40000 10.0.2.2:80
//!
//! case A repeated SYN/ACK is ignored
//! 0.0  o  tcp S  seq=1000 win=8192             => new          SYN_SENT 120 UNREPLIED
//! 0.0  r  tcp SA seq=5000 ack=1001 win=8192    => established  SYN_RECV 60
//! 1.5  r  tcp SA seq=5000 ack=1001 win=8192    => established  SYN_RECV 58
//! 1.5  o2 udp len=1                            => new          - 30 UNREPLIED
//! ```
//!
//! A line has the time in seconds, the flow and direction (`o` original, `r` reply; a number names
//! the flow, 1 if there is none), the packet, and behind `=>` what is expected: the class; then, if
//! given, the entry: state (`-` for protocols without), seconds to expiry (one less is as good, since
//! seconds are truncated), `ASSURED`, `UNREPLIED`, counters as `o=PACKETS/BYTES` and `r=…`, the zone
//! (of the original direction) as `zone=N` if it is not 0; or
//! `gone` if there must be no entry. Without an entry behind the class, none is looked at. Where we
//! differ from Linux on purpose, `ours:` follows with what the engine is expected to do instead.
//!
//! `case` begins anew with an empty table and at time 0, so that one file can show several sides of
//! one behaviour. `sysctl` and `flow` hold for the whole file.
//!
//! Packets: `tcp FLAGS [seq= ack= win= len= wscale= sackok sack=A-B offset= sum=wrong]`, FLAGS from
//! `S A F R P U E C` or `none`; `udp [len= length= sum=]`; `udplite [len= coverage= sum=]`;
//! `icmp TYPE/CODE [id= len= sum=]`; `icmp TYPE/CODE [quoted=N sum=] about DIRECTION PACKET`;
//! `sctp tag=N CHUNK[+CHUNK…] [itag= flags= length= sum=]`, CHUNK also `none`;
//! `gre [version= protocol= call= key=]`; `ip protocol=N [len=N or bytes=HEX]`. `icmp` means ICMPv6
//! where the flow is IPv6. Numbers may be hexadecimal. `sum` is `right`, `wrong`, `none` (0) or, of
//! UDP, `stated`: over as many bytes as the length field says. `length` is for wrong length fields.
//!
//! Any packet may have `from=ADDRESS` and `to=ADDRESS`, other than the flow's; `cut=N`: only the
//! first N bytes behind the IP header; `frag=FROM-TO/ID`: only those bytes, as one fragment;
//! `ecn=N`: congestion notification; `ipsum=wrong`: a wrong IPv4 header checksum; `rule=notrack`, `rule=zone5` or `rule=orig6`: what the rule set does with it before it is tracked;
//! `behind=HEADER,…` of `hop`, `routing`, `dest` and `auth`: IPv6 extension headers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::craft::{Body, Craft, Ends, Rule, Sum, Tcp};
use crate::{Observation, entry};

/// A script.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Script {
    /// Knobs to set, with their values.
    pub sysctls: Vec<(String, String)>,
    /// The cases, each from an empty table.
    pub cases: Vec<Case>,
}

/// Packets that follow each other.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Case {
    /// What it shows.
    pub title: String,
    /// Its packets.
    pub steps: Vec<Step>,
}

/// One packet.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Number of the line in the file, from 1.
    pub line: usize,
    /// Nanoseconds since the beginning of the case.
    pub at: u64,
    /// Ends of the flow in its original direction, for finding the entry.
    pub flow: Ends,
    /// The packet.
    pub packet: Craft,
    /// What is expected of it.
    pub expected: Expected,
    /// What is expected of the engine, where that is meant to be something else.
    pub ours: Option<Expected>,
}

/// What is expected of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expected {
    /// Its class.
    pub class: String,
    /// The zone in which to look for its entry.
    pub zone: u16,
    /// Its entry afterwards, if that is to be looked at.
    pub entry: Option<Entry>,
}

impl Expected {
    /// Whether what happened is what was expected.
    pub fn agrees(&self, seen: &Observation) -> bool {
        if self.class != seen.class {
            return false;
        }
        match (&self.entry, &seen.entry) {
            (None, _) | (Some(Entry::Gone), None) => true,
            (Some(Entry::Gone), Some(_)) | (Some(Entry::There { .. }), None) => false,
            (Some(wanted), Some(entry)) => wanted.agrees(entry),
        }
    }
}

impl Entry {
    fn agrees(&self, entry: &entry::Entry) -> bool {
        let Entry::There {
            state,
            timeout,
            assured,
            replied,
            counters,
        } = self
        else {
            return false;
        };
        let in_time = |timeout: u64| entry.timeout == timeout || entry.timeout + 1 == timeout;
        let mut counts = counters.iter().zip(&entry.counters);
        state.as_deref() == entry.state_name()
            && timeout.is_none_or(in_time)
            && *assured == entry.is_assured()
            && *replied == entry.is_replied()
            && counts.all(|(wanted, count)| wanted.is_none_or(|wanted| wanted == *count))
    }
}

/// What is expected of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// There is none.
    Gone,
    /// It is there.
    There {
        /// The state, `None` for protocols without.
        state: Option<String>,
        /// Seconds to expiry.
        timeout: Option<u64>,
        /// Whether it is ASSURED.
        assured: bool,
        /// Whether it was answered.
        replied: bool,
        /// Packets and bytes, original and reply, where given.
        counters: [Option<(u64, u64)>; 2],
    },
}

/// What is wrong with a script: line and reason.
pub type ScriptError = (usize, String);

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// The number of the first line that is not understood, and why.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut script = Script::default();
        let mut flows = BTreeMap::new();
        flows.insert(1, default_flow().ok_or((0, "no default flow".to_owned()))?);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                let parsed = script.line(number + 1, line, &mut flows);
                parsed.map_err(|why| (number + 1, why))?;
            }
        }
        Ok(script)
    }

    fn line(
        &mut self,
        number: usize,
        line: &str,
        flows: &mut BTreeMap<u32, Ends>,
    ) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "sysctl" => {
                let (name, value) = rest.split_once('=').ok_or("sysctl NAME=VALUE")?;
                self.sysctls.push((name.to_owned(), value.to_owned()));
            }
            "flow" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let [name, src, dst] = words[..] else {
                    return Err("flow NUMBER SOURCE DESTINATION".to_owned());
                };
                let (src, dst) = (address(src)?, address(dst)?);
                flows.insert(parse_number(name)?, Ends { src, dst });
            }
            "case" => self.cases.push(Case {
                title: rest.trim().to_owned(),
                steps: Vec::new(),
            }),
            _ => {
                let step = step(number, line, flows)?;
                if self.cases.is_empty() {
                    self.cases.push(Case::default());
                }
                let case = self.cases.last_mut().ok_or("no case")?;
                case.steps.push(step);
            }
        }
        Ok(())
    }
}

fn default_flow() -> Option<Ends> {
    Some(Ends {
        src: "10.0.1.2:40000".parse().ok()?,
        dst: "10.0.2.2:80".parse().ok()?,
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text}: no ADDRESS:PORT"))
}

/// A decimal or hexadecimal number that fits.
fn parse_number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| format!("{text}: no number"))?;
    T::try_from(number).map_err(|_| format!("{text}: too large"))
}

/// Two hexadecimal digits a byte.
fn parse_bytes(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at| {
        text.get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.ok_or(format!("{text}: no hexadecimal bytes"))
}

fn step(line: usize, text: &str, flows: &BTreeMap<u32, Ends>) -> Result<Step, String> {
    let (left, right) = text.split_once("=>").ok_or("no => in this line")?;
    let (linux, ours) = match right.split_once("ours:") {
        Some((linux, ours)) => (linux, Some(ours)),
        None => (right, None),
    };
    let (time, packet) = left.trim().split_once(' ').ok_or("no packet")?;
    let seconds: f64 = time.parse().map_err(|_| format!("{time}: no time"))?;
    let mut words = packet.split_whitespace();
    let direction = words.next().ok_or("no direction")?;
    let words: Vec<&str> = words.collect();
    let (flow, _) = ends(direction, flows)?;
    Ok(Step {
        line,
        at: (seconds * 1e9).round() as u64,
        flow,
        packet: craft(direction, &words, flows)?,
        expected: expected(linux)?,
        ours: ours.map(expected).transpose()?,
    })
}

/// The flow that a direction names, and the ends of a packet of that direction.
fn ends(direction: &str, flows: &BTreeMap<u32, Ends>) -> Result<(Ends, Ends), String> {
    let (way, number) = direction.split_at_checked(1).ok_or("no direction")?;
    let number = if number.is_empty() {
        1
    } else {
        parse_number(number)?
    };
    let flow = *flows
        .get(&number)
        .ok_or(format!("flow {number} is not there"))?;
    let reply = Ends {
        src: flow.dst,
        dst: flow.src,
    };
    match way {
        "o" => Ok((flow, flow)),
        "r" => Ok((flow, reply)),
        _ => Err(format!("{direction}: the direction is o or r")),
    }
}

/// `key=value` words, and words without a value.
struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        let mut values = self.0.iter().filter_map(|word| word.split_once('='));
        values
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    fn number<T: TryFrom<u64>>(&self, key: &str) -> Result<Option<T>, String> {
        self.text(key).map(parse_number).transpose()
    }

    fn or<T: TryFrom<u64>>(&self, key: &str, default: T) -> Result<T, String> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    fn sum(&self) -> Result<Sum, String> {
        match self.text("sum") {
            None | Some("right") => Ok(Sum::Right),
            Some("wrong") => Ok(Sum::Wrong),
            Some("none") => Ok(Sum::None),
            Some(other) => Err(format!("sum={other}: right, wrong or none")),
        }
    }

    /// Takes out what any packet may have.
    fn take(&mut self, key: &str) -> Option<&'a str> {
        let value = self.text(key)?;
        self.0
            .retain(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
        Some(value)
    }

    fn check(&self, known: &[&str]) -> Result<(), String> {
        let name = |word: &&&str| word.split('=').next().unwrap_or_default().to_owned();
        let unknown = |word: &&&str| !known.contains(&name(word).as_str());
        match self.0.iter().find(unknown) {
            Some(word) => Err(format!("{word}: not understood here")),
            None => Ok(()),
        }
    }
}

fn craft(direction: &str, words: &[&str], flows: &BTreeMap<u32, Ends>) -> Result<Craft, String> {
    let (_, mut ends) = ends(direction, flows)?;
    let (kind, words) = words.split_first().ok_or("no packet")?;
    let about = words.iter().position(|word| *word == "about");
    let (own, quoted) = words.split_at(about.unwrap_or(words.len()));
    let mut fields = Fields(own.to_vec());
    if let Some(from) = fields.take("from") {
        ends.src
            .set_ip(from.parse().map_err(|_| format!("from={from}"))?);
    }
    if let Some(to) = fields.take("to") {
        ends.dst.set_ip(to.parse().map_err(|_| format!("to={to}"))?);
    }
    let fragment = fields.take("frag").map(fragment).transpose()?;
    let cut = fields.take("cut").map(parse_number).transpose()?;
    let rule = fields.take("rule").map(rule).transpose()?;
    let ecn = fields.take("ecn").map(parse_number).transpose()?;
    let wrong_ip_sum = match fields.take("ipsum") {
        None | Some("right") => false,
        Some("wrong") => true,
        Some(other) => return Err(format!("ipsum={other}: right or wrong")),
    };
    let behind = fields
        .take("behind")
        .map(|names| extensions(names, ends))
        .transpose()?;
    let about = match quoted.split_first() {
        None => None,
        Some((_, [])) => return Err("about what?".to_owned()),
        Some((_, inner)) => Some(Box::new(craft(inner[0], &inner[1..], flows)?)),
    };
    Ok(Craft {
        ends,
        body: body(kind, fields, about)?,
        fragment,
        cut,
        extensions: behind.unwrap_or_default(),
        rule: rule.unwrap_or_default(),
        wrong_ip_sum,
        ecn: ecn.unwrap_or(0),
    })
}

fn rule(name: &str) -> Result<Rule, String> {
    let rule = Rule::ALL.into_iter().find(|(known, _)| *known == name);
    rule.map(|(_, rule)| rule)
        .ok_or(format!("{name}: no such rule"))
}

/// IPv6 extension headers by name.
pub(crate) const EXTENSIONS: [(&str, u8); 4] =
    [("hop", 0), ("routing", 43), ("auth", 51), ("dest", 60)];

fn extensions(names: &str, ends: Ends) -> Result<Vec<u8>, String> {
    if ends.src.is_ipv4() {
        return Err("extension headers are IPv6's".to_owned());
    }
    let number = |name: &str| {
        let known = EXTENSIONS.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, number)| *number)
            .ok_or(format!("{name}: no such header"))
    };
    names.split(',').map(number).collect()
}

fn fragment(text: &str) -> Result<(usize, usize, u32), String> {
    let parts = text.split_once('/').and_then(|(range, id)| {
        let (from, to) = range.split_once('-')?;
        Some((from, to, id))
    });
    let (from, to, id) = parts.ok_or("frag=FROM-TO/ID")?;
    Ok((parse_number(from)?, parse_number(to)?, parse_number(id)?))
}

fn body(kind: &str, mut fields: Fields<'_>, about: Option<Box<Craft>>) -> Result<Body, String> {
    let mut take_first = || match fields.0.is_empty() {
        true => Err(format!("{kind} what?")),
        false => Ok(fields.0.remove(0)),
    };
    match kind {
        "tcp" => {
            let flags = take_first()?;
            tcp(flags, &fields)
        }
        "icmp" => {
            let (kind, code) = take_first()?.split_once('/').ok_or("icmp TYPE/CODE")?;
            icmp(parse_number(kind)?, parse_number(code)?, &fields, about)
        }
        "udp" => {
            fields.check(&["len", "length", "sum"])?;
            Ok(Body::Udp {
                len: fields.or("len", 1)?,
                length: fields.number("length")?,
                sum: match fields.text("sum") {
                    Some("stated") => Sum::Stated,
                    _ => fields.sum()?,
                },
            })
        }
        "udplite" => {
            fields.check(&["len", "coverage", "sum"])?;
            Ok(Body::UdpLite {
                len: fields.or("len", 1)?,
                coverage: fields.or("coverage", 0)?,
                sum: fields.sum()?,
            })
        }
        "sctp" => sctp(fields),
        "gre" => {
            fields.check(&["version", "protocol", "call", "key"])?;
            Ok(Body::Gre {
                version: fields.or("version", 0)?,
                protocol: fields.or("protocol", 0x880b)?,
                call: fields.or("call", 0)?,
                key: fields.number("key")?,
            })
        }
        "ip" => {
            fields.check(&["protocol", "len", "bytes"])?;
            let len = fields.or("len", 4)?;
            let bytes = fields.text("bytes").map(parse_bytes).transpose()?;
            Ok(Body::Other {
                protocol: fields.or("protocol", 99)?,
                bytes: bytes.unwrap_or_else(|| vec![b'x'; len]),
            })
        }
        _ => Err(format!("{kind}: no such packet")),
    }
}

fn tcp(flags: &str, fields: &Fields<'_>) -> Result<Body, String> {
    const KNOWN: [&str; 9] = [
        "seq", "ack", "win", "len", "wscale", "sackok", "sack", "offset", "sum",
    ];
    fields.check(&KNOWN)?;
    let bit = |letter| "FSRPAUEC".find(letter).map(|bit| 1 << bit);
    let flags = match flags {
        "none" => Some(0),
        _ => flags
            .chars()
            .map(bit)
            .try_fold(0, |sum, bit| Some(sum | bit?)),
    };
    let mut sacks = Vec::new();
    for block in fields.text("sack").iter().flat_map(|list| list.split(',')) {
        let (left, right) = block.split_once('-').ok_or("sack=A-B")?;
        sacks.push((parse_number(left)?, parse_number(right)?));
    }
    Ok(Body::Tcp(Tcp {
        flags: flags.ok_or("flags are of SAFRPUEC")?,
        seq: fields.or("seq", 0)?,
        ack: fields.or("ack", 0)?,
        window: fields.or("win", 8192)?,
        len: fields.or("len", 0)?,
        scale: fields.number("wscale")?,
        sack_ok: fields.0.contains(&"sackok"),
        sacks,
        offset: fields.number("offset")?,
        sum: fields.sum()?,
    }))
}

fn icmp(
    kind: u8,
    code: u8,
    fields: &Fields<'_>,
    about: Option<Box<Craft>>,
) -> Result<Body, String> {
    if let Some(about) = about {
        fields.check(&["quoted", "sum"])?;
        let quoted = fields.or("quoted", 576)?;
        return Ok(Body::IcmpError {
            kind,
            code,
            about,
            quoted,
            sum: fields.sum()?,
        });
    }
    fields.check(&["id", "len", "sum"])?;
    Ok(Body::Icmp {
        kind,
        code,
        id: fields.or("id", 1)?,
        len: fields.or("len", 0)?,
        sum: fields.sum()?,
    })
}

/// Chunk types by name.
pub(crate) const CHUNKS: [(&str, u8); 15] = [
    ("DATA", 0),
    ("INIT", 1),
    ("INIT_ACK", 2),
    ("SACK", 3),
    ("HEARTBEAT", 4),
    ("HEARTBEAT_ACK", 5),
    ("ABORT", 6),
    ("SHUTDOWN", 7),
    ("SHUTDOWN_ACK", 8),
    ("ERROR", 9),
    ("COOKIE_ECHO", 10),
    ("COOKIE_ACK", 11),
    ("ECNE", 12),
    ("CWR", 13),
    ("SHUTDOWN_COMPLETE", 14),
];

fn sctp(mut fields: Fields<'_>) -> Result<Body, String> {
    let names = fields.0.iter().position(|word| !word.contains('='));
    let names = names.map(|at| fields.0.remove(at)).ok_or("sctp CHUNK")?;
    fields.check(&["tag", "itag", "flags", "length", "sum"])?;
    let init_tag: Option<u32> = fields.number("itag")?;
    let mut chunks = Vec::new();
    for name in names.split('+').filter(|name| *name != "none") {
        let known = CHUNKS.iter().find(|(known, _)| *known == name);
        let (_, kind) = known.ok_or(format!("{name}: no such chunk"))?;
        let announces = matches!(kind, 1 | 2);
        let init_tag = announces.then(|| init_tag.unwrap_or(1));
        chunks.push((*kind, fields.or("flags", 0)?, init_tag));
    }
    Ok(Body::Sctp {
        tag: fields.or("tag", 0)?,
        chunks,
        length: fields.number("length")?,
        sum: fields.sum()?,
    })
}

fn expected(text: &str) -> Result<Expected, String> {
    const CLASSES: [&str; 7] = [
        "new",
        "established",
        "related",
        "invalid",
        "untracked",
        "held",
        "dropped",
    ];
    let mut words = text.split_whitespace();
    let class = words.next().unwrap_or_default().to_owned();
    if !CLASSES.contains(&class.as_str()) {
        return Err(format!(
            "{class}: the class is one of {}",
            CLASSES.join(", ")
        ));
    }
    let mut fields = Fields(words.collect());
    let zone = fields.take("zone").map(parse_number).transpose()?;
    let entry = match fields.0[..] {
        [] => None,
        ["gone"] => Some(Entry::Gone),
        _ => Some(entry(&fields.0)?),
    };
    Ok(Expected {
        class,
        zone: zone.unwrap_or(0),
        entry,
    })
}

fn entry(words: &[&str]) -> Result<Entry, String> {
    let (mut state, mut timeout) = (None, None);
    let (mut assured, mut replied) = (false, true);
    let mut counters = [None; 2];
    for word in words {
        match *word {
            "-" => {}
            "ASSURED" => assured = true,
            "UNREPLIED" => replied = false,
            _ if word.starts_with(|c: char| c.is_ascii_digit()) => {
                timeout = Some(parse_number(word)?);
            }
            _ if word.contains('=') => {
                let count = word
                    .split_once('/')
                    .map(|(packets, bytes)| (&packets[2..], bytes));
                let (packets, bytes) = count.ok_or(format!("{word}: o=PACKETS/BYTES"))?;
                let at = usize::from(word.starts_with('r'));
                counters[at] = Some((parse_number(packets)?, parse_number(bytes)?));
            }
            _ => state = Some((*word).to_owned()),
        }
    }
    Ok(Entry::There {
        state,
        timeout,
        assured,
        replied,
        counters,
    })
}
