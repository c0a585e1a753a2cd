use trace_record::failure::Kind;

use super::*;
use crate::http::RequestHead;
use crate::link::Posted;
use crate::turn::Ending;

const INVOKE: &str = r#"{"eventType":"INVOKE","deadlineMs":1795419012532,"requestId":"r1","invokedFunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:f","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-a;Sampled=1"}}"#;
const BODY: &str = r#"{"errorMessage": "I failed!", "errorType": "Exception", "requestId": "r1", "stackTrace": ["  File \"/var/task/app.py\", line 1, in handler\n    raise Exception('I failed!')\n"]}"#;
const LINE: &str = r#"{"time":"2026-11-23T07:27:52.488Z","type":"function","record":"[ERROR] Exception: I failed!\rTraceback (most recent call last):\r\u00a0\u00a0File \"/var/task/app.py\", line 1, in handler\r\u00a0\u00a0\u00a0\u00a0raise Exception('I failed!')\n"}"#;
const DONE: &str = r#"{"time":"2026-11-23T07:27:52.490Z","type":"platform.runtimeDone","record":{"requestId":"r1","status":"error","errorType":"Runtime.Unknown","metrics":{"durationMs":9.5}}}"#;
const SUCCESS: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"success","metrics":{"durationMs":9.5}}}"#;
const TIMEOUT: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"timeout","metrics":{"durationMs":3000.0}}}"#;
const EXIT: &str = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"error","errorType":"Runtime.ExitError"}}"#;
const REPORT: &str = r#"{"time":"2026-11-23T07:27:52.491Z","type":"platform.report","record":{"requestId":"r1","status":"error","metrics":{"durationMs":9.5}}}"#;

fn join() -> Join {
    let mut join = Join::new(TAIL_LINES_DEFAULT);
    let registered = br#"{"functionName":"f","functionVersion":"$LATEST","handler":"app.handler"}"#;
    join.see(Message::Registered(registered.to_vec()), 0, 0);
    join.see(invoke("r1"), 0, 0);
    join
}

fn invoke(request_id: &str) -> Message {
    Message::Invoke { is_first: false, raw: INVOKE.replace("r1", request_id).into_bytes() }
}

fn post(call: &str, body: &str) -> Message {
    let head =
        format!("POST /2018-06-01/runtime/{call} HTTP/1.1\r\nLambda-Runtime-Function-Error-Type: T\r\n\r\n");
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
    Message::Unfinished { ending: Ending::Unknown, raw }
}

/// Everything that comes of these messages, the open failures last.
fn all(mut join: Join, messages: impl IntoIterator<Item = (Message, i64)>) -> Vec<Closed> {
    let told = (1..).zip(messages);
    let mut closed: Vec<Closed> =
        told.flat_map(|(sequence, (message, now_ms))| join.see(message, sequence, now_ms)).collect();
    closed.extend(join.close_all());
    closed
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
    let log = all(join(), [(telemetry(&[LINE, DONE, REPORT]), 0)]);
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
    assert_eq!(handled(&all(join(), [(telemetry(&[LINE, SUCCESS]), 0)])), [("I failed!", Some(true))]);
}

#[test]
fn what_was_logged_before_the_failure_that_was_posted_is_handled() {
    let before = telemetry(&[&LINE.replace("I failed!", "at first")]);
    let closed = all(join(), [(before, 0), (posted(), 0), (telemetry(&[DONE]), 0)]);
    assert_eq!(handled(&closed), [("at first", Some(true)), ("I failed!", Some(false))]);
}

#[test]
fn the_platforms_word_of_a_failure_that_is_complete_is_no_other_failures() {
    let late = telemetry(&[&LINE.replace("I failed!", "at first"), DONE]);
    let closed = all(join(), [(posted(), 0), (Message::RuntimeNext, 1), (late, 2)]);
    assert_eq!(handled(&closed), [("I failed!", Some(false)), ("at first", Some(true))]);
    assert_eq!(closed[1].record.witnesses, [Witness::Log]);
}

