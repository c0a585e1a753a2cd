//! The service over its socket: what it answers, how it fails on cue, and that nothing it is sent makes it fail otherwise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use trace_logs_service::{BODY_BYTES_MAX, Fault, Faults, Key, Options, Service};

use client::{Client, End, date, now_ms, request};

fn service() -> Service {
    let service = Service::start(Options::default()).unwrap();
    prepare(&service);
    service
}

fn prepare(service: &Service) {
    let mut client = Client::to(service);
    assert_eq!(client.call("CreateLogGroup", &json!({ "logGroupName": "g" })).unwrap().status, 200);
    let stream = json!({ "logGroupName": "g", "logStreamName": "s" });
    assert_eq!(client.call("CreateLogStream", &stream).unwrap().status, 200);
}

fn put(message: &str) -> Value {
    let events = [json!({ "timestamp": now_ms(), "message": message })];
    json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": events })
}

fn script(fault: Fault) -> Faults {
    Faults { script: VecDeque::from([Some(fault)]), slow_byte: Duration::ZERO, ..Faults::default() }
}

/// Waits until no connection is left: a thread that leaks fails the test.
fn quiet(service: &Service) {
    let until = Instant::now() + Duration::from_secs(20);
    while service.connections() > 0 {
        assert!(Instant::now() < until, "{} connections are left", service.connections());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_put_is_kept_and_counted() {
    let service = service();
    let mut client = Client::to(&service);
    for message in ["a", "b", "a"] {
        assert_eq!(client.call("PutLogEvents", &put(message)).unwrap().status, 200);
    }
    let state = service.state();
    assert_eq!(state.messages("g"), ["a", "b", "a"]);
    let tally = state.tally();
    assert_eq!((tally.events, tally.distinct, tally.duplicates, tally.puts), (3, 2, 1, 3));
    assert_eq!(state.count("PutLogEvents", "ok"), 3);
    let last = state.requests.last().unwrap();
    assert_eq!((last.status, last.events, last.event_bytes, last.stored), (200, 1, 27, 1));
    assert_eq!(state.groups["g"].streams["s"].events[2].request, last.number);
}

#[test]
fn pages_of_a_filter_follow_one_another_while_events_arrive() {
    let service = service();
    let mut client = Client::to(&service);
    for number in 0..5 {
        client.call("PutLogEvents", &put(&format!("event {number}"))).unwrap();
    }
    let mut asked = json!({ "logGroupName": "g", "limit": 2 });
    let mut read = Vec::new();
    loop {
        let page = client.call("FilterLogEvents", &asked).unwrap().json();
        read.extend(page["events"].as_array().unwrap().iter().map(|event| event["message"].clone()));
        let Some(token) = page.get("nextToken") else { break };
        asked["nextToken"] = token.clone();
        if read.len() == 2 {
            client.call("PutLogEvents", &put("event 5")).unwrap();
        }
    }
    assert_eq!(read, (0..6).map(|number| json!(format!("event {number}"))).collect::<Vec<_>>());
}

#[test]
fn pages_of_a_stream_go_both_ways_and_end_where_they_end() {
    let service = service();
    let mut client = Client::to(&service);
    for number in 0..5 {
        client.call("PutLogEvents", &put(&number.to_string())).unwrap();
    }
    let stream = json!({ "logGroupName": "g", "logStreamName": "s", "limit": 2 });
    let mut page = |token: Option<&Value>| {
        let mut asked = stream.clone();
        if let Some(token) = token {
            asked["nextToken"] = token.clone();
        }
        let page = client.call("GetLogEvents", &asked).unwrap().json();
        let messages =
            page["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap());
        (messages.collect::<String>(), page["nextForwardToken"].clone(), page["nextBackwardToken"].clone())
    };
    let (tail, forward, backward) = page(None);
    assert_eq!(tail, "34");
    let (none, again, _) = page(Some(&forward));
    assert_eq!((none.as_str(), &again), ("", &forward));
    let (before, _, backward) = page(Some(&backward));
    assert_eq!(before, "12");
    assert_eq!(page(Some(&backward)).0, "0");
}

#[test]
fn faults_before_the_work_store_nothing() {
    let service = service();
    let cases = [
        (Fault::Throttle { retry_after: Some(7) }, 400, "ThrottlingException"),
        (Fault::Internal, 500, "InternalFailure"),
        (Fault::Unavailable, 503, "ServiceUnavailableException"),
        (Fault::ExpiredToken, 400, "ExpiredTokenException"),
    ];
    for (fault, status, kind) in cases {
        service.set_faults(script(fault));
        let mut client = Client::to(&service);
        let answer = client.call("PutLogEvents", &put("x")).unwrap();
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind));
        assert_eq!(answer.head.contains("Retry-After: 7"), kind == "ThrottlingException");
    }
    for (fault, status) in [(Fault::Bare500, 500), (Fault::Bare503, 503), (Fault::TooLarge, 413)] {
        service.set_faults(script(fault));
        assert_eq!(Client::to(&service).call("PutLogEvents", &put("x")).unwrap().status, status);
    }
    for fault in [Fault::ResetBeforeBody, Fault::ResetAfterBody] {
        service.set_faults(script(fault));
        let (end, bytes) = Client::to(&service).call("PutLogEvents", &put("x")).unwrap_err();
        assert_eq!((end, bytes.len()), (End::Reset, 0), "{fault:?}");
    }
    let state = service.state();
    assert_eq!(state.tally().events, 0);
    assert_eq!(state.count("PutLogEvents", "ThrottlingException"), 1);
    assert_eq!(state.count("PutLogEvents", "reset after body"), 1);
    quiet(&service);
}

#[test]
fn faults_after_the_work_store_what_was_sent() {
    let service = service();
    service.set_faults(script(Fault::LostAnswer));
    let (end, bytes) = Client::to(&service).call("PutLogEvents", &put("lost")).unwrap_err();
    assert_eq!((end, bytes.len()), (End::Closed, 0));
    service.set_faults(script(Fault::HalfAnswer));
    let (_, bytes) = Client::to(&service).call("PutLogEvents", &put("half")).unwrap_err();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let announced = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(body.len(), announced.parse::<usize>().unwrap() / 2);
    service.set_faults(script(Fault::Noise));
    let (_, bytes) = Client::to(&service).call("PutLogEvents", &put("noise")).unwrap_err();
    assert!(!bytes.is_empty() && !bytes.starts_with(b"HTTP"));
    service.set_faults(script(Fault::Garbage));
    let answer = Client::to(&service).call("PutLogEvents", &put("garbage")).unwrap();
    assert!(answer.status == 200 && serde_json::from_slice::<Value>(&answer.body).is_err());
    service.set_faults(script(Fault::SlowAnswer));
    assert_eq!(Client::to(&service).call("PutLogEvents", &put("slow")).unwrap().status, 200);
    assert_eq!(service.state().messages("g"), ["lost", "half", "noise", "garbage", "slow"]);
    quiet(&service);
}

#[test]
fn a_request_that_hangs_ends_with_its_client_and_with_the_service() {
    let mut service = service();
    service.set_faults(Faults { shares: vec![(Fault::Hang, 1.0)], ..Faults::default() });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::to(&service)).collect();
    for client in &mut clients {
        client.send(&request("PutLogEvents", &put("x"), &[]));
    }
    while service.state().count("PutLogEvents", "hang") < 3 {
        std::thread::sleep(Duration::from_millis(2));
    }
    clients.pop();
    let until = Instant::now() + Duration::from_secs(20);
    while service.connections() > 2 {
        assert!(Instant::now() < until, "the client has gone and its connection has not");
        std::thread::sleep(Duration::from_millis(2));
    }
    service.stop();
    assert!(clients.pop().unwrap().answer().is_err());
    assert_eq!(service.state().tally().events, 0);
}

