//! What the whole road costs: a log full of tracebacks, from the file to the service's answer.
//!
//! `trace-agent run --once`, built for release, before the stand-in of CloudWatch Logs, which keeps only who came. Beside it:
//!
//! - the floor: this program again, which reads the log and posts the bodies that the agent sent, one after the other, over a bare
//!   connection. It neither looks at the log nor makes, batches, signs or acknowledges anything.
//! - Fluent Bit, if `TRACE_AGENT_FLUENT_BIT` names it: `tail` to `cloudwatch_logs`, each line an event, no multi-line. Version 5.1 needs a
//!   patch to speak to a service without TLS.
//!
//! CPU is that of the process (user and system), read from /proc when it has ended. Wall time is told too, and means little on a shared
//! machine. Runs alternate; the median of each figure is shown.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use trace_logs_service::{Keep, Options, Service, Tally};

mod tracebacks;

/// Tracebacks in the log, and healthy lines before each: a log in which much fails.
const TRACEBACKS: usize = 60_000;
const HEALTHY_LINES: usize = 10;

/// How often each way is gone.
const ROUNDS: usize = 5;

/// Clock ticks of /proc in a second: what every Linux says, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Its name, and the process that goes this way to an endpoint.
type Way<'a> = (&'static str, Box<dyn Fn(&str) -> Command + 'a>);

/// What one run came to.
#[derive(Clone, Copy)]
struct Run {
    cpu_s: f64,
    wall_s: f64,
    rss_mib: f64,
    tally: Tally,
    wire_bytes: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some("--floor"), Some(address), Some(log), Some(bodies)) =
        (arguments.next().as_deref(), arguments.next(), arguments.next(), arguments.next())
    {
        return floor(&address, Path::new(&log), Path::new(&bodies));
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    fs::write(&log, tracebacks::log(TRACEBACKS, HEALTHY_LINES)).unwrap();
    let bytes = fs::metadata(&log).unwrap().len();
    let bodies = record_bodies(&log, folder.path());

    let floor = |endpoint: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--floor", endpoint.trim_start_matches("http://")]).args([&log, &bodies]);
        command
    };
    let mut ways: Vec<Way<'_>> = vec![
        ("trace-agent run --once", Box::new(|endpoint| agent(endpoint, &log))),
        ("floor", Box::new(floor)),
    ];
    if let Some(program) = std::env::var_os("TRACE_AGENT_FLUENT_BIT") {
        let log = log.clone();
        ways.push(("Fluent Bit", Box::new(move |endpoint| fluent_bit(Path::new(&program), endpoint, &log))));
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), runs) in ways.iter().zip(&mut runs) {
            runs.push(measure(way.as_ref()));
        }
    }
    println!(
        "\nship: {TRACEBACKS} tracebacks in {:.1} MB of log, median of {ROUNDS}\n\n{:24} {:>8} {:>8} {:>10} {:>10} {:>8} {:>7} {:>6} {:>9}",
        bytes as f64 / 1e6,
        "",
        "CPU s",
        "ratio",
        "CPU s/GB",
        "records/s",
        "RSS MiB",
        "puts",
        "fill",
        "wire MB"
    );
    let median = |runs: &[Run], of: &dyn Fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let ours = median(&runs[0], &|run| run.cpu_s);
    for ((name, _), runs) in ways.iter().zip(&runs) {
        let cpu_s = median(runs, &|run| run.cpu_s);
        println!(
            "{name:24} {cpu_s:8.2} {:7.2}x {:10.2} {:10.0} {:8.1} {:7.0} {:6.3} {:9.1}",
            cpu_s / ours,
            cpu_s * 1e9 / bytes as f64,
            TRACEBACKS as f64 / cpu_s,
            median(runs, &|run| run.rss_mib),
            median(runs, &|run| run.tally.puts as f64),
            median(runs, &|run| run.tally.fill),
            median(runs, &|run| run.wire_bytes as f64) / 1e6,
        );
        println!("{:24} {:8.2} s wall", "", median(runs, &|run| run.wall_s));
    }
}

