//! The runtimes' own clients, each with us and without us.
//!
//! Each test runs one function twice and lets it fail in one way. Without us the runtime speaks to Lambda's side, the sandbox; with us
//! through the extension's proxy. What reaches the sandbox and what comes back is the same, byte for byte, and the record says
//! of the failure what the language does.
//!
//! ```text
//! without us   runtime ────────────────────────► tap ─► sandbox
//! with us      runtime ─► tap ─► our proxy ─► tap ─► sandbox
//! ```

mod tap;
mod peers;
mod table;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use trace_sandbox::{Config, Extension, Invocation, InvokeOutcome, RuntimeEndpoint, Sandbox};

use crate::harness::{Outcome, Stop, equal, extension, holds, records, test};
pub(crate) use peers::Client;
use peers::Program;
pub(crate) use table::Row;
use table::{LOADING, RUNTIME_API, SLEEP, Told};
use tap::{Message, Tap};

/// Limit of a function that ends by itself. The machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Limit of one that does not.
const TIMEOUT_OF_A_SLEEPER: Duration = Duration::from_secs(2);

/// How often a function is run with us at most, so that its runtime speaks in time.
const ATTEMPTS_MAX: u32 = 5;

/// The id of the only invocation.
const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fc1";

/// The durable SDK makes a client of AWS, which finds nobody.
pub(crate) const NO_AWS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "none"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
];

const TRACE_ID: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";

pub(crate) fn tests() -> Vec<Trial> {
    let rows = table::rows().into_iter();
    rows.map(|row| test(&name(row.client, row.fail), move || judge(row))).collect()
}

/// Each client's first failure.
pub(crate) fn seeds() -> Vec<Row> {
    let rows = table::rows();
    let first = |client: Client| rows.iter().find(move |row| row.client == client && row.told.is_some());
    Client::ALL.into_iter().filter_map(first).copied().collect()
}

fn name(client: Client, fail: &str) -> String {
    format!("runtimes: {}: {fail}", client.name())
}

/// Begins to install the clients of which a test will run.
pub(crate) fn begin(arguments: &Arguments, tests: &[Trial]) {
    let wanted = |client: &Client| {
        let of_it = |test: &&Trial| test.name().starts_with(&name(*client, ""));
        tests.iter().filter(of_it).any(|test| !arguments.is_filtered_out(test))
    };
    if !arguments.list {
        peers::begin(Client::ALL.into_iter().filter(wanted));
    }
}

/// Runs the function with us and without us, and compares.
fn judge(row: Row) -> Outcome {
    let program = row.client.program()?;
    let without = play(&program, row, None)?;
    for attempt in 1.. {
        let folder = tempfile::tempdir()?;
        let with = play(&program, row, Some(folder.path()))?;
        let logs = || format!("without us:\n{}\nwith us:\n{}", without.log, with.log);
        equal(&with.answer.payload, &without.answer.payload, "what the client gets")?;
        equal(&with.answer.function_error, &without.answer.function_error, "what the client is told")?;
        equal(&with.answer.error_type, &without.answer.error_type, "what the platform says")?;
        equal(of_any_run(&with.requests), of_any_run(&without.requests), &logs())?;
        // What the proxy was given is what it gave, in both directions.
        let (given, taken) = with.inner.as_ref().expect("there is a proxy");
        equal(end_to_end(&with.requests), end_to_end(given), "requests that leave the proxy")?;
        equal(end_to_end(taken), end_to_end(&with.answers), "answers that leave the proxy")?;

        let records = records(&folder.path().join("records")).unwrap_or_default();
        let what = format!("records: {records:#?}\n{}", logs());
        equal(records.len(), usize::from(row.told.is_some()), &what)?;
        let Some(told) = row.told else { break };
        // On a busy machine the runtime may post so long after it logged that the record is written by then.
        let is_late = told.witness == RUNTIME_API && !is_witness(&records[0], told.witness);
        if !is_late || attempt == ATTEMPTS_MAX {
            return says(&records[0], told, row);
        }
    }
    Ok(())
}

