//! One connection of the runtime, the one to Lambda that belongs to it, and what is under way on them.
//!
//! Request and answer pass each other: either may come while the other is under way, as an interim answer, a refusal before the end of a body, or
//! a runtime that goes away. What is no HTTP to us, by its head or in its body, is passed on as it comes from there on, both ways, and Lambda
//! says what it thinks of it.

use std::io;
use std::net::TcpStream;

use crate::http::{Body, Framing, Part, RequestHead, ResponseHead};
use crate::proxy::Proxy;
use crate::proxy::heads::{answer_head, request_head};
use crate::proxy::route::Route;
use crate::proxy::watch::{Copied, ERROR_BYTES_MAX, EVENT_BYTES_MAX, Watch};
use crate::proxy::wire::Wire;

/// The header of an invocation with its id.
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// Bytes of what a wrapper may hand over: Lambda's variables have 4 KiB, and a few names are more than enough.
const HANDED_OVER_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a refused request that are read and thrown away: more than Lambda takes of a response (6 MiB).
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A connection of the runtime.
pub(super) struct Connection {
    pub(super) runtime: Wire,
    pub(super) lambda: Option<Wire>,
    number: u64,
    state: State,
}

enum State {
    /// The next request comes.
    Idle,
    Exchange(Box<Exchange>),
    /// The wrapper tells what it knows.
    Attach(Body, Copied),
    /// Bytes pass as they come.
    Tunnel,
    /// The answer is out. What is left of the request, so many bytes at most, is thrown away: closed with bytes unread, the connection would be
    /// reset, and the runtime would lose the answer.
    Linger(usize),
    Over,
}

/// A request and its answer.
struct Exchange {
    route: Route,
    request: RequestHead,
    /// What is left of the request. `None` once it is passed on, or never will be.
    upward: Option<Body>,
    /// True if Lambda got all of it.
    is_whole: bool,
    /// True once it is told that no more of it will be passed on.
    is_told: bool,
    /// True if the runtime has nothing more to say, not even another request, and Lambda knows.
    has_left: bool,
    watch: Watch,
    downward: Downward,
}

/// How far the answer is.
enum Downward {
    Head,
    Body { body: Body, answer: ResponseHead, framing: Framing, event: Option<(String, Copied)> },
    Over { keeps_lambda: bool, keeps_runtime: bool },
}

/// The bytes that a wire takes next, and whether the body is at its end, or cannot be read on.
struct Passed {
    bytes: usize,
    is_broken: bool,
}

