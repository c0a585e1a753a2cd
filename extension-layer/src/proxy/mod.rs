//! The Runtime API proxy: stands between the runtime and Lambda, passes everything on, and keeps a copy of errors.
//!
//! Every path is byte-transparent: a request reaches Lambda with the start line, the fields, the chunks and the trailers
//! that the runtime sent, in its order, and an answer comes back likewise. Only `Host` is ours, and the fields that
//! concern a single connection (RFC 9110 7.6.1) end here; `Transfer-Encoding`, `TE` and `Trailer` stay, since the framing
//! of the body stays. Nothing is buffered but heads and the copies of errors, which are bounded.
//!
//! The proxy has no time limit anywhere: the process may be frozen inside any call, and the other side is Lambda. It
//! fails as the connection without it would: if Lambda closes, the runtime's connection is closed; if the runtime closes
//! while it waits for an invocation, so is Lambda's, or the next event would go to a runtime that is dead.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::api::pause;
use crate::bare::Source;
use crate::capture::Capture;
use crate::error::{Error, Result};
use crate::http::{Endpoint, Fields, Framing, Reader, RequestHead, ResponseHead, linger, respond, walk};
use crate::link::{Failure, Message, Posted, Worker};
use crate::say::{guarded, lock, spawn};
use crate::turn::{Answer, Turn};

/// Connections of the runtime at once: Managed Instances ask for as many invocations as they may run side by side. One more
/// waits in the listener's queue until another is closed.
const CONNECTIONS_MAX: usize = 256;

/// Bytes of an error's body that are copied: Lambda's own limit (6 MiB and 100 bytes), since half a JSON text says nothing. What
/// is longer is passed on whole, and its copy marked.
const COPY_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// Bytes of an event that are copied: what invoked the function stands in every record of a batch, and ids are short. Of more, what comes
/// first is enough.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Fields that concern one connection only, besides those that `Connection` lists.
const HOP_BY_HOP: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

/// The header of an invocation with its id.
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// The proxy's work.
pub(crate) struct Proxy {
    lambda: Endpoint,
    worker: Arc<Worker>,
    turn: Arc<Turn>,
    /// What the handler had to say of itself, which it said before its runtime posted anything.
    capture: Option<Arc<Capture>>,
    connections: Mutex<usize>,
    closed: Condvar,
}

impl Proxy {
    /// Starts to accept on `listener` and to pass on to `lambda`.
    pub(crate) fn start(
        listener: TcpListener,
        lambda: Endpoint,
        worker: Arc<Worker>,
        turn: Arc<Turn>,
        capture: Option<Arc<Capture>>,
    ) -> io::Result<()> {
        let proxy =
            Proxy { lambda, worker, turn, capture, connections: Mutex::new(0), closed: Condvar::new() };
        spawn("proxy", move || Arc::new(proxy).accept(&listener))
    }

    fn drain_capture(&self) {
        if let Some(capture) = &self.capture {
            capture.drain();
        }
    }

    fn accept(self: Arc<Proxy>, listener: &TcpListener) {
        let mut failures = 0;
        // A number of its own for each connection of the runtime.
        for number in 0.. {
            self.wait_for_room();
            let accepted = listener.accept().and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                let proxy = Arc::clone(&self);
                *lock(&self.connections) += 1;
                let started = spawn("proxy", move || {
                    let exchanges =
                        Exchanges { proxy: &proxy, number, runtime: Reader::new(stream), lambda: None };
                    guarded(|| exchanges.run());
                    proxy.turn.runtime_left(number);
                    proxy.left();
                });
                started.inspect_err(|_| self.left())
            });
            match accepted {
                Ok(()) => failures = 0,
                Err(_) => {
                    thread::sleep(pause(failures));
                    failures += 1;
                }
            }
        }
    }

    fn wait_for_room(&self) {
        let mut connections = lock(&self.connections);
        while *connections >= CONNECTIONS_MAX {
            connections = self.closed.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn left(&self) {
        *lock(&self.connections) -= 1;
        self.closed.notify_one();
    }
}

/// What a request is about, as far as it concerns us.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// The runtime asks for an invocation.
    Next,
    /// It answers the one with this id.
    Response(String),
    /// It reports that this one failed.
    Error(String),
    /// It reports that it could not start, or not be restored.
    InitError,
    Other,
}

impl Route {
    fn of(method: &str, target: &str) -> Route {
        let path = target.split('?').next().unwrap_or_default();
        let Some((_, call)) = path.split_once("/runtime/") else { return Route::Other };
        let call: Vec<&str> = call.split('/').collect();
        match (method, &*call) {
            ("GET", ["invocation", "next"]) => Route::Next,
            ("POST", ["invocation", request_id, "response"]) => Route::Response((*request_id).to_owned()),
            ("POST", ["invocation", request_id, "error"]) => Route::Error((*request_id).to_owned()),
            ("POST", ["init" | "restore", "error"]) => Route::InitError,
            _ => Route::Other,
        }
    }

