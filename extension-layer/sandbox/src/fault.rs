//! What can end an environment before its time, and the words in which Lambda tells it.
//!
//! The texts are those of the cloud and of the Runtime Interface Emulator, which take them from Go: Go's names
//! of signals, Go's `exit status`.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// How an invocation or an initialization ended, in the telemetry's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The function answered.
    Success,
    /// The function reported an error, or its process ended.
    Error,
    /// The time was over before the runtime and the extensions were done.
    Timeout,
    /// The environment around the function failed: an extension.
    Failure,
}

impl Status {
    /// The word in telemetry and in `REPORT` lines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// The first thing that went wrong in an environment. Each ends it.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The runtime posted to `/init/error`.
    RuntimeInit { body: Bytes, error_type: String },
    /// The runtime's process ended.
    RuntimeExit(ExitStatus),
    /// The runtime's program could not be started.
    RuntimeLaunch(Arc<io::Error>),
    /// The program of the extension with this position in the configuration could not be started.
    ExtensionLaunch { position: usize, error: Arc<io::Error> },
    /// An extension posted to `/extension/init/error`.
    ExtensionInit { reported: String },
    /// An extension posted to `/extension/exit/error`.
    ExtensionExit { reported: String },
    /// An extension's process ended.
    ExtensionCrash(ExitStatus),
    /// The time was over.
    Timeout(Duration),
}

impl Fault {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::RuntimeInit { .. } | Self::RuntimeExit(_) | Self::RuntimeLaunch(_) => Status::Error,
            Self::Timeout(_) => Status::Timeout,
            Self::ExtensionLaunch { .. }
            | Self::ExtensionInit { .. }
            | Self::ExtensionExit { .. }
            | Self::ExtensionCrash(_) => Status::Failure,
        }
    }

    /// The `errorType` of platform events, and, unless the runtime posted a body, of the client's answer.
    pub(crate) fn error_type(&self) -> &str {
        match self {
            Self::RuntimeInit { error_type, .. } => error_type,
            Self::RuntimeExit(_) => "Runtime.ExitError",
            Self::RuntimeLaunch(_) => "Runtime.InvalidEntrypoint",
            Self::ExtensionLaunch { .. } => "Extension.LaunchError",
            Self::ExtensionInit { .. } => "Extension.InitError",
            Self::ExtensionExit { .. } => "Extension.ExitError",
            Self::ExtensionCrash(_) => "Extension.Crash",
            Self::Timeout(_) => "Sandbox.Timedout",
        }
    }

    /// The reason in the `SHUTDOWN` event that the extensions get.
    pub(crate) fn shutdown_reason(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            _ => "failure",
        }
    }

    /// The body that the invoking client gets.
    pub(crate) fn payload(&self, request_id: &str) -> Bytes {
        match self {
            Self::RuntimeInit { body, .. } => body.clone(),
            _ => error_body(self.error_type(), &format!("RequestId: {request_id} Error: {}", self.message())),
        }
    }

    /// What is said after `Error: `.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::RuntimeInit { error_type, .. } => format!("Runtime failed to initialize: {error_type}"),
            Self::RuntimeExit(status) if status.success() => {
                "Runtime exited without providing a reason".to_owned()
            }
            Self::RuntimeExit(status) => format!("Runtime exited with error: {}", exit_text(*status)),
            Self::RuntimeLaunch(error) | Self::ExtensionLaunch { error, .. } => error.to_string(),
            Self::ExtensionInit { reported } | Self::ExtensionExit { reported } => reported.clone(),
            Self::ExtensionCrash(status) if status.success() => "exit code 0".to_owned(),
            Self::ExtensionCrash(status) => exit_text(*status),
            Self::Timeout(limit) => format!("Task timed out after {:.2} seconds", limit.as_secs_f64()),
        }
    }
}

