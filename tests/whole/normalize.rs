//! `trace-agent normalize`, on what real programs print.

use std::process::Command;

use libtest_mimic::Trial;
use serde_json::json;

use crate::harness::{Outcome, Stop, equal, holds, lines, run, said, test, tool, trace_agent, valid};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("normalize reads what this machine's Python prints", normalize_reads_what_python_prints),
        test("normalize finds the source text below a source root", normalize_finds_sources_below_a_root),
        test("normalize keeps what it cannot read small and says so", normalize_survives_odd_input),
        test("normalize reads a native report", normalize_reads_a_native_report),
        test("normalize reads what gzip and zstd packed", normalize_reads_packed_logs),
        test("normalize says who read what, and why", normalize_explains),
        test("normalize prints what OpenTelemetry and ECS name", normalize_prints_other_schemas),
        test("normalize prints every character of a message", normalize_prints_every_character),
        test("normalize reads what stands before damage", normalize_reads_before_damage),
        test("normalize takes rules of its user", normalize_takes_rules),
        test("normalize goes on after a file that it cannot read", normalize_goes_on),
    ]
}

const PROGRAM: &str = "\
import json, sys, traceback

def inner(value):
    return {}[value]

def outer():
    try:
        inner('missing')
    except KeyError as error:
        raise RuntimeError('cannot price\\nthe order') from error

try:
    outer()
except RuntimeError as error:
    entries = [[f.filename, f.lineno, f.name, f.line] for f in traceback.extract_tb(error.__traceback__)]
    cause = [[f.filename, f.lineno, f.name, f.line] for f in traceback.extract_tb(error.__cause__.__traceback__)]
    print(json.dumps([entries, cause]))
    raise
";

fn normalize_reads_what_python_prints() -> Outcome {
    tool("python3")?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.py"), PROGRAM)?;
    let output = run(Command::new("python3").current_dir(folder.path()).arg("app.py"))?;
    let frames = lines(&output.stdout)?.remove(0);
    std::fs::write(folder.path().join("stderr.txt"), &output.stderr)?;
    let records = lines(&run(trace_agent(folder.path()).args(["normalize", "stderr.txt"]))?.stdout)?;
    equal(records.len(), 1, "records")?;
    valid(&records[0])?;
    equal(&records[0]["stackTrace"], &frames[0], "the stack as the interpreter itself gives it")?;
    equal(&records[0]["causes"][0]["stackTrace"], &frames[1], "the cause's stack")?;
    equal(&records[0]["errorMessage"], &json!("cannot price\nthe order"), "the message")?;
    equal(&records[0]["causes"][0]["errorType"], &json!("KeyError"), "the cause's type")
}

fn normalize_finds_sources_below_a_root() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(folder.path().join("src/var/task"))?;
    std::fs::write(folder.path().join("src/var/task/app.py"), "def f():\n    raise E\n")?;
    std::fs::write(folder.path().join("secret.py"), "password\n")?;
    let body = json!({"errorMessage": "m", "errorType": "E", "stackTrace": [
        ["/var/task/app.py", 2, "f", null], ["/../secret.py", 1, "g", null], [folder.path().join("secret.py"), 1, "h", null],
    ]});
    std::fs::write(folder.path().join("body.json"), body.to_string())?;
    let records = lines(
        &run(trace_agent(folder.path()).args(["normalize", "--source-root", "src", "body.json"]))?.stdout,
    )?;
    let sources: Vec<Option<&str>> =
        (0..3).map(|index| records[0]["stackTrace"][index][3].as_str()).collect();
    equal(sources, vec![Some("raise E"), None, None], "source texts, and none from outside the root")
}

fn normalize_survives_odd_input() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("input");
    for (input, records) in [
        (&b""[..], 0),
        (b"\xff\xfe\x00\n", 0),
        (b"{\"errorType\":\"E\"", 0),
        (b"{\"errorType\":7,\"errorMessage\":[],\"stackTrace\":\"none\"}", 0),
        (b"{\"errorType\":\"E\",\"errorMessage\":\"m\",\"stackTrace\":[null,1,[],{},\"?\"]}", 1),
        (b"Traceback (most recent call last):\n", 0),
        (b"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nE", 1),
        (b"TCAP\x01", 0),
        (b"\xff\xff\xff\xffTCAP", 0),
    ] {
        std::fs::write(&file, input)?;
        let output = run(trace_agent(folder.path()).args(["normalize", "input"]))?;
        equal(output.status.code(), Some(0), &format!("{input:?}: {}", said(&output)))?;
        let found = lines(&output.stdout)?;
        equal(found.len(), records, &format!("{input:?}"))?;
        found.iter().try_for_each(valid)?;
    }
    let output = run(trace_agent(folder.path()).args(["normalize", "nothing-here"]))?;
    equal((output.status.code(), said(&output).lines().count()), (Some(1), 1), "a missing file")
}

/// The recorded datagram of version 1, as every later version must read it.
fn normalize_reads_a_native_report() -> Outcome {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/capture/tests/data/panic-v1.bin");
    let records = lines(&run(trace_agent(std::path::Path::new("/")).args(["normalize", golden]))?.stdout)?;
    let [record] = &records[..] else { return Err(Stop::Fail(format!("{} records", records.len()))) };
    valid(record)?;
    equal((&record["kind"], &record["errorType"]), (&json!("panic"), &json!("panic")), "kind and type")?;
    let frames = record["frames"].as_array().cloned().unwrap_or_default();
    holds(!frames.is_empty(), "it has frames")?;
    holds(frames.iter().all(|frame| frame["missing"].is_string()), "each bare frame says why")
}

const TRACE: &str =
    "Traceback (most recent call last):\n  File \"/var/task/a.py\", line 1, in f\n    g()\nValueError: no\n";

