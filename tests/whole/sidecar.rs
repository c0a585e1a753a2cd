//! `trace-agent run`: files, standard input, sockets and HTTP bodies in, records out, and nothing left behind.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use libtest_mimic::Trial;
use serde_json::json;

use crate::harness::{Outcome, Stop, equal, eventually, holds, lines, records, run, said, test, trace_agent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("--once ships what is there, and a second time what is new", once_ships_what_is_new),
        test(
            "--once fails while the sink takes nothing, and loses nothing",
            once_fails_while_the_sink_takes_nothing,
        ),
        test(
            "a followed log ships while it is written, across rotation",
            a_followed_log_ships_across_rotation,
        ),
        test("the socket takes the reports of a panicking program", the_socket_takes_reports),
        test("HTTP takes bodies and says what it did", http_takes_bodies),
        test("standard input is read to its end", standard_input_is_read_to_its_end),
        test("SIGTERM ends the sidecar and leaves nothing behind", sigterm_leaves_nothing_behind),
        test("secrets stay at home", secrets_stay_at_home),
        test(
            "a trace is shipped although standard input stays open",
            a_trace_is_shipped_although_stdin_stays_open,
        ),
        test("a second sidecar is kept away from the state", a_second_sidecar_is_kept_away_from_the_state),
        test("--from end remembers where that was", from_end_remembers_where_that_was),
        test(
            "a reader that has seen enough ends the sidecar",
            a_reader_that_has_seen_enough_ends_the_sidecar,
        ),
        test("what stands in the way of the sidecar is said", what_stands_in_the_way_is_said),
    ]
}

fn trace(message: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in handle\n    raise ValueError({message:?})\nValueError: {message}\n"
    )
}

fn messages(directory: &Path) -> Vec<String> {
    let records = records(directory).unwrap_or_default();
    records.iter().filter_map(|record| record["errorMessage"].as_str().map(str::to_owned)).collect()
}

/// A running sidecar; killed if the test forgets it.
struct Sidecar(Child);

impl Sidecar {
    fn start(folder: &Path, arguments: &[&str]) -> Result<Self, Stop> {
        let socket = ["--socket", "run/capture.sock"];
        let mut command = trace_agent(folder);
        command.arg("run").args(["--sink", "file:records", "--state", "state"]).args(arguments);
        if !arguments.contains(&"--socket") {
            command.args(socket);
        }
        let child = command.stderr(Stdio::piped()).spawn()?;
        let socket = folder.join("run/capture.sock");
        let sidecar = Self(child);
        eventually("the sidecar is ready", || socket.exists().then_some(()))?;
        Ok(sidecar)
    }

    /// Ends it as an orchestrator would, and gives its status and what it said.
    fn terminate(mut self) -> Result<(ExitStatus, String), Stop> {
        let status = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        holds(status.success(), "kill")?;
        let status = eventually("the sidecar ends", || self.0.try_wait().ok().flatten())?;
        let mut said = String::new();
        self.0.stderr.take().expect("it is piped").read_to_string(&mut said)?;
        Ok((status, said))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Already gone if the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn once_ships_what_is_new() -> Outcome {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("app.log");
    std::fs::write(&log, format!("INFO start\n{}INFO end\n", trace("first")))?;
    let once = || {
        run(trace_agent(folder.path()).args([
            "run",
            "--once",
            "--sink",
            "file:records",
            "--state",
            "state",
            "app.log",
        ]))
    };
    for _ in 0..2 {
        let output = once()?;
        equal(output.status.code(), Some(0), &said(&output))?;
        equal(messages(&folder.path().join("records")), vec!["first"], "records")?;
    }
    std::fs::OpenOptions::new().append(true).open(&log)?.write_all(trace("second").as_bytes())?;
    once()?;
    equal(messages(&folder.path().join("records")), vec!["first", "second"], "records")?;
    // Without a checkpoint everything is read anew, and a reader can tell by the id that it is the same.
    std::fs::remove_dir_all(folder.path().join("state"))?;
    once()?;
    let records = records(&folder.path().join("records"))?;
    equal(records.len(), 4, "records")?;
    equal(
        (&records[0]["id"], &records[1]["id"]),
        (&records[2]["id"], &records[3]["id"]),
        "the ids of a second reading",
    )
}

fn once_fails_while_the_sink_takes_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), trace("kept"))?;
    // A service that refuses these credentials for good: the SDK is real, the refusal is a recorded answer.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            refuse(stream);
        }
    });
    let mut command = trace_agent(folder.path());
    command
        .args(["run", "--once", "--sink", "cloudwatch", "--state", "state", "app.log"])
        .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", endpoint)
        .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    // It would go on asking for a minute; a person who has read the reason ends it.
    let mut said = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("AccessDenied") {
        line.clear();
        holds(std::io::BufRead::read_line(&mut said, &mut line)? > 0, "it ended without saying why")?;
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let status = eventually("it ends", || child.try_wait().ok().flatten())?;
    equal(status.code(), Some(1), "exit status")?;
    let output = run(trace_agent(folder.path()).args([
        "run",
        "--once",
        "--sink",
        "file:records",
        "--state",
        "state",
        "app.log",
    ]))?;
    equal(output.status.code(), Some(0), &crate::harness::said(&output))?;
    equal(messages(&folder.path().join("records")), vec!["kept"], "the record is shipped by the next run")
}

