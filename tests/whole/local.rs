//! `trace-agent local`: real runtimes, the real extension, one failure after the other.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use trace_agent::peers::AWSLAMBDARIC;

use crate::harness::{
    Outcome, Stop, equal, extension, holds, peer, records, run, rust_handler, said, test, trace_agent,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test(
            "the documented Python failure becomes the documented record",
            the_documented_failure_becomes_the_documented_record,
        ),
        test("body and log line give the same record", body_and_log_line_give_the_same_record),
        test("a Rust panic is named from its debug file", a_rust_panic_is_named_from_its_debug_file),
        test("a record says what invoked the function and what went before", a_record_has_its_context),
        test("a message with empty lines is one failure", a_message_with_empty_lines_is_one_failure),
        test("an earlier run's failure, or its torn line, is not this one's", earlier_runs_are_not_this_one),
        test("a corrupt debug file costs names and nothing else", a_corrupt_debug_file_costs_names),
        test("an Event invocation prints nothing of the function's", an_event_invocation_prints_nothing),
        test("a good invocation leaves no record", a_good_invocation_leaves_no_record),
        test(
            "a handler that never answers becomes a timeout",
            a_handler_that_never_answers_becomes_a_timeout,
        ),
        test("an exit becomes a record", an_exit_becomes_a_record),
        test("a segfault becomes a record", a_segfault_becomes_a_record),
        test("an init error becomes a record", an_init_error_becomes_a_record),
        test(
            "odd error bodies pass unchanged and become smaller records",
            odd_error_bodies_become_smaller_records,
        ),
        test("records reach the function's log through stdout", records_reach_the_log_through_stdout),
        test("a worker that is killed costs detail and nothing else", a_killed_worker_costs_detail),
        test(
            "a message of five megabytes is cut and keeps its stack",
            a_huge_message_is_cut_and_keeps_its_stack,
        ),
        test("what stands in the way is said in one line", what_stands_in_the_way_is_said),
    ]
}

/// Runs one invocation of `handler` in `lambda_function.py`, whose text is `code`.
struct Python {
    folder: tempfile::TempDir,
    python: String,
}

impl Python {
    fn new(code: &str) -> Result<Self, Stop> {
        let programs = peer(AWSLAMBDARIC)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("lambda_function.py"), code)?;
        Ok(Self { folder, python: programs.join("python3").display().to_string() })
    }

    fn invoke(&self, arguments: &[&str]) -> Result<Output, Stop> {
        let command = format!("'{}' -m awslambdaric lambda_function.handler", self.python);
        let sink = format!("file:{}", self.records().display());
        local(self.folder.path(), &command, &[&["--sink", &sink], arguments].concat())
    }

    fn records(&self) -> std::path::PathBuf {
        self.folder.path().join("records")
    }

    /// The one record of the invocation.
    fn record(&self) -> Result<Value, Stop> {
        let mut records = records(&self.records())?;
        equal(records.len(), 1, &format!("records: {records:#?}"))?;
        Ok(records.remove(0))
    }
}

fn local(folder: &Path, command: &str, arguments: &[&str]) -> Result<Output, Stop> {
    run(trace_agent(folder)
        .args([
            "local",
            "--handler-cmd",
            command,
            "--extension",
            extension(),
            "--timeout",
            "20",
            "--function-name",
            "checkout",
        ])
        .args(arguments))
}

const DOCUMENTED: &str = include_str!("../handlers/python/lambda_function.py");

/// The documented example, under the name that [`Python`] invokes.
fn documented() -> String {
    format!("{DOCUMENTED}handler = always_failed_handler\n")
}

