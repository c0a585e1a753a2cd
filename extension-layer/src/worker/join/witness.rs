//! What each witness says of a failure, as a bare record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use trace_agent_core::receive::native;
use trace_record::complete::rfc3339;
use trace_record::failure::{Kind, Phase, Witness};
use trace_record::normalize::lines::Block;
use trace_record::normalize::{self, RAW_BYTES_MAX, platform, telemetry};
use trace_record::text;
use trace_record::{Record, response};

use crate::link::{Inside, Posted};
use crate::turn::Ending;

/// The header in which a runtime may name the type of an error, beside its body.
const ERROR_TYPE_HEADER: &str = "lambda-runtime-function-error-type";

/// The trailer of a streamed response with the error that ended it, in base64.
const ERROR_BODY_TRAILER: &str = "lambda-runtime-function-error-body";

/// The function, as the registration describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) handler: Option<String>,
}

/// What Lambda tells runtimes and not extensions, as far as the wrapper handed it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandedOver {
    pub(crate) log_group: Option<String>,
    pub(crate) task_root: Option<String>,
    pub(crate) handler: Option<String>,
    /// The language, such as `python`.
    pub(crate) runtime: Option<String>,
}

/// An invocation, as its INVOKE event describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) trace_id: Option<String>,
    /// True if it was the first of its environment. `None` if nobody counted.
    pub(crate) is_first: Option<bool>,
}

/// Lambda's answer to the registration.
pub(super) fn function(raw: &[u8]) -> Function {
    let object = object(raw);
    Function {
        name: string(&object, "functionName"),
        version: string(&object, "functionVersion"),
        handler: string(&object, "handler"),
    }
}

/// What the wrapper handed over: `NAME=value`, a zero byte after each.
pub(super) fn handed_over(raw: &[u8]) -> HandedOver {
    let of = |name: &str| {
        let variables = raw.split(|byte| *byte == 0);
        let value =
            variables.filter_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        value
            .filter(|value| !value.is_empty())
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .next()
    };
    HandedOver {
        log_group: of("AWS_LAMBDA_LOG_GROUP_NAME"),
        task_root: of("LAMBDA_TASK_ROOT"),
        handler: of("_HANDLER"),
        runtime: of("AWS_EXECUTION_ENV").and_then(|environment| language(&environment).map(str::to_owned)),
    }
}

/// The language of `AWS_Lambda_python3.13` and the like, as records name it. OS-only runtimes have none.
fn language(environment: &str) -> Option<&'static str> {
    let name = environment.strip_prefix("AWS_Lambda_")?;
    let languages =
        [("python", "python"), ("nodejs", "node"), ("java", "java"), ("ruby", "ruby"), ("dotnet", "dotnet")];
    languages.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, language)| *language)
}

/// The runtime, in a response that holds a failure. `None` if it holds none after all.
pub(super) fn responded(request_id: String, inside: Inside, body: &[u8]) -> Option<Record> {
    let record = match inside {
        Inside::Batch => response::batch(body)?,
        Inside::Durable => response::durable(body)?,
        Inside::Stream => broken_off(body),
    };
    Some(Record { request_id: Some(request_id), ..record })
}

/// A stream that broke off, by its trailers.
fn broken_off(trailers: &[u8]) -> Record {
    let of = |wanted: &str| {
        trailers.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()).then_some(value[1..].trim_ascii())
        })
    };
    let body = of(ERROR_BODY_TRAILER).unwrap_or_default();
    // What is not in base64 is shown as it came.
    let body = STANDARD.decode(body).unwrap_or_else(|_| body.to_vec());
    let mut record = normalize::posted(&body);
    let name = of(ERROR_TYPE_HEADER).map(|name| String::from_utf8_lossy(name).into_owned());
    record.error_type = record.error_type.or(name.filter(|name| !name.is_empty()));
    record.phase = Some(Phase::Invoke);
    record.handled = Some(false);
    record
}

/// An INVOKE event. `None` if it names no invocation.
pub(super) fn invocation(raw: &[u8], is_first: bool) -> Option<Invocation> {
    let object = object(raw);
    let trace = object.get("tracing").and_then(Value::as_object);
    Some(Invocation {
        request_id: string(&object, "requestId")?,
        deadline_ms: object.get("deadlineMs").and_then(Value::as_i64),
        trace_id: trace.and_then(|trace| string(trace, "value")),
        is_first: Some(is_first),
    })
}

