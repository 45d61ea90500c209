//! Messages that come often are said now and then: ten at once, and as many again after five seconds, as
//! the kernel limits them.

use ip_conntrack::Time;

/// Messages said at once.
const AT_ONCE: u32 = 10;

/// Nanoseconds after which as many more may be said.
const INTERVAL_NS: u64 = 5_000_000_000;

/// Decides which messages of a kind are said.
#[derive(Debug, Default)]
pub(crate) struct Often {
    since: Option<Time>,
    said: u32,
    /// Messages that were not said.
    pub(crate) suppressed: u64,
    /// Of them, those that were told of.
    told: u64,
}

impl Often {
    /// Whether a message may be said now; if not, it is counted.
    pub(crate) fn may_say(&mut self, now: Time) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.nanos_since(since) >= INTERVAL_NS {
            self.since = Some(now);
            self.said = 0;
        }
        let may = self.said < AT_ONCE;
        match may {
            true => self.said += 1,
            false => self.suppressed += 1,
        }
        may
    }

    /// Whether the message that may be said is the first one of its interval.
    pub(crate) const fn is_first(&self) -> bool {
        self.said == 1
    }

    /// Messages that were not said since this was asked last.
    pub(crate) fn take_suppressed(&mut self) -> u64 {
        let told = std::mem::replace(&mut self.told, self.suppressed);
        self.suppressed - told
    }

    /// Whether the next message may be said in any case.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.since
            .is_none_or(|since| now.nanos_since(since) >= INTERVAL_NS)
    }
}