fn end_to_end(messages: &[Message]) -> Vec<Message> {
    messages.iter().cloned().map(Message::end_to_end).collect()
}

fn of_any_run(messages: &[Message]) -> Vec<Message> {
    end_to_end(messages).into_iter().map(Message::of_any_run).collect()
}

fn is_witness(record: &Value, witness: &str) -> bool {
    record["witnesses"].as_array().is_some_and(|seen| seen.contains(&json!(witness)))
}

/// Fails unless `record` tells of the failure of `row`, which happened in a copy of the handler's folder.
pub(crate) fn tells_of(record: &Value, row: Row) -> Outcome {
    let Some(told) = row.told else { return Ok(()) };
    for (member, wanted) in
        [("kind", told.kind), ("errorType", told.error_type), ("errorMessage", told.message)]
    {
        equal(record[member].as_str(), Some(wanted), &format!("{member} of {record:#}"))?;
    }
    holds(
        is_witness(record, told.witness),
        format!("{} is not among the witnesses of {record:#}", told.witness),
    )?;
    let source = std::fs::read_to_string(row.client.source(row.fail))?;
    let calls = record["stackTrace"].as_array().cloned().unwrap_or_default();
    // The durable SDK says in the log alone where it was, which nobody brings here.
    let wanted = told.calls.iter().filter(|_| row.client != Client::Durable);
    wanted.cloned().try_for_each(|(mark, function)| {
        let (line, text) = marked(&source, mark)?;
        // A class does not say in which folder its source is.
        let text = Some(text).filter(|_| row.client != Client::Java);
        let wanted = json!([line, function, text]);
        let is_there = calls.iter().any(|call| json!([call[1], call[2], call[3]]) == wanted);
        holds(is_there, format!("{wanted} is not in {record:#}"))
    })
}

/// Compares a record with what the language says.
fn says(record: &Value, told: Told, row: Row) -> Outcome {
    for (member, wanted) in
        [("kind", told.kind), ("errorType", told.error_type), ("errorMessage", told.message)]
    {
        equal(record[member].as_str(), Some(wanted), &format!("{member} of {record:#}"))?;
    }
    let is_init = row.fail == LOADING;
    equal(&record["phase"], &json!(if is_init { "init" } else { "invoke" }), "phase")?;
    if !is_init {
        equal(&record["requestId"], &json!(REQUEST_ID), "requestId")?;
    }
    let what = format!("{} is not among the witnesses of {record:#}", told.witness);
    holds(is_witness(record, told.witness), what)?;

    let path = row.client.source(row.fail);
    let source = std::fs::read_to_string(&path)?;
    let calls: Vec<Value> = record["stackTrace"].as_array().cloned().unwrap_or_default();
    let is_own = |call: &Value| call[0].as_str().is_some_and(|file| path.ends_with(file));
    let calls: Vec<Value> = calls.into_iter().filter(is_own).collect();
    let wanted = told.calls.iter().map(|(mark, function)| {
        let (line, text) = marked(&source, mark)?;
        Ok(json!([row.client.said_path(row.fail), line, function, text]))
    });
    equal(calls, wanted.collect::<Result<Vec<Value>, Stop>>()?, &format!("the handler's calls in {record:#}"))
}

/// The number and the text of the line that bears a mark.
fn marked(source: &str, mark: &str) -> Result<(usize, String), Stop> {
    let comment = format!("mark: {mark}");
    let found = source.lines().enumerate().find(|(_, text)| text.ends_with(&comment));
    let (at, text) = found.ok_or_else(|| format!("no line bears {comment:?}"))?;
    Ok((at + 1, text.trim().to_owned()))
}

/// What became of one run.
struct Run {
    /// What the invoking client gets.
    answer: InvokeOutcome,
    /// What reached the sandbox.
    requests: Vec<Message>,
    /// What it answered.
    answers: Vec<Message>,
    /// Both between the runtime and the proxy.
    inner: Option<(Vec<Message>, Vec<Message>)>,
    /// The function's log.
    log: String,
}

