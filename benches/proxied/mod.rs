//! What the layer's wrapper and the extension's proxy cost a function that goes well, beside doing without them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use criterion::Criterion;
use tempfile::TempDir;

use crate::beside::Comparison;
use crate::http::Connection;
use crate::watched::Watched;

const NEXT: &str = "/2018-06-01/runtime/invocation/next";
const RESPONSE: &str = "/2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fc1/response";

/// The invocations that a large environment of Managed Instances waits for.
const CONCURRENCY: usize = 1_000;

/// The extension that is running, the folder of its files, and the address of its proxy.
fn extension() -> (Watched, TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::start(Path::new(env!("CARGO_BIN_EXE_trace-agent-extension")), folder.path());
    watched.wait_asked();
    let meeting = fs::read_to_string(folder.path().join("agent/proxy")).unwrap();
    let proxy = meeting.split(' ').next().unwrap().to_owned();
    (watched, folder, proxy)
}

pub(crate) fn turn(criterion: &mut Criterion) {
    let (watched, _folder, proxy) = extension();
    let body = format!("{:1024}", "{}");
    let mut comparison = Comparison::new(criterion, "proxy/turn");
    for (way, address) in [("directly", watched.lambda.to_string()), ("through the proxy", proxy)] {
        let mut lambda = Connection::open(&address);
        comparison.time(
            way,
            || (),
            |()| (lambda.call("GET", NEXT, ""), lambda.call("POST", RESPONSE, &body)),
        );
    }
    comparison.finish();
}

pub(crate) fn response(criterion: &mut Criterion) {
    let (watched, _folder, proxy) = extension();
    let body = "x".repeat(6 * 1024 * 1024);
    let mut comparison = Comparison::new(criterion, "proxy/response");
    for (way, address) in [("directly", watched.lambda.to_string()), ("through the proxy", proxy)] {
        let mut lambda = Connection::open(&address);
        comparison.time(way, || (), |()| lambda.call("POST", RESPONSE, &body));
    }
    comparison.finish();
}

pub(crate) fn wrapper(criterion: &mut Criterion) {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_trace-agent-extension"));
    let target = target.ancestors().nth(2).unwrap();
    let folder = format!("{}-unknown-linux-musl/release", std::env::consts::ARCH);
    let wrapper = target.join(folder).join("trace-agent-wrapper");
    if !wrapper.is_file() {
        println!("wrapper/start is left out: cargo layer builds the wrapper");
        return;
    }
    let (_watched, folder, _) = extension();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    // It ends at once, and needs no loader.
    let program = [wrapper.as_os_str(), "--version".as_ref()];
    let start = |before: Option<&Path>, variables: &[(&str, &str)]| {
        let words: Vec<_> = before.map(Path::as_os_str).into_iter().chain(program).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env_clear().stdout(Stdio::null());
        command.env("TRACE_AGENT_SOCKET", folder.path().join("agent/capture.sock"));
        command.envs(variables.iter().copied());
        assert!(command.status().unwrap().success());
    };
    let mut comparison = Comparison::new(criterion, "wrapper/start");
    comparison.time("directly", || (), |()| start(None, &[]));
    comparison.time("by the wrapper", || (), |()| start(Some(&wrapper), &[]));
    comparison.time(
        "by the wrapper, disabled",
        || (),
        |()| start(Some(&wrapper), &[("TRACE_AGENT_DISABLED", "1")]),
    );
    comparison.time("by a shell script", || (), |()| start(Some(&script), &[]));
    comparison.finish();
}

pub(crate) fn table() {
    let (watched, _folder, proxy) = extension();
    let (threads, resident) = (watched.status("Threads:"), watched.resident_kib());
    let mut runtimes: Vec<Connection> = (0..CONCURRENCY).map(|_| Connection::open(&proxy)).collect();
    for runtime in &mut runtimes {
        runtime.call("GET", NEXT, "");
    }
    println!("proxy/table");
    println!("threads, and with {CONCURRENCY} connections    {threads:>6}{:>10}", watched.status("Threads:"));
    println!("KiB resident, and with {CONCURRENCY}           {resident:>6}{:>10}", watched.resident_kib());
    drop(runtimes);

    let (watched, _folder, proxy) = extension();
    let mut lambda = Connection::open(&proxy);
    lambda.call("POST", RESPONSE, "{}");
    watched.forget_peak();
    let before = watched.status("VmHWM:");
    lambda.call("POST", RESPONSE, &"x".repeat(6 * 1024 * 1024));
    println!("KiB at the peak, and with 6 MiB      {before:>6}{:>10}", watched.status("VmHWM:"));
}
