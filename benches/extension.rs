//! What the extension costs a function that does not fail.
//!
//! - `extension/warm`: one good invocation, until the environment is free for the next: with the extension and its proxy,
//!   as the layer's wrapper sets them up, with the extension alone, and, the floor, without.
//! - `extension/start`: starting the environment, until the function and the extension have both asked for their first
//!   event, with and without the extension. Not with the proxy: the sandbox waits for it in steps of 20 ms, which would
//!   be what is measured.
//!
//! - `extension/register`, `extension/next`: from starting the program to its registration, and to its first `/next`, beside the hello
//!   extension of AWS's `lambda-extension` crate.
//! - `proxy/turn`: the two calls of one invocation, an event and a response of 1 KiB each, over a connection that stays, directly and through the
//!   proxy. `proxy/response`: a response of 6 MiB, which is Lambda's limit.
//! - `wrapper/start`: a program that ends at once, started directly, by the wrapper with the extension there, by one that is told to do nothing,
//!   and by a shell script that becomes it. Needs the programs of `cargo layer`.
//! - Then a table of what the kernel counts for both: memory, CPU, and the time from SHUTDOWN to the end. The peer subscribes to nothing, so
//!   its invocations have no telemetry; ours have five events each.
//!
//! Bias: the function does nothing and its events are empty, so what is added per invocation stands out as much as it
//! can; Lambda's own side is `trace-sandbox`, in this process, and everything shares this machine's cores. Nothing
//! fails, so the worker never starts.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use criterion::Criterion;
use tempfile::TempDir;
use trace_sandbox::{Config, Extension, RuntimeEndpoint};

use beside::Comparison;
use runtime::Running;
use watched::Watched;

mod beside;
mod http;
mod proxied;
mod runtime;
mod watched;

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
    run_if_started_as_hello();
    beside::run(&[warm, start, register, next, proxied::turn, proxied::response, proxied::wrapper]);
    // Not where one bench was asked for, or all are only tried.
    if std::env::args()
        .all(|argument| argument == "--bench" || !argument.starts_with('-') && argument.contains('/'))
    {
        table();
        proxied::table();
    }
}

/// The name under which this program is the peer: an extension is called as its file is.
const HELLO: &str = "hello-extension";

/// If this process was started as the peer, is that.
fn run_if_started_as_hello() {
    let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if program.file_name().is_none_or(|name| name != HELLO) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hello = lambda_extension::service_fn(|_: lambda_extension::LambdaEvent| async {
        Ok::<(), lambda_extension::Error>(())
    });
    runtime.block_on(lambda_extension::run(hello)).unwrap();
    std::process::exit(0);
}

/// Both programs, each in a folder that goes away.
fn programs() -> [(&'static str, TempDir, PathBuf); 2] {
    let [ours, theirs] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let hello = theirs.path().join(HELLO);
    fs::copy(std::env::current_exe().unwrap(), &hello).unwrap();
    [
        ("trace-agent-extension", ours, PathBuf::from(env!("CARGO_BIN_EXE_trace-agent-extension"))),
        ("lambda-extension hello", theirs, hello),
    ]
}

fn register(criterion: &mut Criterion) {
    until(criterion, "extension/register", Watched::wait_registered);
}

fn next(criterion: &mut Criterion) {
    until(criterion, "extension/next", Watched::wait_asked);
}

fn until(criterion: &mut Criterion, name: &str, wait: fn(&Watched)) {
    let mut comparison = Comparison::new(criterion, name);
    for (way, folder, program) in programs() {
        comparison.time(
            way,
            || (),
            |()| {
                let watched = Watched::start(&program, folder.path());
                wait(&watched);
                watched
            },
        );
    }
    comparison.finish();
}

/// What the kernel counts, once for each program.
fn table() {
    const INVOCATIONS: u64 = 1_000;
    println!("\nextension/table{:>36}{:>26}", "trace-agent-extension", "lambda-extension hello");
    let columns = programs().map(|(_, folder, program)| {
        let mut watched = Watched::start(&program, folder.path());
        watched.wait_asked();
        let (ready_kib, ready_us) = (watched.resident_kib(), watched.cpu_us());
        (0..INVOCATIONS).for_each(|_| watched.invoke());
        let (after_kib, after_us) = (watched.resident_kib(), watched.cpu_us());
        let ended = watched.shut_down();
        [
            format!("{ready_us} us"),
            format!("{ready_kib} KiB"),
            format!("{after_kib} KiB"),
            format!("{} us", (after_us - ready_us) / INVOCATIONS),
            ended.map_or("never by itself".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3)),
        ]
    });
    let names = [
        "CPU before the first /next",
        "memory at the first /next",
        "memory after 1,000 invocations",
        "CPU per good invocation",
        "SHUTDOWN to exit",
    ];
    for (row, name) in names.iter().enumerate() {
        println!("{name:<32}{:>19}{:>26}", columns[0][row], columns[1][row]);
    }
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
