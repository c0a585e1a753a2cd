//! Failures of the function: what the client gets, and what becomes of the environment.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use trace_sandbox::{Invocation, LogSource, Status};

use crate::function::{Function, invoke, text};

#[tokio::test]
async fn an_error_s_body_passes_byte_for_byte_and_the_runtime_lives_on() {
    let function = Function::new();
    let sandbox = function.start().await;
    let body =
        r#"{"errorMessage": "I failed!",  "errorType": "Exception", "stackTrace": ["\u00e9"], "own": [1]}"#;
    let event = serde_json::json!({"do": "error", "body": body});
    let outcome = invoke(&sandbox, &event.to_string()).await;
    assert_eq!(text(&outcome), body);
    assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
    assert_eq!((outcome.status, outcome.error_type.as_deref()), (Status::Error, Some("Runtime.Unknown")));

    let typed = serde_json::json!({
        "do": "error", "body": "not even JSON",
        "headers": {"Lambda-Runtime-Function-Error-Type": "Runtime.UserException"},
    });
    let outcome = invoke(&sandbox, &typed.to_string()).await;
    assert_eq!(
        (text(&outcome), outcome.error_type.as_deref()),
        ("not even JSON", Some("Runtime.UserException"))
    );
    assert!(!sandbox.settled().await.unwrap().unwrap().reset);
}

#[tokio::test]
async fn an_error_in_the_trailers_of_a_streamed_response_is_a_function_error() {
    let function = Function::new();
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"stream-and-fail"}"#).await;
    assert_eq!(text(&outcome), r#"{"errorType":"Late","errorMessage":"after the first byte"}"#);
    assert_eq!(outcome.error_type.as_deref(), Some("Function.Late"));
    assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
}

#[tokio::test]
async fn a_timeout_is_told_with_the_limit_and_resets_the_environment() {
    let function = Function::new().timeout(Duration::from_secs(2));
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"sleep"}"#).await;
    assert_eq!(
        text(&outcome),
        r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: R Error: Task timed out after 2.00 seconds"}"#
    );
    assert_eq!((outcome.status, outcome.status_code), (Status::Timeout, 200));
    let settled = sandbox.settled().await.unwrap().unwrap();
    assert!(settled.reset);
    assert_eq!(settled.runtime_duration, Duration::from_secs(2));
    let platform = function.lines(&LogSource::Platform);
    assert!(
        platform.iter().any(|line| line.ends_with(" R Task timed out after 2.00 seconds")),
        "{platform:?}"
    );
    assert!(platform.last().unwrap().ends_with("\tStatus: timeout"), "{platform:?}");
    let log = function.log();
    let said = log.iter().position(|line| line == "sleeping").unwrap();
    assert!(said < log.iter().position(|line| line.starts_with("END")).unwrap());
}