#[test]
fn a_stopped_service_refuses_and_comes_back_with_what_it_had() {
    let mut service = service();
    let mut client = Client::to(&service);
    client.call("PutLogEvents", &put("before")).unwrap();
    let endpoint = service.endpoint();
    service.stop();
    service.stop();
    assert!(TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).is_err());
    assert!(client.call("PutLogEvents", &put("meanwhile")).is_err());
    for _ in 0..20 {
        service.resume().unwrap();
        service.stop();
    }
    service.resume().unwrap();
    assert_eq!(service.endpoint(), endpoint);
    Client::to(&service).call("PutLogEvents", &put("after")).unwrap();
    assert_eq!(service.state().messages("g"), ["before", "after"]);
}

#[test]
fn denied_operations_expired_tokens_and_deleted_streams() {
    let service = service();
    let mut client = Client::to(&service);
    service.set_faults(Faults { denied: vec!["PutLogEvents".to_owned()], ..Faults::default() });
    assert_eq!(client.call("PutLogEvents", &put("x")).unwrap().kind(), "AccessDeniedException");
    assert_eq!(client.call("DescribeLogGroups", &json!({})).unwrap().status, 200);
    service.set_faults(Faults { expired_tokens: vec!["old".to_owned()], ..Faults::default() });
    for (token, status) in [("old", 400), ("new", 200)] {
        client.send(&request("PutLogEvents", &put("token"), &[("X-Amz-Security-Token", token)]));
        assert_eq!(client.answer().unwrap().status, status, "{token}");
    }
    service.set_faults(Faults { delete_stream_after_puts: Some(2), ..Faults::default() });
    assert_eq!(client.call("PutLogEvents", &put("second")).unwrap().status, 200);
    assert_eq!(client.call("PutLogEvents", &put("third")).unwrap().kind(), "ResourceNotFoundException");
    let state = service.state();
    assert_eq!((state.deleted.len(), state.tally().events), (1, 2));
}

