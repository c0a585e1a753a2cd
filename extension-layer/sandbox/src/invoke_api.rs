//! The Invoke API, `POST /2015-03-31/functions/{name}/invocations`, as an AWS SDK calls it.
//!
//! Not there: `X-Amz-Log-Type`, and the retries of asynchronous invocations: an event is tried once.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::http::{self, Answer, BodyError};
use crate::invocation::{Invocation, PAYLOAD_BYTES_MAX};
use crate::lifecycle::Job;
use crate::platform::Platform;

/// Largest event of an asynchronous invocation, in bytes [Lambda: 1 MB].
const ASYNC_PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// The name under which the Runtime Interface Emulator knows its one function.
const EMULATOR_NAME: &str = "function";

#[derive(Clone, Copy, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// Answers an invocation of the function called `name` (percent-encoded).
pub(crate) async fn handle(
    platform: &Platform,
    jobs: &mpsc::Sender<Job>,
    request: Request<Incoming>,
    name: &str,
) -> Answer {
    let mut answer = match invoke(platform, jobs, request, name).await {
        Ok(answer) => answer,
        Err(Exception { status, name, message }) => {
            #[derive(serde::Serialize)]
            struct Body<'a> {
                #[serde(rename = "Type")]
                kind: &'a str,
                message: &'a str,
            }
            let kind = if status < 500 { "User" } else { "Service" };
            let body =
                serde_json::to_vec(&Body { kind, message: &message }).expect("strings are always JSON");
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = http::json(status, body);
            http::set_header(&mut answer, "x-amzn-errortype", name);
            answer
        }
    };
    if !answer.headers().contains_key("x-amzn-requestid") {
        http::set_header(&mut answer, "x-amzn-requestid", &clock::uuid());
    }
    answer
}

/// An error of the API itself, as the SDKs name them.
struct Exception {
    status: u16,
    name: &'static str,
    message: String,
}

async fn invoke(
    platform: &Platform,
    jobs: &mpsc::Sender<Job>,
    request: Request<Incoming>,
    name: &str,
) -> Result<Answer, Exception> {
    let (head, body) = request.into_parts();
    let kind = invocation_type(&head.headers);
    let bytes_max = match kind {
        Ok(InvocationType::Event) => ASYNC_PAYLOAD_BYTES_MAX,
        _ => PAYLOAD_BYTES_MAX,
    };
    let body = http::read(body, bytes_max).await;

    let name = percent_decoded(name);
    if !is_this_function(platform, &name) {
        let message = format!("Function not found: {name}");
        return Err(Exception { status: 404, name: "ResourceNotFoundException", message });
    }
    let kind = kind?;
    let client_context = client_context(&head.headers)?;
    let payload = match body {
        Ok(body) => body.bytes,
        Err(BodyError::TooLarge) => {
            let message =
                format!("Request must be smaller than {bytes_max} bytes for the InvokeFunction operation");
            return Err(Exception { status: 413, name: "RequestTooLargeException", message });
        }
        Err(BodyError::Truncated) => return Err(invalid("The request's body was cut short")),
    };
    if !payload.is_empty()
        && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload)
    {
        let message = format!("Could not parse request body into json: {error}");
        return Err(Exception { status: 400, name: "InvalidRequestContentException", message });
    }
    let trace_id = http::header(&head.headers, "x-amzn-trace-id").map(str::to_owned);
    let request_id = clock::uuid();
    let invocation = Invocation {
        payload,
        request_id: Some(request_id.clone()),
        trace_id,
        client_context,
        cognito_identity: None,
    };

    let mut answer = match kind {
        InvocationType::DryRun => http::json(StatusCode::NO_CONTENT, ""),
        InvocationType::Event => {
            jobs.try_send(Job::Invoke { invocation, answer: None }).map_err(|refused| match refused {
                TrySendError::Full(_) => Exception {
                    status: 429,
                    name: "TooManyRequestsException",
                    message: "Rate Exceeded: the sandbox runs one invocation at a time".to_owned(),
                },
                TrySendError::Closed(_) => closed(),
            })?;
            http::json(StatusCode::ACCEPTED, "")
        }
        InvocationType::RequestResponse => {
            let (sender, outcome) = oneshot::channel();
            let job = Job::Invoke { invocation, answer: Some(sender) };
            jobs.send(job).await.map_err(|_| closed())?;
            let outcome = outcome.await.map_err(|_| closed())?;
            let mut answer = http::json(StatusCode::OK, outcome.payload);
            http::set_header(&mut answer, "x-amz-executed-version", &platform.config.function_version);
            if let Some(error) = outcome.function_error {
                http::set_header(&mut answer, "x-amz-function-error", &error);
            }
            answer
        }
    };
    http::set_header(&mut answer, "x-amzn-requestid", &request_id);
    Ok(answer)
}

fn invocation_type(headers: &HeaderMap) -> Result<InvocationType, Exception> {
    match http::header(headers, "x-amz-invocation-type") {
        None | Some("RequestResponse") => Ok(InvocationType::RequestResponse),
        Some("Event") => Ok(InvocationType::Event),
        Some("DryRun") => Ok(InvocationType::DryRun),
        Some(other) => Err(invalid(format!("Invocation type not supported: {other}"))),
    }
}

/// The client context as the runtime gets it: not base64 any more.
fn client_context(headers: &HeaderMap) -> Result<Option<String>, Exception> {
    let Some(encoded) = http::header(headers, "x-amz-client-context") else { return Ok(None) };
    let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.filter(|context| http::is_header_value(context)) {
        Some(context) => Ok(Some(context)),
        None => Err(invalid("Client context must be base64 of JSON on one line")),
    }
}

fn invalid(message: impl Into<String>) -> Exception {
    Exception { status: 400, name: "InvalidParameterValueException", message: message.into() }
}

fn closed() -> Exception {
    Exception { status: 500, name: "ServiceException", message: "the sandbox is shut down".to_owned() }
}

/// A function is called by its name or its ARN, each with or without a qualifier.
fn is_this_function(platform: &Platform, name: &str) -> bool {
    let config = &platform.config;
    [config.function_name.as_str(), &config.function_arn(), EMULATOR_NAME].iter().any(|known| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read_as_the_sdks_encode_it() {
        assert_eq!(percent_decoded("arn%3Aaws%3Alambda"), "arn:aws:lambda");
        assert_eq!(percent_decoded("f%3a%24LATEST%"), "f:$LATEST%");
        assert_eq!(percent_decoded("é%zz"), "é%zz");
    }
}
