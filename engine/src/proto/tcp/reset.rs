//! How far to believe packets that end a connection (RFC 5961).
//!
//! Anybody can forge a RST. One in an ASSURED connection closes it only with the sequence number that
//! its receiver expects; another within the window leaves the state and shortens the timeout, which the
//! receiver's challenge ACK makes long again. A RST that answers something that was ignored, or a
//! challenge, is believed without a look at the window, since the tracker's idea of it may be wrong.

use super::table::Class;
use super::{Peer, Plan, Segment, Tcp, is_longer};
use crate::config::{Config, Knob};
use crate::connection::{Status, TcpState};
use crate::packet::tcp::before;
use crate::proto::{Scene, Step};
use crate::time::Time;
use crate::tuple::Direction;
use crate::verdict::Reason;

impl Tcp {
    /// How far to believe a RST that the table would close the connection for.
    pub(super) fn plan_reset(
        &self,
        segment: &Segment<'_>,
        status: Status,
        config: &Config,
    ) -> Plan {
        let seq = segment.header.seq;
        let close = TcpState::Close;
        if is_closing(segment.old) {
            return Plan::Believe(close);
        }
        let target = self.peer(segment.direction.other());
        let mut new = close;
        if target.has(Peer::MAX_ACK_SET) && self.last_class != Class::Syn {
            let is_established =
                segment.old == TcpState::Established && status.has(Status::ASSURED);
            if seq == 0 && !is_established {
                return Plan::Check(close);
            }
            if before(seq, target.max_ack) && !config.flag(Knob::TcpIgnoreInvalidRst) {
                return Plan::End(Step::Invalid(Reason::TcpRst));
            }
            let follows_data = self.last_class == Class::Ack
                && self.last_direction == segment.direction
                && seq == self.last_end;
            if !is_established || seq == target.max_ack || follows_data {
                return Plan::Check(close);
            }
            new = segment.old;
        }
        if self.refuses_ignored(segment, status) || self.answers_challenge(segment) {
            return Plan::Believe(new);
        }
        Plan::Check(new)
    }

    /// A RST to an ACK that was ignored, or one of the other side to a SYN that was.
    fn refuses_ignored(&self, segment: &Segment<'_>, status: Status) -> bool {
        let had_ignored = match self.last_class {
            Class::Syn => {
                status.has(Status::SEEN_REPLY) && self.last_direction != segment.direction
            }
            Class::Ack => !status.has(Status::ASSURED),
            _ => false,
        };
        had_ignored && segment.header.ack == self.last_end
    }

    /// A RST by which the client clears the server's older connection away.
    fn answers_challenge(&self, segment: &Segment<'_>) -> bool {
        segment.old == TcpState::SynSent
            && self.last_class == Class::Ack
            && self.last_direction == Direction::Reply
            && segment.header.seq == self.last_ack
    }

    /// A segment outside the window. Two FINs or RSTs, one from each side, say that the hosts are
    /// done with a connection that the tracker lost sight of: it shall not stay for days.
    pub(super) fn refuse(
        &mut self,
        segment: &Segment<'_>,
        status: Status,
        deadline: Time,
        scene: &Scene<'_>,
        reason: Reason,
    ) -> Step {
        let ends = |class| matches!(class, Class::Fin | Class::Rst);
        let has_own_clock = !status.has(Status::ASSURED) || status.has(Status::FIXED_TIMEOUT);
        if has_own_clock || !ends(segment.class) {
            return Step::Invalid(reason);
        }
        if self.last_direction == segment.direction || !ends(self.last_class) {
            self.last_class = segment.class;
            self.last_direction = segment.direction;
            return Step::Invalid(reason);
        }
        let left = i32::try_from(deadline.secs_since(scene.now)).unwrap_or(i32::MAX);
        let timeout = scene.config.secs(Knob::TcpTimeoutUnacknowledged);
        if left >= 120 && is_longer(left, timeout) {
            return Step::Shorten(timeout, reason);
        }
        Step::Invalid(reason)
    }
}

const fn is_closing(state: TcpState) -> bool {
    matches!(
        state,
        TcpState::FinWait
            | TcpState::CloseWait
            | TcpState::LastAck
            | TcpState::TimeWait
            | TcpState::Close
    )
}
