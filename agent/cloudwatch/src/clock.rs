//! The service's clock.
//!
//! A signature is good for five minutes, and an event for two hours ahead, by the service's clock and not by ours. Each answer says what
//! time it is there; signatures follow it only once one of ours was refused, since an answer may have been long on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// A clock that is no further off than this is right: the service says whole seconds, some time after it was asked.
const SKEW_MS_MIN: i64 = 60_000;

/// What is known of the service's clock, shared by everybody who asks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceClock(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How far it was ahead of ours in the last answer, in milliseconds.
    seen_ms: AtomicI64,
    /// How far ours is set forward for signatures, in milliseconds.
    applied_ms: AtomicI64,
}

impl ServiceClock {
    /// Notes the `Date` header of an answer. One that is no date is none.
    pub(crate) fn note(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            self.0
                .seen_ms
                .store(date.secs().saturating_mul(1_000).saturating_sub(own_ms()), Ordering::Relaxed);
        }
    }

    /// Signs by the service's clock from now on, if ours is wrong by it. True if that changes anything.
    pub(crate) fn follow(&self) -> bool {
        let seen = self.0.seen_ms.load(Ordering::Relaxed);
        let applied = if seen.saturating_abs() < SKEW_MS_MIN { 0 } else { seen };
        self.0.applied_ms.swap(applied, Ordering::Relaxed).abs_diff(applied) >= SKEW_MS_MIN.unsigned_abs()
    }

    /// What time it is for the service, in milliseconds since 1970.
    pub(crate) fn service_ms(&self) -> i64 {
        own_ms().saturating_add(self.0.seen_ms.load(Ordering::Relaxed))
    }
}

impl TimeSource for ServiceClock {
    fn now(&self) -> SystemTime {
        let applied = self.0.applied_ms.load(Ordering::Relaxed);
        let distance = Duration::from_millis(applied.unsigned_abs());
        let now = SystemTime::now();
        let shifted = if applied < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        shifted.unwrap_or(now)
    }
}

fn own_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(ahead_s: i64) -> String {
        DateTime::from_secs(own_ms() / 1_000 + ahead_s).fmt(Format::HttpDate).unwrap()
    }

    #[test]
    fn signatures_follow_the_service_once_they_are_refused() {
        let clock = ServiceClock::default();
        let ahead_s = |clock: &ServiceClock| {
            let now = clock.now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            (i64::try_from(now).unwrap() - own_ms() + 500).div_euclid(1_000)
        };
        clock.note(&date(3_600));
        assert_eq!(ahead_s(&clock), 0);
        assert!(clock.follow() && !clock.follow());
        assert!((3_598..=3_600).contains(&ahead_s(&clock)));
        assert!((3_598_000..=3_601_000).contains(&(clock.service_ms() - own_ms())));
        clock.note("yesterday");
        clock.note(&date(-7_200));
        assert!(clock.follow());
        assert!((-7_202..=-7_199).contains(&ahead_s(&clock)));
        // The clock was set meanwhile.
        clock.note(&date(3));
        assert!(clock.follow());
        assert_eq!(ahead_s(&clock), 0);
    }
}
