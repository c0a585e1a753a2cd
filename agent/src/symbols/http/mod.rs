//! One request, one connection, one answer, each step of it bounded.
//!
//! Files of many megabytes come one at a time, so a connection is not kept. A server that could not be connected to, or that was
//! silent, is not asked again as long as the client lives.

mod connect;
mod content;
mod dead;
mod url;

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, StatusCode, header};
use tokio::time::{Instant, timeout};

pub use content::Content;
pub use url::{Url, encode};

use super::limits::{Limits, TEXT_BYTES_MAX};
use dead::Dead;

/// How often an answer may send us elsewhere; curl's users know 50, a store needs one.
const REDIRECTS_MAX: usize = 5;

/// What we call ourselves.
const AGENT: &str = concat!("trace-agent/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is there.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, String),
    /// Somebody is there and says nothing.
    #[error("{0} said nothing for {1:?}")]
    Silent(String, Duration),
    /// It failed before, so it was not asked.
    #[error("{0} failed before")]
    Skipped(String),
    /// The answer took too long in all.
    #[error("it took longer than {0:?}")]
    Slow(Duration),
    /// What was sent is more than is taken, in bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The answer has another status than the one that is wanted.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// The answer sends us where we do not go.
    #[error("the answer redirects to {0:?}, which is not followed")]
    Redirect(String),
    /// The answer is broken, or broke off.
    #[error("{0}")]
    Broken(String),
    /// The file cannot be read or written here.
    #[error(transparent)]
    Local(#[from] io::Error),
}

/// Asks servers.
#[derive(Debug, Default)]
pub struct Client {
    limits: Limits,
    dead: Dead,
    trust: connect::Trust,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Headers; what the protocol itself needs is added.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent along.
    pub content: Content,
    /// Whether to go where the answer sends us. A signature is for one place, so what is signed stays there.
    pub follow: bool,
}

impl Request {
    /// Asks for what lies at `url`.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), content: Content::Empty, follow: true }
    }
}

/// An answer of which the head is there.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    head: header::HeaderMap,
    body: Incoming,
    from: String,
    dead: Dead,
    idle: Duration,
    total: Duration,
    until: Instant,
}

impl Client {
    /// A client with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Sends a request, and gives the answer's head as soon as it is there.
    ///
    /// # Errors
    ///
    /// If nobody answers in time. An answer of whatever status is none.
    pub async fn send(&self, mut request: Request) -> Result<Answer, Error> {
        let until = Instant::now() + self.limits.total;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.once(&request, until).await?;
            if !request.follow || !answer.status.is_redirection() {
                return Ok(answer);
            }
            let Some(to) = answer.header("location") else { return Ok(answer) };
            // A query may be a signature, which is for no log.
            let refused = || Error::Redirect(to.split('?').next().unwrap_or_default().to_owned());
            request.url = request.url.join(to).ok_or_else(refused)?;
        }
        Err(Error::Redirect(request.url.to_string()))
    }

    async fn once(&self, request: &Request, until: Instant) -> Result<Answer, Error> {
        let server = request.url.server();
        if self.dead.has(&server) {
            return Err(Error::Skipped(server));
        }
        let answer = self.ask(request, until).await;
        if matches!(answer, Err(Error::Connect(..) | Error::Silent(..))) {
            self.dead.add(&server);
        }
        answer
    }

    async fn ask(&self, request: &Request, until: Instant) -> Result<Answer, Error> {
        let server = request.url.server();
        let stream = connect::open(&request.url, self.limits.connect, &self.trust)
            .await
            .map_err(|error| Error::Connect(server.clone(), error.to_string()))?;
        let broken = |error: hyper::Error| Error::Broken(said(&error));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
        // It ends with the body, or with the runtime.
        tokio::spawn(connection);
        let mut head = hyper::Request::builder()
            .method(&request.method)
            .uri(request.url.target())
            .header(header::HOST, request.url.authority())
            .header(header::USER_AGENT, AGENT);
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        let body = request.content.body()?;
        // While something is sent, silence is the server's good right.
        let sending = request.content.bytes() > 0;
        let wait = if sending { until.saturating_duration_since(Instant::now()) } else { self.limits.idle };
        let head = head.body(body).map_err(|error| Error::Broken(error.to_string()))?;
        let answer = timeout(wait, sender.send_request(head))
            .await
            .map_err(|_| Error::Silent(server.clone(), wait))?
            .map_err(broken)?;
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status,
            head: head.headers,
            body,
            from: server,
            dead: self.dead.clone(),
            idle: self.limits.idle,
            total: self.limits.total,
            until,
        })
    }
}

