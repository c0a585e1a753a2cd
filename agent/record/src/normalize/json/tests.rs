//! Bodies and log lines as clients and loggers write them. Stacks are Python's or of Go's shape, since what the strings of other
//! languages mean is tested with their readers.

use std::fmt::Write as _;

use serde_json::json;

use super::*;
use crate::failure::{Cause, Kind, Phase, Relation};
use crate::normalize::lines::{Detector, Extent};
use crate::normalize::{CAUSES_DEPTH_MAX, CAUSES_MAX, FRAMES_MAX};

/// What CPython 3.11.7 prints of `raise OrderError("cannot place\norder 7") from e`, without its marker lines.
const CHAIN: &str = "Traceback (most recent call last):\n  File \"/var/task/app.py\", line 6, in fail\n    low()\n  File \"/var/task/app.py\", line 4, in low\n    return {}[\"missing\"]\nKeyError: 'missing'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"/var/task/app.py\", line 9, in go\n    fail()\n  File \"/var/task/app.py\", line 7, in fail\n    raise OrderError(\"cannot place\\norder 7\") from e\nOrderError: cannot place\norder 7";

fn log_line(value: &serde_json::Value) -> Option<Record> {
    read(value.to_string().as_bytes())
}

fn functions(record: &Record) -> Vec<&str> {
    record.stack_trace.iter().map(|entry| entry.function.as_deref().unwrap_or("?")).collect()
}

/// The chain of [`CHAIN`], in whatever form it was logged.
#[track_caller]
fn assert_chain(record: &Record) {
    assert_eq!(record.error_type.as_deref(), Some("OrderError"));
    assert_eq!(record.error_message, "cannot place\norder 7");
    assert_eq!(functions(record), ["go", "fail"]);
    assert_eq!(record.causes.len(), 1);
    assert_eq!(record.causes[0].error_type.as_deref(), Some("KeyError"));
    assert_eq!(record.causes[0].relation, Some(Relation::Cause));
    assert_eq!(record.causes[0].stack_trace.len(), 2);
}

