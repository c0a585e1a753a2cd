//! What a batch costs on its way to CloudWatch Logs.
//!
//! - `cloudwatch/full-batch`: a batch of 1 MiB, as large as PutLogEvents takes.
//! - `cloudwatch/one-event`: a batch of one record of 2 KiB, as a failing function sends it.
//!
//! The service is a thread on the loopback interface that reads a request and answers `{}`. The floor posts a body of the
//! same JSON to the same service over a bare connection; it is made outside the clock.
//!
//! Bias: the floor neither builds the JSON nor signs it with SHA-256, and nothing here is encrypted, which in the
//! cloud costs both the same. The connection is open already; a failing function pays for opening it as well.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::env;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use criterion::{Criterion, Throughput};
use serde_json::json;
use trace_agent_core::clock::now_ms;
use trace_agent_core::config::CloudWatchOptions;
use trace_agent_core::sink::{Destination, Sink};
use trace_cloudwatch::{CloudWatchSink, Environment};
use trace_record::batch::{BATCH_BYTES_MAX, Batch, EVENT_OVERHEAD_BYTES, Event, batches};

use beside::Comparison;
use http::{Connection, read_message};

mod beside;
mod environment;
mod http;

const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS";

/// Bytes of a record.
const RECORD_BYTES: usize = 2 * 1024;

fn main() -> ExitCode {
    let prepare = || {
        let variables = vec![
            (ENDPOINT_VARIABLE, format!("http://{}", serve()).into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ];
        (variables, ())
    };
    environment::run(prepare, || beside::run(&[full_batch, one_event]))
}

fn full_batch(criterion: &mut Criterion) {
    put(criterion, "cloudwatch/full-batch", BATCH_BYTES_MAX / (RECORD_BYTES + EVENT_OVERHEAD_BYTES));
}

fn one_event(criterion: &mut Criterion) {
    put(criterion, "cloudwatch/one-event", 1);
}

fn put(criterion: &mut Criterion, name: &str, events: usize) {
    let to = Destination { group: "/aws/lambda/checkout".to_owned(), stream: "trace-agent/1".to_owned() };
    let batch = batch(events);
    let body = body(&to, &batch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sink =
        runtime.block_on(CloudWatchSink::connect(Environment::LAMBDA, CloudWatchOptions::default())).unwrap();
    let address = env::var(ENDPOINT_VARIABLE).unwrap().replace("http://", "");
    let mut connection = Connection::open(&address);

    let mut comparison = Comparison::new(criterion, name);
    comparison.group.throughput(Throughput::Bytes(body.len() as u64)).sample_size(50);
    comparison.time(
        "CloudWatchSink::put",
        || (),
        |()| {
            let receipt = runtime.block_on(sink.put(&to, &batch)).unwrap();
            assert_eq!(receipt.stored, batch.events().len());
        },
    );
    comparison.time("floor: a bare POST", || (), |()| connection.call("POST", "/", &body));
    comparison.finish();
}

/// Answers every request with `{}`, and gives the address.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            std::thread::spawn(move || {
                while read_message(&mut reader).is_some() {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 2\r\n\r\n{}";
                    reader.get_mut().write_all(answer).unwrap();
                }
            });
        }
    });
    address
}

fn batch(events: usize) -> Batch {
    let now_ms = now_ms();
    let message = r#"{"errorMessage":"I failed!"}"#.repeat(RECORD_BYTES / 28);
    let event = Event { timestamp_ms: now_ms, message };
    batches(vec![event; events], now_ms).0.remove(0)
}

/// The body of PutLogEvents.
fn body(to: &Destination, batch: &Batch) -> String {
    let events = batch.events().iter();
    let events: Vec<_> =
        events.map(|event| json!({"timestamp": event.timestamp_ms, "message": event.message})).collect();
    json!({"logGroupName": to.group, "logStreamName": to.stream, "logEvents": events}).to_string()
}