fn the_documented_failure_becomes_the_documented_record() -> Outcome {
    let python = Python::new(&documented())?;
    let output = python.invoke(&[])?;
    equal(output.status.code(), Some(0), &said(&output))?;
    // The client gets exactly what the runtime posted: awslambdaric's own spelling, spaces and all.
    let body: Value = serde_json::from_slice(&output.stdout)?;
    let request_id = body["requestId"].as_str().unwrap_or_default();
    let file = python.folder.path().canonicalize()?.join("lambda_function.py").display().to_string();
    let posted = format!(
        r#"{{"errorMessage": "I failed!", "errorType": "Exception", "requestId": "{request_id}", "stackTrace": ["  File \"{file}\", line 1, in always_failed_handler\n    def always_failed_handler(event, context): raise Exception('I failed!')\n"]}}"#
    );
    equal(String::from_utf8_lossy(&output.stdout), posted, "what the client gets")?;
    let record = python.record()?;
    let line = "def always_failed_handler(event, context): raise Exception('I failed!')";
    equal(&record["errorMessage"], &json!("I failed!"), "errorMessage")?;
    equal(&record["errorType"], &json!("Exception"), "errorType")?;
    equal(&record["stackTrace"], &json!([[file, 1, "always_failed_handler", line]]), "stackTrace")?;
    equal(&record["requestId"], &json!(request_id), "requestId")?;
    equal(&record["functionName"], &json!("checkout"), "functionName")?;
    equal(&record["Failures"], &json!(1), "the metric")?;
    equal(&record["phase"], &json!("invoke"), "phase")?;
    holds(
        record["witnesses"].as_array().is_some_and(|seen| seen.contains(&json!("runtime-api"))),
        &record["witnesses"],
    )
}

/// What is empty between the lines of a message is lost in a log, and the failure is one all the same.
fn a_message_with_empty_lines_is_one_failure() -> Outcome {
    for message in ["a\\n\\nb", "a\\nb\\n"] {
        let code = format!("def handler(event, context): raise ValueError('{message}')\n");
        let python = Python::new(&code)?;
        python.invoke(&[])?;
        let record = python.record()?;
        equal(&record["errorMessage"], &json!(message.replace("\\n", "\n")), "errorMessage")?;
    }
    Ok(())
}

