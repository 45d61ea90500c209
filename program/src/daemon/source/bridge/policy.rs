//! What may pass a bridge.

use ip_conntrack::{Action, Class, Kind, Reason, Verdict};
use ip_conntrack_link::wire::Side;

use crate::daemon::settings::{Fate, Open, Settings};

/// What may pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    open: Open,
    invalid: Fate,
    full: Fate,
}

impl Policy {
    pub(crate) fn of(settings: &Settings) -> Policy {
        let bridge = &settings.bridge;
        Policy {
            open: bridge.open,
            invalid: match settings.run.drop_invalid {
                true => Fate::Drop,
                false => bridge.invalid,
            },
            full: bridge.full,
        }
    }

    /// Whether packets that come in at a side may open connections.
    pub(super) const fn may_open(&self, side: Side) -> bool {
        match (self.open, side) {
            (Open::Both, _) | (Open::First, Side::First) | (Open::Second, Side::Second) => true,
            (Open::Neither | Open::First | Open::Second, _) => false,
        }
    }

    /// Whether a packet passes now.
    pub(super) fn lets_pass(&self, verdict: &Verdict) -> bool {
        let kind = verdict.reason.map(Reason::kind);
        match verdict.action {
            Action::Hold => false,
            Action::Drop => kind == Some(Kind::Dropped) && self.full == Fate::Pass,
            Action::Accept => {
                let is_invalid = verdict.class == Class::Invalid && kind != Some(Kind::Skipped);
                !is_invalid || self.invalid == Fate::Pass
            }
        }
    }
}
