//! Telemetry as it should not be, and what becomes of it.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::lambda::{Setup, Stage, Subscribe, done, ended, line, platform, report, start, traceback};
use super::{BANG, BOOM, Row, around, delivered, fails, failure, fourth};
use crate::harness::{Outcome, equal, holds};

pub(super) const ROWS: &[Row] = &[
    ("normal", || fourth(Setup::default(), |stage| stage.good(), &[])),
    ("json-logs", json_logs),
    ("unknown-event", || odd(|id| platform("somethingNew", json!({"requestId": id, "x": 1})))),
    ("restore", restore),
    ("fault", fault),
    ("no-metrics", || odd(|id| platform("runtimeDone", json!({"requestId": id, "status": "success"})))),
    ("no-runtimedone", no_runtimedone),
    ("late-telemetry", late_telemetry),
    ("telemetry in the next invocation", telemetry_in_the_next_invocation),
    ("connect-late", connect_late),
    ("report-first", report_first),
    ("logs-dropped", logs_dropped),
    ("a batch of 1,000 lines", big_batch),
    ("a record split over two POSTs", split),
    ("a batch that comes again", redelivered),
    ("subscribe answers 500", || without_telemetry(Subscribe::Fails)),
    ("subscribe is dropped", || without_telemetry(Subscribe::Drops)),
    ("spindown with a late tail", spindown_tail),
    ("Managed Instances", managed),
];

/// An event that is none of ours, among those of a good invocation.
fn odd(event: fn(&str) -> Value) -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        stage.post(&[event(&id), start(&id), line("all is well\n"), done(&id)])?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[])
}

fn json_logs() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let object = json!({"timestamp": "2026-11-23T07:27:52Z", "level": "ERROR", "requestId": id, "errorType": "ValueError", "errorMessage": "boom", "stackTrace": ["  File \"/var/task/app.py\", line 3, in handler\n    raise ValueError('boom')\n"]});
        // As an object, and as a string where the runtime wrote it itself.
        let other = object.to_string().replace("boom", "bang");
        stage.post(&[start(&id), line(object), line(other), ended("runtimeDone", &id, "error", None)])?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM, BANG])
}

fn restore() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        stage.post(&[
            platform(
                "restoreStart",
                json!({"functionName": "checkout", "functionVersion": "1", "instanceId": "i"}),
            ),
            platform("restoreRuntimeDone", json!({"status": "success"})),
            platform("restoreReport", json!({"status": "success", "metrics": {"durationMs": 70.8}})),
            start(&id),
            traceback("boom"),
            ended("runtimeDone", &id, "error", None),
        ])?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn fault() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let text =
            format!("RequestId: {id} Error: Runtime exited with error: signal: killed\nRuntime.ExitError");
        stage.post(&[
            start(&id),
            platform("fault", json!(text)),
            ended("runtimeDone", &id, "error", Some("Runtime.ExitError")),
        ])?;
        stage.wait_asked().map(|_| ())
    };
    fourth(
        Setup::default(),
        bad,
        &[("Runtime.ExitError", "oom", "Runtime exited with error: signal: killed")],
    )
}

fn no_runtimedone() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        stage.post(&[start(&id), traceback("boom")])?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn late_telemetry() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        stage.wait_asked()?;
        thread::sleep(Duration::from_millis(200));
        stage.post(&failure(&id, "boom"))
    };
    fourth(Setup::default(), bad, &[BOOM])
}

/// The usual way without the proxy: Lambda freezes the sandbox before the platform tells.
fn telemetry_in_the_next_invocation() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    let failed = stage.invoke();
    stage.wait_asked()?;
    let good = stage.invoke();
    stage.wait_asked()?;
    stage.post(&failure(&failed, "boom"))?;
    stage.post(&[start(&good), done(&good), report(&good)])?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM])?;
    let record = stage.records()?.remove(0);
    equal((&record["requestId"], &record["coldStart"]), (&json!(failed), &json!(true)), "whose it is")?;
    holds(record["traceId"].is_string(), &record)
}

