//! The life of an extension beside the function.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use serde_json::json;
use trace_sandbox::{Error, Sandbox, Status};

use crate::function::{Function, invoke, text};

#[tokio::test]
async fn an_extension_registers_hears_of_invocations_and_leaves_at_the_end() {
    let function = Function::new().extension(&[]);
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    let shutdown = sandbox.shutdown().await;

    let registered = &function.heard()[0];
    assert_eq!(
        registered["registered"],
        json!({"functionName": "seed", "functionVersion": "$LATEST", "handler": "app.handler", "accountId": "123456789012"})
    );
    let environment = registered["environment"].as_array().unwrap();
    for withheld in
        ["_HANDLER", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"]
    {
        assert!(!environment.contains(&withheld.into()), "{withheld}");
    }
    let events = function.heard_of("event");
    assert_eq!(events[0]["eventType"], "INVOKE");
    assert_eq!(events[0]["requestId"], "R");
    assert_eq!(events[0]["invokedFunctionArn"], "arn:aws:lambda:us-east-1:123456789012:function:seed");
    assert_eq!(
        (&events[1]["eventType"], &events[1]["shutdownReason"]),
        (&"SHUTDOWN".into(), &"spindown".into())
    );
    assert_eq!(events.len(), 2);

    let runtime = shutdown.runtime.unwrap();
    assert_eq!(
        (runtime.status.unwrap().signal(), runtime.killed),
        (Some(15), false),
        "with an extension, SIGTERM"
    );
    let extension = &shutdown.extensions[0];
    assert_eq!(
        (extension.name.as_str(), extension.status.unwrap().code(), extension.killed),
        ("extension.py", Some(0), false)
    );
}

#[tokio::test]
async fn an_extension_that_ignores_its_shutdown_is_killed_at_the_deadline() {
    let function = Function::new().extension(&[("EXTENSION_ON_SHUTDOWN", "hang")]);
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    let began = std::time::SystemTime::now();
    let shutdown = sandbox.shutdown().await;
    let extension = &shutdown.extensions[0];
    assert_eq!((extension.status.unwrap().signal(), extension.killed), (Some(9), true));
    let deadline = function.heard_of("event").last().unwrap()["deadlineMs"].as_u64().unwrap();
    let since_began = u128::from(deadline) - began.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(since_began >= 1999, "told of two seconds, less what rounding takes: {since_began}");
}

#[tokio::test]
async fn a_reset_tells_the_extension_why_and_starts_it_again() {
    let function = Function::new().extension(&[]);
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"exit","status":1}"#).await;
    invoke(&sandbox, "{}").await;
    sandbox.shutdown().await;
    assert_eq!(reasons(&function), ["INVOKE", "failure", "INVOKE", "spindown"]);
    assert_eq!(function.heard_of("registered").len(), 2);

    let function = Function::new().extension(&[]).timeout(Duration::from_secs(2));
    let sandbox = function.start().await;
    invoke(&sandbox, r#"{"do":"sleep"}"#).await;
    sandbox.settled().await.unwrap();
    assert_eq!(reasons(&function), ["INVOKE", "timeout"]);
}

#[tokio::test]
async fn the_client_does_not_wait_for_an_extension_and_the_next_invocation_does() {
    let function = Function::new().extension(&[("EXTENSION_ON_INVOKE", "hold 0.5")]);
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, "{}").await;
    assert_eq!(outcome.status, Status::Success);
    let settled = sandbox.settled().await.unwrap().unwrap();
    assert_eq!(settled.status, Status::Success);
    let whole = settled.runtime_duration + settled.post_runtime_extensions_duration;
    assert!(whole >= Duration::from_millis(500), "{settled:?}");
}

#[tokio::test]
async fn an_extension_that_overruns_times_the_invocation_out_after_the_answer() {
    let function =
        Function::new().extension(&[("EXTENSION_ON_INVOKE", "hang")]).timeout(Duration::from_secs(2));
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, "{}").await;
    assert_eq!((text(&outcome), outcome.status), ("{}", Status::Success));
    let settled = sandbox.settled().await.unwrap().unwrap();
    assert_eq!((settled.status, settled.error_type.as_deref()), (Status::Timeout, Some("Sandbox.Timedout")));
    assert!(settled.reset);
}

#[tokio::test]
async fn an_extension_that_crashes_fails_the_invocation() {
    let function = Function::new().extension(&[("EXTENSION_ON_INVOKE", "exit 3")]);
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"sleep"}"#).await;
    assert_eq!(
        text(&outcome),
        r#"{"errorType":"Extension.Crash","errorMessage":"RequestId: R Error: exit status 3"}"#
    );
    assert_eq!(outcome.status, Status::Failure);
}

#[tokio::test]
async fn an_extension_that_fails_to_initialize_fails_the_invocation() {
    for (init, error_type, message) in
        [("exit", "Extension.Crash", "exit status 3"), ("error", "Extension.InitError", "Extension.Mine")]
    {
        let function = Function::new().extension(&[("EXTENSION_INIT", init)]);
        let sandbox = function.start().await;
        let outcome = invoke(&sandbox, "{}").await;
        let expected =
            format!(r#"{{"errorType":"{error_type}","errorMessage":"RequestId: R Error: {message}"}}"#);
        assert_eq!(text(&outcome), expected);
    }
}

#[tokio::test]
async fn an_extension_that_cannot_be_started_is_an_error_of_the_start() {
    let mut function = Function::new();
    function.config.extensions.push(trace_sandbox::Extension::new("/nowhere/extension"));
    let error = Sandbox::start(function.config.clone(), std::sync::Arc::new(drop)).await.err().unwrap();
    assert!(matches!(error, Error::ExtensionLaunch { .. }));
    assert_eq!(error.to_string(), "cannot start extension `/nowhere/extension`");
}

/// What each event was, of a SHUTDOWN the reason.
fn reasons(function: &Function) -> Vec<String> {
    let reason = |event: &serde_json::Value| event["shutdownReason"].as_str().unwrap_or("INVOKE").to_owned();
    function.heard_of("event").iter().map(reason).collect()
}
