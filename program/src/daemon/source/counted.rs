//! What a source counts beside what becomes of packets in the tracker.

/// Counters of one worker's source.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// Frames that came.
    pub(crate) received: u64,
    /// Batches in which they went to the tracker.
    pub(crate) batches: u64,
    /// Frames that the kernel dropped, since the worker did not take them in time.
    pub(crate) lost: u64,
    /// Frames that were sent on.
    pub(crate) sent: u64,
    /// Frames that the policy or the tracker did not let pass.
    pub(crate) refused: u64,
    /// Frames that could not be sent: no room, or the link was down.
    pub(crate) unsent: u64,
    /// Frames given to the worker whose they are, and those that it could not take.
    pub(crate) handed_over: u64,
    pub(crate) handed_over_lost: u64,
}

impl Counted {
    /// All, by name.
    pub(crate) fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("source_received", self.received),
            ("source_batches", self.batches),
            ("source_lost", self.lost),
            ("source_sent", self.sent),
            ("source_refused", self.refused),
            ("source_unsent", self.unsent),
            ("source_handed_over", self.handed_over),
            ("source_handed_over_lost", self.handed_over_lost),
        ]
    }
}