impl Answer {
    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name)?.to_str().ok()
    }

    /// Writes the body to `file` as it comes, unpacked if it was packed on its way, and gives its size in bytes.
    ///
    /// # Errors
    ///
    /// If it breaks off, is larger than `max` or than the server itself has said, takes too long, or cannot be written.
    pub async fn save(mut self, file: &mut File, max: u64) -> Result<u64, Error> {
        let mut out = Unpack::new(Capped { to: file, bytes: 0, max }, self.header("content-encoding"))?;
        let size: Option<u64> = self.header("x-debuginfod-size").and_then(|size| size.parse().ok());
        let announced = self.header("content-length").and_then(|size| size.parse().ok());
        if size.max(announced).is_some_and(|bytes: u64| bytes > max) {
            return Err(Error::TooLarge(max));
        }
        while let Some(data) = self.next().await? {
            out.write_all(&data).map_err(|error| capped(error, max))?;
        }
        let bytes = out.finish().map_err(|error| capped(error, max))?;
        match size {
            Some(size) if size != bytes => Err(Error::Broken(format!("{bytes} bytes came of {size}"))),
            _ => Ok(bytes),
        }
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// As [`Answer::save`], with a limit that fits texts.
    pub async fn text(mut self) -> Result<String, Error> {
        let mut text = Vec::new();
        while let Some(data) = self.next().await? {
            if (text.len() + data.len()) as u64 > TEXT_BYTES_MAX {
                return Err(Error::TooLarge(TEXT_BYTES_MAX));
            }
            text.extend_from_slice(&data);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Slow(self.total));
            }
            match timeout(left.min(self.idle), self.body.frame()).await {
                Err(_) if left < self.idle => return Err(Error::Slow(self.total)),
                Err(_) => {
                    self.dead.add(&self.from);
                    return Err(Error::Silent(self.from.clone(), self.idle));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Error::Broken(said(&error))),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    // Trailers say nothing that we need.
                    Err(_) => continue,
                },
            }
        }
    }
}

/// hyper keeps what happened below its own words.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn capped(error: io::Error, max: u64) -> Error {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Error::TooLarge(max),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::Broken(format!("what was packed does not unpack: {error}"))
        }
        _ => Error::Local(error),
    }
}

/// A file that takes so much and no more, however much its sender packed into a few bytes.
struct Capped<'a> {
    to: &'a mut File,
    bytes: u64,
    max: u64,
}

impl Write for Capped<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes + data.len() as u64 > self.max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.to.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Unpack<'a> {
    Plain(Capped<'a>),
    Gzip(Box<MultiGzDecoder<Capped<'a>>>),
}

impl<'a> Unpack<'a> {
    /// We ask for no packing; a server in between, or an object that was stored packed, may do it unasked.
    fn new(to: Capped<'a>, packing: Option<&str>) -> Result<Self, Error> {
        match packing.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity" | "aws-chunked") => Ok(Self::Plain(to)),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(to)))),
            Some(other) => {
                Err(Error::Broken(format!("it is packed with {other:?}, which was not asked for")))
            }
        }
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(data),
            Self::Gzip(out) => out.write_all(data),
        }
    }

    fn finish(self) -> io::Result<u64> {
        match self {
            Self::Plain(out) => Ok(out.bytes),
            Self::Gzip(out) => Ok(out.finish()?.bytes),
        }
    }
}