/// Runs the function once; with the extension and its proxy if there is a `folder` for the records.
fn play(program: &Program, row: Row, folder: Option<&Path>) -> Result<Run, Stop> {
    // Each at an address of its own, or one of them may get a port that is meant for another.
    let host = own_host();
    let (at_sandbox, at_proxy) = (free_port(own_host())?, free_port(own_host())?);
    let to_sandbox = Tap::start(host, at_sandbox)?;
    let to_proxy = folder.map(|_| Tap::start(host, at_proxy)).transpose()?;
    let entrance = to_proxy.as_ref().unwrap_or(&to_sandbox).address();

    let mut command = program.words.clone();
    command.push(row.client.handler(row.fail).into());
    let socket = folder.unwrap_or(Path::new("/nowhere")).join("capture.sock");
    let mut environment: Vec<(OsString, OsString)> = vec![
        ("TRACE_AGENT_SOCKET".into(), socket.clone().into()),
        // The sources stay as they are.
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
    ];
    environment.extend(NO_AWS.map(|(name, value)| (name.into(), value.into())));
    let mut config = Config {
        handler: row.client.handler(row.fail).to_owned(),
        task_root: program.task_root.clone(),
        timeout: if row.fail == SLEEP { TIMEOUT_OF_A_SLEEPER } else { TIMEOUT },
        init_timeout: TIMEOUT,
        environment,
        listen: at_sandbox,
        runtime_endpoint: RuntimeEndpoint::Through(entrance),
        ..Config::new("checkout", command)
    };
    if let Some(folder) = folder {
        let mut agent = Extension::new(extension());
        let sink = format!("file:{}", folder.join("records").display());
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", to_sandbox.address().to_string().into()),
            ("TRACE_AGENT_PROXY_LISTEN", at_proxy.to_string().into()),
            ("TRACE_AGENT_SINK", sink.into()),
            ("TRACE_AGENT_LOG_GROUP", "/aws/lambda/checkout".into()),
            ("TRACE_AGENT_SOURCE_ROOT", row.client.source_roots(row.fail)),
            ("TRACE_AGENT_SOCKET", socket.into()),
        ] {
            agent.environment.push((name.into(), value));
        }
        config.extensions.push(agent);
    }
    let (answer, log) = invoke(config, event(row))?;
    let (requests, answers) = to_sandbox.close()?;
    Ok(Run { answer, requests, answers, inner: to_proxy.map(Tap::close).transpose()?, log })
}

/// Starts the environment, invokes once and takes it down.
fn invoke(config: Config, event: Value) -> Result<(InvokeOutcome, String), Stop> {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&lines);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let answer = runtime.block_on(async {
        let sandbox =
            Sandbox::start(config, Arc::new(move |line| kept.lock().unwrap().push(line.text))).await?;
        let invocation = Invocation {
            request_id: Some(REQUEST_ID.to_owned()),
            trace_id: Some(TRACE_ID.to_owned()),
            ..Invocation::new(event.to_string())
        };
        let answer = sandbox.invoke(invocation).await?;
        sandbox.settled().await?;
        sandbox.shutdown().await;
        Ok::<_, trace_sandbox::Error>(answer)
    });
    // Closes every connection that is still open.
    drop(runtime);
    let log = lines.lock().unwrap().join("\n");
    Ok((answer?, log))
}

/// What the function is invoked with, so that it fails so.
pub(crate) fn event(row: Row) -> Value {
    let event = json!({ "fail": row.fail });
    if row.client != Client::Durable {
        return event;
    }
    let operation = json!({
        "Id": "two", "Type": "EXECUTION", "Status": "STARTED", "StartTimestamp": 1_795_419_012,
        "ExecutionDetails": { "InputPayload": event.to_string() },
    });
    json!({
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:123456789012:function:checkout:1/durable-execution/one/two",
        "CheckpointToken": "token",
        "InitialExecutionState": { "Operations": [operation], "NextMarker": "" },
    })
}

/// An address that nobody else in this process uses, so that no outgoing connection takes a port that is meant for somebody.
fn own_host() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

fn free_port(host: Ipv4Addr) -> Result<SocketAddr, Stop> {
    Ok(TcpListener::bind((host, 0))?.local_addr()?)
}
