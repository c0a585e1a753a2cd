//! What the service wants, and what the user wants of it.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trace_logs_service::{BATCH_BYTES_MAX, EVENT_BYTES_MAX_BEFORE_2025, Key, Options};

use super::stand::{Sidecar, Stand, trace, traces};
use crate::harness::{Outcome, Stop, equal, eventually, holds, run, said, tool, trace_agent, valid};

pub(super) fn a_batch_is_full() -> Outcome {
    let stand = Stand::new(Options::default())?;
    let log: String =
        (0..12_000).map(|number| format!("{}{}", trace(number), "INFO nothing\n".repeat(3))).collect();
    stand.log(&log)?;
    // On a machine that is slow, a batch would be sent because it is old.
    let output = run(&mut stand.command(&["--once", "--batch-wait-ms", "5000", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let state = stand.service.state();
    let puts: Vec<_> = state.requests.iter().filter(|request| request.stored > 0).collect();
    let bytes: usize = puts.iter().map(|request| request.event_bytes).sum();
    let minimum = bytes.div_ceil(BATCH_BYTES_MAX);
    holds(puts.len() <= minimum + 1, format!("{} requests, {minimum} would do", puts.len()))?;
    let (_, full) = puts.split_last().ok_or("there was a request")?;
    let (fill, most) =
        (full.iter().map(|request| request.event_bytes).sum::<usize>(), full.len() * BATCH_BYTES_MAX);
    holds(!full.is_empty() && fill * 100 >= most * 97, format!("filled by {fill} of {most} bytes"))
}

pub(super) fn a_clock_that_is_wrong() -> Outcome {
    for offset_ms in [3_600_000, -3_600_000, 4 * 3_600_000] {
        let key = Key { id: "test".to_owned(), secret: "test".to_owned(), token: None };
        let options =
            Options { clock_offset_ms: offset_ms, credentials: Some(vec![key]), ..Options::default() };
        let stand = Stand::new(options)?;
        stand.log(&traces(0..5))?;
        let output = run(&mut stand.command(&["--once", "app.log"]))?;
        equal(output.status.code(), Some(0), &said(&output))?;
        equal(stand.check(0..5)?, 0, "twice")?;
        let refused = stand.service.inspect(|state| state.count("PutLogEvents", "InvalidSignatureException"));
        equal(refused, 1, "refused signatures")?;
    }
    Ok(())
}

pub(super) fn a_lower_limit() -> Outcome {
    let options = Options { event_bytes_max: EVENT_BYTES_MAX_BEFORE_2025, ..Options::default() };
    let stand = Stand::new(options)?;
    let big = format!(
        "{}\nValueError: {}\n",
        trace(1).trim_end().rsplit_once('\n').ok_or("a trace has lines")?.0,
        "€".repeat(110_000)
    );
    stand.log(&format!("{}INFO\n{big}INFO\n{}", trace(0), trace(2)))?;
    for arguments in [&["--once", "app.log"][..], &["--once", "--event-bytes-max", "262144", "app.log"]] {
        let output = run(&mut stand.command(arguments))?;
        equal(output.status.code(), Some(0), &said(&output))?;
        std::fs::remove_dir_all(stand.folder.path().join("state"))?;
    }
    let state = stand.service.state();
    let messages = state.messages("/app/failures");
    equal(messages.len(), 6, "events of two runs")?;
    let big: Vec<&&str> = messages.iter().filter(|message| message.len() > 10_000).collect();
    equal(big.len(), 2, "long ones")?;
    for message in big {
        let record: Value = serde_json::from_str(message)?;
        valid(&record)?;
        holds(record["truncated"]["errorMessage"].as_u64() > Some(100_000), "what went is said")?;
    }
    // The first run learns it from one refusal, the second one knows.
    let refused =
        state.requests.iter().filter(|request| request.outcome == "InvalidParameterException").count();
    equal(refused, 1, "refused requests")
}

pub(super) fn a_group_as_it_is_wanted() -> Outcome {
    let stand = Stand::new(Options::default())?.with(&[
        "--log-retention-days",
        "400",
        "--log-class",
        "STANDARD",
        "--log-kms-key",
        "arn:aws:kms:eu-central-1:123456789012:key/k",
        "--log-stream",
        "{host}/{input}",
    ]);
    stand.log(&traces(0..3))?;
    let output = run(&mut stand.command(&["--once", "app.log"]))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    stand.service.inspect(|state| {
        let group = state.groups.get("/app/failures").ok_or("there is a group")?;
        equal(group.retention_days, Some(400), "retention")?;
        equal(group.kms_key_id.as_deref(), Some("arn:aws:kms:eu-central-1:123456789012:key/k"), "key")?;
        holds(
            group.streams.keys().all(|name| name.ends_with("/app.log")),
            format!("{:?}", group.streams.keys()),
        )
    })
}

pub(super) fn whom_to_trust() -> Outcome {
    tool("openssl")?;
    let folder = tempfile::tempdir()?;
    let make = |name: &str| -> Outcome {
        let output = run(Command::new("openssl").current_dir(folder.path()).args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ]))?;
        holds(output.status.success(), said(&output))
    };
    make("server")?;
    make("other")?;
    std::fs::write(folder.path().join("empty.pem"), "")?;
    std::fs::write(
        folder.path().join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
    )?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let received = folder.path().join("received");
    // What comes through TLS is written down; nothing is ever answered.
    let server = Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "s_server",
            "-accept",
            &port.to_string(),
            "-cert",
            "server.pem",
            "-key",
            "server.key",
            "-quiet",
        ])
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&received)?)
        .stderr(Stdio::null())
        .spawn()?;
    let _server = Sidecar(server);
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).ok())?;
    std::fs::write(folder.path().join("app.log"), traces(0..1))?;
    let start = |bundle: Option<&str>| -> Result<Child, Stop> {
        let mut command = trace_agent(folder.path());
        command
            .args(["run", "--sink", "cloudwatch", "--socket", "run/capture.sock", "app.log"])
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", format!("https://localhost:{port}"))
            .envs([
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "k"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
            ]);
        command.envs(bundle.map(|bundle| ("AWS_CA_BUNDLE", bundle)));
        Ok(command.stderr(Stdio::piped()).spawn()?)
    };
    for (bundle, why) in [
        (None, "invalid peer certificate: UnknownIssuer; name the certificates to trust in a file"),
        (Some("other.pem"), "invalid peer certificate"),
        (Some("missing.pem"), "AWS_CA_BUNDLE names missing.pem, which cannot be used: No such file"),
        (Some("empty.pem"), "there is no certificate in it"),
        (Some("broken.pem"), "certificate 1 is none"),
        (Some("server.key"), "there is no certificate in it"),
    ] {
        let mut sidecar = Sidecar(start(bundle)?);
        let lines = BufReader::new(sidecar.0.stderr.take().expect("it is piped")).lines();
        let said =
            lines.map_while(Result::ok).find(|line| line.contains("AWS_CA_BUNDLE") || line.contains("WARN"));
        holds(said.as_ref().is_some_and(|said| said.contains(why)), format!("{bundle:?}: {said:?}"))?;
    }
    let _sidecar = Sidecar(start(Some("server.pem"))?);
    eventually("the server reads the request", || {
        let received = std::fs::read(&received).unwrap_or_default();
        String::from_utf8_lossy(&received).contains("Logs_20140328.PutLogEvents").then_some(())
    })
}

pub(super) fn health() -> Outcome {
    let stand = Stand::new(Options::default())?.with(&["--health-s", "1"]);
    stand.log(&traces(0..3))?;
    let sidecar = stand.start(&["app.log"])?;
    let lines = |state: &trace_logs_service::State| -> Vec<Value> {
        let lines =
            state.messages("/app/failures").into_iter().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line.get("RecordsShipped").is_some()).collect()
    };
    let told =
        eventually("two lines", || Some(stand.service.inspect(lines)).filter(|lines| lines.len() >= 2))?;
    sidecar.terminate()?;
    let shipped: u64 = told.iter().filter_map(|line| line["RecordsShipped"].as_u64()).sum();
    equal(shipped, 3, "records that were told of")?;
    for name in ["Retries", "Rejected", "Dropped", "SpoolBytes", "Rss"] {
        holds(told[0][name].is_number(), format!("{name} in {}", told[0]))?;
    }
    holds(told[0].get("ShipLatency").is_some() && told[0]["host"].is_string(), &told[0])
}
