use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use trace_attach::{Meeting, Verdict};

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
    folder: tempfile::TempDir,
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
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::new(endpoint, Arc::clone(&worker), Arc::clone(&turn), None, ResponseFailures::ALL);
    proxy.start(listener, &folder.path().join("proxy")).unwrap();
    Stand { lambda, runtime, worker, turn, written, folder }
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
    assert_eq!(stand.turn.wait_answer(later(), Duration::ZERO), Some(Answer::Error));
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
fn a_runtime_that_only_has_nothing_more_to_say_still_gets_its_answer() {
    let mut stand = stand();
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: proxy\r\n\r\n";
    stand.runtime.write_all(next).unwrap();
    stand.runtime.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut lambda, _) = stand.lambda.accept().unwrap();
    let mut got = Vec::new();
    lambda.read_to_end(&mut got).unwrap();
    assert_eq!(got, stand.expected(next));
    lambda.write_all(ACCEPTED).unwrap();
    let mut answered = Vec::new();
    stand.runtime.read_to_end(&mut answered).unwrap();
    assert_eq!(answered, ACCEPTED);
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
    assert_eq!(stand.turn.wait_answer(later(), Duration::ZERO), None);
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
fn a_lambda_that_is_not_there_is_a_connection_that_breaks() {
    let Stand { lambda, mut runtime, .. } = stand();
    drop(lambda);
    runtime.write_all(b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n").unwrap();
    let ended = runtime.read(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(ended, Err(io::ErrorKind::ConnectionReset));
}

/// Sends `next` and answers with `event`, then sends `response` for it.
fn invoke(stand: &mut Stand, event: &str, response: &str) {
    let mut connection = None;
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: proxy\r\n\r\n";
    let event = format!(
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {ID}\r\nContent-Length: {}\r\n\r\n{event}",
        event.len()
    );
    stand.exchange_on(&mut connection, next, event.as_bytes());
    let response = format!(
        "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: proxy\r\nContent-Length: {}\r\n\r\n{response}",
        response.len()
    );
    stand.exchange_on(&mut connection, response.as_bytes(), ACCEPTED);
}

#[test]
fn a_success_that_holds_a_failure_is_told_of_and_ends_the_turn_as_one() {
    let batch = r#"{"Records":[{"messageId":"1","eventSource":"aws:sqs"}]}"#;
    for (event, response, kind) in [
        (batch, r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#, Some(r#""kind":"partial-batch""#)),
        (batch, r#"{"batchItemFailures":[]}"#, None),
        (
            r#"{"DurableExecutionArn":"a"}"#,
            r#"{"Status":"FAILED","Error":{}}"#,
            Some(r#""kind":"exception""#),
        ),
        ("{}", r#"{"statusCode":500}"#, None),
    ] {
        let mut stand = stand();
        stand.turn.opened(ID.to_owned());
        invoke(&mut stand, event, response);
        let answer = if kind.is_some() { Answer::Error } else { Answer::Response };
        assert_eq!(stand.turn.wait_answer(later(), Duration::ZERO), Some(answer), "{response}");
        assert!(stand.worker.hold(later()));
        let lines = stand.written.lines();
        assert_eq!(lines.len(), usize::from(kind.is_some()), "{lines:?}");
        assert!(kind.is_none_or(|kind| lines[0].contains(kind)), "{lines:?}");
    }
}

#[test]
fn a_stream_that_breaks_off_is_told_of() {
    let mut stand = stand();
    stand.turn.opened(ID.to_owned());
    stand.exchange(&recorded()[3], ACCEPTED);
    assert_eq!(stand.turn.wait_answer(later(), Duration::ZERO), Some(Answer::Error));
    assert!(stand.worker.hold(later()));
    assert_eq!(stand.written.lines().len(), 1);
}

#[test]
fn the_wrapper_gets_the_nonce_and_what_it_hands_over_is_kept() {
    let stand = stand();
    let file = std::fs::read(stand.folder.path().join("proxy")).unwrap();
    let meeting = Meeting::read(&file).unwrap();
    assert_eq!(Some(meeting.address), stand.runtime.peer_addr().ok());
    let question =
        "POST /trace-agent/attach HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\n_HANDLER=app.handler\0";
    (&stand.runtime).write_all(question.as_bytes()).unwrap();
    let (mut answer, mut length) = ([0; 1024], 0);
    while meeting.judge(&answer[..length]) == Verdict::Unfinished {
        length += (&stand.runtime).read(&mut answer[length..]).unwrap();
    }
    assert_eq!(meeting.judge(&answer[..length]), Verdict::Right);
    assert_eq!(stand.worker.what_was_attached(), Some(b"_HANDLER=app.handler\0".to_vec()));
}

#[test]
fn what_is_no_http_passes_as_it_is_both_ways() {
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"nonsense\r\n\r\nmore",
        b"POST /x HTTP/1.1\r\nHost: proxy\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let Stand { lambda, mut runtime, .. } = stand();
        runtime.write_all(request).unwrap();
        runtime.shutdown(std::net::Shutdown::Write).unwrap();
        let (mut connection, _) = lambda.accept().unwrap();
        let mut got = Vec::new();
        connection.read_to_end(&mut got).unwrap();
        assert_eq!(got, request);
        connection.write_all(b"what?").unwrap();
        drop(connection);
        let mut answered = Vec::new();
        runtime.read_to_end(&mut answered).unwrap();
        assert_eq!(answered, b"what?");
    }
}

#[test]
fn a_body_that_cannot_be_read_on_passes_to_its_end() {
    let mut stand = stand();
    let request = b"POST /x HTTP/1.1\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY\r\nrest";
    let refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (got, answered) = stand.exchange(request, refused);
    assert_eq!(got, stand.expected(request));
    assert_eq!(answered, refused);
}

#[test]
fn interim_answers_pass() {
    let mut stand = stand();
    let request = b"POST /x HTTP/1.1\r\nHost: proxy\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
    let answer =
        [&b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"[..], ACCEPTED].concat();
    assert_eq!(stand.exchange(request, &answer).1, answer);
}

#[test]
fn requests_behind_each_other_are_answered_one_after_the_other() {
    let mut stand = stand();
    let one = b"POST /1 HTTP/1.1\r\nHost: proxy\r\nContent-Length: 1\r\n\r\na";
    let two = b"GET /2 HTTP/1.1\r\nHost: proxy\r\n\r\n";
    stand.runtime.write_all(&[&one[..], two].concat()).unwrap();
    let (mut lambda, _) = stand.lambda.accept().unwrap();
    for request in [&one[..], two] {
        let mut got = vec![0; stand.expected(request).len()];
        lambda.read_exact(&mut got).unwrap();
        assert_eq!(got, stand.expected(request));
        lambda.write_all(ACCEPTED).unwrap();
        let mut answered = vec![0; ACCEPTED.len()];
        stand.runtime.read_exact(&mut answered).unwrap();
        assert_eq!(answered, ACCEPTED);
    }
}

#[test]
fn a_reset_is_a_reset_on_the_other_side() {
    let mut stand = stand();
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: proxy\r\n\r\n";
    stand.runtime.write_all(next).unwrap();
    let (lambda, _) = stand.lambda.accept().unwrap();
    let mut got = vec![0; stand.expected(next).len()];
    (&lambda).read_exact(&mut got).unwrap();
    (&lambda).write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
    let mut answered = [0; 23];
    stand.runtime.read_exact(&mut answered).unwrap();
    rustix::net::sockopt::set_socket_linger(&lambda, Some(std::time::Duration::ZERO)).unwrap();
    drop(lambda);
    let mut rest = [0; 64];
    let ended = loop {
        match stand.runtime.read(&mut rest) {
            Ok(read) if read > 0 => {}
            other => break other,
        }
    };
    assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
}
