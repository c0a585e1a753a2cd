//! Inputs as they are given, and the same inputs in pieces.

use std::path::{Path, PathBuf};

use super::*;
use crate::failure::{Kind, Witness};

const TRACE: &str =
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no\n";

/// A small generator of numbers that look random (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn in_pieces(input: &[u8], numbers: &mut Numbers, longest: usize) -> Vec<Reading> {
    let mut stream = Stream::default();
    let mut readings = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + numbers.below(longest.min(rest.len())));
        readings.extend(stream.push(piece));
        rest = after;
    }
    readings.extend(stream.finish());
    readings
}

fn samples() -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let inputs = |folder: PathBuf| ["input.txt", "input.json"].map(|name| folder.join(name));
    std::fs::read_dir(data)
        .unwrap()
        .flat_map(|entry| inputs(entry.unwrap().path()))
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

#[test]
fn pieces_are_read_as_the_whole() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for input in samples() {
        let whole = text(&String::from_utf8_lossy(&input));
        for longest in [1, 7, 300, 100_000] {
            assert_eq!(in_pieces(&input, &mut numbers, longest), whole);
        }
    }
}

#[test]
fn a_large_input_is_read_line_by_line_with_the_same_result() {
    let mut log = Vec::new();
    for sample in samples() {
        log.extend_from_slice(b"an ordinary line\r\nSTART RequestId: 1\nnul \0 and \xff\n");
        log.extend_from_slice(&sample);
        log.push(b'\n');
    }
    let small = text(&String::from_utf8_lossy(&log));
    // Most of them: a batch is no line of a log, and some are failures only by themselves.
    assert!(small.len() > 290, "{}", small.len());
    log.extend(b"a line of no interest\n".repeat(WHOLE_INPUT_BYTES_MAX / 22 + 1));
    log.extend_from_slice(TRACE.as_bytes());
    let mut numbers = Numbers(7);
    let once = in_pieces(&log, &mut numbers, usize::MAX);
    let pieces = in_pieces(&log, &mut numbers, 100_000);
    assert_eq!(once, pieces);
    assert_eq!(pieces.len(), small.len() + 1);
}

#[test]
fn a_line_without_an_end_costs_no_memory() {
    let mut stream = Stream::default();
    let piece = vec![b'['; 1 << 20];
    for _ in 0..100 {
        assert_eq!(stream.push(&piece), []);
    }
    assert_eq!(stream.finish(), []);
    assert_eq!(stream.explanation().unwrap().lines, 1);
    assert_eq!(text(&"[".repeat(100 << 20)), []);
}

#[test]
fn line_ends_of_all_kinds_are_read() {
    let whole = text(TRACE);
    assert_eq!(whole.len(), 1);
    assert_eq!(text(&TRACE.replace('\n', "\r\n"))[0].record, whole[0].record);
    assert_eq!(text(TRACE.trim_end())[0].record, whole[0].record);
    assert_eq!(text(&format!("\0\n{TRACE}\0\n"))[0].record.error_type, whole[0].record.error_type);
}