#[test]
fn without_the_body_the_failure_that_was_logged_last_ended_the_request() {
    let batch = telemetry(&[&LINE.replace("I failed!", "at first"), LINE, DONE]);
    let closed = all(join(), [(batch, 0)]);
    assert_eq!(handled(&closed), [("at first", Some(true)), ("I failed!", Some(false))]);
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
    assert_eq!(handled(&join.see(telemetry(&[SUCCESS]), 9, 60_001)), [("no", Some(true))]);
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
    assert!(join().see(shutdown("SandboxTerminated"), 1, 1).is_empty(), "no reason that is known");
    let raw = br#"{"shutdownReason":"ReleaseFail"}"#.to_vec();
    let broken_off = Message::Unfinished { ending: Ending::BrokenOff, raw };
    assert_eq!(kinds(&join().see(broken_off, 1, 1)), [Some(Kind::Exit)], "the emulator's word for failure");
    let raw = br#"{"eventType":"SHUTDOWN","shutdownReason":"failure"}"#.to_vec();
    assert!(join().see(Message::Shutdown(raw), 1, 1).is_empty(), "the last invocation may be over, and well");
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
    let closed = all(join(), [(telemetry(&[LINE]), 0), (telemetry(&[TIMEOUT]), 100)]);
    assert_eq!(kinds(&closed), [None, Some(Kind::Timeout)]);
    assert_eq!((closed[0].record.handled, closed[1].record.handled), (Some(true), Some(false)));
}

#[test]
fn an_exit_belongs_to_what_was_logged_last_but_not_to_what_closed_long_ago() {
    let mut join = join();
    join.see(telemetry(&[LINE]), 1, 0);
    assert_eq!(kinds(&join.see(telemetry(&[EXIT]), 2, 100)), [Some(Kind::Exit)]);
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
    assert_eq!(join.see(telemetry(&[LINE, DONE]), 8, 120_000).len(), 1, "without the body too");
}

#[test]
fn a_failure_that_came_before_its_invoke_event_waits_for_it_and_is_still_known() {
    let mut join = join();
    join.see(post("invocation/r2/error", BODY), 1, 0);
    assert!(join.see(Message::RuntimeNext, 2, 1).is_empty());
    let closed = join.see(invoke("r2"), 3, 2);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].invocation.as_ref().unwrap().request_id, "r2");
    let log = [LINE, DONE].map(|event| event.replace("r1", "r2"));
    join.see(telemetry(&[&log[0], &log[1]]), 4, 3);
    assert!(join.close_all().is_empty());
}

#[test]
fn an_event_that_does_not_come_is_not_waited_for_long() {
    let mut join = join();
    join.see(post("invocation/r2/error", BODY), 1, 0);
    join.see(Message::RuntimeNext, 2, 1);
    assert_eq!(join.close_old(LINES_AFTER_MS).len(), 1);
}

#[test]
fn telemetry_of_the_invocation_before_belongs_to_it() {
    let mut join = join();
    join.see(invoke("r2"), 1, 10);
    let start = r#"{"type":"platform.start","record":{"requestId":"r2"}}"#;
    let second = LINE.replace("I failed!", "second");
    let mut closed = join.see(telemetry(&[LINE, DONE, REPORT, start, &second]), 2, 20);
    closed.extend(join.close_all());
    let ids: Vec<_> = closed.iter().map(|closed| closed.record.request_id.as_deref()).collect();
    assert_eq!(ids, [Some("r1"), Some("r2")]);
    assert_eq!(closed[0].invocation.as_ref().unwrap().request_id, "r1");
    assert_eq!(closed[0].record.handled, Some(false));
}

#[test]
fn lines_after_the_end_of_a_request_are_its_own_although_another_one_is_known_to_run() {
    let mut join = join();
    let mut closed = join.see(
        telemetry(
            &[REPORT, DONE, LINE].map(|event| event.replace("r1", "r2")).each_ref().map(|event| &**event),
        ),
        1,
        0,
    );
    closed.extend(join.see(invoke("r2"), 2, 1));
    closed.extend(join.close_all());
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].record.request_id.as_deref(), Some("r2"));
}

#[test]
fn without_invoke_events_lines_belong_to_the_request_that_was_started_last() {
    let start = r#"{"type":"platform.start","record":{"requestId":"r1"}}"#;
    let closed = all(Join::new(0), [(telemetry(&[start, DONE]), 0), (telemetry(&[LINE]), 25)]);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].record.request_id.as_deref(), Some("r1"));
    assert_eq!(closed[0].record.witnesses, [Witness::Log, Witness::Platform]);
}

