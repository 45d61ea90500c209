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
//! the flow, 1 if there is none), the packet, and behind `=>` what is expected: the class or `any`; then, if
//! given, the entry: state (`-` for protocols without), seconds to expiry (one less is as good, since
//! seconds are truncated), `ASSURED`, `UNREPLIED`, counters as `o=PACKETS/BYTES` and `r=…`, TCP's
//! `flags=O/R` and `scales=O/R` of both sides (also SCTP's tags), `mark=N`,
//! `labels=N` (a number of 128 bits), `helper=NAME`, `start=SECONDS` (of the case), `same` or `another`
//! (entry than at the last line about this tuple), the zone (of the original direction) as `zone=N` if
//! it is not 0; or `gone` if there must be no entry. Without an entry behind the class, none is looked at.
//! `told=new`, `told=update,destroy` or `told=nothing` are the events of the packet about its entry.
//! Where we differ from Linux on purpose, `ours:` follows with what the engine is expected to do instead.
//!
//! Beside packets a line may have, behind the time: `release DIRECTION => …`: the packet of that
//! direction that waits goes on, and is `passed` or `dropped`; `sysctl NAME=VALUE`; `listen off` or `on`:
//! whether somebody listens to events; `counters => NAME=VALUE …`: what was counted since the case
//! began, by the names of `conntrack -S`, and `entries`, how many there are; `NAME+NAME=` is a sum,
//! `LEAST..GREATEST` a range.
//!
//! `case` begins anew with an empty table, the knobs of the file and at time 0, so that one file can show several sides of
//! one behaviour. At its end all counters must be the same in both, unless it has an `ours:`. `sysctl`
//! and `flow` without a time hold for the whole file.
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
//! `ecn=N`: congestion notification; `ipsum=wrong`: a wrong IPv4 header checksum;
//! `behind=HEADER,…` of `hop`, `routing`, `dest` and `auth`: IPv6 extension headers;
//! `rule=NAME`: what the rule set does with it (`rule.rs`): `notrack`, `zone5`, `orig6`, `mark7`, `label3`,
//! `ftp`, `drop` or `wait`; `clients=FROM-TO`: the packet once for each of these clients, whose addresses are
//! the flow's original source and those that follow it.

mod body;
mod expected;
mod packet;
mod words;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

pub(crate) use body::CHUNKS;
pub use expected::{Entry, Expected, Sums, There};
pub(crate) use packet::EXTENSIONS;
use packet::{craft, ends};
use words::parse_number;

use crate::craft::{Body, Craft, Ends};
use crate::linux::Globals;

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
    /// What happens.
    pub steps: Vec<Step>,
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Its number in the file, from 1.
    pub line: usize,
    /// Nanoseconds since the beginning of the case.
    pub at: u64,
    /// What is done.
    pub action: Action,
}

/// What a line does.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Sends a packet, or one for each of several clients.
    Send(Box<Send>),
    /// Lets a packet go on that waits.
    Release {
        /// The ends of that packet.
        ends: Ends,
        /// What is expected of it.
        expected: Both<Expected>,
    },
    /// Sets a knob.
    Set(String, String),
    /// Begins or ceases to listen to events.
    Listen(bool),
    /// Looks at the counters.
    Count(Both<Sums>),
}

/// Packets that a line sends.
#[derive(Clone, PartialEq, Debug)]
pub struct Send {
    /// Ends of the flow in its original direction, for finding the entry.
    pub flow: Ends,
    /// The packet.
    pub packet: Craft,
    /// The first and last of the clients that send or get it.
    pub clients: (u32, u32),
    /// What is expected of each.
    pub expected: Both<Expected>,
}

/// What is expected of Linux, and of the engine where that is meant to be something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Both<T> {
    /// Of both.
    pub linux: T,
    /// Of the engine.
    pub ours: Option<T>,
}

/// What is wrong with a script: line and reason.
pub type ScriptError = (usize, String);

type Flows = BTreeMap<u32, Ends>;

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

    /// All lines of all cases.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.cases.iter().flat_map(|case| &case.steps)
    }

    /// All knobs that it sets.
    pub fn knobs(&self) -> impl Iterator<Item = &str> {
        let later = self.steps().filter_map(|step| match &step.action {
            Action::Set(name, _) => Some(name),
            _ => None,
        });
        let first = self.sysctls.iter().map(|(name, _)| name);
        first.chain(later).map(String::as_str)
    }

    /// Whether it needs the kernel for itself, since it sets knobs that namespaces share.
    pub fn is_global(&self) -> bool {
        self.knobs().any(Globals::has)
    }

    /// Whether it needs that nobody listens to events: the kernel minds listeners in any namespace.
    pub fn needs_silence(&self) -> bool {
        let mut steps = self.steps();
        steps.any(|step| matches!(step.action, Action::Listen(_)))
    }

    fn line(&mut self, number: usize, line: &str, flows: &mut Flows) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "sysctl" => self.sysctls.push(setting(rest)?),
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

