//! Lambda's side of its own APIs on loopback: Runtime, Extensions, Telemetry and Invoke.
//!
//! A [`Sandbox`] starts a function's own runtime and any extensions, and is to them what Lambda is: it hands out
//! invocations, takes answers and errors, notices timeouts, exits and crashes, tells the extensions, delivers
//! telemetry, resets and shuts down. What the invoking client would get comes back byte for byte.
//!
//! It is made for running a function on its owner's machine and for tests, and it is honest about what it is
//! not: there is no freezing between invocations, no enforced memory limit, no read-only file system, one
//! environment with one invocation at a time, and of the Telemetry API the HTTP destination only. Provisioned
//! concurrency, SnapStart and Managed Instances are not played.
//!
//! ```no_run
//! # async fn example() -> Result<(), trace_sandbox::Error> {
//! use trace_sandbox::{Config, Invocation, Sandbox};
//!
//! let command = ["python3", "-m", "awslambdaric", "app.handler"];
//! let config = Config { handler: "app.handler".into(), ..Config::new("app", command.map(Into::into).into()) };
//! let sandbox = Sandbox::start(config, std::sync::Arc::new(|line| eprintln!("{}", line.text))).await?;
//! let outcome = sandbox.invoke(Invocation::new("{}")).await?;
//! println!("{}", String::from_utf8_lossy(&outcome.payload));
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod error;
mod config;
mod clock;
mod environment;
mod fault;
mod lines;
mod process;
mod telemetry;
mod logs;
mod invocation;
mod state;
mod platform;
mod http;
mod runtime_api;
mod extensions_api;
mod lifecycle;
mod invoke_api;
mod server;
mod sandbox;

pub use config::{Config, EXTENSIONS_MAX, Extension, INIT_TIMEOUT, LogFormat, RuntimeEndpoint};
pub use error::Error;
pub use fault::Status;
pub use invocation::{Invocation, InvokeOutcome, Settled};
pub use lifecycle::{ProcessEnd, Shutdown};
pub use logs::{LogEvent, LogSink, LogSource};
pub use sandbox::Sandbox;
