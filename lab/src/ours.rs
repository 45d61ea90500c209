//! The engine as one side: what a router that embeds it does with a packet, with the rules of `rule.rs`
//! between the two phases.

use std::collections::VecDeque;

use ip_conntrack::{
    Action, Begin, Cause, Changes, Class, Config, Conntrack, EventKind, Handle, Kind, Knob,
    LinkType, Packet, Protocol, Reason, Time, Tuple, Unconfirmed, Verdict, Zone,
};

use crate::counts::Counts;
use crate::craft::{self, Body, Craft};
use crate::entry::{Ends, Entry};
use crate::linux;
use crate::play::{Reaction, Side};
use crate::rule::Rule;
use crate::script::{Both, Case, Script};

/// When cases begin: any moment will do, but not 0.
pub const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// Events kept until they are read.
const EVENTS: usize = 1024;

/// What the engine made of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// The class, as scripts name it.
    pub class: &'static str,
    /// The direction, for classes that have one.
    pub direction: Option<&'static str>,
    /// Why it was refused, or left without effect.
    pub reason: Option<&'static str>,
    /// Its connection.
    pub connection: Option<Handle>,
    /// It waits to be released.
    pub waits: bool,
    /// A rule dropped it behind tracking.
    pub stopped: bool,
}

impl Made {
    const fn new(class: &'static str) -> Made {
        Made {
            class,
            direction: None,
            reason: None,
            connection: None,
            waits: false,
            stopped: false,
        }
    }

    fn of(verdict: &Verdict) -> Made {
        let class = class(verdict);
        let has_direction = matches!(class, "established" | "related");
        Made {
            direction: has_direction.then(|| verdict.direction.name()),
            reason: verdict.reason.map(Reason::name),
            connection: verdict.connection,
            ..Made::new(class)
        }
    }
}

/// A router around the engine.
pub struct Router {
    conntrack: Conntrack,
    /// Packets that wait, with the connections that they open.
    waiting: VecDeque<Option<Unconfirmed>>,
}

impl Router {
    /// One with an empty table, which listens to events.
    pub fn new(config: Config) -> Router {
        let mut conntrack = Conntrack::new(config, 7);
        conntrack.set_event_capacity(EVENTS);
        Router {
            conntrack,
            waiting: VecDeque::new(),
        }
    }

    /// The engine.
    pub const fn conntrack(&self) -> &Conntrack {
        &self.conntrack
    }

    /// Tells the time, and collects all that ran out.
    pub fn advance(&mut self, now: Time) {
        while !self.conntrack.advance(now) {}
    }

    /// Takes one IP packet. Without `forwards`, it is dropped behind tracking.
    pub fn take(&mut self, packet: &[u8], now: Time, forwards: bool) -> Made {
        self.advance(now);
        let rule = match forwards {
            true => Rule::of(packet),
            false => Rule::Drop,
        };
        match Packet::parse(LinkType::Raw, packet) {
            Err(reason) => Made::of(&self.conntrack.skip(reason)),
            Ok(_) if rule == Rule::Notrack => Made::of(&self.conntrack.notrack()),
            Ok(parsed) => match self.conntrack.begin(rule.zone(), &parsed, now) {
                Begin::Done(verdict) => self.pass(&verdict, rule),
                Begin::New(unconfirmed) => self.open(unconfirmed, rule, now),
            },
        }
    }

    /// A packet that opens no connection.
    fn pass(&mut self, verdict: &Verdict, rule: Rule) -> Made {
        let mut made = Made::of(verdict);
        if let Some(connection) = made.connection {
            rule.apply(&mut self.conntrack, connection);
        }
        match rule {
            Rule::Drop if verdict.action == Action::Accept => made.stopped = true,
            Rule::Wait if verdict.action == Action::Accept => {
                made.waits = true;
                self.waiting.push_back(None);
            }
            _ => {}
        }
        made
    }

