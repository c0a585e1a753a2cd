//! `trace-agent logs`: what was shipped, read back.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use serde_json::Value;
use trace_agent_core::clock::now_ms;
use trace_logs_service::{Fault, Faults, Options, Service};
use trace_record::complete::rfc3339;

use crate::cloudwatch::Moto;
use crate::harness::{Outcome, Stop, equal, eventually, holds, lines, records, run, said, test, trace_agent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("logs reads back from moto what the file sink wrote", logs_reads_back_what_was_written),
        test("logs selects, adds up and says what is missing", logs_selects_and_adds_up),
        test("logs --follow shows what comes, through throttles", logs_follows),
        test("logs --follow reads a file sink's folder through rotation", logs_follows_files),
        test("logs ends quietly when its reader has seen enough", logs_ends_with_its_reader),
        test("logs names the frames that a report left bare", logs_names_bare_frames),
    ]
}

fn trace(name: &str, message: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/srv/{name}.py\", line 3, in {name}\n    go()\n{name}: {message}\n"
    )
}

fn ship(folder: &Path, log: &str, sinks: &str, variables: &[(&str, String)]) -> Outcome {
    std::fs::write(folder.join("app.log"), log)?;
    let mut command = trace_agent(folder);
    command.args([
        "run",
        "--once",
        "--sink",
        sinks,
        "--log-group",
        "/app/failures",
        "--storm-limit",
        "2",
        "app.log",
    ]);
    let output = run(command.envs(variables.iter().map(|(name, value)| (*name, value))))?;
    equal(output.status.code(), Some(0), &said(&output))
}

