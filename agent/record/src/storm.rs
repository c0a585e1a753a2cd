//! Failures that come by the thousand.
//!
//! The first records of a fingerprint in a minute are written whole. What follows in that minute says nothing new but that it
//! happened: it becomes a *repeat*, a record without a stack, which counts. Repeats that wait for the sink together are
//! added up into one. The metrics of a repeat are those of the failures that it counts, so the sums stay right.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::batch::Event;
use crate::failure::Record;
use crate::text;

/// How many records of one fingerprint are written whole in a minute, unless the user says otherwise.
pub const LIMIT_DEFAULT: u32 = 60;

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// The most fingerprints that are watched. Beyond that, those that were quiet for a minute are forgotten, and if there are none,
/// the failures are so different that each is news.
const FINGERPRINTS_MAX: usize = 4_096;

/// How much of the message a repeat keeps, in bytes.
const MESSAGE_BYTES_MAX: usize = 512;

/// The longest line of a repeat, in bytes: a longer one is no repeat, and not looked at.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Counts what was written whole.
#[derive(Debug)]
pub struct Storm {
    /// Full records of one fingerprint a minute; 0 for all of them.
    limit: u32,
    /// By fingerprint: when its minute began, and how many records were whole since.
    minutes: HashMap<String, (i64, u32)>,
}

impl Storm {
    /// Lets `limit` records of each fingerprint through in a minute; all of them if it is 0.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, minutes: HashMap::new() }
    }

    /// Makes a complete record a repeat if there have been enough like it in this minute. One that amends another is none: it
    /// counts nothing.
    pub fn calm(&mut self, record: &mut Record, now_ms: i64) {
        let Some(fingerprint) = record.fingerprint.as_deref() else { return };
        if self.limit > 0 && record.amends.is_none() && !self.is_news(fingerprint, now_ms) {
            *record = repeat(std::mem::take(record));
        }
    }

    fn is_news(&mut self, fingerprint: &str, now_ms: i64) -> bool {
        let is_over = |began_ms: i64| !(began_ms..began_ms.saturating_add(MINUTE_MS)).contains(&now_ms);
        if let Some((began_ms, whole)) = self.minutes.get_mut(fingerprint) {
            if is_over(*began_ms) {
                (*began_ms, *whole) = (now_ms, 0);
            }
            *whole = whole.saturating_add(1);
            return *whole <= self.limit;
        }
        if self.minutes.len() >= FINGERPRINTS_MAX {
            self.minutes.retain(|_, (began_ms, _)| !is_over(*began_ms));
        }
        if self.minutes.len() < FINGERPRINTS_MAX {
            self.minutes.insert(fingerprint.to_owned(), (now_ms, 1));
        }
        true
    }
}

/// What a repeat keeps of a record: what names it, and what counts it.
fn repeat(record: Record) -> Record {
    Record {
        error_message: text::prefix(&record.error_message, MESSAGE_BYTES_MAX).to_owned(),
        error_type: record.error_type,
        frame_order: record.frame_order,
        kind: record.kind,
        phase: record.phase,
        timestamp: record.timestamp,
        request_id: record.request_id,
        function_name: record.function_name,
        function_version: record.function_version,
        runtime: record.runtime,
        host: record.host,
        id: record.id,
        repeats: Some(1),
        fingerprint: record.fingerprint,
        fingerprint_version: record.fingerprint_version,
        redacted: record.redacted,
        schema: record.schema,
        aws: record.aws,
        metrics: record.metrics,
        ..Record::default()
    }
}

/// The repeat in a line, if it is one.
#[must_use]
pub fn read_repeat(line: &str) -> Option<Record> {
    if line.len() > LINE_BYTES_MAX || !line.contains("\"repeats\":") {
        return None;
    }
    let record: Record = serde_json::from_str(line).ok()?;
    (record.repeats.is_some() && record.fingerprint.is_some()).then_some(record)
}

/// Repeats that wait together, added up by fingerprint, function and host.
#[derive(Debug)]
pub struct Repeats<T> {
    waiting: Vec<(Record, i64, Vec<T>)>,
    by_key: HashMap<Key, usize>,
}

/// What repeats have in common that are added up: their metrics stand under the same dimensions.
type Key = (Option<String>, Option<String>, Option<String>);

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), by_key: HashMap::new() }
    }
}

