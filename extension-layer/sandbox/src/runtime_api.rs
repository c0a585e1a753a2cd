//! The Runtime API, `/2018-06-01/runtime`.
//!
//! Any content type and any framing is taken. A streamed response is collected and given to the client as a
//! whole; an error in its trailers makes it a function error. `errorCause` in a body stays where it is.

use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, StatusCode};

use crate::clock;
use crate::fault::{classified, error_body};
use crate::http::{self, Answer, BodyError};
use crate::invocation::PAYLOAD_BYTES_MAX;
use crate::platform::Platform;
use crate::state::{self, Refusal};

/// Largest streamed response [Lambda: 200 MB].
const STREAMED_RESPONSE_BYTES_MAX: usize = 200 * 1024 * 1024;

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// Answers a request whose path continues with `path` after the version and `runtime`, or gives it back.
pub(crate) async fn handle(
    platform: &Platform,
    request: Request<Incoming>,
    path: &[&str],
) -> Result<Answer, Request<Incoming>> {
    let answered = match (request.method(), path) {
        (&Method::GET, ["invocation", "next"]) => next(platform).await,
        (&Method::POST, ["invocation", id, "response"]) => response(platform, id, request).await,
        (&Method::POST, ["invocation", id, "error"]) => error(platform, id, request).await,
        (&Method::POST, ["init", "error"]) => init_error(platform, request).await,
        _ => return Err(request),
    };
    Ok(answered.unwrap_or_else(|refusal| http::refused(&refusal)))
}

async fn next(platform: &Platform) -> Result<Answer, Refusal> {
    let poll = platform.change(|state| state.runtime_next())?;
    let current = platform.wait(|state| state.take_runtime_event(poll)).await;
    let mut answer = http::json(StatusCode::OK, current.payload.clone());
    let deadline_ms = clock::epoch_ms(current.deadline).to_string();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", Some(&current.request_id)),
        ("lambda-runtime-deadline-ms", Some(&deadline_ms)),
        ("lambda-runtime-invoked-function-arn", Some(&current.function_arn)),
        ("lambda-runtime-invocation-id", Some(&current.invocation_id)),
        ("lambda-runtime-trace-id", current.trace_id.as_ref()),
        ("lambda-runtime-client-context", current.client_context.as_ref()),
        ("lambda-runtime-cognito-identity", current.cognito_identity.as_ref()),
    ] {
        if let Some(value) = value {
            http::set_header(&mut answer, name, value);
        }
    }
    Ok(answer)
}

async fn response(platform: &Platform, id: &str, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let give = |payload: Bytes, error_type: Option<String>| {
        let answer = state::Answer { payload, error_type, began, ended: Instant::now() };
        platform.change(|state| state.answer_invocation(id, answer))
    };
    let bytes_max = match http::header(&head.headers, RESPONSE_MODE) {
        None | Some("buffered") => PAYLOAD_BYTES_MAX,
        Some("streaming") => STREAMED_RESPONSE_BYTES_MAX,
        Some(_) => {
            http::discard(body).await;
            give(Bytes::new(), Some("Runtime.InvalidResponseModeHeader".to_owned()))?;
            let message = "Invalid function response mode".to_owned();
            return Err(Refusal { status: 400, error_type: "InvalidFunctionResponseMode", message });
        }
    };
    match http::read(body, bytes_max).await {
        Ok(body) => match error_in_trailers(&body.trailers) {
            Some((payload, error_type)) => give(payload, Some(error_type))?,
            None => give(body.bytes, None)?,
        },
        Err(BodyError::TooLarge) => {
            let error_type = "Function.ResponseSizeTooLarge";
            let message =
                format!("Response payload size exceeded maximum allowed payload size ({bytes_max} bytes).");
            give(error_body(error_type, &message), Some(error_type.to_owned()))?;
            let message = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
            return Err(Refusal { status: 413, error_type: "RequestEntityTooLarge", message });
        }
        Err(BodyError::Truncated) => return Err(BodyError::Truncated.into()),
    }
    Ok(http::accepted())
}

async fn error(platform: &Platform, id: &str, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let began = Instant::now();
    let error_type = classified(request.headers().get(ERROR_TYPE).map(|value| value.as_bytes()));
    let payload = http::read(request.into_body(), PAYLOAD_BYTES_MAX).await?.bytes;
    let answer = state::Answer { payload, error_type: Some(error_type), began, ended: Instant::now() };
    platform.change(|state| state.answer_invocation(id, answer))?;
    Ok(http::accepted())
}

async fn init_error(platform: &Platform, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let error_type = classified(request.headers().get(ERROR_TYPE).map(|value| value.as_bytes()));
    let body = http::read(request.into_body(), PAYLOAD_BYTES_MAX).await?.bytes;
    platform.change(|state| state.runtime_init_error(body, error_type))?;
    Ok(http::accepted())
}

/// A failure after the first byte of a streamed response: what the client gets, and the error's type. A body
/// that is not base64 of anything is replaced by one that says the type.
fn error_in_trailers(trailers: &HeaderMap) -> Option<(Bytes, String)> {
    // Go announces both trailers always and sends neither; an empty one is no error either.
    let error_type =
        trailers.get(ERROR_TYPE).map(|value| value.as_bytes()).filter(|value| !value.is_empty())?;
    let error_type = classified(Some(error_type));
    let body = trailers.get(ERROR_BODY).and_then(|value| BASE64_STANDARD.decode(value.as_bytes()).ok());
    let payload = body.map_or_else(|| error_body(&error_type, "the response was cut short"), Bytes::from);
    Some((payload, error_type))
}
