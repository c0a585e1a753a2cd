//! What became of every failure.

use std::collections::BTreeMap;
use std::fmt;

/// The most reasons that are told apart.
const REASONS_MAX: usize = 16;

/// What became of everything: `found` = `stored` + `repeated` + `refused` + `evicted` + `pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Failures that were found, or were left over from an earlier run.
    pub found: u64,
    /// Records that the sink stored.
    pub stored: u64,
    /// Failures that are counted in another record that the sink stored.
    pub repeated: u64,
    /// Records that the sink refused for good; they are set aside.
    pub refused: u64,
    /// Why, and how many for each reason.
    pub reasons: BTreeMap<String, u64>,
    /// Records that had to go because the spool was full.
    pub evicted: u64,
    /// Records that wait in the state directory, or are lost without one.
    pub pending: u64,
    /// Reports that could not be read or spooled.
    pub dropped: u64,
    /// Of the stored ones, those that may stand twice: an answer to a request never came.
    pub doubtful: u64,
    /// Of the stored ones, those that stand at another time than their own, which the sink would not take.
    pub retimed: u64,
}

impl Summary {
    /// Counts a refused record.
    pub(super) fn refuse(&mut self, reason: &str, failures: u64) {
        self.refused += failures;
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(reason) {
            *self.reasons.entry(reason.to_owned()).or_default() += failures;
        }
    }

    /// Whether everything that was found is in the sink or accounted for by it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pending + self.dropped + self.evicted == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, stored, refused, pending, dropped, .. } = self;
        write!(
            f,
            "{found} failures found, {stored} stored, {refused} refused, {pending} pending, {dropped} unreadable"
        )?;
        let rare = [
            (self.repeated, "counted as repeats"),
            (self.evicted, "lost because the spool was full"),
            (self.doubtful, "that may stand twice"),
            (self.retimed, "stored at another time than their own"),
        ];
        for (count, what) in rare.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        self.reasons.iter().try_for_each(|(reason, count)| write!(f, "\n  {count} refused: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_only_said_if_it_happened() {
        let mut summary = Summary { found: 5, stored: 3, pending: 1, ..Summary::default() };
        assert_eq!(summary.to_string(), "5 failures found, 3 stored, 0 refused, 1 pending, 0 unreadable");
        summary.repeated = 7;
        summary.refuse("it is empty", 1);
        assert_eq!(
            summary.to_string(),
            "5 failures found, 3 stored, 1 refused, 1 pending, 0 unreadable, 7 counted as repeats\n  1 refused: it is empty"
        );
        assert!(!summary.is_complete());
        for number in 0..100 {
            summary.refuse(&number.to_string(), 1);
        }
        assert_eq!((summary.refused, summary.reasons.len()), (101, REASONS_MAX));
    }
}
