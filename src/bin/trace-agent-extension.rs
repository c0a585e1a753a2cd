//! The Lambda extension: see [`trace_extension`].

use std::process::ExitCode;

fn main() -> ExitCode {
    trace_extension::main(trace_agent::connect_in_lambda)
}
