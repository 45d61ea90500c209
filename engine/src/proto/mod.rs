//! What packets mean: one tracker a protocol.
//!
//! A tracker sees a packet of an entry and says, as a [`Step`], what follows for the entry. The set
//! of protocols is closed, so they are an enum and a `match`; the orchestrator (`conntrack.rs`) knows
//! none of their states or header bits.

mod by_hand;
mod generic;
mod gre;
pub(crate) mod icmp;
pub(crate) mod memory;
mod sctp;
mod tcp;
mod udp;

use crate::config::{Config, Knob};
use crate::connection::{ProtocolState, State, Status};
use crate::entry::Entry;
use crate::event::Changes;
use crate::packet::{Packet, checksum};
use crate::time::Time;
use crate::tuple::{Direction, Protocol};
use crate::verdict::Reason;

/// A tracker's memory of one connection.
#[derive(Clone, Debug)]
pub(crate) enum Proto {
    // First, so that whether it is TCP is one comparison.
    Tcp(tcp::Tcp),
    Stateless,
    Udp(udp::Udp),
    Sctp(sctp::Sctp),
    Gre(gre::Gre),
}

const _: () = assert!(size_of::<Proto>() == 56);

/// What a packet means for its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Accepted: counted, and the entry lives that many seconds more.
    Refresh(i32),
    /// Accepted, but neither counted nor a reason to live longer.
    Keep(Option<Reason>),
    /// Refused: INVALID.
    Invalid(Reason),
    /// Refused, and the entry lives only that many seconds more.
    Shorten(i32, Reason),
    /// Accepted, and it ends the entry at once.
    Delete,
    /// Opens a new connection in the place of this one, which is over.
    Reopen,
}

/// One packet on its way through a tracker.
pub(crate) struct Scene<'a> {
    pub(crate) packet: &'a Packet<'a>,
    pub(crate) direction: Direction,
    /// The packet opens the entry.
    pub(crate) opens: bool,
    pub(crate) config: &'a Config,
    pub(crate) now: Time,
}

/// Whether a packet's transport checksum is to be verified, and can be.
#[inline(always)]
fn verifies_checksum(packet: &Packet<'_>, config: &Config) -> bool {
    config.flag(Knob::Checksum) && packet.l4().is_whole()
}

/// Whether a packet's transport checksum, counted over `covered` bytes, may be believed: it is right, or
/// is not to be verified, or cannot be.
#[inline(always)]
fn has_right_checksum(
    packet: &Packet<'_>,
    verifies: bool,
    protocol: Protocol,
    covered: usize,
) -> bool {
    !(verifies && packet.l4().is_whole())
        || checksum::is_right_with_pseudo_header(
            packet.addresses(),
            protocol,
            packet.l4().bytes,
            covered,
        )
}

impl Proto {
    /// The memory that a tracker starts with.
    pub(crate) fn new(protocol: Protocol, config: &Config, now: Time) -> Proto {
        match protocol {
            Protocol::TCP => Proto::Tcp(tcp::Tcp::default()),
            Protocol::UDP => Proto::Udp(udp::Udp::new(now)),
            Protocol::SCTP => Proto::Sctp(sctp::Sctp::default()),
            Protocol::GRE => Proto::Gre(gre::Gre::new(config)),
            _ => Proto::Stateless,
        }
    }

    /// The state, for protocols that have one.
    pub(crate) fn progress(&self) -> Option<ProtocolState> {
        match self.state() {
            State::Tcp { state, .. } => Some(ProtocolState::Tcp(state)),
            State::Sctp { state, .. } => Some(ProtocolState::Sctp(state)),
            State::Stateless | State::Gre { .. } => None,
        }
    }

    /// The readable form.
    pub(crate) fn state(&self) -> State {
        match self {
            Proto::Tcp(tcp) => tcp.state(),
            Proto::Sctp(sctp) => sctp.state(),
            Proto::Gre(gre) => gre.state(),
            Proto::Udp(_) | Proto::Stateless => State::Stateless,
        }
    }
}

/// Takes a packet of `protocol` through its tracker.
pub(crate) fn track(
    entry: &mut Entry,
    protocol: Protocol,
    scene: &Scene<'_>,
    changes: &mut Changes,
) -> Step {
    let status = &mut entry.status;
    match (&mut entry.proto, protocol) {
        (Proto::Tcp(tcp), _) => tcp.track(status, entry.deadline, scene, changes),
        (Proto::Udp(udp), _) => udp.track(status, scene, changes),
        (Proto::Sctp(sctp), _) => sctp.track(status, scene, changes),
        (Proto::Gre(gre), _) => gre.track(status, changes),
        (Proto::Stateless, Protocol::UDPLITE) => udp::track_lite(status, scene, changes),
        (Proto::Stateless, Protocol::ICMP | Protocol::ICMPV6) => icmp::track(scene),
        (Proto::Stateless, _) => generic::track(scene),
    }
}

/// Takes a packet that says nothing new through its tracker: a short cut of [`track`], which returns
/// until when the entry lives. `None`, and nothing was changed, for all other packets.
#[inline(always)]
pub(crate) fn continue_usually(
    proto: &mut Proto,
    packet: &Packet<'_>,
    direction: Direction,
    status: Status,
    now: Time,
    terms: &Terms,
) -> Option<Time> {
    if let Proto::Tcp(tcp) = proto {
        let is_assured = status.has(Status::ASSURED);
        return is_assured.then(|| tcp.continue_usually(packet, direction, now, terms))?;
    }
    match proto {
        Proto::Udp(udp) => udp.continue_usually(packet, status, now, terms),
        _ => None,
    }
}

/// What the knobs say of usual packets, asked once for many of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    verifies: bool,
    tcp: tcp::Terms,
    udp: udp::Terms,
}

impl Terms {
    pub(crate) fn of(config: &Config) -> Terms {
        Terms {
            verifies: config.flag(Knob::Checksum),
            tcp: tcp::Terms::of(config),
            udp: udp::Terms::of(config),
        }
    }
}

/// Whether two packets that open the same connection at once may share one entry. TCP, SCTP and ICMP
/// repeat themselves, so there the second is dropped.
pub(crate) const fn allows_clash(protocol: Protocol) -> bool {
    !matches!(
        protocol,
        Protocol::TCP | Protocol::SCTP | Protocol::ICMP | Protocol::ICMPV6
    )
}
