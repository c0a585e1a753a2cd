//! What a failed request means for the next try.
//!
//! The service's error code decides, since the HTTP status alone misleads: a throttle is a 400, and so are wrong
//! credentials and a missing log group. The status decides where there is no code that is known, as in the answer of a
//! load balancer or a proxy. Without an answer, what matters is whether the request can have arrived: if it can, the
//! batch may have been stored.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudwatchlogs::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use tokio_rustls::rustls;
use trace_agent_core::sink::Destination;
use trace_record::batch::EVENT_OVERHEAD_BYTES;
use trace_record::retry::Fault;
use trace_record::text;

/// The variable that names a file of certificates to trust.
pub(crate) const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// How much of somebody else's error message is repeated, in bytes, and of that only the first line: the refusal of a
/// signature has been seen to go on with the headers that were signed, the session token among them.
const CAUSE_BYTES_MAX: usize = 512;

/// A failed request: what it means, and the words for a person.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) message: String,
}

impl Failure {
    /// Judges `error`, with which `operation` on `target` has ended.
    pub(crate) fn of<E>(operation: &str, target: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (fault, cause) = judge(error);
        let advice = if is_distrust(error) {
            format!(
                "name the certificates to trust in a file, and the file in {CA_BUNDLE}, if that is the right server"
            )
        } else {
            advice(fault, error.code(), operation)
        };
        Self { fault, message: format!("{operation} on {target} failed: {cause}; {advice}") }
    }
}

/// Whether the service gave this error code.
pub(crate) fn is<E: ProvideErrorMetadata>(error: &SdkError<E>, code: &str) -> bool {
    error.code() == Some(code)
}

/// A log group, in words.
pub(crate) fn group(to: &Destination) -> String {
    format!("log group {}", to.group)
}

/// A log stream, in words.
pub(crate) fn stream(to: &Destination) -> String {
    format!("log group {}, stream {}", to.group, to.stream)
}

fn judge<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> (Fault, String) {
    match error {
        SdkError::ServiceError(answer) => {
            let raw = answer.raw();
            let status = raw.status().as_u16();
            let after = raw.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
            let after = after.map(Duration::from_secs);
            let fault = answer.err().message().and_then(too_long);
            let fault = fault.or_else(|| by_code(answer.err().code()?, after));
            (fault.unwrap_or_else(|| by_status(status, after)), said(answer.err(), status))
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            (Fault::Transient, format!("the answer (HTTP {status}) ended early or could not be read"))
        }
        SdkError::TimeoutError(_) => (Fault::Transient, "no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => by_transport(error),
            None => (Fault::Unreachable, "the request could not be sent".to_owned()),
        },
        // The request was never built. Its parts come from the configuration and from batches that keep the limits.
        _ => (Fault::Invalid, first_line(&chain(error))),
    }
}

/// Reads the words of the service that name the limit of an event, its 26 bytes included, or of a request, which no event can exceed
/// either.
fn too_long(message: &str) -> Option<Fault> {
    let size = message.strip_prefix("Log event too large: ").or(message.strip_prefix("Upload too large: "))?;
    let (_, limit) = size.split_once(" exceeds limit of ")?;
    let digits = limit.split(|c: char| !c.is_ascii_digit()).next()?;
    let bytes_max = digits.parse::<usize>().ok().map(|bytes| bytes.saturating_sub(EVENT_OVERHEAD_BYTES));
    Some(Fault::TooLong { bytes_max })
}

fn by_code(code: &str, after: Option<Duration>) -> Option<Fault> {
    Some(match code {
        "BandwidthLimitExceeded"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "TooManyRequestsException" => Fault::Throttled { after },
        // Two agents that create one log group at one time: the next try finds it.
        "OperationAbortedException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        // A log stream that was created a moment ago need not be visible everywhere yet.
        | "ResourceNotFoundException" => Fault::Transient,
        // A clock that is wrong shows as a signature that is wrong or too old.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient"
        | "UnrecognizedClientException" => Fault::Expired,
        "AccessDenied"
        | "AccessDeniedException"
        | "LimitExceededException"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnauthorizedOperation" => Fault::Denied,
        "DataTooLarge"
        | "InvalidParameterException"
        | "InvalidParameterValue"
        | "MalformedQueryString"
        | "RequestEntityTooLarge"
        | "SerializationException"
        | "ValidationError"
        | "ValidationException" => Fault::Invalid,
        _ => return None,
    })
}