#[test]
fn a_request_must_be_signed_and_in_time() {
    let key = Key { id: "AKID".to_owned(), secret: "secret".to_owned(), token: None };
    let offset = 1_000_000_000;
    let options = Options { credentials: Some(vec![key]), clock_offset_ms: offset, ..Options::default() };
    let service = Service::start(options).unwrap();
    let scope = |key: &str, ms: i64, service: &str| {
        let day = &date(ms)[..8];
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/{day}/r/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
        )
    };
    let there = now_ms() + offset;
    let kinds = [
        ("", there, "MissingAuthenticationTokenException"),
        ("Bearer x", there, "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0",
            there,
            "IncompleteSignatureException",
        ),
        (&scope("AKID", there, "s3"), there, "InvalidSignatureException"),
        (&scope("other", there, "logs"), there, "UnrecognizedClientException"),
        (&scope("AKID", there, "logs"), there, "InvalidSignatureException"),
    ];
    for (proof, ms, kind) in kinds {
        let mut client = Client::to(&service);
        let headers = [("Authorization", proof), ("X-Amz-Date", &date(ms))];
        client.send(&request("DescribeLogGroups", &json!({}), &headers));
        assert_eq!(client.answer().unwrap().kind(), kind, "{proof}");
    }
    // Five minutes either way, and half a minute for the test itself.
    for (off, said) in [
        (-330_000, "Signature expired: "),
        (330_000, "Signature not yet current: "),
        (-270_000, "The request"),
    ] {
        let ms = there + off;
        let mut client = Client::to(&service);
        let headers = [("Authorization", &*scope("AKID", ms, "logs")), ("X-Amz-Date", &date(ms))];
        client.send(&request("DescribeLogGroups", &json!({}), &headers));
        let answer = client.answer().unwrap();
        assert_eq!(answer.kind(), "InvalidSignatureException");
        assert!(answer.json()["message"].as_str().unwrap().starts_with(said), "{:?}", answer.json());
        assert!(answer.head.contains("\r\nDate: "));
    }
}

#[test]
fn a_packed_body_is_taken_and_a_bomb_is_not() {
    let service = service();
    let pack = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = pack(&vec![b' '; BODY_BYTES_MAX + 1]);
    let cases = [(pack(put("packed").to_string().as_bytes()), 200), (bomb, 413), (b"no gzip".to_vec(), 400)];
    for (body, status) in cases {
        let mut client = Client::to(&service);
        let length = body.len().to_string();
        let mut bytes =
            request("PutLogEvents", &json!(0), &[("Content-Encoding", "gzip"), ("Content-Length", &length)]);
        // The body that `request` wrote is one byte long.
        bytes.pop();
        bytes.extend(body);
        client.send(&bytes);
        assert_eq!(client.answer().unwrap().status, status);
    }
    assert_eq!(service.state().messages("g"), ["packed"]);
}

