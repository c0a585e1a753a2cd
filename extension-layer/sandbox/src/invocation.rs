//! An invocation as the client asks for it, and what becomes of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::fault::Status;
use crate::telemetry::event::Tracing;

/// Largest event and largest response of a synchronous invocation: 6 MiB, and 100 bytes over
/// [Runtime Interface Emulator, `interop.MaxPayloadSize`].
pub(crate) const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// One event for the function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The event, JSON. Empty means `{}`, as in the cloud.
    pub payload: Bytes,
    /// The request id; a random UUID when there is none.
    pub request_id: Option<String>,
    /// `X-Amzn-Trace-Id`, such as `Root=1-…;Parent=…;Sampled=1`. Without it the runtime and the extensions are
    /// told of no trace.
    pub trace_id: Option<String>,
    /// Client context of a mobile application, JSON.
    pub client_context: Option<String>,
    /// Cognito identity of the caller, JSON.
    pub cognito_identity: Option<String>,
}

impl Invocation {
    /// An event without anything around it.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }
}

/// An [`Invocation`] on its way: what the runtime and the extensions are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) request_id: String,
    /// Names this attempt (`Lambda-Runtime-Invocation-Id`).
    pub(crate) invocation_id: String,
    pub(crate) deadline: SystemTime,
    pub(crate) function_arn: String,
    pub(crate) payload: Bytes,
    pub(crate) trace_id: Option<String>,
    pub(crate) client_context: Option<String>,
    pub(crate) cognito_identity: Option<String>,
}

impl Current {
    pub(crate) fn tracing(&self) -> Option<Tracing> {
        self.trace_id.as_deref().map(Tracing::new)
    }
}

/// What the invoking client gets, and how it came to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeOutcome {
    /// The invocation's request id.
    pub request_id: String,
    /// HTTP status of the Invoke API's answer: 200, for a function error as well.
    pub status_code: u16,
    /// `X-Amz-Function-Error`: `Unhandled` when the function failed.
    pub function_error: Option<String>,
    /// The body, byte for byte what the client gets.
    pub payload: Bytes,
    /// How the invocation ended as far as the client is concerned.
    pub status: Status,
    /// `errorType` of the platform's events, such as `Runtime.ExitError`; of an error that the runtime posted
    /// without a type of the documented form, `Runtime.Unknown`. The function's own type is in `payload`.
    pub error_type: Option<String>,
    /// From the start of the invocation to the answer, with a repeated initialization.
    pub duration: Duration,
}

/// What is known of an invocation once the environment is free for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The invocation's request id.
    pub request_id: String,
    /// How it ended in `platform.report`; an extension that crashed or overran after the answer shows here only.
    pub status: Status,
    /// `errorType` in `platform.report`.
    pub error_type: Option<String>,
    /// From the start to the runtime's next call, or to its end.
    pub runtime_duration: Duration,
    /// How much longer the extensions held the environment (`PostRuntimeExtensionsDuration`).
    pub post_runtime_extensions_duration: Duration,
    /// Most memory that the runtime's process has held so far, in MB; 0 where the system does not tell.
    pub memory_peak_mb: u64,
    /// Whether the environment was reset, so that the next invocation begins with an initialization.
    pub reset: bool,
}