fn by_status(status: u16, after: Option<Duration>) -> Fault {
    match status {
        429 => Fault::Throttled { after },
        // An answer of 200 that cannot be read leaves open what was stored.
        200..=299 | 408 | 500..=599 => Fault::Transient,
        401 | 403 => Fault::Denied,
        400 | 413 => Fault::Invalid,
        // The service gives no such answer: somebody else does, so it has not been reached.
        _ => Fault::Unreachable,
    }
}

fn by_transport(error: &ConnectorError) -> (Fault, String) {
    if let Some(error) = find::<CredentialsError>(error) {
        return (Fault::Expired, said_of_credentials(error));
    }
    let cause = error.source().map_or_else(|| error.to_string(), chain);
    // Name resolution, the connection, TLS, and how long they may take.
    let never_connected =
        find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect());
    let arrived = error.is_timeout() || error.is_io() || error.as_other().is_some();
    // What is neither was not sent, for instance because the endpoint is no URL, or was answered in no known language.
    let fault = if arrived && !never_connected { Fault::Transient } else { Fault::Unreachable };
    (fault, first_line(&cause))
}

/// What the service says of itself.
fn said<E: ProvideErrorMetadata>(error: &E, status: u16) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code} (HTTP {status}): {}", first_line(message)),
        (Some(code), None) => format!("{code} (HTTP {status})"),
        (None, _) => format!("HTTP {status} without an error code"),
    }
}

/// What kept credentials from being found. The cause is left out where it may quote what could not be read: a token or a
/// key that is not valid text is repeated by the SDK in full.
fn said_of_credentials(error: &CredentialsError) -> String {
    if let Some(unreachable) = find::<hyper_util::client::legacy::Error>(error) {
        return format!("credentials could not be fetched: {}", first_line(&chain(unreachable)));
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found".to_owned(),
        CredentialsError::ProviderError(_) => first_line(&chain(error)),
        _ => error.to_string(),
    }
}

fn advice(fault: Fault, code: Option<&str>, operation: &str) -> String {
    match fault {
        Fault::Throttled { .. } => {
            format!("it is sent again later; if that goes on, ask for a higher {operation} quota")
        }
        Fault::Transient => "the same request may succeed later".to_owned(),
        Fault::Unreachable => {
            "check the network, and AWS_ENDPOINT_URL_CLOUDWATCH_LOGS if it is set; from a private \
             subnet the way is a NAT gateway or an interface endpoint for the service `logs`"
                .to_owned()
        }
        Fault::Expired => {
            "set or renew the credentials (a role, AWS_PROFILE or AWS_ACCESS_KEY_ID), and check the clock"
                .to_owned()
        }
        Fault::Gone => "nothing more can be sent".to_owned(),
        Fault::Denied if code == Some("LimitExceededException") => {
            "delete what is no longer needed, or ask for a higher quota".to_owned()
        }
        Fault::Denied => format!("allow logs:{operation} on it to the role in use"),
        Fault::TooLong { .. } => "it is shortened and sent again".to_owned(),
        Fault::Invalid => "the same request will be refused again".to_owned(),
    }
}

/// Whether TLS did not come about, which I/O errors carry inside.
fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    fn is_tls(error: &(dyn Error + 'static)) -> bool {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner))
    }
    causes(error).any(is_tls)
}

/// The first cause of this type.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The messages of an error and its causes, outermost first. A cause that only repeats the one before is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        if !words.ends_with(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// An error and what caused it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn first_line(text: &str) -> String {
    text::prefix(text.lines().next().unwrap_or_default(), CAUSE_BYTES_MAX).to_owned()
}
