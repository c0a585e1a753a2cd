//! Region, endpoint and credentials, from where every AWS SDK takes them.
//!
//! In a Lambda sandbox, loading reads variables and nothing else. On a host it also reads the profile files, and asks the instance metadata service for a region if none is
//! configured. Credentials are looked for with the first request.

use std::env;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_cloudwatchlogs::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_runtime_api::shared::IntoShared as _;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::clock::ServiceClock;
use crate::connector::{BundleError, Connector};
use crate::fault::CA_BUNDLE;

/// How long one request may take, from looking for credentials to the last byte of the answer. A full batch of 1 MiB
/// needs a second on a line of 10 Mbit/s; what takes ten times as long is better tried anew. The connection alone may
/// take 3.1 s, which is the SDK's default.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Where the process runs, which decides where credentials may come from. A program that names only one is not linked to
/// the other's half of the SDK.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    load: fn(SharedHttpClient) -> Loading,
}

/// The way to the service, which trusts the certificates that `AWS_CA_BUNDLE` names, if it does.
pub(crate) fn http_client(clock: ServiceClock) -> Result<SharedHttpClient, BundleError> {
    let bundle = env::var_os(CA_BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(Connector::new(bundle.as_deref(), clock)?.into_shared())
}

/// A configuration that is being read.
type Loading = Pin<Box<dyn Future<Output = SdkConfig> + Send>>;

/// Why no sink could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing says which region to talk to.
    #[error(
        "no AWS region is configured for CloudWatch Logs; set AWS_REGION, or `region` in the profile that AWS_PROFILE names"
    )]
    NoRegion,
    /// What is to be trusted cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Environment {
    /// A Lambda sandbox: variables or the container endpoint. There is no profile to read, and a probe for instance
    /// metadata would only cost the function time.
    pub const LAMBDA: Self = Self { load: |http| Box::pin(lambda(http)) };

    /// Anywhere else: the SDK's default chain of variables, profiles, web identity, container and instance metadata.
    pub const HOST: Self = Self { load: |http| Box::pin(async move { loader(http).load().await }) };

    /// Loads the configuration of a client that tries each request once.
    pub(crate) async fn load(self, clock: ServiceClock) -> Result<SdkConfig, ConnectError> {
        let config = (self.load)(http_client(clock)?).await;
        match config.region() {
            Some(region) if !region.as_ref().is_empty() => Ok(config),
            _ => Err(ConnectError::NoRegion),
        }
    }
}

/// What holds everywhere: who decides about retries and time, and one TLS stack.
pub(crate) fn loader(http: SharedHttpClient) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        // It would give up a slow request in its own time; `REQUEST_MAX` alone decides.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(REQUEST_MAX).build()
}

/// What the loader would come to with variables alone. It is not asked, since it brings along the clients of every other place where a host
/// may have credentials: a megabyte of the layer.
async fn lambda(http: SharedHttpClient) -> SdkConfig {
    let provider = ProviderConfig::without_region().with_http_client(http.clone());
    let container = EcsCredentialsProvider::builder().configure(&provider).build();
    let credentials =
        CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("Container", container);
    let is_on = |name: &str| env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(Variables);
    if let Some(endpoint) = Variables::get(ENDPOINT_VARIABLE) {
        config = config.endpoint_url(endpoint);
    }
    config.build()
}

/// The variable that names the endpoint of every service; with a service's name behind it, of that one.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// A service's own configuration, from the variables.
#[derive(Debug)]
struct Variables;

impl Variables {
    fn get(name: &str) -> Option<String> {
        let is_ignored = env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        env::var(name).ok().filter(|value| !value.is_empty() && !is_ignored)
    }
}

impl LoadServiceConfig for Variables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        Variables::get(&format!("{}_{service}", key.env()))
    }
}

/// The endpoint that the configuration puts in place of the region's own: its scheme, host and port. A path, a query or
/// a user may hold a secret, and is left out.
pub(crate) fn endpoint(config: &SdkConfig) -> Option<String> {
    // The same question that the SDK's client asks: AWS_ENDPOINT_URL_CLOUDWATCH_LOGS and the profile's `services` before
    // AWS_ENDPOINT_URL and the profile's `endpoint_url`.
    let key = ServiceConfigKey::builder()
        .service_id("CloudWatch Logs")
        .env(ENDPOINT_VARIABLE)
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config.service_config().and_then(|service| service.load_config(key));
    own.as_deref().or(config.endpoint_url()).map(origin)
}

fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What the variables of a process decide is tested in tests/environment, by processes.

    #[test]
    fn an_endpoint_is_shown_without_what_may_be_secret() {
        assert_eq!(origin("http://127.0.0.1:5000"), "http://127.0.0.1:5000");
        assert_eq!(origin("https://user:word@logs.example:8443/a?token=b#c"), "https://logs.example:8443");
        assert_eq!(origin("localhost:4566/"), "localhost:4566");
    }
}
