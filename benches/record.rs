//! What turning text into records costs.
//!
//! - `record/body`: reading the body that Python's runtime posts. Like each record below, a hundred times in a row. The floor is `serde_json` parsing it.
//! - `record/lambda-text`, `record/printed-text`: reading a traceback as Python's runtime logs it, and a chain of three as
//!   the interpreter prints it. The floor is a search for line ends.
//! - `record/noise`: looking for failures in healthy log lines, which is what is paid for every byte of a log. The peer is a rule set of
//!   regular expressions as log shippers have them, the floor a `memchr` search for newlines.
//! - `record/traces/…`: nothing but printed failures of one language, found and read. The peer only finds them.
//! - `record/line`: completing one record and rendering its line. The floor is `serde_json` printing the complete record.
//!
//! Bodies and texts were recorded from AWS's own client. Bias: a floor does a part of the work only, so none can be
//! reached. No source text is read. The log is short lines of three kinds in memory; files are the business of the
//! `agent` bench.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use memchr::{memchr_iter, memchr2_iter};
use serde_json::Value;
use trace_record::normalize::lines::{Detector, Extent};
use trace_record::render::CLOUDWATCH_LINE_BYTES_MAX;
use trace_record::source::NoSource;
use trace_record::{Completion, Policy, complete, normalize, render};

use beside::Comparison;
use multiline::Rules;

mod beside;
mod multiline;

const BODY: &str = include_str!("../agent/record/tests/data/python312-classic-post/input.json");
/// A failure as AWS's client logs it: one line, with no-break spaces for indentation.
const LAMBDA_TEXT: &str = "[ERROR] Exception: I failed!\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"/var/task/app.py\", \
    line 1, in always_failed_handler\r\u{a0}\u{a0}\u{a0}\u{a0}def always_failed_handler(event, context): raise \
    Exception('I failed!')\n";

const PRINTED_TEXT: &str = include_str!("../agent/record/tests/data/python311-three-stderr/input.txt");

/// One printed failure of each language.
const PRINTED: [(&str, &str); 9] = [
    ("python", include_str!("../agent/record/tests/data/python311-three-stderr/input.txt")),
    ("node", include_str!("../agent/record/tests/data/node20-causechain-stderr/input.txt")),
    ("java", include_str!("../agent/record/tests/data/java17-chain-text/input.txt")),
    ("ruby", include_str!("../agent/record/tests/data/ruby31-causes-stderr/input.txt")),
    ("dotnet", include_str!("../agent/record/tests/data/dotnet31-chain-stderr/input.txt")),
    ("go", include_str!("../agent/record/tests/data/go124-repanic-stderr/input.txt")),
    ("rust", include_str!("../agent/record/tests/data/rust-debug-closure-stderr/input.txt")),
    ("cpp", include_str!("../agent/record/tests/data/cpp-lambda-throw-text/input.txt")),
    ("php", include_str!("../agent/record/tests/data/php82-main-stderr/input.txt")),
];

/// Bytes of the log that holds nothing but traces.
const TRACES_BYTES: usize = 1024 * 1024;

/// Bytes of the healthy log.
const LOG_BYTES: usize = 16 * 1024 * 1024;

/// Records that one timed call reads or prints; one alone is too short for the clock.
const CALLS: usize = 100;

fn main() {
    beside::run(&[body, lambda_text, printed_text, noise, traces, line]);
}

fn body(criterion: &mut Criterion) {
    let mut comparison = Comparison::new(criterion, "record/body");
    comparison.group.throughput(Throughput::Bytes((CALLS * BODY.len()) as u64));
    let times = || [BODY; CALLS];
    comparison
        .time("normalize::posted", times, |bodies| bodies.map(|body| normalize::posted(body.as_bytes())));
    comparison.time("floor: serde_json parses", times, |bodies| {
        bodies.map(|body| serde_json::from_str::<Value>(body).unwrap())
    });
    comparison.finish();
}

fn lambda_text(criterion: &mut Criterion) {
    text(criterion, "record/lambda-text", LAMBDA_TEXT);
}

fn printed_text(criterion: &mut Criterion) {
    text(criterion, "record/printed-text", PRINTED_TEXT);
}