/// `{"errorType":…,"errorMessage":…}`, in the order in which Lambda writes the two.
pub(crate) fn error_body(error_type: &str, message: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        error_type: &'a str,
        error_message: &'a str,
    }
    let body = Body { error_type, error_message: message };
    serde_json::to_vec(&body).expect("two strings are always JSON").into()
}

/// Lambda's reading of a `Lambda-Runtime-Function-Error-Type` header. What has `Runtime.` or `Function.` and a
/// capitalized word of two letters or more in it passes, anything else becomes unknown
/// [Runtime Interface Emulator, fatalerror.go: `(Runtime|Function)\.[A-Z][a-zA-Z]+`, not anchored].
pub(crate) fn classified(header: Option<&[u8]>) -> String {
    let header = header.map(String::from_utf8_lossy).unwrap_or_default();
    let passes = ["Runtime.", "Function."].iter().any(|prefix| {
        header.match_indices(prefix).any(|(at, _)| {
            let reason = &header.as_bytes()[at + prefix.len()..];
            matches!(reason, [first, second, ..] if first.is_ascii_uppercase() && second.is_ascii_alphabetic())
        })
    });
    match passes {
        true => header.into_owned(),
        false if header.starts_with("Function.") => "Function.Unknown".to_owned(),
        false => "Runtime.Unknown".to_owned(),
    }
}

/// An exit status as Go's `os.ProcessState` prints it.
fn exit_text(status: ExitStatus) -> String {
    /// Go's `syscall.Signal.String` on Linux, from signal 1 on.
    const NAMES: [&str; 15] = [
        "hangup",
        "interrupt",
        "quit",
        "illegal instruction",
        "trace/breakpoint trap",
        "aborted",
        "bus error",
        "floating point exception",
        "killed",
        "user defined signal 1",
        "segmentation fault",
        "user defined signal 2",
        "broken pipe",
        "alarm clock",
        "terminated",
    ];
    let Some(signal) = status.signal() else {
        return format!("exit status {}", status.code().unwrap_or_default());
    };
    match usize::try_from(signal - 1).ok().and_then(|index| NAMES.get(index)) {
        Some(name) => format!("signal: {name}"),
        None => format!("signal: signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime_exit(wait_status: i32) -> String {
        let payload = Fault::RuntimeExit(ExitStatus::from_raw(wait_status)).payload("R");
        String::from_utf8(payload.to_vec()).unwrap()
    }

    #[test]
    fn an_exit_is_told_in_the_words_recorded_from_the_emulator() {
        assert_eq!(
            runtime_exit(7 << 8),
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: R Error: Runtime exited with error: exit status 7"}"#
        );
        assert!(runtime_exit(11).contains("Runtime exited with error: signal: segmentation fault"));
        assert!(runtime_exit(9).contains("signal: killed"));
        assert!(runtime_exit(6).contains("signal: aborted"));
        assert!(runtime_exit(40).contains("signal: signal 40"));
        assert!(runtime_exit(0).contains("Error: Runtime exited without providing a reason"));
    }

    #[test]
    fn a_timeout_is_told_with_two_decimals() {
        let payload = Fault::Timeout(Duration::from_secs(3)).payload("R");
        assert_eq!(
            payload,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: R Error: Task timed out after 3.00 seconds"}"#
        );
    }

    #[test]
    fn only_an_error_type_of_the_documented_form_passes() {
        for (header, read) in [
            (Some("Runtime.ImportModuleError"), "Runtime.ImportModuleError"),
            (Some("Function.MyError"), "Function.MyError"),
            (Some("my Function.Ab"), "my Function.Ab"),
            (Some("Function.x"), "Function.Unknown"),
            (Some("Function<RuntimeError>"), "Runtime.Unknown"),
            (Some("unhandled"), "Runtime.Unknown"),
            (Some("Runtime.E"), "Runtime.Unknown"),
            (None, "Runtime.Unknown"),
        ] {
            assert_eq!(classified(header.map(str::as_bytes)), read, "{header:?}");
        }
    }
}
