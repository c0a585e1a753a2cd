//! What clients and loggers call the parts of a failure.
//!
//! Every writer has names of its own for the same few things. They stand here, in one table for each thing, and nowhere else.
//!
//! | writer | type, message, stack | where |
//! |---|---|---|
//! | Lambda's runtimes, bref | `errorType`, `errorMessage`, `stackTrace` or `trace` or `stack` | at the top, in `message` |
//! | Powertools for Python | `exception_name`, `exception` (a text), `stack_trace.frames` | at the top |
//! | Powertools for TypeScript, bunyan, pino | `name` or `type`, `message`, `stack` | in `error`, `err` |
//! | Powertools for .NET | `type`, `message`, `stack_trace` | in `exception` |
//! | ECS, OpenTelemetry, Datadog | `type` or `kind`, `message`, `stack_trace` or `stacktrace` or `stack` | in `error` or `exception`, nested or with dots |
//! | log4j2 | `name`, `message`, `extendedStackTrace` | in `thrown` |
//! | logback, logstash | `stack_trace` (a text); `className`, `message`, `stepArray` | at the top; in `throwable` |
//! | structlog, python-json-logger, winston, serilog, zap, zerolog | `exception`, `exc_info`, `stack`, `@x`, `errorVerbose`, `stacktrace` | at the top |

use serde_json::{Map, Value};

use crate::normalize::json::parse::text_of;

/// An object as it is parsed.
pub(super) type Object = Map<String, Value>;

/// The names of a failure's parts within one object.
#[derive(Debug)]
pub(super) struct Names {
    /// Of its type.
    pub(super) error_type: &'static [&'static str],
    /// Of its message.
    pub(super) message: &'static [&'static str],
    /// Of its stack.
    pub(super) stack: &'static [&'static str],
}

/// What the runtimes of Lambda post and log. These names say by themselves that there is a failure.
pub(super) const POSTED: Names = Names {
    error_type: &["errorType"],
    message: &["errorMessage"],
    stack: &["stackTrace", "trace", "stack"],
};

/// In an object that is nothing but a failure.
pub(super) const NESTED: Names = Names {
    error_type: &[
        "errorType",
        "type",
        "name",
        "class",
        "class_name",
        "className",
        "exception_class",
        "exc_type",
        "kind",
        "typeName",
        "ClassName",
        "Type",
    ],
    message: &[
        "errorMessage",
        "message",
        "value",
        "exc_value",
        "exception_message",
        "msg",
        "localizedMessage",
        "detail",
        "Message",
    ],
    stack: &[
        "stackTrace",
        "stack_trace",
        "stacktrace",
        "stack",
        "trace",
        "extendedStackTrace",
        "stepArray",
        "frames",
        "backtrace",
        "StackTrace",
        "StackTraceString",
    ],
};

/// At the top of a log line, among what the logger itself says.
pub(super) const LOGGED: Names = Names {
    error_type: &[
        "errorType",
        "error_type",
        "exception_name",
        "exception_type",
        "exceptionType",
        "exc_type",
        "exception_class",
    ],
    message: &[
        "errorMessage",
        "error_message",
        "exception_message",
        "exceptionMessage",
        "exception_value",
        "exc_value",
        "error",
        "err",
    ],
    stack: &[
        "stackTrace",
        "exception",
        "exc_info",
        "stack_trace",
        "errorVerbose",
        "stack",
        "stacktrace",
        "exc_text",
        "@x",
        "Exception",
        "thrown",
        "error_stack",
        "backtrace",
    ],
};

/// The objects within a log line, and within those, that hold a failure.
pub(super) const CONTAINERS: [&str; 13] = [
    "message",
    "err",
    "error",
    "exception",
    "thrown",
    "throwable",
    "stack_trace",
    "attributes",
    "fields",
    "data",
    "msg",
    "record",
    "context",
];

/// Those of them that hold nothing else.
pub(super) const FAILURES: [&str; 6] = ["err", "error", "exception", "thrown", "throwable", "stack_trace"];

