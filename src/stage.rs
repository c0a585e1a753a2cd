//! One function on this machine: Lambda's side is played by `trace-sandbox`, everything else is real. The runtime, the
//! extension program and what they say to each other are what would run in the cloud.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use trace_agent_core::config::SinkChoice;
use trace_agent_core::sink::file::FileSink;
use trace_agent_core::sink::{Destination, Sink};
use trace_record::Record;
use trace_record::batch::{Event, batches};
use trace_sandbox::{
    Config, Extension, Invocation, InvokeOutcome, LogEvent, RuntimeEndpoint, Sandbox, Shutdown,
};

/// The extension program, which Cargo puts beside this one.
const NAME_OF_EXTENSION: &str = "trace-agent-extension";

/// A function, and how it is watched.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The function's name.
    pub function_name: String,
    /// The runtime and its arguments.
    pub command: Vec<OsString>,
    /// What `_HANDLER` says.
    pub handler: String,
    /// The folder of the function's code.
    pub task_root: PathBuf,
    /// The function's timeout.
    pub timeout: Duration,
    /// The function's memory, which is told and not enforced.
    pub memory_mb: u32,
    /// Further variables for the function.
    pub environment: Vec<(OsString, OsString)>,
    /// The extension program.
    pub extension: PathBuf,
    /// Where records go, to each of them.
    pub sinks: Vec<SinkChoice>,
    /// Further variables for the extension.
    pub extension_environment: Vec<(OsString, OsString)>,
    /// Whether the runtime is sent through the extension's proxy, as the layer's wrapper does.
    pub proxy: bool,
    /// Where the APIs are served.
    pub listen: SocketAddr,
}

/// What became of one invocation.
#[derive(Debug)]
pub struct Played {
    /// What the client got.
    pub outcome: InvokeOutcome,
    /// How the environment was taken down.
    pub shutdown: Shutdown,
    /// Every line that was logged, in order.
    pub log: Vec<LogEvent>,
    /// The log stream of the function.
    pub log_stream: String,
}