fn refuse(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let body = r#"{"__type":"AccessDeniedException","Message":"User is not authorized to perform: logs:PutLogEvents"}"#;
    let _ = write!(
        stream,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn a_followed_log_ships_across_rotation() -> Outcome {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("records");
    let log = folder.path().join("app.log");
    std::fs::write(&log, trace("before"))?;
    let sidecar = Sidecar::start(folder.path(), &["*.log"])?;
    eventually("the first record", || (messages(&directory) == ["before"]).then_some(()))?;
    // A trace that is written in two halves is one record.
    let (left, right) = (trace("in two"), 60);
    let mut file = std::fs::OpenOptions::new().append(true).open(&log)?;
    file.write_all(&left.as_bytes()[..right])?;
    std::thread::sleep(std::time::Duration::from_millis(150));
    file.write_all(&left.as_bytes()[right..])?;
    eventually("the second record", || (messages(&directory).len() == 2).then_some(()))?;
    std::fs::rename(&log, folder.path().join("app.log.1"))?;
    std::fs::write(&log, trace("after"))?;
    eventually("the record of the new file", || (messages(&directory).len() == 3).then_some(()))?;
    std::fs::write(folder.path().join("other.log"), trace("elsewhere"))?;
    eventually("the record of a file that came later", || (messages(&directory).len() == 4).then_some(()))?;
    equal(messages(&directory), vec!["before", "in two", "after", "elsewhere"], "records")?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    holds(said.contains("4 failures found, 4 stored, 0 refused, 0 pending"), said)
}

fn the_socket_takes_reports() -> Outcome {
    let folder = tempfile::tempdir()?;
    let sidecar = Sidecar::start(folder.path(), &[])?;
    let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/capture/tests/data/panic-v1.bin"))?;
    let socket = UnixDatagram::unbound()?;
    for datagram in [&golden[..], b"nonsense", &golden] {
        socket.send_to(datagram, folder.path().join("run/capture.sock"))?;
    }
    eventually("two records", || (messages(&folder.path().join("records")).len() == 2).then_some(()))?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    holds(said.contains("2 failures found, 2 stored, 0 refused, 0 pending, 1 unreadable"), said)?;
    let kinds: Vec<_> =
        records(&folder.path().join("records"))?.iter().map(|record| record["kind"].clone()).collect();
    equal(kinds, vec![json!("panic"), json!("panic")], "kinds")
}

fn http_takes_bodies() -> Outcome {
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let sidecar = Sidecar::start(folder.path(), &["--http", &port.to_string()])?;
    let post = |body: &str| -> Result<String, Stop> {
        let mut stream = eventually("HTTP answers", || TcpStream::connect(port).ok())?;
        write!(
            stream,
            "POST /any HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    equal(
        post(r#"{"errorMessage":"one","errorType":"E","stackTrace":[]}"#)?,
        "HTTP/1.1 200 OK",
        "a failure",
    )?;
    equal(post(&format!("{}{}", trace("two"), trace("three")))?, "HTTP/1.1 200 OK", "two traces")?;
    equal(post("all is well")?, "HTTP/1.1 422 Unprocessable Entity", "no failure")?;
    eventually("three records", || (messages(&folder.path().join("records")).len() == 3).then_some(()))?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)
}

fn standard_input_is_read_to_its_end() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut child = trace_agent(folder.path())
        .args(["run", "--sink", "stdout", "--socket", "run/capture.sock", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(format!("noise\n{}more noise\n{}", trace("one"), trace("two")).as_bytes())?;
    drop(input);
    // The end of standard input ends no socket: as a sidecar it goes on until it is told to stop.
    let mut out = child.stdout.take().expect("it is piped");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        text
    });
    std::thread::sleep(std::time::Duration::from_secs(1));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let status = eventually("it ends", || child.try_wait().ok().flatten())?;
    equal(status.code(), Some(0), "exit status")?;
    let records = lines(&reader.join().expect("reading does not panic"))?;
    let messages: Vec<_> = records.iter().map(|record| record["errorMessage"].clone()).collect();
    equal(messages, vec![json!("one"), json!("two")], "records")
}

fn sigterm_leaves_nothing_behind() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), "nothing yet\n")?;
    let sidecar = Sidecar::start(folder.path(), &["app.log"])?;
    // Written in the last moment: what a dying program says last is what is wanted most.
    std::fs::OpenOptions::new()
        .append(true)
        .open(folder.path().join("app.log"))?
        .write_all(trace("the last word").as_bytes())?;
    let (status, said) = sidecar.terminate()?;
    equal(status.code(), Some(0), &said)?;
    equal(messages(&folder.path().join("records")), vec!["the last word"], "records")?;
    holds(!folder.path().join("run/capture.sock").exists(), "the socket's file is gone")?;
    let left: Vec<_> =
        std::fs::read_dir(folder.path().join("state"))?.map(|file| file.unwrap().file_name()).collect();
    holds(left.iter().all(|name| name != "spool.new" && name != "checkpoints.new"), format!("{left:?}"))
}

