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

use trace_agent_core::choose::{Home, Opened};
use trace_agent_core::sink::Sink;
use trace_cloudwatch::{CloudWatchSink, Environment};

/// Opens the CloudWatch sink: the one place where the crate that names AWS meets the others.
#[must_use]
pub fn connect(home: Home) -> Opened<'static> {
    Box::pin(async move {
        let environment = match home {
            Home::Lambda => Environment::Lambda,
            Home::Host => Environment::Host,
        };
        Ok(Box::new(CloudWatchSink::connect(environment).await?) as Box<dyn Sink>)
    })
}
