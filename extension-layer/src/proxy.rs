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
mod tests {
    use std::io::Read;

    use super::*;
    use crate::link::testing::{Written, later, shell};

    /// The id of the recorded requests.
    const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fc1";

    /// A proxy in front of a Lambda that is played by the test, with a worker that dies at once.
    struct Stand {
        lambda: TcpListener,
        runtime: TcpStream,
        worker: Arc<Worker>,
        turn: Arc<Turn>,
        written: Written,
    }

    fn stand() -> Stand {
        let lambda = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // It ends a test that hangs.
        runtime.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let (worker, written) = shell("exit 1");
        let turn = Arc::new(Turn::default());
        let endpoint = Endpoint::parse(&lambda.local_addr().unwrap().to_string()).unwrap();
        Proxy::start(listener, endpoint, Arc::clone(&worker), Arc::clone(&turn), None).unwrap();
        Stand { lambda, runtime, worker, turn, written }
    }

    impl Stand {
        /// Sends `request` and lets Lambda answer with `answer`: what Lambda and the runtime got.
        fn exchange(&mut self, request: &[u8], answer: &[u8]) -> (Vec<u8>, Vec<u8>) {
            let mut connection = None;
            self.exchange_on(&mut connection, request, answer)
        }

        fn exchange_on(
            &mut self,
            connection: &mut Option<TcpStream>,
            request: &[u8],
            answer: &[u8],
        ) -> (Vec<u8>, Vec<u8>) {
            let mut runtime = self.runtime.try_clone().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| (&self.runtime).write_all(request).unwrap());
                let lambda = connection.get_or_insert_with(|| self.lambda.accept().unwrap().0);
                let mut got = vec![0; self.expected(request).len()];
                lambda.read_exact(&mut got).unwrap();
                lambda.write_all(answer).unwrap();
                let mut answered = vec![0; answer.len()];
                runtime.read_exact(&mut answered).unwrap();
                (got, answered)
            })
        }

        /// `request` with Lambda's address in its Host field.
        fn expected(&self, request: &[u8]) -> Vec<u8> {
            let host = format!("Host: {}\r\n", self.lambda.local_addr().unwrap());
            let at = memchr::memmem::find(request, b"Host: proxy\r\n").unwrap();
            [&request[..at], host.as_bytes(), &request[at + "Host: proxy\r\n".len()..]].concat()
        }
    }

    /// Error posts as the runtimes' clients sent them to a recorder, the paths of the machine aside: awslambdaric 4.2.2
    /// under python3.12, aws-lambda-go @815d21f (its trailers are announced and never come), lambda_runtime 1.5.0, and
    /// aws-lambda-ric 4.0.2 (a stream that fails after its first part).
    fn recorded() -> Vec<Vec<u8>> {
        let python = format!(
            concat!(
                "POST /2018-06-01/runtime/invocation/{id}/error HTTP/1.1\r\nHost: proxy\r\nAccept: */*\r\n",
                "content-type: application/json\r\n",
                "lambda-runtime-function-xray-error-cause: {{\"working_directory\": \"/var/task\", \"exceptions\": ",
                "[{{\"message\": \"K\u{e4}se \u{20ac}\", \"type\": \"Exception\", \"stack\": []}}], \"paths\": []}}\r\n",
                "User-Agent: aws-lambda-python/3.12.7-4.2.2\r\nLambda-Runtime-Invocation-Id: attempt-1\r\n",
                "content-length: 55\r\n\r\n",
                "{{\"errorMessage\": \"I failed!\", \"errorType\": \"Exception\"}}"
            ),
            id = ID
        );
        let go = format!(
            concat!(
                "POST /2018-06-01/runtime/invocation/{id}/error HTTP/1.1\r\nHost: proxy\r\n",
                "User-Agent: aws-lambda-go/go1.27.3\r\nTransfer-Encoding: chunked\r\n",
                "Trailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type\r\n",
                "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
                "36\r\n{{\"errorMessage\":\"I failed!\",\"errorType\":\"errorString\"}}\r\n0\r\n\r\n"
            ),
            id = ID
        );
        let rust = format!(
            concat!(
                "POST /2018-06-01/runtime/invocation/{id}/error HTTP/1.1\r\n",
                "lambda-runtime-function-error-type: unhandled\r\nuser-agent: aws-lambda-rust/1.1.1\r\n",
                "Host: proxy\r\ncontent-length: 47\r\n\r\n",
                "{{\"errorType\":\"E\",\"errorMessage\":\"disk is full\"}}"
            ),
            id = ID
        );
        let node = format!(
            concat!(
                "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: proxy\r\n",
                "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
                "Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n",
                "Transfer-Encoding: chunked\r\n\r\n5\r\npart1\r\n0\r\n",
                "Lambda-Runtime-Function-Error-Type: Error\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n"
            ),
            id = ID
        );
        [python, go, rust, node].map(String::into_bytes).to_vec()
    }

    const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nDate: x\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

    #[test]
    fn what_a_runtime_sends_is_what_lambda_gets_and_the_other_way_round() {
        for request in recorded() {
            let mut stand = stand();
            let (got, answered) = stand.exchange(&request, ACCEPTED);
            assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(stand.expected(&request)).unwrap());
            assert_eq!(answered, ACCEPTED);
        }
    }

    #[test]
    fn both_connections_are_kept_and_unknown_headers_of_an_invocation_pass() {
        let mut stand = stand();
        let mut connection = None;
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: proxy\r\n\r\n";
        let event = format!(
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {ID}\r\nLambda-Runtime-Invocation-Id: attempt-1\r\nX-New: \u{e4}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{{\"a\"\r\n3\r\n:1}}\r\n0\r\n\r\n"
        );
        for request in recorded() {
            assert_eq!(stand.exchange_on(&mut connection, next, event.as_bytes()).1, event.as_bytes());
            assert_eq!(stand.exchange_on(&mut connection, &request, ACCEPTED).1, ACCEPTED);
        }
    }

    #[test]
    fn an_error_is_copied_and_ends_the_turn() {
        let mut stand = stand();
        stand.turn.opened(ID.to_owned());
        stand.exchange(&recorded()[1], ACCEPTED);
        assert_eq!(stand.turn.wait_answer(later()), Some(Answer::Error));
        assert!(stand.worker.hold(later()));
        let lines = stand.written.lines();
        let expected = r#"{"errorMessage":"I failed!","stackTrace":[],"errorType":"errorString","frameOrder":"recent-last","kind":"exception""#;
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
        assert!(lines[0].contains(&format!(r#""requestId":"{ID}""#)), "{lines:?}");
    }

    #[test]
    fn a_header_of_one_mebibyte_passes() {
        let mut stand = stand();
        let cause = "c".repeat(1024 * 1024 - 1);
        let request = format!(
            "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: proxy\r\nLambda-Runtime-Function-XRay-Error-Cause: {cause}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let (got, answered) = stand.exchange(request.as_bytes(), ACCEPTED);
        assert!(got == stand.expected(request.as_bytes()));
        assert_eq!(answered, ACCEPTED);
    }

    #[test]
    fn fields_of_one_connection_end_here() {
        let mut stand = stand();
        let request = b"POST /x HTTP/1.1\r\nConnection: keep-alive, X-Hop\r\nA: b\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 1\r\n\r\nz";
        stand.runtime.write_all(request).unwrap();
        let (mut lambda, _) = stand.lambda.accept().unwrap();
        let expected = b"POST /x HTTP/1.1\r\nA: b\r\nContent-Length: 1\r\n\r\nz";
        let mut got = vec![0; expected.len()];
        lambda.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
    }

    #[test]
    fn the_connection_to_lambda_ends_with_a_runtime_that_dies_while_it_waits() {
        let mut stand = stand();
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: proxy\r\n\r\n";
        stand.runtime.write_all(next).unwrap();
        let (mut lambda, _) = stand.lambda.accept().unwrap();
        lambda.read_exact(&mut vec![0; stand.expected(next).len()]).unwrap();
        drop(stand.runtime);
        assert_eq!(lambda.read(&mut [0; 1]).unwrap(), 0);
        stand.turn.opened(ID.to_owned());
        assert_eq!(stand.turn.wait_answer(later()), None);
    }

    #[test]
    fn a_refusal_before_the_end_of_the_body_reaches_the_runtime() {
        let mut stand = stand();
        let head = b"POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: proxy\r\nContent-Length: 8000000\r\n\r\n";
        let sender = stand.runtime.try_clone().unwrap();
        let send = std::thread::spawn(move || {
            let sent = (&sender).write_all(head);
            sent.and_then(|()| (&sender).write_all(&vec![0; 8_000_000]))
        });
        let (mut lambda, _) = stand.lambda.accept().unwrap();
        lambda.read_exact(&mut vec![0; stand.expected(head).len()]).unwrap();
        lambda.write_all(b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
        lambda.shutdown(std::net::Shutdown::Both).unwrap();
        drop(lambda);
        let mut answered = [0; 40];
        stand.runtime.read_exact(&mut answered).unwrap();
        assert!(answered.starts_with(b"HTTP/1.1 413 "), "{answered:?}");
        // Whether the rest of the body was taken is the system's affair.
        let _ = send.join().unwrap();
    }

    #[test]
    fn a_lambda_that_is_not_there_is_a_bad_gateway() {
        let Stand { lambda, mut runtime, .. } = stand();
        drop(lambda);
        runtime.write_all(b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n").unwrap();
        let mut answer = String::new();
        runtime.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    }

    #[test]
    fn calls_are_told_apart() {
        for (method, target, route) in [
            ("GET", "/2018-06-01/runtime/invocation/next", Route::Next),
            ("GET", "/.rt/fn/2018-06-01/runtime/invocation/next?x=y", Route::Next),
            ("POST", "/2018-06-01/runtime/invocation/1/response", Route::Response("1".to_owned())),
            ("POST", "/2018-06-01/runtime/invocation/1/error", Route::Error("1".to_owned())),
            ("POST", "/2018-06-01/runtime/init/error", Route::InitError),
            ("POST", "/2018-06-01/runtime/restore/error", Route::InitError),
            ("GET", "/2018-06-01/runtime/restore/next", Route::Other),
            ("POST", "/2018-06-01/runtime/invocation/next", Route::Other),
            ("GET", "/2020-01-01/extension/event/next", Route::Other),
        ] {
            assert_eq!(Route::of(method, target), route, "{target}");
        }
    }
}
