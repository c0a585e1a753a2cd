//! The sidecar is killed at random points.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use trace_logs_service::Options;

use super::stand::{Stand, post, traces};
use crate::harness::{Outcome, Stop, equal, eventually, holds, length, run, said};

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

pub(super) fn killed_with_files() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let mut numbers = Numbers::new();
    let seed = numbers.0;
    let (mut written, mut unacknowledged) = (0, 0);
    for _ in 0..length(30, 1_000) {
        let begun = stand.service.inspect(|state| state.requests.len());
        let sidecar = stand.start(&["app.log"])?;
        stand.log(&traces(written..written + FAILURES))?;
        written += FAILURES;
        std::thread::sleep(Duration::from_millis(numbers.below(300)));
        sidecar.kill()?;
        // What was on its way is stored or not by the time that its connection is gone.
        eventually("the service is done", || (stand.service.connections() == 0).then_some(()))?;
        unacknowledged += stand.service.inspect(|state| {
            let mut puts = state.requests[begun..].iter().rev().filter(|request| request.stored > 0);
            puts.next().map_or(0, |request| request.stored)
        });
    }
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let twice = stand.check(0..written).map_err(|stop| with_seed(stop, seed))?;
    // One batch of a stream is on its way, and the checkpoint stands before the next one goes: so of each life, only its last batch
    // can come twice.
    holds(
        twice <= unacknowledged,
        format!(
            "TRACE_AGENT_TEST_SEED={seed}: {twice} of {written} came twice, {unacknowledged} were in flight"
        ),
    )
}

fn with_seed(stop: Stop, seed: u64) -> Stop {
    match stop {
        Stop::Fail(message) => Stop::Fail(format!("TRACE_AGENT_TEST_SEED={seed}: {message}")),
        skip @ Stop::Skip(_) => skip,
    }
}

pub(super) fn killed_with_http() -> Outcome {
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
            posts.map(|number| (number, post(address, "E", number))).collect::<Vec<_>>()
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
