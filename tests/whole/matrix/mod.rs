//! The fault matrix: eight invocations, something goes wrong at the fourth, and the function must not notice.
//!
//! In every row: the extension asks for the next event in time, answers every batch with 200, ends with zero and in time, and each failure is
//! delivered, once for each id, as a record that the schema accepts. A second copy is allowed where the first one's acknowledgement was lost,
//! and has the same id.

mod http;
mod sink;
mod lambda;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{Outcome, Stop, equal, eventually, holds, test};
use lambda::{SHUTDOWN, Subscribe, done, ended, line, nowhere, platform, report, signal, start, traceback};
use sink::Mood;

pub(crate) use lambda::{Setup, Stage};

/// What goes wrong, and how that is played.
type Row = (&'static str, fn() -> Outcome);

pub(crate) fn tests() -> Vec<Trial> {
    let rows: [Row; 40] = [
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
        ("sink answers 500", || sink_is(Mood::Fails)),
        ("sink throttles", || sink_is(Mood::Throttles)),
        ("sink never answers", || sink_is(Mood::Hangs)),
        ("sink loses the acknowledgement", sink_forgets),
        ("sink is back after 30 s", sink_is_back),
        ("timeout", timeout),
        ("oom", oom),
        ("handler-error", handler_error),
        ("exit", || crash("exit status 7", "exit", json!({"code": 7}))),
        ("segfault", || crash("signal: segmentation fault", "signal", json!({"signal": "SIGSEGV"}))),
        ("init error", init_error),
        ("spindown with a late tail", spindown_tail),
        ("Managed Instances", managed),
        ("port taken", port_taken),
        ("/tmp is full", tmp_full),
        ("/tmp is read-only", tmp_read_only),
        ("frozen, connections reset", || frozen(sink::Sink::reset)),
        ("frozen, connections forgotten", || frozen(sink::Sink::forget)),
        ("frozen after the failure, then SHUTDOWN", frozen_after_the_failure),
        ("worker killed", || worker_dies(|worker| signal(worker, "-KILL"))),
        ("worker stopped", || worker_dies(|worker| signal(worker, "-STOP"))),
        ("worker out of memory", || worker_dies(without_memory)),
        ("worker stopped at the end", worker_stopped_at_the_end),
    ];
    rows.into_iter().map(|(name, row)| test(&format!("matrix: {name}"), row)).collect()
}

/// Type, kind and message of a record.
type Told<'a> = (&'a str, &'a str, &'a str);

/// Eight invocations, of which `bad` is the fourth, and a SHUTDOWN; then `expected` stands where it should.
fn fourth(setup: Setup, bad: impl FnOnce(&mut Stage) -> Outcome, expected: &[Told<'_>]) -> Outcome {
    let mut stage = Stage::start(&setup)?;
    around(&mut stage, bad)?;
    let took = stage.shut_down("spindown")?;
    holds(took < SHUTDOWN - Duration::from_millis(150), format!("it left after {took:?}"))?;
    delivered(&stage, expected)
}

/// Three good invocations, `bad`, and four more.
fn around(stage: &mut Stage, bad: impl FnOnce(&mut Stage) -> Outcome) -> Outcome {
    for _ in 0..3 {
        stage.good()?;
    }
    bad(stage)?;
    for _ in 0..4 {
        stage.good()?;
    }
    Ok(())
}

/// Fails unless exactly `expected` was delivered, each once.
fn delivered(stage: &Stage, expected: &[Told<'_>]) -> Outcome {
    let records = stage.records()?;
    let mut ids = BTreeMap::<String, usize>::new();
    for record in &records {
        *ids.entry(record["id"].to_string()).or_default() += 1;
    }
    let text = |record: &Value, member: &str| record[member].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = records
        .iter()
        .map(|record| (text(record, "errorType"), text(record, "kind"), text(record, "errorMessage")))
        .collect();
    told.sort();
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, kind, message)| ((*name).to_owned(), (*kind).to_owned(), (*message).to_owned()))
        .collect();
    expected.sort();
    equal(told, expected, &stage.log())?;
    holds(ids.values().all(|count| *count == 1), format!("an id twice: {ids:?}"))
}

const BOOM: Told<'_> = ("ValueError", "exception", "boom");

const BANG: Told<'_> = ("ValueError", "exception", "bang");

/// The usual failure: a line that the runtime prints, and the platform's word.
pub(crate) fn fails(stage: &mut Stage) -> Outcome {
    fails_with(stage, "boom")
}

fn fails_with(stage: &mut Stage, message: &str) -> Outcome {
    let id = stage.invoke();
    stage.post(&failure(&id, message))?;
    stage.wait_asked().map(|_| ())
}

fn failure(id: &str, message: &str) -> Vec<Value> {
    vec![
        start(id),
        line("before it\n"),
        traceback(message),
        ended("runtimeDone", id, "error", Some("Runtime.Unknown")),
        ended("report", id, "error", Some("Runtime.Unknown")),
    ]
}

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

/// The sink is in this mood to the end. What it does not take stands on standard output, and is counted in the last line.
fn sink_is(mood: Mood) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(mood);
        fails(stage)
    })?;
    let took = stage.shut_down("spindown")?;
    holds(took < SHUTDOWN - Duration::from_millis(150), format!("it left after {took:?}"))?;
    delivered(&stage, &[BOOM])?;
    let log = stage.log();
    let last = log.lines().last().unwrap_or_default();
    equal(last, "trace-agent: 1 record that the sink did not take is on standard output", &log)
}

