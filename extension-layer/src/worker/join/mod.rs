//! When is a failure complete? CloudWatch is append-only, so a record is written once, after its witnesses were heard.
//!
//! Witnesses of one failure (posted body, log line, capture datagram, the platform's events) meet by request id; what comes
//! without one belongs to the invocation that its batch of telemetry tells of, or to the open one. A failure closes at the
//! first of: body and the platform's end both seen; the runtime asks for the next event; another invocation begins;
//! SHUTDOWN; [`CLOSE_AFTER_MS`]. A witness that comes later and tells of the same failure is not a second one.
//!
//! A text of several lines is a failure only when its last line is there, so until then no time runs: a runtime that writes
//! no line ends leaves that line in its pipe until it writes again or ends.
//!
//! Everything here is a function of what was seen and the time that it is given.

mod witness;
mod lines;
mod same;
mod merge;

use std::collections::VecDeque;

use trace_record::Record;
use trace_record::failure::{Phase, Witness};
use trace_record::normalize::telemetry::{self, What};

use crate::link::Message;
use lines::{Lines, Origin};
use same::Features;
use witness::End;
pub(crate) use witness::{Function, Invocation, deadline_ms};

/// How long an open failure waits for further witnesses, in milliseconds.
pub(crate) const CLOSE_AFTER_MS: i64 = 300;

/// How many closed failures are remembered, so that late witnesses are known. Older ones are forgotten first, and their
/// late witnesses would make a record of their own.
const CLOSED_MAX: usize = 256;

/// How many failures may be open; each may hold a body of 1 MiB. The oldest closes when another one comes.
const OPEN_MAX: usize = 16;

/// How many invocations are remembered: telemetry may tell of the one before. What comes of an older one has no trace id.
const INVOCATIONS_MAX: usize = 16;

/// A failure that is complete.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) record: Record,
    /// The invocation that failed, as far as it is known.
    pub(crate) invocation: Option<Invocation>,
}

/// A failure that may have further witnesses.
struct Open {
    record: Record,
    /// The number of the frame that brought its first witness.
    sequence: u64,
    since_ms: i64,
    body_seen: bool,
    end_seen: bool,
}

/// What is known of failures that are not complete.
#[derive(Default)]
pub(crate) struct Join {
    pub(crate) function: Function,
    /// The last one is the one that runs now.
    invocations: VecDeque<Invocation>,
    open: VecDeque<Open>,
    closed: VecDeque<Features>,
    lines: Lines,
    lost: Vec<(String, u64)>,
    seen_up_to: u64,
}

impl Join {
    /// Takes one message, with the number of its frame and the time at which it came, and gives the failures that it
    /// completed.
    pub(crate) fn see(&mut self, message: Message, sequence: u64, now_ms: i64) -> Vec<Closed> {
        self.seen_up_to = self.seen_up_to.max(sequence);
        let mut closed = self.close_old(now_ms);
        match message {
            Message::Registered(raw) => self.function = witness::function(&raw),
            Message::Invoke(raw) => closed.extend(self.invoked(&raw)),
            Message::Posted(posted) => self.add(witness::posted(&posted), sequence, now_ms),
            Message::Capture { request_id, datagram } => match witness::captured(&datagram) {
                Some(mut record) => {
                    record.request_id = record.request_id.or(request_id);
                    self.add(record, sequence, now_ms);
                }
                None => self.lost("datagrams that were no reports", 1),
            },
            Message::Telemetry(batch) => self.telemetry(&batch, sequence, now_ms),
            Message::RuntimeNext | Message::Flush => closed.extend(self.close_all()),
            Message::Shutdown { is_open, raw } => {
                let open = self.invocations.back().filter(|_| is_open);
                let failure = open.and_then(|open| witness::shutdown(&raw, open));
                if let Some(record) = failure {
                    self.finish_lines();
                    self.add(record, sequence, now_ms);
                }
                closed.extend(self.close_all());
            }
            Message::Lost { what, count } => self.lost(&what, count),
        }
        closed.extend(self.close_where(|open| open.body_seen && open.end_seen));
        while self.open.len() > OPEN_MAX {
            closed.extend(self.open.pop_front().map(|open| self.close(open)));
        }
        closed
    }

