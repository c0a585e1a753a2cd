//! `trace-agent local`: the user's own function, on this machine, as Lambda would run it.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use trace_agent_core::cli::people::{ForPeople, Plain};
use trace_agent_core::clock::now_ms;
use trace_agent_core::config::{Config, Detail, Settings, SinkChoice};
use trace_record::complete::parse_rfc3339;
use trace_sandbox::LogEvent;

use crate::stage::{self, Played, Stage};

/// Where records go unless a sink is named.
const SINK_DEFAULT: &str = ".trace-agent/logs";

/// Run your function on this machine as Lambda would, and see what a failure becomes.
///
/// Runs in the function's folder. Lambda's Runtime, Extensions and Telemetry APIs are served on loopback; the real extension
/// and your real runtime talk to them. Standard output is exactly what the invoking client would get, and the exit status
/// is 0 once there is such an answer, be it an error of the function or not.
///
/// The function gets the variables that Lambda gives it and no others: `--handler-cmd "env NAME=value ..."` adds some.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runtime and its arguments, such as "python3 -m awslambdaric lambda_function.handler"
    #[arg(long, value_name = "CMD", value_parser = words)]
    handler_cmd: std::sync::Arc<[OsString]>,
    /// The event: JSON, or @FILE
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = event)]
    event: String,
    /// How the function is invoked: Event prints nothing of the function's, its failure is in the logs
    #[arg(long, value_enum, default_value = "RequestResponse")]
    invocation_type: InvocationType,
    /// The function's name [default: the folder's]
    #[arg(long, value_name = "NAME")]
    function_name: Option<String>,
    /// The function's timeout in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=900))]
    timeout: u64,
    /// The function's memory in MB; told, not enforced
    #[arg(long, value_name = "MB", default_value = "128", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: u32,
    /// Serve the APIs on this address [default: a free port]
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", hide_default_value = true)]
    listen: SocketAddr,
    /// Watch without the Runtime API proxy, as the layer does without its wrapper
    #[arg(long)]
    no_proxy: bool,
    /// The extension program [default: trace-agent-extension beside this program]
    #[arg(long, value_name = "PROGRAM")]
    extension: Option<PathBuf>,
    /// Do not show the function's log on standard error
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InvocationType {
    /// Wait for the answer and print it
    #[value(name = "RequestResponse")]
    RequestResponse,
    /// Print nothing
    #[value(name = "Event")]
    Event,
}

/// Parts a command line into words as a shell does.
fn words(text: &str) -> Result<std::sync::Arc<[OsString]>, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    if words.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(words.into_iter().map(OsString::from).collect())
    }
}

/// Reads an event, and makes sure that it is JSON: Lambda refuses anything else before the function sees it.
fn event(text: &str) -> Result<String, String> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?
        }
        None => text.to_owned(),
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

/// Runs it.
///
/// # Errors
///
/// If the function cannot be started or the sink cannot be written.
pub(crate) fn execute(args: &Args) -> anyhow::Result<()> {
    let folder = std::env::current_dir().context("cannot tell the current folder")?;
    let config = trace_agent_core::cli::config(&args.settings, SinkChoice::File(folder.join(SINK_DEFAULT)))?;
    for sink in &config.sinks {
        let SinkChoice::File(directory) = sink else { continue };
        // The extension would fall back to standard output; here somebody can still mend it.
        trace_agent_core::sink::file::FileSink::open(directory)?;
    }
    let name =
        args.function_name.clone().or_else(|| Some(folder.file_name()?.to_string_lossy().into_owned()));
    let stage = Stage {
        handler: handler(&args.handler_cmd),
        timeout: Duration::from_secs(args.timeout),
        memory_mb: args.memory,
        extension_environment: extension_environment(&config, &args.settings.detail, &args.handler_cmd)?,
        proxy: !args.no_proxy,
        listen: args.listen,
        ..Stage::new(
            &name.map_or_else(|| "function".to_owned(), |name| as_function_name(&name)),
            args.handler_cmd.to_vec(),
            folder,
            args.extension.clone().map_or_else(stage::own_extension, Ok)?,
            config.sinks.iter().cloned().map(absolute).collect::<anyhow::Result<_>>()?,
        )
    };
    let answer_wanted = args.invocation_type == InvocationType::RequestResponse;
    let shown = answer_wanted && !args.quiet;
    let show = move |line: &LogEvent| {
        if shown {
            // In one piece: standard error has no buffer, and the function waits for it.
            let shown = format!("{}\n", Plain(line.text.trim_end_matches('\n')));
            anstream::eprint!("{shown}");
        }
    };
    let begun_ms = now_ms();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (played, log) = runtime.block_on(async {
        let played = stage.play(&args.event, show).await?;
        let log = stage.keep_log(&played).await?;
        anyhow::Ok((played, log))
    })?;
    if answer_wanted {
        let mut out = std::io::stdout().lock();
        out.write_all(&played.outcome.payload)?;
        out.flush()?;
    }
    say(args, &stage, &played, begun_ms, log)
}