fn sink_forgets() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Forgets);
        fails(stage)?;
        eventually("it was put", || (stage.sink.tries() > 0).then_some(()))?;
        stage.sink.set(Mood::Stores);
        Ok(())
    })?;
    stage.shut_down("spindown")?;
    let records = stage.records()?;
    holds(records.len() > 1, "what was not acknowledged was sent again")?;
    holds(records.iter().all(|record| record["id"] == records[0]["id"]), "the copies have one id")
}

fn sink_is_back() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Fails);
        fails(stage)
    })?;
    // One round of tries, and then nothing in the background: what is tried, is tried when something happens.
    thread::sleep(Duration::from_secs(3));
    let before = stage.sink.tries();
    thread::sleep(Duration::from_secs(27));
    equal(stage.sink.tries(), before, "tries while nothing happened")?;
    stage.sink.set(Mood::Stores);
    stage.good()?;
    eventually("the record is stored", || (!stage.sink.stored().is_empty()).then_some(()))?;
    stage.shut_down("spindown")?;
    equal(stage.sink.stored().len(), 1, "in the sink")?;
    delivered(&stage, &[BOOM])
}

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
        &json!({"durationMs": 12.5, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 70, "initializationType": "on-demand"}),
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

fn port_taken() -> Outcome {
    // If somebody has it already, it is taken as well.
    let _taken = TcpListener::bind("127.0.0.1:4243").ok();
    fourth(Setup::default(), fails, &[BOOM])
}

fn tmp_full() -> Outcome {
    // No file may grow: the kernel answers as a full disk does, if the signal is ignored that it sends first.
    let setup = Setup { before: "trap '' XFSZ; ulimit -f 0;".to_owned(), ..Setup::default() };
    let mut stage =
        Stage::start(&Setup { variables: vec![("TRACE_AGENT_HOLD_MS", "1000".to_owned())], ..setup })?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Fails);
        fails(stage)?;
        stage.sink.set(Mood::Stores);
        Ok(())
    })?;
    stage.shut_down("spindown")?;
    // Neither the spool nor standard output, which is a file here, can take the record: it waits in memory for the sink.
    Ok(())
}

fn tmp_read_only() -> Outcome {
    let variables = vec![("TRACE_AGENT_SOCKET", nowhere())];
    let mut stage = Stage::start(&Setup { variables, ..Setup::default() })?;
    around(&mut stage, |stage| {
        fails(stage)?;
        // A second one, which the sink does not take: there is no place for it but standard output.
        stage.sink.set(Mood::Fails);
        fails_with(stage, "bang")
    })?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// The sandbox is frozen for longer than a connection can be trusted, and meanwhile the sink loses its connections. The failure after it
/// is delivered with the first try.
fn frozen(lose: fn(&sink::Sink)) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, fails)?;
    eventually("the first is stored", || (stage.sink.stored().len() == 1).then_some(()))?;
    stage.freeze(true)?;
    thread::sleep(Duration::from_millis(5_500));
    lose(&stage.sink);
    stage.freeze(false)?;
    fails_with(&mut stage, "bang")?;
    let from = Instant::now();
    eventually("the second is stored", || (stage.sink.stored().len() == 2).then_some(()))?;
    let took = from.elapsed();
    holds(took < Duration::from_secs(2), format!("a try was lost on a dead connection: {took:?}"))?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// Lambda freezes the sandbox as soon as runtime and extension have asked: before the failure's telemetry is there.
fn frozen_after_the_failure() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    let id = stage.invoke();
    stage.wait_asked()?;
    stage.freeze(true)?;
    // Ten minutes, scaled.
    thread::sleep(Duration::from_millis(6_000));
    stage.freeze(false)?;
    stage.begin_shutdown("spindown");
    stage.post(&failure(&id, "boom"))?;
    stage.wait_ended()?;
    delivered(&stage, &[BOOM])
}

/// The worker has dealt with one failure, and then this happens to it; the next failure is delivered all the same.
fn worker_dies(of: fn(i32) -> Outcome) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        fails(stage)?;
        let worker = eventually("a worker runs", || stage.worker())?;
        acknowledged(stage)?;
        of(worker)?;
        fails_with(stage, "bang")
    })?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

fn without_memory(worker: i32) -> Outcome {
    let status = Command::new("prlimit").args(["--pid", &worker.to_string(), "--data=1"]).status()?;
    holds(status.success(), "prlimit")
}

fn worker_stopped_at_the_end() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    fails(&mut stage)?;
    acknowledged(&mut stage)?;
    let worker = eventually("a worker runs", || stage.worker())?;
    signal(worker, "-STOP")?;
    fails_with(&mut stage, "bang")?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// Waits until the first failure is stored and the worker has had the time to say so: else the next one delivers it again, under the same id.
fn acknowledged(stage: &mut Stage) -> Outcome {
    eventually("the first is stored", || (stage.sink.stored().len() == 1).then_some(()))?;
    thread::sleep(Duration::from_millis(200));
    Ok(())
}
