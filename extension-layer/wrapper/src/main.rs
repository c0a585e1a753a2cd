//! `/opt/trace-agent/wrapper` and `/opt/trace-agent/bootstrap`: one program under two names.
//!
//! It runs where a runtime would begin, sends the runtime through the extension's proxy, and becomes the runtime. Whatever goes wrong on the way,
//! it becomes the runtime all the same, with the variables that it was given.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use trace_wrapper::{Meeting, attach};

const HELP: &str = "\
Sends a Lambda function's runtime through trace-agent's proxy, and becomes the runtime.

Usage: wrapper PROGRAM [ARGUMENT]...     as AWS_LAMBDA_EXEC_WRAPPER
       bootstrap [PROGRAM [ARGUMENT]...] for OS-only runtimes and images

Without PROGRAM it runs $LAMBDA_TASK_ROOT/bootstrap, or /var/runtime/bootstrap.

  TRACE_AGENT_EXEC_WRAPPER  another wrapper, which gets PROGRAM and its arguments
  TRACE_AGENT_DISABLED      1: become PROGRAM at once
";

/// The status of a shell for a program that cannot be run.
const CANNOT_RUN: u8 = 126;

/// Where the crash recorder lies, seen from the folder above this program's.
const RECORDER: &str = "lib/libtrace_preload.so";

fn main() -> ExitCode {
    let mut words: Vec<OsString> = env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("trace-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => {}
        None if words.is_empty() => match own_bootstrap() {
            Some(bootstrap) => words.push(bootstrap.into()),
            None => {
                eprintln!("trace-agent: no program to run: name one, or put a bootstrap into the task root");
                return ExitCode::from(CANNOT_RUN);
            }
        },
        None => {}
    }
    if let Some(wrapper) = variable("TRACE_AGENT_EXEC_WRAPPER").filter(|wrapper| !is_this_program(wrapper)) {
        words.insert(0, wrapper);
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    if !matches!(variable("TRACE_AGENT_DISABLED").as_deref().and_then(OsStr::to_str), Some("1" | "true")) {
        send_through_proxy(&mut command);
    }
    let error = command.exec();
    eprintln!("trace-agent: cannot run {}: {error}", words[0].display());
    ExitCode::from(CANNOT_RUN)
}

/// Points the runtime at the proxy, if there is one.
fn send_through_proxy(command: &mut Command) {
    let path = Meeting::path(variable("TRACE_AGENT_SOCKET").as_deref());
    let Some(address) = attach(&path, variable) else { return };
    command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    if let Some(recorder) = recorder() {
        let mut preload = variable("LD_PRELOAD").unwrap_or_default();
        if !preload.is_empty() {
            preload.push(":");
        }
        preload.push(recorder);
        command.env("LD_PRELOAD", preload);
    }
}

/// The crash recorder, if the layer has it.
fn recorder() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let recorder = own.parent()?.parent()?.join(RECORDER);
    recorder.exists().then_some(recorder)
}

/// The function's own program where none is named.
fn own_bootstrap() -> Option<PathBuf> {
    let task_root = variable("LAMBDA_TASK_ROOT").unwrap_or_else(|| OsString::from("/var/task"));
    [Path::new(&task_root).join("bootstrap"), PathBuf::from("/var/runtime/bootstrap")]
        .into_iter()
        .find(|candidate| candidate.exists() && !is_this_program(candidate.as_os_str()))
}

/// True if `path` leads to this program, or to what must be a copy of it: to become it again would never end.
fn is_this_program(path: &OsStr) -> bool {
    let (Ok(own), Ok(other)) = (fs::metadata("/proc/self/exe"), fs::metadata(path)) else { return false };
    (own.dev(), own.ino()) == (other.dev(), other.ino()) || own.len() == other.len()
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
