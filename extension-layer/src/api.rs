//! Lambda's Extensions API (2020-01-01) and Telemetry API (2022-07-01), from the extension's side.

use std::time::Duration;

use memchr::memmem;

use crate::error::{Error, Result};
use crate::http::{Connection, Endpoint};

const REGISTER: &str = "/2020-01-01/extension/register";
const NEXT: &str = "/2020-01-01/extension/event/next";
const TELEMETRY: &str = "/2022-07-01/telemetry";

/// The schemas of telemetry, newest first. Managed Instances know the first only; the API refuses an unknown one with 400.
const SCHEMAS: [&str; 3] = ["2025-01-29", "2022-12-13", "2022-07-01"];

/// Bytes of a refusal that are said.
const REFUSAL_BYTES_MAX: usize = 256;

/// Bytes of an event that are searched for its members. An INVOKE is about 400 bytes.
const EVENT_SCAN_BYTES_MAX: usize = 16 * 1024;

/// A registered extension.
#[derive(Debug)]
pub(crate) struct Api {
    connection: Connection,
    identifier: String,
}

/// What Lambda sends for `/next`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An invocation begins.
    Invoke {
        request_id: String,
        /// When it times out, in milliseconds since 1970.
        deadline_ms: Option<u64>,
        raw: Vec<u8>,
    },
    /// The environment ends.
    Shutdown {
        /// True if nothing went wrong: `spindown`. The set of reasons is open.
        is_spindown: bool,
        /// When this process will be killed, in milliseconds since 1970.
        deadline_ms: Option<u64>,
        raw: Vec<u8>,
    },
    /// An event of a type that this version does not know.
    Unknown,
}

/// How the Telemetry API took the subscription.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Telemetry will come.
    Accepted,
    /// None will come, and why.
    None(String),
}

impl Api {
    /// Registers the extension `name`, for INVOKE too unless `managed` or Lambda says that there are none, and does something `meanwhile`.
    /// Also returns Lambda's answer, which describes the function.
    pub(crate) fn register(
        endpoint: Endpoint,
        name: &str,
        managed: bool,
        meanwhile: impl FnOnce(),
    ) -> Result<(Api, Vec<u8>)> {
        let mut connection = Connection::new(endpoint);
        let fields = [
            ("Lambda-Extension-Name", name),
            ("Lambda-Extension-Accept-Feature", "accountId"),
            ("Content-Type", "application/json"),
        ];
        let shutdown_only = r#"{"events":["SHUTDOWN"]}"#;
        let events = if managed { shutdown_only } else { r#"{"events":["INVOKE","SHUTDOWN"]}"# };
        let mut answer =
            connection.exchange_while("POST", REGISTER, &fields, events.as_bytes(), meanwhile)?;
        let has_no_invoke = answer.status == 403 && memmem::find(&answer.body, b"InvalidEventType").is_some();
        if has_no_invoke && !managed {
            answer = connection.exchange("POST", REGISTER, &fields, shutdown_only.as_bytes())?;
        }
        let identifier = answer.fields.get("lambda-extension-identifier");
        match identifier.and_then(|identifier| std::str::from_utf8(identifier).ok()) {
            Some(identifier) if answer.status == 200 => {
                let identifier = identifier.to_owned();
                Ok((Api { connection, identifier }, answer.body))
            }
            _ => Err(refused("registering the extension", answer.status, &answer.body)),
        }
    }

    /// Subscribes to the platform's events and the function's lines. The listener at `port` must accept already.
    pub(crate) fn subscribe(&mut self, port: u16) -> Subscription {
        let fields =
            [("Lambda-Extension-Identifier", &*self.identifier), ("Content-Type", "application/json")];
        let mut refusal = String::new();
        for schema in SCHEMAS {
            // The least that Lambda allows in each respect: early telemetry is what an error waits for. Lines of extensions
            // are not asked for: ours would come back.
            let body = format!(
                r#"{{"schemaVersion":"{schema}","types":["platform","function"],"buffering":{{"maxItems":1000,"maxBytes":262144,"timeoutMs":25}},"destination":{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{port}"}}}}"#
            );
            match self.connection.exchange("PUT", TELEMETRY, &fields, body.as_bytes()) {
                Ok(answer) if answer.status == 200 => return Subscription::Accepted,
                Ok(answer) => {
                    refusal = refused("subscribing to telemetry", answer.status, &answer.body).to_string();
                    // Only a refused schema is worth another try: a second subscription is an error (RIE answers 500).
                    if answer.status != 400 {
                        break;
                    }
                }
                Err(error) => {
                    refusal = chain(&error);
                    break;
                }
            }
        }
        Subscription::None(refusal)
    }

    /// Says that everything for the last event is done, and waits for the next one, without limit.
    pub(crate) fn next(&mut self) -> Result<Event> {
        let fields = [("Lambda-Extension-Identifier", &*self.identifier)];
        let answer = self.connection.exchange("GET", NEXT, &fields, b"")?;
        if answer.status != 200 {
            return Err(refused("asking for the next event", answer.status, &answer.body));
        }
        Ok(Event::read(answer.body))
    }
}

impl Event {
    fn read(raw: Vec<u8>) -> Event {
        let head = &raw[..raw.len().min(EVENT_SCAN_BYTES_MAX)];
        let deadline_ms = number(head, "deadlineMs");
        match string(head, "eventType") {
            Some("INVOKE") => {
                let request_id = string(head, "requestId").unwrap_or_default().to_owned();
                Event::Invoke { request_id, deadline_ms, raw }
            }
            Some("SHUTDOWN") => {
                let reason = string(head, "shutdownReason");
                let is_spindown = reason.is_some_and(|reason| reason.eq_ignore_ascii_case("spindown"));
                Event::Shutdown { is_spindown, deadline_ms, raw }
            }
            _ => Event::Unknown,
        }
    }
}

/// The value of the first member called `name` if it is a string without escapes, as all those that Lambda makes are.
pub(crate) fn string<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let value = member(json, name)?.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', value)?;
    (value[end] == b'"').then(|| std::str::from_utf8(&value[..end]).ok())?
}