fn a_trace_is_shipped_although_stdin_stays_open() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut command = trace_agent(folder.path());
    command.args(["run", "--sink", "file:records", "--socket", "run/capture.sock", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(trace("still running").as_bytes())?;
    eventually("the record", || {
        (messages(&folder.path().join("records")) == ["still running"]).then_some(())
    })?;
    // And what was written right before the stop is not lost either.
    input.write_all(trace("and gone").as_bytes())?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let status = eventually("it ends", || child.try_wait().ok().flatten())?;
    equal(status.code(), Some(0), "exit status")?;
    equal(messages(&folder.path().join("records")), vec!["still running", "and gone"], "records")
}

fn a_second_sidecar_is_kept_away_from_the_state() -> Outcome {
    let folder = tempfile::tempdir()?;
    let _first = Sidecar::start(folder.path(), &[])?;
    let output = run(trace_agent(folder.path()).args([
        "run",
        "--sink",
        "file:records",
        "--state",
        "state",
        "--socket",
        "run/other.sock",
    ]))?;
    equal(output.status.code(), Some(1), &said(&output))?;
    holds(said(&output).contains("another trace-agent uses the state directory"), said(&output))
}

fn from_end_remembers_where_that_was() -> Outcome {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("app.log");
    std::fs::write(&log, trace("old"))?;
    Sidecar::start(folder.path(), &["--from", "end", "app.log"])?.terminate()?;
    std::fs::OpenOptions::new().append(true).open(&log)?.write_all(trace("while away").as_bytes())?;
    let sidecar = Sidecar::start(folder.path(), &["--from", "end", "app.log"])?;
    eventually("the record", || (messages(&folder.path().join("records")) == ["while away"]).then_some(()))?;
    sidecar.terminate().map(|_| ())
}

fn a_reader_that_has_seen_enough_ends_the_sidecar() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("app.log"), trace("one").repeat(3_000))?;
    let script = "\"$PROGRAM\" run --sink stdout --socket run/capture.sock app.log | head -n 1";
    let output = run(Command::new("sh")
        .current_dir(folder.path())
        .args(["-ec", script])
        .env("PROGRAM", trace_agent(folder.path()).get_program()))?;
    equal(lines(&output.stdout)?.len(), 1, "records")
}

fn secrets_stay_at_home() -> Outcome {
    let folder = tempfile::tempdir()?;
    // The key is the one of AWS's documentation.
    std::fs::write(
        folder.path().join("app.log"),
        trace("AKIAIOSFODNN7EXAMPLE at postgres://app:hunter2@db/x"),
    )?;
    let output = run(trace_agent(folder.path()).args(["run", "--once", "--sink", "stdout", "app.log"]))?;
    let text = String::from_utf8_lossy(&output.stdout);
    holds(!text.contains("AKIAIOSFODNN7EXAMPLE") && !text.contains("hunter2"), &text)?;
    let record = lines(&output.stdout)?.remove(0);
    // In the message and in the source line.
    equal(&record["redacted"], &json!({"aws-key": 2, "url-password": 2}), "counts")
}

fn what_stands_in_the_way_is_said() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "")?;
    Command::new("mkfifo").arg(folder.path().join("fifo")).status()?;
    for (arguments, status, why) in [
        (&["run", "--once", "--sink", "file:records", "missing.log"][..], 1, "does not exist"),
        (&["run", "--once", "--sink", "file:records"], 2, "needs something to read"),
        (&["run", "--sink", "file:records", "."], 1, "not a regular file"),
        (&["run", "--once", "--sink", "file:records", "fifo"], 1, "not a regular file"),
        (&["run", "--sink", "file:file/below", "x.log"], 1, "cannot write the sink directory"),
        (
            &["run", "--sink", "file:records", "--state", "file/below", "x.log"],
            1,
            "cannot create the state directory",
        ),
        (&["run", "--sink", "file:records", "--socket", "file", "x.log"], 1, "no socket"),
        (&["run", "--sink", "file:records", "--http", "nowhere"], 2, "invalid value"),
    ] {
        let output = run(trace_agent(folder.path()).args(arguments))?;
        let said = said(&output);
        equal(output.status.code(), Some(status), &format!("{arguments:?}: {said}"))?;
        holds(said.contains(why), format!("{arguments:?}: {said}"))?;
    }
    Ok(())
}
