//! The events of the Telemetry API, as documented in its schema 2022-12-13 and later.
//!
//! On the wire an event is `{"time":"2026-11-23T07:27:52.480Z","type":"platform.start","record":{…}}`.

use std::time::SystemTime;

use serde::Serialize;

use crate::clock;
use crate::fault::Status;

/// When in an environment's life an initialization happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Before the first invocation.
    Init,
    /// Within an invocation, because the environment was reset before.
    Invoke,
}

impl Phase {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Invoke => "invoke",
        }
    }
}

/// What an extension can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Category {
    Platform,
    Function,
    Extension,
}

/// One event without its time.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", content = "record")]
pub(crate) enum Event {
    #[serde(rename = "platform.initStart", rename_all = "camelCase")]
    InitStart {
        initialization_type: &'static str,
        phase: Phase,
        function_name: String,
        function_version: String,
    },
    #[serde(rename = "platform.initRuntimeDone", rename_all = "camelCase")]
    InitRuntimeDone {
        initialization_type: &'static str,
        phase: Phase,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
    },
    #[serde(rename = "platform.initReport", rename_all = "camelCase")]
    InitReport {
        initialization_type: &'static str,
        phase: Phase,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
        metrics: InitMetrics,
    },
    #[serde(rename = "platform.start", rename_all = "camelCase")]
    Start {
        request_id: String,
        version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing>,
    },
    #[serde(rename = "platform.runtimeDone", rename_all = "camelCase")]
    RuntimeDone {
        request_id: String,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
        metrics: RuntimeDoneMetrics,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        spans: Vec<Span>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing>,
    },
    #[serde(rename = "platform.report", rename_all = "camelCase")]
    Report {
        request_id: String,
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
        metrics: ReportMetrics,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        spans: Vec<Span>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracing: Option<Tracing>,
    },
    #[serde(rename = "platform.extension", rename_all = "camelCase")]
    Extension {
        name: String,
        state: &'static str,
        events: Vec<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
    },
    #[serde(rename = "platform.telemetrySubscription")]
    TelemetrySubscription { name: String, state: &'static str, types: Vec<Category> },
    #[serde(rename = "platform.logsDropped", rename_all = "camelCase")]
    LogsDropped { reason: &'static str, dropped_records: u64, dropped_bytes: u64 },
    /// A line that the runtime's process printed.
    #[serde(rename = "function")]
    FunctionLine(String),
    /// A line that an extension printed.
    #[serde(rename = "extension")]
    ExtensionLine(String),
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitMetrics {
    pub(crate) duration_ms: f64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuntimeDoneMetrics {
    pub(crate) duration_ms: f64,
    pub(crate) produced_bytes: usize,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReportMetrics {
    pub(crate) duration_ms: f64,
    pub(crate) billed_duration_ms: u64,
    #[serde(rename = "memorySizeMB")]
    pub(crate) memory_size_mb: u32,
    #[serde(rename = "maxMemoryUsedMB")]
    pub(crate) max_memory_used_mb: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) init_duration_ms: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) start: String,
    pub(crate) duration_ms: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tracing {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

impl Tracing {
    pub(crate) fn new(trace_id: &str) -> Self {
        Self { kind: "X-Amzn-Trace-Id", value: trace_id.to_owned() }
    }
}

impl Event {
    pub(crate) fn category(&self) -> Category {
        match self {
            Self::FunctionLine(_) => Category::Function,
            Self::ExtensionLine(_) => Category::Extension,
            _ => Category::Platform,
        }
    }

    /// Length of a printed line; platform events are small and count as nothing.
    pub(crate) fn line_bytes(&self) -> usize {
        match self {
            Self::FunctionLine(line) | Self::ExtensionLine(line) => line.len(),
            _ => 0,
        }
    }

    /// The event as JSON. With `objects`, a line that is itself a JSON object becomes the record as it stands;
    /// the cloud does so for functions that log JSON.
    pub(crate) fn to_json(&self, time: SystemTime, objects: bool) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            time: &'a str,
            #[serde(flatten)]
            event: &'a Event,
        }
        let time = clock::iso8601(time);
        if let (true, Self::FunctionLine(line) | Self::ExtensionLine(line)) = (objects, self)
            && line.trim_start().starts_with('{')
            && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
        {
            let kind = if matches!(self, Self::FunctionLine(_)) { "function" } else { "extension" };
            return format!(r#"{{"time":"{time}","type":"{kind}","record":{line}}}"#);
        }
        serde_json::to_string(&Envelope { time: &time, event: self })
            .expect("an event holds strings and numbers, which are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn an_event_has_the_documented_envelope() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_418_872_480);
        let start = Event::Start { request_id: "R".into(), version: "$LATEST".into(), tracing: None };
        assert_eq!(
            start.to_json(time, false),
            r#"{"time":"2026-11-23T07:27:52.480Z","type":"platform.start","record":{"requestId":"R","version":"$LATEST"}}"#
        );
        let line = Event::FunctionLine(r#"{"level": "ERROR"}"#.into());
        assert_eq!(
            line.to_json(time, false),
            r#"{"time":"2026-11-23T07:27:52.480Z","type":"function","record":"{\"level\": \"ERROR\"}"}"#
        );
        assert_eq!(
            line.to_json(time, true),
            r#"{"time":"2026-11-23T07:27:52.480Z","type":"function","record":{"level": "ERROR"}}"#
        );
    }
}