fn agent(endpoint: &str, log: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trace-agent"));
    command
        .args(["run", "--once", "--sink", "cloudwatch", "--log-group", "/ship", "--storm-limit", "0"])
        .arg(log)
        .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint)
        .envs([("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    command
}

fn fluent_bit(program: &Path, endpoint: &str, log: &Path) -> Command {
    let port = endpoint.rsplit(':').next().unwrap();
    let mut command = Command::new(program);
    command
        .args(["-i", "tail", "-p", &format!("path={}", log.display()), "-p", "read_from_head=true"])
        .args(["-p", "exit_on_eof=true", "-o", "cloudwatch_logs", "-m", "*", "-p", "region=us-east-1"])
        .args(["-p", "log_group_name=/ship", "-p", "log_stream_name=s", "-p", "auto_create_group=true"])
        .args(["-p", "endpoint=127.0.0.1", "-p", &format!("port={port}"), "-p", "tls=off"])
        .envs([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    command
}

/// Runs one way before a fresh service.
fn measure(way: &dyn Fn(&str) -> Command) -> Run {
    let service = Service::start(Options { keep: Keep::Identities, ..Options::default() }).unwrap();
    let begin = Instant::now();
    let child = way(&service.endpoint()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut rss_kib, mut ticks) = (0, 0.0);
    // A process that has ended is read once more before it is waited for.
    loop {
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        rss_kib = peak.map_or(rss_kib, |peak| peak.trim().trim_end_matches(" kB").parse().unwrap());
        let stat = fs::read_to_string(proc.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        ticks = [fields[11], fields[12]]
            .iter()
            .map(|field| field.parse::<f64>().unwrap())
            .sum::<f64>()
            .max(ticks);
        if fields[0] == "Z" {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let wall_s = begin.elapsed().as_secs_f64();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (tally, wire_bytes) =
        service.inspect(|state| (state.tally(), state.requests.iter().map(|request| request.bytes).sum()));
    Run { cpu_s: ticks / TICKS_PER_SECOND, wall_s, rss_mib: f64::from(rss_kib) / 1024.0, tally, wire_bytes }
}

/// What the agent sends for `log`, as the requests that the floor posts: each behind its length.
fn record_bodies(log: &Path, folder: &Path) -> PathBuf {
    let service = Service::start(Options { kept_bytes_max: usize::MAX, ..Options::default() }).unwrap();
    let status = agent(&service.endpoint(), log).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    let state = service.state();
    let events: Vec<_> = state.groups["/ship"].streams.values().flat_map(|stream| &stream.events).collect();
    assert_eq!(events.len(), TRACEBACKS, "every traceback is a record");
    let path = folder.join("bodies");
    let mut file = fs::File::create(&path).unwrap();
    for batch in events.chunk_by(|a, b| a.request == b.request) {
        let events: Vec<_> = batch
            .iter()
            .map(|event| serde_json::json!({"timestamp": event.timestamp, "message": event.message}))
            .collect();
        let body = serde_json::json!({"logGroupName": "/ship", "logStreamName": "s", "logEvents": events})
            .to_string();
        file.write_all(&(body.len() as u64).to_le_bytes()).unwrap();
        file.write_all(body.as_bytes()).unwrap();
    }
    path
}

/// Reads the log, and posts the bodies as they are.
fn floor(address: &str, log: &Path, bodies: &Path) {
    assert!(!fs::read(log).unwrap().is_empty());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    let mut post = |operation: &str, body: &[u8]| {
        // A signature has to be there; nobody verifies it.
        let now = amz_date();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Logs_20140328.{operation}\r\nX-Amz-Date: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=k/{}/us-east-1/logs/aws4_request, SignedHeaders=host;x-amz-date, Signature={:064}\r\nContent-Length: {}\r\n\r\n",
            now,
            &now[..8],
            0,
            body.len()
        );
        reader.get_mut().write_all(head.as_bytes()).unwrap();
        reader.get_mut().write_all(body).unwrap();
        let answer = read_answer(&mut reader);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    post("CreateLogGroup", br#"{"logGroupName":"/ship"}"#);
    post("CreateLogStream", br#"{"logGroupName":"/ship","logStreamName":"s"}"#);
    let mut bodies = BufReader::new(fs::File::open(bodies).unwrap());
    let mut length = [0; 8];
    while bodies.read_exact(&mut length).is_ok() {
        let mut body = vec![0; usize::try_from(u64::from_le_bytes(length)).unwrap()];
        bodies.read_exact(&mut body).unwrap();
        post("PutLogEvents", &body);
    }
}

/// Reads an answer, and gives its head and its body.
fn read_answer(reader: &mut BufReader<TcpStream>) -> String {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        assert!(reader.read_line(&mut head).unwrap() > 0, "the service closed the connection");
        if let Some(value) = head[begin..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + &String::from_utf8_lossy(&body)
}

/// The time as a signature says it.
fn amz_date() -> String {
    let now = trace_record::complete::rfc3339(trace_agent_core::clock::now_ms());
    format!("{}Z", &now.replace(['-', ':'], "")[..15])
}