/// The runtime, to the Runtime API.
pub(super) fn posted(posted: &Posted) -> Record {
    let mut record = normalize::posted(&posted.body);
    let path = posted.path().split('?').next().unwrap_or_default();
    let invocation = path.strip_suffix("/error").and_then(|path| path.rsplit_once("/invocation/"));
    record.phase = Some(match invocation {
        Some(_) => Phase::Invoke,
        None if path.ends_with("/restore/error") => Phase::Restore,
        None => Phase::Init,
    });
    // The path is Lambda's own word for it; what stands in the body is the program's.
    record.request_id = invocation.map(|(_, id)| id.to_owned());
    let header = posted.header(ERROR_TYPE_HEADER).map(|value| String::from_utf8_lossy(value).into_owned());
    record.error_type = record.error_type.or(header.filter(|name| !name.is_empty()));
    record.handled = Some(false);
    if posted.is_truncated {
        record.truncated.insert("body".to_owned(), 1);
    }
    record
}

/// The hook inside the handler's process. `None` if the datagram is not of our making; a report that this build cannot read
/// is a failure all the same, kept as it came.
pub(super) fn captured(datagram: &[u8]) -> Option<Record> {
    match native::datagram(datagram) {
        Ok(record) => Some(record),
        Err(_) if native::is_datagram(datagram) => Some(Record {
            kind: Some(Kind::Panic),
            witnesses: vec![Witness::Capture],
            raw: Some(text::prefix(&String::from_utf8_lossy(datagram), RAW_BYTES_MAX).to_owned()),
            truncated: [("report".to_owned(), 1)].into(),
            ..Record::default()
        }),
        Err(_) => None,
    }
}

/// The runtime or the program, to the log: `block` was found to be one failure's.
pub(super) fn logged<P>(block: &Block<P>, time_ms: Option<i64>) -> Option<Record> {
    let mut record = block.read()?;
    record.witnesses = vec![Witness::Log];
    // Nobody but Lambda sends the signal, and for a timeout it has other words.
    if record.exit.as_ref().is_some_and(|exit| exit.signal.as_deref() == Some("SIGKILL")) {
        record.kind = Some(Kind::Oom);
    }
    record.timestamp = record.timestamp.or(time_ms.map(rfc3339));
    Some(record)
}

/// What the platform says when an invocation or an initialization is over.
pub(super) struct End {
    pub(super) request_id: Option<String>,
    pub(super) phase: Phase,
    /// What it says of the failure, if it was one: that it failed, seldom why.
    pub(super) failure: Option<Record>,
}

/// Reads a platform event. `None` if it is not the end of anything: the set of types is open.
pub(super) fn end(name: &str, event: &Map<String, Value>, time_ms: Option<i64>) -> Option<End> {
    let phase = match name {
        "platform.runtimeDone" | "platform.report" => Phase::Invoke,
        "platform.initRuntimeDone" | "platform.initReport" => Phase::Init,
        "platform.restoreRuntimeDone" | "platform.restoreReport" => Phase::Restore,
        _ => return None,
    };
    let request_id = string(event, "requestId");
    let status = string(event, "status").unwrap_or_default();
    let failure = matches!(status.as_str(), "error" | "failure" | "timeout").then(|| {
        let error_type = string(event, "errorType");
        let message = message(&status, event);
        let mut record = platform::told(error_type.as_deref(), &message).unwrap_or_default();
        if error_type.as_deref().is_some_and(|name| name.starts_with("Extension.")) {
            record.kind = Some(Kind::Extension);
        } else if record.kind == Some(Kind::Exit) && has_used_all_memory(event) {
            record.kind = Some(Kind::Oom);
        }
        Record {
            error_type: record.error_type.clone().or(error_type),
            witnesses: vec![Witness::Platform],
            phase: Some(phase),
            request_id: request_id.clone(),
            handled: Some(false),
            timestamp: time_ms.map(rfc3339),
            ..record
        }
    });
    Some(End { request_id, phase, failure })
}