fn earlier_runs_are_not_this_one() -> Outcome {
    let python = Python::new("def handler(event, context): return 1\n")?;
    let sink = format!("file:{}", python.records().display());
    let failed = local(python.folder.path(), "/bin/false", &["--sink", &sink])?;
    holds(said(&failed).contains("record in"), said(&failed))?;
    // A death in the middle of a line.
    let torn = python.records().join("+aws+lambda+checkout/trace-agent+torn.ndjson");
    std::fs::write(torn, r#"{"errorMessage":"hal"#)?;
    let output = python.invoke(&[])?;
    equal((output.status.code(), &*output.stdout), (Some(0), &b"1"[..]), &said(&output))?;
    holds(!said(&output).contains("record in"), said(&output))
}

fn body_and_log_line_give_the_same_record() -> Outcome {
    let python = Python::new(&documented())?;
    python.invoke(&[])?;
    let from_body = python.record()?;
    std::fs::remove_dir_all(python.records())?;
    python.invoke(&["--no-proxy"])?;
    let from_log = python.record()?;
    for member in [
        "errorMessage",
        "errorType",
        "stackTrace",
        "kind",
        "fingerprint",
        "culprit",
        "runtime",
        "phase",
        "handled",
    ] {
        equal(&from_log[member], &from_body[member], member)?;
    }
    holds(!from_log["witnesses"].to_string().contains("runtime-api"), &from_log["witnesses"])?;
    holds(from_log["witnesses"].to_string().contains("log"), &from_log["witnesses"])
}

fn a_rust_panic_is_named_from_its_debug_file() -> Outcome {
    let handler = rust_handler()?;
    let folder = tempfile::tempdir()?;
    let sources = env!("CARGO_MANIFEST_DIR");
    let output = local(
        folder.path(),
        &format!("'{}'", handler.display()),
        &["--sink", "file:records", "--source-root", sources],
    )?;
    let body: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", said(&output)))?;
    let mut records = records(&folder.path().join("records"))?;
    equal(records.len(), 1, &format!("records: {records:#?}"))?;
    let record = records.remove(0);
    let message = record["errorMessage"].as_str().unwrap_or_default();
    equal(&body["errorMessage"], &json!(format!("Lambda panicked: {message}")), "what the client gets")?;
    equal(&record["errorType"], &json!("panic"), "errorType")?;
    equal(&record["rawErrorType"], &body["errorType"], "rawErrorType is what Step Functions matches")?;
    let stack = record["stackTrace"].as_array().cloned().unwrap_or_default();
    let own: Vec<&Value> = stack
        .iter()
        .filter(|entry| {
            entry[0].as_str().is_some_and(|file| file.ends_with("tests/handlers/rust/src/main.rs"))
        })
        .collect();
    let names: Vec<&str> = own.iter().rev().take(3).filter_map(|entry| entry[2].as_str()).collect();
    equal(
        names,
        vec!["failing_handler::look_up", "failing_handler::unit_price", "failing_handler::price_order"],
        "the calls, three deep",
    )?;
    // Each named line is in the source, and its text stands beside it.
    let source = std::fs::read_to_string(format!("{sources}/tests/handlers/rust/src/main.rs"))?;
    for entry in own.iter().rev().take(3) {
        let line = entry[1].as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
        equal(entry[3].as_str(), source.lines().nth(line - 1).map(str::trim), "source text")?;
    }
    equal(
        stack.last().and_then(|entry| entry[2].as_str()),
        Some("failing_handler::look_up"),
        "the panic's machinery is taken off",
    )?;
    let witnesses = record["witnesses"].to_string();
    holds(witnesses.contains("capture") && witnesses.contains("runtime-api"), witnesses)
}

fn a_record_has_its_context() -> Outcome {
    let code = "def handler(event, context):\n    print('before it')\n    raise ValueError('boom')\n";
    let python = Python::new(code)?;
    let event = json!({"Records": [{"messageId": "059f36b4", "body": "secret", "eventSource": "aws:sqs", "attributes": {"ApproximateReceiveCount": "2"}}]});
    python.invoke(&["--event", &event.to_string()])?;
    let record = python.record()?;
    let trigger = json!({"eventSource": "aws:sqs", "records": 1, "messageIds": ["059f36b4"], "attempt": 2});
    equal(&record["trigger"], &trigger, "trigger, which the proxy sees")?;
    equal(&record["coldStart"], &json!(true), "coldStart")?;
    std::fs::remove_dir_all(python.records())?;
    python.invoke(&["--no-proxy"])?;
    let record = python.record()?;
    equal(&record["logTail"], &json!(["before it"]), "logTail, which telemetry brings")?;
    holds(record["report"]["durationMs"].is_number(), &record["report"])
}

fn a_corrupt_debug_file_costs_names() -> Outcome {
    let handler = rust_handler()?;
    let debug = std::fs::read(handler.with_extension("debug"))?;
    let mut noise = debug.clone();
    noise.iter_mut().skip(64).enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
    for (what, bytes) in [("noise behind the header", &noise[..]), ("half of it", &debug[..debug.len() / 2])]
    {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("bootstrap");
        std::fs::copy(handler, &program)?;
        std::fs::write(folder.path().join("bootstrap.debug"), bytes)?;
        let output = local(folder.path(), &format!("'{}'", program.display()), &["--sink", "file:records"])?;
        equal(output.status.code(), Some(0), &said(&output))?;
        let records = records(&folder.path().join("records"))?;
        equal(records.len(), 1, &format!("{what}: {records:#?}"))?;
        equal((&records[0]["kind"], &records[0]["errorType"]), (&json!("panic"), &json!("panic")), what)?;
        let frames = records[0]["frames"].as_array().cloned().unwrap_or_default();
        holds(frames.iter().any(|frame| frame["address"].is_string()), format!("{what}: {}", records[0]))?;
    }
    Ok(())
}

fn an_event_invocation_prints_nothing() -> Outcome {
    let python = Python::new(
        "def handler(event, context):\n    print('a word of the function')\n    raise ValueError('late')\n",
    )?;
    let output = python.invoke(&["--invocation-type", "Event"])?;
    equal(output.stdout, Vec::<u8>::new(), "standard output")?;
    holds(
        !String::from_utf8_lossy(&output.stderr).contains("a word of the function"),
        "standard error holds none of the log",
    )?;
    equal(&python.record()?["errorType"], &json!("ValueError"), "the failure is in the logs")?;
    let log = std::fs::read_dir(python.records().join("+aws+lambda+checkout"))?;
    let log: Vec<String> = log.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    holds(log.concat().contains("a word of the function"), "and so is what the function printed")
}

fn a_good_invocation_leaves_no_record() -> Outcome {
    let python = Python::new("def handler(event, context):\n    return {'sum': event['a'] + event['b']}\n")?;
    let output = python.invoke(&["--event", "{\"a\": 1, \"b\": 2}"])?;
    equal(String::from_utf8_lossy(&output.stdout), "{\"sum\": 3}", "what the client gets")?;
    equal(records(&python.records())?.len(), 0, "records")
}

fn a_handler_that_never_answers_becomes_a_timeout() -> Outcome {
    let python = Python::new("import time\ndef handler(event, context):\n    time.sleep(600)\n")?;
    let output = python.invoke(&["--timeout", "1"])?;
    let body: Value = serde_json::from_slice(&output.stdout)?;
    equal(&body["errorType"], &json!("Sandbox.Timedout"), "errorType")?;
    let text = body["errorMessage"].as_str().unwrap_or_default();
    holds(
        text.starts_with("RequestId: ") && text.ends_with(" Error: Task timed out after 1.00 seconds"),
        text,
    )?;
    let record = python.record()?;
    equal((&record["kind"], &record["Timeouts"]), (&json!("timeout"), &json!(1)), "kind and metric")
}

fn an_exit_becomes_a_record() -> Outcome {
    let python = Python::new("import os\ndef handler(event, context):\n    os._exit(7)\n")?;
    let body: Value = serde_json::from_slice(&python.invoke(&[])?.stdout)?;
    equal(&body["errorType"], &json!("Runtime.ExitError"), "errorType")?;
    holds(body["errorMessage"].to_string().contains("Runtime exited with error: exit status 7"), &body)?;
    let record = python.record()?;
    equal((&record["kind"], &record["Crashes"]), (&json!("exit"), &json!(1)), "kind and metric")
}

fn a_segfault_becomes_a_record() -> Outcome {
    let python = Python::new("import ctypes\ndef handler(event, context):\n    ctypes.string_at(0)\n")?;
    let body: Value = serde_json::from_slice(&python.invoke(&[])?.stdout)?;
    holds(body["errorMessage"].to_string().contains("signal: segmentation fault"), &body)?;
    let record = python.record()?;
    equal(&record["errorType"], &json!("Runtime.ExitError"), "errorType")?;
    equal(&record["Crashes"], &json!(1), "metric")
}

fn an_init_error_becomes_a_record() -> Outcome {
    let python = Python::new("import a_module_that_is_not_there\n")?;
    let body: Value = serde_json::from_slice(&python.invoke(&[])?.stdout)?;
    equal(&body["errorType"], &json!("Runtime.ImportModuleError"), "what the client gets")?;
    let record = python.record()?;
    equal(&record["errorType"], &json!("Runtime.ImportModuleError"), "errorType")?;
    equal((&record["phase"], &record["InitFailures"]), (&json!("init"), &json!(1)), "phase and metric")
}

/// A runtime of the shell's means: it posts whatever it is told, byte for byte.
fn odd_error_bodies_become_smaller_records() -> Outcome {
    for body in [
        "",
        "not json",
        "{\"errorType\":7}",
        "[1,2]",
        "{\"errorMessage\":\"m\",\"stackTrace\":[null,[],{}]}",
        "\u{1}\u{2}",
    ] {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("body"), body)?;
        std::fs::write(
            folder.path().join("runtime.py"),
            "import os, urllib.request\n\
             api = 'http://%s/2018-06-01/runtime' % os.environ['AWS_LAMBDA_RUNTIME_API']\n\
             body = open('body', 'rb').read()\n\
             while True:\n\
             \x20   with urllib.request.urlopen(api + '/invocation/next') as event:\n\
             \x20       request = event.headers['Lambda-Runtime-Aws-Request-Id']\n\
             \x20   urllib.request.urlopen(api + '/invocation/' + request + '/error', data=body)\n",
        )?;
        crate::harness::tool("python3")?;
        let output = local(folder.path(), "python3 runtime.py", &["--sink", "file:records"])?;
        equal(String::from_utf8_lossy(&output.stdout), body, "what the client gets")?;
        let found = records(&folder.path().join("records"))?;
        equal(found.len(), 1, &format!("records of {body:?}: {}", said(&output)))?;
        holds(found[0]["requestId"].is_string(), &found[0])?;
    }
    Ok(())
}

