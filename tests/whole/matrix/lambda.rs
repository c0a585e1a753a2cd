//! Lambda's side of the Extensions and Telemetry APIs, with everything that it may do and the emulators do not.
//!
//! The extension is the built program, and the client of the sink is the real SDK. The events are those of the Telemetry API's reference,
//! and of AWS's own emulator, with which they are compared in `tests/whole/rie.rs`.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Connection, Request};
use super::sink::Sink;
use crate::harness::{Outcome, Stop, extension, holds, valid};

/// How long the extension may leave an event unasked for: twenty holds.
const HANG: Duration = Duration::from_secs(6);

/// How long a SHUTDOWN may take: what Lambda gives to an external extension.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(2);

/// What the Telemetry API says to the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribe {
    Accepts,
    Fails,
    Drops,
}

/// How the extension is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) subscribe: Subscribe,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What the shell does before it becomes the extension.
    pub(crate) before: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self { subscribe: Subscribe::Accepts, variables: Vec::new(), before: String::new() }
    }
}

#[derive(Default)]
struct Api {
    /// Events that wait to be asked for.
    events: VecDeque<String>,
    /// How often `/next` was asked.
    polls: usize,
    is_polling: bool,
    registered: Option<String>,
    schema: Option<String>,
    telemetry: Option<u16>,
}

type Shared = Arc<(Mutex<Api>, Condvar)>;

/// A sandbox with the extension in it.
pub(crate) struct Stage {
    pub(crate) sink: Sink,
    pub(crate) folder: tempfile::TempDir,
    child: Child,
    api: Shared,
    telemetry: Option<Connection>,
    asked: usize,
    pub(super) invocations: usize,
}

