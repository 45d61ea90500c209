//! TCP (RFC 9293) as seen from the middle.
//!
//! *Life.* The transition table (`table.rs`) proposes a state for each packet; the exceptions below
//! may change that; the window check (`window.rs`) decides whether the packet counts; then the
//! timeout follows from the new state and from what is still unacknowledged.
//!
//! *Out of step.* A tracker can miss packets. A SYN, SYN/ACK or ACK that does not belong is not
//! refused but *ignored*: it passes without effect, and what it said is noted. If the other side
//! confirms it, the tracker steps into line with the two hosts (resynchronisation); if the other side
//! refuses it with a RST, that RST is believed.
//!
//! *Resets.* Anybody can forge a RST. In an ASSURED connection only one with the exact sequence
//! number that the receiver expects closes it (RFC 5961); another within the window leaves the state,
//! with a short timeout that the receiver's challenge ACK makes long again.
//!
//! *Reopening.* A SYN to a connection that is over makes room for a new one of the same tuple.

mod by_hand;
mod memory;
mod reset;
mod table;
mod window;

use core::hint::select_unpredictable;

use super::{Scene, Step, has_right_checksum};
use crate::config::{Config, Knob};
use crate::connection::{State, Status, TcpSide, TcpState};
use crate::event::Changes;
use crate::packet::Packet;
use crate::packet::tcp::Header;
use crate::time::{Time, nanos};
use crate::tuple::{Direction, Protocol};
use crate::verdict::Reason;
pub(super) use by_hand::check_change;
use table::{Class, Move, transition};
use window::Fit;

/// One side of the connection, as the window check works on it.
#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    end: u32,
    max_end: u32,
    max_win: u32,
    max_ack: u32,
    scale: u8,
    flags: u8,
}

impl Peer {
    const WINDOW_SCALE: u8 = 0x01;
    const SACK_PERMITTED: u8 = 0x02;
    /// It sent the first FIN.
    const CLOSE_INIT: u8 = 0x04;
    /// Its segments need not fit.
    const LIBERAL: u8 = 0x08;
    /// It sent data that is not acknowledged yet.
    const UNACKNOWLEDGED: u8 = 0x10;
    const MAX_ACK_SET: u8 = 0x20;

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8) {
        self.flags |= flag;
    }
}

/// `last_flags` beside the options of a noted SYN: an ACK that challenges it may follow.
const EXPECT_CHALLENGE: u8 = 0x40;
/// `last_flags`: both sides sent a SYN.
const SIMULTANEOUS_OPEN: u8 = 0x80;

/// The numbers of a [`Peer`]; its scale and flags are stored apart, for the sake of size.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    end: u32,
    max_end: u32,
    max_win: u32,
    max_ack: u32,
}

/// The tracker's memory of a connection. (In this order, so that the last two numbers of a header are
/// compared and stored as one.)
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Tcp {
    numbers: [Numbers; 2],
    /// The last packet that was accepted or ignored, as far as it is needed.
    last_ack: u32,
    last_seq: u32,
    last_end: u32,
    last_window: u16,
    scales: [u8; 2],
    flags: [u8; 2],
    /// How often the last ACK was repeated.
    repeats: u8,
    last_flags: u8,
    last_scale: u8,
    last_class: Class,
    last_direction: Direction,
    state: TcpState,
}

impl Default for Tcp {
    fn default() -> Tcp {
        Tcp {
            numbers: [Numbers::default(); 2],
            last_seq: 0,
            last_ack: 0,
            last_end: 0,
            last_window: 0,
            scales: [0; 2],
            flags: [0; 2],
            repeats: 0,
            last_flags: 0,
            last_scale: 0,
            last_class: Class::None,
            last_direction: Direction::Original,
            state: TcpState::None,
        }
    }
}

/// One packet with what was found out about it.
struct Segment<'a> {
    header: Header<'a>,
    class: Class,
    direction: Direction,
    /// The connection's state before it; SYN_SENT after a resynchronisation.
    old: TcpState,
}

