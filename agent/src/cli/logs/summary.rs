//! One line for each fingerprint.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use anstyle::Style;
use serde::Serialize;
use trace_record::{Record, text};

use crate::cli::people::Plain;

const HEAD: Style = Style::new().bold();

/// The most fingerprints that are told apart.
const ROWS_MAX: usize = 10_000;

/// How much of a message is shown, in bytes.
const MESSAGE_BYTES_MAX: usize = 80;

/// How much of a type, a place, a time or a fingerprint is kept, in bytes: they come from the input, and there are [`ROWS_MAX`] rows.
const NAME_BYTES_MAX: usize = 512;

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
    /// The failures of those that are beyond [`ROWS_MAX`].
    pub(super) other: u64,
}

impl Summary {
    /// Counts a record. One that amends another counts nothing.
    pub(super) fn add(&mut self, record: &Record) {
        if record.amends.is_some() {
            return;
        }
        let fingerprint = name(record.fingerprint.as_deref().unwrap_or_default());
        let failures = record.repeats.unwrap_or(1);
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&fingerprint) {
            self.other += failures;
            return;
        }
        let row =
            self.rows.entry(fingerprint.clone()).or_insert_with(|| Row { fingerprint, ..Row::default() });
        row.count += failures;
        // RFC 3339 in UTC sorts by time.
        let time = record.timestamp.as_deref().map(name);
        if row.first.is_none() || (time.is_some() && time < row.first) {
            row.first.clone_from(&time);
        }
        if time > row.last {
            row.last = time;
        }
        if row.error_type.is_none() {
            row.error_type = record.error_type.as_deref().map(name);
            row.message =
                text::prefix(&record.error_message, MESSAGE_BYTES_MAX).replace(|c: char| c.is_control(), " ");
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
    Some(name(&format!("{file}{line}{function}")))
}

/// As much of a name as is kept.
fn name(text: &str) -> String {
    text::prefix(text, NAME_BYTES_MAX).to_owned()
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{HEAD}{:>8}  {:24}  {:24}  {:32}  what and where{HEAD:#}",
            "count", "first", "last", "fingerprint"
        )?;
        for row in self.rows() {
            let plain = |text: &str| Plain(text).to_string();
            let known = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), plain);
            writeln!(
                f,
                "{:>8}  {:24}  {:24}  {:32}  {}: {}{}",
                row.count,
                known(&row.first),
                known(&row.last),
                plain(&row.fingerprint),
                known(&row.error_type),
                row.message,
                row.place.as_deref().map_or_else(String::new, |place| format!("  at {}", Plain(place))),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_record::failure::Culprit;

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

    #[test]
    fn what_a_row_keeps_is_bounded_and_plain() {
        let long = "\u{1b}[2J".repeat(NAME_BYTES_MAX);
        let culprit = Culprit { file: Some(long.clone()), ..Culprit::default() };
        let mut summary = Summary::default();
        summary.add(&Record {
            error_type: Some(long.clone()),
            error_message: long.clone(),
            culprit: Some(culprit),
            ..record(&long, &long, None)
        });
        let row = summary.rows()[0];
        let names = [&row.first, &row.last, &row.error_type, &row.place];
        assert!(names.iter().all(|name| name.as_ref().is_some_and(|name| name.len() <= NAME_BYTES_MAX)));
        assert!(row.fingerprint.len() <= NAME_BYTES_MAX && row.message.len() <= MESSAGE_BYTES_MAX);
        assert!(!summary.to_string().contains("\u{1b}[2J"));
    }
}