fn text(criterion: &mut Criterion, name: &str, text: &'static str) {
    assert_eq!(normalize::text(text).len(), 1);
    let mut comparison = Comparison::new(criterion, name);
    comparison.group.throughput(Throughput::Bytes((CALLS * text.len()) as u64));
    let times = || [text; CALLS];
    comparison.time("normalize::text", times, |texts| texts.map(normalize::text));
    comparison.time("floor: memchr finds the line ends", times, |texts| {
        for end in texts.iter().flat_map(|text| memchr2_iter(b'\r', b'\n', text.as_bytes())) {
            black_box(end);
        }
    });
    comparison.finish();
}

fn noise(criterion: &mut Criterion) {
    let log = healthy_log();
    // Cutting a log into lines is paid for by whoever reads it, at the speed of the floor.
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let mut comparison = Comparison::new(criterion, "record/noise");
    comparison.group.throughput(Throughput::Bytes(log.len() as u64)).sample_size(10);
    comparison.time("lines::Detector", Detector::default, |mut detector| {
        let found: usize = lines.iter().map(|line| detector.line(line, ()).len()).sum();
        assert_eq!(found, 0, "the log is healthy");
    });
    comparison.time("peer: rules of regexes", Rules::new, |mut rules| {
        let found = lines.iter().map(|line| rules.line(line)).last();
        assert_eq!(found, Some(0), "the log is healthy");
    });
    floor(&mut comparison, &log);
    comparison.finish();
}

fn traces(criterion: &mut Criterion) {
    for (language, text) in PRINTED {
        let mut log = String::new();
        let mut count = 0;
        while log.len() < TRACES_BYTES {
            log.push_str(text.trim_end());
            // What parts one failure from the next in a real log.
            log.push_str("\n2026-11-23 07:30:12,532 INFO next\n");
            count += 1;
        }
        let mut comparison = Comparison::new(criterion, &format!("record/traces/{language}"));
        comparison.group.throughput(Throughput::Bytes(log.len() as u64)).sample_size(10);
        comparison.time(
            "Detector and Block::read",
            || Detector::new(Extent::Stream),
            |mut detector| {
                let blocks = log.split_inclusive('\n').flat_map(|line| detector.line(line, ()));
                let records = blocks.filter_map(|block| block.read()).count();
                assert_eq!(records, count, "each failure is one record");
            },
        );
        comparison.time("peer: rules of regexes, which only find", Rules::new, |mut rules| {
            log.split_inclusive('\n').map(|line| rules.line(line)).last()
        });
        floor(&mut comparison, &log);
        comparison.finish();
    }
}

fn floor(comparison: &mut Comparison<'_>, log: &str) {
    comparison.time(
        "floor: memchr finds the newlines",
        || (),
        |()| {
            // Not `count`, which never says where a line ends.
            for newline in memchr_iter(b'\n', log.as_bytes()) {
                black_box(newline);
            }
        },
    );
}

fn line(criterion: &mut Criterion) {
    let bare = normalize::posted(BODY.as_bytes());
    let with = Completion {
        seen_ms: Some(1_795_419_012_532),
        origin: "bench".to_owned(),
        function_name: Some("checkout".to_owned()),
        ..Completion::default()
    };
    let mut done = bare.clone();
    complete(&mut done, &with, &Policy::default(), &mut NoSource);
    let mut comparison = Comparison::new(criterion, "record/line");
    comparison.time(
        "complete and render::line",
        || vec![bare.clone(); CALLS],
        |mut records| {
            for record in &mut records {
                complete(record, &with, &Policy::default(), &mut NoSource);
                black_box(render::line(record, CLOUDWATCH_LINE_BYTES_MAX));
            }
            records
        },
    );
    comparison.time(
        "floor: serde_json prints",
        || vec![done.clone(); CALLS],
        |records| {
            for record in &records {
                black_box(serde_json::to_string(record).unwrap());
            }
            records
        },
    );
    comparison.finish();
}

/// What a function logs that never fails.
fn healthy_log() -> String {
    let mut log = String::with_capacity(LOG_BYTES + 1_024);
    let mut number = 0;
    while log.len() < LOG_BYTES {
        number += 1;
        let id = format!("8f507cfc-0000-4697-b07a-{number:012x}");
        write!(
            log,
            "START RequestId: {id} Version: $LATEST\n\
             [INFO]\t2026-11-23T07:30:12.532Z\t{id}\tpriced order {number} in 12 ms\n\
             {{\"level\":\"INFO\",\"message\":\"order placed\",\"order\":{number},\"requestId\":\"{id}\"}}\n\
             END RequestId: {id}\n\
             REPORT RequestId: {id}\tDuration: 12.10 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\n"
        )
        .unwrap();
    }
    log
}