    /// A packet that opens one.
    fn open(&mut self, mut unconfirmed: Unconfirmed, rule: Rule, now: Time) -> Made {
        rule.apply_to_new(&mut unconfirmed);
        let mut made = Made::new("new");
        match rule {
            Rule::Drop => made.stopped = true,
            Rule::Wait => {
                made.waits = true;
                self.waiting.push_back(Some(unconfirmed));
            }
            _ => return Made::of(&self.conntrack.confirm(unconfirmed, now)),
        }
        made
    }

    /// Lets a packet that waits go on; `None` if there is none. The class is `passed` or `dropped`.
    pub fn release(&mut self, index: usize, now: Time) -> Option<Made> {
        self.advance(now);
        let mut made = Made::new("passed");
        if let Some(unconfirmed) = self.waiting.remove(index)? {
            let verdict = self.conntrack.confirm(unconfirmed, now);
            made.reason = verdict.reason.map(Reason::name);
            if verdict.action == Action::Drop {
                made.class = "dropped";
            }
        }
        Some(made)
    }

    /// The entry that has this original tuple, in a zone.
    pub fn entry(&self, original: Tuple, zone: u16) -> Option<Entry> {
        let (handle, _) = self.conntrack.find(&original, Zone::both(zone))?;
        let entry = Entry::from(&self.conntrack.get(handle)?);
        (entry.original == original.into()).then_some(entry)
    }

    /// What happened to the table, in the form of the kernel's messages: what a rule changed of a confirmed
    /// connection is told together with what the packet changed. Of entries that ran out, only that.
    pub fn events(&mut self) -> (Vec<linux::Event>, Vec<Ends>) {
        let (mut events, mut expired): (Vec<linux::Event>, Vec<Ends>) = Default::default();
        while let Some(event) = self.conntrack.poll_event() {
            let mut entry = Entry::from(&event.connection);
            let kind = match event.kind {
                EventKind::New => linux::EventKind::New,
                EventKind::Update => linux::EventKind::Update,
                EventKind::Destroy(cause) => {
                    if cause == Cause::Expired {
                        expired.push(entry.original);
                    }
                    linux::EventKind::Destroy
                }
            };
            if kind != linux::EventKind::New && !event.changes.has(Changes::LABEL) {
                entry.labels = 0;
            }
            if kind == linux::EventKind::Update && !event.changes.has(Changes::PROTOINFO) {
                entry.state = None;
            }
            if kind == linux::EventKind::Destroy {
                entry.helper = None;
            }
            match events.last_mut() {
                Some(last) if last.is_told_with(kind, &entry) => {
                    entry.state = entry.state.or(last.entry.state);
                    entry.labels |= last.entry.labels;
                    last.entry = entry;
                }
                _ => events.push(linux::Event { kind, entry }),
            }
        }
        (events, expired)
    }
}

impl linux::Event {
    fn is_told_with(&self, kind: linux::EventKind, entry: &Entry) -> bool {
        let is_update = |kind| kind == linux::EventKind::Update;
        is_update(kind) && is_update(self.kind) && self.entry.original == entry.original
    }
}

fn class(verdict: &Verdict) -> &'static str {
    match (verdict.action, verdict.class) {
        _ if verdict
            .reason
            .is_some_and(|reason| reason.kind() == Kind::Fragment) =>
        {
            "held"
        }
        (Action::Hold, _) => "held",
        (Action::Drop, _) => "dropped",
        (_, Class::New) => "new",
        (_, Class::Established) => "established",
        (_, Class::Related) => "related",
        (_, Class::Invalid) => "invalid",
        (_, Class::Untracked) => "untracked",
    }
}

/// The engine as the side that a script is played into, at the times that the script says.
pub struct Ours {
    config: Config,
    router: Router,
    now: Time,
}

impl Default for Ours {
    fn default() -> Ours {
        Ours {
            config: Config::default(),
            router: Router::new(Config::default()),
            now: Time::from_nanos(EPOCH_NS),
        }
    }
}

impl Ours {
    fn reaction(&mut self, made: Made) -> Reaction {
        let (events, _) = self.router.events();
        let short = |event: linux::Event| (event.kind.name(), event.entry.original);
        Reaction {
            class: if made.stopped { "dropped" } else { made.class }.to_owned(),
            reason: made.reason,
            events: events.into_iter().map(short).collect(),
            waits: made.waits,
        }
    }
}

