//! One record as one line of JSON that is never longer than its reader accepts.
//!
//! A record that is too long is cut, never dropped: the least valuable parts go first, `truncated` says what went, and
//! the line stays valid JSON.

use crate::failure::{Cause, Frame, Record};
use crate::text;

/// The longest line that PutLogEvents stores, in bytes: 1 MiB less the 26 bytes that it adds to every event.
pub const CLOUDWATCH_LINE_BYTES_MAX: usize = 1_048_576 - 26;

/// The longest line that Lambda carries from an extension's standard output to the log as one event, in bytes.
pub const STDOUT_LINE_BYTES_MAX: usize = 256 * 1024;

/// How much of a message survives if nothing else helps, in bytes.
const MESSAGE_BYTES_MIN: usize = 1_024;

/// How much of a message survives the first cut, in bytes: more than anybody reads, and less than a stack is worth.
const MESSAGE_BYTES_LONG: usize = 64 * 1024;

/// How many entries of a stack survive if nothing else helps: the outermost ones go.
const FRAMES_MIN: usize = 8;

/// Renders `record` as one line without its line end, at most `bytes_max` bytes long.
///
/// The smallest record is well below 64 KiB, so a `bytes_max` above that is always kept.
#[must_use]
pub fn line(record: &Record, bytes_max: usize) -> String {
    let line = json(record);
    if line.len() <= bytes_max {
        return line;
    }
    let mut record = record.clone();
    for cut in CUTS {
        cut(&mut record);
        let line = json(&record);
        if line.len() <= bytes_max {
            return line;
        }
    }
    json(&smallest(record))
}

fn json(record: &Record) -> String {
    // Every member is a string, a number, or a map with string keys: serialization has no way to fail.
    serde_json::to_string(record).expect("a record has only members that JSON can hold")
}

/// The cuts, least valuable part first.
const CUTS: [fn(&mut Record); 8] = [
    |record| drop_all(record, "logTail", |record| std::mem::take(&mut record.log_tail).len()),
    |record| drop_all(record, "threads", |record| std::mem::take(&mut record.threads).len()),
    |record| drop_all(record, "raw", |record| record.raw.take().map_or(0, |raw| raw.len())),
    |record| drop_all(record, "errorMessage", |record| shorten_messages(record, MESSAGE_BYTES_LONG)),
    |record| drop_all(record, "source", drop_sources),
    |record| drop_all(record, "frames", |record| std::mem::take(&mut record.frames).len()),
    |record| drop_all(record, "stackTrace", keep_innermost),
    |record| drop_all(record, "errorMessage", |record| shorten_messages(record, MESSAGE_BYTES_MIN)),
];

fn drop_all(record: &mut Record, member: &str, cut: impl FnOnce(&mut Record) -> usize) {
    let gone = cut(record);
    if gone > 0 {
        *record.truncated.entry(member.to_owned()).or_default() += gone as u64;
    }
}

fn drop_sources(record: &mut Record) -> usize {
    let own =
        |frames: &[Frame], index: usize| frames.get(index).is_some_and(|frame| frame.in_app == Some(true));
    let mut gone = 0;
    for (index, entry) in record.stack_trace.iter_mut().enumerate() {
        if !own(&record.frames, index) {
            gone += usize::from(entry.source.take().is_some());
        }
    }
    gone
}

fn keep_innermost(record: &mut Record) -> usize {
    let gone = record.stack_trace.len().saturating_sub(FRAMES_MIN);
    record.stack_trace.drain(..gone);
    if let Some(culprit) = &mut record.culprit {
        culprit.index = culprit.index.saturating_sub(gone);
    }
    for entry in &mut record.stack_trace {
        for text in [&mut entry.file, &mut entry.function, &mut entry.source].into_iter().flatten() {
            text::cut(text, MESSAGE_BYTES_MIN);
        }
    }
    gone
}

fn shorten_messages(record: &mut Record, bytes_max: usize) -> usize {
    fn causes(list: &mut [Cause], bytes_max: usize) -> usize {
        list.iter_mut()
            .map(|cause| {
                text::cut(&mut cause.error_message, bytes_max) + causes(&mut cause.causes, bytes_max)
            })
            .sum()
    }
    text::cut(&mut record.error_message, bytes_max) + causes(&mut record.causes, bytes_max)
}

/// What remains of a record whose every cut was not enough: the three documented members, the context and the ids.
fn smallest(mut record: Record) -> Record {
    let mut truncated = std::mem::take(&mut record.truncated);
    truncated.insert("causes".to_owned(), record.causes.len() as u64);
    let bounded = |text: Option<String>| text.map(|text| text::prefix(&text, MESSAGE_BYTES_MIN).to_owned());
    Record {
        error_message: record.error_message,
        stack_trace: record.stack_trace,
        error_type: bounded(record.error_type),
        kind: record.kind.filter(|kind| kind.as_str().len() <= MESSAGE_BYTES_MIN),
        phase: record.phase,
        exit: record
            .exit
            .filter(|exit| exit.signal.as_deref().unwrap_or_default().len() <= MESSAGE_BYTES_MIN),
        witnesses: record.witnesses.into_iter().take(FRAMES_MIN).collect(),
        timestamp: bounded(record.timestamp),
        request_id: bounded(record.request_id),
        function_name: bounded(record.function_name),
        function_version: bounded(record.function_version),
        id: bounded(record.id),
        fingerprint: bounded(record.fingerprint),
        fingerprint_version: record.fingerprint_version,
        frame_order: bounded(record.frame_order),
        schema: record.schema,
        truncated: truncated.into_iter().take(16).collect(),
        aws: record.aws.filter(|aws| aws.to_string().len() <= 8 * MESSAGE_BYTES_MIN),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::StackEntry;

    fn huge() -> Record {
        let entry = StackEntry {
            file: Some("/var/task/größe.py".into()),
            line: Some(1),
            function: Some("f".repeat(500)),
            source: Some("€".repeat(500)),
        };
        Record {
            error_message: "€".repeat(400_000),
            stack_trace: vec![entry; 4_000],
            error_type: Some("E".into()),
            log_tail: vec!["x".repeat(4_000); 20],
            ..Record::default()
        }
    }

    #[test]
    fn a_line_is_valid_json_within_its_bound() {
        for bytes_max in [CLOUDWATCH_LINE_BYTES_MAX, STDOUT_LINE_BYTES_MAX, 64 * 1024] {
            let line = line(&huge(), bytes_max);
            assert!(line.len() <= bytes_max, "{} > {bytes_max}", line.len());
            let read: Record = serde_json::from_str(&line).unwrap();
            assert_eq!(read.error_type.as_deref(), Some("E"));
            assert_eq!(read.truncated["logTail"], 20);
        }
    }

    #[test]
    fn a_record_that_fits_is_not_touched() {
        let record = Record { error_message: "a\nb".into(), ..Record::default() };
        assert_eq!(line(&record, 64 * 1024), r#"{"errorMessage":"a\nb","stackTrace":[],"errorType":null}"#);
    }

    #[test]
    fn even_a_record_of_causes_alone_is_bounded() {
        let causes = vec![Cause { error_type: Some("C".repeat(9_000)), ..Cause::default() }; 100];
        let record = Record { causes, ..Record::default() };
        assert!(line(&record, 64 * 1024).len() <= 64 * 1024);
    }
}
