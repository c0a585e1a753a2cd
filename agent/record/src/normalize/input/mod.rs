//! Whatever there is to read: a text, or bytes that come in pieces.
//!
//! An input is tried as these, in this order; the first that fits has it:
//!
//! 1. one JSON object, which is a failure: a posted body, a log line, a record of ours; or an array of such objects;
//! 2. a batch of the Telemetry API;
//! 3. a log as the AWS CLI exports it (`export`);
//! 4. lines of a log, whose failures the detector finds (`log`);
//! 5. the text of one failure without any line that begins like one.

mod export;
mod log;
mod stream;

use std::fmt;

use crate::failure::Record;
use crate::normalize::json::parse::{self, Rest};
use crate::normalize::{LANGUAGES, json, read_with, telemetry};
use log::Log;

pub use stream::{Stream, WHOLE_INPUT_BYTES_MAX};

/// The longest text that is shown to every reader as a whole if no line of it shows a failure, in bytes.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// One failure that was found, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The failure.
    pub record: Record,
    /// The name of the reader that took it.
    pub reader: &'static str,
    /// The number of the line, or of the event in a batch, in which it begins, counted from 1.
    pub line: u64,
    /// How many lines it has.
    pub lines: u64,
    /// Why it was taken for a failure, in words, with the line that opened it, cut.
    pub why: String,
}

/// Reads a whole text: a posted body, a log, or what one failure printed. Gives each failure in it.
#[must_use]
pub fn text(input: &str) -> Vec<Reading> {
    // What some editors and shells of Windows write first says nothing.
    let input = input.strip_prefix('\u{feff}').unwrap_or(input);
    if let Some(record) = json::read_whole(input.as_bytes()) {
        let why = format!("a JSON object with {}", members(&record));
        return vec![Reading { record, reader: json::LANGUAGE.name, line: 1, lines: line_count(input), why }];
    }
    if let Some(records) = json::read_list(input.as_bytes()) {
        let reading = |(record, line)| {
            let why = format!("an element of a JSON array with {}", members(&record));
            Reading { record, reader: json::LANGUAGE.name, line, lines: 1, why }
        };
        return records.into_iter().zip(1..).map(reading).collect();
    }
    let mut log = Log::default();
    if let Some(events) = telemetry::events(input.as_bytes()).filter(|events| !events.is_empty()) {
        events.into_iter().for_each(|event| log.telemetry_event(event));
    } else if let Some(events) = export::events(input.as_bytes()) {
        events.iter().for_each(|event| log.event(&event.source, &event.message));
    } else {
        input.split_inclusive('\n').for_each(|line| log.line(line));
    }
    let mut readings = log.finish();
    if readings.is_empty() && input.len() <= WHOLE_BYTES_MAX {
        return whole(input).into_iter().collect();
    }
    readings.sort_by_key(|reading| reading.line);
    readings
}

/// Shows a text to every reader: what one failure printed, without any line that begins like one.
fn whole(input: &str) -> Option<Reading> {
    let read = |record, reader| {
        let why = format!("no line begins like a failure; the whole text is one to {reader}");
        Reading { record, reader, line: 1, lines: line_count(input), why }
    };
    LANGUAGES.iter().find_map(|language| Some(read(read_with(language, input)?, language.name)))
}

/// What of a failure a record has, in words.
fn members(record: &Record) -> &'static str {
    match (&record.error_type, record.stack_trace.is_empty()) {
        (Some(_), false) => "an error type and a stack",
        (Some(_), true) => "an error type",
        (None, false) => "a stack",
        (None, true) => "an error message",
    }
}

fn line_count(input: &str) -> u64 {
    input.lines().count() as u64
}

/// What was tried on an input without any failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the input was taken for.
    pub taken_for: &'static str,
    /// How many lines or events it has.
    pub lines: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The names of the readers that were asked.
    pub readers: Vec<&'static str>,
}

/// Says what [`text`] tries on an input in which it finds nothing.
#[must_use]
pub fn explain(input: &str) -> Explanation {
    let (taken_for, lines) = if let Some((_, Rest::Blank | Rest::Cut)) = parse::object(input.as_bytes()) {
        match export::events(input.as_bytes()) {
            Some(events) => ("an export of a log", events.len() as u64),
            None => (
                "a JSON object without an error type or a stack, or of a level that is no error",
                line_count(input),
            ),
        }
    } else if let Some(events) = telemetry::events(input.as_bytes()) {
        ("a batch of the Telemetry API", events.len() as u64)
    } else {
        ("lines of a log", line_count(input))
    };
    Explanation { taken_for, lines, ..Explanation::of_log(0, input.len() as u64) }
}

impl Explanation {
    fn of_log(lines: u64, bytes: u64) -> Self {
        let readers = LANGUAGES.iter().map(|language| language.name).collect();
        Self { taken_for: "lines of a log", lines, bytes, readers }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taken_for, lines, bytes, readers } = self;
        write!(
            formatter,
            "no failure in {bytes} bytes, {lines} lines, taken for {taken_for}; asked: {}",
            readers.join(", ")
        )
    }
}

#[cfg(test)]
mod tests;
