//! Times as Lambda writes them, and names that nobody else has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as deadlines are given.
pub(crate) fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-23T07:27:52.480Z`.
pub(crate) fn iso8601(time: SystemTime) -> String {
    let ms = epoch_ms(time);
    let (year, month, day) = civil_date(ms / 86_400_000);
    let of_day = ms % 86_400_000;
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// `2026/11/23/[$LATEST]` and 32 hexadecimal digits: the name of an environment's log stream.
pub(crate) fn log_stream(time: SystemTime, version: &str) -> String {
    let (year, month, day) = civil_date(epoch_ms(time) / 86_400_000);
    format!("{year:04}/{month:02}/{day:02}/[{version}]{}", uuid().replace('-', ""))
}

/// A random (version 4) UUID: request ids, extension identifiers.
pub(crate) fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    // The kernel's generator gives up to 256 bytes in one piece once it is seeded. Before that (early boot) the
    // id is weaker, not absent: the time tells ids of one process apart.
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK).unwrap_or(0);
    if filled < bytes.len() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        bytes = since.as_nanos().to_be_bytes();
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A duration as the `durationMs` metrics give it: milliseconds with three decimals.
pub(crate) fn metric_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    #[test]
    fn times_read_as_gnu_date_writes_them() {
        // date -u -d @N +%FT%T.%3NZ
        assert_eq!(iso8601(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(at(951_827_696_789)), "2000-02-29T12:34:56.789Z");
        assert_eq!(iso8601(at(1_795_418_872_480)), "2026-11-23T07:27:52.480Z");
        assert_eq!(iso8601(at(4_107_542_399_999)), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn a_uuid_has_the_shape_of_version_4_and_comes_once() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]));
        assert_ne!(id, uuid());
    }
}
