//! `trace-agent demo`: two handlers fail, and everything that follows is shown.

use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};
use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use trace_agent_core::cli::people::{ForPeople, Plain};
use trace_agent_core::config::SinkChoice;
use trace_record::Record;

use crate::native;
use crate::peers::AWSLAMBDARIC;
use crate::stage::{self, Stage};

const TITLE: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
const LABEL: Style = Style::new().bold();

/// How long a handler of the demo may run: far longer than it needs on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Watch two handlers fail on this machine, and see what trace-agent makes of it.
///
/// Builds what it needs from the sources that this program was built from, and needs no AWS account and no Docker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Put records into this folder [default: demo/records in Cargo's target folder]
    #[arg(long, value_name = "DIR")]
    records: Option<PathBuf>,
    /// Use this extension program instead of building it
    #[arg(long, value_name = "PROGRAM")]
    extension: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
///
/// If something cannot be built, or an example does not end as it should. Missing Python packages are no error: that
/// example is left out, with a line that says what to install.
pub(crate) fn execute(args: &Args) -> anyhow::Result<()> {
    let (target, _) = native::target()?;
    let folder = target.join("demo");
    let records = std::path::absolute(args.records.clone().unwrap_or_else(|| folder.join("records")))?;
    let progress = Progress::new();
    let extension = match &args.extension {
        Some(program) => std::path::absolute(program)?,
        None => progress
            .during("building the extension", || native::build("trace-agent", "trace-agent-extension"))?,
    };
    let demo = Demo { folder, records, extension, progress };

    match demo.progress.during("installing awslambdaric from pip", || AWSLAMBDARIC.install(&target)) {
        Ok(programs) => demo.show("A Python handler raises", &demo.python(&programs)?)?,
        Err(error) => anstream::eprintln!("trace-agent: the Python example is left out: {error:#}"),
    }
    let handler = demo.progress.during("building the Rust handler", || {
        let program = native::build("failing-handler", "failing-handler")?;
        native::strip(&program, &demo.folder.join("rust"), "bootstrap")
    })?;
    demo.show("A Rust handler panics, stripped, its debug file beside it", &demo.rust(&handler))?;
    anstream::println!("Read all of it again: jq . {}/*/*.ndjson", demo.records.display());
    Ok(())
}

struct Demo {
    folder: PathBuf,
    records: PathBuf,
    extension: PathBuf,
    progress: Progress,
}

impl Demo {
    fn stage(&self, name: &str, command: Vec<OsString>, task_root: PathBuf) -> Stage {
        let sinks = vec![SinkChoice::File(self.records.clone())];
        Stage { timeout: TIMEOUT, ..Stage::new(name, command, task_root, self.extension.clone(), sinks) }
    }

    /// The example of AWS's documentation, under the real runtime client.
    fn python(&self, programs: &Path) -> anyhow::Result<Stage> {
        const HANDLER: &str = "lambda_function.always_failed_handler";
        let task_root = self.folder.join("python");
        fs::create_dir_all(&task_root)?;
        fs::write(
            task_root.join("lambda_function.py"),
            include_str!("../tests/handlers/python/lambda_function.py"),
        )?;
        let python = programs.join("python3").into_os_string();
        let command = vec![python, "-m".into(), "awslambdaric".into(), HANDLER.into()];
        Ok(Stage { handler: HANDLER.to_owned(), ..self.stage("demo-python", command, task_root) })
    }

    /// A handler on the real `lambda_runtime` crate. Its sources are this workspace's.
    fn rust(&self, handler: &Path) -> Stage {
        let stage = self.stage("demo-rust", vec![handler.as_os_str().to_owned()], self.folder.join("rust"));
        let sources = native::workspace().as_os_str().to_owned();
        Stage { extension_environment: vec![("TRACE_AGENT_SOURCE_ROOT".into(), sources)], ..stage }
    }

    /// Plays one example and shows what came of it.
    fn show(&self, title: &str, stage: &Stage) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let played = self.progress.during(&format!("invoking {}", stage.function_name), || {
            runtime.block_on(async {
                let played = stage.play("{}", |_| {}).await?;
                stage.keep_log(&played).await?;
                anyhow::Ok(played)
            })
        })?;
        let request_id = Some(&played.outcome.request_id);
        let found = stage::records(&self.records)?;
        let Some((file, record)) =
            found.into_iter().find(|(_, record)| record.request_id.as_ref() == request_id)
        else {
            let log: Vec<&str> = played.log.iter().map(|line| line.text.trim_end()).collect();
            bail!("{} failed without a record; its log:\n{}", stage.function_name, log.join("\n"));
        };
        anstream::println!("{TITLE}{title}{TITLE:#}\n");
        anstream::println!(
            "{LABEL}the client got{LABEL:#}\n  {}\n",
            Plain(&String::from_utf8_lossy(&played.outcome.payload))
        );
        anstream::println!("{LABEL}the record{LABEL:#}");
        anstream::println!("{}", indented(&ForPeople(&record).to_string()));
        anstream::println!("{LABEL}the handler's own entries of its stackTrace{LABEL:#}");
        let own =
            record.stack_trace.iter().zip(&record.frames).filter(|(_, frame)| frame.in_app == Some(true));
        for (entry, _) in own {
            anstream::println!("  {}", Plain(&serde_json::to_string(entry)?));
        }
        anstream::println!("\n{LABEL}metrics, in the same line{LABEL:#}\n  {}\n", metrics(&record));
        anstream::println!("{LABEL}shipped to{LABEL:#}\n  {}\n", file.display());
        Ok(())
    }
}

fn metrics(record: &Record) -> String {
    let values: Vec<String> = record.metrics.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let dimensions = record.aws.as_ref().map(|aws| aws["CloudWatchMetrics"][0]["Dimensions"].to_string());
    format!("{} by {}", values.join(" "), dimensions.unwrap_or_default())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// Says what is going on: a spinner on a terminal, lines elsewhere.
struct Progress {
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    fn during<T>(&self, what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        if !self.terminal {
            anstream::eprintln!("trace-agent: {what}");
            return work();
        }
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let spinner = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        let done = work();
        spinner.finish_and_clear();
        done
    }
}