/// Another extension's failure, which is no end of anything.
pub(super) fn extension(name: &str, event: &Map<String, Value>, time_ms: Option<i64>) -> Option<Record> {
    let failure = (name == "platform.extension").then(|| telemetry::failure(name, event)).flatten()?;
    let message = string(event, "name").map(|name| format!("the extension {name} failed"));
    Some(Record {
        error_message: message.unwrap_or_default(),
        phase: Some(Phase::Init),
        timestamp: time_ms.map(rfc3339),
        ..failure
    })
}

/// What the platform measured of an invocation: the request id, if it has one, and the members of a record's `report`.
pub(super) fn measured(
    name: &str,
    event: &Map<String, Value>,
) -> Option<(Option<String>, Map<String, Value>)> {
    if !matches!(
        name,
        "platform.runtimeDone" | "platform.report" | "platform.initReport" | "platform.restoreReport"
    ) {
        return None;
    }
    let is_init = name == "platform.initReport";
    let metrics = event.get("metrics").and_then(Value::as_object).into_iter().flatten();
    // An initialization's duration is not the invocation's.
    let known = metrics.filter(|(name, _)| !is_init && REPORTED.contains(&name.as_str()));
    let mut report: Map<String, Value> = known.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(kind) = event.get("initializationType").filter(|kind| kind.is_string()) {
        report.insert("initializationType".to_owned(), kind.clone());
    }
    Some((string(event, "requestId"), report))
}

/// What is kept of the platform's metrics.
const REPORTED: [&str; 6] = [
    "durationMs",
    "billedDurationMs",
    "initDurationMs",
    "restoreDurationMs",
    "memorySizeMB",
    "maxMemoryUsedMB",
];

fn has_used_all_memory(event: &Map<String, Value>) -> bool {
    let metric = |name: &str| event.get("metrics")?.get(name)?.as_f64();
    metric("maxMemoryUsedMB").zip(metric("memorySizeMB")).is_some_and(|(used, size)| used >= size)
}

/// The invocation that a platform event begins.
pub(super) fn start<'a>(name: &str, event: &'a Map<String, Value>) -> Option<&'a str> {
    (name == "platform.start").then(|| event.get("requestId")?.as_str()).flatten()
}

/// How many log records the platform dropped before they came here, and why.
pub(super) fn dropped(name: &str, event: &Map<String, Value>) -> Option<(u64, String)> {
    (name == "platform.logsDropped").then(|| {
        let count = event.get("droppedRecords").and_then(Value::as_u64).unwrap_or(1);
        (count, string(event, "reason").unwrap_or_default())
    })
}

/// The SHUTDOWN event: only its reason says that `invocation`, which was open, came to nothing. The set of reasons is open; behind one that
/// is not known, a runtime that broke off has ended.
pub(super) fn shutdown(raw: &[u8], invocation: &Invocation, ending: Ending) -> Option<Record> {
    let reason = string(&object(raw), "shutdownReason").unwrap_or_default().to_ascii_lowercase();
    let (kind, error_type, message) = match reason.as_str() {
        "timeout" => (Kind::Timeout, "Sandbox.Timedout", "Task timed out"),
        "spindown" => return None,
        _ if reason == "failure" || ending == Ending::BrokenOff => {
            (Kind::Exit, "Runtime.ExitError", "the runtime ended")
        }
        _ => return None,
    };
    Some(Record {
        error_message: message.to_owned(),
        error_type: Some(error_type.to_owned()),
        kind: Some(kind),
        phase: Some(Phase::Invoke),
        request_id: Some(invocation.request_id.clone()),
        handled: Some(false),
        witnesses: vec![Witness::Platform],
        ..Record::default()
    })
}

/// When the event `raw` says that its time is over, in milliseconds since 1970.
pub(crate) fn deadline_ms(raw: &[u8]) -> Option<i64> {
    object(raw).get("deadlineMs").and_then(Value::as_i64)
}

/// What the platform would have told the client.
fn message(status: &str, event: &Map<String, Value>) -> String {
    let duration_ms =
        event.get("metrics").and_then(|metrics| metrics.get("durationMs")).and_then(Value::as_f64);
    match (status, duration_ms) {
        ("timeout", Some(duration_ms)) => {
            format!("Task timed out after {:.2} seconds", duration_ms / 1_000.0)
        }
        ("timeout", None) => "Task timed out".to_owned(),
        _ => String::new(),
    }
}

fn object(raw: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(raw).unwrap_or_default()
}

fn string(object: &Map<String, Value>, member: &str) -> Option<String> {
    object.get(member)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