/// Tells on standard error where everything is.
fn say(
    args: &Args,
    stage: &Stage,
    played: &Played,
    begun_ms: i64,
    log: Option<PathBuf>,
) -> anyhow::Result<()> {
    if args.invocation_type == InvocationType::RequestResponse && std::io::stdout().is_terminal() {
        anstream::eprintln!();
    }
    for process in &played.shutdown.extensions {
        if process.killed {
            anstream::eprintln!("trace-agent: the extension did not end in time and was killed");
        }
    }
    let (Some(directory), Some(log)) = (stage.directory(), log) else { return Ok(()) };
    if args.quiet {
        return Ok(());
    }
    let request_id = Some(&played.outcome.request_id);
    for (file, record) in stage::records(directory)? {
        // An init failure belongs to no request; it is this one's if it is as new.
        let at_ms = record.timestamp.as_deref().and_then(parse_rfc3339);
        let is_new = at_ms.is_some_and(|at_ms| at_ms >= begun_ms);
        if record.request_id.as_ref() == request_id || record.request_id.is_none() && is_new {
            anstream::eprintln!("trace-agent: record in {}", file.display());
            if args.invocation_type == InvocationType::RequestResponse && std::io::stderr().is_terminal() {
                anstream::eprintln!("{}", ForPeople(&record));
            }
        }
    }
    anstream::eprintln!("trace-agent: function log in {}", log.display());
    Ok(())
}

/// The handler that the command names: its last word, if that looks like one (`file.function`).
fn handler(command: &[OsString]) -> String {
    let last = command.last().and_then(|word| word.to_str()).unwrap_or_default();
    let looks = command.len() > 1 && last.contains('.') && !last.starts_with('-');
    if looks { last.to_owned() } else { String::new() }
}

/// What the extension is told: our own variables of the caller, which the sandbox does not pass on by itself, and where the
/// sources and debug files of this machine are.
fn extension_environment(
    config: &Config,
    detail: &Detail,
    command: &[OsString],
) -> anyhow::Result<Vec<(OsString, OsString)>> {
    const DECIDED_HERE: [&str; 8] = [
        "TRACE_AGENT_SINK",
        "TRACE_AGENT_LOG_GROUP",
        "TRACE_AGENT_SOURCE_ROOT",
        "TRACE_AGENT_DEBUG_DIR",
        "TRACE_AGENT_OWN_CODE",
        "TRACE_AGENT_REDACT",
        "TRACE_AGENT_SOCKET",
        "TRACE_AGENT_PROXY_LISTEN",
    ];
    let ours = |name: &OsString| {
        name.to_str().is_some_and(|name| name.starts_with("TRACE_AGENT_") && !DECIDED_HERE.contains(&name))
    };
    let mut environment: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| ours(name)).collect();
    let program = command.first().map(Path::new);
    let roots = trace_agent_core::cli::source_roots(&config.source_roots, program);
    environment.push(("TRACE_AGENT_SOURCE_ROOT".into(), folders(&roots)?));
    environment.push(("TRACE_AGENT_DEBUG_DIR".into(), folders(&config.debug_dirs)?));
    for (name, words) in [("TRACE_AGENT_OWN_CODE", &detail.own_code), ("TRACE_AGENT_REDACT", &detail.redact)]
    {
        environment.push((name.into(), words.join(" ").into()));
    }
    Ok(environment)
}

/// A list of folders as a variable, each as a path that means the same everywhere.
fn folders(folders: &[PathBuf]) -> anyhow::Result<OsString> {
    let absolute: Vec<PathBuf> = folders.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    std::env::join_paths(absolute).context("the name of a source root or debug folder holds a ':'")
}

/// The extension runs in a folder of its own, so a relative directory would be another one there.
fn absolute(sink: SinkChoice) -> anyhow::Result<SinkChoice> {
    match sink {
        SinkChoice::File(directory) => Ok(SinkChoice::File(std::path::absolute(directory)?)),
        SinkChoice::Auto => bail!("the sink auto is for Lambda; name file:DIR, stdout or cloudwatch"),
        other => Ok(other),
    }
}

/// A name that Lambda would take: letters, digits, `-` and `_`, at most 64.
fn as_function_name(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.chars().map(fit).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_parted_as_a_shell_does() {
        let command = words("python3 -m awslambdaric 'my file.handler'").unwrap();
        assert_eq!(*command, ["python3", "-m", "awslambdaric", "my file.handler"].map(OsString::from));
        assert!(words("'open").is_err() && words(" ").is_err());
        assert_eq!(handler(&command), "my file.handler");
        assert_eq!(handler(&["./bootstrap".into()]), "");
    }

    #[test]
    fn an_event_must_be_json() {
        assert_eq!(event("{\"a\": 1}").unwrap(), "{\"a\": 1}");
        assert!(event("{").unwrap_err().contains("no JSON"));
        assert!(event("@/no/such/file").unwrap_err().contains("cannot read"));
    }
}
