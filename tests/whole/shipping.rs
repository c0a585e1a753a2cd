//! What arrives, whatever dies on the way: the real sidecar before a strict service that fails in every way it can.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use trace_logs_service::{
    BATCH_BYTES_MAX, EVENT_BYTES_MAX_BEFORE_2025, Fault, Faults, Key, Options, Service,
};

use crate::harness::{
    Outcome, Stop, equal, eventually, holds, length, run, said, test, tool, trace_agent, valid,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("shipping: killed at random points, files lose nothing", killed_with_files),
        test("shipping: killed at random points, HTTP loses nothing that was accepted", killed_with_http),
        test("shipping: a service that is gone is found again within two seconds", a_service_that_is_gone),
        test("shipping: throttles and failures lose and double nothing", throttles_and_failures),
        test("shipping: answers that are lost, slow, half or garbage lose nothing", answers_that_never_come),
        test("shipping: streams that are deleted come back", streams_that_are_deleted),
        test("shipping: SIGTERM without a service leaves everything for later", sigterm_without_a_service),
        test("shipping: a batch is full when there is much to send", a_batch_is_full),
        test("shipping: a clock that is wrong is corrected", a_clock_that_is_wrong),
        test("shipping: a region with a lower limit gets shorter records", a_lower_limit),
        test("shipping: a group is created as it is wanted", a_group_as_it_is_wanted),
        test("shipping: a spool that is full lets the oldest go and says so", a_full_spool),
        test("shipping: AWS_CA_BUNDLE decides whom to trust", whom_to_trust),
        test("shipping: the agent tells its own health", health),
    ]
}

/// One failure with this number.
fn trace(number: usize) -> String {
    format!(
        "2026-11-23 07:30:12,532 INFO order {number} comes\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 3, in handle\n    raise ValueError({number})\nValueError: number {number}\n"
    )
}

fn traces(numbers: std::ops::Range<usize>) -> String {
    numbers.map(trace).collect()
}

/// A folder with a log, a service, and sidecars between them.
struct Stand {
    folder: tempfile::TempDir,
    service: Service,
    arguments: Vec<String>,
}

impl Stand {
    fn new(options: Options) -> Result<Self, Stop> {
        Ok(Self { folder: tempfile::tempdir()?, service: Service::start(options)?, arguments: Vec::new() })
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    fn log(&self, text: &str) -> Outcome {
        let path = self.folder.path().join("app.log");
        Ok(OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())?)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = trace_agent(self.folder.path());
        command
            .args(["run", "--sink", "cloudwatch", "--log-group", "/app/failures", "--state", "state"])
            .args(["--socket", "run/capture.sock", "--storm-limit", "0", "--health-s", "0"])
            .args(&self.arguments)
            .args(more)
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", self.service.endpoint())
            .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "test")])
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    fn start(&self, more: &[&str]) -> Result<Sidecar, Stop> {
        Ok(Sidecar(self.command(more).stderr(Stdio::piped()).spawn()?))
    }

    /// How many different events the service has.
    fn distinct(&self) -> u64 {
        self.service.inspect(|state| state.tally().distinct)
    }

    fn arrives(&self, events: u64) -> Outcome {
        eventually(&format!("{events} events"), || (self.distinct() >= events).then_some(()))
    }

    /// Fails unless each number arrived; one that arrived twice has the same id. Gives how many did.
    fn check(&self, numbers: std::ops::Range<usize>) -> Result<usize, Stop> {
        self.check_all(numbers.collect())
    }

    fn check_all(&self, wanted: BTreeSet<usize>) -> Result<usize, Stop> {
        let state = self.service.state();
        let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut arrived = 0;
        for message in state.messages("/app/failures") {
            let record: Value = serde_json::from_str(message)?;
            valid(&record)?;
            let text = record["errorMessage"].as_str().unwrap_or_default();
            let number = text.strip_prefix("number ").ok_or(format!("a message {text:?}"))?.parse()?;
            ids.entry(number).or_default().insert(record["id"].as_str().unwrap_or_default().to_owned());
            arrived += 1;
        }
        let lost: Vec<&usize> = wanted.iter().filter(|number| !ids.contains_key(number)).collect();
        holds(lost.is_empty(), format!("{} of {} are lost: {lost:?}", lost.len(), wanted.len()))?;
        holds(ids.values().all(|ids| ids.len() == 1), "two deliveries of one failure have two ids")?;
        let invented: Vec<&usize> = ids.keys().filter(|number| !wanted.contains(number)).collect();
        holds(invented.is_empty(), format!("nobody wrote {invented:?}"))?;
        Ok(arrived - wanted.len())
    }
}

