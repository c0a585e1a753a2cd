//! The process whose variables are tested. It says the name of its sink, or why there is none, and what came of a batch.

use std::time::{SystemTime, UNIX_EPOCH};

use trace_agent_core::config::CloudWatchOptions;
use trace_agent_core::sink::{Destination, Sink as _};
use trace_cloudwatch::{CloudWatchSink, Environment};
use trace_record::batch::{Event, batches};

/// Connects a sink of `lambda` or of `host`, and puts one batch.
pub(crate) fn run(environment: &str) {
    let environment = match environment {
        "lambda" => Environment::LAMBDA,
        "host" => Environment::HOST,
        _ => unreachable!("no environment {environment}"),
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(put_once(environment));
}

async fn put_once(environment: Environment) {
    let sink = match CloudWatchSink::connect(environment, CloudWatchOptions::default()).await {
        Ok(sink) => sink,
        Err(error) => return println!("{error}"),
    };
    println!("{}", sink.name());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(now.as_millis()).unwrap();
    let (batches, _) = batches(vec![Event { timestamp_ms: now_ms, message: "{}".to_owned() }], now_ms);
    let to = Destination { group: "g".to_owned(), stream: "s".to_owned() };
    if let Err(error) = sink.put(&to, &batches[0]).await {
        println!("{error}");
    }
}
