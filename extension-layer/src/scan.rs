//! Whether a batch of telemetry is worth a worker, found by substrings.
//!
//! Nearly every batch of a healthy function is not, and this is all that is done with it: no JSON is parsed here. The
//! question is answered generously, since a batch too many costs a worker's start and a batch too few a failure.

use memchr::memmem::{self, Finder};

use crate::api::string;
use crate::turn::Word;

/// What the runtimes print of a failure, and the platform's words for a loss. Log lines travel as JSON strings, so quotes
/// and tabs are left out where the text allows it.
const NEEDLES: [&str; 34] = [
    // The platform.
    "platform.logsDropped",
    "platform.fault",
    "Task timed out",
    "Runtime exited",
    "OutOfMemory",
    // JSON of any runtime: its own error lines, and those of its loggers.
    "errorType",
    // Python: text format, and tracebacks that a program logged.
    "[ERROR]",
    "Traceback (most recent call last)",
    "MemoryError",
    // Node: the handler's error, and the three ways to fail outside it. A plain `ERROR` is any console.error.
    "Invoke Error",
    "Init Error",
    "Uncaught Exception",
    "Unhandled Promise Rejection",
    "heap out of memory",
    // Frames as Node and .NET print them, Java, and Ruby: an error that was logged has no other sign.
    "   at ",
    "\\tat ",
    "\\tfrom ",
    // Rust, Go, Java, .NET, Ruby, PHP, C++ and the kernel.
    "panicked at",
    "has overflowed its stack",
    "panic: ",
    "atal error: ",
    "Exception in thread",
    "Unhandled exception",
    "Error raised from handler",
    "Critical exception from handler",
    "terminate called",
    "terminating due to",
    "Stack trace (most recent call last)",
    "Sanitizer: ",
    " detected ***",
    "free(): ",
    "malloc(): ",
    "Assertion `",
    "Segmentation fault",
];

/// Values of `status` in the platform's events that are no success.
const STATUSES: [&[u8]; 3] = [b"error\"", b"failure\"", b"timeout\""];

/// Values of `level` in JSON log lines, whose letter case and quotes differ between loggers and inside strings.
const LEVELS: [&[u8]; 3] = [b"error", b"fatal", b"critical"];

/// Bytes between `level` and its value: quotes, backslashes before them, a colon, blanks.
const LEVEL_GAP_BYTES_MAX: usize = 12;

/// The prepared substrings.
pub(crate) struct Scan {
    needles: Vec<Finder<'static>>,
    status: Finder<'static>,
    level: Finder<'static>,
}

impl Scan {
    pub(crate) fn new() -> Scan {
        let needles = NEEDLES.iter().map(|needle| Finder::new(*needle)).collect();
        Scan { needles, status: Finder::new("\"status\""), level: Finder::new("level") }
    }

    /// True if the platform says in `batch` that something failed. What the function itself logs of errors may have been dealt with.
    pub(crate) fn says_failure(&self, batch: &[u8]) -> bool {
        self.status.find_iter(batch).any(|at| is_bad_status(&batch[at + self.status.needle().len()..]))
    }

    /// True if `batch`, the body of a POST of the Telemetry API, may hold a failure.
    pub(crate) fn may_hold_failure(&self, batch: &[u8]) -> bool {
        is_piece(batch)
            || self.says_failure(batch)
            || self.level.find_iter(batch).any(|at| is_bad_level(&batch[at + self.level.needle().len()..]))
            || self.needles.iter().any(|needle| needle.find(batch).is_some())
    }
}

/// True if Lambda cut a record above 256 KiB here: what is in it may be known only with the other piece.
fn is_piece(batch: &[u8]) -> bool {
    !matches!(batch.trim_ascii(), [] | [b'[', .., b']'])
}

fn is_bad_status(rest: &[u8]) -> bool {
    let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    let value = value.and_then(|value| value.strip_prefix(b"\""));
    value.is_some_and(|value| STATUSES.iter().any(|status| value.starts_with(status)))
}

