//! Time as the caller tells it.
//!
//! The engine has no clock. Every call that needs the time takes a [`Time`], and the tracker only
//! ever moves forward: a time earlier than one already seen is clamped to it and counted
//! ([`Stats::clock_backwards`](crate::Stats::clock_backwards)).

use core::time::Duration;

/// A moment, in nanoseconds since the Unix epoch (or since any origin that the caller keeps to).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(0);

    /// The last moment, some 584 years after the origin.
    pub const MAX: Time = Time(u64::MAX);

    /// A moment that many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// A moment that many seconds after the origin; the last representable one if that is later.
    pub const fn from_secs(secs: u64) -> Time {
        Time(secs.saturating_mul(SECOND))
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the origin.
    pub const fn as_secs(self) -> u64 {
        self.0 / SECOND
    }

    /// This moment moved by whole seconds, which may be negative: a timeout of `-1` is legal and
    /// gives a deadline in the past.
    #[must_use]
    #[inline]
    pub const fn plus_secs(self, secs: i64) -> Time {
        let distance = secs.unsigned_abs().saturating_mul(SECOND);
        if secs < 0 {
            Time(self.0.saturating_sub(distance))
        } else {
            Time(self.0.saturating_add(distance))
        }
    }

    /// This moment moved by a timeout, in seconds.
    #[inline(always)]
    pub(crate) const fn plus_timeout(self, secs: i32) -> Time {
        self.plus_nanos(nanos(secs))
    }

    /// This moment moved by nanoseconds, of which there are fewer than 2⁶².
    #[inline(always)]
    pub(crate) const fn plus_nanos(self, nanos: i64) -> Time {
        // Up to there (the year 2116) nothing overflows, and nothing is negative.
        if (self.0 | nanos as u64) >> 62 == 0 {
            return Time(self.0 + nanos as u64);
        }
        Time(self.0.saturating_add_signed(nanos))
    }

    /// This moment moved forward by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to this moment, 0 if `earlier` is later.
    pub const fn nanos_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds from `earlier` to this moment, truncated as Linux prints them.
    pub const fn secs_since(self, earlier: Time) -> u64 {
        self.nanos_since(earlier) / SECOND
    }
}

/// A timeout in nanoseconds: fewer than 2⁶².
#[inline(always)]
pub(crate) const fn nanos(secs: i32) -> i64 {
    secs as i64 * SECOND as i64
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn a_negative_timeout_is_a_deadline_in_the_past() {
        assert_eq!(Time::from_secs(5).plus_secs(-1), Time::from_secs(4));
        assert_eq!(Time::ZERO.plus_secs(-1), Time::ZERO);
    }

    #[test]
    fn the_far_future_saturates() {
        assert_eq!(
            Time::from_secs(u64::MAX).plus_secs(i64::MAX).as_nanos(),
            u64::MAX
        );
    }

    #[test]
    fn remaining_seconds_are_truncated() {
        let now = Time::from_nanos(1);
        assert_eq!(Time::from_secs(120).secs_since(now), 119);
    }
}