/// What the exceptions make of the table's proposal.
enum Plan {
    /// To that state if the window check agrees.
    Check(TcpState),
    /// To that state whatever the window check would say.
    Believe(TcpState),
    End(Step),
}

impl Tcp {
    pub(super) fn state(&self) -> State {
        let side = |index: usize| TcpSide {
            window_scale: self.scales[index],
            flags: self.flags[index],
        };
        State::Tcp {
            state: self.state,
            sides: [side(0), side(1)],
        }
    }

    #[inline(always)]
    fn peer(&self, direction: Direction) -> Peer {
        let index = direction.index();
        let numbers = self.numbers[index];
        Peer {
            end: numbers.end,
            max_end: numbers.max_end,
            max_win: numbers.max_win,
            max_ack: numbers.max_ack,
            scale: self.scales[index],
            flags: self.flags[index],
        }
    }

    #[inline(always)]
    fn set_peer(&mut self, direction: Direction, peer: Peer) {
        let index = direction.index();
        self.numbers[index] = Numbers {
            end: peer.end,
            max_end: peer.max_end,
            max_win: peer.max_win,
            max_ack: peer.max_ack,
        };
        self.scales[index] = peer.scale;
        self.flags[index] = peer.flags;
    }

    pub(super) fn track(
        &mut self,
        status: &mut Status,
        deadline: Time,
        scene: &Scene<'_>,
        changes: &mut Changes,
    ) -> Step {
        let (header, class) = match check_header(scene.packet, scene.config) {
            Ok(checked) => checked,
            Err(reason) => return Step::Invalid(reason),
        };
        if scene.opens && class == Class::Syn {
            return self.open_with_syn(&header, scene.config, changes);
        }
        if scene.opens && !self.open(&header, class, scene.config) {
            return Step::Invalid(Reason::TcpNew);
        }
        let mut segment = Segment {
            header,
            class,
            direction: scene.direction,
            old: self.state,
        };
        let new = match self.plan(&mut segment, *status, scene.config) {
            Plan::End(step) => return step,
            Plan::Believe(state) => state,
            Plan::Check(state) => {
                match window::check(
                    self,
                    &segment.header,
                    class,
                    segment.direction,
                    scene.config,
                ) {
                    Fit::In => state,
                    Fit::Late(reason) => return Step::Keep(Some(reason)),
                    Fit::Out(reason) => {
                        return self.refuse(&segment, *status, deadline, scene, reason);
                    }
                }
            }
        };
        self.accept(&segment, new, status, scene.config, changes)
    }

    /// Data or an acknowledgement that fits its window, on an ASSURED connection that neither side
    /// is closing: until when it lives.
    #[inline(always)]
    pub(super) fn continue_usually(
        &mut self,
        packet: &Packet<'_>,
        direction: Direction,
        now: Time,
        terms: &super::Terms,
    ) -> Option<Time> {
        if self.state != TcpState::Established || terms.verifies && !is_right(packet) {
            return None;
        }
        let header = Header::parse_usual(packet.l4_usual()?)?;
        let has_unacknowledged = window::continues(self, &header, direction)?;
        if i64::from(self.repeats) >= terms.tcp.repeats_max {
            return Some(now.plus_nanos(terms.tcp.repeated));
        }
        // Data is acknowledged or not as it comes: nothing to foresee.
        let timeout = select_unpredictable(has_unacknowledged, terms.tcp.waiting, terms.tcp.full);
        Some(now.plus_nanos(timeout))
    }

