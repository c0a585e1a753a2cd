//! A bench with variables of its own. A running process cannot change its variables safely, so the bench runs in a
//! second process of the same program.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Marks the second process.
const MARK: &str = "TRACE_AGENT_BENCH";

/// Runs `bench` in a process that has the variables which `prepare` gives; what else it gives lives until then.
pub(crate) fn run<G>(
    prepare: impl FnOnce() -> (Vec<(&'static str, OsString)>, G),
    bench: impl FnOnce(),
) -> ExitCode {
    if env::var_os(MARK).is_some() {
        bench();
        return ExitCode::SUCCESS;
    }
    let (variables, _alive) = prepare();
    let mut command = Command::new(env::current_exe().unwrap());
    let status = command.args(env::args_os().skip(1)).env(MARK, "1").envs(variables).status().unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
