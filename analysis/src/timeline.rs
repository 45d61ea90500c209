//! What happened when: entries, new and ended connections and refused packets, in slices of time.
//!
//! How long it will go on is not known when it begins. So slices start out very short, and when there
//! are too many, each two are joined: there are between [`MOST`] / 2 and [`MOST`], whatever the length.

use serde::Serialize;

/// Slices, at most.
pub const MOST: usize = 240;

/// The first slices' length.
const FIRST_NS: u64 = 1_000_000;

/// What happened within a slice of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Slice {
    /// Packets.
    pub packets: u64,
    /// Connections that began.
    pub new: u64,
    /// Connections that ended.
    pub ended: u64,
    /// Packets that were refused.
    pub refused: u64,
    /// The most entries that there were.
    pub entries: u64,
}

/// Slices of equal length.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    /// When it begins, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Length of a slice in nanoseconds.
    pub slice_ns: u64,
    /// The slices.
    pub slices: Vec<Slice>,
}

impl Timeline {
    /// An empty one that begins at a moment.
    pub fn new(start_ns: u64) -> Timeline {
        Timeline {
            start_ns,
            slice_ns: FIRST_NS,
            slices: Vec::new(),
        }
    }

    /// The slice of a moment, to count in; that of the beginning for moments before.
    pub fn at(&mut self, time_ns: u64) -> &mut Slice {
        let since = time_ns.saturating_sub(self.start_ns);
        while since / self.slice_ns >= MOST as u64 {
            self.join();
        }
        let place = (since / self.slice_ns) as usize;
        if place >= self.slices.len() {
            // Nothing happened in between, so the entries stayed.
            let entries = self.slices.last().map_or(0, |slice| slice.entries);
            self.slices.resize(
                place + 1,
                Slice {
                    entries,
                    ..Slice::default()
                },
            );
            self.slices[place].entries = 0;
        }
        &mut self.slices[place]
    }

    fn join(&mut self) {
        let joined = self
            .slices
            .chunks(2)
            .map(|two| two.iter().fold(Slice::default(), both));
        self.slices = joined.collect();
        self.slice_ns = self.slice_ns.saturating_mul(2);
    }

    /// The most that `of` gives for any slice, for each second; only slices of some length count.
    pub fn peak_rate(&self, of: impl Fn(&Slice) -> u64) -> f64 {
        let secs = (self.slice_ns as f64 / 1e9).max(1e-3);
        // Slices of less than a second are joined to one.
        let together = (1.0 / secs).ceil().max(1.0) as usize;
        let sums = self.slices.chunks(together).map(|some| {
            let sum: u64 = some.iter().map(&of).sum();
            sum as f64 / (secs * together as f64)
        });
        sums.fold(0.0, f64::max)
    }
}

fn both(sum: Slice, slice: &Slice) -> Slice {
    Slice {
        packets: sum.packets + slice.packets,
        new: sum.new + slice.new,
        ended: sum.ended + slice.ended,
        refused: sum.refused + slice.refused,
        entries: sum.entries.max(slice.entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_joined_and_lose_nothing() {
        let mut timeline = Timeline::new(1_000);
        for n in 0..100_000_u64 {
            timeline.at(1_000 + n * 10_000_000).new += 1;
        }
        assert!(timeline.slices.len() <= MOST && timeline.slices.len() > MOST / 2);
        assert_eq!(
            timeline.slices.iter().map(|slice| slice.new).sum::<u64>(),
            100_000
        );
        assert!((timeline.peak_rate(|slice| slice.new) - 100.0).abs() < 1.0);
    }

    #[test]
    fn a_leap_of_centuries_costs_no_more_than_a_second() {
        let mut timeline = Timeline::new(0);
        timeline.at(u64::MAX).packets += 1;
        timeline.at(0).packets += 1;
        assert!(timeline.slices.len() <= MOST);
    }
}
