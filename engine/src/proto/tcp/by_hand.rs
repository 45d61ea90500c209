//! A TCP connection's state, set by hand. Windows stay as they are: the next packet of each side says them.

use super::{Peer, Tcp};
use crate::change::{Masked, Refusal, StateChange};
use crate::connection::TcpState;

/// RFC 7323.
const GREATEST_SCALE: u8 = 14;

pub(crate) fn check_change(change: &StateChange) -> Result<(), Refusal> {
    let StateChange::Tcp {
        state,
        window_scales,
        ..
    } = change
    else {
        return Ok(());
    };
    let is_state = state.is_none_or(|state| state_of(state).is_some());
    let is_scale = |scale: &Option<u8>| scale.is_none_or(|scale| scale <= GREATEST_SCALE);
    match is_state && window_scales.iter().all(is_scale) {
        true => Ok(()),
        false => Err(Refusal::OutOfRange),
    }
}

fn state_of(number: u8) -> Option<TcpState> {
    TcpState::ALL.get(usize::from(number)).copied()
}

impl Tcp {
    /// Window scales count only if both are given, and both sides have said that they scale.
    pub(in crate::proto) fn change(&mut self, change: &StateChange) {
        let StateChange::Tcp {
            state,
            window_scales,
            flags,
        } = change
        else {
            return;
        };
        if let Some(state) = state.and_then(state_of) {
            self.state = state;
        }
        for (own, change) in self.flags.iter_mut().zip(flags) {
            if let Some(Masked { value, mask }) = change {
                *own = *own & !mask | value & mask;
            }
        }
        let scales = self
            .flags
            .iter()
            .all(|flags| flags & Peer::WINDOW_SCALE != 0);
        if let ([Some(original), Some(reply)], true) = (window_scales, scales) {
            self.scales = [*original, *reply];
        }
    }
}
