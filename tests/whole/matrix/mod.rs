//! The fault matrix: eight invocations, something goes wrong at the fourth, and the function must not notice.
//!
//! In every row: the extension asks for the next event in time, answers every batch with 200, ends with zero and in time, and each failure is
//! delivered, once for each id, as a record that the schema accepts. A second copy is allowed where the first one's acknowledgement was lost,
//! and has the same id.

mod http;
mod sink;
mod lambda;
mod telemetry;
mod ends;
mod faults;

use std::collections::BTreeMap;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::{Outcome, equal, holds, test};
use lambda::{SHUTDOWN, ended, line, start, traceback};

pub(crate) use lambda::{Setup, Stage};

/// What goes wrong, and how that is played.
type Row = (&'static str, fn() -> Outcome);

pub(crate) fn tests() -> Vec<Trial> {
    let rows = [telemetry::ROWS, ends::ROWS, faults::ROWS].concat();
    rows.into_iter().map(|(name, row)| test(&format!("matrix: {name}"), row)).collect()
}

/// Type, kind and message of a record.
type Told<'a> = (&'a str, &'a str, &'a str);

/// Eight invocations, of which `bad` is the fourth, and a SHUTDOWN; then `expected` stands where it should.
fn fourth(setup: Setup, bad: impl FnOnce(&mut Stage) -> Outcome, expected: &[Told<'_>]) -> Outcome {
    let mut stage = Stage::start(&setup)?;
    around(&mut stage, bad)?;
    let took = stage.shut_down("spindown")?;
    holds(took < SHUTDOWN - Duration::from_millis(150), format!("it left after {took:?}"))?;
    delivered(&stage, expected)
}

/// Three good invocations, `bad`, and four more.
fn around(stage: &mut Stage, bad: impl FnOnce(&mut Stage) -> Outcome) -> Outcome {
    for _ in 0..3 {
        stage.good()?;
    }
    bad(stage)?;
    for _ in 0..4 {
        stage.good()?;
    }
    Ok(())
}

/// Fails unless exactly `expected` was delivered, each once.
fn delivered(stage: &Stage, expected: &[Told<'_>]) -> Outcome {
    let records = stage.records()?;
    let mut ids = BTreeMap::<String, usize>::new();
    for record in &records {
        *ids.entry(record["id"].to_string()).or_default() += 1;
    }
    let text = |record: &Value, member: &str| record[member].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = records
        .iter()
        .map(|record| (text(record, "errorType"), text(record, "kind"), text(record, "errorMessage")))
        .collect();
    told.sort();
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(name, kind, message)| ((*name).to_owned(), (*kind).to_owned(), (*message).to_owned()))
        .collect();
    expected.sort();
    equal(told, expected, &stage.log())?;
    holds(ids.values().all(|count| *count == 1), format!("an id twice: {ids:?}"))
}

const BOOM: Told<'_> = ("ValueError", "exception", "boom");

const BANG: Told<'_> = ("ValueError", "exception", "bang");

/// The usual failure: a line that the runtime prints, and the platform's word.
pub(crate) fn fails(stage: &mut Stage) -> Outcome {
    fails_with(stage, "boom")
}

fn fails_with(stage: &mut Stage, message: &str) -> Outcome {
    let id = stage.invoke();
    stage.post(&failure(&id, message))?;
    stage.wait_asked().map(|_| ())
}

fn failure(id: &str, message: &str) -> Vec<Value> {
    vec![
        start(id),
        line("before it\n"),
        traceback(message),
        ended("runtimeDone", id, "error", Some("Runtime.Unknown")),
        ended("report", id, "error", Some("Runtime.Unknown")),
    ]
}