    /// Closes the failures that have waited long enough.
    pub(crate) fn close_old(&mut self, now_ms: i64) -> Vec<Closed> {
        self.close_where(|open| open.since_ms + CLOSE_AFTER_MS <= now_ms)
    }

    /// Closes every failure: there will be no further witness.
    pub(crate) fn close_all(&mut self) -> Vec<Closed> {
        self.finish_lines();
        self.close_where(|_| true)
    }

    /// When the oldest open failure closes by itself.
    pub(crate) fn closes_at_ms(&self) -> Option<i64> {
        self.open.iter().map(|open| open.since_ms + CLOSE_AFTER_MS).min()
    }

    /// The number up to which every failure has been closed.
    pub(crate) fn settled(&self) -> Option<u64> {
        let lines = self.lines.open().map(|origin| origin.sequence);
        let first = self.open.iter().map(|open| open.sequence).chain(lines).min();
        let settled = first.map_or(self.seen_up_to, |first| first.saturating_sub(1));
        (settled > 0).then_some(settled)
    }

    /// What was lost and is in no record yet.
    pub(crate) fn take_lost(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.lost)
    }

    /// Another invocation begins. What its own runtime was quick enough to post stays open.
    fn invoked(&mut self, raw: &[u8]) -> Vec<Closed> {
        let Some(next) = witness::invocation(raw) else { return self.close_all() };
        self.finish_lines();
        let request_id = Some(next.request_id.as_str());
        let closed = self.close_where(|open| open.record.request_id.as_deref() != request_id);
        // A request that begins again is another attempt; what failed in the last one may fail in this one. One that is new may have failed
        // and closed before its event came here: the runtime does not wait for us.
        if self.invocations.iter().any(|earlier| Some(earlier.request_id.as_str()) == request_id) {
            self.closed.retain(|closed| closed.request_id() != request_id);
        }
        self.invocations.push_back(next);
        if self.invocations.len() > INVOCATIONS_MAX {
            self.invocations.pop_front();
        }
        closed
    }

    fn telemetry(&mut self, batch: &[u8], sequence: u64, now_ms: i64) {
        let Some(events) = telemetry::events(batch) else {
            self.lost("telemetry batches that are no JSON", 1);
            return;
        };
        let mut running = None;
        for (at, event) in events.iter().enumerate() {
            match &event.what {
                What::Function(text) => {
                    let request_id = running.clone().or_else(|| lines::next_end(&events[at..]));
                    let origin = Origin { sequence, now_ms, request_id, time_ms: event.time_ms };
                    self.lines.take(text, &origin).into_iter().for_each(|told| self.told(told));
                }
                What::Platform { name, record } => {
                    running = witness::start(name, record).map(str::to_owned).or(running);
                    if let Some(count) = witness::dropped(name, record) {
                        self.lost("log records that the platform dropped", count);
                    }
                    if let Some(end) = witness::end(name, record, event.time_ms) {
                        self.ended(end, sequence, now_ms);
                    }
                }
                What::Extension(_) => {}
            }
        }
    }

    fn finish_lines(&mut self) {
        for told in self.lines.finish() {
            self.told(told);
        }
    }

    fn told(&mut self, (record, origin): (Record, Origin)) {
        self.add(record, origin.sequence, origin.now_ms);
    }

    fn ended(&mut self, end: End, sequence: u64, now_ms: i64) {
        // The lines of a request come before its end.
        self.finish_lines();
        let ended_by = end.failure.as_ref().and_then(|record| self.find_open(&Features::of(record)));
        for (index, open) in self.open.iter_mut().enumerate() {
            if open.record.request_id == end.request_id || is_init(&open.record) && end.phase == Phase::Init {
                open.end_seen = true;
                // What was logged, and did not end the invocation, was dealt with.
                open.record.handled = open.record.handled.or(Some(ended_by != Some(index)));
            }
        }
        if let Some(record) = end.failure {
            self.add(record, sequence, now_ms);
        }
    }

    /// Adds what one witness saw: to the failure that it tells of, or as a new one.
    fn add(&mut self, mut record: Record, sequence: u64, now_ms: i64) {
        if record.request_id.is_none() && !matches!(record.phase, Some(Phase::Init | Phase::Restore)) {
            record.request_id = self.invocations.back().map(|invocation| invocation.request_id.clone());
        }
        let features = Features::of(&record);
        let body_seen = record.witnesses.contains(&Witness::RuntimeApi);
        if let Some(open) = self.find_open(&features).and_then(|index| self.open.get_mut(index)) {
            merge::merge(&mut open.record, record);
            open.body_seen |= body_seen;
        } else if !self.closed.iter().any(|closed| closed.is_told_again_by(&features)) {
            let end_seen = features.is_platforms();
            self.open.push_back(Open { record, sequence, since_ms: now_ms, body_seen, end_seen });
        }
    }

    /// The open failure that `features` is another account of. The platform means the failure that ended the request: one
    /// that is closed already, or the one that the runtime posted, or else the one that was told of last.
    fn find_open(&self, features: &Features) -> Option<usize> {
        let mut same =
            self.open.iter().enumerate().filter(|(_, open)| Features::of(&open.record).is_same(features));
        if !features.is_platforms() {
            return same.next().map(|(index, _)| index);
        }
        if self.closed.iter().any(|closed| closed.has_ended_it() && closed.is_same(features)) {
            return None;
        }
        same.max_by_key(|(index, open)| (open.body_seen, *index)).map(|(index, _)| index)
    }

    fn close_where(&mut self, is_complete: impl Fn(&Open) -> bool) -> Vec<Closed> {
        let (complete, open) =
            std::mem::take(&mut self.open).into_iter().partition::<VecDeque<Open>, _>(is_complete);
        self.open = open;
        complete.into_iter().map(|open| self.close(open)).collect()
    }

    fn close(&mut self, open: Open) -> Closed {
        let mut record = open.record;
        for (what, count) in self.lost.drain(..) {
            let so_far = record.truncated.entry(format!("lost {what}")).or_default();
            *so_far = so_far.saturating_add(count);
        }
        self.closed.push_back(Features::of(&record));
        if self.closed.len() > CLOSED_MAX {
            self.closed.pop_front();
        }
        let of_record =
            |invocation: &&Invocation| record.request_id.as_deref() == Some(&*invocation.request_id);
        let invocation = self.invocations.iter().rev().find(of_record).cloned();
        Closed { record, invocation }
    }

    /// Counts something that cannot be in a record of its own. Every caller has words of its own, so the list is short.
    fn lost(&mut self, what: &str, count: u64) {
        match self.lost.iter_mut().find(|(known, _)| known == what) {
            Some((_, so_far)) => *so_far = so_far.saturating_add(count),
            None => self.lost.push((what.to_owned(), count)),
        }
    }
}

