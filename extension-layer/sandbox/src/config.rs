//! What the owner of a sandbox decides, and the limits that Lambda decides.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;

/// Time for the first initialization of an on-demand environment [Lambda: 10 s]. A repeated one has the
/// function's own timeout.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Extensions of one environment, external and internal together [Lambda: 10].
pub const EXTENSIONS_MAX: usize = 10;

/// One function and the environment that it runs in.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the function; also the last part of its log group.
    pub function_name: String,
    /// `$LATEST` or a number.
    pub function_version: String,
    /// What `_HANDLER` and the answer to an extension's registration say.
    pub handler: String,
    /// The runtime's program and its arguments. A program without `/` is looked up in `PATH`; a relative path
    /// is one from `task_root`.
    pub command: Vec<OsString>,
    /// Folder of the function's code: the runtime's working directory and its `LAMBDA_TASK_ROOT`.
    pub task_root: PathBuf,
    /// Configured memory, in MB. It is told, not enforced.
    pub memory_mb: u32,
    /// The function's timeout.
    pub timeout: Duration,
    /// Bound of the first initialization.
    pub init_timeout: Duration,
    /// Region that the environment variables and the function's ARN name.
    pub region: String,
    /// Account that the function's ARN names.
    pub account_id: String,
    /// The function's own variables; runtime and extensions get them. Those that Lambda reserves win.
    pub environment: Vec<(OsString, OsString)>,
    /// External extensions, started in this order.
    pub extensions: Vec<Extension>,
    /// Where the runtime is sent for its events.
    pub runtime_endpoint: RuntimeEndpoint,
    /// Where the APIs are served.
    pub listen: SocketAddr,
    /// Format of the platform's own log lines, and what `AWS_LAMBDA_LOG_FORMAT` says.
    pub log_format: LogFormat,
}

impl Config {
    /// A function with Lambda's own defaults (128 MB, 3 s), on a free port of the loopback interface, without
    /// extensions, with the current directory as its task root.
    pub fn new(function_name: impl Into<String>, command: Vec<OsString>) -> Self {
        Self {
            function_name: function_name.into(),
            function_version: "$LATEST".to_owned(),
            handler: String::new(),
            command,
            task_root: PathBuf::from("."),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            init_timeout: INIT_TIMEOUT,
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            environment: Vec::new(),
            extensions: Vec::new(),
            runtime_endpoint: RuntimeEndpoint::Direct,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            log_format: LogFormat::Text,
        }
    }

    /// The function's unqualified ARN.
    pub fn function_arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{}", self.region, self.account_id, self.function_name)
    }

    /// The log group that Lambda gives a function by default.
    pub fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.function_name)
    }
}

/// An external extension: in the cloud, one executable in `/opt/extensions`.
#[derive(Debug, Clone)]
pub struct Extension {
    /// Its executable. The file name is the name that it has to register with.
    pub path: PathBuf,
    /// Arguments; the cloud passes none.
    pub arguments: Vec<OsString>,
    /// Variables for this extension alone, on top of the function's.
    pub environment: Vec<(OsString, OsString)>,
}

impl Extension {
    /// An extension started as the cloud starts it: without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// The name that it registers with: its full file name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// Which `AWS_LAMBDA_RUNTIME_API` the runtime is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeEndpoint {
    /// The sandbox itself.
    Direct,
    /// An extension's proxy, which forwards to the sandbox. When nobody accepts there once all extensions have
    /// registered, the runtime is sent to the sandbox directly and a log line says so: a broken observer must
    /// not stop the function.
    Through(SocketAddr),
}

/// `AWS_LAMBDA_LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `START RequestId: …` and the like.
    Text,
    /// One JSON object for each platform event.
    Json,
}

/// The runtime's program as a path that can be executed, so that a typing error is told before anything runs.
pub(crate) fn runtime_program(
    config: &Config,
    path_variable: Option<&std::ffi::OsStr>,
) -> Result<PathBuf, Error> {
    if !config.task_root.is_dir() {
        return Err(Error::TaskRoot { path: config.task_root.clone() });
    }
    let Some(program) = config.command.first() else { return Err(Error::CommandMissing) };
    let command = program.to_string_lossy().into_owned();
    let candidates: Vec<PathBuf> = if command.contains('/') {
        vec![config.task_root.join(program)]
    } else {
        let folders = path_variable.map(std::env::split_paths).into_iter().flatten();
        folders.map(|folder| folder.join(program)).collect()
    };
    if let Some(path) = candidates.iter().find(|path| is_executable(path)) {
        // The runtime starts in the task root; a relative path would be looked up from there a second time.
        return std::path::absolute(path).map_err(|_| Error::CommandNotFound { command });
    }
    match candidates.iter().any(|path| path.is_file()) {
        true => Err(Error::CommandNotExecutable { command }),
        false => Err(Error::CommandNotFound { command }),
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(program: &str) -> Config {
        Config::new("f", vec![program.into()])
    }

    #[test]
    fn a_name_is_looked_up_in_the_path_and_a_path_from_the_task_root() {
        let found = runtime_program(&config("sh"), Some("/nowhere:/bin".as_ref())).unwrap();
        assert_eq!(found, Path::new("/bin/sh"));

        let folder = tempfile::tempdir().unwrap();
        std::fs::copy("/bin/sh", folder.path().join("bootstrap")).unwrap();
        let config = Config { task_root: folder.path().to_owned(), ..config("./bootstrap") };
        assert!(runtime_program(&config, None).unwrap().ends_with("bootstrap"));
    }

    #[test]
    fn a_missing_and_a_forbidden_command_are_told_apart_in_one_line() {
        let missing = runtime_program(&config("no-such-command"), Some("/bin".as_ref())).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "command `no-such-command` not found: give a path, or a name that PATH leads to"
        );

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bootstrap"), "#!/bin/sh\n").unwrap();
        let config = Config { task_root: folder.path().to_owned(), ..config("./bootstrap") };
        let forbidden = runtime_program(&config, None).unwrap_err();
        assert_eq!(forbidden.to_string(), "command `./bootstrap` is not executable: set its execute bit");
    }
}
