//! When the table will be full.
//!
//! *What is assumed.* New connections come at the rate at which they came, and entries end as they do
//! now. A flood at a steady rate does not fill a table in a straight line: entries live as long as their
//! timeout, so after that as many end as begin, and the fill stays at rate × lifetime (Little's law). So
//! the fill is followed by a line through its last moments (Theil and Sen: the median of the slopes, which
//! a few odd moments do not turn), and a rate below which the table never fills is told as such.
//!
//! *The range* is that of the slopes between a quarter and three quarters of them.

use serde::Serialize;

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

/// Tells when a table with room for `max` entries is full, from moments in the order of time. `None` for
/// fewer than two moments, or no time between them.
pub fn forecast(moments: &[Moment], max: u64) -> Option<Forecast> {
    let moments = &moments[moments.len().saturating_sub(MOMENTS)..];
    let mut slopes = slopes(moments);
    slopes.sort_by(f64::total_cmp);
    let at = |part: f64| {
        slopes
            .get(((slopes.len() - 1) as f64 * part).round() as usize)
            .copied()
    };
    let last = moments.last()?;
    if slopes.is_empty() {
        return None;
    }
    let room = (max as f64 - last.entries).max(0.0);
    let full_in = |slope: f64| (slope > 0.0).then(|| room / slope);
    let net = at(0.5)?;
    Some(Forecast {
        net_per_second: net,
        full_in: full_in(net),
        range: [at(0.75).and_then(full_in), at(0.25).and_then(full_in)],
        moments: moments.len(),
    })
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
        let forecast = forecast(&line(100.0, 0.0), 10_000).unwrap();
        assert!((forecast.full_in.unwrap() - (10_000.0 - 2_900.0) / 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_leap_does_not_turn_the_line() {
        let mut moments = line(100.0, 20.0);
        moments[5].entries += 5_000.0;
        let forecast = forecast(&moments, 10_000).unwrap();
        assert!(
            (forecast.net_per_second - 100.0).abs() < 5.0,
            "{forecast:?}"
        );
        let [quick, slow] = forecast.range;
        assert!(quick.unwrap() <= forecast.full_in.unwrap() && forecast.full_in <= slow);
    }

    #[test]
    fn a_table_that_shrinks_is_never_full() {
        assert_eq!(forecast(&line(-3.0, 0.0), 10_000).unwrap().full_in, None);
        assert_eq!(forecast(&line(1.0, 0.0)[..1], 10), None);
    }
}
