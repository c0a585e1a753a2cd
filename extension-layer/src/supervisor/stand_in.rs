//! Lambda, played by a test: its side of the Extensions, Telemetry and Runtime APIs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use super::run;
use crate::config::{Config, Delivery, Listen, ResponseFailures};
use crate::error::Result;
use crate::http::{Reader, RequestHead, read_body};
use crate::link::testing::shell;
use crate::say::lock;

/// Lambda's side of the Extensions and Telemetry APIs, with the answers that a test wants. It refuses what the
/// documentation does not allow.
pub(super) struct Lambda {
    address: String,
    calls: Arc<Mutex<Vec<String>>>,
    pub(super) bodies: Arc<Mutex<Vec<String>>>,
}

type Answers = Box<dyn FnMut(&str, &str) -> Option<String> + Send>;

const REGISTERED: &str =
    "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 8476a536\r\nContent-Length: 2\r\n\r\n{}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n\"OK\"";

pub(super) fn status(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn shutdown(reason: &str, in_ms: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let deadline = now + Duration::from_millis(in_ms);
    let event = format!(
        r#"{{"eventType":"SHUTDOWN","shutdownReason":"{reason}","deadlineMs":{}}}"#,
        deadline.as_millis()
    );
    status("200 OK", &event)
}

pub(super) const INVOKE: &str =
    r#"{"eventType":"INVOKE","deadlineMs":99999999999999,"requestId":"r1","invokedFunctionArn":"a"}"#;

impl Lambda {
    /// `answers` is asked with the call and the request's body; without an answer the connection is closed.
    pub(super) fn start(answers: impl FnMut(&str, &str) -> Option<String> + Send + 'static) -> Lambda {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lambda = Lambda {
            address: listener.local_addr().unwrap().to_string(),
            calls: Arc::default(),
            bodies: Arc::default(),
        };
        let (calls, bodies) = (Arc::clone(&lambda.calls), Arc::clone(&lambda.bodies));
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (calls, bodies, answers) =
                    (Arc::clone(&calls), Arc::clone(&bodies), Arc::clone(&answers));
                thread::spawn(move || serve(stream.unwrap(), &calls, &bodies, &answers));
            }
        });
        lambda
    }

    pub(super) fn config(&self, directory: &Path) -> Config {
        Config {
            runtime_api: self.address.clone(),
            name: "trace-agent-extension".to_owned(),
            disabled: false,
            managed: false,
            proxy: "127.0.0.1:0".to_owned(),
            meeting: directory.join("agent/proxy"),
            response_failures: ResponseFailures::ALL,
            capture: directory.join("agent/capture.sock"),
            spool: directory.join("agent/spool"),
            hold: Duration::ZERO,
            delivery: Delivery::Lazy,
            listen: Listen::Hosts,
            memory_bytes: None,
        }
    }

    pub(super) fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }
}

fn serve(
    stream: TcpStream,
    calls: &Mutex<Vec<String>>,
    bodies: &Mutex<Vec<String>>,
    answers: &Mutex<Answers>,
) {
    let mut reader = Reader::new(stream);
    while let Ok(Some(head)) = reader.head() {
        let request = RequestHead::parse(head).unwrap();
        let body = read_body(&mut reader, request.framing().unwrap(), 1 << 20).unwrap();
        let body = String::from_utf8(body).unwrap();
        let call = format!("{} {}", request.method, request.target);
        let field = |name| request.fields.get(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
        if call == "POST /2020-01-01/extension/register" {
            assert_eq!(field("lambda-extension-name").unwrap(), "trace-agent-extension");
            assert_eq!(field("lambda-extension-accept-feature").unwrap(), "accountId");
            assert_eq!(field("content-type").unwrap(), "application/json");
        } else if !call.contains("/runtime/") {
            assert_eq!(field("lambda-extension-identifier").unwrap(), "8476a536");
        }
        lock(calls).push(call.clone());
        lock(bodies).push(body.clone());
        let Some(answer) = lock(answers)(&call, &body) else { return };
        if reader.stream().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

pub(super) const REGISTER: &str = "POST /2020-01-01/extension/register";
pub(super) const SUBSCRIBE: &str = "PUT /2022-07-01/telemetry";
pub(super) const NEXT: &str = "GET /2020-01-01/extension/event/next";

/// Runs a supervisor whose events are `events`, and whose other calls `others` answers.
pub(super) fn run_with(
    events: Vec<String>,
    mut others: impl FnMut(&str, &str) -> Option<String> + Send + 'static,
    change: impl FnOnce(&mut Config),
) -> (Lambda, Result<()>) {
    let mut events = events.into_iter();
    let lambda =
        Lambda::start(move |call, body| if call == NEXT { events.next() } else { others(call, body) });
    let directory = tempfile::tempdir().unwrap();
    let mut config = lambda.config(directory.path());
    change(&mut config);
    let (worker, _) = shell("exit 1");
    let ran = run(&config, worker);
    (lambda, ran)
}

pub(super) fn usual(call: &str, _: &str) -> Option<String> {
    match call {
        REGISTER => Some(REGISTERED.to_owned()),
        SUBSCRIBE => Some(OK.to_owned()),
        _ => None,
    }
}

pub(super) fn port(subscription: &str) -> u16 {
    let (_, port) = subscription.split_once("http://sandbox.localdomain:").unwrap();
    port.split('"').next().unwrap().parse().unwrap()
}

/// Posts telemetry: the status line of the answer.
pub(super) fn post(mut stream: &TcpStream, path: &str, batch: &[u8]) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: {}\r\n\r\n", batch.len());
    stream.write_all(head.as_bytes()).unwrap();
    // A batch that is refused by its length may be cut off.
    let _ = stream.write_all(batch);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{answer:?}");
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned()
}