#[tokio::test]
async fn exits_and_signals_are_told_in_lambda_s_words() {
    let function = Function::new();
    let sandbox = function.start().await;
    for (event, message) in [
        (r#"{"do":"exit","status":7}"#, "Runtime exited with error: exit status 7"),
        (r#"{"do":"exit","status":0}"#, "Runtime exited without providing a reason"),
        (r#"{"do":"signal","signal":11}"#, "Runtime exited with error: signal: segmentation fault"),
        (r#"{"do":"signal","signal":6}"#, "Runtime exited with error: signal: aborted"),
        (r#"{"do":"signal","signal":9}"#, "Runtime exited with error: signal: killed"),
    ] {
        let outcome = invoke(&sandbox, event).await;
        let expected =
            format!(r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: R Error: {message}"}}"#);
        assert_eq!(text(&outcome), expected);
        assert_eq!(outcome.function_error.as_deref(), Some("Unhandled"));
    }
    sandbox.settled().await.unwrap();
    let log = function.log();
    let words = log.iter().position(|line| line == "last words without an end").unwrap();
    assert_eq!(log[words + 1], "RequestId: R Error: Runtime exited with error: exit status 7");
    assert_eq!(log[words + 2..words + 4], ["Runtime.ExitError", "END RequestId: R"]);
    assert_eq!(log.iter().filter(|line| line.starts_with("INIT_START")).count(), 5, "each exit resets");
}

#[tokio::test]
async fn a_runtime_that_answers_and_exits_has_answered() {
    let function = Function::new();
    let sandbox = function.start().await;
    let outcome = invoke(&sandbox, r#"{"do":"answer-and-exit"}"#).await;
    assert_eq!(
        (text(&outcome), outcome.error_type.as_deref()),
        (r#"{"errorType":"panic"}"#, Some("Runtime.Unknown"))
    );
    let settled = sandbox.settled().await.unwrap().unwrap();
    assert_eq!((settled.error_type.as_deref(), settled.reset), (Some("Runtime.ExitError"), true));
    assert_eq!(text(&invoke(&sandbox, "{}").await), "{}");
}

#[tokio::test]
async fn a_failed_initialization_answers_the_first_invocation_and_is_repeated_for_the_next() {
    let body = r#"{"errorMessage": "no module named 'x'", "errorType": "Runtime.ImportModuleError"}"#;
    let function = Function::new().variable("RUNTIME_INIT", "error");
    let sandbox = function.start().await;
    for initializations in [1, 2] {
        let outcome = invoke(&sandbox, "{}").await;
        assert_eq!(text(&outcome), body);
        assert_eq!(outcome.error_type.as_deref(), Some("Runtime.ImportModuleError"));
        let log = function.log();
        assert_eq!(log.iter().filter(|line| line.starts_with("INIT_START")).count(), initializations);
    }
    let reports = function.lines(&LogSource::Platform);
    let reports: Vec<_> = reports.iter().filter(|line| line.starts_with("INIT_REPORT")).collect();
    assert!(reports[0].ends_with("\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"));
    assert!(reports[1].ends_with("\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError"));

    let function = Function::new().variable("RUNTIME_INIT", "exit 3");
    let sandbox = function.start().await;
    assert_eq!(
        text(&invoke(&sandbox, "{}").await),
        r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: R Error: Runtime exited with error: exit status 3"}"#
    );
}

#[tokio::test]
async fn an_initialization_that_takes_too_long_is_repeated_within_the_first_invocation() {
    let mut function = Function::new().variable("RUNTIME_INIT", "stuck");
    function.config.init_timeout = Duration::from_millis(100);
    let sandbox = function.start().await;
    std::fs::write(function.config.task_root.join("unstuck"), "").unwrap();
    assert_eq!(text(&invoke(&sandbox, r#"{"a":1}"#).await), r#"{"a":1}"#);
    let platform = function.lines(&LogSource::Platform);
    assert!(platform.iter().any(|line| line.contains("\tPhase: init\tStatus: timeout")), "{platform:?}");
}

#[tokio::test]
async fn a_dropped_sandbox_leaves_no_process() {
    let mut function = Function::new();
    // The runtime proper is a grandchild, with the pid that it reports.
    let script = format!("echo $$; python3 {} & wait", function.config.command[1].to_string_lossy());
    function.config.command = vec!["sh".into(), "-c".into(), script.into()];
    let sandbox = function.start().await;
    let outcome = sandbox.invoke(Invocation::new(r#"{"do":"environment"}"#)).await.unwrap();
    assert_eq!(outcome.status, Status::Success);
    let group = function.lines(&LogSource::Function)[0].clone();
    assert!(members(&group) >= 2);
    drop(sandbox);
    while members(&group) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_an_extension_a_runtime_is_killed_at_once() {
    let function = Function::new();
    let sandbox = function.start().await;
    invoke(&sandbox, "{}").await;
    let shutdown = sandbox.shutdown().await;
    let runtime = shutdown.runtime.unwrap();
    assert_eq!((runtime.status.unwrap().signal(), runtime.killed), (Some(9), true));
}

/// Living processes of a group.
fn members(group: &str) -> usize {
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let after_name = stat.rsplit_once(") ")?.1.to_owned();
        let mut fields = after_name.split(' ');
        let (state, _parent, process_group) = (fields.next()?, fields.next()?, fields.next()?);
        (state != "Z" && process_group == group).then_some(())
    });
    stats.count()
}
