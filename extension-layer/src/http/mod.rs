//! HTTP/1.1, as much of it as Lambda's local APIs and the runtimes' clients use, over sockets that wait and that do not.
//!
//! Heads and bodies are kept and passed on as bytes: the proxy must give Lambda what the runtime sent, in its order and
//! letter case, with header values that are not UTF-8 and trailers that were announced and never came.

mod reader;
mod head;
mod body;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub(crate) use body::{Body, Part, read_body};
pub(crate) use exchange::{Connection, Endpoint, linger, respond};
pub(crate) use head::{Fields, Framing, RequestHead, ResponseHead};
pub(crate) use reader::Reader;

/// Bytes of the longest head: the clients of Go and Java send an X-Ray cause of up to 1 MiB in one header
/// (aws-lambda-go `lambda/runtime_api_client.go`), and the rest of a head is a few hundred bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;