/// A running sidecar; killed if the test forgets it.
struct Sidecar(Child);

impl Sidecar {
    fn kill(mut self) -> Outcome {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    fn terminate(mut self) -> Result<(ExitStatus, String), Stop> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        let status = eventually("the sidecar ends", || self.0.try_wait().ok().flatten())?;
        let mut said = String::new();
        self.0.stderr.take().expect("it is piped").read_to_string(&mut said)?;
        Ok((status, said))
    }

    /// The memory that it has in RAM, in KiB.
    fn rss_kib(&self) -> Result<u64, Stop> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it is running")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Already gone if the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Numbers that look random; the first is said when a test fails, and can be set again.
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        let seed = std::env::var("TRACE_AGENT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(seed.unwrap_or_else(|| {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            u64::from(since.subsec_nanos()) | 1
        }))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How many failures are written before each death.
const FAILURES: usize = 200;

fn killed_with_files() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let mut numbers = Numbers::new();
    let seed = numbers.0;
    let deaths = length(30, 1_000);
    let mut written = 0;
    for _ in 0..deaths {
        let sidecar = stand.start(&["app.log"])?;
        stand.log(&traces(written..written + FAILURES))?;
        written += FAILURES;
        std::thread::sleep(Duration::from_millis(numbers.below(300)));
        sidecar.kill()?;
    }
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let twice = stand.check(0..written).map_err(|stop| with_seed(stop, seed))?;
    // Nothing but a batch in flight comes twice: what lay between the last checkpoint and the death.
    let batch = BATCH_BYTES_MAX / trace(0).len();
    holds(twice <= deaths * FAILURES.min(batch), format!("seed {seed}: {twice} of {written} twice"))
}

fn with_seed(stop: Stop, seed: u64) -> Stop {
    match stop {
        Stop::Fail(message) => Stop::Fail(format!("TRACE_AGENT_TEST_SEED={seed}: {message}")),
        skip @ Stop::Skip(_) => skip,
    }
}

/// Posts one failure. True if it was accepted.
fn post(address: std::net::SocketAddr, number: usize) -> bool {
    let body = format!(r#"{{"errorMessage":"number {number}","errorType":"E","stackTrace":[]}}"#);
    let answer = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn killed_with_http() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut numbers = Numbers::new();
    let seed = numbers.0;
    let (mut accepted, mut tried) = (BTreeSet::new(), 0);
    let http = ["--http", &address.to_string()];
    for _ in 0..length(30, 1_000) {
        let sidecar = stand.start(&http)?;
        eventually("it listens", || TcpStream::connect(address).ok())?;
        let until = Instant::now() + Duration::from_millis(20 + numbers.below(200));
        let client = std::thread::spawn(move || {
            let posts = (tried..).take_while(|_| Instant::now() < until + Duration::from_millis(20));
            posts.map(|number| (number, post(address, number))).collect::<Vec<_>>()
        });
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        sidecar.kill()?;
        let posted = client.join().expect("posting does not panic");
        tried += posted.len();
        accepted.extend(posted.into_iter().filter(|(_, is_accepted)| *is_accepted).map(|(number, _)| number));
    }
    holds(accepted.len() > 500, format!("{} of {tried} accepted: there was load", accepted.len()))?;
    let sidecar = stand.start(&http)?;
    // A post whose answer never came may have arrived; none that was accepted may be missing.
    stand.arrives(accepted.len() as u64)?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    let arrived = stand.service.state();
    let mut wanted = accepted.clone();
    for message in arrived.messages("/app/failures") {
        let record: Value = serde_json::from_str(message)?;
        let number = record["errorMessage"].as_str().and_then(|text| text.strip_prefix("number "));
        wanted
            .extend(number.and_then(|number| number.parse::<usize>().ok()).filter(|number| *number < tried));
    }
    stand.check_all(wanted).map_err(|stop| with_seed(stop, seed)).map(|_| ())
}

fn a_service_that_is_gone() -> Outcome {
    let mut stand = Stand::new(Options::default())?;
    stand.log(&traces(0..50))?;
    let sidecar = stand.start(&["app.log"])?;
    stand.arrives(50)?;
    let rss_kib = sidecar.rss_kib()?;
    stand.service.stop();
    let until = Instant::now() + length(Duration::from_secs(8), Duration::from_secs(60));
    let mut written = 50;
    while Instant::now() < until {
        stand.log(&traces(written..written + 500))?;
        written += 500;
        std::thread::sleep(Duration::from_millis(200));
    }
    let grown_kib = sidecar.rss_kib()?.saturating_sub(rss_kib);
    stand.service.resume()?;
    let back = Instant::now();
    eventually("it goes on", || (stand.distinct() > 50).then_some(()))?;
    let waited = back.elapsed();
    holds(waited <= Duration::from_secs(2), format!("it went on after {waited:?}"))?;
    // 8 MiB of events on their way, as they are and as a request.
    holds(grown_kib <= 24 * 1024, format!("it grew by {grown_kib} KiB in the outage"))?;
    stand.arrives(written as u64)?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    equal(stand.check(0..written)?, 0, "deliveries of the same failure")
}

fn throttles_and_failures() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let shares = vec![
        (Fault::Throttle { retry_after: None }, 0.15),
        (Fault::Unavailable, 0.05),
        (Fault::Internal, 0.05),
        (Fault::Bare503, 0.05),
    ];
    stand.service.set_faults(Faults { shares, ..Faults::default() });
    stand.log(&traces(0..20_000))?;
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    equal(stand.check(0..20_000)?, 0, "deliveries of the same failure")?;
    let tally = stand.service.inspect(trace_logs_service::State::tally);
    equal(tally.inversions, 0, "events before an older one")
}

