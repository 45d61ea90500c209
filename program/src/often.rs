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
}
