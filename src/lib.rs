//! The programs of trace-agent: what joins the crates, and the two subcommands that need all of them.
//!
//! `trace-agent local` and `trace-agent demo` play Lambda on this machine: `trace-sandbox` serves the APIs, the real
//! extension program and a real runtime talk to it.

pub mod peers;
pub mod native;
pub mod stage;
mod local;
mod demo;
pub mod cli;

use std::sync::Arc;

use trace_agent_core::choose::{Opened, OpenedReader};
use trace_agent_core::config::CloudWatchOptions;
use trace_agent_core::read::Reader;
use trace_agent_core::sink::Sink;
use trace_cloudwatch::{CloudWatchReader, CloudWatchSink, Environment};

/// Opens the CloudWatch sink in a Lambda sandbox. Here and in [`connect_on_host`] the crate that names AWS meets the others.
#[must_use]
pub fn connect_in_lambda(options: CloudWatchOptions) -> Opened<'static> {
    connect(Environment::LAMBDA, options)
}

/// Opens the CloudWatch sink anywhere else.
#[must_use]
pub fn connect_on_host(options: CloudWatchOptions) -> Opened<'static> {
    connect(Environment::HOST, options)
}

/// Opens the reader of CloudWatch Logs.
#[must_use]
pub fn connect_reader() -> OpenedReader<'static> {
    Box::pin(async { Ok(Box::new(CloudWatchReader::connect(Environment::HOST).await?) as Box<dyn Reader>) })
}

fn connect(environment: Environment, options: CloudWatchOptions) -> Opened<'static> {
    Box::pin(
        async move { Ok(Arc::new(CloudWatchSink::connect(environment, options).await?) as Arc<dyn Sink>) },
    )
}
