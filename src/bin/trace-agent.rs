//! The command line: see [`trace_agent::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    trace_agent::cli::main()
}
