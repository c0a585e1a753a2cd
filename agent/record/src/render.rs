//! One record as one line of JSON that is never longer than its reader accepts.
//!
//! A record that is too long is cut, never dropped: the least valuable parts go first, `truncated` says what went, and
//! the line stays valid JSON.

use serde::Serialize;

use crate::failure::{Cause, Frame, Record, SCHEMA};
use crate::text;

/// The longest line that PutLogEvents stores, in bytes: 1 MiB less the 26 bytes that it adds to every event.
pub const CLOUDWATCH_LINE_BYTES_MAX: usize = 1_048_576 - 26;

/// The longest line that Lambda carries from an extension's standard output to the log as one event, in bytes.
pub const STDOUT_LINE_BYTES_MAX: usize = 256 * 1024;

/// How much of a message survives if nothing else helps, in bytes.
const MESSAGE_BYTES_MIN: usize = 1_024;

/// How much of a message survives the first cut, in bytes: more than anybody reads, and less than a stack is worth.
const MESSAGE_BYTES_LONG: usize = 64 * 1024;

/// How many entries of a stack survive each of its cuts: the far ones go, the calls next to the failure stay.
const FRAMES_MANY: usize = 256;
const FRAMES_SOME: usize = 64;
const FRAMES_MIN: usize = 8;

/// How much of the metrics survives if nothing else helps, in bytes: all or nothing.
const METRICS_BYTES_MAX: usize = 8 * 1_024;

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

/// Makes a rendered line at most `bytes_max` bytes long, for a sink that takes no longer ones.
///
/// Of a line that is no record of a failure the beginning is kept, as the message of one.
#[must_use]
pub fn shorten(rendered: &str, bytes_max: usize) -> String {
    let record = serde_json::from_str(rendered).unwrap_or_else(|_| Record {
        error_message: rendered.to_owned(),
        schema: Some(SCHEMA),
        ..Record::default()
    });
    line(&record, bytes_max)
}

fn json(value: &impl Serialize) -> String {
    // Every member is a string, a number, or a map with string keys: serialization has no way to fail.
    serde_json::to_string(value).expect("a record has only members that JSON can hold")
}

/// The cuts, least valuable part first.
const CUTS: [fn(&mut Record); 10] = [
    |record| note(record, "logTail", |record| std::mem::take(&mut record.log_tail).len()),
    |record| note(record, "threads", |record| std::mem::take(&mut record.threads).len()),
    |record| note(record, "raw", |record| record.raw.take().map_or(0, |raw| raw.len())),
    |record| note(record, "errorMessage", |record| shorten_messages(record, MESSAGE_BYTES_LONG)),
    |record| note(record, "stackTrace", |record| drop_far(record, FRAMES_MANY)),
    |record| note(record, "source", drop_sources),
    |record| note(record, "stackTrace", |record| drop_far(record, FRAMES_SOME)),
    |record| note(record, "frames", |record| std::mem::take(&mut record.frames).len()),
    |record| note(record, "stackTrace", |record| drop_far(record, FRAMES_MIN) + shorten_entries(record)),
    |record| note(record, "errorMessage", |record| shorten_messages(record, MESSAGE_BYTES_MIN)),
];

/// Makes a cut, and notes in `truncated` how much went.
fn note(record: &mut Record, member: &str, cut: impl FnOnce(&mut Record) -> usize) {
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

/// Keeps the `kept` innermost entries of each stack, and the frame to look at first wherever it is.
fn drop_far(record: &mut Record, kept: usize) -> usize {
    fn causes(list: &mut [Cause], kept: usize) -> usize {
        let of = |cause: &mut Cause| {
            let gone = cause.stack_trace.len().saturating_sub(kept);
            cause.stack_trace.drain(..gone);
            gone + causes(&mut cause.causes, kept)
        };
        list.iter_mut().map(of).sum()
    }
    let gone = record.stack_trace.len().saturating_sub(kept);
    if let Some(culprit) = &mut record.culprit {
        if culprit.index < gone {
            record.stack_trace.swap(culprit.index, gone);
            if culprit.index < record.frames.len() && gone < record.frames.len() {
                record.frames.swap(culprit.index, gone);
            }
            culprit.index = gone;
        }
        culprit.index -= gone;
    }
    record.stack_trace.drain(..gone);
    record.frames.drain(..gone.min(record.frames.len()));
    gone + causes(&mut record.causes, kept)
}

/// Bounds the texts of the entries that are left; their number is what counts as gone, and that is none.
fn shorten_entries(record: &mut Record) -> usize {
    for entry in &mut record.stack_trace {
        for text in [&mut entry.file, &mut entry.function, &mut entry.source].into_iter().flatten() {
            text::cut(text, MESSAGE_BYTES_MIN);
        }
    }
    0
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
    // The directive and the values are of no use without each other.
    let metrics =
        Some((record.aws, record.metrics)).filter(|metrics| json(metrics).len() <= METRICS_BYTES_MAX);
    let (aws, metrics) = metrics.unwrap_or_default();
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
        runtime: bounded(record.runtime),
        repeats: record.repeats,
        id: bounded(record.id),
        fingerprint: bounded(record.fingerprint),
        fingerprint_version: record.fingerprint_version,
        frame_order: bounded(record.frame_order),
        schema: record.schema,
        truncated: truncated.into_iter().take(16).collect(),
        aws,
        metrics,
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Culprit, StackEntry};

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
    fn far_frames_go_and_the_one_to_look_at_first_stays() {
        let mut record = Record {
            stack_trace: (0..1_000)
                .map(|line| StackEntry {
                    line: Some(line),
                    source: Some("x".repeat(200)),
                    ..StackEntry::default()
                })
                .collect(),
            frames: vec![Frame::default(); 1_000],
            culprit: Some(Culprit { index: 3, file: None, line: Some(3), function: None }),
            ..Record::default()
        };
        let lines = |record: &Record, bytes_max: usize| {
            let read: Record = serde_json::from_str(&line(record, bytes_max)).unwrap();
            let lines: Vec<u32> = read.stack_trace.iter().filter_map(|entry| entry.line).collect();
            (lines, read.culprit.unwrap().index, read.truncated, read.frames.len())
        };
        let (first, culprit, truncated, frames) = lines(&record, 128 * 1024);
        assert_eq!((first[0], culprit, first[1], first.len(), frames), (3, 0, 745, 256, 256));
        assert_eq!((truncated.get("stackTrace"), truncated.get("source")), (Some(&744), None));
        record.culprit.as_mut().unwrap().index = 999;
        let (first, culprit, truncated, _) = lines(&record, 32 * 1024);
        assert_eq!((first[0], culprit, first.len(), &truncated["source"]), (744, 255, 256, &256));
    }

    #[test]
    fn a_line_is_shortened_for_a_sink_that_takes_less_and_keeps_its_metrics() {
        let mut record = huge();
        record.aws = Some(serde_json::json!({"Timestamp": 1}));
        record.metrics.insert("Failures".into(), serde_json::json!(1));
        let long = line(&record, CLOUDWATCH_LINE_BYTES_MAX);
        let short = shorten(&long, 32 * 1024);
        assert!(short.len() <= 32 * 1024 && long.len() > 64 * 1024);
        let read: Record = serde_json::from_str(&short).unwrap();
        assert_eq!((read.metrics["Failures"].as_u64(), read.truncated["logTail"]), (Some(1), 20));
        let other: Record = serde_json::from_str(&shorten(&"€".repeat(100_000), 64 * 1024)).unwrap();
        assert_eq!(other.truncated["errorMessage"], 300_000 - 1_023);
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