fn number(json: &[u8], name: &str) -> Option<u64> {
    let value = member(json, name)?;
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()?.parse().ok()
}

/// What follows the first `"name":`.
pub(crate) fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let quoted = format!("\"{name}\"");
    memmem::find_iter(json, quoted.as_bytes()).find_map(|at| {
        let rest = json[at + quoted.len()..].trim_ascii_start();
        rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    })
}

fn refused(call: &'static str, status: u16, body: &[u8]) -> Error {
    let body = &body[..body.len().min(REFUSAL_BYTES_MAX)];
    Error::Refused { call, status, body: String::from_utf8_lossy(body).into_owned() }
}

/// An error with its causes, for the one line that is said about it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// How long to wait before the API is asked again after `failures` failures in a row. Grows, since whatever is wrong is
/// not cured by asking faster, and CPU is billed; ends at a second, since an extension that does not ask holds the
/// environment up.
pub(crate) fn pause(failures: u32) -> Duration {
    Duration::from_millis(10 << failures.min(7)).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_lambda_sends_them() {
        // Recorded from the runtime interface emulator, without tracing.
        let raw = br#"{"eventType":"INVOKE","deadlineMs":1795419012532,"requestId":"8476a536-e9f4-11e8-9739-2dfe598c3fc1","invokedFunctionArn":"arn:aws:lambda:us-east-1:012345678912:function:seed"}"#;
        let expected = Event::Invoke {
            request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fc1".to_owned(),
            deadline_ms: Some(1_795_419_012_532),
            raw: raw.to_vec(),
        };
        assert_eq!(Event::read(raw.to_vec()), expected);
        for (reason, expected) in
            [("spindown", true), ("SPINDOWN", true), ("Timeout", false), ("any text", false)]
        {
            let raw = format!(
                r#"{{ "eventType" : "SHUTDOWN", "shutdownReason" : "{reason}", "deadlineMs" : 17 }}"#
            );
            let event = Event::read(raw.clone().into_bytes());
            assert_eq!(
                event,
                Event::Shutdown { is_spindown: expected, deadline_ms: Some(17), raw: raw.into_bytes() }
            );
        }
    }

    #[test]
    fn what_is_no_event_is_no_reason_to_stop() {
        for raw in
            [&b""[..], b"null", b"{\"eventType\":", b"{\"eventType\":\"INVOKE", b"{\"eventType\":\"RESUME\"}"]
        {
            assert_eq!(Event::read(raw.to_vec()), Event::Unknown, "{raw:?}");
        }
        let lame = Event::read(br#"{"eventType":"SHUTDOWN","deadlineMs":"soon"}"#.to_vec());
        assert!(matches!(lame, Event::Shutdown { is_spindown: false, deadline_ms: None, .. }));
    }

    #[test]
    fn pauses_grow_to_a_second() {
        assert_eq!(pause(0), Duration::from_millis(10));
        assert_eq!(pause(3), Duration::from_millis(80));
        assert_eq!(pause(u32::MAX), Duration::from_secs(1));
    }
}
