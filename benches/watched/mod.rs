//! An extension's process, and as little of Lambda around it as can be: it registers, subscribes and asks for events, and what it costs is read
//! from the kernel.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What Lambda's side saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Registered,
    Asked,
}

/// A running extension.
pub(crate) struct Watched {
    child: Child,
    /// Where Lambda's side is.
    pub(crate) lambda: SocketAddr,
    seen: Receiver<Seen>,
    events: Sender<String>,
    telemetry: Receiver<u16>,
    sender: Option<BufReader<TcpStream>>,
    invocations: u64,
}

impl Watched {
    /// Starts `program`, as Lambda starts what lies in /opt/extensions. What it writes goes into `folder`.
    pub(crate) fn start(program: &Path, folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lambda = listener.local_addr().unwrap();
        let (see, seen) = channel();
        let (events, next) = channel();
        let (port, telemetry) = channel();
        let next = Arc::new(Mutex::new(next));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.set_nodelay(true);
                let (see, next, port) = (see.clone(), Arc::clone(&next), port.clone());
                thread::spawn(move || serve(stream, &see, &next, &port));
            }
        });
        let child = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", lambda.to_string())
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("TRACE_AGENT_SOCKET", folder.join("agent/capture.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, lambda, seen, events, telemetry, sender: None, invocations: 0 }
    }

    /// Waits until it has registered.
    pub(crate) fn wait_registered(&self) {
        while self.seen.recv_timeout(Duration::from_secs(10)).unwrap() != Seen::Registered {}
    }

    /// Waits until it asks for an event.
    pub(crate) fn wait_asked(&self) {
        while self.seen.recv_timeout(Duration::from_secs(10)).unwrap() != Seen::Asked {}
    }

    /// One invocation that goes well, with five events of telemetry if it subscribed, until it asks for the next.
    pub(crate) fn invoke(&mut self) {
        self.invocations += 1;
        let id = format!("8476a536-e9f4-11e8-9739-{:012}", self.invocations);
        let event = format!(
            r#"{{"eventType":"INVOKE","deadlineMs":99999999999999,"requestId":"{id}","invokedFunctionArn":"arn:aws:lambda:eu-central-1:123456789012:function:checkout","tracing":{{"type":"X-Amzn-Trace-Id","value":"Root=1"}}}}"#
        );
        self.events.send(event).unwrap();
        if self.sender.is_none() {
            let port = self.telemetry.try_recv().ok();
            self.sender = port.map(|port| BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()));
        }
        if let Some(sender) = &mut self.sender {
            let batch = telemetry(&id);
            let head = format!("POST / HTTP/1.1\r\nHost: sandbox\r\nContent-Length: {}\r\n\r\n", batch.len());
            sender.get_mut().write_all([head, batch].concat().as_bytes()).unwrap();
            assert!(message(sender).is_some_and(|(head, _)| head.contains(" 200 ")), "it takes telemetry");
        }
        self.wait_asked();
    }

    /// Memory that is resident, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// A number of its status, such as `Threads:`.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Lets the peak of its memory, `VmHWM:`, begin anew.
    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// CPU that all threads used, in microseconds.
    pub(crate) fn cpu_us(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
        let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        times.filter_map(|times| times.split(' ').next()?.parse::<u64>().ok()).sum::<u64>() / 1_000
    }

    /// Sends SHUTDOWN, and gives the time until the process has ended. `None` if it does not end by itself within two seconds.
    pub(crate) fn shut_down(&mut self) -> Option<Duration> {
        let event = r#"{"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":99999999999999}"#;
        self.events.send(event.to_owned()).unwrap();
        let from = Instant::now();
        while from.elapsed() < Duration::from_secs(2) {
            if self.child.try_wait().unwrap().is_some() {
                return Some(from.elapsed());
            }
            thread::sleep(Duration::from_micros(100));
        }
        None
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(stream: TcpStream, see: &Sender<Seen>, next: &Mutex<Receiver<String>>, port: &Sender<u16>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = message(&mut stream) {
        let answer = if head.starts_with("POST /2020-01-01/extension/register") {
            // Nobody may wait for it any more.
            let _ = see.send(Seen::Registered);
            answer(
                "Lambda-Extension-Identifier: 2fd4e1c6\r\n",
                r#"{"functionName":"checkout","functionVersion":"1","handler":"h"}"#,
            )
        } else if head.starts_with("PUT /2022-07-01/telemetry") {
            let number = body.rsplit(':').next().map(|rest| rest.chars().take_while(char::is_ascii_digit));
            let _ = port.send(number.map(String::from_iter).unwrap_or_default().parse().unwrap());
            answer("", "\"OK\"")
        } else if head.starts_with("GET /2018-06-01/runtime/invocation/next") {
            let fields = "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fc1\r\n";
            answer(fields, &format!("{:1024}", "{}"))
        } else if head.starts_with("POST /2018-06-01/runtime/") {
            answer("", r#"{"status":"OK"}"#)
        } else {
            let _ = see.send(Seen::Asked);
            let Ok(event) = next.lock().unwrap().recv() else { return };
            answer("", &event)
        };
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A head and its body; `None` at the end of the connection.
fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// The five events of an invocation that goes well.
fn telemetry(id: &str) -> String {
    let time = "2026-11-23T07:27:52.480Z";
    let event =
        |name: &str, record: String| format!(r#"{{"time":"{time}","type":"{name}","record":{record}}}"#);
    let line = |text: &str| event("function", format!(r#""2026-11-23T07:27:52.480Z\t{id}\tINFO\t{text}\n""#));
    let metrics = r#""durationMs":12.5,"billedDurationMs":13,"memorySizeMB":128,"maxMemoryUsedMB":70"#;
    let ended = |name: &str| {
        event(name, format!(r#"{{"requestId":"{id}","status":"success","metrics":{{{metrics}}}}}"#))
    };
    let start = event("platform.start", format!(r#"{{"requestId":"{id}","version":"$LATEST"}}"#));
    let lines = [line("an order was priced"), line("an order was taken, and its bill is on its way")];
    format!(
        "[{}]",
        [start, lines[0].clone(), lines[1].clone(), ended("platform.runtimeDone"), ended("platform.report")]
            .join(",")
    )
}
