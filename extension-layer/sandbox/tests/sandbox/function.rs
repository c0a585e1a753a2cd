//! A function in a folder of its own: `tests/data/runtime.py`, with or without `tests/data/extension.py`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use trace_sandbox::{Config, Extension, Invocation, InvokeOutcome, LogEvent, LogSource, Sandbox};

/// Long enough for any test that does not test a timeout.
const AMPLE: Duration = Duration::from_secs(60);

pub(crate) struct Function {
    pub(crate) config: Config,
    folder: TempDir,
    log: Arc<Mutex<Vec<LogEvent>>>,
}

impl Function {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("seed", vec!["python3".into(), data("runtime.py").into()]);
        config.handler = "app.handler".to_owned();
        config.task_root = folder.path().to_owned();
        config.timeout = AMPLE;
        config.init_timeout = AMPLE;
        Self { config, folder, log: Arc::default() }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.config.environment.push((name.into(), value.into()));
        self
    }

    /// Adds the extension `extension.py` with these variables of its own.
    pub(crate) fn extension(mut self, variables: &[(&str, &str)]) -> Self {
        let mut extension = Extension::new(data("extension.py"));
        extension.environment = vec![("EXTENSION_HEARS".into(), self.heard_file().into())];
        extension.environment.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
        self.config.extensions.push(extension);
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    pub(crate) async fn start(&self) -> Sandbox {
        let log = self.log.clone();
        let sink = Arc::new(move |event| log.lock().unwrap().push(event));
        Sandbox::start(self.config.clone(), sink).await.unwrap()
    }

    /// The log's lines from one source.
    pub(crate) fn lines(&self, source: &LogSource) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|event| event.source == *source).map(|event| event.text.clone()).collect()
    }

    /// The log's lines, whoever wrote them.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|event| event.text.clone()).collect()
    }

    /// What the extension has heard, in order.
    pub(crate) fn heard(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.heard_file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Of it, the values of one member.
    pub(crate) fn heard_of(&self, member: &str) -> Vec<Value> {
        self.heard().iter().filter_map(|heard| heard.get(member)).cloned().collect()
    }

    fn heard_file(&self) -> PathBuf {
        self.folder.path().join("heard")
    }
}

/// Invokes with request id `R`.
pub(crate) async fn invoke(sandbox: &Sandbox, event: &str) -> InvokeOutcome {
    let invocation = Invocation { request_id: Some("R".to_owned()), ..Invocation::new(event.to_owned()) };
    sandbox.invoke(invocation).await.unwrap()
}

pub(crate) fn text(outcome: &InvokeOutcome) -> &str {
    std::str::from_utf8(&outcome.payload).unwrap()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
