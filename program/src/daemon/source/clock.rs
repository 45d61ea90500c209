//! The tracker's time: that of the day when the daemon started, and from then on what a clock counts that
//! nobody can set. Somebody who corrects the system's time makes no connection run out.

use std::time::{Duration, Instant, SystemTime};

use ip_conntrack::Time;

/// A clock that runs at some rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    from: Time,
    since: Instant,
    rate: f64,
}

impl Clock {
    /// A clock that goes by the system's time of now.
    pub(crate) fn start() -> Clock {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock {
            from: Time::ZERO.plus(since_1970.unwrap_or_default()),
            since: Instant::now(),
            rate: 1.0,
        }
    }

    /// The same clock, but so many times as fast; 0 stands still.
    pub(crate) fn at_rate(self, rate: f64) -> Clock {
        Clock { rate, ..self }
    }

    /// A clock that shows `time` now and runs on at `rate`.
    pub(crate) fn set(time: Time, rate: f64) -> Clock {
        Clock {
            from: time,
            since: Instant::now(),
            rate,
        }
    }

    /// What it showed first.
    pub(crate) const fn origin(&self) -> Time {
        self.from
    }

    pub(crate) fn now(&self) -> Time {
        if self.rate == 0.0 {
            return self.from;
        }
        let nanos = self.since.elapsed().as_nanos() as f64 * self.rate;
        self.from.plus(Duration::from_nanos(nanos as u64))
    }

    /// How long it takes until it shows `time`; if it stands still, for ever.
    pub(crate) fn until(&self, time: Time) -> Duration {
        let nanos = time.nanos_since(self.now());
        match nanos {
            0 => Duration::ZERO,
            _ if self.rate == 0.0 => Duration::MAX,
            nanos => Duration::from_nanos((nanos as f64 / self.rate).ceil() as u64),
        }
    }
}
