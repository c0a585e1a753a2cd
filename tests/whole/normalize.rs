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
        (b"Traceback (most recent call last):\n", 1),
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
