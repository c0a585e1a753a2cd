//! What installed languages print of a failing program, against what they say of the same failure themselves.
//!
//! Each folder below `tests/programs` holds programs that fail. With `TRUTH=1` in its environment a program does not let the
//! failure through but prints what the language's own frame objects say of it, as one JSON object: the judge of what
//! `trace-agent normalize` makes of the printed text.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{Outcome, Stop, equal, holds, lines, run, said, test, tool, trace_agent, valid};

/// A program that fails in several ways, and how it is made and started.
struct Program {
    /// Its folder below `tests/programs`.
    folder: &'static str,
    /// What must be installed.
    tools: &'static [&'static str],
    /// What builds it.
    build: &'static [&'static str],
    /// What runs it; the name of a failure follows.
    run: &'static [&'static str],
    /// Its failures.
    failures: &'static [&'static str],
    /// What the program knows.
    truth: Truth,
}

/// What a program can say of its own failure.
#[derive(Clone, Copy)]
enum Truth {
    /// Every call, as the language's frame objects have it.
    Calls,
    /// The calls of its own functions, whose names begin so: the language has no frame objects.
    OwnCalls(&'static [&'static str]),
}

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what Python prints is what Python says", || judge(&PYTHON)),
        test("what Node prints is what V8 says", || judge(&NODE)),
        test("what Java prints is what the JVM says", || judge(&JAVA)),
        test("what Go prints is what its runtime says", || judge(&GO)),
        test("what Ruby prints is what Ruby says", || judge(&RUBY)),
        test("what PHP prints is what PHP says", || judge(&PHP)),
        test("what Rust prints is what the program did", || judge(&RUST)),
        test("what optimized Rust prints is what the program did", || judge(&OPTIMIZED_RUST)),
        test("what C++ prints is what the program did", || judge(&CPP)),
        test("what a sanitizer prints is what the program did", || judge(&SANITIZED_CPP)),
    ]
}

const PYTHON: Program = Program {
    folder: "python",
    tools: &["python3"],
    build: &["python3", "--version"],
    run: &["python3", "fail.py"],
    failures: &["chain", "hidden", "parsed", "lines", "empty", "notes", "group", "deep", "later", "syntax"],
    truth: Truth::Calls,
};

const NODE: Program = Program {
    folder: "node",
    tools: &["node"],
    build: &["node", "--version"],
    run: &["node", "fail.js"],
    failures: &["chain", "lines", "empty", "aggregate", "later", "rethrown", "evaluated", "emitted"],
    truth: Truth::Calls,
};

const JAVA: Program = Program {
    folder: "java",
    tools: &["javac", "java"],
    build: &["javac", "-encoding", "UTF-8", "Fail.java"],
    run: &[
        "java",
        "-Dfile.encoding=UTF-8",
        "-Dsun.stdout.encoding=UTF-8",
        "-Dsun.stderr.encoding=UTF-8",
        "-Dstdout.encoding=UTF-8",
        "-Dstderr.encoding=UTF-8",
        "Fail",
    ],
    failures: &["chain", "suppressed", "lambda", "inner", "initializer", "empty"],
    truth: Truth::Calls,
};

const GO: Program = Program {
    folder: "go",
    tools: &["go"],
    build: &["go", "build", "-o", "fail", "."],
    run: &["./fail"],
    failures: &["index", "nil", "error", "joined", "lines", "generic", "goroutine"],
    truth: Truth::Calls,
};

const RUBY: Program = Program {
    folder: "ruby",
    tools: &["ruby"],
    build: &["ruby", "--version"],
    run: &["ruby", "fail.rb"],
    failures: &["chain", "parsed", "lines", "empty", "missing", "utf", "ensured"],
    truth: Truth::Calls,
};

const PHP: Program = Program {
    folder: "php",
    tools: &["php"],
    build: &["php", "--version"],
    run: &["php", "-d", "display_errors=stderr", "-d", "log_errors=0", "fail.php"],
    failures: &["chain", "lines", "type", "utf", "empty"],
    truth: Truth::Calls,
};

