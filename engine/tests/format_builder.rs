//! Entries by hand, for the tests of the text forms. Not a test itself.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "only tests call it")]

use ip_conntrack::{
    Changes, Connection, Counters, Event, EventKind, Protocol, SctpState, State, Status, TcpSide,
    TcpState, Time, Tuple, Zone,
};

/// One direction: addresses and the protocol's two numbers.
pub(crate) fn tuple(protocol: Protocol, src: &str, dst: &str, parts: (u16, u16)) -> Tuple {
    Tuple {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol,
        src_part: parts.0,
        dst_part: parts.1,
    }
}

/// An unreplied entry without anything; the reply tuple is the inverse of the original.
pub(crate) fn entry(original: Tuple) -> Connection {
    Connection {
        id: 0,
        original,
        reply: original.inverse().unwrap(),
        zone: Zone::default(),
        status: Status::CONFIRMED,
        state: State::Stateless,
        timeout: None,
        counters: None,
        mark: 0,
        secmark: 0,
        secctx: None,
        labels: 0,
        helper: None,
        start: None,
        stop: None,
        delta_time: None,
        uses: 1,
        master: None,
    }
}

/// From 10.0.1.2 to 10.0.2.2, where most samples live.
pub(crate) fn usual(protocol: Protocol, parts: (u16, u16)) -> Connection {
    entry(tuple(protocol, "10.0.1.2", "10.0.2.2", parts))
}

pub(crate) fn tcp(sport: u16, dport: u16, state: TcpState) -> Connection {
    usual(Protocol::TCP, (sport, dport)).state(State::Tcp {
        state,
        sides: [TcpSide::default(); 2],
    })
}

pub(crate) fn udp(sport: u16, dport: u16) -> Connection {
    usual(Protocol::UDP, (sport, dport))
}

pub(crate) fn ping(id: u16) -> Connection {
    usual(Protocol::ICMP, (id, 8 << 8))
}

pub(crate) fn gre(srckey: u16, dstkey: u16) -> Connection {
    usual(Protocol::GRE, (srckey, dstkey)).state(State::Gre {
        timeout: 30,
        stream_timeout: 180,
    })
}

pub(crate) fn sctp(sport: u16, dport: u16, state: SctpState) -> Connection {
    usual(Protocol::SCTP, (sport, dport)).state(State::Sctp {
        state,
        tags: [16_825_275, 858_993_459],
    })
}

/// From 2001:db8:1::2 to 2001:db8:2::2.
pub(crate) fn ipv6(protocol: Protocol, parts: (u16, u16)) -> Connection {
    entry(tuple(protocol, "2001:db8:1::2", "2001:db8:2::2", parts))
}

/// Changes to an entry, each giving it back.
pub(crate) trait Build: Sized {
    fn change(self, change: impl FnOnce(&mut Connection)) -> Connection;

    fn state(self, state: State) -> Connection {
        self.change(|c| c.state = state)
    }

    fn secs(self, secs: u64) -> Connection {
        self.change(|c| c.timeout = Some(secs))
    }

    /// Packets and bytes of both directions.
    fn counted(self, original: (u64, u64), reply: (u64, u64)) -> Connection {
        let counters = |(packets, bytes)| Counters { packets, bytes };
        self.change(|c| c.counters = Some([counters(original), counters(reply)]))
    }

    fn replied(self) -> Connection {
        self.change(|c| c.status = c.status.with(Status::SEEN_REPLY))
    }

    fn assured(self) -> Connection {
        self.change(|c| c.status = c.status.with(Status::ASSURED))
    }

    fn aged(self, secs: u64) -> Connection {
        self.change(|c| c.delta_time = Some(secs))
    }

    fn started(self, nanos: u64) -> Connection {
        self.change(|c| c.start = Some(Time::from_nanos(nanos)))
    }

    fn stopped(self, nanos: u64) -> Connection {
        self.change(|c| c.stop = Some(Time::from_nanos(nanos)))
    }

    fn marked(self, mark: u32) -> Connection {
        self.change(|c| c.mark = mark)
    }

    fn helped(self, helper: &str) -> Connection {
        self.change(|c| c.helper = Some(helper.into()))
    }

    fn numbered(self, id: u32) -> Connection {
        self.change(|c| c.id = id)
    }

    fn zoned(self, zone: Zone) -> Connection {
        self.change(|c| c.zone = zone)
    }

    fn labelled(self, labels: u128) -> Connection {
        self.change(|c| c.labels = labels)
    }

    /// The reply tuple of a translated connection.
    fn answered_by(self, src: &str, dst: &str, parts: (u16, u16)) -> Connection {
        self.change(|c| c.reply = tuple(c.original.protocol, src, dst, parts))
    }
}

impl Build for Connection {
    fn change(mut self, change: impl FnOnce(&mut Connection)) -> Connection {
        change(&mut self);
        self
    }
}

/// An event about an entry.
pub(crate) fn event(kind: EventKind, changes: &[Changes], connection: Connection) -> Event {
    let mut all = 0;
    for change in changes {
        all |= change.0;
    }
    Event {
        kind,
        changes: Changes(all),
        time: Time::ZERO,
        connection,
    }
}

/// What `write` appends, as text.
pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}
