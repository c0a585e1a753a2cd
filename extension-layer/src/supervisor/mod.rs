//! The life of the extension: register, listen, ask for events, leave in time.
//!
//! Invariant above all others: the function must not notice. Nothing here ends the process before SHUTDOWN; what cannot be
//! had (telemetry, proxy, capture socket, worker) is gone without; what fails is asked for again, ever more slowly; and
//! `/next` is held only for an answer that the worker owes, and not for long.

mod farewell;
#[cfg(test)]
mod stand_in;

use std::env;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use trace_agent_core::receive::socket::CaptureSocket;

use crate::api::{Api, Event, Subscription, chain, pause};
use crate::capture::Capture;
use crate::config::{Config, Delivery};
use crate::error::Result;
use crate::http::Endpoint;
use crate::link::{self, Acks, Frames, Message, Program, WORKER_ARGUMENT, Worker};
use crate::proxy::Proxy;
use crate::say::{Once, guarded, quiet_panics, say};
use crate::telemetry::{self, Telemetry};
use crate::turn::{Answer, Turn, Word};

/// How often registering is tried. Lambda's API is there before we are; if it refuses five times in 150 ms it will not take
/// us, and every further try is part of a cold start.
const REGISTER_ATTEMPTS: u32 = 5;

/// The time until the deadline of a SHUTDOWN that does not say it: the least that was seen (RIE, after a runtime that
/// resisted SIGKILL).
const SHUTDOWN_TIME_DEFAULT: Duration = Duration::from_millis(325);

/// The time that an invocation has left if its event does not say it: Lambda's longest timeout.
const INVOKE_TIME_DEFAULT: Duration = Duration::from_secs(900);

