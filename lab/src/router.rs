//! A router around the engine: what a program that embeds it does with a packet, with the rules of `rule.rs`
//! between the two phases, and with packets that wait there.

use std::collections::VecDeque;

use ip_conntrack::{
    Action, Arrival, Begin, Cause, Changes, Class, Config, Conntrack, EventKind, Handle, Kind,
    LinkType, Packet, Reason, Time, Tuple, Unconfirmed, Verdict, Zone,
};

use crate::entry::{Ends, Entry};
use crate::linux;
use crate::rule::Rule;

/// Events kept until they are read.
pub(crate) const EVENTS: usize = 1024;

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
    pub(crate) conntrack: Conntrack,
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
            Ok(_) if rule == Rule::None && goes_alone(packet) => {
                Made::of(&self.track_alone(packet, now))
            }
            Ok(parsed) => match self.conntrack.begin(rule.zone(), &parsed, now) {
                Begin::Done(verdict) => self.pass(&verdict, rule),
                Begin::New(unconfirmed) => self.open(unconfirmed, rule, now),
            },
        }
    }

    /// Tracks a packet as a batch of its own, which takes usual packets a shorter way.
    fn track_alone(&mut self, packet: &[u8], now: Time) -> Verdict {
        let arrival = Arrival {
            link: LinkType::Raw,
            bytes: packet,
            wire_len: packet.len(),
            time: now,
        };
        let mut verdict = [Verdict::default()];
        self.conntrack
            .track_batch(Zone::default(), &[arrival], &mut verdict);
        let [verdict] = verdict;
        verdict
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

/// Whether a packet that no rule is about goes as a batch: half of them do, and a shortened sequence
/// takes the same ways, since it is told by the packet's bytes.
fn goes_alone(packet: &[u8]) -> bool {
    let sum = packet.iter().fold(0, |sum, byte| sum ^ byte);
    sum.count_ones().is_multiple_of(2)
}
