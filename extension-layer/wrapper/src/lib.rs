//! How the wrapper finds the extension's proxy, and what it hands over.
//!
//! The extension writes where its proxy listens into a file beside its socket, with a number that nobody else knows, the *nonce*. Whoever starts
//! the runtime reads the file, asks at that address, and believes it only if the answer is the nonce: `/tmp` outlives a reset of the sandbox,
//! and the port in an old file may be somebody else's by now.
//!
//! The question is a POST, so that proxy and question are one thing: what answers is what the runtime will talk to. Its body brings
//! the variables that Lambda gives to runtimes and not to extensions, as `NAME=value` with a zero byte after each.

mod meeting;
mod attach;

pub use attach::{ATTACH_WAIT, attach};
pub use meeting::Meeting;

/// The path of the question.
pub const ATTACH_PATH: &str = "/trace-agent/attach";

/// The variables that are handed over. Lambda gives them to runtimes only
/// (AWS Lambda Developer Guide, "Using the Lambda Extensions API", "Environment variables").
pub const HANDED_OVER: [&str; 5] = [
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_EXECUTION_ENV",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];
