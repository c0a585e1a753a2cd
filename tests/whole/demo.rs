//! `trace-agent demo`, as the README shows it.

use libtest_mimic::Trial;
use trace_agent::peers::AWSLAMBDARIC;

use crate::harness::{Outcome, equal, holds, peer, records, run, rust_handler, said, test, trace_agent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("the demo shows both roads", the_demo_shows_both_roads),
        test("the demo goes on without Python", the_demo_goes_on_without_python),
    ]
}

/// What the demo would build for minutes is built already; CI runs it as the README says, too.
const ARGUMENTS: [&str; 5] =
    ["demo", "--records", "records", "--extension", env!("CARGO_BIN_EXE_trace-agent-extension")];

fn the_demo_shows_both_roads() -> Outcome {
    peer(AWSLAMBDARIC)?;
    rust_handler()?;
    let folder = tempfile::tempdir()?;
    let output = run(trace_agent(folder.path()).args(ARGUMENTS))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in [
        "I failed!",
        "always_failed_handler",
        "failing_handler::look_up",
        "Failures=1",
        "the client got",
        "shipped to",
    ] {
        holds(shown.contains(part), format!("{part:?} is not in\n{shown}"))?;
    }
    holds(!shown.contains('\u{1b}'), "no colours where there is no terminal")?;
    equal(records(&folder.path().join("records"))?.len(), 2, "records")
}

/// A machine whose python3 cannot make virtual environments.
fn the_demo_goes_on_without_python() -> Outcome {
    rust_handler()?;
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let broken = folder.path().join("bin/python3");
    std::fs::create_dir(folder.path().join("bin"))?;
    std::fs::write(&broken, "#!/bin/sh\necho 3 8\n")?;
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755))?;
    let path =
        format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let output = run(trace_agent(folder.path()).args(ARGUMENTS).env("PATH", path))?;
    equal(output.status.code(), Some(0), &said(&output))?;
    holds(
        said(&output)
            .contains("the Python example is left out: python3 is version 3.8; install Python 3.10 or newer"),
        said(&output),
    )?;
    holds(
        String::from_utf8_lossy(&output.stdout).contains("failing_handler::look_up"),
        "the Rust example is shown",
    )
}
