//! The service's clock.
//!
//! A signature is good for five minutes, and an event for two hours ahead, by the service's clock and not by ours. Each answer says what
//! time it is there. The SDK's client signs by that clock once it was refused, so it must not be thrown away for a refusal that only
//! our clock is to blame for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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
    /// How far it was when a refused signature was last put down to it, in milliseconds.
    blamed_ms: AtomicI64,
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

    /// Whether a refused signature may be our clock's fault, and was not put down to that already.
    pub(crate) fn is_to_blame(&self) -> bool {
        let seen = self.0.seen_ms.load(Ordering::Relaxed);
        let blamed = self.0.blamed_ms.swap(seen, Ordering::Relaxed);
        seen.saturating_abs() >= SKEW_MS_MIN && seen.abs_diff(blamed) >= SKEW_MS_MIN.unsigned_abs()
    }

    /// A new client knows nothing of the clock.
    pub(crate) fn forget_blame(&self) {
        self.0.blamed_ms.store(0, Ordering::Relaxed);
    }

    /// What time it is for the service, in milliseconds since 1970.
    pub(crate) fn service_ms(&self) -> i64 {
        own_ms().saturating_add(self.0.seen_ms.load(Ordering::Relaxed))
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
    fn a_clock_that_is_wrong_is_blamed_once() {
        let clock = ServiceClock::default();
        assert!(!clock.is_to_blame());
        clock.note(&date(3_600));
        assert!(clock.is_to_blame() && !clock.is_to_blame());
        assert!((3_598_000..=3_601_000).contains(&(clock.service_ms() - own_ms())));
        clock.note("yesterday");
        clock.note(&date(-7_200));
        assert!(clock.is_to_blame() && !clock.is_to_blame());
        clock.forget_blame();
        assert!(clock.is_to_blame());
        clock.note(&date(3));
        assert!(!clock.is_to_blame());
    }
}