fn answers_that_never_come() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let script = [
        Fault::LostAnswer,
        Fault::HalfAnswer,
        Fault::Garbage,
        Fault::Noise,
        Fault::ResetAfterBody,
        Fault::ResetBeforeBody,
        // Ten seconds each: then the try is given up.
        Fault::SlowAnswer,
        Fault::Hang,
    ];
    let operations = vec!["PutLogEvents".to_owned()];
    let script = script.into_iter().flat_map(|fault| [None, Some(fault)]).collect();
    let slow_byte = Duration::from_secs(1);
    stand.service.set_faults(Faults { script, operations, slow_byte, ..Faults::default() });
    stand.log(&traces(0..30_000))?;
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    let said = said(&output);
    equal(output.status.code(), Some(0), &said)?;
    let twice = stand.check(0..30_000)?;
    holds(twice > 0, "some answers were lost, so some came twice")?;
    // Whoever reads the summary knows how many at most.
    let told = said.split(", ").find_map(|part| {
        part.strip_suffix(" that may stand twice")
            .or_else(|| part.trim_end().strip_suffix(" that may stand twice"))
    });
    let told: usize = told.and_then(|told| told.parse().ok()).ok_or(said.clone())?;
    holds(twice <= told, format!("{twice} came twice, {told} were told"))
}

fn streams_that_are_deleted() -> Outcome {
    let stand = Stand::new(Options::default())?;
    stand.service.set_faults(Faults { delete_stream_after_puts: Some(2), ..Faults::default() });
    stand.log(&traces(0..20_000))?;
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    holds(said(&output).contains("20000 stored, 0 refused, 0 pending"), said(&output))?;
    let (events, deleted) = stand.service.inspect(|state| (state.tally(), state.deleted.len()));
    holds(deleted > 1, format!("{deleted} streams were deleted"))?;
    equal((events.distinct, events.duplicates), (20_000, 0), "events of all streams, and twice")
}

fn sigterm_without_a_service() -> Outcome {
    let mut stand = Stand::new(Options::default())?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    stand.service.stop();
    let http = ["--http", &address.to_string(), "app.log"];
    let sidecar = stand.start(&http)?;
    stand.log(&traces(0..1_000))?;
    eventually("it listens", || TcpStream::connect(address).ok())?;
    holds((1_000..1_100).all(|number| post(address, number)), "every body is accepted")?;
    let begin = Instant::now();
    let (status, said) = sidecar.terminate()?;
    holds(begin.elapsed() < Duration::from_secs(9), format!("it took {:?}", begin.elapsed()))?;
    equal(status.code(), Some(0), &said)?;
    let pending = said.split(", ").find_map(|part| part.strip_suffix(" pending"));
    holds(pending.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 100), &said)?;
    // Nor does a name that nobody knows lose anything.
    let mut nowhere = stand.command(&http);
    nowhere.env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs.invalid");
    let sidecar = Sidecar(nowhere.stderr(Stdio::piped()).spawn()?);
    std::thread::sleep(Duration::from_millis(500));
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    stand.service.resume()?;
    let sidecar = stand.start(&http)?;
    stand.arrives(1_100)?;
    sidecar.terminate()?;
    equal(stand.check(0..1_100)?, 0, "deliveries of the same failure")
}