/// gzip is somebody else's; zstd is not on every machine, so its frame is a recorded one.
fn normalize_reads_packed_logs() -> Outcome {
    tool("gzip")?;
    let folder = tempfile::tempdir()?;
    let log = format!("{}{TRACE}INFO next\n", "INFO all is well\n".repeat(100_000));
    std::fs::write(folder.path().join("app.log"), &log)?;
    let plain = lines(&run(trace_agent(folder.path()).args(["normalize", "app.log"]))?.stdout)?;
    equal(plain.len(), 1, "records of the plain log")?;
    run(Command::new("gzip").current_dir(folder.path()).args(["-k", "app.log"]))?;
    std::fs::write(folder.path().join("app.zst"), ZSTD)?;
    let packed =
        lines(&run(trace_agent(folder.path()).args(["normalize", "app.log.gz", "app.zst"]))?.stdout)?;
    equal(packed.len(), 2, "records of the packed logs")?;
    equal(&packed[0], &plain[0], "the same record, its id included")?;
    equal(&packed[1]["errorType"], &json!("ValueError"), "the record of the zstd frame")
}

/// [`TRACE`] as zstd 1.5.4 packs it.
const ZSTD: &[u8] = include_bytes!("data/traceback.zst");

fn normalize_explains() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), format!("INFO start\n{TRACE}INFO next\n"))?;
    let output = run(trace_agent(folder.path()).args(["normalize", "--explain", "app.log"]))?;
    equal(lines(&output.stdout)?.len(), 1, "records")?;
    let said = said(&output);
    holds(said.starts_with("app.log: line 2, 4 long, read by python: "), &said)
}

fn normalize_prints_other_schemas() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), TRACE)?;
    let printed = |format: &str| -> Result<serde_json::Value, Stop> {
        let output = run(trace_agent(folder.path()).args(["normalize", "--format", format, "app.log"]))?;
        Ok(lines(&output.stdout)?.remove(0))
    };
    let otel = printed("otel")?.to_string();
    holds(otel.contains("exception.type") && otel.contains("exception.stacktrace"), &otel)?;
    let ecs = printed("ecs")?;
    let field =
        |name: &str| ecs[name].as_str().or_else(|| ecs["error"][name.strip_prefix("error.")?].as_str());
    equal(field("error.type"), Some("ValueError"), "error.type")?;
    equal(field("error.message"), Some("no"), "error.message")
}

/// Some of these mean something to a terminal, and what is no terminal must get them all the same.
fn normalize_prints_every_character() -> Outcome {
    let folder = tempfile::tempdir()?;
    let message = "größe 日本語 🎉 \u{2028} \u{a0} \u{7f} \u{1b}[31m red \u{0} \u{9b}";
    let body = json!({ "errorType": "E", "errorMessage": message, "stackTrace": [] });
    std::fs::write(folder.path().join("body.json"), body.to_string())?;
    let output = run(trace_agent(folder.path()).args(["normalize", "body.json"]))?;
    equal(&lines(&output.stdout)?[0]["errorMessage"], &json!(message), "the message")
}

fn normalize_reads_before_damage() -> Outcome {
    tool("gzip")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.log");
    // Noise that does not pack, so that the cut is behind the traceback.
    let noise: String =
        (0_u64..20_000).map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    std::fs::write(&file, format!("{TRACE}2026-11-26 10:00:00 INFO next\n{noise}"))?;
    run(Command::new("gzip").arg(&file))?;
    let packed = folder.path().join("app.log.gz");
    let bytes = std::fs::read(&packed)?;
    std::fs::write(&packed, &bytes[..bytes.len() / 2])?;
    let output = run(trace_agent(folder.path()).args(["normalize", "app.log.gz"]))?;
    equal((output.status.code(), lines(&output.stdout)?.len()), (Some(1), 1), "status and records")?;
    holds(said(&output).contains("cannot read app.log.gz"), said(&output))
}

fn normalize_takes_rules() -> Outcome {
    let folder = tempfile::tempdir()?;
    let body = json!({
        "errorType": "E", "errorMessage": "ORD-17 of me@example.com failed",
        "stackTrace": [["/var/task/app.py", 1, "f", null], ["/var/task/made/x.py", 2, "g", null]],
    });
    std::fs::write(folder.path().join("body.json"), body.to_string())?;
    let arguments = [
        "normalize",
        "--redact",
        "email",
        "--redact",
        "order=ORD-[0-9]+",
        "--own-code",
        "-/made/",
        "body.json",
    ];
    let record = lines(&run(trace_agent(folder.path()).args(arguments))?.stdout)?.remove(0);
    equal(&record["errorMessage"], &json!("[redacted:order] of [redacted:email] failed"), "the message")?;
    equal(&record["redacted"], &json!({ "email": 1, "order": 1 }), "the counts")?;
    equal(&record["culprit"]["function"], &json!("f"), "the culprit")?;
    let output = run(trace_agent(folder.path()).args(["normalize", "--redact", "e-mail", "body.json"]))?;
    equal((output.status.code(), output.stdout.len()), (Some(2), 0), "a wrong rule")?;
    let said = said(&output);
    holds(said.contains("TRACE_AGENT_REDACT") && said.contains("\"e-mail\" is no rule"), &said)
}

fn normalize_goes_on() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), TRACE)?;
    let output = run(trace_agent(folder.path()).args(["normalize", "nothing-here", "app.log", "nor-here"]))?;
    equal(output.status.code(), Some(1), "status")?;
    equal(lines(&output.stdout)?.len(), 1, "records of the file that is there")?;
    let said = said(&output);
    let named = ["nothing-here", "nor-here"].iter().all(|file| said.contains(file));
    holds(named && said.lines().count() == 2, &said)
}
