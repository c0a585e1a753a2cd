//! The record of one failure, as it is written: one JSON object on one line.
//!
//! The first three members are those that AWS documents for a failed invocation, with the same names and shapes:
//!
//! ```json
//! {"errorMessage":"I failed!","stackTrace":[["/var/task/lambda_function.py",3,"my_always_fails_handler","raise Exception('I failed!')"]],"errorType":"Exception"}
//! ```
//!
//! Every other member is ours. A value that is not known is absent, or `null` inside a tuple, and never invented.
//! The JSON Schema in `docs/record.schema.json` says the same to machines; it is frozen, and grows only by members.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the record's schema, in the member `schema`.
pub const SCHEMA: u32 = 1;

/// The order of `stackTrace`, in the member `frameOrder`: the most recent call is the last entry, for every runtime.
pub const FRAME_ORDER: &str = "recent-last";

/// One failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// What the failure says of itself; empty if it says nothing.
    pub error_message: String,
    /// The calls that led to the failure, most recent call last.
    pub stack_trace: Vec<StackEntry>,
    /// The kind of error in the words of the language (`KeyError`), `panic`, a signal's name, or `null`.
    pub error_type: Option<String>,
    /// [`FRAME_ORDER`], said once per record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_order: Option<String>,
    /// What four values cannot hold: one object for each entry of `stack_trace`, or none at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// The failures behind this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// The call that started the failing thread or goroutine, where the text says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<StackEntry>,
    /// What the other threads or goroutines did meanwhile. They are no causes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Thread>,
    /// The frame to look at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<Culprit>,
    /// Where the failure was raised, if no frame says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What sort of failure this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// In which phase of the environment's life it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// True if the program caught the failure and only logged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled: Option<bool>,
    /// The error type as it was posted or printed, where `error_type` is a cleaned form of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_error_type: Option<String>,
    /// How the process ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Who saw the failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<Witness>,
    /// When the failure was seen, RFC 3339 in UTC with milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The invocation that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The function that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    /// The function's version or alias, such as `$LATEST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_version: Option<String>,
    /// The X-Ray trace header of the invocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The language that failed, such as `python`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// True if this was the first invocation of its environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_start: Option<bool>,
    /// What invoked the function: event source, shard, sequence numbers or message ids, attempt, age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Map<String, Value>>,
    /// What the platform reports of the invocation, in its own names: `initializationType`, `durationMs`, `memorySizeMB` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Map<String, Value>>,
    /// The last lines that the same request logged before it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// The machine, container or pod, outside Lambda.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Map<String, Value>>,
    /// The stable name of this one failure; see [`crate::fingerprint`] for what it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of an earlier record that this one completes; such a record carries no metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amends: Option<String>,
    /// How many failures this record counts, each equal to one that was written whole: it has no stack of its own; see
    /// [`crate::storm`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Equal for equal failures; see [`crate::fingerprint`] for the algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The version of the fingerprint's algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint_version: Option<u32>,
    /// The bounded original, where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// How many secrets each redaction rule took out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, u32>,
    /// How much was cut from each member to keep the record within its bounds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub truncated: BTreeMap<String, u64>,
    /// [`SCHEMA`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<u32>,
    /// The embedded-metric-format directive; see [`crate::metrics`].
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    pub aws: Option<Value>,
    /// The values of the metrics that `_aws` names, such as `"Failures":1`. They must be root members.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, Value>,
}

/// One call: `[file, line, function, source]`, `null` where a value is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StackTuple", into = "StackTuple")]
pub struct StackEntry {
    /// The file as the language names it.
    pub file: Option<String>,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The function, without its arguments.
    pub function: Option<String>,
    /// The text of that line, without the white space around it.
    pub source: Option<String>,
}

type StackTuple = (Option<String>, Option<u32>, Option<String>, Option<String>);

impl From<StackTuple> for StackEntry {
    fn from((file, line, function, source): StackTuple) -> Self {
        Self { file, line, function, source }
    }
}

impl From<StackEntry> for StackTuple {
    fn from(entry: StackEntry) -> Self {
        (entry.file, entry.line, entry.function, entry.source)
    }
}