fn variables(endpoint: &str) -> Vec<(&'static str, String)> {
    [
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn read(folder: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Result<Vec<Value>, Stop> {
    let mut command = trace_agent(folder);
    command.arg("logs").args(arguments).envs(variables.iter().map(|(name, value)| (*name, value)));
    let output = run(&mut command)?;
    equal(output.status.code(), Some(0), &said(&output))?;
    lines(&output.stdout)
}

fn logs_reads_back_what_was_written() -> Outcome {
    let moto = Moto::start()?;
    let folder = tempfile::tempdir()?;
    let distinct: String = (0..30).map(|number| trace(&format!("Größe{number}"), "\"quoted\" €")).collect();
    // Beyond the second, they are only counted.
    let log = distinct + &trace("Storm", "m").repeat(5);
    let moto = variables(&moto.endpoint);
    ship(folder.path(), &log, "cloudwatch,file:records", &moto)?;
    let there = read(folder.path(), &["/app/failures"], &moto)?;
    let here = read(folder.path(), &["/app/failures", "--directory", "records"], &[])?;
    equal(there.len(), 33, "records")?;
    equal(&here, &records(&folder.path().join("records"))?, "what the file holds")?;
    equal(there, here, "what both sinks hold")
}

fn logs_selects_and_adds_up() -> Outcome {
    let service = Service::start(Options::default())?;
    let folder = tempfile::tempdir()?;
    let log = format!("{}{}", trace("A", "m").repeat(5), trace("B", "n"));
    let service = variables(&service.endpoint());
    ship(folder.path(), &log, "cloudwatch", &service)?;
    let mut records = read(folder.path(), &["/app/failures"], &service)?;
    // Two failures of one millisecond may change places.
    records.sort_by_key(|record| record["errorType"].as_str().map(str::to_owned));
    let types = |records: &[Value]| -> Vec<String> {
        records.iter().filter_map(|record| record["errorType"].as_str().map(str::to_owned)).collect()
    };
    equal(types(&records), ["A", "A", "A", "B"].map(str::to_owned).to_vec(), "two whole, and one for three")?;
    let fingerprint = records[3]["fingerprint"].as_str().unwrap_or_default();
    for arguments in [
        ["--fingerprint", fingerprint],
        ["--type", "B"],
        ["--filter-pattern", "\"/srv/B.py\" -Nobody"],
        ["--id", records[3]["id"].as_str().unwrap_or_default()],
    ] {
        let records = read(folder.path(), &[&["/app/failures"], &arguments[..]].concat(), &service)?;
        equal(types(&records), vec!["B".to_owned()], arguments[0])?;
    }
    equal(read(folder.path(), &["/app/failures", "--limit", "1"], &service)?.len(), 1, "--limit")?;
    equal(
        read(folder.path(), &["/app/failures", "--since", "2100-01-01T00:00:00Z"], &service)?.len(),
        0,
        "--since",
    )?;
    let rows = read(folder.path(), &["/app/failures", "--summary"], &service)?;
    let counts: Vec<_> = rows.iter().map(|row| (row["errorType"].clone(), row["count"].clone())).collect();
    equal(counts, vec![("A".into(), 5.into()), ("B".into(), 1.into())], "counts")?;

    let mut pretty = trace_agent(folder.path());
    pretty.args(["logs", "/app/failures", "--format", "pretty", "--type", "B"]).envs(service.iter().cloned());
    let text = String::from_utf8(run(&mut pretty)?.stdout)?;
    holds(text.contains("B: n") && text.contains("/srv/B.py") && text.contains(fingerprint), &text)?;
    holds(!text.contains('\u{1b}'), "no colours in a pipe")?;
    for (arguments, status, why) in [
        (["/none", "--since", "1h"], 1, "there is no log group /none"),
        (["/app/failures", "--since", "soon"], 2, "--since is \"soon\""),
    ] {
        let mut command = trace_agent(folder.path());
        let output = run(command.arg("logs").args(arguments).envs(service.iter().cloned()))?;
        equal(output.status.code(), Some(status), &said(&output))?;
        holds(said(&output).contains(why), said(&output))?;
    }
    Ok(())
}

fn logs_follows() -> Outcome {
    let service = Service::start(Options::default())?;
    let folder = tempfile::tempdir()?;
    let at = variables(&service.endpoint());
    ship(folder.path(), &trace("First", "m"), "cloudwatch", &at)?;
    let throttle = (Fault::Throttle { retry_after: None }, 0.5);
    let operations = vec!["FilterLogEvents".to_owned()];
    service.set_faults(Faults { shares: vec![throttle], operations, ..Faults::default() });
    let mut child = trace_agent(folder.path())
        .args(["logs", "/app/failures", "--follow"])
        .envs(at.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || -> Result<String, Stop> {
        let line = out.next().ok_or("it ended")??;
        let record: Value = serde_json::from_str(&line)?;
        Ok(record["errorType"].as_str().unwrap_or_default().to_owned())
    };
    equal(next()?, "First".to_owned(), "what was there")?;
    ship(folder.path(), &trace("Second", "m"), "cloudwatch", &at)?;
    equal(next()?, "Second".to_owned(), "what came")?;
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    let status = eventually("Ctrl-C ends it", || child.try_wait().ok().flatten())?;
    equal(status.signal(), Some(2), "as it ends `tail -f`")
}

/// A record of this moment, as a sink writes it.
fn line(id: &str) -> String {
    let now = rfc3339(now_ms());
    format!("{{\"errorMessage\":\"m\",\"schema\":1,\"id\":\"{id}\",\"timestamp\":\"{now}\"}}\n")
}

fn logs_follows_files() -> Outcome {
    let folder = tempfile::tempdir()?;
    let group = folder.path().join("records/+g");
    std::fs::create_dir_all(&group)?;
    let (file, older) = (group.join("s.ndjson"), group.join("s.ndjson.1"));
    std::fs::write(&file, line("first"))?;
    let mut child = trace_agent(folder.path())
        .args(["logs", "/g", "--directory", "records", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || -> Result<Value, Stop> {
        let record: Value = serde_json::from_str(&out.next().ok_or("it ended")??)?;
        Ok(record["id"].clone())
    };
    equal(next()?, Value::from("first"), "what was there")?;
    let mut append = OpenOptions::new().append(true).open(&file)?;
    append.write_all(line("second").as_bytes())?;
    std::fs::rename(&file, &older)?;
    std::fs::write(&file, line("third"))?;
    equal(next()?, Value::from("second"), "what came before it was put aside")?;
    equal(next()?, Value::from("third"), "what came after")?;
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn logs_ends_with_its_reader() -> Outcome {
    let folder = tempfile::tempdir()?;
    let group = folder.path().join("records/+g");
    std::fs::create_dir_all(&group)?;
    // More than a pipe holds.
    std::fs::write(group.join("s.ndjson"), (0..5_000).map(|id| line(&id.to_string())).collect::<String>())?;
    let mut child = trace_agent(folder.path())
        .args(["logs", "/g", "--directory", "records"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut first = String::new();
    out.read_line(&mut first)?;
    drop(out);
    let output = child.wait_with_output()?;
    equal((output.status.code(), said(&output)), (Some(0), String::new()), "status and what it says")
}

fn logs_names_bare_frames() -> Outcome {
    let folder = tempfile::tempdir()?;
    let handler = crate::harness::rust_handler()?;
    let output = run(Command::new("nm").arg("-C").arg(handler.with_extension("debug")))?;
    let symbols = String::from_utf8_lossy(&output.stdout).into_owned();
    let symbol = symbols.lines().find(|line| line.ends_with(" failing_handler::look_up"));
    let address = symbol.and_then(|line| line.split(' ').next()).ok_or("the handler has look_up")?;
    let address = u64::from_str_radix(address, 16)?;
    let frame = serde_json::json!({ "address": format!("0x{:x}", address + 1), "module": handler });
    let mut record = serde_json::json!({
        "errorMessage": "m", "errorType": "panic", "stackTrace": [[null, null, null, null]], "frames": [frame],
        "schema": 1, "id": "0".repeat(32), "timestamp": "2026-11-23T07:30:12.000Z",
    });
    let group = folder.path().join("records/+g");
    std::fs::create_dir_all(&group)?;
    std::fs::write(group.join("s.ndjson"), format!("{record}\n"))?;
    let arguments = ["/g", "--directory", "records", "--since", "2026-11-01T00:00:00Z"];
    let named = read(folder.path(), &arguments, &[])?;
    equal(&named[0]["stackTrace"][0][2], &Value::from("failing_handler::look_up"), &format!("{}", named[0]))?;
    let stored = read(folder.path(), &[&arguments[..], &["--no-symbolize"]].concat(), &[])?;
    equal(stored, vec![record.clone()], "nothing is named")?;

    // The machine that reads has neither the program nor its debug file, but a store that does.
    let debug = handler.with_extension("debug");
    let output = run(trace_agent(folder.path()).args(["symbols", "push", "store"]).arg(&debug))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let output = run(Command::new("readelf").arg("-n").arg(&debug))?;
    let notes = String::from_utf8_lossy(&output.stdout).into_owned();
    let build_id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    let frame = serde_json::json!({ "address": frame["address"], "module": "/gone", "buildId": build_id });
    record["frames"] = serde_json::json!([frame]);
    std::fs::write(group.join("s.ndjson"), format!("{record}\n"))?;
    let named = read(folder.path(), &[&arguments[..], &["--symbols", "store"]].concat(), &[])?;
    equal(&named[0]["stackTrace"][0][2], &Value::from("failing_handler::look_up"), &format!("{}", named[0]))
}
