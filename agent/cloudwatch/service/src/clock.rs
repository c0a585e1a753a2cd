//! The service's clock, and the two ways in which HTTP and AWS write a time.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time of day in UTC, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    /// The machine's time, `offset_ms` later.
    pub(crate) fn now(offset_ms: i64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(offset_ms))
    }

    /// Reads `20130524T000000Z`; nothing if it is not such a time.
    pub(crate) fn parse_basic(text: &str) -> Option<Self> {
        let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
        if day.len() != 8 || clock.len() != 6 {
            return None;
        }
        let number = |text: &str, from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (year, month, date) = (number(day, 0, 4)?, number(day, 4, 6)?, number(day, 6, 8)?);
        let (hour, minute, second) = (number(clock, 0, 2)?, number(clock, 2, 4)?, number(clock, 4, 6)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&date) || hour > 23 || minute > 59 || second > 60
        {
            return None;
        }
        let seconds = ((days_of(year, month, date) * 24 + hour) * 60 + minute) * 60 + second;
        Some(Self(seconds * 1_000))
    }

    /// `20130524T000000Z`.
    pub(crate) fn basic(self) -> String {
        let (year, month, date, hour, minute, second) = self.parts();
        format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// `Fri, 24 May 2013 00:00:00 GMT`, as in the header `Date`.
    pub(crate) fn http(self) -> String {
        let (year, month, date, hour, minute, second) = self.parts();
        let day = DAYS[usize::try_from(self.0.div_euclid(DAY_MS).rem_euclid(7)).unwrap_or_default()];
        let month = MONTHS[usize::try_from(month - 1).unwrap_or_default()];
        format!("{day}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    pub(crate) fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    fn parts(self) -> (i64, i64, i64, i64, i64, i64) {
        let (year, month, date) = date_of(self.0.div_euclid(DAY_MS));
        let second = self.0.rem_euclid(DAY_MS) / 1_000;
        (year, month, date, second / 3_600, second / 60 % 60, second % 60)
    }
}

/// Days since 1970 of a date, in the Gregorian calendar; years are counted from March so that the leap day is the last.
fn days_of(year: i64, month: i64, date: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_both_ways() {
        let time = Time(1_369_353_600_000);
        assert_eq!(time.basic(), "20130524T000000Z");
        assert_eq!(time.http(), "Fri, 24 May 2013 00:00:00 GMT");
        assert_eq!(Time(951_827_696_000).http(), "Tue, 29 Feb 2000 12:34:56 GMT");
    }

    #[test]
    fn what_was_written_is_read_again() {
        for days in (0..60_000).step_by(17) {
            let time = Time(days * DAY_MS + days * 1_000 % DAY_MS);
            assert_eq!(Time::parse_basic(&time.basic()), Some(time));
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in
            ["", "20130524", "20130524T000000", "2013052T0000000Z", "20131324T000000Z", "2013é24T000000Z"]
        {
            assert_eq!(Time::parse_basic(text), None, "{text}");
        }
    }
}
