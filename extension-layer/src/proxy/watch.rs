//! What is kept of what passes, and which successes hold a failure.
//!
//! Nothing is parsed here. An error's body is copied. Of an event its beginning is, which says what invoked the function, and with that what
//! its response may hold: only the response to a batch or a durable execution is copied, and only its beginning. Of a streamed response the
//! trailers are. A response that looks as if it held a failure goes to the worker, which reads it.

use std::collections::VecDeque;

use memchr::memmem;

use crate::api::member;
use crate::config::ResponseFailures;
use crate::http::Part;
use crate::link::Inside;

/// Bytes of an error's body that are copied: Lambda's own limit (6 MiB and 100 bytes), since half a JSON text says nothing. What
/// is longer is passed on whole, and its copy marked.
pub(super) const ERROR_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// Bytes of an event that are copied: what invoked the function stands in every record of a batch, and ids are short. Of more, what comes
/// first is enough.
pub(super) const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a response that are copied: 3,000 failures of a batch, or a durable function's error. Of more, what comes first is enough.
const RESPONSE_BYTES_MAX: usize = 256 * 1024;

/// Invocations whose responses are looked at: as many as may run at a time. Of more, the oldest is forgotten: nobody answered it.
const ASKED_MAX: usize = 4 * 1024;

/// The beginning of something that passes.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) bytes: Vec<u8>,
    pub(super) is_truncated: bool,
    bytes_max: usize,
}

impl Copied {
    pub(super) fn new(bytes_max: usize) -> Copied {
        Copied { bytes: Vec::new(), is_truncated: false, bytes_max }
    }

    pub(super) fn see(&mut self, content: &[u8]) {
        let room = self.bytes_max - self.bytes.len();
        self.is_truncated |= content.len() > room;
        self.bytes.extend_from_slice(&content[..content.len().min(room)]);
    }
}

/// What is kept of a request's body.
#[derive(Debug)]
pub(super) enum Watch {
    Nothing,
    Error(Copied),
    Response(Response),
}

/// What is kept of a response.
#[derive(Debug)]
pub(super) struct Response {
    content: Option<(Inside, Copied)>,
    trailers: Option<Vec<u8>>,
}

impl Watch {
    pub(super) fn see(&mut self, part: Part<'_>) {
        match (self, part) {
            (Watch::Error(copied), Part::Content(content))
            | (Watch::Response(Response { content: Some((_, copied)), .. }), Part::Content(content)) => {
                copied.see(content);
            }
            (Watch::Response(Response { trailers: Some(trailers), .. }), Part::Trailer(line)) => {
                trailers.extend_from_slice(line);
            }
            _ => {}
        }
    }

    /// The failure that a response holds, as it seems: what it is, and where it stands.
    pub(super) fn failure(self) -> Option<(Inside, Vec<u8>)> {
        let Watch::Response(Response { content, trailers }) = self else { return None };
        let trailers = trailers.filter(|trailers| has_error(trailers));
        trailers.map(|trailers| (Inside::Stream, trailers)).or_else(|| {
            let (inside, copied) = content?;
            let holds = match inside {
                Inside::Batch => has_failed_items(&copied.bytes),
                Inside::Durable => has_failed(&copied.bytes),
                Inside::Stream => false,
            };
            holds.then_some((inside, copied.bytes))
        })
    }
}

/// What the responses to the invocations that run may hold.
#[derive(Debug)]
pub(super) struct Asked {
    counts: ResponseFailures,
    running: VecDeque<(String, Inside)>,
}

impl Asked {
    pub(super) fn new(counts: ResponseFailures) -> Asked {
        Asked { counts, running: VecDeque::new() }
    }

    /// An invocation was given `event`, or something that begins with it.
    pub(super) fn given(&mut self, request_id: &str, event: &[u8]) {
        self.answered(request_id);
        let inside = if self.counts.durable && memmem::find(event, b"\"DurableExecutionArn\"").is_some() {
            Inside::Durable
        } else if self.counts.batch && has_records(event) {
            Inside::Batch
        } else {
            return;
        };
        if self.running.len() >= ASKED_MAX {
            self.running.pop_front();
        }
        self.running.push_back((request_id.to_owned(), inside));
    }

    /// What is to be kept of its response. Go's client sends trailers without calling the response streamed.
    pub(super) fn response(&self, request_id: &str) -> Watch {
        let asked = self.running.iter().find(|(running, _)| running == request_id);
        let content = asked.map(|(_, inside)| (*inside, Copied::new(RESPONSE_BYTES_MAX)));
        let trailers = self.counts.stream.then(Vec::new);
        if content.is_none() && trailers.is_none() {
            return Watch::Nothing;
        }
        Watch::Response(Response { content, trailers })
    }

    /// It is over: Lambda took its response, or its error.
    pub(super) fn answered(&mut self, request_id: &str) {
        self.running.retain(|(running, _)| running != request_id);
    }
}

/// True if an event is a batch: queues and streams send `Records`, Kafka `records`.
fn has_records(event: &[u8]) -> bool {
    memmem::find(event, b"\"Records\"").or_else(|| memmem::find(event, b"\"records\"")).is_some()
}