fn a_batch_is_full() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let log: String =
        (0..12_000).map(|number| format!("{}{}", trace(number), "INFO nothing\n".repeat(3))).collect();
    stand.log(&log)?;
    // On a machine that is slow, a batch would be sent because it is old.
    let output = run(&mut stand.command(&["--once", "--batch-wait-ms", "5000", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let state = stand.service.state();
    let puts: Vec<_> = state.requests.iter().filter(|request| request.stored > 0).collect();
    let bytes: usize = puts.iter().map(|request| request.event_bytes).sum();
    let minimum = bytes.div_ceil(BATCH_BYTES_MAX);
    holds(puts.len() <= minimum + 1, format!("{} requests, {minimum} would do", puts.len()))?;
    let (_, full) = puts.split_last().ok_or("there was a request")?;
    let (fill, most) =
        (full.iter().map(|request| request.event_bytes).sum::<usize>(), full.len() * BATCH_BYTES_MAX);
    holds(!full.is_empty() && fill * 100 >= most * 97, format!("filled by {fill} of {most} bytes"))
}

fn a_clock_that_is_wrong() -> Outcome {
    for offset_ms in [3_600_000, -3_600_000, 4 * 3_600_000] {
        let key = Key { id: "test".to_owned(), secret: "test".to_owned(), token: None };
        let options =
            Options { clock_offset_ms: offset_ms, credentials: Some(vec![key]), ..Options::default() };
        let stand = Stand::new(options)?;
        stand.log(&traces(0..5))?;
        let output = run(&mut stand.command(&["--once", "app.log"]))?;
        equal(output.status.code(), Some(0), &said(&output))?;
        equal(stand.check(0..5)?, 0, "twice")?;
        let refused = stand.service.inspect(|state| state.count("PutLogEvents", "InvalidSignatureException"));
        equal(refused, 1, "refused signatures")?;
    }
    Ok(())
}

fn a_lower_limit() -> Outcome {
    let options = Options { event_bytes_max: EVENT_BYTES_MAX_BEFORE_2025, ..Options::default() };
    let stand = Stand::new(options)?;
    let big = format!(
        "{}\nValueError: {}\n",
        trace(1).trim_end().rsplit_once('\n').ok_or("a trace has lines")?.0,
        "€".repeat(110_000)
    );
    stand.log(&format!("{}INFO\n{big}INFO\n{}", trace(0), trace(2)))?;
    for arguments in [&["--once", "app.log"][..], &["--once", "--event-bytes-max", "262144", "app.log"]] {
        let output = run(&mut stand.command(arguments))?;
        equal(output.status.code(), Some(0), &said(&output))?;
        std::fs::remove_dir_all(stand.folder.path().join("state"))?;
    }
    let state = stand.service.state();
    let messages = state.messages("/app/failures");
    equal(messages.len(), 6, "events of two runs")?;
    let big: Vec<&&str> = messages.iter().filter(|message| message.len() > 10_000).collect();
    equal(big.len(), 2, "long ones")?;
    for message in big {
        let record: Value = serde_json::from_str(message)?;
        valid(&record)?;
        holds(record["truncated"]["errorMessage"].as_u64() > Some(100_000), "what went is said")?;
    }
    // The first run learns it from one refusal, the second one knows.
    let refused =
        state.requests.iter().filter(|request| request.outcome == "InvalidParameterException").count();
    equal(refused, 1, "refused requests")
}

fn a_group_as_it_is_wanted() -> Outcome {
    let stand = Stand::new(Options::default())?.with(&[
        "--log-retention-days",
        "400",
        "--log-class",
        "STANDARD",
        "--log-kms-key",
        "arn:aws:kms:eu-central-1:123456789012:key/k",
        "--log-stream",
        "{host}/{input}",
    ]);
    stand.log(&traces(0..3))?;
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    stand.service.inspect(|state| {
        let group = state.groups.get("/app/failures").ok_or("there is a group")?;
        equal(group.retention_days, Some(400), "retention")?;
        equal(group.kms_key_id.as_deref(), Some("arn:aws:kms:eu-central-1:123456789012:key/k"), "key")?;
        holds(
            group.streams.keys().all(|name| name.ends_with("/app.log")),
            format!("{:?}", group.streams.keys()),
        )
    })
}

fn a_full_spool() -> Outcome {
    let mut stand = Stand::new(Options::default())?.with(&["--spool-bytes", "4194304"]);
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let http = ["--http", &address.to_string()];
    stand.service.stop();
    let sidecar = stand.start(&http)?;
    eventually("it listens", || TcpStream::connect(address).ok())?;
    let long = "x".repeat(200_000);
    for number in 0..60 {
        let body = format!(r#"{{"errorMessage":"number {number}","errorType":"{long}","stackTrace":[]}}"#);
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        holds(answer.starts_with("HTTP/1.1 200"), answer)?;
    }
    let on_disk: u64 = std::fs::read_dir(stand.folder.path().join("state"))?
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|file| file.len())
        .sum();
    holds(on_disk <= 4_194_304 + 4_096, format!("{on_disk} bytes in the state directory"))?;
    stand.service.resume()?;
    eventually("the newest arrives", || {
        let has = |state: &trace_logs_service::State| {
            state.messages("/app/failures").iter().any(|message| message.contains("number 59\""))
        };
        stand.service.inspect(has).then_some(())
    })?;
    let (_, said) = sidecar.terminate()?;
    let count = |what: &str| {
        said.split(", ")
            .find_map(|part| part.trim().strip_suffix(what)?.trim().rsplit(' ').next()?.parse::<u64>().ok())
    };
    let (stored, lost) = (count("stored"), count("lost because the spool was full"));
    holds(lost > Some(0), &said)?;
    equal(stored.unwrap_or(0) + lost.unwrap_or(0), 60, &said)?;
    equal(stand.distinct(), stored.unwrap_or(0), "stored")
}

fn whom_to_trust() -> Outcome {
    tool("openssl")?;
    let folder = tempfile::tempdir()?;
    let make = |name: &str| -> Outcome {
        let output = run(Command::new("openssl").current_dir(folder.path()).args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ]))?;
        holds(output.status.success(), said(&output))
    };
    make("server")?;
    make("other")?;
    std::fs::write(folder.path().join("empty.pem"), "")?;
    std::fs::write(
        folder.path().join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
    )?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let received = folder.path().join("received");
    // What comes through TLS is written down; nothing is ever answered.
    let server = Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "s_server",
            "-accept",
            &port.to_string(),
            "-cert",
            "server.pem",
            "-key",
            "server.key",
            "-quiet",
        ])
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&received)?)
        .stderr(Stdio::null())
        .spawn()?;
    let _server = Sidecar(server);
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).ok())?;
    std::fs::write(folder.path().join("app.log"), traces(0..1))?;
    let start = |bundle: Option<&str>| -> Result<Child, Stop> {
        let mut command = trace_agent(folder.path());
        command
            .args(["run", "--sink", "cloudwatch", "--socket", "run/capture.sock", "app.log"])
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", format!("https://localhost:{port}"))
            .envs([
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "k"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
            ]);
        command.envs(bundle.map(|bundle| ("AWS_CA_BUNDLE", bundle)));
        Ok(command.stderr(Stdio::piped()).spawn()?)
    };
    for (bundle, why) in [
        (None, "invalid peer certificate: UnknownIssuer; name the certificates to trust in a file"),
        (Some("other.pem"), "invalid peer certificate"),
        (Some("missing.pem"), "AWS_CA_BUNDLE names missing.pem, which cannot be used: No such file"),
        (Some("empty.pem"), "there is no certificate in it"),
        (Some("broken.pem"), "certificate 1 is none"),
        (Some("server.key"), "there is no certificate in it"),
    ] {
        let mut sidecar = Sidecar(start(bundle)?);
        let lines = BufReader::new(sidecar.0.stderr.take().expect("it is piped")).lines();
        let said =
            lines.map_while(Result::ok).find(|line| line.contains("AWS_CA_BUNDLE") || line.contains("WARN"));
        holds(said.as_ref().is_some_and(|said| said.contains(why)), format!("{bundle:?}: {said:?}"))?;
    }
    let _sidecar = Sidecar(start(Some("server.pem"))?);
    eventually("the server reads the request", || {
        let received = std::fs::read(&received).unwrap_or_default();
        String::from_utf8_lossy(&received).contains("Logs_20140328.PutLogEvents").then_some(())
    })
}

fn health() -> Outcome {
    let stand = Stand::new(Options::default())?.with(&["--health-s", "1"]);
    stand.log(&traces(0..3))?;
    let sidecar = stand.start(&["app.log"])?;
    let lines = |state: &trace_logs_service::State| -> Vec<Value> {
        let lines =
            state.messages("/app/failures").into_iter().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line.get("RecordsShipped").is_some()).collect()
    };
    let told =
        eventually("two lines", || Some(stand.service.inspect(lines)).filter(|lines| lines.len() >= 2))?;
    sidecar.terminate()?;
    let shipped: u64 = told.iter().filter_map(|line| line["RecordsShipped"].as_u64()).sum();
    equal(shipped, 3, "records that were told of")?;
    for name in ["Retries", "Rejected", "Dropped", "SpoolBytes", "Rss"] {
        holds(told[0][name].is_number(), format!("{name} in {}", told[0]))?;
    }
    holds(told[0].get("ShipLatency").is_some() && told[0]["host"].is_string(), &told[0])
}
