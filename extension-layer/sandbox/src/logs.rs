//! Everything that a function's log stream would hold, in the order in which it happened.
//!
//! Three sources share it: the runtime's lines, the extensions' lines, and the platform's own. Each entry goes to
//! the telemetry subscribers and to the owner of the sandbox.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::LogFormat;
use crate::telemetry::Relay;
use crate::telemetry::event::Event;

/// One line of the function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// When the sandbox read it, or, of the platform, when it happened.
    pub time: SystemTime,
    /// Who wrote it.
    pub source: LogSource,
    /// The line without its `\n`. It may hold `\r`; a line above 256 KiB comes in pieces.
    pub text: String,
}

/// Who wrote a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// The runtime's process, on stdout or stderr.
    Function,
    /// The extension of this name.
    Extension(String),
    /// Lambda itself: `START`, `END`, `REPORT` and the like.
    Platform,
}

/// Takes the function's log, one line after the other. It is called where the lines are read: while it works
/// nothing is read, and a process that prints more than its pipe holds waits, as it would at a terminal. Nothing
/// is queued, so nothing is dropped.
pub type LogSink = Arc<dyn Fn(LogEvent) + Send + Sync>;

/// The log of one sandbox.
pub(crate) struct Logs {
    format: LogFormat,
    sink: LogSink,
    pub(crate) relay: Relay,
}

impl Logs {
    pub(crate) fn new(format: LogFormat, sink: LogSink) -> Self {
        Self { format, sink, relay: Relay::new(format == LogFormat::Json) }
    }

    pub(crate) fn function_line(&self, line: &str) {
        let time = SystemTime::now();
        self.relay.publish(time, &Event::FunctionLine(line.to_owned()));
        (self.sink)(LogEvent { time, source: LogSource::Function, text: line.to_owned() });
    }

    pub(crate) fn extension_line(&self, name: &str, line: &str) {
        let time = SystemTime::now();
        self.relay.publish(time, &Event::ExtensionLine(line.to_owned()));
        (self.sink)(LogEvent { time, source: LogSource::Extension(name.to_owned()), text: line.to_owned() });
    }

    /// A platform event, for subscribers and, in the function's format, for the owner.
    pub(crate) fn platform_event(&self, event: &Event) {
        let time = SystemTime::now();
        self.relay.publish(time, event);
        let text = match self.format {
            LogFormat::Text => text_line(event),
            LogFormat::Json => Some(event.to_json(time, false)),
        };
        if let Some(text) = text {
            (self.sink)(LogEvent { time, source: LogSource::Platform, text });
        }
    }

    /// What the platform says in the log only: why an invocation ended without an answer.
    pub(crate) fn platform_text(&self, text: String) {
        (self.sink)(LogEvent { time: SystemTime::now(), source: LogSource::Platform, text });
    }
}

/// The line that stands in a log stream of format Text for this event, if there is one. The cloud prints
/// `INIT_REPORT` only for an initialization that failed, and `Status:` only for an invocation that the runtime
/// did not answer itself.
fn text_line(event: &Event) -> Option<String> {
    let mut line = String::new();
    // Writing to a string cannot fail.
    let written = match event {
        Event::InitStart { .. } => write!(line, "INIT_START Runtime Version: trace-sandbox"),
        Event::InitReport { error_type: None, .. } => return None,
        Event::InitReport { phase, status, error_type: Some(error_type), metrics, .. } => write!(
            line,
            "INIT_REPORT Init Duration: {:.2} ms\tPhase: {}\tStatus: {}\tError Type: {error_type}",
            metrics.duration_ms,
            phase.word(),
            status.word()
        ),
        Event::Start { request_id, version, .. } => {
            write!(line, "START RequestId: {request_id} Version: {version}")
        }
        Event::RuntimeDone { request_id, .. } => write!(line, "END RequestId: {request_id}"),
        Event::Report { request_id, status, error_type, metrics, .. } => {
            let written = write!(
                line,
                "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
                 Max Memory Used: {} MB\t",
                metrics.duration_ms,
                metrics.billed_duration_ms,
                metrics.memory_size_mb,
                metrics.max_memory_used_mb
            );
            let written = match metrics.init_duration_ms {
                Some(duration) => written.and_then(|()| write!(line, "Init Duration: {duration:.2} ms\t")),
                None => written,
            };
            match error_type.as_deref() {
                Some("Sandbox.Timedout") => written.and_then(|()| write!(line, "Status: timeout")),
                Some(kind) if kind != "Runtime.Unknown" => {
                    written.and_then(|()| write!(line, "Status: {}\tError Type: {kind}", status.word()))
                }
                _ => written,
            }
        }
        Event::Extension { name, state, events, error_type } => {
            let written =
                write!(line, "EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]", events.join(","));
            match error_type {
                Some(kind) => written.and_then(|()| write!(line, "\tError Type: {kind}")),
                None => written,
            }
        }
        Event::TelemetrySubscription { name, state, types } => {
            write!(line, "TELEMETRY\tName: {name}\tState: {state}\tTypes: {types:?}")
        }
        Event::InitRuntimeDone { .. }
        | Event::LogsDropped { .. }
        | Event::FunctionLine(_)
        | Event::ExtensionLine(_) => return None,
    };
    written.is_ok().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Status;
    use crate::telemetry::event::{Category, ReportMetrics};

    fn report(status: Status, error_type: Option<&str>, init_duration_ms: Option<f64>) -> String {
        let metrics = ReportMetrics {
            duration_ms: 1.5,
            billed_duration_ms: 2,
            memory_size_mb: 128,
            max_memory_used_mb: 30,
            init_duration_ms,
        };
        let error_type = error_type.map(str::to_owned);
        let event = Event::Report {
            request_id: "R".into(),
            status,
            error_type,
            metrics,
            spans: vec![],
            tracing: None,
        };
        text_line(&event).unwrap()
    }

    #[test]
    fn a_report_reads_as_in_cloudwatch() {
        let plain = "REPORT RequestId: R\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\t\
                     Max Memory Used: 30 MB\t";
        assert_eq!(report(Status::Success, None, None), plain);
        assert_eq!(report(Status::Error, Some("Runtime.Unknown"), None), plain);
        assert_eq!(report(Status::Success, None, Some(7.0)), format!("{plain}Init Duration: 7.00 ms\t"));
        assert_eq!(
            report(Status::Timeout, Some("Sandbox.Timedout"), None),
            format!("{plain}Status: timeout")
        );
        assert_eq!(
            report(Status::Error, Some("Runtime.ExitError"), None),
            format!("{plain}Status: error\tError Type: Runtime.ExitError")
        );
    }

    #[test]
    fn extensions_and_subscriptions_have_their_lines() {
        let ready = Event::Extension {
            name: "e".into(),
            state: "Ready",
            events: vec!["INVOKE", "SHUTDOWN"],
            error_type: None,
        };
        assert_eq!(text_line(&ready).unwrap(), "EXTENSION\tName: e\tState: Ready\tEvents: [INVOKE,SHUTDOWN]");
        let subscribed = Event::TelemetrySubscription {
            name: "e".into(),
            state: "Subscribed",
            types: vec![Category::Platform, Category::Function],
        };
        assert_eq!(
            text_line(&subscribed).unwrap(),
            "TELEMETRY\tName: e\tState: Subscribed\tTypes: [Platform, Function]"
        );
    }
}
