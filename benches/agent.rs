//! What the sidecar costs beside a program.
//!
//! - `agent/follow`: one log with a traceback among each hundred lines, from the file to the records in the file sink, as
//!   `trace-agent run --once` does it. The floor reads the file, looks for newlines with `memchr`, and writes and syncs the
//!   same records to one file.
//! - `agent/spool`: one record put into a spool on disk, with and without a sync, and handed out and acknowledged as well. The floor
//!   appends the same bytes to a file and syncs it.
//!
//! Bias: everything is in one temporary folder, whose file system decides what a sync costs: in memory it costs
//! next to nothing, and the ratios are then larger than on a disk; where others write to the same disk, a sync takes
//! ten times as long and the ratios mean little. The log is in the page cache for both.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::fs::{self, File};
use std::future::pending;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trace_agent_core::config::{Config, Settings, SinkChoice};
use trace_agent_core::sidecar::{self, Pace, Plan, Summary};
use trace_agent_core::sink::file::FileSink;
use trace_agent_core::spool::{Limits, Spool, Sync};
use trace_record::batch::Event;

use beside::Comparison;

mod beside;
mod tracebacks;

/// Tracebacks in the log, and healthy lines before each.
const TRACEBACKS: usize = 200;
const HEALTHY_LINES: usize = 100;

/// Bytes of a record in the spool.
const RECORD_BYTES: usize = 2 * 1024;

/// The bytes of a spool.
const SPOOL_BYTES: u64 = 64 * 1024 * 1024;

fn main() {
    beside::run(&[follow, spool]);
}

fn follow(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    fs::write(&log, tracebacks::log(TRACEBACKS, HEALTHY_LINES)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();

    let sample = tempfile::tempdir().unwrap();
    let summary = run_once(&runtime, &log, sample.path());
    assert_eq!((summary.found, summary.stored), (TRACEBACKS as u64, TRACEBACKS as u64));
    let records = stored(sample.path());

    let mut comparison = Comparison::new(criterion, "agent/follow");
    comparison.group.throughput(Throughput::Bytes(fs::metadata(&log).unwrap().len())).sample_size(20);
    comparison.time("trace-agent run --once", fresh_folder, |folder| {
        run_once(&runtime, &log, folder.path());
        folder
    });
    comparison.time("floor: memchr, one write, one sync", fresh_folder, |folder| {
        for newline in memchr::memchr_iter(b'\n', &fs::read(&log).unwrap()) {
            black_box(newline);
        }
        let mut file = File::create(folder.path().join("records")).unwrap();
        append(&mut file, &records).unwrap();
        folder
    });
    comparison.finish();
}

fn spool(criterion: &mut Criterion) {
    let event = Event { timestamp_ms: 1_795_419_012_532, message: "x".repeat(RECORD_BYTES) };
    let folder = tempfile::tempdir().unwrap();
    let limits = |sync| Limits { bytes_max: SPOOL_BYTES, sync };
    let open = |name: &str, sync| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        Spool::open(&folder, limits(sync)).unwrap().0
    };

    let mut comparison = Comparison::new(criterion, "agent/spool");
    // Beyond its budget the oldest go, as in an outage.
    for (name, sync) in [("append, synced", Sync::Each), ("append", Sync::Every(Duration::from_millis(500)))]
    {
        let mut spool = open(name, sync);
        comparison.time(name, || (), |()| spool.append(std::slice::from_ref(&event)).unwrap());
    }
    let mut spool = open("through", Sync::Every(Duration::from_millis(500)));
    comparison.time(
        "append, take and acknowledge",
        || (),
        |()| {
            spool.append(std::slice::from_ref(&event)).unwrap();
            let taken = spool.take(usize::MAX).unwrap();
            spool.acknowledge(taken.into_iter().map(|(ticket, _)| ticket)).unwrap();
        },
    );
    let mut file = File::create(folder.path().join("floor")).unwrap();
    comparison.time(
        "floor: one write, one sync",
        || (),
        |()| {
            append(&mut file, event.message.as_bytes()).unwrap();
        },
    );
    comparison.finish();
}

/// What `trace-agent run --once` does with one file.
fn run_once(runtime: &Runtime, log: &Path, folder: &Path) -> Summary {
    let (mut config, _) = Config::read(&Settings::default(), SinkChoice::File(folder.join("sink")));
    // Each of the tracebacks is to be written.
    config.storm_limit = 0;
    let sink = FileSink::open(&folder.join("sink")).unwrap();
    let plan = Plan {
        paths: vec![log.to_str().unwrap().to_owned()],
        stdin: false,
        once: true,
        state: Some(folder.join("state")),
        from_end: false,
        socket: None,
        socket_required: false,
        http: None,
        function_name: Some("checkout".to_owned()),
        pace: Pace { batch_wait: Duration::from_millis(200), in_flight: 1 },
        spool: Limits { bytes_max: SPOOL_BYTES, sync: Sync::Each },
        health: None,
    };
    runtime.block_on(sidecar::run(plan, &config, vec![Arc::new(sink)], pending())).unwrap()
}

/// Everything that a run stored.
fn stored(folder: &Path) -> Vec<u8> {
    let group = fs::read_dir(folder.join("sink")).unwrap().next().unwrap().unwrap().path();
    let stream = fs::read_dir(group).unwrap().next().unwrap().unwrap().path();
    fs::read(stream).unwrap()
}

fn fresh_folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}
