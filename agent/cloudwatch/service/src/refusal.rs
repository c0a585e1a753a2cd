//! An answer that says no: the service's name of the error, its HTTP status and its words.

use serde_json::json;

/// Why a request was refused. Nearly all are HTTP 400, throttling and wrong credentials too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The error's name, as in `__type`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// A value that breaks the service's model, in the words of AWS's validation.
    pub(crate) fn constraint(value: &str, member: &str, constraint: &str) -> Self {
        Self::invalid(format!(
            "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    pub(crate) fn group_missing() -> Self {
        Self::new("ResourceNotFoundException", "The specified log group does not exist.")
    }

    pub(crate) fn stream_missing() -> Self {
        Self::new("ResourceNotFoundException", "The specified log stream does not exist.")
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Vec<u8> {
        json!({ "__type": self.kind, "message": self.message }).to_string().into_bytes()
    }
}