impl Connection {
    pub(super) fn new(number: u64, runtime: TcpStream) -> Connection {
        Connection { runtime: Wire::new(runtime), lambda: None, number, state: State::Idle }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Passes on what can be.
    pub(super) fn advance(&mut self, proxy: &mut Proxy) {
        self.runtime.flush();
        if let Some(lambda) = &mut self.lambda {
            lambda.flush();
        }
        while self.step(proxy) {}
        self.runtime.reader.release();
        if let Some(lambda) = &mut self.lambda {
            lambda.reader.release();
        }
    }

    /// True if the runtime's next bytes are wanted, and Lambda's, and whether those that are there are not enough.
    pub(super) fn wants(&self) -> [(bool, bool); 2] {
        let lambda_is_clear = self.lambda.as_ref().is_none_or(Wire::is_clear);
        let runtime_is_clear = self.runtime.is_clear();
        match &self.state {
            State::Idle => [(runtime_is_clear, runtime_is_clear), (true, false)],
            State::Attach(..) => [(true, true), (false, false)],
            State::Exchange(exchange) => {
                let is_coming = exchange.upward.is_some();
                let is_answering = !exchange.is_answered();
                [
                    (!is_coming || lambda_is_clear, is_coming && lambda_is_clear),
                    (!is_answering || runtime_is_clear, is_answering && runtime_is_clear),
                ]
            }
            State::Tunnel => [(lambda_is_clear, true), (runtime_is_clear, true)],
            State::Linger(_) => [(true, true), (false, false)],
            State::Over => [(false, false); 2],
        }
    }

    /// Does the next thing. False if there is nothing to do before something else happens.
    fn step(&mut self, proxy: &mut Proxy) -> bool {
        match &mut self.state {
            State::Idle => self.begin(proxy),
            State::Exchange(_) => {
                self.pass_request(proxy) || self.pass_answer(proxy) || self.end_exchange(proxy)
            }
            State::Attach(..) => self.attach(proxy),
            State::Tunnel => self.pass_bytes(proxy),
            State::Linger(_) => self.linger(proxy),
            State::Over => false,
        }
    }

    fn begin(&mut self, proxy: &mut Proxy) -> bool {
        if let Some(lambda) = &mut self.lambda
            && !is_quiet(lambda)
        {
            if lambda.reader.unread().is_empty() {
                // It closed, as it may between two exchanges.
                self.lambda = None;
            } else {
                self.tunnel(&[], proxy);
            }
            return true;
        }
        if !self.runtime.is_clear() {
            return false;
        }
        match self.runtime.reader.read_head() {
            Ok(Some(head)) => self.take_head(head, proxy),
            // Half a head is no request, and nobody waits for an answer to it.
            Ok(None) if self.runtime.has_ended() => self.state = State::Over,
            Ok(None) if RequestHead::may_begin_with(self.runtime.reader.unread()) => {
                return self.receive_runtime(proxy);
            }
            Ok(None) | Err(_) => self.tunnel(&[], proxy),
        }
        true
    }

    fn take_head(&mut self, head: Vec<u8>, proxy: &mut Proxy) {
        let parsed = RequestHead::parse(head.clone()).and_then(|request| Ok((request.framing()?, request)));
        let Ok((framing, request)) = parsed else { return self.tunnel(&head, proxy) };
        let route = Route::of(&request.method, &request.target);
        if route == Route::Attach {
            self.state = State::Attach(Body::new(framing), Copied::new(HANDED_OVER_BYTES_MAX));
            return;
        }
        if request.method == "CONNECT" {
            return self.tunnel(&head, proxy);
        }
        let head = request_head(&request.fields, &proxy.lambda.path, &proxy.lambda.authority);
        if self.send_lambda(&head, proxy).is_err() {
            // As near as can be to a connection that is refused.
            return self.reset_runtime(proxy);
        }
        let watch = match &route {
            Route::Error(_) | Route::InitError => Watch::Error(Copied::new(ERROR_BYTES_MAX)),
            Route::Response(request_id) => proxy.asked.response(request_id),
            _ => Watch::Nothing,
        };
        let exchange = Exchange {
            route,
            request,
            upward: Some(Body::new(framing)),
            is_whole: false,
            is_told: false,
            has_left: false,
            watch,
            downward: Downward::Head,
        };
        self.state = State::Exchange(Box::new(exchange));
    }

    /// Sends a head to Lambda, on the connection of the last exchange if that still stands.
    fn send_lambda(&mut self, head: &[u8], proxy: &Proxy) -> io::Result<()> {
        if let Some(lambda) = &mut self.lambda {
            // The poller may not have come to tell yet that Lambda closed it, while we were frozen perhaps.
            lambda.expect_input();
            if is_quiet(lambda) {
                lambda.send(head);
                if !lambda.is_refused() {
                    return Ok(());
                }
            }
        }
        let mut lambda = Wire::new(proxy.lambda.connect_without_waiting()?);
        lambda.send(head);
        if lambda.is_refused() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.lambda = Some(lambda);
        Ok(())
    }

    /// Passes on what came of the request.
    fn pass_request(&mut self, proxy: &mut Proxy) -> bool {
        let (State::Exchange(exchange), Some(lambda)) = (&mut self.state, &mut self.lambda) else {
            return false;
        };
        let Some(body) = &mut exchange.upward else {
            // The next invocation must not go to a runtime that is gone, so Lambda learns it at once.
            let is_last = self.runtime.has_ended() && self.runtime.reader.unread().is_empty();
            if is_last && !std::mem::replace(&mut exchange.has_left, true) {
                lambda.finish();
                proxy.turn.runtime_left(self.number);
                return true;
            }
            return self.runtime.has_room() && self.receive_runtime(proxy);
        };
        if lambda.is_refused() {
            exchange.upward = None;
            exchange.request_ends(self.number, proxy);
            return true;
        }
        if !lambda.is_clear() {
            return false;
        }
        let unread = self.runtime.reader.unread();
        let passed = walk(body, unread, |part| exchange.watch.see(part));
        lambda.send(&unread[..passed.bytes]);
        self.runtime.reader.take(passed.bytes);
        if body.is_over() {
            (exchange.upward, exchange.is_whole) = (None, true);
            exchange.request_ends(self.number, proxy);
            return true;
        }
        if passed.is_broken {
            self.tunnel(&[], proxy);
            return true;
        }
        if self.runtime.has_ended() {
            // Lambda sees that the rest will not come, and may say so.
            lambda.send(self.runtime.reader.unread());
            lambda.finish();
            (exchange.upward, exchange.has_left) = (None, true);
            exchange.request_ends(self.number, proxy);
            return true;
        }
        passed.bytes > 0 || self.receive_runtime(proxy)
    }

    /// Passes on what came of the answer.
    fn pass_answer(&mut self, proxy: &mut Proxy) -> bool {
        let (State::Exchange(exchange), Some(lambda)) = (&mut self.state, &mut self.lambda) else {
            return false;
        };
        if !self.runtime.is_clear() && !exchange.is_answered() {
            return false;
        }
        match &mut exchange.downward {
            Downward::Head => match lambda.reader.read_head() {
                Ok(Some(head)) => self.take_answer(head, proxy),
                Ok(None) if lambda.has_ended() => self.break_off(proxy),
                Ok(None) if ResponseHead::may_begin_with(lambda.reader.unread()) => {
                    return self.receive_lambda(proxy);
                }
                Ok(None) | Err(_) => self.tunnel(&[], proxy),
            },
            Downward::Body { body, event, .. } => {
                let unread = lambda.reader.unread();
                let passed = walk(body, unread, |part| {
                    if let (Some((_, copied)), Part::Content(content)) = (&mut *event, part) {
                        copied.see(content);
                    }
                });
                self.runtime.send(&unread[..passed.bytes]);
                lambda.reader.take(passed.bytes);
                if body.is_over() || (lambda.has_ended() && passed.bytes == 0 && body.closed().is_ok()) {
                    exchange.answer_ends(proxy);
                } else if passed.is_broken {
                    self.tunnel(&[], proxy);
                } else if lambda.has_ended() && passed.bytes == 0 {
                    self.break_off(proxy);
                } else {
                    return passed.bytes > 0 || self.receive_lambda(proxy);
                }
            }
            // It may close before it has read the request.
            Downward::Over { .. } => {
                return exchange.upward.is_some() && lambda.has_room() && self.receive_lambda(proxy);
            }
        }
        true
    }

    fn take_answer(&mut self, head: Vec<u8>, proxy: &mut Proxy) {
        let State::Exchange(exchange) = &mut self.state else { return };
        let parsed = ResponseHead::parse(head.clone())
            .and_then(|answer| Ok((answer.framing(&exchange.request.method)?, answer)));
        let (framing, answer) = match parsed {
            Ok((_, answer)) if matches!(answer.status, 100 | 102..200) => return self.runtime.send(&head),
            Ok(parsed) if parsed.1.status != 101 => parsed,
            _ => {
                self.runtime.send(&head);
                return self.tunnel(&[], proxy);
            }
        };
        let event = exchange.answer_begins(&answer, self.number, proxy);
        let closes = framing != Framing::UntilClose && !exchange.keeps_runtime(framing);
        self.runtime.send(&answer_head(&answer.fields, closes));
        let event = event.map(|request_id| (request_id, Copied::new(EVENT_BYTES_MAX)));
        let body = Body::new(framing);
        let is_over = body.is_over();
        exchange.downward = Downward::Body { body, answer, framing, event };
        if is_over {
            exchange.answer_ends(proxy);
        }
    }

    /// Goes on to the next request when both have passed.
    fn end_exchange(&mut self, proxy: &mut Proxy) -> bool {
        let (State::Exchange(exchange), Some(lambda)) = (&mut self.state, &self.lambda) else { return false };
        let Downward::Over { keeps_lambda, keeps_runtime } = exchange.downward else { return false };
        if exchange.upward.is_some() && !lambda.has_ended() {
            return false;
        }
        if !lambda.reader.unread().is_empty() {
            // More than an answer: the runtime shall judge.
            self.tunnel(&[], proxy);
            return true;
        }
        let is_whole = exchange.is_whole && !exchange.has_left;
        if !keeps_lambda || !is_whole {
            self.lambda = None;
        }
        if keeps_runtime && is_whole {
            self.state = State::Idle;
        } else {
            self.close_runtime(proxy);
        }
        true
    }

    /// Takes what the wrapper hands over, and answers with what it asked for.
    fn attach(&mut self, proxy: &mut Proxy) -> bool {
        let State::Attach(body, copied) = &mut self.state else { return false };
        let passed = walk(body, self.runtime.reader.unread(), |part| {
            if let Part::Content(content) = part {
                copied.see(content);
            }
        });
        self.runtime.reader.take(passed.bytes);
        if body.is_over() {
            proxy.worker.attached(std::mem::take(&mut copied.bytes));
            let nonce = &proxy.nonce;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{nonce}", nonce.len());
            self.runtime.send(answer.as_bytes());
            self.state = State::Idle;
            return true;
        }
        if passed.is_broken || self.runtime.has_ended() {
            self.state = State::Over;
            return true;
        }
        passed.bytes > 0 || self.receive_runtime(proxy)
    }

    /// Gives up to understand: from now on bytes pass as they come, `bytes` from the runtime first.
    fn tunnel(&mut self, bytes: &[u8], proxy: &mut Proxy) {
        self.go(State::Tunnel, proxy);
        if self.lambda.is_none() {
            match proxy.lambda.connect_without_waiting() {
                Ok(stream) => self.lambda = Some(Wire::new(stream)),
                Err(_) => return self.reset_runtime(proxy),
            }
        }
        if let Some(lambda) = &mut self.lambda {
            lambda.send(bytes);
        }
    }

    fn pass_bytes(&mut self, proxy: &mut Proxy) -> bool {
        let Some(lambda) = &mut self.lambda else { return false };
        let has_passed = pass_unread(&mut self.runtime, lambda) | pass_unread(lambda, &mut self.runtime);
        let is_over = |wire: &Wire| wire.has_ended() && wire.is_clear();
        // Nobody reads what one of them still says, and the other has nothing more to say.
        let is_unheard = lambda.has_ended() && (self.runtime.is_refused() || lambda.is_refused());
        if is_over(&self.runtime) && is_over(lambda) || is_unheard && self.runtime.is_clear() {
            self.state = State::Over;
            return true;
        }
        has_passed
            || (self.runtime.has_room() && self.receive_runtime(proxy))
            || (self.lambda.as_ref().is_some_and(Wire::has_room) && self.receive_lambda(proxy))
    }

    /// Throws away what comes until the runtime closes.
    fn linger(&mut self, proxy: &mut Proxy) -> bool {
        let State::Linger(left) = &mut self.state else { return false };
        let unread = self.runtime.reader.unread().len();
        self.runtime.reader.take(unread);
        *left = left.saturating_sub(unread);
        if *left == 0 || self.runtime.is_refused() || (self.runtime.has_ended() && self.runtime.is_clear()) {
            self.state = State::Over;
            return true;
        }
        self.receive_runtime(proxy)
    }

    /// Lambda closed in the middle of an answer, or without one: the runtime sees the same.
    fn break_off(&mut self, proxy: &mut Proxy) {
        if let Some(lambda) = &mut self.lambda {
            self.runtime.send(lambda.reader.unread());
        }
        self.close_runtime(proxy);
    }

    fn close_runtime(&mut self, proxy: &mut Proxy) {
        self.lambda = None;
        self.runtime.finish();
        self.go(State::Linger(LINGER_BYTES_MAX), proxy);
    }

    fn reset_runtime(&mut self, proxy: &mut Proxy) {
        self.runtime.reset();
        self.go(State::Over, proxy);
    }

    /// Goes on to `state`. What was reported and is not whole is reported all the same.
    fn go(&mut self, state: State, proxy: &mut Proxy) {
        if let State::Exchange(mut exchange) = std::mem::replace(&mut self.state, state) {
            exchange.request_ends(self.number, proxy);
        }
    }

    /// Reads from the runtime. True if that changed anything.
    fn receive_runtime(&mut self, proxy: &mut Proxy) -> bool {
        let received = self.runtime.receive();
        received.unwrap_or_else(|_| {
            // Whoever is reset in the middle of a message must not pass for one who has finished.
            if let Some(lambda) = &self.lambda {
                lambda.reset();
            }
            self.go(State::Over, proxy);
            true
        })
    }

    /// Reads from Lambda. True if that changed anything.
    fn receive_lambda(&mut self, proxy: &mut Proxy) -> bool {
        let Some(lambda) = &mut self.lambda else { return false };
        if let Ok(received) = lambda.receive() {
            return received;
        }
        // A reset behind the answer says that the rest of the request is not read.
        let is_answered = matches!(&self.state, State::Exchange(exchange) if exchange.is_answered());
        if !is_answered {
            // What came before the reset came.
            self.runtime.send(lambda.reader.unread());
            self.reset_runtime(proxy);
        }
        true
    }
}

impl Exchange {
    /// The request is passed on, as far as it will be. It is told once.
    fn request_ends(&mut self, connection: u64, proxy: &mut Proxy) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        match &self.route {
            Route::Next if self.is_whole => proxy.runtime_waits(connection),
            // The failure is real whatever becomes of the report. It is told while Lambda works on its answer.
            Route::Error(_) | Route::InitError => {
                if let Watch::Error(mut copied) = std::mem::replace(&mut self.watch, Watch::Nothing) {
                    copied.is_truncated |= !self.is_whole;
                    proxy.failed(&self.route, &self.request, copied);
                }
            }
            _ => {}
        }
    }

