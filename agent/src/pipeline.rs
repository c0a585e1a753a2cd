//! The middle of every road: a bare record in, a line for the sink out.

use trace_record::batch::{Event, is_timely};
use trace_record::metrics::dimensions::ErrorTypes;
use trace_record::storm::Storm;
use trace_record::{Completion, Policy, Record, complete, metrics, render};

use crate::symbolize::Symbolizer;

/// Names, completes and redacts records.
pub struct Finisher {
    symbolizer: Symbolizer,
    policy: Policy,
    error_types: ErrorTypes,
    storm: Storm,
}

impl Finisher {
    /// Names frames and reads sources with `symbolizer`; the rest is `policy`'s. Of one fingerprint, `storm_limit` records a
    /// minute stay whole.
    #[must_use]
    pub fn new(symbolizer: Symbolizer, policy: Policy, storm_limit: u32) -> Self {
        Self { symbolizer, policy, error_types: ErrorTypes::default(), storm: Storm::new(storm_limit) }
    }

    /// Names the record's frames and completes it. A failure that was seen just now gets its metrics, and becomes a repeat if there
    /// were many like it.
    pub fn finish(&mut self, record: &mut Record, completion: &Completion) {
        self.symbolizer.name(record);
        complete(record, completion, &self.policy, self.symbolizer.sources());
        let Some(seen_ms) = completion.seen_ms else { return };
        if record.aws.is_none() {
            metrics::add(record, &self.policy.dimensions, &mut self.error_types, seen_ms);
        }
        self.storm.calm(record, seen_ms);
    }
}

/// Renders a complete record as an event of at most `line_bytes_max` bytes.
///
/// It stands at the record's own time, or at `now_ms` if CloudWatch would refuse that time: the record still says when it
/// was.
#[must_use]
pub fn event(record: &Record, line_bytes_max: usize, now_ms: i64) -> Event {
    let own = record.timestamp.as_deref().and_then(trace_record::complete::parse_rfc3339);
    let timestamp_ms = own.filter(|own| is_timely(*own, now_ms)).unwrap_or(now_ms);
    Event { timestamp_ms, message: render::line(record, line_bytes_max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stands_where_cloudwatch_takes_it() {
        let now_ms = 1_795_419_012_532;
        let at = |timestamp: &str| {
            let record = Record { timestamp: Some(timestamp.to_owned()), ..Record::default() };
            event(&record, 1_000, now_ms).timestamp_ms
        };
        assert_eq!(at("2026-11-23T07:30:12.000Z"), 1_795_419_012_000);
        for refused in
            ["1970-01-01T00:00:01.000Z", "2026-11-09T07:30:12.000Z", "2026-11-23T09:30:12.000Z", "yesterday"]
        {
            assert_eq!(at(refused), now_ms, "{refused}");
        }
    }
}
