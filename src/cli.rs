//! The command line of `trace-agent`.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use trace_agent_core::cli::Usage;
use tracing_subscriber::EnvFilter;

use crate::{demo, local};

/// One record, with file, line, function and source, for every failure of every AWS Lambda function.
#[derive(Debug, Parser)]
#[command(name = "trace-agent", version, propagate_version = true, args_override_self = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 something stood in the way (one line on standard error says what), 2 wrong usage.
Every flag with a TRACE_AGENT_ variable can be set by it. TRACE_AGENT_LOG=debug says more on standard error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch two handlers fail on this machine, and see what trace-agent makes of it
    Demo(demo::Args),
    /// Run your function on this machine as Lambda would, and see what a failure becomes
    Local(local::Args),
    #[command(flatten)]
    Agent(trace_agent_core::cli::Command),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs `trace-agent` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = trace_agent_core::cli::symbolize::as_other_tool(std::env::args_os()) {
        return code;
    }
    let cli = Cli::parse();
    // The SDK says itself what we say in one line, and quotes a token that it cannot send.
    let quiet = "info,aws=off,hyper=off,rustls=off";
    let filter = EnvFilter::try_from_env("TRACE_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new(quiet));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match execute(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("trace-agent: {error:#}");
            // clap's own status for a command line that it refuses.
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::execute(&args),
        Command::Local(args) => local::execute(&args),
        Command::Agent(command) => command.execute(crate::connect_on_host, crate::connect_reader),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "trace-agent", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// True if the reader of our output has seen enough, as `head` does: a normal end.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}
