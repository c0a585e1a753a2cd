//! The Extensions API, `/2020-01-01/extension`, and the subscription call of the Telemetry API,
//! `/2022-07-01/telemetry`.
//!
//! No content type is required: the documents ask for none.

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::error_body;
use crate::http::{self, Answer};
use crate::platform::Platform;
use crate::state::{Events, ExtensionErrorCall, ExtensionEvent, Refusal};
use crate::telemetry::event::{Event, Tracing};
use crate::telemetry::subscription::Subscription;

/// Largest body of a call by an extension, in bytes: an error with its stack is the largest of them.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const NAME: &str = "lambda-extension-name";
const IDENTIFIER: &str = "lambda-extension-identifier";
const FEATURES: &str = "lambda-extension-accept-feature";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

/// Answers a request whose path continues with `path` after the version and `extension`, or gives it back.
pub(crate) async fn handle(
    platform: &Platform,
    request: Request<Incoming>,
    path: &[&str],
) -> Result<Answer, Request<Incoming>> {
    let answered = match (request.method(), path) {
        (&Method::POST, ["register"]) => register(platform, request).await,
        (&Method::GET, ["event", "next"]) => next(platform, request.headers()).await,
        (&Method::POST, ["init", "error"]) => error(platform, request, ExtensionErrorCall::Init).await,
        (&Method::POST, ["exit", "error"]) => error(platform, request, ExtensionErrorCall::Exit).await,
        _ => return Err(request),
    };
    Ok(answered.unwrap_or_else(|refusal| http::refused(&refusal)))
}

async fn register(platform: &Platform, request: Request<Incoming>) -> Result<Answer, Refusal> {
    #[derive(Deserialize)]
    struct Registration {
        #[serde(default)]
        events: Vec<String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Registered<'a> {
        function_name: &'a str,
        function_version: &'a str,
        handler: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        account_id: Option<&'a str>,
    }
    let (head, body) = request.into_parts();
    let body = http::read(body, BODY_BYTES_MAX).await?.bytes;
    let Some(name) = http::header(&head.headers, NAME) else {
        return Err(Refusal::forbidden("Extension.InvalidExtensionName", "Empty extension name"));
    };
    let registration: Registration = serde_json::from_slice(&body)
        .map_err(|error| Refusal::forbidden("InvalidRequestFormat", error.to_string()))?;
    let mut events = Events::default();
    for event in &registration.events {
        match event.as_str() {
            "INVOKE" => events.invoke = true,
            "SHUTDOWN" => events.shutdown = true,
            other => {
                let message = format!("{other}: ErrorInvalidEventType");
                return Err(Refusal::forbidden("Extension.InvalidEventType", message));
            }
        }
    }
    let identifier = platform.change(|state| state.register(name, events))?;
    let features = http::header(&head.headers, FEATURES).unwrap_or_default();
    let config = &platform.config;
    let registered = Registered {
        function_name: &config.function_name,
        function_version: &config.function_version,
        handler: &config.handler,
        account_id: features.split(',').any(|name| name.trim() == "accountId").then_some(&config.account_id),
    };
    let mut answer = to_json(&registered);
    http::set_header(&mut answer, IDENTIFIER, &identifier);
    Ok(answer)
}

async fn next(platform: &Platform, headers: &HeaderMap) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    #[serde(tag = "eventType", rename_all = "UPPERCASE")]
    enum Body<'a> {
        #[serde(rename_all = "camelCase")]
        Invoke {
            deadline_ms: u64,
            request_id: &'a str,
            invoked_function_arn: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            tracing: Option<Tracing>,
        },
        #[serde(rename_all = "camelCase")]
        Shutdown { shutdown_reason: &'a str, deadline_ms: u64 },
    }
    let identifier = identifier(headers)?;
    let poll = platform.change(|state| state.extension_next(identifier))?;
    let event = platform.wait(|state| state.take_extension_event(identifier, poll)).await;
    let body = match &event {
        ExtensionEvent::Invoke(current) => Body::Invoke {
            deadline_ms: clock::epoch_ms(current.deadline),
            request_id: &current.request_id,
            invoked_function_arn: &current.function_arn,
            tracing: current.tracing(),
        },
        ExtensionEvent::Shutdown { reason, deadline } => {
            Body::Shutdown { shutdown_reason: reason, deadline_ms: clock::epoch_ms(*deadline) }
        }
    };
    let mut answer = to_json(&body);
    http::set_header(&mut answer, "lambda-extension-event-identifier", &clock::uuid());
    Ok(answer)
}

async fn error(
    platform: &Platform,
    request: Request<Incoming>,
    call: ExtensionErrorCall,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    http::read(body, BODY_BYTES_MAX).await?;
    let identifier = identifier(&head.headers)?;
    let Some(reported) = http::header(&head.headers, ERROR_TYPE) else {
        let message = "Lambda-Extension-Function-Error-Type not found";
        return Err(Refusal::forbidden("Extension.MissingHeader", message));
    };
    platform.change(|state| state.extension_error(identifier, call, reported.to_owned()))?;
    Ok(http::accepted())
}

/// `PUT /2022-07-01/telemetry`.
pub(crate) async fn subscribe(platform: &Platform, request: Request<Incoming>) -> Answer {
    match subscribed(platform, request).await {
        Ok(answer) => answer,
        Err(refusal) => http::refused(&refusal),
    }
}

async fn subscribed(platform: &Platform, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let body = http::read(body, BODY_BYTES_MAX).await?.bytes;
    let (name, open) = platform.change(|state| state.subscriber(identifier(&head.headers)?))?;
    if !open {
        let message = "Telemetry API subscription is closed";
        return Err(Refusal::forbidden("Telemetry.SubscriptionClosed", message));
    }
    let subscription = match Subscription::parse(&body) {
        Ok(subscription) => subscription,
        Err(message) => {
            return Ok(http::json(StatusCode::BAD_REQUEST, error_body("ValidationError", &message)));
        }
    };
    let types = subscription.types.clone();
    platform.logs.relay.subscribe(subscription);
    platform.logs.platform_event(&Event::TelemetrySubscription { name, state: "Subscribed", types });
    Ok(http::json(StatusCode::OK, r#""OK""#))
}

fn identifier(headers: &HeaderMap) -> Result<&str, Refusal> {
    let Some(identifier) = http::header(headers, IDENTIFIER) else {
        let message = "Missing Lambda-Extension-Identifier header";
        return Err(Refusal::forbidden("Extension.MissingExtensionIdentifier", message));
    };
    let is_uuid = identifier.len() == 36
        && identifier.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if !is_uuid {
        let message = "Invalid Lambda-Extension-Identifier";
        return Err(Refusal::forbidden("Extension.InvalidExtensionIdentifier", message));
    }
    Ok(identifier)
}

fn to_json(body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("strings and numbers are always JSON");
    http::json(StatusCode::OK, body)
}
