//! The sandbox as its owner holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock;
use crate::config::{Config, runtime_program};
use crate::environment;
use crate::error::Error;
use crate::fault::Fault;
use crate::http::is_header_value;
use crate::invocation::{Invocation, InvokeOutcome, Settled};
use crate::lifecycle::{self, Job, Shutdown};
use crate::logs::{LogSink, Logs};
use crate::platform::Platform;
use crate::server;

/// Jobs that wait for the one invocation that runs. An asynchronous invocation beyond that is throttled (429); a
/// synchronous one waits.
const JOBS_MAX: usize = 1000;

/// A function in an environment like Lambda's.
///
/// Dropping it kills every process that it started, groups included; [`Sandbox::shutdown`] ends them as Lambda
/// does. A `^C` at the terminal reaches none of them: whoever handles it has to do one of the two.
pub struct Sandbox {
    platform: Arc<Platform>,
    jobs: mpsc::Sender<Job>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Serves the APIs, starts the extensions and the runtime, and waits for their initialization. `logs` gets
    /// the function's log from here on.
    ///
    /// An initialization that fails is no error: the first invocation is answered with it.
    ///
    /// # Errors
    ///
    /// If the address is taken or a program cannot be started.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time.
    pub async fn start(mut config: Config, logs: LogSink) -> Result<Self, Error> {
        if let Ok(absolute) = std::path::absolute(&config.task_root) {
            // `LAMBDA_TASK_ROOT` is read by a process that may change its directory.
            config.task_root = absolute;
        }
        let path = environment::search_path(&config, std::env::vars_os());
        runtime_program(&config, path.as_deref())?;

        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let log_stream = clock::log_stream(SystemTime::now(), &config.function_version);
        let logs = Logs::new(config.log_format, logs);
        let platform = Arc::new(Platform::new(config, address, log_stream, logs));
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let server = tokio::spawn(server::run(listener, platform.clone(), jobs.clone()));
        // From here on a return, and a future that is dropped, takes down what was started.
        let mut sandbox = Self { platform, jobs, tasks: vec![server] };

        let environment = match lifecycle::first_init(&sandbox.platform).await {
            Ok(environment) => environment,
            Err(fault) => return Err(launch_error(&sandbox.platform.config, &fault)),
        };
        sandbox.tasks.push(tokio::spawn(lifecycle::run(sandbox.platform.clone(), environment, queue)));
        Ok(sandbox)
    }

    /// Runs one invocation, after those that were asked for before, and gives what the client gets as soon as
    /// the runtime has answered. Extensions may hold the environment longer: see [`Sandbox::settled`].
    ///
    /// # Errors
    ///
    /// If a member of the invocation cannot be sent, or the sandbox is shut down.
    pub async fn invoke(&self, invocation: Invocation) -> Result<InvokeOutcome, Error> {
        let members = [
            ("request_id", &invocation.request_id),
            ("trace_id", &invocation.trace_id),
            ("client_context", &invocation.client_context),
            ("cognito_identity", &invocation.cognito_identity),
        ];
        for (member, value) in members {
            if value.as_deref().is_some_and(|value| !is_header_value(value)) {
                return Err(Error::InvocationMember { member });
            }
        }
        self.ask(|sender| Job::Invoke { invocation, answer: Some(sender) }).await
    }

    /// Waits until everything that was asked for is done, the extensions' part included, and says what became of
    /// the last invocation; `None` if there was none.
    ///
    /// # Errors
    ///
    /// If the sandbox is shut down.
    pub async fn settled(&self) -> Result<Option<Settled>, Error> {
        self.ask(Job::Settled).await
    }

    /// Ends the environment as Lambda does when no more invocations come, after those that were asked for: SIGTERM
    /// for the runtime, SHUTDOWN (`spindown`) for the extensions, SIGKILL for who is late.
    pub async fn shutdown(self) -> Shutdown {
        let nothing = Shutdown { runtime: None, extensions: Vec::new() };
        self.ask(Job::Shutdown).await.unwrap_or(nothing)
    }

    /// Where the APIs are served: `http://` and this address is an endpoint for the Invoke API.
    pub fn address(&self) -> SocketAddr {
        self.platform.address
    }

    /// The name of the function's log stream, as the runtime is told.
    pub fn log_stream(&self) -> &str {
        &self.platform.log_stream
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.jobs.send(job(sender)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.platform.close();
    }
}

/// A program that could not be started, in the words of the configuration.
fn launch_error(config: &Config, fault: &Fault) -> Error {
    let copy = |error: &std::io::Error| std::io::Error::new(error.kind(), error.to_string());
    match fault {
        Fault::ExtensionLaunch { position, error } => Error::ExtensionLaunch {
            path: config
                .extensions
                .get(*position)
                .map(|extension| extension.path.clone())
                .unwrap_or_default(),
            source: copy(error),
        },
        Fault::RuntimeLaunch(error) => Error::CommandLaunch {
            command: config
                .command
                .first()
                .map(|program| program.to_string_lossy().into_owned())
                .unwrap_or_default(),
            source: copy(error),
        },
        _ => Error::Closed,
    }
}
