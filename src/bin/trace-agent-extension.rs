//! The Lambda extension: see [`trace_extension`].

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    trace_extension::main(trace_agent::connect_in_lambda)
}
