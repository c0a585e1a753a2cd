//! What the environment asks of the extension.
//!
//! A wrong value must never be the reason that a function fails: it is said once, and the default is used.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::say::say;

/// Where the proxy listens unless `TRACE_AGENT_PROXY_LISTEN` says otherwise: at any port, since the wrapper finds out which.
const PROXY_DEFAULT: &str = "127.0.0.1:0";

/// How long `/next` is held for the worker unless `TRACE_AGENT_HOLD_MS` says otherwise: the owner pays for it.
const HOLD_MS_DEFAULT: u64 = 300;

/// The longest hold that can be asked for, in milliseconds. More than the slowest PutLogEvents with a retry needs; a typo
/// must not be billed up to the function's timeout.
const HOLD_MS_MAX: u64 = 10_000;

/// When a failure is sent of which only telemetry tells, since the runtime does not use the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In the next invocation or at SHUTDOWN, and as [`Delivery::Prompt`] for some invocations after a failure.
    Lazy,
    /// In the invocation that failed: `/next` is held until the platform says how it ended.
    Prompt,
}

/// What the supervisor does, and with which addresses.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Lambda's APIs, as `AWS_LAMBDA_RUNTIME_API` names them.
    pub(crate) runtime_api: String,
    /// The file name of this program: Lambda accepts no other name.
    pub(crate) name: String,
    /// Register, poll, and nothing else.
    pub(crate) disabled: bool,
    /// No INVOKE events exist: Lambda Managed Instances.
    pub(crate) managed: bool,
    /// Where the proxy listens, as `host:port`.
    pub(crate) proxy: String,
    /// Where the wrapper finds out.
    pub(crate) meeting: PathBuf,
    /// Which successes are told of as failures.
    pub(crate) response_failures: ResponseFailures,
    /// Where handlers send their reports.
    pub(crate) capture: PathBuf,
    /// Where what waits for a sink is kept.
    pub(crate) spool: PathBuf,
    /// How long `/next` waits for the worker after a failure, and before that for the platform's word where the proxy knows nothing.
    pub(crate) hold: Duration,
    /// When that word is waited for.
    pub(crate) delivery: Delivery,
    /// Where to listen for telemetry.
    pub(crate) listen: Listen,
    /// The size of the function's memory, for the worker's own limit.
    pub(crate) memory_bytes: Option<u64>,
}

/// Which successes are told of as failures: in each of them the function says itself that something failed. That of which it does not,
/// such as a status of 500 in an answer to a web request, is its own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseFailures {
    /// Items of a batch that are to be tried again.
    pub(crate) batch: bool,
    /// A durable execution that ended in a failure.
    pub(crate) durable: bool,
    /// A streamed response that broke off.
    pub(crate) stream: bool,
}

impl ResponseFailures {
    pub(crate) const ALL: ResponseFailures = ResponseFailures { batch: true, durable: true, stream: true };
    const NONE: ResponseFailures = ResponseFailures { batch: false, durable: false, stream: false };
}

/// Where to listen for telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At every address: `sam local` reaches an extension over a container's network.
    Everywhere,
    /// At the address that the hosts file gives `sandbox.localdomain`, or at the loopback.
    Hosts,
    /// As [`Listen::Hosts`], but the resolver is asked too. Only where Lambda's own port says that this is Lambda: elsewhere
    /// nobody knows the name, and a resolver without network waits for seconds.
    HostsOrResolver,
}

impl Listen {
    fn read(runtime_api: Option<&str>, is_sam: bool) -> Listen {
        match runtime_api {
            _ if is_sam => Listen::Everywhere,
            Some(address) if address.ends_with(":9001") => Listen::HostsOrResolver,
            _ => Listen::Hosts,
        }
    }
}

impl Config {
    /// Reads the environment of this process.
    pub(crate) fn from_env(program: &Path) -> Config {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        Config::read(name, |variable| env::var_os(variable))
    }

