//! Answers: what the runtime gives is what the client gets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use trace_sandbox::{Error, Invocation, LogFormat, LogSource, RuntimeEndpoint, Sandbox, Status};

use crate::function::{Function, invoke, text};

#[tokio::test]
async fn a_response_reaches_the_client_as_it_is_and_the_environment_stays_warm() {
    let function = Function::new();
    let sandbox = function.start().await;
    for event in [r#"{"a":  "é"}"#, r#"{"b":2}"#] {
        let outcome = invoke(&sandbox, event).await;
        assert_eq!((text(&outcome), outcome.status, outcome.status_code), (event, Status::Success, 200));
        assert_eq!((outcome.function_error, outcome.error_type), (None, None));
    }
    assert_eq!(text(&invoke(&sandbox, "").await), "{}");
    let settled = sandbox.settled().await.unwrap().unwrap();
    assert!(!settled.reset && settled.memory_peak_mb > 0);
    let log = function.log();
    assert_eq!(log.iter().filter(|line| line.starts_with("INIT_START")).count(), 1);
    assert_eq!(
        log.iter().filter(|line| line.contains("Init Duration:")).count(),
        1,
        "on the first report only"
    );
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_runtime_is_told_what_lambda_tells_it() {
    let function = Function::new();
    let sandbox = function.start().await;
    let invocation = Invocation {
        trace_id: Some("Root=1-2-3;Sampled=1".into()),
        client_context: Some(r#"{"custom":{"k":"é"}}"#.into()),
        ..Invocation::new(r#"{"do":"headers"}"#)
    };
    let outcome = sandbox.invoke(invocation).await.unwrap();
    let headers: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(headers["Lambda-Runtime-Aws-Request-Id"], outcome.request_id.as_str());
    assert_eq!(headers["Lambda-Runtime-Trace-Id"], "Root=1-2-3;Sampled=1");
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:seed";
    assert_eq!(headers["Lambda-Runtime-Invoked-Function-Arn"], arn);
    assert!(headers["Lambda-Runtime-Invocation-Id"].is_string());
    assert_eq!(headers.get("Lambda-Runtime-Cognito-Identity"), None);

    let outcome = invoke(&sandbox, r#"{"do":"environment"}"#).await;
    let environment: Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(environment["_HANDLER"], "app.handler");
    assert_eq!(environment["AWS_LAMBDA_RUNTIME_API"], sandbox.address().to_string());
    assert_eq!(environment["AWS_LAMBDA_LOG_STREAM_NAME"], sandbox.log_stream());
    assert_eq!(environment["LAMBDA_TASK_ROOT"], environment["cwd"]);
    assert_eq!(environment.get("CARGO_MANIFEST_DIR"), None, "the caller's own variables stay outside");

    let broken = Invocation { trace_id: Some("a\nb".into()), ..Invocation::default() };
    assert!(matches!(sandbox.invoke(broken).await, Err(Error::InvocationMember { member: "trace_id" })));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn printed_lines_stand_between_start_and_end() {
    let function = Function::new();
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"print","text":"one\n\na\rb\nunfinished"}"#).await;
    sandbox.settled().await.unwrap();
    let log = function.log();
    let start = log.iter().position(|line| line == "START RequestId: R Version: $LATEST").unwrap();
    assert_eq!(log[start + 1..start + 5], ["one", "", "a\rb", "END RequestId: R"]);
    assert!(log[start + 5].starts_with("REPORT RequestId: R\tDuration: "), "{}", log[start + 5]);
    sandbox.shutdown().await;
    assert_eq!(function.lines(&LogSource::Function).last().unwrap(), "unfinished");
}

#[tokio::test]
async fn a_json_log_holds_the_platform_s_events() {
    let mut function = Function::new();
    function.config.log_format = LogFormat::Json;
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    sandbox.settled().await.unwrap();
    let types: Vec<String> = function
        .lines(&LogSource::Platform)
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"];
    assert_eq!(types, expected.map(|name| format!("platform.{name}")));
}

#[tokio::test]
async fn a_wrong_id_is_400_and_a_second_response_403() {
    let function = Function::new();
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"misbehave"}"#).await;
    assert_eq!(text(&outcome), r#""first""#);
    sandbox.settled().await.unwrap();
    let lines = function.lines(&LogSource::Function);
    assert_eq!(lines[0], r#"400 {"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}"#);
    assert_eq!(lines[1], r#"202 {"status":"OK"}"#);
    assert!(lines[2].starts_with(r#"403 {"errorType":"InvalidStateTransition""#), "{}", lines[2]);
}

#[tokio::test]
async fn a_response_of_six_mebibytes_passes_and_a_larger_one_is_413() {
    let function = Function::new();
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"large","bytes":6291554}"#).await;
    assert_eq!((outcome.payload.len(), outcome.status), (6_291_556, Status::Success));
    let outcome = invoke(&sandbox, r#"{"do":"large","bytes":20000000}"#).await;
    assert_eq!(
        text(&outcome),
        r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#
    );
    sandbox.settled().await.unwrap();
    let lines = function.lines(&LogSource::Function);
    assert!(lines[0].starts_with("202"));
    assert!(lines[1].starts_with(r#"413 {"errorType":"RequestEntityTooLarge""#), "{}", lines[1]);
}

#[tokio::test]
async fn a_header_of_a_mebibyte_is_taken() {
    let function = Function::new();
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"big-header","bytes":1048575}"#).await;
    sandbox.settled().await.unwrap();
    assert_eq!(function.lines(&LogSource::Function), ["202"]);
}

#[tokio::test]
async fn the_invoke_api_answers_as_the_sdks_expect() {
    let function = Function::new();
    let sandbox = function.start().await;
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aseed";
    let address = sandbox.address();
    let calls = move || {
        [
            post(address, "seed", "", r#"{"a":1}"#),
            post(address, arn, "", r#"{"do":"error","body":"oops"}"#),
            post(address, "seed", "X-Amz-Invocation-Type: Event\r\n", r#"{"do":"print","text":"behind\n"}"#),
            post(address, "seed", "X-Amz-Invocation-Type: DryRun\r\n", "{}"),
            post(address, "other", "", "{}"),
            post(address, "seed", "", "no json"),
        ]
    };
    let [answer, error, event, dry_run, unknown, malformed] =
        tokio::task::spawn_blocking(calls).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"a\":1}"), "{answer}");
    assert!(answer.contains("X-Amz-Executed-Version: $LATEST\r\n") && answer.contains("X-Amzn-Requestid: "));
    assert!(!answer.contains("X-Amz-Function-Error"));
    assert!(error.starts_with("HTTP/1.1 200 OK\r\n") && error.ends_with("\r\n\r\noops"), "{error}");
    assert!(error.contains("X-Amz-Function-Error: Unhandled\r\n"));
    assert!(event.starts_with("HTTP/1.1 202 Accepted\r\n"), "{event}");
    assert!(dry_run.starts_with("HTTP/1.1 204 No Content\r\n"), "{dry_run}");
    assert!(
        unknown.starts_with("HTTP/1.1 404")
            && unknown.contains("X-Amzn-Errortype: ResourceNotFoundException")
    );
    assert!(malformed.starts_with("HTTP/1.1 400") && malformed.contains("InvalidRequestContentException"));
    sandbox.shutdown().await;
    assert_eq!(function.lines(&LogSource::Function), ["behind"], "what was asked for is done before the end");
}

#[tokio::test]
async fn a_runtime_without_a_working_proxy_goes_to_the_sandbox_directly() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut function = Function::new();
    function.config.runtime_endpoint = RuntimeEndpoint::Through(closed);
    let sandbox = function.start().await;
    assert_eq!(text(&invoke(&sandbox, "{}").await), "{}");
    let platform = function.lines(&LogSource::Platform);
    assert!(
        platform.iter().any(|line| line.starts_with(&format!("no proxy accepts at {closed}"))),
        "{platform:?}"
    );

    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    function.config.runtime_endpoint = RuntimeEndpoint::Through(proxy.local_addr().unwrap());
    let through = function.config.clone();
    let starting = tokio::spawn(Sandbox::start(through, std::sync::Arc::new(drop)));
    let (_probe, _) = proxy.accept().await.unwrap();
    let (mut runtime, _) = proxy.accept().await.unwrap();
    let mut call = [0; 39];
    runtime.read_exact(&mut call).await.unwrap();
    assert_eq!(&call, b"GET /2018-06-01/runtime/invocation/next");
    starting.abort();
}

#[tokio::test]
async fn a_command_that_is_not_there_is_an_error_before_anything_starts() {
    let mut function = Function::new().extension(&[]);
    function.config.command = vec!["no-such-runtime".into()];
    let error = Sandbox::start(function.config.clone(), std::sync::Arc::new(drop)).await.err().unwrap();
    assert!(matches!(&error, Error::CommandNotFound { command } if command == "no-such-runtime"), "{error}");
    assert!(function.heard().is_empty());

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut function = Function::new();
    function.config.listen = taken.local_addr().unwrap();
    let error = Sandbox::start(function.config.clone(), std::sync::Arc::new(drop)).await.err().unwrap();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
}

/// The answer to a POST of the Invoke API, as it stands on the wire.
fn post(address: SocketAddr, name: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
