//! The variables that a runtime and an extension see.
//!
//! The cloud starts both with a clean environment. Here some variables of the caller pass as well: those that
//! make the interpreter, the virtual environment and the AWS client of this machine work. Everything else is
//! the function's own configuration and what Lambda sets.

use std::ffi::{OsStr, OsString};

use crate::config::{Config, LogFormat};

/// A list of variables in the order in which they are set: of two with one name, the later wins.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// Variables of the caller that pass, by name.
const INHERITED: &[&str] = &[
    // Where programs are.
    "HOME",
    "LD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "USER",
    "VIRTUAL_ENV",
    // Where the interpreters' libraries are.
    "BUNDLE_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "JAVA_HOME",
    "NODE_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "RUBYLIB",
    // How the network is reached.
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    // How AWS is reached.
    "AWS_ACCESS_KEY_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
];
/// Variables of the caller that pass, by the beginning of the name: stand-ins for AWS services.
const INHERITED_PREFIX: &str = "AWS_ENDPOINT_URL";

/// Variables that an extension is not told [Extensions API: the reserved variables withheld from extensions].
const RUNTIME_ONLY: &[&str] = &[
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
];

/// What the runtime gets. `endpoint` is its `AWS_LAMBDA_RUNTIME_API`, `caller` the caller's own environment.
pub(crate) fn of_runtime(
    config: &Config,
    endpoint: &str,
    log_stream: &str,
    caller: impl Iterator<Item = (OsString, OsString)>,
) -> Variables {
    let mut variables: Variables = caller.filter(|(name, _)| is_inherited(name)).collect();
    variables.extend(config.environment.iter().cloned());
    let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.to_owned()));
    set("AWS_LAMBDA_RUNTIME_API", endpoint.as_ref());
    set("_HANDLER", config.handler.as_ref());
    set("LAMBDA_TASK_ROOT", config.task_root.as_ref());
    set("AWS_LAMBDA_FUNCTION_NAME", config.function_name.as_ref());
    set("AWS_LAMBDA_FUNCTION_VERSION", config.function_version.as_ref());
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mb.to_string().as_ref());
    set("AWS_LAMBDA_LOG_GROUP_NAME", config.log_group().as_ref());
    set("AWS_LAMBDA_LOG_STREAM_NAME", log_stream.as_ref());
    let format = match config.log_format {
        LogFormat::Text => "Text",
        LogFormat::Json => "JSON",
    };
    set("AWS_LAMBDA_LOG_FORMAT", format.as_ref());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".as_ref());
    set("AWS_REGION", config.region.as_ref());
    set("AWS_DEFAULT_REGION", config.region.as_ref());
    set("TZ", ":UTC".as_ref());
    set("LANG", "en_US.UTF-8".as_ref());
    variables
}

/// What an extension gets, before its own variables: the same without what only the runtime may know.
pub(crate) fn of_extension(
    config: &Config,
    endpoint: &str,
    caller: impl Iterator<Item = (OsString, OsString)>,
) -> Variables {
    let mut variables = of_runtime(config, endpoint, "", caller);
    variables.retain(|(name, _)| !RUNTIME_ONLY.iter().any(|withheld| name == withheld));
    variables
}

/// The `PATH` in which the runtime's program is looked up.
pub(crate) fn search_path(
    config: &Config,
    caller: impl Iterator<Item = (OsString, OsString)>,
) -> Option<OsString> {
    let variables = of_runtime(config, "", "", caller);
    variables.into_iter().rev().find_map(|(name, value)| (name == "PATH").then_some(value))
}

fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    name.starts_with(INHERITED_PREFIX) || INHERITED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> impl Iterator<Item = (OsString, OsString)> {
        let pairs =
            [("PATH", "/bin"), ("VIRTUAL_ENV", "/venv"), ("SECRET_OF_THE_SHELL", "x"), ("TZ", "Asia/Tokyo")];
        pairs.into_iter().map(|(name, value)| (name.into(), value.into()))
    }

    fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsStr> {
        variables.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    #[test]
    fn a_runtime_sees_lambda_s_variables_its_own_and_the_way_to_its_interpreter() {
        let mut config = Config::new("f", Vec::new());
        config.environment = vec![("TABLE".into(), "t".into()), ("AWS_REGION".into(), "mars-1".into())];
        let variables = of_runtime(&config, "127.0.0.1:9", "stream", caller());
        for (name, expected) in [
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("VIRTUAL_ENV", "/venv"),
            ("TABLE", "t"),
            ("AWS_REGION", "us-east-1"),
            ("TZ", ":UTC"),
        ] {
            assert_eq!(value(&variables, name), Some(expected.as_ref()), "{name}");
        }
        assert_eq!(value(&variables, "SECRET_OF_THE_SHELL"), None);
    }

    #[test]
    fn an_extension_is_told_neither_handler_nor_log_group_nor_task_root() {
        let mut config = Config::new("f", Vec::new());
        config.environment = vec![("AWS_EXECUTION_ENV".into(), "AWS_Lambda_python3.13".into())];
        let variables = of_extension(&config, "127.0.0.1:9", caller());
        for withheld in RUNTIME_ONLY {
            assert_eq!(value(&variables, withheld), None, "{withheld}");
        }
        assert_eq!(value(&variables, "AWS_LAMBDA_INITIALIZATION_TYPE"), Some("on-demand".as_ref()));
    }
}
