//! How a test here is written, and the programs that it runs.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};
use serde_json::Value;
use trace_agent::native;
use trace_agent::peers::Peer;

/// The longest that a program under test may run. Nothing here needs a tenth of it.
const PROGRAM_MAX: Duration = Duration::from_secs(60);

/// The argument with which tests of deaths and outages take their full length.
pub(crate) const LONG: &str = "--long";

static IS_LONG: OnceLock<()> = OnceLock::new();

/// Lets them take it.
pub(crate) fn be_long() {
    let _ = IS_LONG.set(());
}

/// How often or how long something is done: `short` unless everything takes its full length.
pub(crate) fn length<T>(short: T, long: T) -> T {
    if IS_LONG.get().is_some() { long } else { short }
}

/// Why a test did not show what it should.
pub(crate) enum Stop {
    /// It could not run: what is missing.
    Skip(String),
    /// It failed.
    Fail(String),
}

/// What a test comes to.
pub(crate) type Outcome = Result<(), Stop>;

impl<E: Display> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fail(format!("{error:#}"))
    }
}

/// Makes a test. Its name is a sentence.
pub(crate) fn test(name: &str, body: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(name.to_owned(), move || match body() {
        Ok(()) => Ok(Completion::Completed),
        Err(Stop::Fail(message)) => Err(Failed::from(message)),
        Err(Stop::Skip(reason))
            if std::env::var_os("TRACE_AGENT_TESTS").is_some_and(|tests| tests == "all") =>
        {
            Err(Failed::from(format!("skipped although all tests are wanted: {reason}")))
        }
        Err(Stop::Skip(reason)) => Ok(Completion::ignored_with(reason)),
    })
}

/// A peer's programs, or the reason to skip.
pub(crate) fn peer(peer: Peer) -> Result<PathBuf, Stop> {
    let (target, _) = native::target()?;
    peer.install(&target).map_err(|error| Stop::Skip(format!("{error:#}")))
}

/// A program that a test needs from the system, or the reason to skip.
pub(crate) fn tool(name: &str) -> Result<(), Stop> {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(|_| ()).map_err(|_| Stop::Skip(format!("{name} is not installed")))
}

/// The failing Rust handler, stripped, its debug file beside it; built once.
pub(crate) fn rust_handler() -> Result<&'static Path, Stop> {
    static HANDLER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let handler = HANDLER.get_or_init(|| {
        let built = native::build("failing-handler", "failing-handler").and_then(|program| {
            native::strip(&program, &native::target()?.0.join("test-handler"), "bootstrap")
        });
        built.map_err(|error| format!("{error:#}"))
    });
    handler.as_deref().map_err(|error| Stop::Fail(error.clone()))
}

/// `trace-agent` with nothing of ours or of AWS in its environment.
pub(crate) fn trace_agent(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trace-agent"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TRACE_AGENT_") || text.starts_with("AWS_") || text == "CARGO" {
            command.env_remove(&name);
        }
    }
    command
}

/// The extension program.
pub(crate) fn extension() -> &'static str {
    env!("CARGO_BIN_EXE_trace-agent-extension")
}

/// Runs a program to its end, within [`PROGRAM_MAX`].
pub(crate) fn run(command: &mut Command) -> Result<Output, Stop> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let out = std::thread::spawn(move || read(out));
    let err = std::thread::spawn(move || read(err));
    let until = Instant::now() + PROGRAM_MAX;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            child.kill()?;
            return Err(Stop::Fail(format!("{command:?} did not end within {PROGRAM_MAX:?}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let joined = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().expect("reading does not panic");
    Ok(Output { status, stdout: joined(out), stderr: joined(err) })
}

fn read(mut from: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What could be read before it broke off is what a failing test shows.
    let _ = from.read_to_end(&mut bytes);
    bytes
}

/// Standard error as text.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON objects of some NDJSON.
pub(crate) fn lines(bytes: &[u8]) -> Result<Vec<Value>, Stop> {
    Ok(String::from_utf8_lossy(bytes).lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The records below a sink's directory. The function's own log, which lies there too, is left out.
pub(crate) fn records(directory: &Path) -> Result<Vec<Value>, Stop> {
    let mut files: Vec<PathBuf> = Vec::new();
    for group in std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        for file in std::fs::read_dir(group?.path())? {
            files.push(file?.path());
        }
    }
    files.sort();
    let mut records = Vec::new();
    for file in files {
        records.extend(lines(&std::fs::read(file)?)?.into_iter().filter(|line| line.get("schema").is_some()));
    }
    records.iter().try_for_each(valid)?;
    Ok(records)
}

/// Fails unless `record` is what `docs/record.schema.json` says.
pub(crate) fn valid(record: &Value) -> Outcome {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let text = include_str!("../../docs/record.schema.json");
        jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
    });
    schema
        .validate(record)
        .map_err(|error| Stop::Fail(format!("{error} at {}: {record}", error.instance_path())))
}

/// Fails with what both sides are, unless they are equal.
pub(crate) fn equal<L: std::fmt::Debug + PartialEq<R>, R: std::fmt::Debug>(
    left: L,
    right: R,
    what: &str,
) -> Outcome {
    if left == right {
        Ok(())
    } else {
        Err(Stop::Fail(format!("{what}:\n  is     {left:?}\n  wanted {right:?}")))
    }
}

/// Fails unless it holds.
pub(crate) fn holds(it: bool, what: impl Display) -> Outcome {
    if it { Ok(()) } else { Err(Stop::Fail(what.to_string())) }
}

/// Asks again and again until there is an answer, within [`PROGRAM_MAX`].
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, Stop> {
    let until = Instant::now() + PROGRAM_MAX;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > until {
            return Err(Stop::Fail(format!("{what} did not happen within {PROGRAM_MAX:?}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
