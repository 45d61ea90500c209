//! When the table will be full.
//!
//! *The slope.* The fill is followed by a line through its last moments (Theil and Sen: the median of the
//! slopes between all pairs, which a few odd moments do not turn).
//!
//! *What ends later.* A flood at a steady rate does not fill a table in a straight line: its entries live
//! as long as their timeout, and from then on as many end as begin, so the fill stays at rate × lifetime
//! (Little's law). Where the time that entries have left is known ([`Fading`]), the line is bent by that:
//! ASSURED entries are taken to be kept alive, all others to end when their time is up, and new ones to
//! live as long as the longest-lived of those. Then a table that will never be full is told as such.
//!
//! *The range* is that of the slopes between a quarter and three quarters of them.

use serde::Serialize;

use crate::rows::Rows;

/// Moments that are looked at, at most.
pub const MOMENTS: usize = 64;

/// The fill at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment {
    /// Seconds since any beginning.
    pub at: f64,
    /// Entries.
    pub entries: f64,
}

/// When the table will be full, as far as can be told.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Forecast {
    /// Entries that are added each second, those that end taken off.
    pub net_per_second: f64,
    /// Seconds until it is full; `None` if it does not grow.
    pub full_in: Option<f64>,
    /// The same, at the quicker and at the slower quartile of growth; `None`: never.
    pub range: [Option<f64>; 2],
    /// How many moments it is told from.
    pub moments: usize,
}

/// How long entries have to live that nobody keeps alive.
#[derive(Clone, Debug, Default)]
pub struct Fading {
    /// Entries by whole seconds that they have left.
    by_second: Vec<u64>,
}

/// Entries with more time left are taken to stay.
const LONGEST: u64 = 86_400;

impl Fading {
    /// That of a table's entries.
    pub fn of(rows: &Rows) -> Fading {
        let mut by_second = Vec::new();
        let left = rows
            .iter()
            .filter(|row| !row.assured())
            .filter_map(|row| row.timeout());
        for secs in left.filter(|secs| u64::from(*secs) < LONGEST) {
            let secs = secs as usize;
            if by_second.len() <= secs {
                by_second.resize(secs + 1, 0);
            }
            by_second[secs] += 1;
        }
        let scaled = |n: u64| (n as f64 * rows.weight()).round() as u64;
        Fading {
            by_second: by_second.into_iter().map(scaled).collect(),
        }
    }

    /// Entries that end in the next `secs` seconds.
    fn ending(&self, secs: f64) -> f64 {
        let whole = (secs as usize).min(self.by_second.len());
        self.by_second[..whole].iter().sum::<u64>() as f64
    }

    /// How long a new one lives: as the longest-lived of those that are there.
    fn life(&self) -> f64 {
        self.by_second.len() as f64
    }

    /// Seconds until `room` more entries are there, with `new` each second of which none is kept
    /// alive. `None`: never.
    fn full_in(&self, room: f64, new: f64) -> Option<f64> {
        let step = 1.0;
        let mut at = 0.0;
        while at <= self.life() {
            at += step;
            if new * at - self.ending(at) >= room {
                return Some(at);
            }
        }
        None
    }
}

/// Tells when a table with room for `max` entries is full, from moments in the order of time. `None` for
/// fewer than two moments, or no time between them.
pub fn forecast(moments: &[Moment], max: u64, fading: Option<&Fading>) -> Option<Forecast> {
    let moments = &moments[moments.len().saturating_sub(MOMENTS)..];
    let mut slopes = slopes(moments);
    slopes.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (slopes.len().saturating_sub(1)) as f64 * part;
        slopes.get(place.round() as usize).copied()
    };
    let last = moments.last()?;
    let room = (max as f64 - last.entries).max(0.0);
    let full_in = |slope: f64| match fading {
        _ if slope <= 0.0 => None,
        None => Some(room / slope),
        Some(fading) => bent(room, slope, fading),
    };
    let net = at(0.5)?;
    Some(Forecast {
        net_per_second: net,
        full_in: full_in(net),
        range: [at(0.75).and_then(full_in), at(0.25).and_then(full_in)],
        moments: moments.len(),
    })
}

/// As a straight line, but for the entries that end.
fn bent(room: f64, slope: f64, fading: &Fading) -> Option<f64> {
    // What ends now ended while the slope was seen, too: as many more are new.
    let now = (fading.life() / 10.0).clamp(1.0, 5.0);
    let new = slope + fading.ending(now) / now;
    if fading.life() == 0.0 {
        return Some(room / slope);
    }
    fading.full_in(room, new)
}

/// The slopes between all pairs of moments.
fn slopes(moments: &[Moment]) -> Vec<f64> {
    let mut slopes = Vec::new();
    for (n, first) in moments.iter().enumerate() {
        for second in &moments[n + 1..] {
            let secs = second.at - first.at;
            if secs > 0.0 {
                slopes.push((second.entries - first.entries) / secs);
            }
        }
    }
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(slope: f64, noise: f64) -> Vec<Moment> {
        let at = |n: usize| Moment {
            at: n as f64,
            entries: 1000.0 + slope * n as f64 + noise * (n % 3) as f64,
        };
        (0..20).map(at).collect()
    }

    #[test]
    fn a_steady_flood_is_told_to_the_second() {
        let forecast = forecast(&line(100.0, 0.0), 10_000, None).unwrap();
        assert!((forecast.full_in.unwrap() - (10_000.0 - 2_900.0) / 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_leap_does_not_turn_the_line() {
        let mut moments = line(100.0, 20.0);
        moments[5].entries += 5_000.0;
        let forecast = forecast(&moments, 10_000, None).unwrap();
        assert!(
            (forecast.net_per_second - 100.0).abs() < 5.0,
            "{forecast:?}"
        );
        let [quick, slow] = forecast.range;
        assert!(quick.unwrap() <= forecast.full_in.unwrap() && forecast.full_in <= slow);
    }

    #[test]
    fn a_table_that_shrinks_is_never_full() {
        assert_eq!(
            forecast(&line(-3.0, 0.0), 10_000, None).unwrap().full_in,
            None
        );
        assert_eq!(forecast(&line(1.0, 0.0)[..1], 10, None), None);
    }

    /// A flood of `rate` entries a second that live 120 s, for 30 s.
    fn flood(rate: u64) -> (Vec<Moment>, Fading) {
        let moments = (0..30).map(|n| Moment {
            at: n as f64,
            entries: (n * rate) as f64,
        });
        let mut by_second = vec![0; 120];
        by_second[90..].fill(rate);
        (moments.collect(), Fading { by_second })
    }

    #[test]
    fn a_flood_whose_entries_end_before_the_table_is_full_never_fills_it() {
        let (moments, fading) = flood(100);
        assert_eq!(
            forecast(&moments, 20_000, Some(&fading)).unwrap().full_in,
            None
        );
        let full_in = forecast(&moments, 11_000, Some(&fading))
            .unwrap()
            .full_in
            .unwrap();
        assert!((full_in - 81.0).abs() < 2.0, "{full_in}");
    }
}