/// What a later machine needs to finish a native frame, and what the four values of its entry cannot say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Frame {
    /// The path of the program or library, as the process had it mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The module's GNU build-id, in lower-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The address in the module's own (link-time) address space, such as `0x1a2b`: that of the call, not the return address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How far into the function the call is, such as `0x1d`, where the text tells that instead of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// The column, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// True if the compiler inlined this call into the next outer entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inlined: Option<bool>,
    /// True if this is the user's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_app: Option<bool>,
    /// Why the frame has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Frame {
    /// True if nothing is known beyond the entry's four values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A failure behind a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cause {
    /// As in [`Record`].
    pub error_message: String,
    /// As in [`Record`].
    pub stack_trace: Vec<StackEntry>,
    /// As in [`Record`].
    pub error_type: Option<String>,
    /// How it stands to the failure that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<Relation>,
    /// The failures behind this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
}

/// A thread or goroutine that did not fail itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thread {
    /// What it is called, such as `goroutine 7`.
    pub name: String,
    /// What it did, such as `chan receive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// As in [`Record`].
    pub stack_trace: Vec<StackEntry>,
}

/// How a cause stands to the failure that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// It was raised from it (`raise … from …`, `Caused by:`).
    Cause,
    /// It was being handled when the failure happened.
    Context,
    /// It was suppressed by it.
    Suppressed,
    /// It is one of several that the failure groups.
    Member,
}

/// The innermost frame of the user's own code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Culprit {
    /// The index of the frame in `stackTrace`.
    pub index: usize,
    /// The frame's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The frame's line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The frame's function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

/// A place in a source file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// The file as the compiler recorded it.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// The sorts of failures. The set is open: a reader meets others as [`Kind::Other`] and keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An exception or error of a managed runtime, or a returned `Err`.
    Exception,
    /// A panic of Rust or Go.
    Panic,
    /// Death by a signal that the program did not send itself.
    Signal,
    /// The program gave itself up (`abort`).
    Abort,
    /// The platform's deadline passed.
    Timeout,
    /// The memory ran out.
    Oom,
    /// The process ended without an answer.
    Exit,
    /// The function's initialization failed.
    Init,
    /// An extension failed.
    Extension,
    /// Some items of a batch failed inside a success.
    PartialBatch,
    /// A sort that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl Phase {
    /// The phase as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
            Self::Restore => "restore",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Kind {
    /// The kind as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exception => "exception",
            Self::Panic => "panic",
            Self::Signal => "signal",
            Self::Abort => "abort",
            Self::Timeout => "timeout",
            Self::Oom => "oom",
            Self::Exit => "exit",
            Self::Init => "init",
            Self::Extension => "extension",
            Self::PartialBatch => "partial-batch",
            Self::Other(kind) => kind,
        }
    }
}

/// The phases of an execution environment's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the first invocation.
    Init,
    /// During an invocation.
    Invoke,
    /// After a snapshot was restored.
    Restore,
    /// While the environment was taken down.
    Shutdown,
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// The exit status, if the process ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal's name, such as `SIGSEGV`, if one ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Who saw a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// The body that the runtime posted to the Runtime API.
    RuntimeApi,
    /// What the runtime or the program printed.
    Log,
    /// The platform's own events.
    Platform,
    /// The signal handler of the crash recorder.
    Signal,
    /// The hook inside the handler's process.
    Capture,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record of AWS's documentation for a failing Python function.
    const DOCUMENTED: &str = r#"{"errorMessage":"I failed!","stackTrace":[["/var/task/lambda_function.py",3,"my_always_fails_handler","raise Exception('I failed!')"]],"errorType":"Exception"}"#;

    #[test]
    fn the_documented_record_is_read_and_written_byte_for_byte() {
        let record: Record = serde_json::from_str(DOCUMENTED).unwrap();
        assert_eq!(record.stack_trace[0].line, Some(3));
        assert_eq!(serde_json::to_string(&record).unwrap(), DOCUMENTED);
    }

    #[test]
    fn a_kind_of_a_later_version_survives() {
        let record: Record = serde_json::from_str(r#"{"kind":"brownout"}"#).unwrap();
        assert_eq!(record.kind, Some(Kind::Other("brownout".into())));
        assert!(serde_json::to_string(&record).unwrap().contains(r#""kind":"brownout""#));
    }

    #[test]
    fn a_member_of_a_later_version_survives() {
        let record: Record =
            serde_json::from_str(r#"{"errorMessage":"x","weather":{"sky":"blue"}}"#).unwrap();
        assert!(serde_json::to_string(&record).unwrap().contains(r#""weather":{"sky":"blue"}"#));
    }
}