const RUST: Program = Program {
    folder: "rust",
    tools: &["rustc"],
    build: &["rustc", "--edition", "2024", "-g", "fail.rs"],
    run: &["./fail"],
    failures: &["index", "unwrap", "lines", "closure"],
    truth: Truth::OwnCalls(&["fail::"]),
};

const OPTIMIZED_RUST: Program =
    Program { build: &["rustc", "--edition", "2024", "-g", "-O", "fail.rs"], ..RUST };

const CPP: Program = Program {
    folder: "cpp",
    tools: &["g++"],
    build: &["g++", "-g", "-no-pie", "-rdynamic", "-o", "fail", "fail.cpp"],
    run: &["./fail"],
    failures: &["thrown", "assert", "free", "symbols"],
    truth: Truth::OwnCalls(&["shop::", "main", "int main"]),
};

const SANITIZED_CPP: Program = Program {
    build: &["g++", "-g", "-fsanitize=address", "-o", "fail", "fail.cpp"],
    failures: &["null"],
    ..CPP
};

/// Lets the program fail in each way, and compares the record with what the language says.
fn judge(program: &Program) -> Outcome {
    program.tools.iter().try_for_each(|name| tool(name))?;
    let folder = tempfile::tempdir()?;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(program.folder), folder.path())?;
    let built = run(&mut command(program.build, folder.path()))?;
    holds(built.status.success(), format!("{:?}: {}", program.build, said(&built)))?;
    program.failures.iter().try_for_each(|failure| judge_failure(program, failure, folder.path()))
}

fn judge_failure(program: &Program, failure: &str, folder: &Path) -> Outcome {
    let mut start = command(program.run, folder);
    start.arg(failure).env("RUST_BACKTRACE", "1").env("ASAN_OPTIONS", "color=never:abort_on_error=0");
    let failed = run(&mut start)?;
    let truth = run(start.env("TRUTH", "1"))?;
    let truth: Value = serde_json::from_slice(&truth.stdout)
        .map_err(|error| Stop::Fail(format!("{failure}: {error}: {}", said(&truth))))?;
    std::fs::write(folder.join("stderr.txt"), &failed.stderr)?;
    let normalized = run(trace_agent(folder).args(["normalize", "stderr.txt"]))?;
    let records = lines(&normalized.stdout)?;
    equal(records.len(), 1, &format!("{failure}: records of\n{}", said(&failed)))?;
    valid(&records[0])?;
    let printed = || format!("{:?} {failure}, which printed\n{}", program.run, said(&failed));
    equal(scored(&records[0], program.truth), scored(&truth, program.truth), &printed())
}

fn command(words: &[&str], folder: &Path) -> Command {
    // A program of the folder itself is named from there.
    let name = words[0].strip_prefix("./").map_or_else(|| words[0].into(), |name| folder.join(name));
    let mut command = Command::new(name);
    command.args(&words[1..]).current_dir(folder);
    command
}

/// The members that a language can be asked for. Source text is compared where the language prints it.
fn scored(record: &Value, truth: Truth) -> Value {
    let list = |member: &str| record[member].as_array().cloned().unwrap_or_default();
    let counts = |call: &&Value| match truth {
        Truth::Calls => true,
        Truth::OwnCalls(names) => {
            call[2].as_str().is_some_and(|name| names.iter().any(|start| name.starts_with(start)))
        }
    };
    let file = |call: &Value| match (truth, call[0].as_str()) {
        // A compiler records the folder too, which the program does not know.
        (Truth::OwnCalls(_), Some(file)) => json!(file.rsplit('/').next()),
        _ => call[0].clone(),
    };
    let calls: Vec<Value> =
        list("stackTrace").iter().filter(counts).map(|call| json!([file(call), call[1], call[2]])).collect();
    let causes: Vec<Value> = list("causes").iter().map(|cause| scored(cause, truth)).collect();
    json!({
        "errorType": record["errorType"], "errorMessage": record["errorMessage"], "relation": record["relation"],
        "stackTrace": calls, "causes": causes,
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), Stop> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
