//! A connection as the outside sees it: a copy of one table entry, with everything that listings,
//! events and ctnetlink show. The table's own entry is packed (`entry.rs`); this is its readable form.

use alloc::string::String;
use core::fmt;

use crate::time::Time;
use crate::tuple::{Direction, Tuple, Zone};

/// Packets and bytes of one direction. Bytes count whole IP packets, headers included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets; a datagram that came in fragments is one.
    pub packets: u64,
    /// Bytes from the IP header on.
    pub bytes: u64,
}

/// Status bits, with the numbers that ctnetlink gives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status(pub u16);

impl Status {
    /// Child of an expectation.
    pub const EXPECTED: Status = Status(1);
    /// A reply was accepted.
    pub const SEEN_REPLY: Status = Status(1 << 1);
    /// Never evicted when the table is full.
    pub const ASSURED: Status = Status(1 << 2);
    /// In the table.
    pub const CONFIRMED: Status = Status(1 << 3);
    /// The source is translated.
    pub const SRC_NAT: Status = Status(1 << 4);
    /// The destination is translated.
    pub const DST_NAT: Status = Status(1 << 5);
    /// TCP sequence numbers are shifted.
    pub const SEQ_ADJUST: Status = Status(1 << 6);
    /// Source translation is decided.
    pub const SRC_NAT_DONE: Status = Status(1 << 7);
    /// Destination translation is decided.
    pub const DST_NAT_DONE: Status = Status(1 << 8);
    /// Being removed.
    pub const DYING: Status = Status(1 << 9);
    /// Packets do not refresh the timer.
    pub const FIXED_TIMEOUT: Status = Status(1 << 10);
    /// Inserted for the reply direction only, after a clash.
    pub const NAT_CLASH: Status = Status(1 << 12);
    /// A helper was given explicitly.
    pub const HELPER: Status = Status(1 << 13);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Status) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Status) -> Status {
        Status(self.0 | other.0)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// States of a TCP connection, numbered as ctnetlink numbers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum TcpState {
    /// Before the first transition.
    #[default]
    None = 0,
    /// SYN seen.
    SynSent = 1,
    /// SYN/ACK seen.
    SynRecv = 2,
    /// ACK of the handshake seen, or picked up in the middle.
    Established = 3,
    /// First FIN seen.
    FinWait = 4,
    /// First FIN acknowledged.
    CloseWait = 5,
    /// Second FIN seen.
    LastAck = 6,
    /// Second FIN acknowledged.
    TimeWait = 7,
    /// RST seen.
    Close = 8,
    /// SYN seen from both sides.
    SynSent2 = 9,
}

impl TcpState {
    /// All states, by number.
    pub const ALL: [TcpState; 10] = [
        TcpState::None,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::Established,
        TcpState::FinWait,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::SynSent2,
    ];

    /// The name that listings print.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::None => "NONE",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }
}

/// States of an SCTP association, numbered as ctnetlink numbers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum SctpState {
    /// Before the first chunk.
    #[default]
    None = 0,
    /// INIT seen, or the association is over.
    Closed = 1,
    /// INIT_ACK seen.
    CookieWait = 2,
    /// COOKIE_ECHO seen.
    CookieEchoed = 3,
    /// COOKIE_ACK seen.
    Established = 4,
    /// SHUTDOWN seen in the original direction.
    ShutdownSent = 5,
    /// SHUTDOWN seen in the reply direction.
    ShutdownRecd = 6,
    /// SHUTDOWN_ACK seen.
    ShutdownAckSent = 7,
    /// HEARTBEAT seen on a new path.
    HeartbeatSent = 8,
}

impl SctpState {
    /// All states, by number.
    pub const ALL: [SctpState; 9] = [
        SctpState::None,
        SctpState::Closed,
        SctpState::CookieWait,
        SctpState::CookieEchoed,
        SctpState::Established,
        SctpState::ShutdownSent,
        SctpState::ShutdownRecd,
        SctpState::ShutdownAckSent,
        SctpState::HeartbeatSent,
    ];