fn records_reach_the_log_through_stdout() -> Outcome {
    let python = Python::new(&documented())?;
    let command = format!("'{}' -m awslambdaric lambda_function.handler", python.python);
    let output = local(python.folder.path(), &command, &["--sink", "stdout"])?;
    let said = said(&output);
    let line = said.lines().find(|line| line.starts_with('{') && line.contains("\"schema\":1"));
    let Some(line) = line else { return Err(Stop::Fail(format!("no record in the log:\n{said}"))) };
    crate::harness::valid(&serde_json::from_str(line)?)
}

fn a_killed_worker_costs_detail() -> Outcome {
    // The worker is the extension's child: the function kills it as soon as there is one, whenever it comes back.
    let python = Python::new(
        "import os, threading, time\n\
         def hunt():\n\
         \x20   while True:\n\
         \x20       for pid in filter(str.isdigit, os.listdir('/proc')):\n\
         \x20           try:\n\
         \x20               line = open('/proc/%s/cmdline' % pid, 'rb').read()\n\
         \x20               if b'--worker' in line and open('/proc/%s/environ' % pid, 'rb').read().find(MARK) >= 0:\n\
         \x20                   os.kill(int(pid), 9)\n\
         \x20           except OSError:\n\
         \x20               pass\n\
         \x20       time.sleep(0.001)\n\
         MARK = ('TRACE_AGENT_SOCKET=' + os.environ['TRACE_AGENT_SOCKET']).encode()\n\
         threading.Thread(target=hunt, daemon=True).start()\n\
         def handler(event, context):\n\
         \x20   raise Exception('I failed!')\n",
    )?;
    let output = python.invoke(&[])?;
    let body: Value = serde_json::from_slice(&output.stdout)?;
    equal(&body["errorMessage"], &json!("I failed!"), "the client gets the function's answer")?;
    // Either a worker was quick enough, or the supervisor wrote the bare record into the function's own log.
    let log = said(&output);
    let bare = log
        .lines()
        .any(|line| line.starts_with('{') && line.contains("I failed!") && line.contains("\"errorMessage\""));
    let shipped = records(&python.records()).is_ok_and(|records| !records.is_empty());
    holds(bare || shipped, format!("nothing was kept:\n{log}"))
}

