//! Counters: one for every reason, and the few that are not about refusals.

use crate::verdict::{Kind, Reason};

/// What a tracker has counted since it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Frames and packets given to the tracker.
    pub packets: u64,
    /// Entries confirmed.
    pub confirmed: u64,
    /// Entries made by hand; they are among those confirmed.
    pub insert: u64,
    /// Expected connections that came.
    pub expect_new: u64,
    /// Expectations made.
    pub expect_create: u64,
    /// Expectations that ended, however they did.
    pub expect_delete: u64,
    /// Entries that ran out.
    pub expired: u64,
    /// Entries evicted for newer ones.
    pub early_drop: u64,
    /// Clashes resolved.
    pub clash_resolve: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// Fragments that were taken and held.
    pub fragments_held: u64,
    /// Fragments thrown away because their datagram never became whole.
    pub fragments_expired: u64,
    /// Packets exempt from tracking.
    pub untracked: u64,
    /// Packets whose time lay before one already told, and was clamped.
    pub clock_backwards: u64,
    /// Events lost because nobody read them.
    pub events_lost: u64,
    reasons: [u64; Reason::ALL.len()],
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            packets: 0,
            confirmed: 0,
            insert: 0,
            expect_new: 0,
            expect_create: 0,
            expect_delete: 0,
            expired: 0,
            early_drop: 0,
            clash_resolve: 0,
            reassembled: 0,
            fragments_held: 0,
            fragments_expired: 0,
            untracked: 0,
            clock_backwards: 0,
            events_lost: 0,
            reasons: [0; Reason::ALL.len()],
        }
    }
}

impl Stats {
    /// How often `reason` was given.
    pub const fn reason(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// The sum over the reasons of one kind.
    pub fn kind(&self, kind: Kind) -> u64 {
        let of_kind = Reason::ALL.iter().filter(|reason| reason.kind() == kind);
        of_kind.map(|reason| self.reason(*reason)).sum()
    }

    /// Packets classed INVALID, as `conntrack -S` counts them.
    pub fn invalid(&self) -> u64 {
        self.kind(Kind::Invalid)
    }

    /// Refused ICMP, as `conntrack -S` counts it.
    pub fn error(&self) -> u64 {
        self.kind(Kind::IcmpError)
    }

    /// Packets dropped by the tracker.
    pub fn drop(&self) -> u64 {
        self.kind(Kind::Dropped)
    }

    /// Entries that could not be confirmed.
    pub const fn insert_failed(&self) -> u64 {
        self.reason(Reason::Clash) + self.reason(Reason::ChainTooLong)
    }

    pub(crate) fn count(&mut self, reason: Reason) {
        self.reasons[reason as usize] += 1;
    }
}