impl Stage {
    /// Starts the extension, and waits until it asks for the first event.
    pub(crate) fn start(setup: &Setup) -> Result<Self, Stop> {
        let folder = tempfile::tempdir()?;
        let sink = Sink::start()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let api = Shared::default();
        let (serving, subscribe) = (Arc::clone(&api), setup.subscribe);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let api = Arc::clone(&serving);
                // A connection that ends is the client's affair.
                thread::spawn(move || serve(stream, &api, subscribe).ok());
            }
        });
        let log = File::create(folder.path().join("log"))?;
        // The name that Lambda accepts is the file's.
        let child = Command::new("sh")
            .args(["-c", &format!("{} exec \"$0\"", setup.before), extension()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "checkout")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &sink.url)
            .env("TRACE_AGENT_SINK", "cloudwatch")
            .env("TRACE_AGENT_SOCKET", folder.path().join("agent/capture.sock"))
            .envs(setup.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut stage = Self { sink, folder, child, api, telemetry: None, asked: 0, invocations: 0 };
        stage.wait_asked()?;
        Ok(stage)
    }

    /// What the extension said to standard output and standard error.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What the extension registered for, and the schema of the telemetry that it subscribed to.
    pub(super) fn registered(&self) -> (String, Option<String>) {
        let api = self.api.0.lock().unwrap();
        (api.registered.clone().unwrap_or_default(), api.schema.clone())
    }

    /// Waits until the extension has asked for another event, and gives how long that took.
    pub(super) fn wait_asked(&mut self) -> Result<Duration, Stop> {
        let from = Instant::now();
        let (lock, changed) = &*self.api;
        let mut api = lock.lock().unwrap();
        while !(api.is_polling && api.polls > self.asked) {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(Stop::Fail(format!("the extension left: {status}\n{log}")));
            }
            if from.elapsed() > HANG {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(Stop::Fail(format!("no /next within {HANG:?}\n{log}")));
            }
            api = changed.wait_timeout(api, Duration::from_millis(20)).unwrap().0;
        }
        self.asked = api.polls;
        Ok(from.elapsed())
    }

    fn send(&self, event: &Value) {
        let (lock, changed) = &*self.api;
        lock.lock().unwrap().events.push_back(event.to_string());
        changed.notify_all();
    }

    /// Invokes, and gives the request id.
    pub(super) fn invoke(&mut self) -> String {
        self.invocations += 1;
        let request_id = format!("8476a536-e9f4-11e8-9739-{:012}", self.invocations);
        self.send(&json!({
            "eventType": "INVOKE", "deadlineMs": now_ms() + 30_000, "requestId": request_id,
            "invokedFunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:checkout",
            "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"},
        }));
        request_id
    }

    /// Posts a batch of telemetry, as Lambda does: on a connection that it keeps, again if that has ended.
    pub(super) fn post(&mut self, events: &[Value]) -> Outcome {
        self.post_raw(json!(events).to_string().as_bytes())
    }

    pub(super) fn post_raw(&mut self, batch: &[u8]) -> Outcome {
        let Some(port) = self.api.0.lock().unwrap().telemetry else { return Ok(()) };
        for _ in 0..2 {
            if self.telemetry.is_none() {
                self.telemetry = Some(Connection::new(TcpStream::connect(("127.0.0.1", port))?));
            }
            match self.telemetry.as_mut().map(|connection| connection.post(batch)) {
                Some(Ok(status)) => {
                    return holds(status == 200, format!("telemetry was answered with {status}"));
                }
                _ => self.telemetry = None,
            }
        }
        Err(Stop::Fail(format!("telemetry was not taken\n{}", self.log())))
    }

    /// One invocation that goes well.
    pub(crate) fn good(&mut self) -> Outcome {
        let request_id = self.invoke();
        self.post(&[start(&request_id), line("all is well\n"), done(&request_id), report(&request_id)])?;
        self.wait_asked().map(|_| ())
    }

    /// Ends the environment, and waits for the end of the extension, which must be zero and in time.
    pub(crate) fn shut_down(&mut self, reason: &str) -> Result<Duration, Stop> {
        self.begin_shutdown(reason);
        self.wait_ended()
    }

    pub(super) fn begin_shutdown(&mut self, reason: &str) {
        let deadline_ms = now_ms() + i64::try_from(SHUTDOWN.as_millis()).unwrap();
        self.send(&json!({"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms}));
    }

    pub(super) fn wait_ended(&mut self) -> Result<Duration, Stop> {
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                holds(status.success(), format!("the extension ended with {status}\n{}", self.log()))?;
                return Ok(from.elapsed());
            }
            if from.elapsed() > SHUTDOWN {
                return Err(Stop::Fail(format!("it did not leave in time\n{}", self.log())));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The records that were delivered, to the sink or to standard output, each valid, in the order of the sink.
    pub(super) fn records(&self) -> Result<Vec<Value>, Stop> {
        let log = self.log();
        let printed = log.lines().filter(|line| line.starts_with('{')).map(str::to_owned);
        let lines = self.sink.stored().into_iter().chain(printed);
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(&line)).collect::<Result<_, _>>()?;
        let records: Vec<Value> = lines.into_iter().filter(|line| line.get("schema").is_some()).collect();
        records.iter().try_for_each(valid)?;
        Ok(records)
    }

    /// How many threads the supervisor has.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).map_or(0, Iterator::count)
    }

    /// The supervisor's memory that is resident, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64, Stop> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The process of the worker, once it runs.
    pub(crate) fn worker(&self) -> Option<i32> {
        children(self.child.id()).first().copied()
    }

    /// Stops or continues everything in the sandbox, as Lambda does between invocations.
    pub(super) fn freeze(&self, is_frozen: bool) -> Outcome {
        let own = i32::try_from(self.child.id())?;
        for pid in children(self.child.id()).into_iter().chain([own]) {
            signal(pid, if is_frozen { "-STOP" } else { "-CONT" })?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It has ended, if the test went well.
        let _ = self.freeze(false);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that `pid` has started.
fn children(pid: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

pub(super) fn signal(pid: i32, name: &str) -> Outcome {
    let status = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status()?;
    holds(status.success(), format!("kill {name} {pid}"))
}

fn serve(stream: TcpStream, api: &Shared, subscribe: Subscribe) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request()? {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/2020-01-01/extension/register") => register(&mut connection, &request, api)?,
            ("GET", "/2020-01-01/extension/event/next") => next(&mut connection, api)?,
            ("PUT", "/2022-07-01/telemetry") => match subscribe {
                Subscribe::Accepts => accept(&mut connection, &request, api)?,
                Subscribe::Fails => connection.answer("500 Internal Server Error", "", "{}")?,
                Subscribe::Drops => return Ok(()),
            },
            _ => connection.answer("404 Not Found", "", "{}")?,
        }
    }
    Ok(())
}

fn register(connection: &mut Connection, request: &Request, api: &Shared) -> io::Result<()> {
    let is_named = request.head.contains("lambda-extension-name: trace-agent-extension\r\n");
    if !is_named {
        return connection.answer("403 Forbidden", "", r#"{"errorType":"Extension.InvalidExtensionName"}"#);
    }
    api.0.lock().unwrap().registered = Some(String::from_utf8_lossy(&request.body).into_owned());
    connection.answer(
        "200 OK",
        "Lambda-Extension-Identifier: 2fd4e1c6-7a2d-4e7e-9f5a-0e5b8a6c1d3f\r\n",
        r#"{"functionName":"checkout","functionVersion":"$LATEST","handler":"app.handler","accountId":"123456789012"}"#,
    )
}

fn accept(connection: &mut Connection, request: &Request, api: &Shared) -> io::Result<()> {
    let body: Value = serde_json::from_slice(&request.body)?;
    let uri = body["destination"]["URI"].as_str().unwrap_or_default();
    let mut state = api.0.lock().unwrap();
    state.telemetry = uri.rsplit(':').next().and_then(|port| port.parse().ok());
    state.schema = body["schemaVersion"].as_str().map(str::to_owned);
    drop(state);
    connection.answer("200 OK", "", "\"OK\"")
}

fn next(connection: &mut Connection, api: &Shared) -> io::Result<()> {
    let (lock, changed) = &**api;
    let mut state = lock.lock().unwrap();
    state.polls += 1;
    state.is_polling = true;
    changed.notify_all();
    let event = loop {
        match state.events.pop_front() {
            Some(event) => break event,
            None => state = changed.wait(state).unwrap(),
        }
    };
    state.is_polling = false;
    drop(state);
    connection.answer("200 OK", "Content-Type: application/json\r\n", &event)
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn event(name: &str, record: Value) -> Value {
    json!({"time": trace_record::complete::rfc3339(now_ms()), "type": name, "record": record})
}

pub(super) fn platform(name: &str, record: Value) -> Value {
    event(&format!("platform.{name}"), record)
}

pub(super) fn start(request_id: &str) -> Value {
    platform("start", json!({"requestId": request_id, "version": "$LATEST"}))
}

/// A line that the function logged; an object where the format is JSON.
pub(super) fn line(record: impl Into<Value>) -> Value {
    event("function", record.into())
}

pub(super) fn done(request_id: &str) -> Value {
    ended("runtimeDone", request_id, "success", None)
}

pub(super) fn report(request_id: &str) -> Value {
    ended("report", request_id, "success", None)
}

/// `runtimeDone` or `report`, of an invocation that came to this end.
pub(super) fn ended(name: &str, request_id: &str, status: &str, error_type: Option<&str>) -> Value {
    let mut record = json!({"requestId": request_id, "status": status, "metrics": {"durationMs": 12.5}});
    if name == "report" {
        let metrics =
            json!({"durationMs": 12.5, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 70});
        record["metrics"] = metrics;
    }
    if let Some(error_type) = error_type {
        record["errorType"] = error_type.into();
    }
    platform(name, record)
}

/// What awslambdaric prints of an unhandled exception (recorded), with this message.
pub(super) fn traceback(message: &str) -> Value {
    line(format!(
        "[ERROR] ValueError: {message}\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"/var/task/app.py\", line 3, in handler\r\u{a0}\u{a0}\u{a0}\u{a0}raise ValueError(\"{message}\")\n"
    ))
}

/// A path that the extension's folder cannot be made at.
pub(super) fn nowhere() -> String {
    Path::new("/proc/nowhere/agent/capture.sock").display().to_string()
}
