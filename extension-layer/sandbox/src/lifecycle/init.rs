//! Initialization: extensions, then the runtime, until all of them have asked for their first event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::leave::{RuntimeEnd, terminate};
use super::{Environment, met_or_fault};
use crate::clock;
use crate::config::{RuntimeEndpoint, runtime_program};
use crate::environment;
use crate::fault::{Fault, Status};
use crate::platform::Platform;
use crate::process::Launch;
use crate::state::State;
use crate::telemetry::event::{Event, InitMetrics, Phase};

/// Time to wait for an extension's proxy to accept a connection, from the last registration on.
const PROXY_WAIT: Duration = Duration::from_millis(300);
/// Pause between two attempts to connect to it.
const PROXY_RETRY: Duration = Duration::from_millis(2);

const INITIALIZATION_TYPE: &str = "on-demand";

/// The first initialization. Only a program that cannot be started is told as a fault: any other failure is the
/// first invocation's answer.
pub(crate) async fn first_init(platform: &Arc<Platform>) -> Result<Environment, Fault> {
    let mut environment = Environment::default();
    match initialize(platform, &mut environment, Phase::Init, platform.config.init_timeout).await {
        Err(fault @ (Fault::ExtensionLaunch { .. } | Fault::RuntimeLaunch(_))) => return Err(fault),
        Ok(()) | Err(Fault::Timeout(_)) => {}
        Err(fault) => environment.failed_init = Some(fault),
    }
    Ok(environment)
}

/// Starts extensions and runtime and waits for all of them to ask for their first event. An environment that
/// fails at that is taken down again.
pub(super) async fn initialize(
    platform: &Arc<Platform>,
    environment: &mut Environment,
    phase: Phase,
    limit: Duration,
) -> Result<(), Fault> {
    let (config, logs) = (&platform.config, &platform.logs);
    let began = Instant::now();
    platform
        .change(|state| state.begin_init(phase, config.extensions.iter().map(|extension| extension.name())));
    logs.relay.open();
    logs.platform_event(&Event::InitStart {
        initialization_type: INITIALIZATION_TYPE,
        phase,
        function_name: config.function_name.clone(),
        function_version: config.function_version.clone(),
    });

    let started = async {
        start_extensions(platform, environment).await?;
        start_runtime(platform, environment).await
    };
    let result = tokio::time::timeout(limit, started).await.unwrap_or(Err(Fault::Timeout(limit)));
    environment.drain();
    environment.sample_memory();
    if environment.runtime.is_some() {
        let (initialization_type, (status, error_type)) = (INITIALIZATION_TYPE, verdict(&result));
        logs.platform_event(&Event::InitRuntimeDone { initialization_type, phase, status, error_type });
    }

    let result = match result {
        Ok(()) => {
            let ready = |state: &mut State| met_or_fault(state, State::extensions_wait);
            platform.wait_until(began + limit, ready).await.unwrap_or(Err(Fault::Timeout(limit)))
        }
        failed => failed,
    };
    if result.is_ok() {
        announce_extensions(platform);
    }
    let duration = began.elapsed();
    let metrics = InitMetrics { duration_ms: clock::metric_ms(duration) };
    let (initialization_type, (status, error_type)) = (INITIALIZATION_TYPE, verdict(&result));
    logs.platform_event(&Event::InitReport { initialization_type, phase, status, error_type, metrics });
    platform.change(State::end_init);
    logs.relay.settle();

    match &result {
        Ok(()) => {
            environment.up = true;
            environment.init_duration = (phase == Phase::Init).then_some(duration);
        }
        Err(fault) => {
            terminate(platform, environment, fault.shutdown_reason(), RuntimeEnd::Kill).await;
        }
    }
    result
}

/// Starts the external extensions and waits for all of them to register.
async fn start_extensions(platform: &Arc<Platform>, environment: &mut Environment) -> Result<(), Fault> {
    let config = &platform.config;
    for (position, extension) in config.extensions.iter().enumerate() {
        let mut variables =
            environment::of_extension(config, &platform.address.to_string(), std::env::vars_os());
        variables.extend(extension.environment.iter().cloned());
        let launch = Launch {
            program: extension.path.clone(),
            arguments: extension.arguments.clone(),
            directory: None,
            environment: variables,
        };
        let name = extension.name();
        let process = platform.start_process(
            launch,
            move |logs, line| logs.extension_line(&name, line),
            move |state, status| state.extension_exited(position, status),
        );
        let process = process.map_err(|error| Fault::ExtensionLaunch { position, error: Arc::new(error) })?;
        environment.extensions.push(process);
    }
    platform.wait(|state| met_or_fault(state, State::external_registered)).await
}

/// Starts the runtime and waits for it to ask for its first event.
async fn start_runtime(platform: &Arc<Platform>, environment: &mut Environment) -> Result<(), Fault> {
    let config = &platform.config;
    let endpoint = runtime_endpoint(platform).await;
    let variables = environment::of_runtime(config, &endpoint, &platform.log_stream, std::env::vars_os());
    let path = environment::search_path(config, std::env::vars_os());
    let failed = |error| Fault::RuntimeLaunch(Arc::new(error));
    let program =
        runtime_program(config, path.as_deref()).map_err(|error| failed(std::io::Error::other(error)))?;
    let launch = Launch {
        program,
        arguments: config.command.iter().skip(1).cloned().collect(),
        directory: Some(config.task_root.clone()),
        environment: variables,
    };
    platform.change(State::runtime_started);
    let process = platform.start_process(
        launch,
        |logs, line| logs.function_line(line),
        |state, status| state.runtime_exited(status),
    );
    environment.runtime = Some(process.map_err(failed)?);
    environment.sample_memory();
    platform.wait(|state| met_or_fault(state, State::runtime_waits)).await
}

/// The runtime's `AWS_LAMBDA_RUNTIME_API`.
async fn runtime_endpoint(platform: &Platform) -> String {
    let direct = platform.address.to_string();
    let RuntimeEndpoint::Through(proxy) = platform.config.runtime_endpoint else { return direct };
    let accepts = async {
        while TcpStream::connect(proxy).await.is_err() {
            tokio::time::sleep(PROXY_RETRY).await;
        }
    };
    match tokio::time::timeout(PROXY_WAIT, accepts).await {
        Ok(()) => proxy.to_string(),
        Err(_) => {
            platform
                .logs
                .platform_text(format!("no proxy accepts at {proxy}: the runtime goes to {direct} directly"));
            direct
        }
    }
}

fn verdict(result: &Result<(), Fault>) -> (Status, Option<String>) {
    match result {
        Ok(()) => (Status::Success, None),
        Err(fault) => (fault.status(), Some(fault.error_type().to_owned())),
    }
}

fn announce_extensions(platform: &Platform) {
    let extensions: Vec<_> = platform.look(|state| {
        let ready = state.extensions().iter();
        ready.map(|extension| (extension.name.clone(), extension.events.words())).collect()
    });
    for (name, events) in extensions {
        platform.logs.platform_event(&Event::Extension { name, state: "Ready", events, error_type: None });
    }
}