    /// The name that listings print.
    pub const fn name(self) -> &'static str {
        match self {
            SctpState::None => "NONE",
            SctpState::Closed => "CLOSED",
            SctpState::CookieWait => "COOKIE_WAIT",
            SctpState::CookieEchoed => "COOKIE_ECHOED",
            SctpState::Established => "ESTABLISHED",
            SctpState::ShutdownSent => "SHUTDOWN_SENT",
            SctpState::ShutdownRecd => "SHUTDOWN_RECD",
            SctpState::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            SctpState::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }
}

/// A state of whichever protocol has states.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProtocolState {
    /// TCP.
    Tcp(TcpState),
    /// SCTP.
    Sctp(SctpState),
}

impl ProtocolState {
    /// The name that listings print.
    pub const fn name(self) -> &'static str {
        match self {
            ProtocolState::Tcp(state) => state.name(),
            ProtocolState::Sctp(state) => state.name(),
        }
    }
}

/// What ctnetlink tells of one side of a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpSide {
    /// Window scale, 0 to 14.
    pub window_scale: u8,
    /// 0x01 window scale seen, 0x02 SACK permitted, 0x04 sent the first FIN, 0x08 liberal,
    /// 0x10 data not acknowledged yet, 0x20 highest ACK known.
    pub flags: u8,
}

/// What the protocol's tracker adds to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Nothing: UDP, ICMP and whatever has no state machine.
    #[default]
    Stateless,
    /// TCP.
    Tcp {
        /// The state of the connection.
        state: TcpState,
        /// Original and reply side.
        sides: [TcpSide; 2],
    },
    /// SCTP.
    Sctp {
        /// The state of the association.
        state: SctpState,
        /// Verification tags, original and reply.
        tags: [u32; 2],
    },
    /// GRE: the two timeouts that the entry was made with, in seconds.
    Gre {
        /// While unreplied, and for the first reply.
        timeout: u32,
        /// Afterwards.
        stream_timeout: u32,
    },
}

impl State {
    /// The state's name, for protocols that have one.
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            State::Tcp { state, .. } => Some(state.name()),
            State::Sctp { state, .. } => Some(state.name()),
            State::Stateless | State::Gre { .. } => None,
        }
    }
}

/// A copy of one entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Connection {
    /// Stable for the life of the entry.
    pub id: u32,
    /// The direction of the first packet.
    pub original: Tuple,
    /// The direction of the answers; differs from the original's inverse under NAT.
    pub reply: Tuple,
    /// The zone it belongs to.
    pub zone: Zone,
    /// Status bits.
    pub status: Status,
    /// State of the protocol's tracker.
    pub state: State,
    /// Whole seconds to expiry; `None` where there is none to tell (a destroyed entry that ran out).
    pub timeout: Option<u64>,
    /// Original and reply counters; `None` if accounting was off when the entry was made.
    pub counters: Option<[Counters; 2]>,
    /// The connection mark.
    pub mark: u32,
    /// The security mark of 2.6 listings.
    pub secmark: u32,
    /// The security context.
    pub secctx: Option<String>,
    /// 128 label bits, bit 0 lowest.
    pub labels: u128,
    /// The helper's name.
    pub helper: Option<String>,
    /// When it was confirmed, if timestamps were on.
    pub start: Option<Time>,
    /// When it ended.
    pub stop: Option<Time>,
    /// Age in whole seconds, if timestamps were on.
    pub delta_time: Option<u64>,
    /// References as a dump counts them: 1 for the table, 1 for each child.
    pub uses: u32,
    /// The original tuple of the connection that expected this one.
    pub master: Option<Tuple>,
}

impl Connection {
    /// Whether a reply was seen.
    pub const fn is_replied(&self) -> bool {
        self.status.has(Status::SEEN_REPLY)
    }

    /// Whether early drop must leave it alone.
    pub const fn is_assured(&self) -> bool {
        self.status.has(Status::ASSURED)
    }

    /// The tuple of one direction.
    pub const fn tuple(&self, direction: Direction) -> &Tuple {
        match direction {
            Direction::Original => &self.original,
            Direction::Reply => &self.reply,
        }
    }
}