impl Side for Ours {
    fn prepare(&mut self, script: &Script) -> Result<(), String> {
        self.config = Config::default();
        let knobs = [("nf_conntrack_acct", "1"), ("nf_conntrack_events", "1")];
        let named = script
            .sysctls
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in knobs.into_iter().chain(named) {
            let set = self.config.set_by_name(name, value);
            set.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn begin(&mut self, case: &Case) -> Result<(), String> {
        self.router = Router::new(self.config.clone());
        self.listen(case.begins_heard())
    }

    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn wait_until(&mut self, at: u64) -> bool {
        self.now = Time::from_nanos(EPOCH_NS + at);
        self.router.advance(self.now);
        true
    }

    fn send(&mut self, packet: &Craft) -> Result<Reaction, String> {
        let made = self.router.take(&packet.bytes(), self.now, true);
        Ok(self.reaction(made))
    }

    fn release(&mut self, index: usize) -> Result<Reaction, String> {
        let made = self
            .router
            .release(index, self.now)
            .ok_or("no packet waits")?;
        Ok(self.reaction(made))
    }

    fn entry(&mut self, original: Ends, zone: u16) -> Result<Option<Entry>, String> {
        let mut entry = self.router.entry(original.into(), zone);
        if let Some(start) = entry.as_mut().and_then(|entry| entry.start.as_mut()) {
            *start -= EPOCH_NS;
        }
        Ok(entry)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let knob = Knob::by_name(name).ok_or(format!("{name}: no such knob"))?;
        let value = value.parse().map_err(|_| format!("{value}: no number"))?;
        let set = self.router.conntrack.set(knob, value);
        set.map_err(|error| error.to_string())
    }

    fn listen(&mut self, listens: bool) -> Result<(), String> {
        let capacity = if listens { EVENTS } else { 0 };
        self.router.conntrack.set_event_capacity(capacity);
        Ok(())
    }

    fn counts(&mut self) -> Result<Counts, String> {
        Ok(Counts::of_engine(self.router.conntrack.stats()))
    }

    fn entries(&mut self) -> Result<u64, String> {
        Ok(self.router.conntrack.connections().count() as u64)
    }

    fn ids_recur(&self) -> bool {
        false
    }

    fn expects<'a, T>(&self, both: &'a Both<T>) -> &'a T {
        both.ours.as_ref().unwrap_or(&both.linux)
    }
}

/// The original tuple of a packet's connection; of an ICMP error, that of the packet quoted.
pub fn original(flow: craft::Ends, packet: &Craft) -> Tuple {
    let ports = (flow.src.port(), flow.dst.port());
    let (protocol, (src_part, dst_part)) = match &packet.body {
        Body::IcmpError { about, .. } => return original(flow, about),
        Body::Icmp { kind, code, id, .. } => {
            let protocol = match flow.src.is_ipv6() {
                true => Protocol::ICMPV6,
                false => Protocol::ICMP,
            };
            let asking = match kind {
                0 => 8,
                14 | 16 | 18 => kind - 1,
                129 | 140 => kind - 1,
                _ => *kind,
            };
            (protocol, (*id, u16::from_be_bytes([asking, *code])))
        }
        Body::Tcp(_) => (Protocol::TCP, ports),
        Body::Udp { .. } => (Protocol::UDP, ports),
        Body::UdpLite { .. } => (Protocol::UDPLITE, ports),
        Body::Sctp { .. } => (Protocol::SCTP, ports),
        Body::Gre {
            version: 1, call, ..
        } => (Protocol::GRE, (0, *call)),
        Body::Gre { .. } => (Protocol::GRE, (0, 0)),
        Body::Other { protocol, .. } => (Protocol(*protocol), (0, 0)),
    };
    Tuple {
        src: flow.src.ip(),
        dst: flow.dst.ip(),
        protocol,
        src_part,
        dst_part,
    }
}