    fn read(name: String, get: impl Fn(&str) -> Option<OsString>) -> Config {
        let text = |variable: &str| {
            let value = get(variable).filter(|value| !value.is_empty())?;
            Some(value.to_string_lossy().into_owned())
        };
        let capture = get("TRACE_AGENT_SOCKET")
            .filter(|path| !path.is_empty())
            .map_or_else(|| PathBuf::from(trace_capture::wire::SOCKET_PATH), PathBuf::from);
        Config {
            runtime_api: text("AWS_LAMBDA_RUNTIME_API").unwrap_or_default(),
            name,
            disabled: text("TRACE_AGENT_DISABLED").is_some_and(|value| is_on("TRACE_AGENT_DISABLED", &value)),
            managed: text("AWS_LAMBDA_INITIALIZATION_TYPE").as_deref() == Some("lambda-managed-instances"),
            proxy: text("TRACE_AGENT_PROXY_LISTEN").unwrap_or_else(|| PROXY_DEFAULT.to_owned()),
            meeting: capture.with_file_name(trace_attach::FILE_NAME),
            response_failures: text("TRACE_AGENT_RESPONSE_FAILURES")
                .map_or(ResponseFailures::ALL, |value| response_failures(&value)),
            spool: spool_folder(&capture),
            capture,
            delivery: text("TRACE_AGENT_DELIVERY").map_or(Delivery::Lazy, |value| delivery(&value)),
            hold: Duration::from_millis(
                text("TRACE_AGENT_HOLD_MS").map_or(HOLD_MS_DEFAULT, |value| hold_ms(&value)),
            ),
            listen: Listen::read(text("AWS_LAMBDA_RUNTIME_API").as_deref(), text("AWS_SAM_LOCAL").is_some()),
            memory_bytes: text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
                .and_then(|mebibytes| mebibytes.parse::<u64>().ok())
                .and_then(|mebibytes| mebibytes.checked_mul(1024 * 1024)),
        }
    }
}

/// Where what waits for a sink is kept: beside the capture socket, in /tmp, which is all that a function can write, and outlives a reset.
pub(crate) fn spool_folder(capture: &Path) -> PathBuf {
    capture.with_file_name("spool")
}

fn delivery(value: &str) -> Delivery {
    match value {
        "lazy" => Delivery::Lazy,
        "prompt" => Delivery::Prompt,
        _ => {
            say(format_args!("TRACE_AGENT_DELIVERY={value:?} is neither lazy nor prompt; lazy is used"));
            Delivery::Lazy
        }
    }
}

fn response_failures(value: &str) -> ResponseFailures {
    let mut counts = ResponseFailures::NONE;
    for word in value.split(',').map(str::trim) {
        match word {
            "batch" => counts.batch = true,
            "durable" => counts.durable = true,
            "stream" => counts.stream = true,
            "none" => {}
            _ => {
                say(format_args!(
                    "TRACE_AGENT_RESPONSE_FAILURES={value:?} is not none, nor a list of batch, durable and stream; all of them are told of"
                ));
                return ResponseFailures::ALL;
            }
        }
    }
    counts
}

fn is_on(variable: &str, value: &str) -> bool {
    match value {
        "1" | "true" => true,
        "0" | "false" => false,
        _ => {
            say(format_args!("{variable}={value:?} is neither 1 nor 0; taken as 0"));
            false
        }
    }
}

fn hold_ms(value: &str) -> u64 {
    match value.parse() {
        Ok(milliseconds) if milliseconds <= HOLD_MS_MAX => milliseconds,
        _ => {
            say(format_args!(
                "TRACE_AGENT_HOLD_MS={value:?} is no number of milliseconds up to {HOLD_MS_MAX}; {HOLD_MS_DEFAULT} is used"
            ));
            HOLD_MS_DEFAULT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Config {
        Config::read("trace-agent-extension".to_owned(), |name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn wrong_values_are_replaced_by_the_defaults() {
        let config = read(&[("TRACE_AGENT_HOLD_MS", "soon"), ("TRACE_AGENT_DISABLED", "maybe")]);
        assert_eq!((config.hold, config.disabled), (Duration::from_millis(300), false));
        assert_eq!(read(&[("TRACE_AGENT_DELIVERY", "soon")]).delivery, Delivery::Lazy);
        assert_eq!(read(&[("TRACE_AGENT_DELIVERY", "prompt")]).delivery, Delivery::Prompt);
        let config = read(&[("TRACE_AGENT_HOLD_MS", "900000"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "much")]);
        assert_eq!((config.hold, config.memory_bytes), (Duration::from_millis(300), None));
    }

    #[test]
    fn successes_that_count_can_be_chosen() {
        let counts = |value| read(&[("TRACE_AGENT_RESPONSE_FAILURES", value)]).response_failures;
        assert_eq!(read(&[]).response_failures, ResponseFailures::ALL);
        assert_eq!(counts("none"), ResponseFailures::NONE);
        assert_eq!(counts("batch, stream"), ResponseFailures { durable: false, ..ResponseFailures::ALL });
        assert_eq!(counts("batch,all"), ResponseFailures::ALL);
    }

    #[test]
    fn managed_instances_and_sam_are_recognized() {
        assert!(read(&[("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances")]).managed);
        assert!(!read(&[("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")]).managed);
        assert_eq!(read(&[("AWS_SAM_LOCAL", "true")]).listen, Listen::Everywhere);
        assert_eq!(read(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")]).listen, Listen::HostsOrResolver);
        assert_eq!(read(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:33041")]).listen, Listen::Hosts);
    }
}
