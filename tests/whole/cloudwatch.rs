//! The roads that end in CloudWatch Logs: moto's server is the service, boto3 reads back what is there.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use trace_agent::peers::{AWSLAMBDARIC, MOTO};

use crate::harness::{
    Outcome, Stop, equal, eventually, extension, holds, lines, peer, run, rust_handler, said, test,
    trace_agent, valid,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a Python failure stands in CloudWatch Logs", a_python_failure_stands_in_cloudwatch),
        test("a Rust panic stands in CloudWatch Logs", a_rust_panic_stands_in_cloudwatch),
        test("what the sidecar ships is read back equal", what_the_sidecar_ships_is_read_back_equal),
        test("records wait for a service that is away", records_wait_for_a_service_that_is_away),
    ]
}

/// A running moto; it ends with the test.
pub(crate) struct Moto {
    server: Child,
    pub(crate) endpoint: String,
    python: std::path::PathBuf,
}

impl Moto {
    pub(crate) fn start() -> Result<Self, Stop> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Self::start_at(&address)
    }

    fn start_at(address: &str) -> Result<Self, Stop> {
        let programs = peer(MOTO)?;
        let (_, port) = address.rsplit_once(':').unwrap_or_default();
        let server = Command::new(programs.join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", port])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let moto = Self { server, endpoint: format!("http://{address}"), python: programs.join("python3") };
        eventually("moto listens", || TcpStream::connect(address).ok())?;
        Ok(moto)
    }

    /// Every event of a group, oldest first.
    fn events(&self, group: &str) -> Result<Vec<Value>, Stop> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/read_logs.py");
        let output = run(Command::new(&self.python).arg(script).args([&self.endpoint, group]))?;
        holds(output.status.success(), said(&output))?;
        lines(&output.stdout)
    }

    /// The variables that every SDK reads.
    fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &self.endpoint),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Invokes once with the CloudWatch sink, and gives the one record that then stands in the function's log group.
fn invoked(moto: &Moto, folder: &Path, command: &str, arguments: &[&str]) -> Result<Value, Stop> {
    let output = run(trace_agent(folder)
        .args(["local", "--handler-cmd", command, "--extension", extension(), "--timeout", "20"])
        .args(["--function-name", "checkout", "--sink", "cloudwatch"])
        .args(arguments)
        .envs(moto.variables()))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let events = moto.events("/aws/lambda/checkout")?;
    let [event] = &events[..] else {
        return Err(Stop::Fail(format!("{} events\n{}", events.len(), said(&output))));
    };
    holds(
        event["stream"].as_str().is_some_and(|stream| stream.starts_with("trace-agent/")),
        &event["stream"],
    )?;
    let record: Value = serde_json::from_str(event["message"].as_str().unwrap_or_default())?;
    valid(&record)?;
    let time = trace_record::complete::parse_rfc3339(record["timestamp"].as_str().unwrap_or_default());
    equal(event["timestamp"].as_i64(), time, "the event stands at the failure's own time")?;
    Ok(record)
}

fn a_python_failure_stands_in_cloudwatch() -> Outcome {
    let programs = peer(AWSLAMBDARIC)?;
    let moto = Moto::start()?;
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("lambda_function.py"),
        include_str!("../handlers/python/lambda_function.py"),
    )?;
    let command = format!(
        "'{}' -m awslambdaric lambda_function.always_failed_handler",
        programs.join("python3").display()
    );
    let record = invoked(&moto, folder.path(), &command, &[])?;
    equal(
        (&record["errorType"], &record["errorMessage"]),
        (&json!("Exception"), &json!("I failed!")),
        "type and message",
    )?;
    equal(&record["stackTrace"][0][2], &json!("always_failed_handler"), "function")?;
    equal(&record["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], &json!("Failures"), "metric")
}

fn a_rust_panic_stands_in_cloudwatch() -> Outcome {
    let handler = rust_handler()?;
    let moto = Moto::start()?;
    let folder = tempfile::tempdir()?;
    let record = invoked(
        &moto,
        folder.path(),
        &format!("'{}'", handler.display()),
        &["--source-root", env!("CARGO_MANIFEST_DIR")],
    )?;
    let innermost =
        record["stackTrace"].as_array().and_then(|stack| stack.last()).cloned().unwrap_or_default();
    equal(&innermost[2], &json!("failing_handler::look_up"), "function")?;
    holds(innermost.as_array().is_some_and(|entry| entry.iter().all(|value| !value.is_null())), &innermost)
}

/// The same log through two sinks: what boto3 reads back is, byte for byte, what the file sink wrote.
fn what_the_sidecar_ships_is_read_back_equal() -> Outcome {
    let moto = Moto::start()?;
    let folder = tempfile::tempdir()?;
    let trace = |index: usize| {
        format!(
            "Traceback (most recent call last):\n  File \"a.py\", line {index}, in größe\n    \"€\\t\"\nValueError: №{index} \"quoted\"\n"
        )
    };
    let log: String = (1..=120).map(trace).collect();
    std::fs::write(folder.path().join("app.log"), log)?;
    let once = |sink: &str| {
        run(trace_agent(folder.path())
            .args([
                "run",
                "--once",
                "--log-group",
                "/app/failures",
                "--function-name",
                "app",
                "--storm-limit",
                "0",
                "--sink",
                sink,
                "app.log",
            ])
            .envs(moto.variables()))
    };
    for sink in ["file:records", "cloudwatch"] {
        let output = once(sink)?;
        equal(output.status.code(), Some(0), &said(&output))?;
    }
    let written = crate::harness::records(&folder.path().join("records"))?;
    let read: Vec<Value> = moto
        .events("/app/failures")?
        .iter()
        .map(|event| serde_json::from_str(event["message"].as_str().unwrap_or_default()))
        .collect::<Result<_, _>>()?;
    equal((written.len(), read.len()), (120, 120), "records")?;
    for (written, read) in written.into_iter().zip(read) {
        // The two runs saw the log at different times; everything else is equal.
        let timeless = |mut record: Value| {
            record["timestamp"] = Value::Null;
            record["_aws"]["Timestamp"] = Value::Null;
            record
        };
        equal(timeless(read), timeless(written), "a record")?;
    }
    Ok(())
}

fn records_wait_for_a_service_that_is_away() -> Outcome {
    let folder = tempfile::tempdir()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    std::fs::write(
        folder.path().join("app.log"),
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: patient\n",
    )?;
    peer(MOTO)?;
    let endpoint = format!("http://{address}");
    let mut child = trace_agent(folder.path())
        .args(["run", "--once", "--log-group", "/app/failures", "--sink", "cloudwatch", "app.log"])
        .envs([
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint.as_str()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("records wait for the sink") {
        line.clear();
        holds(std::io::BufRead::read_line(&mut said, &mut line)? > 0, "it ended without waiting")?;
    }
    let moto = Moto::start_at(&address)?;
    let status = eventually("it ends", || child.try_wait().ok().flatten())?;
    equal(status.code(), Some(0), "exit status")?;
    equal(moto.events("/app/failures")?.len(), 1, "events, and none of them twice")
}
