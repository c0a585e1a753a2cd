//! What the extension costs a function that does not fail.
//!
//! - `extension/warm`: one good invocation, until the environment is free for the next: with the extension and its proxy,
//!   as the layer's wrapper sets them up, with the extension alone, and, the floor, without.
//! - `extension/start`: starting the environment, until the function and the extension have both asked for their first
//!   event, with and without the extension. Not with the proxy: the sandbox waits for it in steps of 20 ms, which would
//!   be what is measured.
//!
//! Bias: the function does nothing and its events are empty, so what is added per invocation stands out as much as it
//! can; Lambda's own side is `trace-sandbox`, in this process, and everything shares this machine's cores. Nothing
//! fails, so the worker never starts.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::net::TcpListener;

use criterion::Criterion;
use tempfile::TempDir;
use trace_sandbox::{Config, Extension, RuntimeEndpoint};

use beside::Comparison;
use runtime::Running;

mod beside;
mod http;
mod runtime;

/// How the function is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    Proxy,
    Telemetry,
    Nothing,
}

const WAYS: [(&str, Watch); 3] = [
    ("extension with proxy", Watch::Proxy),
    ("extension", Watch::Telemetry),
    ("floor: no extension", Watch::Nothing),
];

fn main() {
    runtime::run_if_started_as_one();
    beside::run(&[warm, start]);
}

fn warm(criterion: &mut Criterion) {
    let tokio = runtime::tokio();
    let mut comparison = Comparison::new(criterion, "extension/warm");
    for (way, watch) in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(&tokio, function(watch, &folder));
        comparison.time(way, || (), |()| running.invoke());
    }
    comparison.finish();
}

fn start(criterion: &mut Criterion) {
    let tokio = runtime::tokio();
    let mut comparison = Comparison::new(criterion, "extension/start");
    comparison.group.sample_size(20);
    for (way, watch) in WAYS.into_iter().filter(|(_, watch)| *watch != Watch::Proxy) {
        let folder = || tempfile::tempdir().unwrap();
        // The folder is dropped after the sandbox that uses it.
        comparison.time(way, folder, |folder| (Running::start(&tokio, function(watch, &folder)), folder));
    }
    comparison.finish();
}

/// The function, with or without the extension beside it. What the extension writes goes into `folder`.
fn function(watch: Watch, folder: &TempDir) -> Config {
    let mut config = runtime::function();
    if watch == Watch::Nothing {
        return config;
    }
    let mut extension = Extension::new(env!("CARGO_BIN_EXE_trace-agent-extension"));
    let mut set = |name: &str, value: String| extension.environment.push((name.into(), value.into()));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    set("TRACE_AGENT_SINK", format!("file:{}", at("sink")));
    set("TRACE_AGENT_SOCKET", at("capture.sock"));
    if watch == Watch::Proxy {
        // Somebody may take the port before the extension does; then the sandbox would go on without the proxy.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        set("TRACE_AGENT_PROXY_LISTEN", address.to_string());
        config.runtime_endpoint = RuntimeEndpoint::Through(address);
    }
    config.extensions.push(extension);
    config
}