fn a_huge_message_is_cut_and_keeps_its_stack() -> Outcome {
    let python = Python::new("def handler(event, context):\n    raise Exception('x' * 5_000_000)\n")?;
    let output = python.invoke(&["--quiet"])?;
    holds(output.stdout.len() > 5_000_000, "the client gets all of it")?;
    let record = python.record()?;
    equal(&record["errorType"], &json!("Exception"), "errorType")?;
    equal(&record["stackTrace"][0][2], &json!("handler"), "the stack")?;
    // On a busy machine the body may come too late; then the log's part of the message is all there is, and nothing of it is cut.
    let posted = record["witnesses"].as_array().is_some_and(|seen| seen.contains(&json!("runtime-api")));
    holds(!posted || record["truncated"]["errorMessage"].as_u64() > Some(3_900_000), &record["truncated"])?;
    holds(
        record["errorMessage"].as_str().is_some_and(|message| message.len() > 60_000),
        "most of what fits is kept",
    )
}

fn what_stands_in_the_way_is_said() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "")?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for (command, arguments, why) in [
        ("no-such-command", &["--sink", "file:records"][..], "not found"),
        ("./file", &["--sink", "file:records"], "not executable"),
        ("true", &["--sink", "file:file/below"], "cannot write the sink directory"),
        ("true", &["--sink", "file:records", "--listen", &address], "in use"),
        ("true", &["--sink", "file:records", "--extension", "./nothing"], "is missing"),
    ] {
        let output = local(folder.path(), command, arguments)?;
        let said = said(&output);
        equal(output.status.code(), Some(1), &said)?;
        holds(said.lines().count() == 1 && said.contains(why), format!("{command} {arguments:?}: {said}"))?;
        equal(output.stdout.len(), 0, "standard output")?;
    }
    for arguments in [
        &["local"][..],
        &["local", "--handler-cmd", "true", "--event", "{"],
        &["local", "--handler-cmd", "'"],
        &["local", "--handler-cmd", "true", "--sink", "nowhere"],
    ] {
        let output = run(trace_agent(folder.path()).args(arguments))?;
        equal(output.status.code(), Some(2), &said(&output))?;
    }
    // The folder is left as it was: no process of ours still writes to it.
    let strays = Command::new("pgrep").args(["-f", &folder.path().display().to_string()]).output();
    if let Ok(strays) = strays {
        equal(String::from_utf8_lossy(&strays.stdout).trim(), "", "processes left behind")?;
    }
    Ok(())
}