    /// Notes what Lambda's answer says of the invocation, before the runtime learns it. The id of the one that is given with it.
    fn answer_begins(&mut self, answer: &ResponseHead, connection: u64, proxy: &mut Proxy) -> Option<String> {
        let is_taken = (200..300).contains(&answer.status);
        match &self.route {
            Route::Next => {
                let request_id = answer.fields.get(REQUEST_ID).map(String::from_utf8_lossy);
                proxy.turn.runtime_runs(connection, request_id.as_deref());
                return request_id.filter(|_| answer.status == 200).map(Into::into);
            }
            // A response that Lambda refuses is none: the runtime may report an error instead.
            Route::Response(request_id) if is_taken => {
                let watch = std::mem::replace(&mut self.watch, Watch::Nothing);
                proxy.responded(request_id, watch.failure());
            }
            _ => {}
        }
        None
    }

    fn answer_ends(&mut self, proxy: &mut Proxy) {
        let over = Downward::Over { keeps_lambda: false, keeps_runtime: false };
        let Downward::Body { answer, framing, event, .. } = std::mem::replace(&mut self.downward, over)
        else {
            return;
        };
        if let Some((request_id, copied)) = event {
            proxy.given(&request_id, copied.bytes);
        }
        self.downward = Downward::Over {
            keeps_lambda: answer.keeps_alive() && framing != Framing::UntilClose,
            keeps_runtime: self.keeps_runtime(framing),
        };
    }