#[test]
fn a_hook_a_line_and_the_platform_are_one_failure_in_any_order() {
    let hook = || {
        let record = r#"{"errorMessage":"no price","errorType":"panic","stackTrace":[]}"#;
        let mut record: Record = serde_json::from_str(record).unwrap();
        record.witnesses = vec![Witness::Capture];
        record
    };
    let line = r#"{"type":"function","record":"thread 'main' panicked at src/main.rs:3:5:\nno price\n"}"#;
    let start = r#"{"type":"platform.start","record":{"requestId":"r1"}}"#;
    for events in [[start, DONE, line], [start, line, DONE]] {
        let mut join = Join::new(0);
        join.add(hook(), 1, 0, None);
        let mut closed = join.see(telemetry(&events), 2, 25);
        closed.extend(join.close_all());
        assert_eq!(closed.len(), 1, "{events:?}");
        let record = &closed[0].record;
        assert_eq!(record.witnesses, [Witness::Log, Witness::Platform, Witness::Capture]);
        assert_eq!((record.request_id.as_deref(), record.handled), (Some("r1"), Some(false)));
    }
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
    let dropped =
        r#"{"type":"platform.logsDropped","record":{"reason":"slow","droppedRecords":123,"droppedBytes":9}}"#;
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
    let mut join = Join::new(TAIL_LINES_DEFAULT);
    let body = r#"{"errorMessage":"Unable to import module 'app'","errorType":"Runtime.ImportModuleError","requestId":"","stackTrace":[]}"#;
    join.see(post("init/error", body), 1, 0);
    let report = r#"{"type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"error","errorType":"Runtime.ImportModuleError","metrics":{"durationMs":1}}}"#;
    let closed = join.see(telemetry(&[report]), 2, 1);
    assert_eq!(closed.len(), 1, "body and platform have spoken");
    assert_eq!(closed[0].record.phase, Some(Phase::Init));
    assert_eq!(join.settled(), Some(2));
    // Without the proxy, the platform is the only witness.
    let mut alone = Join::new(TAIL_LINES_DEFAULT);
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
fn a_late_witness_amends_the_record_if_it_knows_more() {
    let exit = |used: u64| {
        REPORT
            .replace(r#""durationMs":9.5"#, &format!(r#""memorySizeMB":128,"maxMemoryUsedMB":{used}"#))
            .replace(r#""status":"error""#, r#""status":"error","errorType":"Runtime.ExitError""#)
    };
    let alone = |late: &str| {
        all(join(), [(telemetry(&[EXIT]), 0), (Message::RuntimeNext, 1), (telemetry(&[late]), 2)])
    };
    let closed = alone(LINE);
    assert_eq!((closed[0].amends, closed[1].amends), (None, Some(closed[0].number)));
    assert_eq!(closed[1].record.stack_trace.len(), 1);
    let closed = alone(&exit(128));
    assert_eq!(kinds(&closed), [Some(Kind::Exit), Some(Kind::Oom)]);
    assert_eq!(closed[1].amends, Some(closed[0].number));
    assert_eq!(alone(&exit(70)).len(), 1, "nothing new");
    let twice = [
        (telemetry(&[EXIT]), 0),
        (Message::RuntimeNext, 1),
        (telemetry(&[LINE]), 2),
        (telemetry(&[LINE, REPORT]), 3),
    ];
    assert_eq!(all(join(), twice).len(), 2, "and once");
}

#[test]
fn memory_that_ran_out_is_one_failure_whoever_says_it() {
    let told = EXIT.replace("Runtime.ExitError", "Runtime.OutOfMemory");
    let line = r#"{"type":"function","record":"RequestId: r1 Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n"}"#;
    let measured = REPORT
        .replace(r#""durationMs":9.5"#, r#""memorySizeMB":128,"maxMemoryUsedMB":128"#)
        .replace(r#""status":"error""#, r#""status":"error","errorType":"Runtime.ExitError""#);
    for (events, error_type) in [
        (vec![line, &*told], "Runtime.OutOfMemory"),
        (vec![line, EXIT], "Runtime.ExitError"),
        (vec![EXIT, &*measured], "Runtime.ExitError"),
        (vec![line, &*told, &*measured], "Runtime.OutOfMemory"),
    ] {
        let closed = all(join(), [(telemetry(&events), 0)]);
        assert_eq!(kinds(&closed), [Some(Kind::Oom)], "{events:?}");
        assert_eq!(closed[0].record.error_type.as_deref(), Some(error_type), "{events:?}");
    }
    let unknown = measured.replace("Runtime.ExitError", "Runtime.Unknown");
    let closed = all(join(), [(posted(), 0), (telemetry(&[&unknown]), 1)]);
    assert_eq!(kinds(&closed), [None], "an exception beside full memory");
}

#[test]
fn a_record_has_the_tail_of_its_log_and_what_the_platform_measured() {
    let line = |text: &str| format!(r#"{{"type":"function","record":"{text}\n"}}"#);
    let init = r#"{"type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":125.33}}}"#;
    let closed = all(
        join(),
        [(telemetry(&[init, &line("one"), &line("two")]), 0), (telemetry(&[LINE, DONE, &line("after")]), 1)],
    );
    assert_eq!(closed[0].record.log_tail, ["one", "two"]);
    let report = closed[0].record.report.as_ref().unwrap();
    assert_eq!(
        Value::from(report.clone()),
        serde_json::json!({"durationMs": 9.5, "initializationType": "on-demand"})
    );
    let timeout = all(join(), [(telemetry(&[&line("slow"), TIMEOUT]), 0)]);
    assert_eq!(timeout[0].record.log_tail, ["slow"]);
}

#[test]
fn another_extension_that_fails_is_a_failure_of_its_own_kind() {
    let crash = EXIT.replace("Runtime.ExitError", "Extension.Crash");
    assert_eq!(kinds(&all(join(), [(telemetry(&[&crash]), 0)])), [Some(Kind::Extension)]);
    let launch = r#"{"type":"platform.extension","record":{"name":"other","state":"LaunchError","events":[],"errorType":"PermissionDenied"}}"#;
    let closed = all(join(), [(telemetry(&[launch]), 0)]);
    assert_eq!(closed[0].record.error_message, "the extension other failed");
    let ready =
        r#"{"type":"platform.extension","record":{"name":"other","state":"Ready","events":["INVOKE"]}}"#;
    assert!(all(join(), [(telemetry(&[ready]), 0)]).is_empty());
}

#[test]
fn only_the_hook_told_and_the_body_takes_its_time() {
    let panic = Message::Capture { request_id: None, datagram: b"TCAP\xff\xff\xff\xff".to_vec() };
    let mut join = join();
    join.see(panic, 1, 0);
    assert!(join.close_old(2_900).is_empty());
    assert_eq!(join.see(posted(), 2, 2_900).len() + join.see(Message::RuntimeNext, 3, 2_901).len(), 1);
}

/// Pieces of good telemetry in any order, between everything else that may come.
#[test]
fn whatever_comes_in_whatever_order_is_settled_in_the_end() {
    let batch = format!("[{}]", [LINE, DONE, EXIT, REPORT, TIMEOUT, SUCCESS].join(","));
    let mut state = 0x9e37_79b9_u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for _ in 0..200 {
        let mut join = Join::new(TAIL_LINES_DEFAULT);
        let mut settled = None;
        for sequence in 1..60 {
            let (one, other) = (draw(batch.len()), draw(batch.len()));
            let message = match draw(9) {
                0..4 => Message::Telemetry(batch.as_bytes()[one.min(other)..one.max(other)].to_vec()),
                4 => telemetry(&[LINE, REPORT]),
                5 => invoke(["r1", "r2", "r3"][draw(3)]),
                6 => posted(),
                7 => Message::Event { request_id: "r1".to_owned(), head: batch.as_bytes()[one..].to_vec() },
                _ => [Message::RuntimeNext, Message::Flush, shutdown("timeout")]
                    .into_iter()
                    .nth(draw(3))
                    .unwrap(),
            };
            join.see(message, sequence, i64::try_from(sequence).unwrap() * 40);
            assert!(join.settled() >= settled, "it never goes back");
            settled = join.settled();
        }
        join.see(Message::Flush, 60, 60 * 40);
        assert_eq!(join.settled(), Some(60));
    }
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