fn is_bad_level(rest: &[u8]) -> bool {
    let gap = rest.iter().take(LEVEL_GAP_BYTES_MAX).take_while(|byte| b"\\\": =".contains(byte)).count();
    let value = &rest[gap..];
    let word = &value[..value.iter().take_while(|byte| byte.is_ascii_alphabetic()).count()];
    gap > 0 && LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

/// What the platform says in `batch` of invocations: the request id of each, and the word.
pub(crate) fn words(batch: &[u8]) -> Vec<(String, Word)> {
    let mut words = Vec::new();
    for (event, word) in [("platform.runtimeDone\"", Word::Done), ("platform.report\"", Word::Report)] {
        words.extend(memmem::find_iter(batch, event.as_bytes()).filter_map(|at| {
            // The record of these events begins with the request id.
            let request_id = string(&batch[at..], "requestId")?;
            Some((request_id.to_owned(), word))
        }));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_may_hold_a_failure_are_told_from_those_that_do_not() {
        let scan = Scan::new();
        // Recorded from the runtime interface emulator and the runtimes' clients, shortened.
        for (expected, batch) in [
            (false, r#"[{"type":"platform.start","record":{"requestId":"c46635b5","version":"$LATEST"}}]"#),
            (
                false,
                r#"[{"type":"platform.report","record":{"requestId":"c4","status":"success","metrics":{}}}]"#,
            ),
            (false, r#"[{"type":"platform.initReport","record":{"phase":"init","status":"success"}}]"#),
            (
                false,
                r#"[{"type":"function","record":"2026-01-01T00:00:00.001Z\tc46635b5\tERROR\tsomething odd\n"}]"#,
            ),
            (false, r#"[{"type":"function","record":"sea level: errors are small"}]"#),
            (
                false,
                r#"[{"type":"function","record":{"level":"INFO","message":"status of the order: error-free"}}]"#,
            ),
            (false, "[]"),
            (false, ""),
            (
                true,
                r#"[{"type":"platform.report","record":{"requestId":"c4","status":"error","errorType":"Runtime.Unknown"}}]"#,
            ),
            (
                true,
                r#"[{"type": "platform.runtimeDone", "record": {"requestId": "c4", "status": "timeout"}}]"#,
            ),
            (true, r#"[{"type":"platform.runtimeDone","record":{"status" : "failure"}}]"#),
            (true, r#"[{"type":"platform.initReport","record":{"phase":"init","status":"error"}}]"#),
            (true, r#"[{"type":"platform.logsDropped","record":{"droppedBytes":1}}]"#),
            (
                true,
                r#"[{"type":"function","record":"{\"timestamp\": \"2026\", \"level\": \"ERROR\", \"message\": \"I failed!\"}"}]"#,
            ),
            (true, r#"[{"type":"function","record":{"level":"error","msg":"x"}}]"#),
            (
                true,
                r#"[{"type":"function","record":"[ERROR] Exception: I failed!\rTraceback (most recent call last):\r"}]"#,
            ),
            (
                true,
                r#"[{"type":"function","record":"2026\t8476a536\tERROR\tInvoke Error \t{\"stack\":[]}"}]"#,
            ),
            (true, r#"[{"type":"function","record":"thread 'main' panicked at src/main.rs:3:5:"}]"#),
            (
                true,
                r#"[{"type":"function","record":"2026/11/23 08:09:47 {\"errorMessage\":\"x\",\"errorType\":\"errorString\"}"}]"#,
            ),
            (
                true,
                r#"[{"type":"function","record":"2026-11-23T07:28:30Z d591674a Task timed out after 1.00 seconds"}]"#,
            ),
            // Two halves of a record that Lambda cut.
            (true, r#"[{"type":"function","record":"xxxxxxxx"#),
            (true, r#"xxxxxxxx"},{"type":"platform.start","record":{}}]"#),
        ] {
            assert_eq!(scan.may_hold_failure(batch.as_bytes()), expected, "{batch}");
        }
        assert!(scan.says_failure(br#"[{"type":"platform.report","record":{"status":"error"}}]"#));
        assert!(!scan.says_failure(br#"[{"type":"function","record":{"level":"ERROR","status":500}}]"#));
    }

    #[test]
    fn the_platforms_word_belongs_to_its_own_request() {
        let batch = br#"[{"type": "platform.report", "record": {"requestId": "1", "status": "success"}}, {"type": "platform.start", "record": {"requestId": "2"}}, {"type":"platform.runtimeDone","record":{"requestId":"22"}}]"#;
        assert_eq!(words(batch), [("22".to_owned(), Word::Done), ("1".to_owned(), Word::Report)]);
        assert_eq!(words(b"platform.report\"platform.runtimeDone\" \"requestId\":"), []);
    }
}
