//! What `trace-sandbox` adds to an invocation.
//!
//! - `sandbox/warm`: one invocation of a function that is up, until the sandbox is free for the next. The function
//!   answers `{}` without doing anything, in raw HTTP. The floor is what a runtime cannot do without: two exchanges
//!   (the event, the answer) over one connection between two threads.
//! - `sandbox/start`: starting the sandbox and the function's process until it asks for its first event. The floor
//!   starts the same program to say nothing and waits for its end.
//!
//! Bias: the floor's threads share a process, while sandbox and function are two, and it writes no log lines.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::env;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use criterion::Criterion;

use beside::Comparison;
use http::{Connection, read_message};
use runtime::Running;

mod beside;
mod http;
mod runtime;

fn main() {
    if env::args().nth(1).as_deref() == Some("--nothing") {
        return;
    }
    runtime::run_if_started_as_one();
    beside::run(&[warm, start]);
}

fn warm(criterion: &mut Criterion) {
    let tokio = runtime::tokio();
    let running = Running::start(&tokio, runtime::function());
    let mut floor = Connection::open(&serve());

    let mut comparison = Comparison::new(criterion, "sandbox/warm");
    comparison.time("invoke and settle", || (), |()| running.invoke());
    comparison.time(
        "floor: two exchanges",
        || (),
        |()| (floor.call("GET", "/next", ""), floor.call("POST", "/response", "{}")),
    );
    comparison.finish();
}

fn start(criterion: &mut Criterion) {
    let tokio = runtime::tokio();
    let mut comparison = Comparison::new(criterion, "sandbox/start");
    comparison.group.sample_size(20);
    comparison.time("Sandbox::start", || (), |()| Running::start(&tokio, runtime::function()));
    comparison.time(
        "floor: a process that ends at once",
        || (),
        |()| Command::new(env::current_exe().unwrap()).arg("--nothing").status().unwrap(),
    );
    comparison.finish();
}

/// Answers every request with `{}`, and gives the address.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        while read_message(&mut reader).is_some() {
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    });
    address
}