    /// A SYN that opens a connection: there is nothing yet that it could not fit.
    fn open_with_syn(
        &mut self,
        header: &Header<'_>,
        config: &Config,
        changes: &mut Changes,
    ) -> Step {
        let window = u32::from(header.window).max(1);
        let mut opener = Peer {
            end: header.end(),
            max_end: header.end(),
            max_win: window,
            ..Peer::default()
        };
        opener.take_options(header);
        self.set_peer(Direction::Original, opener);
        self.numbers[Direction::Reply.index()].max_end = window;
        self.last_class = Class::Syn;
        self.state = TcpState::SynSent;
        changes.add(Changes::PROTOINFO);
        Step::Refresh(self.timeout(TcpState::SynSent, Class::Syn, config))
    }

    /// What the first packet of a connection whose beginning was not seen starts from; `false` if it
    /// cannot be the first.
    fn open(&mut self, header: &Header<'_>, class: Class, config: &Config) -> bool {
        let mut opener = Peer {
            end: header.end(),
            max_end: header.end(),
            max_win: u32::from(header.window).max(1),
            ..Peer::default()
        };
        if class != Class::Ack || !config.flag(Knob::TcpLoose) {
            return false;
        }
        opener.max_end = opener.end.wrapping_add(opener.max_win);
        opener.flags = Peer::SACK_PERMITTED | Peer::LIBERAL;
        self.flags[Direction::Reply.index()] = opener.flags;
        self.set_peer(Direction::Original, opener);
        true
    }

    /// The table's proposal and the exceptions to it.
    fn plan(&mut self, segment: &mut Segment<'_>, status: Status, config: &Config) -> Plan {
        match transition(segment.direction, segment.class, segment.old) {
            Move::Invalid => Plan::End(Step::Invalid(Reason::TcpState)),
            Move::Ignore => self.ignore(segment),
            Move::To(TcpState::SynSent) if segment.old >= TcpState::TimeWait => {
                if self.is_over(segment.direction) {
                    return Plan::End(Step::Reopen);
                }
                self.ignore(segment)
            }
            Move::To(TcpState::TimeWait) if self.is_challenge(segment) => {
                self.last_flags &= !EXPECT_CHALLENGE;
                Plan::End(Step::Keep(Some(Reason::TcpChallengeAck)))
            }
            Move::To(TcpState::SynSent2) => {
                self.last_flags |= SIMULTANEOUS_OPEN;
                Plan::Check(TcpState::SynSent2)
            }
            Move::To(TcpState::SynRecv)
                if segment.class == Class::Ack
                    && segment.direction == Direction::Reply
                    && self.last_flags & SIMULTANEOUS_OPEN != 0 =>
            {
                Plan::Check(TcpState::Established)
            }
            Move::To(TcpState::Close) if segment.class == Class::Rst => {
                self.plan_reset(segment, status, config)
            }
            Move::To(state) => Plan::Check(state),
        }
    }

    /// Whether a SYN may take the place of this closed connection: it was closed in order, or the
    /// sender of the SYN had reset it.
    fn is_over(&self, direction: Direction) -> bool {
        (self.flags[0] | self.flags[1]) & Peer::CLOSE_INIT != 0
            || (self.last_class == Class::Rst && self.last_direction == direction)
    }

    /// An ACK in LAST_ACK that answers a stray SYN of the other side, and not the last FIN.
    fn is_challenge(&self, segment: &Segment<'_>) -> bool {
        segment.old == TcpState::LastAck
            && segment.class == Class::Ack
            && self.last_class == Class::Syn
            && self.last_direction != segment.direction
            && self.last_flags & EXPECT_CHALLENGE != 0
    }

