//! Calendar dates, for the forms that show local time instead of a number.

use alloc::vec::Vec;

use super::UtcOffset;
use super::put::Put;
use crate::time::Time;

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DAY: i64 = 86_400;

/// Days in 400 years, after which the Gregorian calendar repeats.
const CYCLE: i64 = 146_097;

/// A moment on the calendar and the clock.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: u64,
    /// 1 to 31.
    pub(super) day: u64,
    /// 0 is Sunday.
    pub(super) weekday: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
}

impl Date {
    /// `time` as clocks show it where `offset` holds.
    pub(super) fn local(time: Time, offset: UtcOffset) -> Date {
        let utc = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Date::from_unix(utc.saturating_add(offset(utc)))
    }

    fn from_unix(secs: i64) -> Date {
        let days = secs.div_euclid(DAY);
        let rest = secs.rem_euclid(DAY) as u64;
        let (year, month, day) = civil(days);
        Date {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7) as u64,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// As C's `asctime` writes it, without its newline: `Mon Nov 23 15:06:36 2026`.
    pub(super) fn asctime(&self, out: &mut Vec<u8>) {
        out.text(WEEKDAYS[self.weekday as usize % 7]);
        out.text(" ");
        out.text(MONTHS[(self.month as usize + 11) % 12]);
        out.text(if self.day < 10 { "  " } else { " " });
        out.decimal(self.day);
        for (sign, n) in [(" ", self.hour), (":", self.minute), (":", self.second)] {
            out.text(sign);
            out.digits(n, 2);
        }
        out.text(" ");
        self.put_year(out);
    }

    pub(super) fn put_year(&self, out: &mut Vec<u8>) {
        out.text(if self.year < 0 { "-" } else { "" });
        out.decimal(self.year.unsigned_abs());
    }
}

/// Year, month and day of the day `days` after 1 January 1970.
///
/// Years are counted from 1 March, so that the leap day is the last of its year: then a month's
/// first day is a straight line through the months, 153 days every five of them.
fn civil(days: i64) -> (i64, u64, u64) {
    let since_march_0 = days + 719_468;
    let cycle = since_march_0.div_euclid(CYCLE);
    let day_of_cycle = since_march_0.rem_euclid(CYCLE);
    let leap_days = day_of_cycle / 1460 - day_of_cycle / 36_524 + day_of_cycle / (CYCLE - 1);
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let first_day = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100;
    let day_of_year = day_of_cycle - first_day;
    let since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * since_march + 2) / 5 + 1;
    let month = (since_march + 2) % 12 + 1;
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn asctime(secs: i64) -> String {
        let mut out = Vec::new();
        Date::from_unix(secs).asctime(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_laid_out_as_asctime_does() {
        assert_eq!(asctime(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(asctime(-1), "Wed Dec 31 23:59:59 1969");
        assert_eq!(asctime(1_795_446_396), "Mon Nov 23 15:06:36 2026");
        assert_eq!(asctime(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(asctime(4_107_542_400), "Mon Mar  1 00:00:00 2100");
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        let mut yesterday = civil(-1);
        for days in 0..182_622 {
            let (year, month, day) = civil(days);
            let next = match yesterday {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d == days_in(y, m) => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, day), next);
            yesterday = next;
        }
    }

    fn days_in(year: i64, month: u64) -> u64 {
        match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_dates_too() {
        for secs in [i64::MIN, i64::MAX] {
            assert!(asctime(secs).len() > 24);
        }
    }

    #[test]
    fn local_time_is_offset_from_utc() {
        let date = Date::local(Time::from_secs(1_795_446_396), |_| 3600);
        assert_eq!((date.hour, date.minute), (16, 6));
        assert_eq!((date.weekday, date.day, date.month), (1, 23, 11));
    }
}
