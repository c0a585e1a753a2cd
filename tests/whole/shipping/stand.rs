//! A log, a strict service, and sidecars between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use trace_logs_service::{Options, Service};

use crate::harness::{Outcome, Stop, eventually, holds, trace_agent, valid};

/// One failure with this number.
pub(super) fn trace(number: usize) -> String {
    format!(
        "2026-11-23 07:30:12,532 INFO order {number} comes\nTraceback (most recent call last):\n  File \"/srv/app.py\", line 3, in handle\n    raise ValueError({number})\nValueError: number {number}\n"
    )
}

pub(super) fn traces(numbers: std::ops::Range<usize>) -> String {
    numbers.map(trace).collect()
}

/// A folder with a log, a service, and sidecars between them.
pub(super) struct Stand {
    pub(super) folder: tempfile::TempDir,
    pub(super) service: Service,
    arguments: Vec<String>,
}

impl Stand {
    pub(super) fn new(options: Options) -> Result<Self, Stop> {
        Ok(Self { folder: tempfile::tempdir()?, service: Service::start(options)?, arguments: Vec::new() })
    }

    pub(super) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    pub(super) fn log(&self, text: &str) -> Outcome {
        let path = self.folder.path().join("app.log");
        Ok(OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())?)
    }

    pub(super) fn command(&self, more: &[&str]) -> Command {
        let mut command = trace_agent(self.folder.path());
        command
            .args(["run", "--sink", "cloudwatch", "--log-group", "/app/failures", "--state", "state"])
            .args(["--socket", "run/capture.sock", "--storm-limit", "0", "--health-s", "0"])
            .args(&self.arguments)
            .args(more)
            .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", self.service.endpoint())
            .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "test")])
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    pub(super) fn start(&self, more: &[&str]) -> Result<Sidecar, Stop> {
        Ok(Sidecar(self.command(more).stderr(Stdio::piped()).spawn()?))
    }

    /// How many different events the service has.
    pub(super) fn distinct(&self) -> u64 {
        self.service.inspect(|state| state.tally().distinct)
    }

    pub(super) fn arrives(&self, events: u64) -> Outcome {
        eventually(&format!("{events} events"), || (self.distinct() >= events).then_some(()))
    }

    /// Fails unless each number arrived; one that arrived twice has the same id. Gives how many did.
    pub(super) fn check(&self, numbers: std::ops::Range<usize>) -> Result<usize, Stop> {
        self.check_all(numbers.collect())
    }

    pub(super) fn check_all(&self, wanted: BTreeSet<usize>) -> Result<usize, Stop> {
        let state = self.service.state();
        let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut arrived = 0;
        for message in state.messages("/app/failures") {
            let record: Value = serde_json::from_str(message)?;
            valid(&record)?;
            let text = record["errorMessage"].as_str().unwrap_or_default();
            let number = text.strip_prefix("number ").ok_or(format!("a message {text:?}"))?.parse()?;
            ids.entry(number).or_default().insert(record["id"].as_str().unwrap_or_default().to_owned());
            arrived += 1;
        }
        let lost: Vec<&usize> = wanted.iter().filter(|number| !ids.contains_key(number)).collect();
        holds(lost.is_empty(), format!("{} of {} are lost: {lost:?}", lost.len(), wanted.len()))?;
        holds(ids.values().all(|ids| ids.len() == 1), "two deliveries of one failure have two ids")?;
        let invented: Vec<&usize> = ids.keys().filter(|number| !wanted.contains(number)).collect();
        holds(invented.is_empty(), format!("nobody wrote {invented:?}"))?;
        Ok(arrived - wanted.len())
    }
}

/// A running sidecar; killed if the test forgets it.
pub(super) struct Sidecar(pub(super) Child);

impl Sidecar {
    pub(super) fn kill(mut self) -> Outcome {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    pub(super) fn terminate(mut self) -> Result<(ExitStatus, String), Stop> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        let status = eventually("the sidecar ends", || self.0.try_wait().ok().flatten())?;
        let mut said = String::new();
        self.0.stderr.take().expect("it is piped").read_to_string(&mut said)?;
        Ok((status, said))
    }

    /// The memory that it has in RAM, in KiB.
    pub(super) fn rss_kib(&self) -> Result<u64, Stop> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it is running")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Already gone if the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Posts a failure. True if it was accepted.
pub(super) fn post(address: std::net::SocketAddr, error_type: &str, number: usize) -> bool {
    let body = format!(r#"{{"errorMessage":"number {number}","errorType":"{error_type}","stackTrace":[]}}"#);
    let answer = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
