//! The service is gone, fails, or answers in ways that say nothing.

use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use trace_logs_service::{Fault, Faults, Options};

use super::stand::{Sidecar, Stand, post, traces};
use crate::harness::{Outcome, equal, eventually, holds, length, run, said};

pub(super) fn a_service_that_is_gone() -> Outcome {
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

pub(super) fn throttles_and_failures() -> Outcome {
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

pub(super) fn answers_that_never_come() -> Outcome {
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

pub(super) fn streams_that_are_deleted() -> Outcome {
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

pub(super) fn sigterm_without_a_service() -> Outcome {
    let mut stand = Stand::new(Options::default())?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    stand.service.stop();
    let http = ["--http", &address.to_string(), "app.log"];
    let sidecar = stand.start(&http)?;
    stand.log(&traces(0..1_000))?;
    eventually("it listens", || TcpStream::connect(address).ok())?;
    holds((1_000..1_100).all(|number| post(address, "E", number)), "every body is accepted")?;
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

pub(super) fn a_full_spool() -> Outcome {
    let mut stand = Stand::new(Options::default())?.with(&["--spool-bytes", "4194304"]);
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let http = ["--http", &address.to_string()];
    stand.service.stop();
    let sidecar = stand.start(&http)?;
    eventually("it listens", || TcpStream::connect(address).ok())?;
    let long = "x".repeat(200_000);
    for number in 0..60 {
        holds(post(address, &long, number), "it is accepted")?;
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