    fn is_error(&self) -> bool {
        matches!(self, Route::Error(_) | Route::InitError)
    }
}

/// One connection of the runtime and the one to Lambda that belongs to it.
struct Exchanges<'a> {
    proxy: &'a Proxy,
    number: u64,
    runtime: Reader<TcpStream>,
    lambda: Option<Reader<TcpStream>>,
}

/// The copy of an error's body.
#[derive(Default)]
struct Copied {
    body: Vec<u8>,
    is_truncated: bool,
}

impl Exchanges<'_> {
    /// Passes on one request after the other until either side has enough. An error ends the connection, which is what the
    /// other side would have seen without us.
    fn run(mut self) {
        while let Ok(true) = self.exchange() {}
    }

    /// Passes on one request and its answer. False if the connection ends with it.
    fn exchange(&mut self) -> Result<bool> {
        let Some(head) = self.runtime.head()? else { return Ok(false) };
        let parsed = RequestHead::parse(head).and_then(|request| Ok((request.framing()?, request)));
        let Ok((framing, request)) = parsed else { return self.refuse("400 Bad Request") };
        let Ok(mut lambda) = self.send_head(&request) else { return self.refuse("502 Bad Gateway") };
        let has_continued = request.fields.has_token("expect", "100-continue");
        if has_continued {
            write_runtime(self.runtime.stream(), b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (method, keeps_alive) = (request.method.clone(), request.keeps_alive());
        let route = Route::of(&method, &request.target);

        let mut copied = route.is_error().then(Copied::default);
        let passed = pass_body(&mut self.runtime, framing, lambda.stream(), copied.as_mut());
        // While Lambda works on its answer, and also if there will be none: the failure is real in any case.
        if let Some(mut copied) = copied {
            copied.is_truncated |= !matches!(passed, Ok(true));
            self.report(&route, request, copied);
        }
        let is_sent = passed?;
        if route == Route::Next {
            self.proxy.turn.runtime_waits(self.number);
            self.proxy.drain_capture();
            self.proxy.worker.tell(&Message::RuntimeNext);
            wait_for_invocation(&lambda, self.runtime.stream())?;
        }

        let answer = loop {
            let head = lambda.head()?.ok_or(Error::Closed { what: "an exchange with Lambda" })?;
            let answer = ResponseHead::parse(head)?;
            match answer.status {
                // Ours went out already.
                100 if has_continued => {}
                100..=199 => write_runtime(self.runtime.stream(), answer.fields.head())?,
                _ => break answer,
            }
        };
        self.note(&route, &answer);
        let framing = answer.framing(&method)?;
        let keeps_runtime = keeps_alive && is_sent && framing != Framing::UntilClose;
        let close = if keeps_runtime { "" } else { "Connection: close\r\n" };
        write_runtime(
            self.runtime.stream(),
            &own_head(&answer.fields, answer.fields.start_line(), None, close),
        )?;
        let runtime = self.runtime.stream();
        let given =
            (route == Route::Next && answer.status == 200).then(|| Self::request_id(&answer)).flatten();
        let mut event = Vec::new();
        walk(&mut lambda, framing, |raw, content| {
            if given.is_some() {
                event.extend_from_slice(&content[..content.len().min(EVENT_BYTES_MAX - event.len())]);
            }
            write_runtime(runtime, raw)
        })?;
        if let Some(request_id) = given {
            self.proxy.worker.given(&request_id, event);
        }
        if !is_sent {
            linger(runtime);
        }
        if answer.keeps_alive() && is_sent && framing != Framing::UntilClose {
            self.lambda = Some(lambda);
        }
        Ok(keeps_runtime)
    }

    /// Sends the head of a request to Lambda, on the connection of the last one if that still stands.
    fn send_head(&mut self, request: &RequestHead) -> Result<Reader<TcpStream>> {
        let lambda = &self.proxy.lambda;
        let mut start = request.fields.start_line().to_vec();
        if let Some(space) = memchr::memchr(b' ', &start) {
            start.splice(space + 1..space + 1, lambda.path.bytes());
        }
        let head = own_head(&request.fields, &start, Some(&lambda.authority), "");
        if let Some(open) = self.lambda.take()
            && is_quiet(&open)
            && open.stream().write_all(&head).is_ok()
        {
            return Ok(open);
        }
        let mut stream = lambda.connect().map_err(Error::io("connecting to Lambda"))?;
        stream.write_all(&head).map_err(Error::io("writing to Lambda"))?;
        Ok(Reader::new(stream))
    }

    /// Gives an error to the worker.
    fn report(&self, route: &Route, request: RequestHead, copied: Copied) {
        let (source, request_id) = match route {
            Route::Error(request_id) => (Source::Invocation, Some(request_id)),
            _ => (Source::Init, None),
        };
        let failure = Failure::new(source, request_id.cloned(), &copied.body);
        let posted = Posted::new(request, copied.body, copied.is_truncated);
        self.proxy.drain_capture();
        self.proxy.worker.report(&Message::Posted(posted), Some(failure));
        if let Some(request_id) = request_id {
            self.proxy.turn.runtime_answered(request_id, Answer::Error);
        }
    }

    /// Notes what Lambda's answer says of the invocation, before the runtime learns it.
    fn note(&self, route: &Route, answer: &ResponseHead) {
        match route {
            Route::Next => self.proxy.turn.runtime_runs(self.number, Self::request_id(answer).as_deref()),
            // A response that Lambda refuses is none: the runtime may report an error instead.
            Route::Response(request_id) if (200..300).contains(&answer.status) => {
                self.proxy.turn.runtime_answered(request_id, Answer::Response);
            }
            _ => {}
        }
    }

    /// The invocation that Lambda's answer to `next` is.
    fn request_id(answer: &ResponseHead) -> Option<String> {
        let request_id = answer.fields.get(REQUEST_ID)?;
        std::str::from_utf8(request_id).ok().map(str::to_owned)
    }

    /// Answers in Lambda's place, and ends the connection.
    fn refuse(&self, status: &str) -> Result<bool> {
        respond(self.runtime.stream(), status, false)?;
        linger(self.runtime.stream());
        Ok(false)
    }
}

/// Passes the body of a request on and copies its content. False if Lambda stopped reading before its end, as it does when
/// it refuses a body that is too long: then its answer is there already.
fn pass_body(
    runtime: &mut Reader<TcpStream>,
    framing: Framing,
    mut lambda: &TcpStream,
    mut copied: Option<&mut Copied>,
) -> Result<bool> {
    let mut is_refused = false;
    let walked = walk(runtime, framing, |raw, content| {
        if let Some(copied) = &mut copied {
            let room = COPY_BYTES_MAX - copied.body.len();
            copied.is_truncated |= content.len() > room;
            copied.body.extend_from_slice(&content[..content.len().min(room)]);
        }
        lambda.write_all(raw).map_err(Error::io("writing to Lambda")).inspect_err(|_| is_refused = true)
    });
    if is_refused { Ok(false) } else { walked.map(|()| true) }
}

/// A head as it goes out: the start line `start`, every field that does not end here as it came, `host` in place of the
/// Host field, and `last`.
fn own_head(fields: &Fields, start: &[u8], host: Option<&str>, last: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(fields.head().len() + 64);
    head.extend_from_slice(start);
    for field in fields.iter() {
        let name = std::str::from_utf8(field.name).unwrap_or_default();
        let is_host = name.eq_ignore_ascii_case("host");
        match host {
            Some(host) if is_host => head.extend_from_slice(format!("Host: {host}\r\n").as_bytes()),
            _ if HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) => {}
            // What frames the body must go where the body goes, whatever `Connection` says of it.
            _ if !frames_body(name) && fields.has_token("connection", name) => {}
            _ => head.extend_from_slice(field.line),
        }
    }
    head.extend_from_slice(last.as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

fn frames_body(name: &str) -> bool {
    ["content-length", "transfer-encoding", "trailer", "te"]
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
}

fn write_runtime(mut runtime: &TcpStream, bytes: &[u8]) -> Result<()> {
    runtime.write_all(bytes).map_err(Error::io("writing to the runtime"))
}

/// Waits until Lambda answers, without limit; an error if the runtime is gone before.
fn wait_for_invocation(lambda: &Reader<TcpStream>, runtime: &TcpStream) -> Result<()> {
    while !lambda.has_buffered() {
        let mut waits = [PollFd::new(lambda.stream(), PollFlags::IN), PollFd::new(runtime, PollFlags::RDHUP)];
        match poll(&mut waits, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(|error| Error::Io { what: "waiting for Lambda", source: error.into() })?,
        };
        let [lambda, runtime] = waits.map(|wait| wait.revents());
        if !lambda.is_empty() {
            break;
        }
        if !runtime.is_empty() {
            return Err(Error::Closed { what: "a wait for an invocation" });
        }
    }
    Ok(())
}

/// True if nothing came on an idle connection: neither bytes nor its end.
fn is_quiet(lambda: &Reader<TcpStream>) -> bool {
    let mut waits = [PollFd::new(lambda.stream(), PollFlags::IN | PollFlags::RDHUP)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    !lambda.has_buffered() && poll(&mut waits, Some(&at_once)) == Ok(0)
}

#[cfg(test)]
mod tests;