/// The program: the supervisor, or with the private argument [`WORKER_ARGUMENT`] the worker, which is `worker`.
///
/// The exit code of the supervisor is zero after SHUTDOWN, and one if Lambda did not register it.
pub(crate) fn main(worker: impl FnOnce(Frames, Acks) -> ExitCode) -> ExitCode {
    let mut arguments = env::args_os();
    let program = arguments.next().map(PathBuf::from).unwrap_or_default();
    if arguments.next().is_some_and(|argument| argument == WORKER_ARGUMENT) {
        return match link::worker_end() {
            Ok((frames, acks)) => worker(frames, acks),
            Err(error) => {
                say(format_args!("{}", chain(&error)));
                ExitCode::FAILURE
            }
        };
    }
    quiet_panics();
    let config = Config::from_env(&program);
    let worker = Worker::new(Program::own(&config), config.spool.clone(), Box::new(io::stdout()));
    match run(&config, worker) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("not registered, and so of no use: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Runs to the SHUTDOWN event.
///
/// # Errors
///
/// If the extension cannot be registered. Nothing later is an error.
fn run(config: &Config, worker: Arc<Worker>) -> Result<()> {
    let mut supervisor = Supervisor::new(worker, config);
    let mut port = None;
    let (mut api, description) = register(config, || {
        if !config.disabled {
            port = guarded(|| supervisor.listen(config)).flatten();
        }
    })?;
    supervisor.worker.registered(description);
    if let Some(port) = port {
        guarded(|| supervisor.subscribe(&mut api, port));
    }
    // An environment that was reset left it, and nothing may fail again that would start a worker.
    if !config.disabled && supervisor.worker.has_waiting() {
        supervisor.worker.report(&Message::Flush, None);
    }
    let refusal = Once::new();
    let mut failures = 0;
    loop {
        match guarded(|| api.next()) {
            Some(Ok(event)) => {
                failures = 0;
                let is_last = matches!(event, Event::Shutdown { .. });
                if !config.disabled {
                    guarded(|| supervisor.handle(event));
                }
                // Asking again would only wait for SIGKILL.
                if is_last {
                    break;
                }
            }
            Some(Err(error)) => {
                refusal.say(format_args!("{}; asked again until it works", chain(&error)));
                thread::sleep(pause(failures));
                failures += 1;
            }
            None => {
                thread::sleep(pause(failures));
                failures += 1;
            }
        }
    }
    supervisor.worker.end();
    Ok(())
}

/// Registers, and does something while Lambda works on its answer.
fn register(config: &Config, meanwhile: impl FnOnce()) -> Result<(Api, Vec<u8>)> {
    let endpoint = Endpoint::parse(&config.runtime_api)?;
    let mut meanwhile = Some(meanwhile);
    let mut attempt = 0;
    loop {
        let meanwhile = || meanwhile.take().into_iter().for_each(|meanwhile| meanwhile());
        match Api::register(endpoint.clone(), &config.name, config.managed, meanwhile) {
            Err(error) if attempt + 1 >= REGISTER_ATTEMPTS => return Err(error),
            Err(_) => thread::sleep(pause(attempt)),
            registered => return registered,
        }
        attempt += 1;
    }
}

/// What is decided between two events.
struct Supervisor {
    worker: Arc<Worker>,
    turn: Arc<Turn>,
    /// How long `/next` may be held.
    hold: Duration,
    delivery: Delivery,
    has_telemetry: bool,
}

impl Supervisor {
    fn new(worker: Arc<Worker>, config: &Config) -> Supervisor {
        Supervisor {
            worker,
            turn: Arc::new(Turn::default()),
            hold: config.hold,
            delivery: config.delivery,
            has_telemetry: false,
        }
    }

    /// Opens the ways in, each for itself, and gives the port that takes telemetry. All of it is ready when Lambda knows of us: then it starts
    /// the runtime.
    fn listen(&mut self, config: &Config) -> Option<u16> {
        let (worker, turn) = (&self.worker, &self.turn);
        let captured = CaptureSocket::bind(&config.capture)
            .and_then(|socket| Capture::start(socket, Arc::clone(worker), Arc::clone(turn)));
        let capture = captured
            .map_err(|error| say(format_args!("no capture socket at {}: {error}", config.capture.display())))
            .ok();
        let proxying = TcpListener::bind(&config.proxy).and_then(|listener| {
            let lambda = Endpoint::parse(&config.runtime_api).map_err(io::Error::other)?;
            let (worker, turn) = (Arc::clone(worker), Arc::clone(turn));
            let proxy = Proxy::new(lambda, worker, turn, capture, config.response_failures);
            proxy.start(listener, &config.meeting)
        });
        if let Err(error) = proxying {
            say(format_args!("no proxy on {}: {error}", config.proxy));
        }
        let listening = telemetry::listen(config.listen).and_then(|listener| {
            let port = listener.local_addr()?.port();
            Telemetry::start(listener, Arc::clone(worker), Arc::clone(turn)).map(|()| port)
        });
        listening.map_err(|error| say(format_args!("no telemetry: {error}"))).ok()
    }

    /// Subscribes to telemetry. Before the first `/next`, which ends the time for subscriptions.
    fn subscribe(&mut self, api: &mut Api, port: u16) {
        match api.subscribe(port) {
            Subscription::Accepted => self.has_telemetry = true,
            Subscription::None(refusal) => say(format_args!("no telemetry: {refusal}")),
        }
    }

    /// Does what an event asks for, until the next one may be asked for.
    fn handle(&self, event: Event) {
        match event {
            Event::Invoke { request_id, deadline_ms, raw } => {
                self.turn.opened(request_id);
                self.worker.opened(raw);
                self.hold(instant(deadline_ms, INVOKE_TIME_DEFAULT));
            }
            Event::Shutdown { is_spindown, deadline_ms, raw } => {
                let deadline = instant(deadline_ms, SHUTDOWN_TIME_DEFAULT);
                farewell::shut_down(&self.worker, &self.turn, self.has_telemetry, is_spindown, deadline, raw);
            }
            Event::Unknown => {}
        }
    }

    /// Waits for the end of the invocation, and if it failed for the worker. With the proxy the first wait costs nothing, since the
    /// runtime's answer ends it; the word of the platform comes later than the end, so it is waited for only where it is wanted.
    fn hold(&self, deadline: Instant) {
        let may_have_failed = if self.turn.has_met_runtime() {
            self.turn.wait_answer(deadline, self.hold) == Some(Answer::Error)
        } else {
            let is_prompt = self.delivery == Delivery::Prompt || self.worker.expects_failures();
            if is_prompt && self.has_telemetry {
                self.turn.wait_word(Word::Done, deadline.min(Instant::now() + self.hold));
            }
            is_prompt
        };
        if may_have_failed && !self.worker.hold(Instant::now() + self.hold) {
            self.worker.expired();
        }
    }
}

/// A time of Lambda's, in milliseconds since 1970, on the clock that does not jump.
fn instant(deadline_ms: Option<u64>, time_default: Duration) -> Instant {
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(|now| now.as_millis());
    let left = deadline_ms.zip(now_ms).map_or(time_default, |(deadline_ms, now_ms)| {
        let left_ms = u128::from(deadline_ms).saturating_sub(now_ms);
        // An absurd deadline is as good as none.
        u64::try_from(left_ms).map_or(time_default, Duration::from_millis).min(INVOKE_TIME_DEFAULT)
    });
    Instant::now() + left
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::mpsc::channel;

    use super::stand_in::{
        INVOKE, Lambda, NEXT, REGISTER, SUBSCRIBE, port, post, run_with, shutdown, status, usual,
    };
    use super::*;
    use crate::link::testing::shell;
    use crate::say::lock;

    #[test]
    fn it_registers_subscribes_and_asks_until_shutdown_and_no_further() {
        let events = vec![status("200 OK", INVOKE), status("200 OK", INVOKE), shutdown("spindown", 2000)];
        let (lambda, ran) = run_with(events, usual, |_| {});
        ran.unwrap();
        assert_eq!(lambda.calls(), [REGISTER, SUBSCRIBE, NEXT, NEXT, NEXT]);
        assert_eq!(lock(&lambda.bodies)[0], r#"{"events":["INVOKE","SHUTDOWN"]}"#);
    }

    #[test]
    fn disabled_it_registers_and_asks_and_nothing_else() {
        let events = vec![status("200 OK", INVOKE), shutdown("timeout", 2000)];
        let (lambda, ran) = run_with(events, usual, |config| config.disabled = true);
        ran.unwrap();
        assert_eq!(lambda.calls(), [REGISTER, NEXT, NEXT]);
    }

    #[test]
    fn without_invoke_events_it_registers_for_shutdown_only() {
        let refuse_invoke = |call: &str, body: &str| match call {
            REGISTER if body.contains("INVOKE") => {
                Some(status("403 Forbidden", r#"{"errorType":"Extension.InvalidEventType"}"#))
            }
            _ => usual(call, body),
        };
        let (lambda, ran) = run_with(vec![shutdown("spindown", 2000)], refuse_invoke, |_| {});
        ran.unwrap();
        assert_eq!(lambda.calls(), [REGISTER, REGISTER, SUBSCRIBE, NEXT]);
        assert_eq!(lock(&lambda.bodies)[1], r#"{"events":["SHUTDOWN"]}"#);

        let (lambda, ran) =
            run_with(vec![shutdown("spindown", 2000)], refuse_invoke, |config| config.managed = true);
        ran.unwrap();
        assert_eq!(lambda.calls(), [REGISTER, SUBSCRIBE, NEXT]);
    }

    #[test]
    fn an_older_schema_is_tried_only_after_a_400() {
        let schemas = |lambda: &Lambda| -> Vec<String> {
            let bodies = lock(&lambda.bodies);
            let schemas = bodies.iter().filter_map(|body| body.strip_prefix(r#"{"schemaVersion":""#));
            schemas.map(|rest| rest[..10].to_owned()).collect()
        };
        for (answer, expected) in [
            ("400 Bad Request", &["2025-01-29", "2022-12-13", "2022-07-01"][..]),
            ("202 Accepted", &["2025-01-29"]),
            ("404 Not Found", &["2025-01-29"]),
            ("500 Internal Server Error", &["2025-01-29"]),
        ] {
            let refuse = move |call: &str, body: &str| match call {
                SUBSCRIBE => Some(status(answer, r#"{"errorType":"Telemetry.NotSupported"}"#)),
                _ => usual(call, body),
            };
            let (lambda, ran) = run_with(vec![shutdown("spindown", 2000)], refuse, |_| {});
            ran.unwrap();
            assert_eq!(schemas(&lambda), expected, "{answer}");
        }
    }

    #[test]
    fn telemetry_is_accepted_on_any_path_before_the_subscription_is_answered() {
        let (send, receive) = channel();
        let post_first = move |call: &str, body: &str| {
            if call == SUBSCRIBE {
                let stream = TcpStream::connect(("127.0.0.1", port(body))).unwrap();
                send.send(post(&stream, "/any/path", b"[]")).unwrap();
                send.send(post(&stream, "/", b"not JSON")).unwrap();
                send.send(post(&stream, "/", &vec![b' '; 3 * 1024 * 1024 + 1])).unwrap();
            }
            usual(call, body)
        };
        run_with(vec![shutdown("spindown", 2000)], post_first, |_| {}).1.unwrap();
        let answers: Vec<String> = receive.try_iter().collect();
        assert_eq!(answers, ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 413 Content Too Large"]);
    }

    #[test]
    fn refusals_and_nonsense_are_no_reason_to_leave() {
        let events = vec![
            status("500 Internal Server Error", ""),
            status("403 Forbidden", r#"{"errorType":"Extension.UnknownExtensionIdentifier"}"#),
            status("200 OK", "nonsense"),
            "no HTTP\r\n\r\n".to_owned(),
            shutdown("any text", 300),
        ];
        let (lambda, ran) = run_with(events, usual, |_| {});
        ran.unwrap();
        let asked = lambda.calls().iter().filter(|call| *call == NEXT).count();
        assert_eq!(asked, 5);
    }

    #[test]
    fn a_registration_that_is_refused_is_tried_five_times() {
        let (lambda, ran) =
            run_with(Vec::new(), |_, _| Some(status("500 Internal Server Error", "")), |_| {});
        assert!(matches!(ran, Err(crate::Error::Refused { status: 500, .. })));
        assert_eq!(lambda.calls().len(), 5);
    }

    #[test]
    fn a_busy_proxy_address_is_no_reason_to_leave() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let change = |config: &mut Config| config.proxy = address;
        let (lambda, ran) = run_with(vec![shutdown("spindown", 2000)], usual, change);
        ran.unwrap();
        assert_eq!(lambda.calls(), [REGISTER, SUBSCRIBE, NEXT]);
    }

    #[test]
    fn with_the_proxy_the_next_event_is_asked_for_after_the_runtimes_answer() {
        the_answer_is_waited_for(false);
    }

    #[test]
    fn so_it_is_if_the_runtime_has_a_connection_for_each_call() {
        the_answer_is_waited_for(true);
    }

    fn the_answer_is_waited_for(has_connection_for_each_call: bool) {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (runtime_waits, runtime_is_waiting) = channel();
        let (invoked, invocation) = channel();
        let (worker, written) = shell("exec cat >/dev/null");
        let (before_shutdown, lines_before_shutdown) = channel();
        let written_so_far = written.clone();
        let mut asked = 0;
        let lambda = Lambda::start(move |call, body| {
            if call == NEXT {
                asked += 1;
                if asked == 2 {
                    before_shutdown.send(written_so_far.lines()).unwrap();
                    return Some(shutdown("spindown", 2000));
                }
                invoked.send(()).unwrap();
                Some(status("200 OK", INVOKE))
            } else if call == "GET /2018-06-01/runtime/invocation/next" {
                runtime_waits.send(()).unwrap();
                Some(
                    "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r1\r\nContent-Length: 0\r\n\r\n"
                        .to_owned(),
                )
            } else if call.contains("/runtime/") {
                Some(status("202 Accepted", ""))
            } else {
                usual(call, body)
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let mut config = lambda.config(directory.path());
        config.proxy = free.to_string();
        thread::scope(|scope| {
            let ran = scope.spawn(|| run(&config, worker));
            // Lambda invokes when runtime and extension have asked; here the extension asks on its own.
            invocation.recv().unwrap();
            let connect = || loop {
                if let Ok(stream) = TcpStream::connect(free) {
                    break stream;
                }
            };
            let mut runtime = connect();
            send(&runtime, "GET /2018-06-01/runtime/invocation/next", "");
            runtime_is_waiting.recv().unwrap();
            if has_connection_for_each_call {
                runtime.read_exact(&mut [0; 64]).unwrap();
                runtime = connect();
                // Time to take it for dead.
                thread::sleep(Duration::from_millis(100));
            }
            send(&runtime, "POST /2018-06-01/runtime/invocation/r1/error", r#"{"errorMessage":"I failed!"}"#);
            ran.join().unwrap().unwrap();
        });
        let error = lambda.calls().iter().position(|call| call.ends_with("/error"));
        assert!(error.is_some(), "{:?}", lambda.calls());
        // The worker did not acknowledge, but it may only be slow: the failure is kept until nobody else will write it.
        assert_eq!(lines_before_shutdown.recv().unwrap(), [""; 0]);
        assert_eq!(written.lines().len(), 1);
    }

    fn send(mut runtime: &TcpStream, call: &str, body: &str) {
        let request = format!("{call} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        runtime.write_all(request.as_bytes()).unwrap();
    }

    #[test]
    fn a_deadline_that_is_missing_past_or_absurd_is_near() {
        let left = |deadline_ms| {
            instant(deadline_ms, SHUTDOWN_TIME_DEFAULT).saturating_duration_since(Instant::now())
        };
        assert!(left(None) <= SHUTDOWN_TIME_DEFAULT);
        assert!(left(Some(0)).is_zero());
        assert!(left(Some(u64::MAX)) <= INVOKE_TIME_DEFAULT);
    }
}
