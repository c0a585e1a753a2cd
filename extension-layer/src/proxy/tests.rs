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