fn connect_late() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    thread::sleep(Duration::from_millis(500));
    around(&mut stage, fails)?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM])
}

fn report_first() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let mut events = failure(&id, "boom");
        events.reverse();
        stage.post(&events)?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn logs_dropped() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        let id = stage.invoke();
        let dropped = json!({"droppedBytes": 12345, "droppedRecords": 123, "reason": "the consumer is slow"});
        stage.post(&[platform("logsDropped", dropped), start(&id), done(&id), report(&id)])?;
        stage.wait_asked().map(|_| ())
    })?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[])?;
    let lines = stage.sink.stored();
    equal(lines.len(), 1, &format!("{lines:?}"))?;
    let warning: Value = serde_json::from_str(&lines[0])?;
    equal(&warning["LogsDropped"], &json!(123), "the metric")?;
    equal(&warning["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], &json!("LogsDropped"), "its name")
}

fn big_batch() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let mut events: Vec<Value> =
            (0..1_000).map(|number| line(format!("{} {number}\n", "x".repeat(240)))).collect();
        events.splice(500..500, [traceback("boom")]);
        events.extend([ended("runtimeDone", &id, "error", None)]);
        stage.post(&events)?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn split() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let events = json!([
            start(&id),
            line(json!({"level": "ERROR", "errorType": "ValueError", "errorMessage": "boom", "extra": "x".repeat(300_000)}).to_string()),
            ended("runtimeDone", &id, "error", None),
        ]);
        let events = events.to_string();
        let (first, second) = events.split_at(262_144);
        stage.post_raw(first.as_bytes())?;
        stage.post_raw(second.as_bytes())?;
        stage.wait_asked().map(|_| ())
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn redelivered() -> Outcome {
    let bad = |stage: &mut Stage| {
        let id = stage.invoke();
        let batch = failure(&id, "boom");
        stage.post(&batch)?;
        stage.wait_asked()?;
        stage.post(&batch)
    };
    fourth(Setup::default(), bad, &[BOOM])
}

fn without_telemetry(subscribe: Subscribe) -> Outcome {
    let mut stage = Stage::start(&Setup { subscribe, ..Setup::default() })?;
    around(&mut stage, Stage::good)?;
    stage.shut_down("spindown")?;
    equal(stage.log().matches("no telemetry").count(), 1, &stage.log())
}

fn spindown_tail() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    for _ in 0..8 {
        stage.good()?;
    }
    let id = stage.invoke();
    stage.wait_asked()?;
    stage.begin_shutdown("spindown");
    // The sandbox was frozen since the invocation ended; what the platform has to say of it comes when it can.
    thread::sleep(Duration::from_millis(300));
    stage.post(&failure(&id, "boom"))?;
    stage.wait_ended()?;
    delivered(&stage, &[BOOM])
}

fn managed() -> Outcome {
    let variables = vec![("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances".to_owned())];
    let mut stage = Stage::start(&Setup { variables, ..Setup::default() })?;
    let (registered, schema) = stage.registered();
    equal(
        (&*registered, schema.as_deref()),
        (r#"{"events":["SHUTDOWN"]}"#, Some("2025-01-29")),
        "registration",
    )?;
    for number in 0..8 {
        let id = format!("00000000-0000-0000-0000-{number:012}");
        let status = if number == 3 { "error" } else { "success" };
        // No runtimeDone, and a report that has a duration and nothing else.
        let report =
            platform("report", json!({"requestId": id, "status": status, "metrics": {"durationMs": 5.0}}));
        let failed = json!({"level": "ERROR", "requestId": id, "errorType": "ValueError", "errorMessage": "boom", "stackTrace": []});
        let logged =
            if number == 3 { line(failed) } else { line(json!({"level": "INFO", "message": "well"})) };
        stage.post(&[start(&id), logged, report])?;
    }
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM])?;
    equal(&stage.records()?[0]["requestId"], &json!("00000000-0000-0000-0000-000000000003"), "requestId")
}