    fn is_answered(&self) -> bool {
        matches!(self.downward, Downward::Over { .. })
    }

    /// True if the runtime's connection goes on after an answer that is delimited so.
    fn keeps_runtime(&self, framing: Framing) -> bool {
        self.request.keeps_alive() && framing != Framing::UntilClose
    }
}

/// Shows `visit` the parts of a body with which `unread` begins.
fn walk(body: &mut Body, unread: &[u8], mut visit: impl FnMut(Part<'_>)) -> Passed {
    let mut bytes = 0;
    loop {
        match body.next(&unread[bytes..]) {
            Ok(Some(part)) => {
                visit(part);
                bytes += part.bytes().len();
            }
            Ok(None) => return Passed { bytes, is_broken: false },
            Err(_) => return Passed { bytes, is_broken: true },
        }
    }
}

/// Passes on everything that came, and the end. True if there was anything.
fn pass_unread(from: &mut Wire, to: &mut Wire) -> bool {
    let length = from.reader.unread().len();
    if length > 0 && to.is_clear() {
        to.send(from.reader.unread());
        from.reader.take(length);
        return true;
    }
    if length == 0 && from.has_ended() {
        to.finish();
    }
    false
}

/// True if nothing came on an idle connection: neither bytes nor its end.
fn is_quiet(lambda: &mut Wire) -> bool {
    matches!(lambda.receive(), Ok(false)) && lambda.reader.unread().is_empty() && !lambda.has_ended()
}
