//! What a call to one of the APIs can come to before it is answered: a refusal, or a wait.

/// A refused request: what the APIs answer to a call that does not fit the caller's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error_type: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn forbidden(error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status: 403, error_type, message: message.into() }
    }
}

/// Names one long poll.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Poll(u64);

impl Poll {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
