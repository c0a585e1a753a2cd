use std::io;
use std::time::Duration;

use super::*;
use crate::bare::Source;

/// Longer than any test should take: it ends a test that hangs.
pub(crate) fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// What was written instead of standard output.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8(lock(&self.0).clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A worker that is a shell script: somebody else's reading of the frame's layout.
pub(crate) fn shell(script: &str) -> (Arc<Worker>, Written) {
    let arguments = vec!["-c".into(), script.into()];
    let written = Written::default();
    let program = Program { path: "/bin/sh".into(), arguments, environment: Vec::new() };
    (Worker::new(program, PathBuf::new(), Box::new(written.clone())), written)
}

/// Waits for every failure so far, however often it was waited for.
fn wait(worker: &Worker, until: Instant) -> bool {
    let reported = lock(&worker.state).reported;
    worker.wait(reported, until)
}

fn report(worker: &Arc<Worker>, raw: &str) {
    let failure = Failure::new(Source::Capture, Some("1".to_owned()), raw.as_bytes());
    worker.report(&Message::Capture { request_id: None, datagram: raw.as_bytes().to_vec() }, Some(failure));
}

fn started(worker: &Worker) -> u32 {
    lock(&worker.state).starts
}

#[test]
fn a_worker_that_dies_leaves_a_bare_record_of_each_failure() {
    let (worker, written) = shell("exit 1");
    report(&worker, r#"{"errorMessage":"first"}"#);
    assert!(wait(&worker, later()));
    report(&worker, r#"{"errorMessage":"second","errorType":"E"}"#);
    assert!(wait(&worker, later()));
    let expected = [
        r#"{"errorMessage":"first","stackTrace":[],"errorType":null,"frameOrder":"recent-last","kind":"panic","phase":"invoke","witnesses":["capture"],"id":"6db16e19a12f22c840483084616a9904","fingerprint":"f824931df8321e694cacc121395ce2bc","fingerprintVersion":2,"requestId":"1","raw":"{\"errorMessage\":\"first\"}","schema":1}"#,
        r#"{"errorMessage":"second","stackTrace":[],"errorType":"E","frameOrder":"recent-last","kind":"panic","phase":"invoke","witnesses":["capture"],"id":"384b5acf7826aca851d20b5a12a27ca6","fingerprint":"0c54880308477279f378def5603d881e","fingerprintVersion":2,"requestId":"1","raw":"{\"errorMessage\":\"second\",\"errorType\":\"E\"}","schema":1}"#,
    ];
    assert_eq!(written.lines(), expected);
    // A worker may die of the context alone; the next one is started for the failure that still waits.
    assert!(started(&worker) >= 2);
}

#[test]
fn a_worker_is_started_four_times_and_then_no_more() {
    let (worker, written) = shell("exit 1");
    for _ in 0..10 {
        report(&worker, "{}");
        assert!(wait(&worker, later()));
    }
    assert_eq!((started(&worker), written.lines().len()), (1 + RESTARTS_MAX, 10));
}

#[test]
fn a_program_that_is_not_there_costs_no_failure() {
    let written = Written::default();
    let program = Program { path: "/nonexistent".into(), arguments: Vec::new(), environment: Vec::new() };
    let worker = Worker::new(program, PathBuf::new(), Box::new(written.clone()));
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    assert_eq!(written.lines().len(), 1);
}

#[test]
fn a_failure_that_is_acknowledged_is_not_written() {
    let (worker, written) = shell(ONE_ACK);
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    worker.end();
    assert_eq!(written.lines(), [""; 0]);
}

/// Acknowledges number 1, and nothing after it. Registered without payload has 13 bytes, Capture with two of them 15.
const ONE_ACK: &str = "head -c 28 >/dev/null; printf '\\1\\0\\0\\0\\0\\0\\0\\0' >&0; exec cat >/dev/null";

/// Waits until the courier has taken every frame.
fn wait_taken(worker: &Worker) {
    let until = later();
    while lock(&worker.state).queue.has_reports() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
}

#[test]
fn a_hold_that_expires_once_writes_nothing() {
    let (worker, written) = shell(ONE_ACK);
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    report(&worker, "{}");
    assert!(!wait(&worker, Instant::now()));
    worker.expired();
    assert_eq!((written.lines().len(), started(&worker)), (0, 1));
    assert!(lock(&worker.state).running.is_some());
    worker.end();
    assert_eq!(written.lines().len(), 1);
    assert!(lock(&worker.state).running.is_none());
}

#[test]
fn a_worker_that_is_slow_but_acknowledges_is_never_killed() {
    // One acknowledgement for each frame, in the order of the reports; the first frame is context.
    let (worker, written) = shell(
        "head -c 13 >/dev/null; for n in 1 2 3; do head -c 15 >/dev/null; printf \"\\\\$n\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\" >&0; done; exec cat >/dev/null",
    );
    for _ in 0..3 {
        report(&worker, "{}");
        worker.expired();
        assert!(wait(&worker, later()));
    }
    worker.end();
    assert_eq!((written.lines().len(), started(&worker)), (0, 1));
}

#[test]
fn a_worker_that_acknowledged_nothing_between_two_expired_holds_is_replaced() {
    let (worker, written) = shell(ONE_ACK);
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    for kept in [r#"{"errorMessage":"second"}"#, r#"{"errorMessage":"third"}"#] {
        assert_eq!(written.lines(), [""; 0]);
        report(&worker, kept);
        wait_taken(&worker);
        worker.expired();
    }
    // Another one gets both. It acknowledges nothing of them either, and has its own two expired holds.
    wait_taken(&worker);
    assert_eq!((written.lines().len(), started(&worker)), (0, 2));
    worker.expired();
    assert_eq!(written.lines().len(), 0);
    worker.expired();
    let lines = written.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("second") && lines[1].contains("third"), "{lines:?}");
    assert!(lock(&worker.state).running.is_none());
    assert!(wait(&worker, Instant::now()));
}

#[test]
fn a_worker_that_is_killed_leaves_its_failures_to_another() {
    // The first one dies of its first failure; the second one acknowledges it.
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark").display().to_string();
    let (worker, written) = shell(&format!(
        "head -c 28 >/dev/null; [ -e {mark} ] || {{ touch {mark}; kill -9 $$; }}; printf '\\1\\0\\0\\0\\0\\0\\0\\0' >&0; exec cat >/dev/null"
    ));
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    assert_eq!((written.lines().len(), started(&worker)), (0, 2));
}

#[test]
fn a_worker_that_nobody_needs_is_let_go_and_another_one_comes_when_it_is_needed() {
    let (worker, written) = shell(ONE_ACK);
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    let is_running = |worker: &Worker| lock(&worker.state).running.is_some();
    for _ in 0..QUIET_INVOCATIONS - 1 {
        worker.opened(b"{}".to_vec());
    }
    assert!(is_running(&worker));
    // This one acknowledges no invocations.
    lock(&worker.state).settled = u64::MAX;
    wait_empty(&worker);
    worker.opened(b"{}".to_vec());
    assert!(!is_running(&worker));
    assert_eq!(worker.tell(&Message::Flush), None);
    lock(&worker.state).settled = 0;
    report(&worker, "{}");
    wait_taken(&worker);
    assert_eq!(written.lines(), [""; 0]);
}

/// Waits until the courier has taken everything.
fn wait_empty(worker: &Worker) {
    let until = later();
    while !lock(&worker.state).queue.is_empty() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_worth_nothing() {
    let (worker, written) = shell(
        "head -c 28 >/dev/null; printf '\\377\\377\\377\\377\\377\\377\\377\\377' >&0; exec cat >/dev/null",
    );
    report(&worker, "{}");
    assert!(wait(&worker, later()));
    report(&worker, "{}");
    assert!(!wait(&worker, Instant::now()));
    worker.end();
    assert_eq!(written.lines().len(), 1);
}

#[test]
fn what_happens_before_the_first_failure_starts_nothing() {
    let (worker, _) = shell("exit 1");
    worker.registered(b"{}".to_vec());
    worker.opened(b"{}".to_vec());
    assert_eq!(worker.tell(&Message::RuntimeNext), None);
    assert_eq!(started(&worker), 0);
    assert!(wait(&worker, Instant::now()));
}

#[test]
fn what_does_not_fit_becomes_a_bare_record() {
    let (worker, written) = shell("exec sleep 60");
    let raw = "x".repeat(1024 * 1024);
    for _ in 0..50 {
        report(&worker, &raw);
    }
    assert!(!written.lines().is_empty());
    worker.end();
    assert_eq!(written.lines().len(), 50);
}

#[test]
fn failures_are_expected_for_a_while_after_one_and_not_for_what_was_only_logged() {
    let (worker, _) = shell("exec cat >/dev/null");
    report(&worker, "{}");
    assert!(!worker.expects_failures());
    worker.failed();
    for _ in 0..QUIET_INVOCATIONS {
        assert!(worker.expects_failures());
        worker.opened(b"{}".to_vec());
    }
    assert!(!worker.expects_failures());
}