/// What a logger's own text is called; it may be the whole of a printed failure.
pub(super) const TEXTS: [&str; 9] =
    ["message", "msg", "event", "@m", "Message", "full_message", "textPayload", "body", "@message"];

/// What the level is called.
pub(super) const LEVELS: [&str; 13] = [
    "level_name",
    "level",
    "log_level",
    "levelname",
    "severity",
    "log.level",
    "@l",
    "LogLevel",
    "Level",
    "lvl",
    "loglevel",
    "severityText",
    "severity_text",
];

/// Members that only a logger writes which the program called: proof that the program had the failure in hand.
pub(super) const LOGGERS: [&str; 4] = ["logger", "logger_name", "loggerName", "log.logger"];

/// What the invocation is called.
pub(super) const REQUEST_IDS: [&str; 9] = [
    "requestId",
    "AWSRequestId",
    "awsRequestId",
    "aws_request_id",
    "function_request_id",
    "request_id",
    "lambda_request_id",
    "faas.invocation_id",
    "RequestId",
];

/// The objects in which loggers keep what they know of the invocation.
pub(super) const CONTEXTS: [&str; 6] = ["span", "context", "lambda", "attributes", "aws", "awsRequest"];

/// What the time is called.
pub(super) const TIMES: [&str; 7] = ["timestamp", "@timestamp", "time", "@t", "ts", "asctime", "Timestamp"];

/// What the function's name is called.
pub(super) const FUNCTIONS: [&str; 3] = ["function_name", "functionName", "faas.name"];

/// What one failure calls the one behind it.
pub(super) const CAUSES: [&str; 7] =
    ["cause", "inner_exception", "innerException", "InnerException", "exc_cause", "causedBy", CHAIN];

/// What else the one behind it may be called; these names have other meanings too. Node's client has `reason` for what an
/// unhandled rejection was rejected with.
pub(super) const REASONS: [&str; 2] = ["reason", "parent"];

/// What a failure calls several others that it stands for. The first of them may stand under one of [`CAUSES`] as well.
pub(super) const MEMBERS: [&str; 7] = [
    "causes",
    "errors",
    "aggregateErrors",
    "inner_exceptions",
    "innerExceptions",
    "InnerExceptions",
    "exceptions",
];

/// What a failure calls those that it suppressed.
pub(super) const SUPPRESSED: [&str; 1] = ["suppressed"];

/// A list of failures in which each is behind the one before it (bref).
pub(super) const CHAIN: &str = "previous";

/// What stands under the first of `names` that is there and not empty.
pub(super) fn first<'a>(object: &'a Object, names: &[&str]) -> Option<&'a Value> {
    names.iter().filter_map(|name| object.get(*name)).find(|value| !is_empty(value))
}

/// True for what says nothing: an empty stack is as good as none.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The first string under `names`, unless it is empty or a word for nothing.
pub(super) fn string<'a>(object: &'a Object, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .filter_map(|name| object.get(*name)?.as_str())
        .find(|text| !matches!(*text, "" | "-" | "undefined" | "null" | "N/A"))
}

/// The type of an object that is a failure. `undefined` is one: Node posts the type of what was thrown.
pub(super) fn error_type<'a>(object: &'a Object, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|name| object.get(*name)?.as_str()).find(|text| !text.is_empty())
}

/// The message of an object that is a failure: a string, or the text of whatever stands there instead.
pub(super) fn message(object: &Object, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| text_of(object.get(*name)?)).map(std::borrow::Cow::into_owned)
}

/// A number that is a number, or a string of one.
pub(super) fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The object under `name`, or what stands under `name.…` with dots for nesting.
pub(super) fn inner<'a>(object: &'a Object, name: &str) -> Option<std::borrow::Cow<'a, Object>> {
    if let Some(Value::Object(inner)) = object.get(name) {
        return Some(std::borrow::Cow::Borrowed(inner));
    }
    let dotted = |(key, value): (&String, &Value)| {
        let key = key.strip_prefix(name)?.strip_prefix('.')?;
        Some((key.to_owned(), value.clone()))
    };
    let inner: Object = object.iter().filter_map(dotted).collect();
    (!inner.is_empty()).then_some(std::borrow::Cow::Owned(inner))
}