    /// Lets a packet pass and notes what it said; or, if it is the SYN/ACK to a SYN so noted, takes
    /// the connection as the two hosts have it now.
    fn ignore(&mut self, segment: &mut Segment<'_>) -> Plan {
        let header = &segment.header;
        if segment.class == Class::SynAck
            && self.last_class == Class::Syn
            && self.last_direction != segment.direction
            && header.ack == self.last_end
        {
            self.resynchronise(segment.direction);
            segment.old = TcpState::SynSent;
            return Plan::Check(TcpState::SynRecv);
        }
        self.last_class = segment.class;
        self.last_direction = segment.direction;
        self.last_seq = header.seq;
        self.last_end = header.end();
        self.last_window = header.window;
        if segment.class == Class::Syn {
            self.note_options(header);
            if segment.old == TcpState::LastAck {
                self.last_flags |= EXPECT_CHALLENGE;
            }
        }
        let answers_syn = segment.old == TcpState::SynSent
            && segment.class == Class::Ack
            && segment.direction == Direction::Reply;
        if answers_syn {
            self.last_ack = header.ack;
        }
        Plan::End(Step::Keep(Some(Reason::TcpIgnored)))
    }

    fn note_options(&mut self, header: &Header<'_>) {
        let options = header.syn_options();
        self.last_scale = options.window_scale.unwrap_or(0);
        self.last_flags = 0;
        if options.window_scale.is_some() {
            self.last_flags |= Peer::WINDOW_SCALE;
        }
        if options.sack_permitted {
            self.last_flags |= Peer::SACK_PERMITTED;
        }
    }

    fn resynchronise(&mut self, answering: Direction) {
        self.last_flags &= !EXPECT_CHALLENGE;
        let mut opener = self.peer(self.last_direction);
        opener.end = self.last_end;
        opener.max_end = self.last_end;
        opener.max_win = u32::from(self.last_window).max(1);
        opener.scale = self.last_scale;
        opener.flags = self.last_flags;
        self.set_peer(self.last_direction, opener);
        let answerer = Peer {
            flags: self.peer(answering).flags & Peer::LIBERAL,
            ..Peer::default()
        };
        self.set_peer(answering, answerer);
    }

    /// A packet that counts.
    fn accept(
        &mut self,
        segment: &Segment<'_>,
        new: TcpState,
        status: &mut Status,
        config: &Config,
        changes: &mut Changes,
    ) -> Step {
        let old = segment.old;
        self.last_class = segment.class;
        self.last_direction = segment.direction;
        self.state = new;
        if old != new {
            changes.add(Changes::PROTOINFO);
            if new == TcpState::FinWait {
                self.flags[segment.direction.index()] |= Peer::CLOSE_INIT;
            }
        }
        let mut timeout = self.timeout(new, segment.class, config);
        if !status.has(Status::SEEN_REPLY) {
            if segment.class == Class::Rst {
                return Step::Delete;
            }
            if segment.class == Class::Syn && old == TcpState::SynSent {
                return Step::Keep(None);
            }
            let unacknowledged = config.secs(Knob::TcpTimeoutUnacknowledged);
            if new == TcpState::Established && is_longer(timeout, unacknowledged) {
                timeout = unacknowledged;
            }
        } else if !status.has(Status::ASSURED)
            && matches!(old, TcpState::SynRecv | TcpState::Established)
            && new == TcpState::Established
        {
            *status = status.with(Status::ASSURED);
            changes.add(Changes::ASSURED);
        }
        Step::Refresh(timeout)
    }

    #[inline(always)]
    fn timeout(&self, state: TcpState, class: Class, config: &Config) -> i32 {
        let full = full_timeout(state, config);
        let retrans = config.secs(Knob::TcpTimeoutMaxRetrans);
        let unacknowledged = config.secs(Knob::TcpTimeoutUnacknowledged);
        let has_unacknowledged = (self.flags[0] | self.flags[1]) & Peer::UNACKNOWLEDGED != 0;
        let waits = has_unacknowledged & is_longer(full, unacknowledged);
        if i64::from(self.repeats) >= config.get(Knob::TcpMaxRetrans) && is_longer(full, retrans) {
            retrans
        } else if class == Class::Rst {
            config.secs(Knob::TcpTimeoutClose)
        } else if self.last_window == 0 && !waits && is_longer(full, retrans) {
            retrans
        } else {
            // Data is acknowledged or not as it comes: nothing to foresee.
            select_unpredictable(waits, unacknowledged, full)
        }
    }