impl Case {
    /// Whether somebody listens to events from the beginning.
    pub fn begins_heard(&self) -> bool {
        let first = self.steps.first().map(|step| &step.action);
        first != Some(&Action::Listen(false))
    }

    /// Whether the engine is expected to do something else than Linux.
    pub fn differs(&self) -> bool {
        self.steps.iter().any(|step| match &step.action {
            Action::Send(send) => send.expected.ours.is_some(),
            Action::Release { expected, .. } => expected.ours.is_some(),
            Action::Count(sums) => sums.ours.is_some(),
            Action::Set(..) | Action::Listen(_) => false,
        })
    }
}

impl Send {
    /// The flow and the packet, for each client.
    pub fn packets(&self) -> impl Iterator<Item = (Ends, Craft)> + '_ {
        let (first, last) = self.clients;
        (first..=last).map(|number| {
            let client = self.flow.src.ip();
            let other = nth(client, number);
            let put = |mut end: SocketAddr| {
                if end.ip() == client {
                    end.set_ip(other);
                }
                end
            };
            let exchange = |ends: Ends| Ends {
                src: put(ends.src),
                dst: put(ends.dst),
            };
            (exchange(self.flow), with_ends(&self.packet, exchange))
        })
    }
}

/// The address that follows `number` places after.
fn nth(address: IpAddr, number: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address).wrapping_add(number)).into()),
        IpAddr::V6(address) => {
            IpAddr::V6((u128::from(address).wrapping_add(u128::from(number))).into())
        }
    }
}

/// The packet between other ends, and so what it quotes.
fn with_ends(packet: &Craft, exchange: impl Fn(Ends) -> Ends + Copy) -> Craft {
    let mut packet = packet.clone();
    packet.ends = exchange(packet.ends);
    if let Body::IcmpError { about, .. } = &mut packet.body {
        **about = with_ends(about, exchange);
    }
    packet
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

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.trim().split_once('=').ok_or("sysctl NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn step(line: usize, text: &str, flows: &Flows) -> Result<Step, String> {
    let (left, right) = match text.split_once("=>") {
        Some((left, right)) => (left, Some(right)),
        None => (text, None),
    };
    let (time, what) = left.trim().split_once(' ').ok_or("no packet")?;
    let seconds: f64 = time.parse().map_err(|_| format!("{time}: no time"))?;
    let words: Vec<&str> = what.split_whitespace().collect();
    let right = right.ok_or("no => in this line");
    let action = match words[..] {
        ["sysctl", what] => {
            let (name, value) = setting(what)?;
            Action::Set(name, value)
        }
        ["listen", "on"] => Action::Listen(true),
        ["listen", "off"] => Action::Listen(false),
        ["counters"] => Action::Count(both(right?, Sums::parse)?),
        ["release", direction] => Action::Release {
            ends: ends(direction, flows)?.1,
            expected: both(right?, Expected::parse)?,
        },
        [direction, ..] => Action::Send(Box::new(send(direction, &words[1..], right?, flows)?)),
        [] => return Err("no packet".to_owned()),
    };
    Ok(Step {
        line,
        at: (seconds * 1e9).round() as u64,
        action,
    })
}

fn send(direction: &str, words: &[&str], right: &str, flows: &Flows) -> Result<Send, String> {
    let is_clients = |word: &&&str| word.starts_with("clients=");
    let clients = words.iter().find(is_clients);
    let others: Vec<&str> = words
        .iter()
        .filter(|word| !is_clients(word))
        .copied()
        .collect();
    Ok(Send {
        flow: ends(direction, flows)?.0,
        packet: craft(direction, &others, flows)?,
        clients: clients.map_or(Ok((0, 0)), |word| range(&word["clients=".len()..]))?,
        expected: both(right, Expected::parse)?,
    })
}

/// `FROM-TO`, or one number.
fn range(text: &str) -> Result<(u32, u32), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Ok((parse_number(from)?, parse_number(to)?))
}

fn both<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Both<T>, String> {
    let (linux, ours) = match text.split_once("ours:") {
        Some((linux, ours)) => (linux, Some(ours)),
        None => (text, None),
    };
    Ok(Both {
        linux: parse(linux)?,
        ours: ours.map(parse).transpose()?,
    })
}
