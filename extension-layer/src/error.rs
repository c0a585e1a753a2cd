//! What can go wrong on the wires of the extension.

use std::io;

/// A failed exchange with Lambda, the runtime, or the worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A socket or pipe failed.
    #[error("{what} failed")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The other side closed in the middle of a message.
    #[error("the connection was closed in the middle of {what}")]
    Closed {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes that are no HTTP/1.1, or no frame.
    #[error("malformed {what}")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// More bytes than the bound allows.
    #[error("{what} is longer than {bytes_max} bytes")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// The bound.
        bytes_max: usize,
    },
    /// `AWS_LAMBDA_RUNTIME_API` is missing or cannot be read.
    #[error(
        "AWS_LAMBDA_RUNTIME_API is {value:?}, which is no host and port; extensions are started by Lambda"
    )]
    Endpoint {
        /// The value.
        value: String,
    },
    /// Lambda refused a call.
    #[error("{call} was answered with {status}: {body}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        body: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, source }
    }
}

/// The result of everything here that can fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;
