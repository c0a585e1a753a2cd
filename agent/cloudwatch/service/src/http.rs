//! HTTP/1.1 as far as an SDK speaks it: a head and a body of announced length in, an answer of announced length out.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::clock::Time;
use crate::limits::BODY_BYTES_MAX;

/// Bytes of a request's head; more is answered by 431.
const HEAD_BYTES_MAX: usize = 64 * 1_024;

/// Headers of a request; more is answered by 431.
const HEADERS_MAX: usize = 100;

/// Bytes of a body that is too large and still read, so that its sender hears the answer before the connection ends.
const DISCARDED_BYTES_MAX: usize = 64 * 1_048_576;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1_024;

/// What stands before a request's body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// The names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client has gone, or has sent nothing for too long.
    Gone,
    /// It is answered by this status, and the connection closed.
    Refused(u16),
}

/// Reads requests from a connection, one after the other.
pub(crate) struct Reader<'a> {
    stream: &'a TcpStream,
    /// What was read and not yet used.
    ahead: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// The head of the next request.
    pub(crate) fn head(&mut self) -> Result<Head, Broken> {
        loop {
            if let Some((head, bytes)) = parse(&self.ahead)? {
                self.ahead.drain(..bytes);
                return Ok(head);
            }
            if self.ahead.len() > HEAD_BYTES_MAX {
                return Err(Broken::Refused(431));
            }
            self.fill()?;
        }
    }

    /// The body that belongs to `head`.
    pub(crate) fn body(&mut self, head: &Head) -> Result<Vec<u8>, Broken> {
        if head.header("transfer-encoding").is_some() {
            return Err(Broken::Refused(501));
        }
        let length = match head.header("content-length") {
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse::<usize>().unwrap_or(usize::MAX)
            }
            Some(_) => return Err(Broken::Refused(400)),
            None => 0,
        };
        if length > BODY_BYTES_MAX {
            self.discard(length)?;
            return Err(Broken::Refused(413));
        }
        if head.header("expect").is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Broken::Gone)?;
        }
        while self.ahead.len() < length {
            self.fill()?;
        }
        let after = self.ahead.split_off(length);
        Ok(std::mem::replace(&mut self.ahead, after))
    }

    /// Reads on until the client goes, and keeps nothing.
    pub(crate) fn until_gone(&mut self) {
        while self.fill().is_ok() {
            self.ahead.clear();
        }
    }

    fn discard(&mut self, length: usize) -> Result<(), Broken> {
        let mut read = self.ahead.len();
        while read < length.min(DISCARDED_BYTES_MAX) {
            self.ahead.clear();
            self.fill()?;
            read += self.ahead.len();
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Broken> {
        let mut buffer = [0; READ_BYTES];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Broken::Gone),
                Ok(count) => {
                    self.ahead.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Broken::Gone),
            }
        }
    }
}

/// A head and its length, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Broken::Refused(431));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Broken::Refused(400)),
    };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (method, target) = (text(request.method), text(request.path));
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    Ok(Some((Head { method, target, headers: request.headers.iter().map(header).collect() }, length)))
}

/// An answer as it goes over the wire.
pub(crate) fn answer(
    status: u16,
    content_type: &str,
    body: &[u8],
    (now, number): (Time, u64),
    retry_after: Option<u32>,
) -> Vec<u8> {
    let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nx-amzn-RequestId: 00000000-0000-4000-8000-{number:012x}\r\nDate: {}\r\nContent-Type: \
         {content_type}\r\n{retry_after}Content-Length: {}\r\n\r\n",
        reason(status),
        now.http(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
