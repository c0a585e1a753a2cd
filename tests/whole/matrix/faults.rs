//! What fails around the extension: the sink, /tmp, the sandbox, its own worker.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::lambda::{SHUTDOWN, Setup, Stage, nowhere, signal};
use super::sink::{self, Mood};
use super::{BANG, BOOM, Row, around, delivered, fails, fails_with, failure, fourth};
use crate::harness::{Outcome, equal, eventually, holds};

pub(super) const ROWS: &[Row] = &[
    ("sink answers 500", || sink_is(Mood::Fails)),
    ("sink throttles", || sink_is(Mood::Throttles)),
    ("sink never answers", || sink_is(Mood::Hangs)),
    ("sink loses the acknowledgement", sink_forgets),
    ("sink is back after 30 s", sink_is_back),
    ("port taken", port_taken),
    ("/tmp is full", tmp_full),
    ("/tmp is read-only", tmp_read_only),
    ("frozen, connections reset", || frozen(sink::Sink::reset)),
    ("frozen, connections forgotten", || frozen(sink::Sink::forget)),
    ("frozen after the failure, then SHUTDOWN", frozen_after_the_failure),
    ("worker killed", || worker_dies(|worker| signal(worker, "-KILL"))),
    ("worker stopped", || worker_dies(|worker| signal(worker, "-STOP"))),
    ("worker out of memory", || worker_dies(without_memory)),
    ("worker stopped at the end", worker_stopped_at_the_end),
];

/// The sink is in this mood to the end. What it does not take stands on standard output, and is counted in the last line.
fn sink_is(mood: Mood) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(mood);
        fails(stage)
    })?;
    let took = stage.shut_down("spindown")?;
    holds(took < SHUTDOWN - Duration::from_millis(150), format!("it left after {took:?}"))?;
    delivered(&stage, &[BOOM])?;
    let log = stage.log();
    let last = log.lines().last().unwrap_or_default();
    equal(last, "trace-agent: 1 record that the sink did not take is on standard output", &log)
}

fn sink_forgets() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Forgets);
        fails(stage)?;
        eventually("it was put", || (stage.sink.tries() > 0).then_some(()))?;
        stage.sink.set(Mood::Stores);
        Ok(())
    })?;
    stage.shut_down("spindown")?;
    let records = stage.records()?;
    holds(records.len() > 1, "what was not acknowledged was sent again")?;
    holds(records.iter().all(|record| record["id"] == records[0]["id"]), "the copies have one id")
}

fn sink_is_back() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Fails);
        fails(stage)
    })?;
    // One round of tries, and then nothing in the background: what is tried, is tried when something happens.
    thread::sleep(Duration::from_secs(3));
    let before = stage.sink.tries();
    thread::sleep(Duration::from_secs(27));
    equal(stage.sink.tries(), before, "tries while nothing happened")?;
    stage.sink.set(Mood::Stores);
    // After several failures a sink is left alone for up to 30 s: if not this invocation, one of the next finds it back.
    let until = Instant::now() + Duration::from_secs(40);
    while stage.sink.stored().is_empty() && Instant::now() < until {
        stage.good()?;
        thread::sleep(Duration::from_millis(500));
    }
    stage.shut_down("spindown")?;
    equal(stage.sink.stored().len(), 1, "in the sink")?;
    delivered(&stage, &[BOOM])
}

fn port_taken() -> Outcome {
    // If somebody has it already, it is taken as well.
    let _taken = TcpListener::bind("127.0.0.1:4243").ok();
    fourth(Setup::default(), fails, &[BOOM])
}

fn tmp_full() -> Outcome {
    // No file may grow: the kernel answers as a full disk does, if the signal is ignored that it sends first.
    let setup = Setup { before: "trap '' XFSZ; ulimit -f 0;".to_owned(), ..Setup::default() };
    let mut stage =
        Stage::start(&Setup { variables: vec![("TRACE_AGENT_HOLD_MS", "1000".to_owned())], ..setup })?;
    around(&mut stage, |stage| {
        stage.sink.set(Mood::Fails);
        fails(stage)?;
        stage.sink.set(Mood::Stores);
        Ok(())
    })?;
    stage.shut_down("spindown")?;
    // Neither the spool nor standard output, which is a file here, can take the record: it waits in memory for the sink.
    Ok(())
}

fn tmp_read_only() -> Outcome {
    let variables = vec![("TRACE_AGENT_SOCKET", nowhere())];
    let mut stage = Stage::start(&Setup { variables, ..Setup::default() })?;
    around(&mut stage, |stage| {
        fails(stage)?;
        // A second one, which the sink does not take: there is no place for it but standard output.
        stage.sink.set(Mood::Fails);
        fails_with(stage, "bang")
    })?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// The sandbox is frozen for longer than a connection can be trusted, and meanwhile the sink loses its connections. The failure after it
/// is delivered with the first try.
fn frozen(lose: fn(&sink::Sink)) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, fails)?;
    eventually("the first is stored", || (stage.sink.stored().len() == 1).then_some(()))?;
    stage.freeze(true)?;
    thread::sleep(Duration::from_millis(5_500));
    lose(&stage.sink);
    stage.freeze(false)?;
    fails_with(&mut stage, "bang")?;
    let from = Instant::now();
    eventually("the second is stored", || (stage.sink.stored().len() == 2).then_some(()))?;
    let took = from.elapsed();
    holds(took < Duration::from_secs(2), format!("a try was lost on a dead connection: {took:?}"))?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// Lambda freezes the sandbox as soon as runtime and extension have asked: before the failure's telemetry is there.
fn frozen_after_the_failure() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    let id = stage.invoke();
    stage.wait_asked()?;
    stage.freeze(true)?;
    // Ten minutes, scaled.
    thread::sleep(Duration::from_millis(6_000));
    stage.freeze(false)?;
    stage.begin_shutdown("spindown");
    stage.post(&failure(&id, "boom"))?;
    stage.wait_ended()?;
    delivered(&stage, &[BOOM])
}

/// The worker has dealt with one failure, and then this happens to it; the next failure is delivered all the same.
fn worker_dies(of: fn(i32) -> Outcome) -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    around(&mut stage, |stage| {
        fails(stage)?;
        let worker = eventually("a worker runs", || stage.worker())?;
        acknowledged(stage)?;
        of(worker)?;
        fails_with(stage, "bang")
    })?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

fn without_memory(worker: i32) -> Outcome {
    let status = Command::new("prlimit").args(["--pid", &worker.to_string(), "--data=1"]).status()?;
    holds(status.success(), "prlimit")
}

fn worker_stopped_at_the_end() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    fails(&mut stage)?;
    acknowledged(&mut stage)?;
    let worker = eventually("a worker runs", || stage.worker())?;
    signal(worker, "-STOP")?;
    fails_with(&mut stage, "bang")?;
    stage.shut_down("spindown")?;
    delivered(&stage, &[BOOM, BANG])
}

/// Waits until the first failure is stored and the worker has had the time to say so: else the next one delivers it again, under the same id.
fn acknowledged(stage: &mut Stage) -> Outcome {
    eventually("the first is stored", || (stage.sink.stored().len() == 1).then_some(()))?;
    thread::sleep(Duration::from_millis(200));
    Ok(())
}
