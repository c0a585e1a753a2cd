//! One line for each fingerprint.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use anstyle::Style;
use serde::Serialize;
use trace_record::{Record, text};

const HEAD: Style = Style::new().bold();

/// The most fingerprints that are told apart.
const ROWS_MAX: usize = 10_000;

/// How much of a message is shown, in bytes.
const MESSAGE_BYTES: usize = 80;

/// What is known of one fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    fingerprint: String,
    /// Failures, those that are only counted too.
    count: u64,
    first: Option<String>,
    last: Option<String>,
    error_type: Option<String>,
    /// Where to look first.
    place: Option<String>,
    message: String,
}

/// The rows, by fingerprint.
#[derive(Debug, Default)]
pub(super) struct Summary {
    rows: HashMap<String, Row>,
    other: u64,
}

impl Summary {
    /// Counts a record. One that amends another counts nothing.
    pub(super) fn add(&mut self, record: &Record) {
        if record.amends.is_some() {
            return;
        }
        let fingerprint = record.fingerprint.clone().unwrap_or_default();
        let failures = record.repeats.unwrap_or(1);
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&fingerprint) {
            self.other += failures;
            return;
        }
        let row =
            self.rows.entry(fingerprint.clone()).or_insert_with(|| Row { fingerprint, ..Row::default() });
        row.count += failures;
        // RFC 3339 in UTC sorts by time.
        let time = &record.timestamp;
        if row.first.is_none() || (time.is_some() && *time < row.first) {
            row.first.clone_from(time);
        }
        if *time > row.last {
            row.last.clone_from(time);
        }
        if row.error_type.is_none() {
            row.error_type.clone_from(&record.error_type);
            row.message =
                text::prefix(&record.error_message, MESSAGE_BYTES).replace(|c: char| c.is_control(), " ");
        }
        if row.place.is_none() {
            row.place = place(record);
        }
    }

    /// The rows, the most frequent first.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
        rows
    }
}

fn place(record: &Record) -> Option<String> {
    let culprit = record.culprit.as_ref()?;
    let file = culprit.file.as_deref()?;
    let line = culprit.line.map_or_else(String::new, |line| format!(":{line}"));
    let function = culprit.function.as_deref().map_or_else(String::new, |function| format!(" {function}"));
    Some(format!("{file}{line}{function}"))
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{HEAD}{:>8}  {:24}  {:24}  {:32}  what and where{HEAD:#}",
            "count", "first", "last", "fingerprint"
        )?;
        for row in self.rows() {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            writeln!(
                f,
                "{:>8}  {:24}  {:24}  {:32}  {}: {}{}",
                row.count,
                text(&row.first),
                text(&row.last),
                row.fingerprint,
                text(&row.error_type),
                row.message,
                row.place.as_ref().map_or_else(String::new, |place| format!("  at {place}")),
            )?;
        }
        if self.other > 0 {
            writeln!(f, "{:>8}  of further fingerprints", self.other)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fingerprint: &str, timestamp: &str, repeats: Option<u64>) -> Record {
        Record {
            fingerprint: Some(fingerprint.to_owned()),
            timestamp: Some(timestamp.to_owned()),
            error_type: Some("E".to_owned()),
            error_message: "a\nb".to_owned(),
            repeats,
            ..Record::default()
        }
    }

    #[test]
    fn failures_are_counted_by_fingerprint() {
        let mut summary = Summary::default();
        for (fingerprint, time, repeats) in
            [("a", "2", None), ("b", "1", None), ("a", "1", Some(40)), ("a", "3", None)]
        {
            summary.add(&record(fingerprint, time, repeats));
        }
        summary.add(&Record { amends: Some("x".to_owned()), ..record("a", "9", None) });
        let rows = summary.rows();
        let time = |time: &str| Some(time.to_owned());
        assert_eq!((rows[0].count, &rows[0].first, &rows[0].last), (42, &time("1"), &time("3")));
        assert_eq!((rows.len(), rows[1].count, rows[1].message.as_str()), (2, 1, "a b"));
        let many = (0..ROWS_MAX + 5).map(|number| record(&number.to_string(), "1", None));
        many.for_each(|record| summary.add(&record));
        assert_eq!((summary.rows.len(), summary.other), (ROWS_MAX, 7));
    }
}