impl Stage {
    /// A function with Lambda's defaults, watched by `extension`.
    #[must_use]
    pub fn new(
        function_name: &str,
        command: Vec<OsString>,
        task_root: PathBuf,
        extension: PathBuf,
        sinks: Vec<SinkChoice>,
    ) -> Self {
        Self {
            function_name: function_name.to_owned(),
            command,
            handler: String::new(),
            task_root,
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            environment: Vec::new(),
            extension,
            sinks,
            extension_environment: Vec::new(),
            proxy: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// The folder that records go to, if they go to one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.sinks.iter().find_map(|sink| match sink {
            SinkChoice::File(directory) => Some(directory.as_path()),
            _ => None,
        })
    }

    /// The function's log group.
    #[must_use]
    pub fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.function_name)
    }

    /// Starts the environment, invokes once, and takes the environment down. `show` is told every line as it is logged.
    ///
    /// # Errors
    ///
    /// If the environment cannot be started: no such command, no such extension, a port that is taken. A function that
    /// fails is no error.
    pub async fn play(
        &self,
        event: &str,
        show: impl Fn(&LogEvent) + Send + Sync + 'static,
    ) -> anyhow::Result<Played> {
        if !self.extension.is_file() {
            bail!(
                "the extension program {} is missing; build it (cargo build --bin {NAME_OF_EXTENSION}) or name it with --extension",
                self.extension.display()
            );
        }
        // The capture socket and the extension's spool live as long as the environment.
        let folder = tempfile::Builder::new()
            .prefix("trace-agent-")
            .tempdir()
            .context("cannot create a folder in the temporary directory")?;
        let log: Arc<Mutex<Vec<LogEvent>>> = Arc::default();
        let kept = Arc::clone(&log);
        let keep = Arc::new(move |event: LogEvent| {
            show(&event);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        });
        let sandbox = Sandbox::start(self.config(folder.path())?, keep).await?;
        let log_stream = sandbox.log_stream().to_owned();
        let invoked = tokio::select! {
            outcome = sandbox.invoke(Invocation::new(event.to_owned())) => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        };
        if matches!(invoked, Some(Ok(_))) {
            sandbox.settled().await?;
        }
        let shutdown = sandbox.shutdown().await;
        let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        match invoked {
            Some(outcome) => Ok(Played { outcome: outcome?, shutdown, log, log_stream }),
            None => bail!("interrupted; the environment was taken down"),
        }
    }

    fn config(&self, folder: &Path) -> anyhow::Result<Config> {
        let socket = folder.join("capture.sock");
        let mut extension = Extension::new(&self.extension);
        let mut set = |name: &str, value: OsString| extension.environment.push((name.into(), value));
        set("TRACE_AGENT_SINK", sinks_variable(&self.sinks));
        set("TRACE_AGENT_LOG_GROUP", self.log_group().into());
        set("TRACE_AGENT_SOURCE_ROOT", self.task_root.clone().into());
        set("TRACE_AGENT_SOCKET", socket.clone().into());
        let runtime_endpoint = if self.proxy {
            let address = free_port()?;
            set("TRACE_AGENT_PROXY_LISTEN", address.to_string().into());
            RuntimeEndpoint::Through(address)
        } else {
            RuntimeEndpoint::Direct
        };
        extension.environment.extend(self.extension_environment.iter().cloned());
        let mut environment = self.environment.clone();
        environment.push(("TRACE_AGENT_SOCKET".into(), socket.into()));
        Ok(Config {
            handler: self.handler.clone(),
            task_root: self.task_root.clone(),
            timeout: self.timeout,
            memory_mb: self.memory_mb,
            environment,
            extensions: vec![extension],
            runtime_endpoint,
            listen: self.listen,
            region: region(),
            ..Config::new(&self.function_name, self.command.clone())
        })
    }

    /// Keeps the function's own log beside the records, if those go to a directory: one JSON object a line.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub async fn keep_log(&self, played: &Played) -> anyhow::Result<Option<PathBuf>> {
        let Some(directory) = self.directory() else { return Ok(None) };
        let events = played.log.iter().filter(|event| !event.text.is_empty()).map(|event| {
            let since = event.time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let timestamp_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            let line =
                json!({"timestamp": trace_record::complete::rfc3339(timestamp_ms), "message": event.text});
            Event { timestamp_ms, message: line.to_string() }
        });
        let sink = FileSink::open(directory)?;
        let to = Destination { group: self.log_group(), stream: played.log_stream.clone() };
        for batch in batches(events.collect(), trace_agent_core::clock::now_ms()).0 {
            sink.put(&to, &batch).await?;
        }
        Ok(Some(sink.path(&to)))
    }
}

/// The extension program that was built with this one.
///
/// # Errors
///
/// If this program does not know where it is.
pub fn own_extension() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the folder of this program")?;
    Ok(own.with_file_name(NAME_OF_EXTENSION))
}

/// The records below a sink's directory, each with the file that holds it, oldest file first.
///
/// # Errors
///
/// If the directory or a file in it cannot be read.
pub fn records(directory: &Path) -> anyhow::Result<Vec<(PathBuf, Record)>> {
    let mut found = Vec::new();
    for group in
        std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let group = group?.path();
        if !group.is_dir() {
            continue;
        }
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&group)?.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
        files.sort();
        for file in files {
            for line in std::fs::read_to_string(&file)?.lines() {
                // A line that was torn, by a death or a full disk, is nobody's record.
                let Ok(record) = serde_json::from_str::<Record>(line) else { continue };
                // The function's own log lies in the same directory.
                if record.schema.is_some() {
                    found.push((file.clone(), record));
                }
            }
        }
    }
    Ok(found)
}

/// The caller's region: records go to where the caller's credentials are good.
fn region() -> String {
    let set = |name| std::env::var(name).ok().filter(|region| !region.is_empty());
    set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned())
}

fn sinks_variable(sinks: &[SinkChoice]) -> OsString {
    let mut text = OsString::new();
    for sink in sinks {
        if !text.is_empty() {
            text.push(",");
        }
        match sink {
            SinkChoice::Auto => text.push("auto"),
            SinkChoice::CloudWatch => text.push("cloudwatch"),
            SinkChoice::Stdout => text.push("stdout"),
            SinkChoice::File(directory) => {
                text.push("file:");
                text.push(directory);
            }
        }
    }
    text
}

/// An address that nobody listens on at the moment. Somebody may take it before the extension does; then the runtime is sent
/// to the sandbox directly, as the wrapper would do.
fn free_port() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("cannot find a free port on the loopback interface")?;
    Ok(listener.local_addr()?)
}