impl<T> Repeats<T> {
    /// Adds a repeat that stands at `timestamp_ms`, for which `tag` stands.
    pub fn add(&mut self, repeat: Record, timestamp_ms: i64, tag: T) {
        let key = key(&repeat);
        let known = self.by_key.get(&key).and_then(|index| self.waiting.get_mut(*index));
        if let Some((sum, _, tags)) = known
            && add_up(sum, &repeat)
        {
            return tags.push(tag);
        }
        self.by_key.insert(key, self.waiting.len());
        self.waiting.push((repeat, timestamp_ms, vec![tag]));
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The sums, each as an event and with its tags. Nothing waits afterwards.
    pub fn take(&mut self) -> impl Iterator<Item = (Event, Vec<T>)> + use<T> {
        self.by_key.clear();
        std::mem::take(&mut self.waiting).into_iter().map(|(record, timestamp_ms, tags)| {
            (Event { timestamp_ms, message: crate::render::line(&record, LINE_BYTES_MAX) }, tags)
        })
    }
}

fn key(repeat: &Record) -> Key {
    let host = repeat.host.as_ref().and_then(|host| host.get("name")).and_then(Value::as_str);
    (repeat.fingerprint.clone(), repeat.function_name.clone(), host.map(str::to_owned))
}

/// Adds what `other` counts to `sum`, unless their metrics stand under other dimensions.
fn add_up(sum: &mut Record, other: &Record) -> bool {
    let directive =
        |record: &Record| record.aws.as_ref().and_then(|aws| aws.get("CloudWatchMetrics")).cloned();
    let names = |record: &Record| record.metrics.keys().cloned().collect::<Vec<_>>();
    if (sum.kind.as_ref(), sum.phase, directive(sum)) != (other.kind.as_ref(), other.phase, directive(other))
        || names(sum) != names(other)
        || sum.error_type != other.error_type
    {
        return false;
    }
    for (name, value) in &mut sum.metrics {
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        *value = json!(count(value).saturating_add(other.metrics.get(name).map_or(0, count)));
    }
    let repeats = |record: &Record| record.repeats.unwrap_or(0);
    sum.repeats = Some(repeats(sum).saturating_add(repeats(other)));
    // No one invocation is meant any more.
    if sum.request_id != other.request_id {
        sum.request_id = None;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::dimensions::{Dimensions, ErrorTypes};
    use crate::{failure::StackEntry, metrics, render};

    fn failure(fingerprint: &str, now_ms: i64) -> Record {
        let mut record = Record {
            error_message: "x".repeat(10_000),
            error_type: Some("E".into()),
            stack_trace: vec![StackEntry::default(); 100],
            function_name: Some("f".into()),
            fingerprint: Some(fingerprint.into()),
            request_id: Some(now_ms.to_string()),
            ..Record::default()
        };
        metrics::add(&mut record, &Dimensions::default(), &mut ErrorTypes::default(), now_ms);
        record
    }

    #[test]
    fn beyond_the_limit_failures_are_counted_until_the_minute_is_over() {
        let mut storm = Storm::new(2);
        let mut repeats = |now_ms: i64, fingerprint: &str| {
            let mut record = failure(fingerprint, now_ms);
            storm.calm(&mut record, now_ms);
            record.repeats
        };
        assert_eq!([0, 1, 2, 59_999].map(|now_ms| repeats(now_ms, "a")), [None, None, Some(1), Some(1)]);
        assert_eq!(repeats(3, "b"), None);
        assert_eq!([60_000, 60_001, 60_002].map(|now_ms| repeats(now_ms, "a")), [None, None, Some(1)]);
        // A clock that is set back begins a new minute.
        assert_eq!(repeats(5, "a"), None);
    }

    #[test]
    fn without_a_limit_everything_is_whole() {
        let mut storm = Storm::new(0);
        for now_ms in 0..1_000 {
            let mut record = failure("a", now_ms);
            storm.calm(&mut record, now_ms);
            assert_eq!(record.repeats, None);
        }
    }

    #[test]
    fn fingerprints_without_end_take_no_memory_without_end() {
        let mut storm = Storm::new(1);
        for index in 0..20_000 {
            assert!(storm.is_news(&index.to_string(), 0));
        }
        assert_eq!(storm.minutes.len(), FINGERPRINTS_MAX);
        assert!(storm.is_news("later", MINUTE_MS) && !storm.is_news("later", MINUTE_MS));
    }

    #[test]
    fn repeats_that_wait_together_are_one_line_whose_metrics_are_the_sum() {
        let mut storm = Storm::new(1);
        let mut repeats = Repeats::default();
        for index in 0..10 {
            let mut record = failure(if index % 2 == 0 { "a" } else { "b" }, index);
            storm.calm(&mut record, index);
            let line = render::line(&record, 1 << 20);
            match read_repeat(&line) {
                Some(repeat) => repeats.add(repeat, index, index),
                None => assert!(index < 2),
            }
        }
        let sums: Vec<(Event, Vec<i64>)> = repeats.take().collect();
        assert_eq!(sums.len(), 2);
        let (event, tags) = &sums[0];
        let sum: Record = serde_json::from_str(&event.message).unwrap();
        assert_eq!((sum.repeats, &sum.metrics["Failures"], sum.request_id), (Some(4), &json!(4), None));
        assert_eq!((tags, event.timestamp_ms), (&vec![2, 4, 6, 8], 2));
        assert!(event.message.len() < 2_000 && sum.stack_trace.is_empty());
        assert!(repeats.is_empty());
    }

    #[test]
    fn what_only_speaks_of_repeats_is_none() {
        assert_eq!(read_repeat(r#"{"errorMessage":"\"repeats\":"}"#), None);
        assert_eq!(read_repeat(r#"{"repeats":"#), None);
        assert_eq!(read_repeat(r#"{"repeats":1}"#), None);
    }
}
