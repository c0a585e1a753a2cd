//! The smallest function, in a sandbox: a process that answers every event with `{}`, in raw HTTP over one connection. The bench's
//! own program is that process, when it is started with `--runtime`.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use trace_sandbox::{Config, Invocation, LogEvent, Sandbox, Status};

use crate::http::{Connection, header};

/// No bench measures a timeout.
const AMPLE: Duration = Duration::from_secs(60);

/// The function.
pub(crate) fn function() -> Config {
    let program = env::current_exe().unwrap();
    let config = Config::new("bench", vec![program.into(), "--runtime".into()]);
    Config { timeout: AMPLE, init_timeout: AMPLE, ..config }
}

/// A sandbox that is up. Dropping it takes it down as Lambda does.
pub(crate) struct Running<'r> {
    sandbox: Option<Sandbox>,
    tokio: &'r Runtime,
}

impl<'r> Running<'r> {
    /// Starts a sandbox, until the function and the extensions have asked for their first event.
    pub(crate) fn start(tokio: &'r Runtime, config: Config) -> Self {
        let direct = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&direct);
        // The sandbox goes on without a proxy that does not answer; the bench must not.
        let log = move |line: LogEvent| {
            seen.fetch_or(line.text.starts_with("no proxy accepts"), Ordering::Relaxed);
        };
        let sandbox = tokio.block_on(Sandbox::start(config, Arc::new(log))).unwrap();
        assert!(!direct.load(Ordering::Relaxed), "the proxy is there");
        Self { sandbox: Some(sandbox), tokio }
    }

    /// Invokes once, until the sandbox is free for the next.
    pub(crate) fn invoke(&self) {
        let sandbox = self.sandbox.as_ref().expect("only dropping takes it");
        self.tokio.block_on(async {
            let outcome = sandbox.invoke(Invocation::new("{}")).await.unwrap();
            assert_eq!(outcome.status, Status::Success);
            sandbox.settled().await.unwrap();
        });
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.tokio.block_on(sandbox.shutdown());
        }
    }
}

/// What a sandbox runs on, as in `trace-agent local`.
pub(crate) fn tokio() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// If this process was started as the function's runtime, is that, until the sandbox ends it.
pub(crate) fn run_if_started_as_one() {
    if env::args().nth(1).as_deref() != Some("--runtime") {
        return;
    }
    let address = env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut connection = Connection::open(&address);
    loop {
        let head = connection.call("GET", "/2018-06-01/runtime/invocation/next", "");
        let request_id = header(&head, "lambda-runtime-aws-request-id").unwrap();
        connection.call("POST", &format!("/2018-06-01/runtime/invocation/{request_id}/response"), "{}");
    }
}