#[test]
fn the_body_of_awslambdaric_is_read() {
    // Recorded: awslambdaric 4.2.2 on CPython 3.11.7.
    let record = read(br#"{"errorMessage": "I failed!", "errorType": "Exception", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fc1", "stackTrace": ["  File \"/var/task/app.py\", line 1, in always_failed_handler\n    def always_failed_handler(event, context): raise Exception('I failed!')\n"]}"#).unwrap();
    assert_eq!(record.runtime.as_deref(), Some("python"));
    assert_eq!(record.request_id.as_deref(), Some("8476a536-e9f4-11e8-9739-2dfe598c3fc1"));
    assert_eq!(record.stack_trace[0].function.as_deref(), Some("always_failed_handler"));
    assert_eq!(
        record.stack_trace[0].source.as_deref(),
        Some("def always_failed_handler(event, context): raise Exception('I failed!')")
    );
}

#[test]
fn the_arrays_of_the_classic_body_are_read() {
    // Recorded: CPython 2.7.18 with a stand-in for Lambda's bootstrap of 2018.
    let record = read(br#"{"stackTrace": [["/var/task/lambda_function.py", 6, "my_always_fails_handler", "raise Exception('I failed!')"]], "errorType": "Exception", "errorMessage": "I failed!"}"#).unwrap();
    assert_eq!(record.runtime.as_deref(), Some("python"));
    assert_eq!(record.stack_trace[0].line, Some(6));
    assert_eq!(record.stack_trace[0].source.as_deref(), Some("raise Exception('I failed!')"));
}

#[test]
fn the_objects_of_go_are_turned_around() {
    // Recorded: aws-lambda-go 1.50.0, a panic, shortened.
    let record = read(br#"{"errorMessage":"42","errorType":"int","stackTrace":[{"path":"github.com/aws/aws-lambda-go@v1.50.0/lambda/errors.go","line":39,"label":"lambdaPanicResponse"},{"path":"runtime/panic.go","line":792,"label":"gopanic"},{"path":"task/main.go","line":181,"label":"handler"}]}"#).unwrap();
    assert_eq!(functions(&record), ["handler", "gopanic", "lambdaPanicResponse"]);
    assert_eq!((record.runtime.as_deref(), &record.kind), (Some("go"), &Some(Kind::Panic)));
    assert_eq!(record.error_type.as_deref(), Some("int"));
    let custom =
        read(br#"{"errorMessage":"m","errorType":"E","stackTrace":[{"path":"a.go","line":1,"label":"f"}]}"#)
            .unwrap();
    assert_eq!(custom.kind, None);
}

#[test]
fn the_wrapper_of_rubys_types_is_a_phase() {
    // Recorded: the Ruby client at 70a2045.
    let record = read(br#"{"errorMessage":"no","errorType":"Init<LoadError>","stackTrace":[]}"#).unwrap();
    assert_eq!(record.error_type.as_deref(), Some("LoadError"));
    assert_eq!(record.raw_error_type.as_deref(), Some("Init<LoadError>"));
    assert_eq!((record.phase, record.runtime.as_deref()), (Some(Phase::Init), Some("ruby")));
    let record =
        read(br#"{"errorMessage":"","errorType":"Function<RuntimeError>","stackTrace":[]}"#).unwrap();
    assert_eq!((record.error_type.as_deref(), record.phase), (Some("RuntimeError"), Some(Phase::Invoke)));
    let odd = read(br#"{"errorMessage":"","errorType":"Function<","stackTrace":[]}"#).unwrap();
    assert_eq!((odd.error_type.as_deref(), odd.raw_error_type), (Some("Function<"), None));
}

#[test]
fn rusts_types_stay_as_they_are_posted() {
    // Recorded: lambda_runtime 1.0.1 on rustc 1.95.0.
    let panicked = read(br#"{"errorType":"&alloc::boxed::Box<dyn core::any::Any + core::marker::Send>","errorMessage":"Lambda panicked: order 7 failed"}"#).unwrap();
    assert_eq!((panicked.kind, panicked.runtime.as_deref()), (Some(Kind::Panic), Some("rust")));
    let returned = read(br#"{"errorType":"&anyhow::Error","errorMessage":"loading handler"}"#).unwrap();
    assert_eq!((returned.kind, returned.error_type.as_deref()), (None, Some("&anyhow::Error")));
}

#[test]
fn a_module_that_cannot_be_loaded_fails_in_the_initialization() {
    let record = read(br#"{"errorMessage": "m", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}"#).unwrap();
    assert_eq!((record.phase, record.request_id), (Some(Phase::Init), None));
}

#[test]
fn a_body_may_say_less_than_a_log_line_must() {
    // Recorded: Java's client 2.10.1; .NET's writer, of an error above 256 KiB.
    let java = br#"{"errorMessage":"Invalid handler: `nope`"}"#;
    let dotnet = b"{\r\n  \"errorMessage\": \"Exception exceeded maximum payload size of 256KB.\"\r\n}";
    assert_eq!(read_whole(java).unwrap().error_message, "Invalid handler: `nope`");
    assert!(read_whole(dotnet).unwrap().error_message.starts_with("Exception exceeded"));
    assert_eq!((read(java), read(dotnet)), (None, None));
    assert_eq!(read_posted(java).unwrap().raw, None);
    assert_eq!(read_whole(br#"{"errorMessage":"only words","level":"ERROR"}"#), None);
    assert_eq!(read_whole(b"{\"errorMessage\":\"one\"}\n{\"errorMessage\":\"two\"}"), None);
}

#[test]
fn dotnets_first_member_is_not_repeated() {
    // The shape of .NET's writer; aggregates have both `cause` and `causes`.
    let cause = |name: &str| json!({"errorType": name, "errorMessage": name, "stackTrace": [["a.py", 1, name, null]]});
    let body = json!({"errorType": "AggregateException", "errorMessage": "several", "stackTrace": [],
        "cause": cause("A"), "causes": [cause("A"), cause("B")]});
    let record = log_line(&body).unwrap();
    let types: Vec<_> = record.causes.iter().map(|cause| cause.error_type.as_deref().unwrap()).collect();
    assert_eq!(types, ["A", "B"]);
    assert!(record.causes.iter().all(|cause| cause.relation == Some(Relation::Member)));
    let body = json!({"errorType": "E", "errorMessage": "", "cause": {"errorType": "F", "errorMessage": "", "cause": cause("G")}});
    let record = log_line(&body).unwrap();
    assert_eq!(record.causes[0].relation, Some(Relation::Cause));
    assert_eq!(record.causes[0].causes[0].stack_trace[0].function.as_deref(), Some("G"));
}

#[test]
fn phps_flat_list_is_a_chain() {
    // The shape of bref's log at 147f3755.
    let previous = |name: &str| json!({"errorType": name, "errorMessage": name, "stack": []});
    let record = log_line(
        &json!({"errorType": "A", "errorMessage": "a", "stack": [], "previous": [previous("B"), previous("C")]}),
    );
    let record = record.unwrap();
    assert_eq!(record.causes[0].error_type.as_deref(), Some("B"));
    assert_eq!(record.causes[0].causes[0].error_type.as_deref(), Some("C"));
    assert_eq!(record.causes[0].causes[0].causes, []);
}

#[test]
fn the_reason_of_a_rejection_is_its_cause() {
    // Recorded: Node's client 3.3.0 on Node 20, shortened.
    let record = log_line(
        &json!({"level": "ERROR", "message": {"errorType": "UnhandledPromiseRejection", "errorMessage": "RangeError: no",
        "stackTrace": [], "reason": {"errorType": "RangeError", "errorMessage": "no", "stackTrace": []}, "promise": {}}}),
    );
    let record = record.unwrap();
    assert_eq!(record.causes.len(), 1);
    assert_eq!(record.causes[0].error_type.as_deref(), Some("RangeError"));
    let text =
        log_line(&json!({"errorType": "E", "errorMessage": "", "stack": [], "cause": "just words"})).unwrap();
    assert_eq!(text.causes[0].error_message, "just words");
    assert_eq!(text.causes[0].error_type, None);
    let nothing =
        log_line(&json!({"errorType": "E", "errorMessage": "", "stack": [], "cause": {}, "reason": 7}))
            .unwrap();
    assert_eq!(nothing.causes, []);
}

#[test]
fn depth_and_number_of_causes_are_bounded() {
    let mut deep = String::new();
    for _ in 0..100_000 {
        deep.push_str(r#"{"errorType":"E","errorMessage":"","cause":"#);
    }
    let record = read(deep.as_bytes()).unwrap();
    let mut depth = 0;
    let mut causes: &[Cause] = &record.causes;
    while let [cause] = causes {
        depth += 1;
        causes = &cause.causes;
    }
    assert_eq!(depth, CAUSES_DEPTH_MAX);
    assert!(record.truncated["causes"] >= 1);
    let many =
        json!({"errorType": "E", "errorMessage": "", "causes": vec![json!({"errorType": "F"}); 1_000]});
    let record = log_line(&many).unwrap();
    assert_eq!((record.causes.len(), record.truncated["causes"]), (CAUSES_MAX, 1_000 - CAUSES_MAX as u64));
    let chain =
        json!({"errorType": "E", "errorMessage": "", "previous": vec![json!({"errorType": "F"}); 1_000]});
    assert_eq!(log_line(&chain).unwrap().truncated["causes"], 1_000 - CAUSES_DEPTH_MAX as u64);
}

#[test]
fn the_number_of_frames_is_bounded() {
    let body = json!({"errorType": "E", "errorMessage": "", "stackTrace": vec![json!(["a.py", 1, "f", "g()"]); 5_000]});
    let record = log_line(&body).unwrap();
    assert_eq!(record.stack_trace.len(), FRAMES_MAX);
    assert_eq!(record.truncated["stackTrace"], 5_000 - FRAMES_MAX as u64);
}

#[test]
fn a_record_of_ours_is_itself() {
    let ours = br#"{"errorMessage":"m","stackTrace":[["a.py",1,"f",null]],"errorType":"E","causes":[{"errorMessage":"c","stackTrace":[],"errorType":"F","relation":"context"}],"culprit":{"index":0},"schema":1,"weather":"fine"}"#;
    let record = read(ours).unwrap();
    assert_eq!(record.schema, Some(1));
    assert_eq!(record.causes[0].relation, Some(Relation::Context));
    assert_eq!(record.metrics["weather"], "fine");
}

#[test]
fn odd_shapes_give_a_smaller_record() {
    for odd in [
        r#"{"errorType":7,"errorMessage":[],"stackTrace":"none"}"#,
        r#"{"errorType":null,"errorMessage":null,"stackTrace":{}}"#,
        r#"{"errorType":"E","errorMessage":"m","stackTrace":[null,1,true,[],{},["f",-1,2,3]]}"#,
        r#"{"errorType":"E","errorMessage":"m","cause":[],"causes":{},"previous":7,"errors":[null,[],""]}"#,
        r#"{"errorType":"E","errorMessage":"m","stackTrace":[["f",1e300,"g"]]}"#,
        "\u{feff}{\"errorType\":\"E\"}",
        "{\"errorType\":\"E\",\"errorMessage\":\"\"} trailing",
        r#"{"errorType":"E","errorMessage":"half \ud800","stackTrace":NaN}"#,
        r"{}",
        r#"{"schema":1,"errorMessage":7}"#,
    ] {
        assert!(read_posted(odd.as_bytes()).is_some(), "{odd}");
    }
    for not_json in ["", "[]", "null", "words"] {
        assert_eq!(read_posted(not_json.as_bytes()), None, "{not_json}");
    }
    assert_eq!(read_posted(br#"{"errorMessage":42,"errorType":"E"}"#).unwrap().error_message, "42");
    assert_eq!(
        read_posted(br#"{"errorType":"E","errorMessage":"x\udc80"}"#).unwrap().error_message,
        "x\u{fffd}"
    );
}

#[test]
fn a_printed_failure_that_was_posted_is_read() {
    assert_chain(&read_posted(CHAIN.as_bytes()).unwrap());
    let record = read_posted(br#"{"message":"what a custom runtime posts"}"#).unwrap();
    assert_eq!(record.error_message, "what a custom runtime posts");
    assert!(record.raw.is_some());
}

#[test]
fn a_stack_that_no_reader_takes_is_kept_as_it_came() {
    let record = read(
        br#"{"errorType":"E","errorMessage":"m","stackTrace":["first of a language to come","second"]}"#,
    )
    .unwrap();
    assert_eq!(record.stack_trace, []);
    assert_eq!(record.raw.as_deref(), Some("first of a language to come\nsecond"));
}

#[test]
fn a_json_log_line_is_read_with_its_context() {
    let record = read(br#"{"timestamp":"2026-11-23T07:16:39Z","level":"ERROR","requestId":"8476a536","message":{"errorType":"Error","errorMessage":"I failed!","stackTrace":["Error: I failed!"]}}"#).unwrap();
    assert_eq!(record.error_message, "I failed!");
    assert_eq!(record.request_id.as_deref(), Some("8476a536"));
    assert_eq!(record.timestamp.as_deref(), Some("2026-11-23T07:16:39Z"));
    assert_eq!(record.handled, None);
}

#[test]
fn a_logger_that_names_itself_proves_that_the_program_went_on() {
    // Recorded: awslambdaric 4.2.2 on CPython 3.12.1, `logging.exception`.
    let record = read(br#"{"timestamp": "2026-11-23T07:32:54Z", "level": "ERROR", "message": "step failed for order-17", "logger": "root", "stackTrace": ["  File \"/var/task/lambda_function.py\", line 10, in lambda_handler\n    step()\n"], "errorType": "KeyError", "errorMessage": "'missing'", "requestId": "8f507cfc", "location": "/var/task/lambda_function.py:lambda_handler:12"}"#).unwrap();
    assert_eq!((record.handled, record.error_message.as_str()), (Some(true), "'missing'"));
}

#[test]
fn a_loggers_message_stands_in_for_a_missing_one() {
    let read = |json: &str| read(json.as_bytes()).unwrap().error_message;
    assert_eq!(
        read(r#"{"level":"ERROR","message":"cannot pay","errorType":"E","stackTrace":[]}"#),
        "cannot pay"
    );
    assert_eq!(read(r#"{"message":"cannot pay","errorType":"E","errorMessage":""}"#), "");
}

#[test]
fn the_loggers_of_python_are_read() {
    // Shapes recorded on CPython 3.11.7: Powertools 3.37.0, structlog 26.1.0, python-json-logger 4.2.0, ecs-logging 2.3.0.
    let powertools = json!({"level": "ERROR", "location": "handler:12", "message": "order failed", "timestamp": "2026-11-26 10:11:46,195+0000",
        "service": "shop", "exception": CHAIN, "exception_name": "OrderError", "function_request_id": "8f507cfc", "cold_start": true,
        "stack_trace": {"type": "OrderError", "value": "cannot place\norder 7", "module": "app", "frames": [
            {"file": "/var/task/app.py", "line": 9, "function": "go", "statement": "fail()"}]}});
    let record = log_line(&powertools).unwrap();
    assert_chain(&record);
    assert_eq!((record.request_id.as_deref(), record.cold_start), (Some("8f507cfc"), Some(true)));
    let frames = json!({"level": "ERROR", "message": "m", "stack_trace": powertools["stack_trace"]});
    let record = log_line(&frames).unwrap();
    assert_eq!(
        (record.error_type.as_deref(), record.error_message.as_str()),
        (Some("OrderError"), "cannot place\norder 7")
    );
    assert_eq!(record.stack_trace[0].source.as_deref(), Some("fail()"));

    assert_chain(&log_line(&json!({"event": "order failed", "level": "error", "exception": CHAIN})).unwrap());
    assert_chain(
        &log_line(
            &json!({"levelname": "ERROR", "name": "shop", "message": "order failed", "exc_info": CHAIN}),
        )
        .unwrap(),
    );
    let frame = |line: u32, name: &str| json!({"filename": "/var/task/app.py", "lineno": line, "name": name, "locals": {}});
    let structlog = json!({"event": "order failed", "level": "error", "exception": [
        {"exc_type": "OrderError", "exc_value": "cannot place\norder 7", "is_cause": false, "frames": [frame(9, "go"), frame(7, "fail")]},
        {"exc_type": "KeyError", "exc_value": "'missing'", "is_cause": true, "frames": [frame(6, "fail"), frame(4, "low")]}]});
    assert_chain(&log_line(&structlog).unwrap());
    let stack = "  File \"/var/task/app.py\", line 9, in go\n    fail()\n  File \"/var/task/app.py\", line 7, in fail\n    raise\n";
    for ecs in [
        json!({"log.level": "error", "message": "m", "error": {"message": "no", "stack_trace": stack, "type": "OrderError"}}),
        json!({"log.level": "error", "message": "m", "error.message": "no", "error.stack_trace": stack, "error.type": "OrderError"}),
    ] {
        let record = log_line(&ecs).unwrap();
        assert_eq!((record.error_type.as_deref(), record.error_message.as_str()), (Some("OrderError"), "no"));
        assert_eq!(functions(&record), ["go", "fail"]);
    }
}

#[test]
fn the_members_of_a_group_are_read() {
    // Recorded: structlog 26.1.0 on CPython 3.11.7, shortened.
    let record = log_line(
        &json!({"level": "error", "exception": [{"exc_type": "ExceptionGroup", "exc_value": "several (2 sub-exceptions)",
        "exc_notes": ["note 1"], "is_cause": false, "frames": [{"filename": "g.py", "lineno": 8, "name": "<module>"}], "is_group": true,
        "exceptions": [[{"exc_type": "ValueError", "exc_value": "a", "is_cause": false, "frames": []},
            {"exc_type": "OSError", "exc_value": "c", "is_cause": false, "frames": []}], [{"exc_type": "KeyError", "exc_value": "'b'", "is_cause": false, "frames": []}]]}]}),
    );
    let record = record.unwrap();
    assert_eq!(record.error_message, "several (2 sub-exceptions)\nnote 1");
    let relations: Vec<_> =
        record.causes.iter().map(|cause| (cause.error_type.as_deref().unwrap(), cause.relation)).collect();
    assert_eq!(relations, [("ValueError", Some(Relation::Member)), ("KeyError", Some(Relation::Member))]);
    assert_eq!(record.causes[0].causes[0].relation, Some(Relation::Context));
}

#[test]
fn the_names_of_other_loggers_are_known() {
    let frames = json!([{"class": "shop.Orders", "method": "place", "file": "Orders.java", "line": 9}]);
    // log4j2's JsonLayout, logback's JsonEncoder, zerolog with pkgerrors, OpenTelemetry, Datadog.
    let log4j = json!({"level": "ERROR", "loggerName": "shop", "message": "m", "thrown": {"name": "E", "message": "no", "extendedStackTrace": frames}});
    let record = log_line(&log4j).unwrap();
    assert_eq!((record.error_type.as_deref(), record.runtime.as_deref()), (Some("E"), Some("java")));
    assert_eq!((functions(&record), record.handled), (vec!["shop.Orders.place"], Some(true)));
    let logback = json!({"level": "ERROR", "throwable": {"className": "E", "message": "no", "stepArray":
        [{"className": "A", "methodName": "b", "fileName": "A.java", "lineNumber": 1}, {"className": "A", "methodName": "a", "lineNumber": 2}]}});
    assert_eq!(functions(&log_line(&logback).unwrap()), ["A.a", "A.b"]);
    let zerolog = json!({"level": "error", "stack": [{"func": "inner", "line": "12", "source": "main.go"}, {"func": "main", "line": "20", "source": "main.go"}], "error": "no", "message": "m"});
    let record = log_line(&zerolog).unwrap();
    assert_eq!((functions(&record), record.stack_trace[1].line), (vec!["main", "inner"], Some(12)));
    assert_eq!(
        (record.error_message.as_str(), record.error_type, record.runtime.as_deref()),
        ("no", None, Some("go"))
    );
    let zap = json!({"level": "error", "ts": 1_795_418_872.48, "msg": "m", "error": "no", "stacktrace": "main.inner\n\t/src/main.go:12\nmain.main\n\t/src/main.go:20"});
    let record = log_line(&zap).unwrap();
    assert_eq!(
        (functions(&record), record.timestamp.as_deref()),
        (vec!["main.main", "main.inner"], Some("2026-11-23T07:27:52.480Z"))
    );
    let recovered = json!({"level": "ERROR", "msg": "recovered", "stack": "goroutine 1 [running]:\nmain.(*T).inner(0xc0, {0x1, 0x2})\n\t/src/main.go:12 +0x1b\nmain.main()\n\t/src/main.go:20 +0x5e\n"});
    assert_eq!(functions(&log_line(&recovered).unwrap()), ["main.main", "main.(*T).inner"]);
    let monolog = json!({"message": "m", "level": 400, "level_name": "ERROR", "context": {"exception": {"class": "TypeError", "message": "no",
        "code": 0, "file": "/var/task/a.php:3", "trace": ["/var/task/a.php:5", "/var/task/b.php:7"], "previous": {"class": "E", "message": "", "file": "/var/task/a.php:1"}}}});
    let record = log_line(&monolog).unwrap();
    assert_eq!(record.stack_trace.iter().map(|entry| entry.line).collect::<Vec<_>>(), [Some(7), Some(5)]);
    assert_eq!(
        (record.error_type.as_deref(), record.causes[0].error_type.as_deref()),
        (Some("TypeError"), Some("E"))
    );
    for telemetry in [
        json!({"severity_text": "ERROR", "attributes": {"exception.type": "OrderError", "exception.message": "no", "exception.stacktrace": CHAIN}}),
        json!({"severityText": "ERROR", "exception.type": "OrderError", "exception.stacktrace": CHAIN}),
        json!({"level": 50, "error": {"kind": "OrderError", "stack": CHAIN}}),
        json!({"severity": "ERROR", "message": CHAIN}),
    ] {
        assert_eq!(functions(&log_line(&telemetry).unwrap()), ["go", "fail"], "{telemetry}");
    }
    let google = json!({"severity": "ERROR", "message": "no", "context": {"reportLocation": {"filePath": "a.py", "lineNumber": 7, "functionName": "f"}}});
    let record = log_line(&google).unwrap();
    assert_eq!((record.error_message.as_str(), functions(&record)), ("no", vec!["f"]));
}

#[test]
fn json_in_a_message_is_read_again() {
    let inner =
        json!({"errorType": "E", "errorMessage": "m", "stackTrace": [["a.py", 1, "f", "g()"]]}).to_string();
    let record = log_line(&json!({"level": "ERROR", "message": inner, "requestId": "8f50"})).unwrap();
    assert_eq!((record.error_type.as_deref(), record.request_id.as_deref()), (Some("E"), Some("8f50")));
    let mut deep = inner;
    for _ in 0..12 {
        deep = json!({"level": "ERROR", "message": deep}).to_string();
    }
    assert_eq!(read(deep.as_bytes()), None);
}

#[test]
fn what_node_calls_a_thrown_nothing_is_a_type() {
    let record = read(br#"{"errorType":"undefined","errorMessage":"undefined","trace":[]}"#).unwrap();
    assert_eq!(
        (record.error_type.as_deref(), record.error_message.as_str()),
        (Some("undefined"), "undefined")
    );
}

#[test]
fn what_pino_appends_is_a_cause() {
    let stack = format!(
        "{CHAIN}\ncaused by: {}",
        "Traceback (most recent call last):\n  File \"b.py\", line 1, in g\nOSError: disk"
    );
    let record =
        log_line(&json!({"level": 50, "err": {"type": "OrderError", "message": "no: disk", "stack": stack}}))
            .unwrap();
    assert_eq!(record.error_message, "no");
    assert_eq!(record.causes.last().unwrap().error_message, "disk");
}

#[test]
fn an_ordinary_log_object_is_no_failure() {
    for ordinary in [
        json!({"level": "INFO", "message": "errorType is a word"}),
        json!({"errorMessage": "only words"}),
        json!({"level": "INFO", "errorType": "E", "errorMessage": "m", "stackTrace": []}),
        json!({"level": 30, "err": {"type": "E", "message": "m", "stack": CHAIN}}),
        json!({"level": "ERROR", "message": "cannot pay", "error": "declined"}),
        json!({"level": "ERROR", "message": "cannot pay", "error": {"code": 7}}),
        json!({"error": {"type": "invalid_request", "message": "the answer of some service"}}),
        json!({"level": "ERROR", "fields": {"message": "user handler panicked", "error": "Any { .. }"}, "span": {"requestId": "8f50"}}),
        json!({"stack": "production", "trace": "1-5bef4de7", "exception": "none", "level": "ERROR"}),
        json!({"level": "WARNING", "exception": CHAIN}),
        json!({"message": "first line\nsecond line", "level": "ERROR"}),
        json!({"level": 300, "level_name": "WARNING", "exception": CHAIN}),
        json!({"level": 300, "exception": CHAIN}),
        json!({"level": "ERROR", "errorMessage": "cannot pay", "trace": "1-5bef4de7"}),
        // log4j2's layout for Lambda writes all members always.
        json!({"level": "ERROR", "message": "m", "errorType": null, "errorMessage": null, "stackTrace": null}),
        json!({"level": "ERROR", "message": "{\"level\":\"ERROR\",\"message\":\"m\"}"}),
    ] {
        assert_eq!(log_line(&ordinary), None, "{ordinary}");
    }
}

fn blocks(log: &str) -> Vec<(String, Option<Record>)> {
    let mut detector = Detector::new(Extent::Stream);
    let mut blocks: Vec<_> = log.split_inclusive('\n').flat_map(|line| detector.line(line, ())).collect();
    blocks.extend(detector.finish());
    blocks.into_iter().map(|block| (block.text.clone(), block.read())).collect()
}

#[test]
fn an_object_over_several_lines_is_one_block() {
    let object = "{\n  \"errorMessage\": \"no {\",\n  \"errorType\": \"Function<E>\",\n  \"stackTrace\": [\n    \"x}\"\n  ]\n}\n";
    let found = blocks(&format!("START RequestId: 1\n{object}END RequestId: 1\n{object}"));
    assert_eq!(found.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), [object, object]);
    assert_eq!(found[0].1.as_ref().unwrap().error_type.as_deref(), Some("E"));
}

#[test]
fn what_stops_to_look_like_json_is_given_up() {
    let found = blocks("{\n  \"a\": 1,\n2026-11-23 07:30:12 INFO next\n");
    assert_eq!(found, [("{\n  \"a\": 1,\n".to_owned(), None)]);
    assert!(blocks("{ not json\n} else {\n{}\n{\"level\":\"INFO\"}\n").is_empty());
    let mut endless = String::from("{\n");
    for _ in 0..10_000 {
        let _ = writeln!(endless, "  \"key\": [");
    }
    assert_eq!(blocks(&endless).len(), 1);
}

#[test]
fn a_line_that_was_cut_is_read_as_far_as_it_goes() {
    let line = r#"{"errorType":"E","errorMessage":"m","stackTrace":[["a.py",1,"f","g()"]],"details":"and mo"#;
    let found = blocks(&format!("{line}\nnext line\n"));
    assert_eq!(found[0].1.as_ref().unwrap().stack_trace.len(), 1);
}

#[test]
fn a_label_before_the_object_is_left_out() {
    // Node's client 3.3.0, and bref at 147f3755.
    for label in [
        "2026-11-23T07:39:31.416Z\t8f507cfc\tERROR\tInvoke Error \t",
        "8f507cfc-0000-4697-b07a-ac58fc914c95\tInvoke Error\t",
    ] {
        let found = blocks(&format!("{label}{{\"errorType\":\"E\",\"errorMessage\":\"m\",\"stack\":[]}}\n"));
        let record = found[0].1.as_ref().unwrap();
        assert_eq!(record.error_type.as_deref(), Some("E"));
        assert!(record.request_id.as_deref().unwrap().starts_with("8f507cfc"));
    }
}