fn is_init(record: &Record) -> bool {
    record.phase == Some(Phase::Init)
}

#[cfg(test)]
mod tests {
    use trace_record::failure::Kind;

    use super::*;
    use crate::http::RequestHead;
    use crate::link::Posted;

    const INVOKE: &str = r#"{"eventType":"INVOKE","deadlineMs":1795419012532,"requestId":"r1","invokedFunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:f","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-a;Sampled=1"}}"#;
    const BODY: &str = r#"{"errorMessage": "I failed!", "errorType": "Exception", "requestId": "r1", "stackTrace": ["  File \"/var/task/app.py\", line 1, in handler\n    raise Exception('I failed!')\n"]}"#;
    const LINE: &str = r#"{"time":"2026-11-23T07:27:52.488Z","type":"function","record":"[ERROR] Exception: I failed!\rTraceback (most recent call last):\r\u00a0\u00a0File \"/var/task/app.py\", line 1, in handler\r\u00a0\u00a0\u00a0\u00a0raise Exception('I failed!')\n"}"#;
    const DONE: &str = r#"{"time":"2026-11-23T07:27:52.490Z","type":"platform.runtimeDone","record":{"requestId":"r1","status":"error","errorType":"Runtime.Unknown","metrics":{"durationMs":9.5}}}"#;
    const SUCCESS: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"success","metrics":{"durationMs":9.5}}}"#;
    const TIMEOUT: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"timeout","metrics":{"durationMs":3000.0}}}"#;
    const EXIT: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"error","errorType":"Runtime.ExitError"}}"#;
    const REPORT: &str = r#"{"time":"2026-11-23T07:27:52.491Z","type":"platform.report","record":{"requestId":"r1","status":"error","metrics":{"durationMs":9.5}}}"#;

    fn join() -> Join {
        let mut join = Join::default();
        let registered = br#"{"functionName":"f","functionVersion":"$LATEST","handler":"app.handler"}"#;
        join.see(Message::Registered(registered.to_vec()), 0, 0);
        join.see(invoke("r1"), 0, 0);
        join
    }

    fn invoke(request_id: &str) -> Message {
        Message::Invoke(INVOKE.replace("r1", request_id).into_bytes())
    }

    fn post(call: &str, body: &str) -> Message {
        let head = format!(
            "POST /2018-06-01/runtime/{call} HTTP/1.1\r\nLambda-Runtime-Function-Error-Type: T\r\n\r\n"
        );
        Message::Posted(Posted::new(RequestHead::parse(head.into_bytes()).unwrap(), body.into(), false))
    }

    fn posted() -> Message {
        post("invocation/r1/error", BODY)
    }

    fn telemetry(events: &[&str]) -> Message {
        Message::Telemetry(format!("[{}]", events.join(",")).into_bytes())
    }

    fn shutdown(reason: &str) -> Message {
        let raw = format!(r#"{{"eventType":"SHUTDOWN","shutdownReason":"{reason}"}}"#).into_bytes();
        Message::Shutdown { is_open: true, raw }
    }

    fn kinds(closed: &[Closed]) -> Vec<Option<Kind>> {
        closed.iter().map(|closed| closed.record.kind.clone()).collect()
    }

    #[test]
    fn a_failure_with_three_witnesses_is_one_record() {
        let mut join = join();
        assert!(join.see(posted(), 1, 0).is_empty());
        assert_eq!(join.settled(), None);
        let closed = join.see(telemetry(&[LINE, DONE]), 2, 10);
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].record.witnesses, [Witness::RuntimeApi, Witness::Log, Witness::Platform]);
        assert_eq!(closed[0].record.error_type.as_deref(), Some("Exception"));
        assert_eq!(closed[0].invocation.as_ref().unwrap().trace_id.as_deref(), Some("Root=1-a;Sampled=1"));
        assert_eq!(join.settled(), Some(2));
        assert!(join.see(telemetry(&[REPORT]), 3, 20).is_empty(), "a late witness is no second failure");
        assert!(join.see(Message::RuntimeNext, 4, 30).is_empty());
        assert_eq!(join.settled(), Some(4));
    }

    #[test]
    fn without_the_body_the_log_line_gives_the_same_record() {
        let mut with = join();
        with.see(posted(), 1, 0);
        let body = with.close_all().remove(0).record;
        let mut without = join();
        without.see(telemetry(&[LINE, DONE, REPORT]), 1, 0);
        let log = without.close_all();
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].record.stack_trace, body.stack_trace);
        assert_eq!(
            (&log[0].record.error_type, &log[0].record.error_message),
            (&body.error_type, &body.error_message)
        );
        assert_eq!(log[0].record.handled, Some(false));
        assert_eq!(log[0].record.timestamp.as_deref(), Some("2026-11-23T07:27:52.488Z"));
    }

    #[test]
    fn a_failure_that_was_only_logged_is_handled() {
        let mut join = join();
        join.see(telemetry(&[LINE, SUCCESS]), 1, 0);
        assert_eq!(join.close_all()[0].record.handled, Some(true));
    }

    #[test]
    fn what_was_logged_before_the_failure_that_was_posted_is_handled() {
        let mut join = join();
        join.see(telemetry(&[&LINE.replace("I failed!", "at first")]), 1, 0);
        join.see(posted(), 2, 0);
        let mut closed = join.see(telemetry(&[DONE]), 3, 0);
        closed.extend(join.close_all());
        assert_eq!(handled(&closed), [("I failed!", Some(false)), ("at first", Some(true))]);
    }

    #[test]
    fn the_platforms_word_of_a_failure_that_is_complete_is_no_other_failures() {
        let mut join = join();
        join.see(posted(), 1, 0);
        assert_eq!(join.see(Message::RuntimeNext, 2, 1).len(), 1);
        join.see(telemetry(&[&LINE.replace("I failed!", "at first"), DONE]), 3, 2);
        let closed = join.close_all();
        assert_eq!(handled(&closed), [("at first", Some(true))]);
        assert_eq!(closed[0].record.witnesses, [Witness::Log]);
    }

    #[test]
    fn without_the_body_the_failure_that_was_logged_last_ended_the_request() {
        let mut join = join();
        join.see(telemetry(&[&LINE.replace("I failed!", "at first"), LINE, DONE]), 1, 0);
        assert_eq!(handled(&join.close_all()), [("at first", Some(true)), ("I failed!", Some(false))]);
    }

    fn handled(closed: &[Closed]) -> Vec<(&str, Option<bool>)> {
        closed.iter().map(|closed| (&*closed.record.error_message, closed.record.handled)).collect()
    }

    #[test]
    fn a_failure_closes_after_its_time() {
        let mut join = join();
        join.see(posted(), 1, 1_000);
        assert_eq!(join.closes_at_ms(), Some(1_000 + CLOSE_AFTER_MS));
        assert!(join.close_old(999 + CLOSE_AFTER_MS).is_empty());
        assert_eq!(join.close_old(1_000 + CLOSE_AFTER_MS).len(), 1);
    }

    #[test]
    fn lines_wait_for_the_last_of_them() {
        let mut join = join();
        let line = |text: &str| telemetry(&[&format!(r#"{{"type":"function","record":"{text}"}}"#)]);
        join.see(line("Traceback (most recent call last):\\n  File \\\"a.py\\\", line 1, in f\\n"), 7, 1_000);
        assert_eq!((join.settled(), join.closes_at_ms()), (Some(6), None));
        assert!(join.close_old(60_000).is_empty());
        join.see(line("ValueError: no"), 8, 60_000);
        join.see(telemetry(&[SUCCESS]), 9, 60_001);
        assert_eq!(handled(&join.close_old(60_001)), [("no", Some(true))]);
        assert_eq!(join.settled(), Some(9));
    }

    #[test]
    fn a_timeout_is_told_by_the_shutdown_alone_or_by_the_platform_and_is_one() {
        let mut both = join();
        both.see(telemetry(&[TIMEOUT]), 1, 0);
        let closed = both.see(shutdown("timeout"), 2, 1);
        assert_eq!(kinds(&closed), [Some(Kind::Timeout)]);
        assert_eq!(closed[0].record.error_message, "Task timed out after 3.00 seconds");
        assert!(both.see(telemetry(&[TIMEOUT, &REPORT.replace("error", "timeout")]), 3, 2).is_empty());
        assert!(both.close_all().is_empty());
        assert_eq!(kinds(&join().see(shutdown("TIMEOUT"), 1, 1)), [Some(Kind::Timeout)]);
        assert!(join().see(shutdown("spindown"), 1, 1).is_empty());
        let raw = br#"{"eventType":"SHUTDOWN","shutdownReason":"failure"}"#.to_vec();
        let idle = Message::Shutdown { is_open: false, raw };
        assert!(join().see(idle, 1, 1).is_empty(), "the last invocation was over, and well");
    }

    #[test]
    fn an_exit_is_one_record_whoever_tells_of_it_and_in_which_order() {
        for messages in [
            [telemetry(&[EXIT, REPORT]), shutdown("failure"), Message::Flush],
            [shutdown("failure"), telemetry(&[EXIT, REPORT]), Message::Flush],
            [telemetry(&[REPORT]), shutdown("failure"), telemetry(&[EXIT])],
        ] {
            let mut join = join();
            let mut closed = Vec::new();
            for (sequence, message) in (1..).zip(messages) {
                closed.extend(join.see(message, sequence, 0));
            }
            closed.extend(join.close_all());
            assert_eq!(kinds(&closed), [Some(Kind::Exit)]);
            assert_eq!(join.settled(), Some(3));
        }
    }

    #[test]
    fn a_timeout_is_not_swallowed_by_what_was_logged_before() {
        let mut join = join();
        join.see(telemetry(&[LINE]), 1, 0);
        join.see(telemetry(&[TIMEOUT]), 2, 100);
        let closed = join.close_all();
        assert_eq!(kinds(&closed), [None, Some(Kind::Timeout)]);
        assert_eq!((closed[0].record.handled, closed[1].record.handled), (Some(true), Some(false)));
    }

    #[test]
    fn an_exit_belongs_to_what_was_logged_last_but_not_to_what_closed_long_ago() {
        let mut join = join();
        join.see(telemetry(&[LINE]), 1, 0);
        let closed = join.see(telemetry(&[EXIT]), 2, 100);
        assert!(closed.is_empty());
        assert_eq!(kinds(&join.close_all()), [Some(Kind::Exit)]);
        let mut later = self::join();
        later.see(telemetry(&[LINE]), 1, 0);
        assert_eq!(kinds(&later.see(telemetry(&[EXIT]), 2, 5_000)), [None]);
        assert_eq!(kinds(&later.close_all()), [Some(Kind::Exit)]);
    }

    #[test]
    fn two_failures_of_one_request_stay_two() {
        let mut join = join();
        join.see(posted(), 1, 0);
        let other = LINE.replace("I failed!", "and this too");
        join.see(telemetry(&[&other]), 2, 1);
        assert_eq!(join.close_all().len(), 2);
    }

    #[test]
    fn another_attempt_of_the_same_request_is_another_failure() {
        let mut join = join();
        join.see(posted(), 1, 0);
        assert_eq!(join.see(Message::RuntimeNext, 2, 1).len(), 1);
        // The body of the second attempt may come before its event, and both before the log line.
        join.see(posted(), 3, 60_000);
        assert!(join.see(invoke("r1"), 4, 60_000).is_empty());
        assert!(join.see(telemetry(&[LINE]), 5, 60_010).is_empty());
        assert_eq!(join.see(Message::RuntimeNext, 6, 60_020).len(), 1);
        join.see(invoke("r1"), 7, 120_000);
        join.see(telemetry(&[LINE, DONE]), 8, 120_000);
        assert_eq!(join.close_all().len(), 1, "without the body too");
    }

    #[test]
    fn a_failure_that_closed_before_its_invoke_event_came_is_still_known() {
        let mut join = join();
        join.see(post("invocation/r2/error", BODY), 1, 0);
        assert_eq!(join.see(Message::RuntimeNext, 2, 1).len(), 1);
        assert!(join.see(invoke("r2"), 3, 2).is_empty());
        let log = [LINE, DONE].map(|event| event.replace("r1", "r2"));
        join.see(telemetry(&[&log[0], &log[1]]), 4, 3);
        assert!(join.close_all().is_empty());
    }

    #[test]
    fn telemetry_of_the_invocation_before_belongs_to_it() {
        let mut join = join();
        join.see(invoke("r2"), 1, 10);
        let start = r#"{"type":"platform.start","record":{"requestId":"r2"}}"#;
        let second = LINE.replace("I failed!", "second");
        join.see(telemetry(&[LINE, DONE, REPORT, start, &second]), 2, 20);
        let closed = join.close_all();
        let ids: Vec<_> = closed.iter().map(|closed| closed.record.request_id.as_deref()).collect();
        assert_eq!(ids, [Some("r1"), Some("r2")]);
        assert_eq!(closed[0].invocation.as_ref().unwrap().request_id, "r1");
        assert_eq!(closed[0].record.handled, Some(false));
    }

    #[test]
    fn a_body_that_comes_before_its_invoke_event_knows_its_invocation() {
        let mut join = join();
        join.see(post("invocation/r2/error", BODY), 1, 0);
        assert!(join.see(invoke("r2"), 2, 0).is_empty());
        assert!(join.see(Message::RuntimeNext, 3, 0)[0].invocation.is_some());
    }

    #[test]
    fn what_cannot_be_read_is_counted_in_the_next_record() {
        let mut join = join();
        join.see(Message::Telemetry(b"not json".to_vec()), 1, 0);
        join.see(Message::Capture { request_id: None, datagram: b"nonsense".to_vec() }, 2, 0);
        let dropped = r#"{"type":"platform.logsDropped","record":{"reason":"slow","droppedRecords":123,"droppedBytes":9}}"#;
        join.see(telemetry(&[dropped, r#"{"type":"platform.unheardOf","record":{"requestId":"r1"}}"#]), 3, 0);
        assert_eq!(join.settled(), Some(3));
        join.see(posted(), 4, 0);
        let record = join.close_all().remove(0).record;
        assert_eq!(record.truncated.len(), 3);
        assert_eq!(record.truncated["lost telemetry batches that are no JSON"], 1);
        assert_eq!(record.truncated["lost log records that the platform dropped"], 123);
        assert!(join.take_lost().is_empty());
    }

    #[test]
    fn a_report_of_a_later_version_is_a_smaller_record() {
        let mut join = join();
        join.see(Message::Capture { request_id: None, datagram: b"TCAP\xff\xff\xff\xff".to_vec() }, 1, 0);
        let closed = join.close_all();
        assert_eq!(kinds(&closed), [Some(Kind::Panic)]);
        assert!(closed[0].record.raw.as_deref().unwrap().starts_with("TCAP"));
    }

    #[test]
    fn the_type_of_a_body_without_one_is_that_of_its_header() {
        let mut join = join();
        join.see(post("invocation/r1/error", "no JSON"), 1, 0);
        assert_eq!(join.close_all()[0].record.error_type.as_deref(), Some("T"));
    }

    #[test]
    fn an_init_failure_is_one_record_whoever_saw_it() {
        let mut join = Join::default();
        let body = r#"{"errorMessage":"Unable to import module 'app'","errorType":"Runtime.ImportModuleError","requestId":"","stackTrace":[]}"#;
        join.see(post("init/error", body), 1, 0);
        let report = r#"{"type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"error","errorType":"Runtime.ImportModuleError","metrics":{"durationMs":1}}}"#;
        let closed = join.see(telemetry(&[report]), 2, 1);
        assert_eq!(closed.len(), 1, "body and platform have spoken");
        assert_eq!(closed[0].record.phase, Some(Phase::Init));
        assert_eq!(join.settled(), Some(2));
        // Without the proxy, the platform is the only witness.
        let mut alone = Join::default();
        alone.see(telemetry(&[report]), 1, 0);
        assert_eq!(alone.close_all()[0].record.error_type.as_deref(), Some("Runtime.ImportModuleError"));
    }

    #[test]
    fn a_failed_restore_is_no_invocations() {
        let mut join = join();
        join.see(post("restore/error", BODY), 1, 0);
        let record = join.close_all().remove(0).record;
        assert_eq!((record.phase, record.request_id), (Some(Phase::Restore), None));
    }

    #[test]
    fn what_is_open_is_bounded() {
        let mut join = join();
        let closed = (1..=100).map(|number| {
            let body = BODY.replace("I failed!", &number.to_string());
            join.see(post("invocation/r1/error", &body), number, 0).len()
        });
        assert_eq!(closed.sum::<usize>(), 100 - OPEN_MAX);
        assert_eq!(join.settled(), Some(100 - OPEN_MAX as u64));
    }
}
