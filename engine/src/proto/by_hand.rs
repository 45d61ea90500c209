//! What a tracker remembers, set by hand: states, window scales, flags and tags.

use super::Proto;
use crate::change::{Refusal, StateChange};

impl Proto {
    /// Whether the tracker can be changed so. What is meant for another protocol changes nothing.
    pub(crate) fn check_change(&self, change: &StateChange) -> Result<(), Refusal> {
        match (self, change) {
            (Proto::Tcp(_), StateChange::Tcp { .. }) => super::tcp::check_change(change),
            (Proto::Sctp(_), StateChange::Sctp { .. }) => super::sctp::check_change(change),
            _ => Ok(()),
        }
    }

    /// Changes it, as far as [`check_change`](Proto::check_change) allows that.
    pub(crate) fn change(&mut self, change: &StateChange) {
        match self {
            Proto::Tcp(tcp) => tcp.change(change),
            Proto::Sctp(sctp) => sctp.change(change),
            Proto::Stateless | Proto::Udp(_) | Proto::Gre(_) => {}
        }
    }
}
