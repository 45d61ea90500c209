//! What a tracker counted beside what `conntrack -S` shows, by the names under which it is shown.

use ip_conntrack::{Reason, Stats};

/// Totals, then how often each reason was given. `entries` is the number in the table.
pub(crate) fn named(counted: &Stats, entries: u64) -> impl Iterator<Item = (&'static str, u64)> {
    let totals = [
        ("packets", counted.packets),
        ("entries", entries),
        ("confirmed", counted.confirmed),
        ("expired", counted.expired),
        ("untracked", counted.untracked),
        ("reassembled", counted.reassembled),
        ("fragments_held", counted.fragments_held),
        ("fragments_expired", counted.fragments_expired),
        ("clock_backwards", counted.clock_backwards),
        ("events_lost", counted.events_lost),
    ];
    let reasons = Reason::ALL.iter().map(|r| (r.name(), counted.reason(*r)));
    totals.into_iter().chain(reasons)
}
