//! What to do after a request failed: a decision, not an action.
//!
//! One policy for every sink. Waits grow exponentially and are drawn anew each time, so that many agents that failed
//! together do not come back together.

use std::time::Duration;

/// The first wait's upper end.
pub const WAIT_FIRST: Duration = Duration::from_millis(100);

/// The longest wait. Peers that wait for minutes are taken for hung (aws-for-fluent-bit#872).
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest wait for a service that cannot be reached. To ask whether it is back costs it nothing, and records should go on within
/// two seconds.
pub const UNREACHABLE_WAIT_MAX: Duration = Duration::from_millis(1_500);

/// Why a request failed, as far as it matters for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service asks for patience (a throttle is an HTTP 400 in CloudWatch Logs).
    Throttled {
        /// How long it asks for, if it says.
        after: Option<Duration>,
    },
    /// The service failed, or its answer never came: the same request may be good next time, or may have been stored.
    Transient,
    /// The service could not be reached at all.
    Unreachable,
    /// The credentials were refused; others may not be.
    Expired,
    /// The request is not allowed, and will not be.
    Denied,
    /// Nobody is there any more, nor will be: a pipe whose reader has ended.
    Gone,
    /// The request itself is wrong, and the same bytes will always be.
    Invalid,
    /// An event is longer than the service takes, which is now known of it.
    TooLong {
        /// The longest line that it takes, in bytes, if it says.
        bytes_max: Option<usize>,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try the same batch again after this time.
    Wait(Duration),
    /// Another try is of no use.
    GiveUp,
}

/// Decides after the `attempt`-th failure (counted from 1). `random` is drawn evenly from the whole range of `u32`.
#[must_use]
pub fn after(fault: Fault, attempt: u32, random: u32) -> Next {
    let asked = match fault {
        Fault::Denied | Fault::Gone | Fault::Invalid | Fault::TooLong { .. } => return Next::GiveUp,
        Fault::Throttled { after } => after,
        Fault::Transient | Fault::Unreachable | Fault::Expired => None,
    };
    let wait_max = if fault == Fault::Unreachable { UNREACHABLE_WAIT_MAX } else { WAIT_MAX };
    let ceiling = WAIT_FIRST
        .saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(wait_max);
    // Half of the wait is certain, so that a draw of zero is no busy loop.
    let drawn = ceiling / 2 + ceiling.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
    Next::Wait(asked.map_or(drawn, |asked| asked.min(WAIT_MAX).max(drawn)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_the_bound() {
        let wait = |attempt, random| match after(Fault::Transient, attempt, random) {
            Next::Wait(wait) => wait,
            Next::GiveUp => panic!("a transient fault is retried"),
        };
        assert_eq!((wait(1, 0), wait(1, u32::MAX)), (WAIT_FIRST / 2, WAIT_FIRST));
        assert_eq!(wait(2, u32::MAX), WAIT_FIRST * 2);
        for attempt in [9, 10, 32, 33, 1_000, u32::MAX] {
            assert!(wait(attempt, u32::MAX) <= WAIT_MAX);
            assert!(wait(attempt, 0) >= WAIT_FIRST / 2);
        }
    }

    #[test]
    fn a_service_that_cannot_be_reached_is_asked_again_soon() {
        assert_eq!(after(Fault::Unreachable, 100, u32::MAX), Next::Wait(UNREACHABLE_WAIT_MAX));
    }

    #[test]
    fn the_service_is_listened_to() {
        let asked = Fault::Throttled { after: Some(Duration::from_secs(5)) };
        assert_eq!(after(asked, 1, 0), Next::Wait(Duration::from_secs(5)));
        let too_long = Fault::Throttled { after: Some(Duration::from_secs(3_600)) };
        assert_eq!(after(too_long, 1, 0), Next::Wait(WAIT_MAX));
    }

    #[test]
    fn what_cannot_get_better_is_given_up() {
        assert_eq!(after(Fault::Denied, 1, 0), Next::GiveUp);
        assert_eq!(after(Fault::Invalid, 1, 0), Next::GiveUp);
    }
}