/// True if a response names at least one item that failed. An empty list, or null, is how a good batch ends.
fn has_failed_items(response: &[u8]) -> bool {
    let items = member(response, "batchItemFailures").and_then(|list| list.strip_prefix(b"["));
    items.is_some_and(|items| !items.trim_ascii_start().starts_with(b"]"))
}

/// True if a durable execution ended in a failure. Waiting and trying again are how it works.
fn has_failed(response: &[u8]) -> bool {
    member(response, "Status").is_some_and(|status| status.starts_with(b"\"FAILED\""))
}

/// True if the stream broke off.
fn has_error(trailers: &[u8]) -> bool {
    let name = b"lambda-runtime-function-error-";
    trailers
        .split(|byte| *byte == b'\n')
        .any(|line| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ResponseFailures = ResponseFailures { batch: true, durable: true, stream: true };
    const QUEUE: &[u8] = br#"{"Records": [{"messageId": "1", "eventSource": "aws:sqs"}]}"#;
    const DURABLE: &[u8] = br#"{"DurableExecutionArn":"arn","CheckpointToken":"t"}"#;

    fn failure(counts: ResponseFailures, event: &[u8], response: &[u8]) -> Option<Inside> {
        let mut asked = Asked::new(counts);
        asked.given("1", event);
        let mut watch = asked.response("1");
        response.chunks(7).for_each(|piece| watch.see(Part::Content(piece)));
        watch.failure().map(|(inside, body)| {
            assert_eq!(body, response);
            inside
        })
    }

    // The bodies are those of AWS's documentation and of aws-durable-execution-sdk-python 3.0.0.

    #[test]
    fn a_batch_counts_if_an_item_failed_and_only_if_it_was_a_batch() {
        let failed = br#"{"batchItemFailures": [ {"itemIdentifier": "1"} ]}"#;
        assert_eq!(failure(ALL, QUEUE, failed), Some(Inside::Batch));
        assert_eq!(failure(ALL, b"{}", failed), None);
        assert_eq!(failure(ResponseFailures { batch: false, ..ALL }, QUEUE, failed), None);
        for good in [
            &br#"{"batchItemFailures": []}"#[..],
            br#"{"batchItemFailures":[ ]}"#,
            br#"{"batchItemFailures":null}"#,
            b"null",
            b"{}",
            b"",
        ] {
            assert_eq!(failure(ALL, QUEUE, good), None);
        }
    }

    #[test]
    fn a_durable_execution_counts_if_it_failed_for_good() {
        let failed =
            br#"{"Status": "FAILED", "Error": {"ErrorMessage": "I failed!", "ErrorType": "Exception"}}"#;
        assert_eq!(failure(ALL, DURABLE, failed), Some(Inside::Durable));
        assert_eq!(failure(ResponseFailures { durable: false, ..ALL }, DURABLE, failed), None);
        for good in ["SUCCEEDED", "PENDING", "RETRY"] {
            assert_eq!(failure(ALL, DURABLE, format!(r#"{{"Status":"{good}"}}"#).as_bytes()), None);
        }
    }

    #[test]
    fn a_stream_counts_if_its_trailers_say_so() {
        let trailers = |counts, lines: &[&str]| {
            let mut watch = Asked::new(counts).response("1");
            lines.iter().for_each(|line| watch.see(Part::Trailer(line.as_bytes())));
            watch.failure()
        };
        let lines = ["Lambda-Runtime-Function-Error-Type: Error\r\n", "X: y\r\n"];
        assert_eq!(trailers(ALL, &lines), Some((Inside::Stream, lines.concat().into_bytes())));
        assert_eq!(trailers(ALL, &lines[1..]), None);
        assert_eq!(trailers(ResponseFailures { stream: false, ..ALL }, &lines), None);
    }

    #[test]
    fn a_response_is_looked_at_until_the_invocation_is_answered() {
        let mut asked = Asked::new(ResponseFailures { stream: false, ..ALL });
        asked.given("1", QUEUE);
        let is_watched = |asked: &Asked| matches!(asked.response("1"), Watch::Response(_));
        // One that Lambda refused is sent again.
        assert!(is_watched(&asked) && is_watched(&asked));
        asked.answered("1");
        assert!(!is_watched(&asked));
        // Those that nobody answers make room for others.
        (2..10_000).for_each(|number| asked.given(&number.to_string(), QUEUE));
        asked.given("1", QUEUE);
        assert!(is_watched(&asked));
        asked.given("1", b"{}");
        assert!(!is_watched(&asked));
    }

    #[test]
    fn what_is_copied_is_bounded() {
        let mut copied = Copied::new(10);
        copied.see(b"0123456");
        assert!(!copied.is_truncated);
        copied.see(b"789x");
        assert_eq!((&copied.bytes[..], copied.is_truncated), (&b"0123456789"[..], true));
        let mut asked = Asked::new(ALL);
        (0..5_000).for_each(|number| asked.given(&number.to_string(), QUEUE));
        assert_eq!(asked.running.len(), ASKED_MAX);
    }
}
