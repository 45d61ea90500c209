//! Local time, for the forms that show it.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds by which local time is ahead of UTC at a moment, in seconds since the Unix epoch.
pub(crate) fn utc_offset(unix: i64) -> i64 {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let Ok(moment) = Timestamp::from_second(unix) else {
        return 0;
    };
    let zone = ZONE.get_or_init(TimeZone::system);
    i64::from(zone.to_offset(moment).seconds())
}
