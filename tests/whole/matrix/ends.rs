//! The ways in which an invocation or an initialization comes to a bad end.

use serde_json::{Value, json};

use super::lambda::{Setup, Stage, ended, line, platform, start};
use super::{BOOM, Row, Told, around, delivered, fails};
use crate::harness::{Outcome, Stop, equal};

pub(super) const ROWS: &[Row] = &[
    ("timeout", timeout),
    ("oom", oom),
    ("handler-error", handler_error),
    ("exit", || crash("exit status 7", "exit", json!({"code": 7}))),
    ("segfault", || crash("signal: segmentation fault", "signal", json!({"signal": "SIGSEGV"}))),
    ("init error", init_error),
];

/// The fourth invocation ends the environment, for this `reason`, after these events.
fn ends(reason: &str, events: impl Fn(&str) -> Vec<Value>, expected: &[Told<'_>]) -> Result<Stage, Stop> {
    let mut stage = Stage::start(&Setup::default())?;
    for _ in 0..3 {
        stage.good()?;
    }
    let id = stage.invoke();
    stage.post(&events(&id))?;
    stage.wait_asked()?;
    stage.shut_down(reason)?;
    delivered(&stage, expected)?;
    Ok(stage)
}

fn timeout() -> Outcome {
    let events = |id: &str| {
        vec![
            start(id),
            line("slow\n"),
            platform(
                "runtimeDone",
                json!({"requestId": id, "status": "timeout", "metrics": {"durationMs": 3000.0}}),
            ),
        ]
    };
    let stage =
        ends("timeout", events, &[("Sandbox.Timedout", "timeout", "Task timed out after 3.00 seconds")])?;
    let record = stage.records()?.remove(0);
    equal(&record["logTail"], &json!(["slow"]), "logTail")?;
    equal(&record["report"]["durationMs"], &json!(3000.0), "report")
}

fn oom() -> Outcome {
    let events = |id: &str| {
        let text =
            format!("RequestId: {id} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n");
        let mut report = ended("report", id, "error", Some("Runtime.OutOfMemory"));
        report["record"]["metrics"]["maxMemoryUsedMB"] = json!(128);
        vec![start(id), line(text), ended("runtimeDone", id, "error", Some("Runtime.OutOfMemory")), report]
    };
    ends("failure", events, &[("Runtime.OutOfMemory", "oom", "Runtime exited with error: signal: killed")])
        .map(|_| ())
}

fn crash(end: &str, kind: &str, exit: Value) -> Outcome {
    let message = format!("Runtime exited with error: {end}");
    let events = |id: &str| {
        vec![
            start(id),
            line(format!("RequestId: {id} Error: {message}\nRuntime.ExitError\n")),
            ended("runtimeDone", id, "error", Some("Runtime.ExitError")),
            ended("report", id, "error", Some("Runtime.ExitError")),
        ]
    };
    let stage = ends("failure", events, &[("Runtime.ExitError", kind, &message)])?;
    equal(&stage.records()?[0]["exit"], &exit, "exit")
}

fn handler_error() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, fails)?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM])?;
    let record = stage.records()?.remove(0);
    let file = "/var/task/app.py";
    equal(&record["stackTrace"], &json!([[file, 3, "handler", "raise ValueError(\"boom\")"]]), "stackTrace")?;
    equal(&record["witnesses"], &json!(["log", "platform"]), "witnesses")?;
    equal(&record["logTail"], &json!(["before it"]), "logTail")?;
    equal(&record["coldStart"], &json!(false), "coldStart")?;
    equal(&record["traceId"].as_str().map(|id| id.len() > 40), &Some(true), "traceId")?;
    equal(
        &record["report"],
        &json!({"durationMs": 12.5, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 70, "initializationType": "on-demand", "handler": "app.handler"}),
        "report",
    )
}

fn init_error() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    let status = json!({"initializationType": "on-demand", "phase": "init", "status": "error", "errorType": "Runtime.ImportModuleError"});
    stage.post(&[
        line("[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'app'\rTraceback (most recent call last):\n"),
        platform("initRuntimeDone", status.clone()),
        platform("initReport", status),
    ])?;
    stage.shut_down("failure")?;
    let message = "Unable to import module 'app': No module named 'app'";
    delivered(&stage, &[("Runtime.ImportModuleError", "init", message)])
}
