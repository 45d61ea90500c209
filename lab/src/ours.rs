//! The engine as the side that a script is played into, at the times that the script says.

use ip_conntrack::{Config, Knob, Protocol, Time, Tuple};

use crate::counts::Counts;
use crate::craft::{self, Body, Craft};
use crate::entry::{Ends, Entry};
use crate::linux;
use crate::play::{Reaction, Side};
use crate::router::{EVENTS, Made, Router};
use crate::script::{Both, Case, Script};

/// When cases begin: any moment will do, but not 0.
pub const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

/// The engine, and its time.
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