    /// Notes an ACK as the last packet, and counts those that say the same as the one before. (Without
    /// branches: whether one does cannot be foreseen, and if it does, it may as well be noted again.)
    #[inline(always)]
    fn count_repeats(&mut self, header: &Header<'_>, direction: Direction) {
        let end = header.end();
        let both = |seq: u32, ack: u32| u64::from(seq) << 32 | u64::from(ack);
        let rest = (self.last_end ^ end)
            | u32::from(self.last_window ^ header.window)
            | u32::from(self.last_direction as u8 ^ direction as u8);
        let differs =
            both(self.last_seq, self.last_ack) ^ both(header.seq, header.ack) | u64::from(rest);
        self.last_class = Class::Ack;
        self.last_direction = direction;
        self.last_seq = header.seq;
        self.last_ack = header.ack;
        self.last_end = end;
        self.last_window = header.window;
        self.repeats = select_unpredictable(differs == 0, self.repeats.wrapping_add(1), 0);
    }
}

#[inline(always)]
fn check_header<'a>(packet: &Packet<'a>, config: &Config) -> Result<(Header<'a>, Class), Reason> {
    let segment = packet.l4();
    let header = Header::parse(segment)?;
    let verifies = config.flag(Knob::Checksum);
    if !has_right_checksum(packet, verifies, Protocol::TCP, segment.len) {
        return Err(Reason::TcpChecksum);
    }
    let class = Class::of(header.flags).ok_or(Reason::TcpFlags)?;
    Ok((header, class))
}

/// Whether a packet's checksum is right, or cannot be verified.
#[inline(never)]
fn is_right(packet: &Packet<'_>) -> bool {
    has_right_checksum(packet, true, Protocol::TCP, packet.l4().len)
}

/// The timeouts of usual packets, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Of a connection in which everything is acknowledged.
    full: i64,
    /// Of one in which something is not.
    waiting: i64,
    /// Of one in which an ACK was repeated at least so often, and how long that lives.
    repeats_max: i64,
    repeated: i64,
}

impl Terms {
    pub(super) fn of(config: &Config) -> Terms {
        let full = full_timeout(TcpState::Established, config);
        let unacknowledged = config.secs(Knob::TcpTimeoutUnacknowledged);
        let retrans = config.secs(Knob::TcpTimeoutMaxRetrans);
        let waiting = match is_longer(full, unacknowledged) {
            true => unacknowledged,
            false => full,
        };
        let repeats_max = match is_longer(full, retrans) {
            true => config.get(Knob::TcpMaxRetrans),
            false => i64::MAX,
        };
        Terms {
            full: nanos(full),
            waiting: nanos(waiting),
            repeats_max,
            repeated: nanos(retrans),
        }
    }
}

/// Whether one timeout is longer than another. The kernel compares them without sign, so that -1,
/// which ends an entry at once, counts as the longest.
const fn is_longer(a: i32, b: i32) -> bool {
    a as u32 > b as u32
}

/// Seconds that a connection of that state lives, if nothing else shortens its life.
const fn full_timeout(state: TcpState, config: &Config) -> i32 {
    /// No knob sets this one.
    const SYN_SENT2: i32 = 120;
    config.secs(match state {
        TcpState::SynSent2 => return SYN_SENT2,
        TcpState::None | TcpState::SynSent => Knob::TcpTimeoutSynSent,
        TcpState::SynRecv => Knob::TcpTimeoutSynRecv,
        TcpState::Established => Knob::TcpTimeoutEstablished,
        TcpState::FinWait => Knob::TcpTimeoutFinWait,
        TcpState::CloseWait => Knob::TcpTimeoutCloseWait,
        TcpState::LastAck => Knob::TcpTimeoutLastAck,
        TcpState::TimeWait => Knob::TcpTimeoutTimeWait,
        TcpState::Close => Knob::TcpTimeoutClose,
    })
}