#[test]
fn a_reading_says_where_and_why() {
    let readings = text(&format!("hello\n\n{TRACE}"));
    let reading = &readings[0];
    assert_eq!((reading.reader, reading.line, reading.lines), ("python", 3, 4));
    assert_eq!(reading.why, "python begins with: Traceback (most recent call last):");
    let body = text(r#"{"errorType":"E","errorMessage":"m","stackTrace":[]}"#);
    assert_eq!((body[0].why.as_str(), body[0].lines), ("a JSON object with an error type", 1));
}

#[test]
fn an_array_of_failures_is_read() {
    let readings = text(
        r#" [{"errorType":"E","errorMessage":"m"}, {"errorMessage":"n","stackTrace":[],"errorType":null,"schema":1}]"#,
    );
    let messages: Vec<_> =
        readings.iter().map(|reading| (reading.line, reading.record.error_message.as_str())).collect();
    assert_eq!(messages, [(1, "m"), (2, "n")]);
    assert_eq!(text(r#"[{"errorType":"E","errorMessage":"m"}, 7]"#), []);
}

#[test]
fn an_input_without_a_failure_is_explained() {
    let taken_for = |input: &str| {
        assert_eq!(text(input), []);
        explain(input).taken_for
    };
    assert_eq!(taken_for("one\ntwo\n"), "lines of a log");
    assert!(taken_for(r#"{"level":"INFO"}"#).starts_with("a JSON object"));
    assert_eq!(taken_for("[]"), "a batch of the Telemetry API");
    assert_eq!(taken_for(r#"{"events":[{"timestamp":1,"message":"fine"}]}"#), "an export of a log");
    let mut stream = Stream::default();
    stream.push(b"one\ntwo\n");
    assert_eq!(stream.finish(), []);
    assert!(
        stream
            .explanation()
            .unwrap()
            .to_string()
            .starts_with("no failure in 8 bytes, 2 lines, taken for lines of a log")
    );
}

fn batch(events: &[(&str, serde_json::Value)]) -> String {
    let event = |(name, record): &(&str, serde_json::Value)| serde_json::json!({"time": "2026-11-23T09:00:00.000Z", "type": name, "record": record});
    serde_json::Value::Array(events.iter().map(event).collect()).to_string()
}

/// The same events, one on a line.
fn lines_of(batch: &str) -> String {
    let events: Vec<serde_json::Value> = serde_json::from_str(batch).unwrap();
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn the_platform_tells_only_of_what_nobody_else_does() {
    let start = |id: &str| ("platform.start", serde_json::json!({"requestId": id}));
    let done = |id: &str, status: &str| {
        ("platform.runtimeDone", serde_json::json!({"requestId": id, "status": status}))
    };
    let report =
        |id: &str, status: &str| ("platform.report", serde_json::json!({"requestId": id, "status": status}));
    let input = batch(&[
        start("1"),
        ("function", TRACE.trim_end().into()),
        done("1", "error"),
        report("1", "error"),
        start("2"),
        ("function", "fine".into()),
        done("2", "timeout"),
        report("2", "timeout"),
        start("3"),
        done("3", "success"),
        // A failure that the program had in hand explains nothing.
        start("4"),
        (
            "function",
            serde_json::json!({"level": "ERROR", "logger": "root", "message": "tried", "errorType": "E", "errorMessage": "m", "stackTrace": []}),
        ),
        done("4", "failure"),
    ]);
    for input in [input.clone(), lines_of(&input)] {
        let readings = text(&input);
        let told: Vec<_> = readings
            .iter()
            .map(|reading| (reading.record.request_id.as_deref().unwrap(), reading.reader))
            .collect();
        assert_eq!(told, [("1", "python"), ("2", "platform"), ("4", "json"), ("4", "platform")]);
        assert_eq!(readings[1].record.kind, Some(Kind::Timeout));
        assert_eq!(readings[1].record.witnesses, [Witness::Platform]);
    }
}

#[test]
fn an_initialization_is_told_of_once() {
    let failed =
        ("platform.initReport", serde_json::json!({"status": "error", "errorType": "Runtime.ExitError"}));
    let alone = text(&batch(std::slice::from_ref(&failed)));
    assert_eq!((alone.len(), &alone[0].record.kind), (1, &Some(Kind::Exit)));
    let both = text(&batch(&[("function", TRACE.into()), failed]));
    assert_eq!((both.len(), both[0].reader), (1, "python"));
}

#[test]
fn an_event_is_framed_by_itself() {
    let framed = format!("{TRACE}second line of the message");
    let readings = text(&batch(&[("function", framed.into()), ("function", "next".into())]));
    assert_eq!(readings[0].record.error_message, "no\nsecond line of the message");
    let lines: Vec<_> =
        TRACE.lines().map(|line| ("function", line.into())).chain([("function", "next".into())]).collect();
    assert_eq!(text(&batch(&lines))[0].record.error_message, "no");
}

#[test]
fn exports_of_the_cli_are_read() {
    let event = |stream: &str, message: &str| serde_json::json!({"logStreamName": stream, "timestamp": 1, "message": message});
    // Two environments write at once: the lines of one are in the middle of the other's.
    let (first, rest) = TRACE.split_once('\n').unwrap();
    let events = serde_json::json!({"events": [
        event("a", "START RequestId: 8f50 Version: 1\n"), event("a", first), event("b", TRACE), event("a", rest), event("b", "END")]});
    let readings = text(&serde_json::to_string_pretty(&events).unwrap());
    assert_eq!(readings.iter().map(|reading| reading.line).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(readings[0].record.request_id.as_deref(), Some("8f50"));
    let tail = "2026-11-23T07:27:52.480000+00:00 2026/11/23/[$LATEST]0f1e";
    let readings =
        text(&format!("{tail} START RequestId: 8f50 Version: 1\n{tail} {TRACE}more of it\n{tail} END\n"));
    assert_eq!((readings.len(), readings[0].line), (1, 2));
    assert_eq!(readings[0].record.error_message, "no\nmore of it");
}

#[test]
fn a_long_export_gives_the_same_as_a_short_one() {
    let event = |message: &str| serde_json::json!({"logStreamName": "a", "timestamp": 1, "message": message});
    let export = |events: Vec<serde_json::Value>| {
        serde_json::to_string_pretty(&serde_json::json!({"events": events})).unwrap()
    };
    let short = text(&export(vec![event("fine"), event(TRACE)]));
    let mut events = vec![event("fine"); 80_000];
    events.push(event(TRACE));
    let long = export(events).replace("    ", "                ");
    assert!(long.len() > WHOLE_INPUT_BYTES_MAX);
    let long = in_pieces(long.as_bytes(), &mut Numbers(3), 100_000);
    assert_eq!((short.len(), long.len()), (1, 1));
    assert_eq!(short[0].record, long[0].record);
}

#[test]
fn more_logs_than_are_followed_lose_nothing() {
    let mut log = Log::default();
    for number in 0..1_000 {
        log.event(&number.to_string(), TRACE);
    }
    assert_eq!(log.finish().len(), 1_000);
}

#[test]
fn spoiled_inputs_are_read_without_harm() {
    let mut numbers = Numbers(42);
    for sample in samples() {
        for _ in 0..40 {
            let mut input = sample.clone();
            for _ in 0..3 {
                let at = numbers.below(input.len());
                match numbers.below(3) {
                    0 => input[at] = b"{}[]\"\\\n,:\x00\xffu"[numbers.below(12)],
                    1 => drop(input.drain(at..(at + numbers.below(20)).min(input.len() - 1).max(at))),
                    _ => input.truncate(at.max(1)),
                }
            }
            let _ = text(&String::from_utf8_lossy(&input));
            let _ = json::read_posted(&input);
        }
    }
}
