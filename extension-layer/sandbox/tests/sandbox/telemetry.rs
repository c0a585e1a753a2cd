//! What a subscriber of the Telemetry API gets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::function::{Function, invoke};

const ALL: &str = "platform,function,extension";

/// Type of each event, with the status where it has one.
fn summary(events: &[Value]) -> Vec<String> {
    let status = |event: &Value| event["record"]["status"].as_str().map(|status| format!(" {status}"));
    let types = events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned() + &status(event).unwrap_or_default());
    types.collect()
}

#[tokio::test]
async fn a_failed_invocation_is_told_from_its_initialization_to_its_report() {
    let function = Function::new().extension(&[("TELEMETRY", ALL)]);
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"error","body":"{}"}"#).await;
    sandbox.settled().await.unwrap();
    assert_eq!(function.heard_of("subscribed"), [json!([200, "\"OK\""])]);
    let events = function.heard_of("telemetry");
    assert_eq!(
        summary(&events),
        [
            "platform.initStart",
            "platform.telemetrySubscription",
            "platform.initRuntimeDone success",
            "platform.extension",
            "platform.initReport success",
            "platform.start",
            "platform.runtimeDone error",
            "platform.report error",
        ]
    );
    assert_eq!(
        events[3]["record"],
        json!({"name": "extension.py", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]})
    );
    assert_eq!(events[5]["record"], json!({"requestId": "R", "version": "$LATEST"}));
    let (done, report) = (&events[6]["record"], &events[7]["record"]);
    assert_eq!((&done["requestId"], &done["errorType"]), (&"R".into(), &"Runtime.Unknown".into()));
    assert_eq!(done["metrics"]["producedBytes"], 2);
    assert_eq!(report["errorType"], "Runtime.Unknown");
    for metric in ["durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"] {
        assert!(report["metrics"][metric].as_f64().unwrap() > 0.0, "{metric}: {report}");
    }
}

#[tokio::test]
async fn a_dying_invocation_is_told_before_the_shutdown() {
    let function = Function::new().extension(&[("TELEMETRY", ALL)]);
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"exit","status":7}"#).await;
    sandbox.settled().await.unwrap();
    let [line, done, report] = last_words(&function);
    assert_eq!(line["record"], "last words without an end");
    assert_eq!(
        (&done["record"]["status"], &done["record"]["errorType"]),
        (&"error".into(), &"Runtime.ExitError".into())
    );
    assert_eq!(report["record"]["status"], "error");
    invoke(&sandbox, "{}").await;
    sandbox.shutdown().await;
    let initialized: Vec<Value> = function.heard_of("telemetry");
    let phases = initialized.iter().filter(|event| event["type"] == "platform.initStart");
    let phases: Vec<&Value> = phases.map(|event| &event["record"]["phase"]).collect();
    assert_eq!(phases, ["init", "invoke"]);

    let function = Function::new().extension(&[("TELEMETRY", ALL)]).timeout(Duration::from_secs(2));
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"sleep"}"#).await;
    sandbox.settled().await.unwrap();
    let [line, done, report] = last_words(&function);
    assert_eq!((&line["record"], &done["record"]["status"]), (&"sleeping".into(), &"timeout".into()));
    assert_eq!(report["record"]["errorType"], "Sandbox.Timedout");
}

/// The last three events before the first SHUTDOWN: a line, `runtimeDone` and `report`.
fn last_words(function: &Function) -> [Value; 3] {
    let heard = function.heard();
    let before = heard.iter().take_while(|heard| heard["event"]["eventType"] != "SHUTDOWN");
    let events: Vec<&Value> = before.filter_map(|heard| heard.get("telemetry")).collect();
    let [.., start, line, done, report] = events[..] else { panic!("too few events: {events:?}") };
    let types = [start, line, done, report].map(|event| event["type"].as_str().unwrap());
    assert_eq!(types, ["platform.start", "function", "platform.runtimeDone", "platform.report"]);
    [line.clone(), done.clone(), report.clone()]
}

#[tokio::test]
async fn only_what_was_subscribed_comes_and_lines_are_one_event_each() {
    let function = Function::new().extension(&[("TELEMETRY", "function")]);
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"print","text":"{\"level\": \"ERROR\"}\n\na\rb\n"}"#).await;
    sandbox.settled().await.unwrap();
    let records: Vec<Value> =
        function.heard_of("telemetry").iter().map(|event| event["record"].clone()).collect();
    assert_eq!(records, [json!("{\"level\": \"ERROR\"}"), json!(""), json!("a\rb")]);

    let mut function = Function::new().extension(&[("TELEMETRY", "function")]);
    function.config.log_format = trace_sandbox::LogFormat::Json;
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"print","text":"{\"level\": \"ERROR\"}\nplain\n"}"#).await;
    sandbox.settled().await.unwrap();
    let records: Vec<Value> =
        function.heard_of("telemetry").iter().map(|event| event["record"].clone()).collect();
    assert_eq!(records, [json!({"level": "ERROR"}), json!("plain")]);
}

#[tokio::test]
async fn a_refused_batch_is_tried_again_and_a_lost_one_is_counted() {
    let function = Function::new().extension(&[("TELEMETRY", ALL), ("TELEMETRY_FAILURES", "1")]);
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    sandbox.settled().await.unwrap();
    assert_eq!(function.heard_of("refused").len(), 1);
    let events = function.heard_of("telemetry");
    assert_eq!(summary(&events).last().unwrap(), "platform.report success");
    assert!(!summary(&events).contains(&"platform.logsDropped".to_owned()));

    let function = Function::new().extension(&[("TELEMETRY", ALL), ("TELEMETRY_FAILURES", "3")]);
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    sandbox.settled().await.unwrap();
    invoke(&sandbox, "{}").await;
    sandbox.settled().await.unwrap();
    let refused: u64 = function.heard_of("refused")[0].as_u64().unwrap();
    let events = function.heard_of("telemetry");
    let dropped = events.iter().find(|event| event["type"] == "platform.logsDropped").unwrap();
    assert_eq!(dropped["record"]["droppedRecords"], refused);
}
