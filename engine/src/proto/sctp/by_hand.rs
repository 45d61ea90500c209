//! An SCTP association's state, set by hand: state and both tags, or nothing.

use super::Sctp;
use crate::change::{Refusal, StateChange};
use crate::connection::SctpState;

pub(crate) fn check_change(change: &StateChange) -> Result<(), Refusal> {
    match change {
        StateChange::Sctp {
            state: Some(state), ..
        } if state_of(*state).is_none() => Err(Refusal::OutOfRange),
        StateChange::Sctp {
            state: Some(_),
            tags: [Some(_), Some(_)],
        } => Ok(()),
        _ => Err(Refusal::Invalid),
    }
}

fn state_of(number: u8) -> Option<SctpState> {
    SctpState::ALL.get(usize::from(number)).copied()
}

impl Sctp {
    pub(in crate::proto) fn change(&mut self, change: &StateChange) {
        if let StateChange::Sctp {
            state: Some(state),
            tags: [Some(original), Some(reply)],
        } = change
            && let Some(state) = state_of(*state)
        {
            self.state = state;
            self.tags = [*original, *reply];
        }
    }
}