#[test]
fn hostile_requests_get_an_answer_or_an_end_and_leak_nothing() {
    let service = service();
    let long = "x".repeat(100_000);
    let many: String = (0..200).map(|number| format!("h{number}: v\r\n")).collect();
    let nested = "[".repeat(100_000);
    let raw = |operation: &str, body: &str| {
        let length = body.len().to_string();
        let mut bytes = request(operation, &json!(0), &[("Content-Length", &length)]);
        bytes.pop();
        bytes.extend(body.bytes());
        bytes
    };
    let too_large = (BODY_BYTES_MAX + 1).to_string();
    let answered: Vec<(Vec<u8>, u16)> = vec![
        (b"\x16\x03\x01\x00\xa5\x01\r\n\r\n".to_vec(), 400),
        (format!("GET / HTTP/1.1\r\na: {long}\r\n\r\n").into_bytes(), 431),
        (format!("POST / HTTP/1.1\r\n{many}\r\n").into_bytes(), 431),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
        (request("PutLogEvents", &json!(0), &[("Content-Length", "-1")]), 400),
        (
            request("PutLogEvents", &json!(0), &[("Content-Length", ""), ("Transfer-Encoding", "chunked")]),
            501,
        ),
        (
            [request("x", &json!(0), &[("Content-Length", &too_large)]), vec![b' '; BODY_BYTES_MAX]].concat(),
            413,
        ),
        (request("../../x", &json!({}), &[]), 400),
        (request("PutLogEvents", &json!({}), &[("Content-Type", "text/plain")]), 400),
        (raw("PutLogEvents", ""), 400),
        (raw("PutLogEvents", "{\"logEvents\":"), 400),
        (raw("PutLogEvents", &nested), 400),
        (raw("PutLogEvents", "{\"logGroupName\":7}"), 400),
        (raw("PutLogEvents", "{\"logEvents\":[{\"timestamp\":1e400}]}"), 400),
        (raw("PutLogEvents", "{\"logGroupName\":\"\\ud800\"}"), 400),
        (raw("FilterLogEvents", "{\"logGroupName\":\"g\",\"nextToken\":\"é\"}"), 400),
        (raw("GetLogEvents", "{\"logGroupName\":\"g\",\"logStreamName\":\"s\",\"nextToken\":\"é/\"}"), 400),
        (raw("GetLogEvents", "{\"logGroupName\":\"g\",\"logStreamName\":\"s\",\"limit\":-1}"), 400),
    ];
    for (bytes, status) in &answered {
        let mut client = Client::to(&service);
        client.send(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        assert_eq!(client.answer().map(|answer| answer.status), Ok(*status), "{shown}");
    }
    // Cut anywhere, a request is no request.
    let whole = request("PutLogEvents", &put("x"), &[]);
    for length in (0..whole.len()).step_by(7) {
        Client::to(&service).send(&whole[..length]);
    }
    quiet(&service);
    assert_eq!(service.state().tally().events, 0);
}

#[test]
fn connections_and_remembered_requests_are_bounded() {
    let options = Options { connections_max: 2, requests_max: 3, ..Options::default() };
    let service = Service::start(options).unwrap();
    let mut held: Vec<Client> = (0..2).map(|_| Client::to(&service)).collect();
    for client in &mut held {
        assert_eq!(client.call("DescribeLogGroups", &json!({})).unwrap().status, 200);
    }
    assert!(Client::to(&service).call("DescribeLogGroups", &json!({})).is_err());
    for _ in 0..3 {
        held[0].call("DescribeLogGroups", &json!({})).unwrap();
    }
    let state = service.state();
    assert_eq!((state.requests.len(), state.count("DescribeLogGroups", "ok")), (3, 5));
}
