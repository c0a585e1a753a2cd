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
const SKEW_MS_MIN: u64 = 60_000;

/// What is known of the service's clock, shared by everybody who asks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceClock(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How far it was ahead of ours in the last answer, in milliseconds.
    seen_ms: AtomicI64,
    /// How far ahead the present client signs, in milliseconds: as the last answer that it got itself has said.
    signed_ms: AtomicI64,
}

impl ServiceClock {
    /// Notes the `Date` header of an answer of the service. One that is no date is none.
    pub(crate) fn note(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            let ahead_ms = date.secs().saturating_mul(1_000).saturating_sub(own_ms());
            self.0.seen_ms.store(ahead_ms, Ordering::Relaxed);
            self.0.signed_ms.store(ahead_ms, Ordering::Relaxed);
        }
    }

    /// How far ahead a request is signed that is made now, in milliseconds.
    pub(crate) fn signed_ms(&self) -> i64 {
        self.0.signed_ms.load(Ordering::Relaxed)
    }

    /// Whether a signature that was refused was made for another time than the service's. Each request is judged by its own: of several
    /// that were under way, all were signed before the first answer told the time.
    pub(crate) fn is_to_blame(&self, signed_ms: i64) -> bool {
        self.0.seen_ms.load(Ordering::Relaxed).abs_diff(signed_ms) >= SKEW_MS_MIN
    }

    /// A new client knows nothing of the clock.
    pub(crate) fn begin_anew(&self) {
        self.0.signed_ms.store(0, Ordering::Relaxed);
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
    fn a_clock_that_is_wrong_is_to_blame_for_what_was_signed_by_it() {
        let clock = ServiceClock::default();
        let before = clock.signed_ms();
        assert!(!clock.is_to_blame(before));
        clock.note(&date(3_600));
        assert!(clock.is_to_blame(before) && clock.is_to_blame(before));
        assert!(!clock.is_to_blame(clock.signed_ms()));
        assert!((3_598_000..=3_601_000).contains(&(clock.service_ms() - own_ms())));
        let before = clock.signed_ms();
        clock.note("yesterday");
        assert!(!clock.is_to_blame(before));
        clock.note(&date(-7_200));
        assert!(clock.is_to_blame(before));
        clock.begin_anew();
        assert!(clock.is_to_blame(clock.signed_ms()));
        clock.note(&date(3));
        assert!(!clock.is_to_blame(0));
    }
}
