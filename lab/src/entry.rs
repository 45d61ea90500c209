//! A table entry in the form in which the engine's and the kernel's are compared.

use std::fmt;
use std::net::IpAddr;

use ip_conntrack::{Connection, Direction, Protocol, State, Time, Tuple};

/// One direction of a connection. The parts are those of [`ip_conntrack::Tuple`]: ports, or ICMP
/// identifier and type × 256 + code, or GRE keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ends {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// The protocol's part on the source side.
    pub src_part: u16,
    /// The protocol's part on the destination side.
    pub dst_part: u16,
}

impl From<Tuple> for Ends {
    fn from(tuple: Tuple) -> Ends {
        Ends {
            src: tuple.src,
            dst: tuple.dst,
            protocol: tuple.protocol.0,
            src_part: tuple.src_part,
            dst_part: tuple.dst_part,
        }
    }
}

impl From<Ends> for Tuple {
    fn from(ends: Ends) -> Tuple {
        Tuple {
            src: ends.src,
            dst: ends.dst,
            protocol: Protocol(ends.protocol),
            src_part: ends.src_part,
            dst_part: ends.dst_part,
        }
    }
}

/// An entry with everything that ctnetlink tells and that both sides must agree on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Original tuple.
    pub original: Ends,
    /// Reply tuple.
    pub reply: Ends,
    /// Status bits.
    pub status: u32,
    /// Number of the TCP or SCTP state.
    pub state: Option<u8>,
    /// Window scale and flags of both sides (TCP), or verification tags (SCTP).
    pub sides: [(u32, u8); 2],
    /// Whole seconds to expiry.
    pub timeout: u64,
    /// Packets and bytes, original and reply.
    pub counters: [(u64, u64); 2],
    /// Mark.
    pub mark: u32,
    /// Zone.
    pub zone: u16,
    /// 128 labels.
    pub labels: u128,
    /// The helper's name.
    pub helper: Option<String>,
    /// References to it.
    pub uses: u32,
    /// A number that does not change while it lives. The two sides choose their own.
    pub id: u32,
    /// When it was confirmed, if timestamps were on, by the clock of the side it is of, in nanoseconds.
    pub start: Option<u64>,
    /// When it ended.
    pub stop: Option<u64>,
}

impl Entry {
    /// Whether a reply was seen.
    pub const fn is_replied(&self) -> bool {
        self.status & 2 != 0
    }

    /// Whether it is ASSURED.
    pub const fn is_assured(&self) -> bool {
        self.status & 4 != 0
    }

    /// The name of the state.
    pub fn state_name(&self) -> Option<&'static str> {
        let state = usize::from(self.state?);
        match self.original.protocol {
            6 => ip_conntrack::TcpState::ALL
                .get(state)
                .map(|state| state.name()),
            _ => ip_conntrack::SctpState::ALL
                .get(state)
                .map(|state| state.name()),
        }
    }

    /// Whether the two are the same, but for a second of the timer: the two clocks are not read at
    /// the same instant, and the kernel's ticks four thousandths of a second apart. Ids mean something
    /// on their own side only. Starts must both be there or not, and counted from the same moment.
    pub fn agrees(&self, other: &Entry) -> bool {
        const SLACK_NS: u64 = 50_000_000;
        let started_together = match (self.start, other.start) {
            (Some(one), Some(other)) => one.abs_diff(other) < SLACK_NS,
            (one, other) => one == other,
        };
        self.timeout.abs_diff(other.timeout) <= 1
            && started_together
            && *self
                == Entry {
                    timeout: self.timeout,
                    id: self.id,
                    start: self.start,
                    stop: self.stop,
                    ..other.clone()
                }
    }
}

impl From<&Connection> for Entry {
    fn from(connection: &Connection) -> Entry {
        let (state, sides) = match connection.state {
            State::Tcp { state, sides } => {
                let side =
                    |index: usize| (u32::from(sides[index].window_scale), sides[index].flags);
                (Some(state as u8), [side(0), side(1)])
            }
            State::Sctp { state, tags } => (Some(state as u8), [(tags[0], 0), (tags[1], 0)]),
            State::Stateless | State::Gre { .. } => (None, [(0, 0); 2]),
        };
        let counters = connection.counters.unwrap_or_default();
        Entry {
            original: connection.original.into(),
            reply: connection.reply.into(),
            status: u32::from(connection.status.0),
            state,
            sides,
            timeout: connection.timeout.unwrap_or_default(),
            counters: counters.map(|counter| (counter.packets, counter.bytes)),
            mark: connection.mark,
            zone: connection.zone.id_of(Direction::Original),
            labels: connection.labels,
            helper: connection.helper.clone(),
            uses: connection.uses,
            id: connection.id,
            start: connection.start.map(Time::as_nanos),
            stop: connection.stop.map(Time::as_nanos),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ends {
            src,
            dst,
            protocol,
            src_part,
            dst_part,
        } = self.original;
        write!(f, "{protocol} {src}/{src_part} > {dst}/{dst_part}")?;
        write!(f, " {} {}", self.state_name().unwrap_or("-"), self.timeout)?;
        write!(f, " status={:#x}", self.status)?;
        for (name, index) in [("o", 0), ("r", 1)] {
            let (packets, bytes) = self.counters[index];
            let (number, flags) = self.sides[index];
            write!(f, " {name}={packets}/{bytes} {number}:{flags:#x}")?;
        }
        write!(f, " mark={} zone={}", self.mark, self.zone)?;
        if self.labels != 0 {
            write!(f, " labels={:#x}", self.labels)?;
        }
        if let Some(helper) = &self.helper {
            write!(f, " helper={helper}")?;
        }
        write!(f, " use={} id={}", self.uses, self.id)?;
        self.start
            .map_or(Ok(()), |start| write!(f, " start={start}"))
    }
}
