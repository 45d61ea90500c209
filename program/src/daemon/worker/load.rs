//! How much a worker has to do, shown and not hidden: in the daemon's counters and in the log at the end.

use ip_conntrack::Time;

use crate::daemon::source::Counts;

/// What a worker and its source counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Packets that its source gave it.
    pub(crate) packets: u64,
    /// Batches of them.
    pub(crate) batches: u64,
    /// When the last one came.
    pub(crate) last: Option<Time>,
    /// What the source counted, when it was looked at last.
    pub(crate) source: Counts,
}

impl Load {
    pub(super) fn add(&mut self, packets: usize, now: Time) {
        if packets > 0 {
            self.packets += packets as u64;
            self.batches += 1;
            self.last = Some(now);
        }
    }

    /// By name, with the milliseconds since the last packet.
    pub(crate) fn named(&self, now: Time) -> Counts {
        let mut named = vec![("packets", self.packets), ("batches", self.batches)];
        if let Some(last) = self.last {
            named.push(("idle_ms", now.nanos_since(last) / 1_000_000));
        }
        named.extend(&self.source);
        named
    }
}
