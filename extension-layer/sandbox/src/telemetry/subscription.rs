//! What an extension asks for with `PUT /2022-07-01/telemetry`, checked against the documented ranges.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::Uri;
use serde::Deserialize;

use super::event::Category;

/// Documented range of `buffering.maxItems`, in events.
const MAX_ITEMS: RangeInclusive<u64> = 1000..=10_000;
/// Documented range of `buffering.maxBytes`.
const MAX_BYTES: RangeInclusive<u64> = 262_144..=1_048_576;
/// Documented range of `buffering.timeoutMs`.
const TIMEOUT_MS: RangeInclusive<u64> = 25..=30_000;

/// A checked subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) types: Vec<Category>,
    pub(crate) buffering: Buffering,
    pub(crate) destination: Destination,
    /// Whether JSON lines come as objects: from schema 2022-12-13 on.
    pub(crate) objects: bool,
}

/// When a batch is sent: whichever bound is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffering {
    pub(crate) items_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) wait: Duration,
}

/// Where batches are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    /// Host and port as the extension wrote them.
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Subscription {
    /// Reads a request's body; the error is the message of the `ValidationError` that answers it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let objects = match request.schema_version.as_str() {
            "2022-07-01" => false,
            "2022-12-13" | "2025-01-29" => true,
            other => {
                return Err(format!(
                    "schemaVersion {other} is not one of 2022-07-01, 2022-12-13, 2025-01-29"
                ));
            }
        };
        if request.types.is_empty() {
            return Err("types must name at least one of platform, function, extension".to_owned());
        }
        let buffering = request.buffering.unwrap_or_default();
        Ok(Self {
            types: request.types,
            buffering: Buffering {
                items_max: within("maxItems", buffering.max_items.unwrap_or(1000), MAX_ITEMS)?,
                bytes_max: within("maxBytes", buffering.max_bytes.unwrap_or(262_144), MAX_BYTES)?,
                wait: Duration::from_millis(within(
                    "timeoutMs",
                    buffering.timeout_ms.unwrap_or(1000),
                    TIMEOUT_MS,
                )? as u64),
            },
            destination: request.destination.check()?,
            objects,
        })
    }
}

fn within(field: &str, value: u64, range: RangeInclusive<u64>) -> Result<usize, String> {
    if value < *range.start() {
        return Err(format!("buffering.{field} must be >= {}", range.start()));
    }
    if value > *range.end() {
        return Err(format!("buffering.{field} must be <= {}", range.end()));
    }
    usize::try_from(value).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    schema_version: String,
    types: Vec<Category>,
    buffering: Option<BufferingRequest>,
    destination: DestinationRequest,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct BufferingRequest {
    max_items: Option<u64>,
    max_bytes: Option<u64>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
struct DestinationRequest {
    protocol: String,
    #[serde(rename = "URI", default)]
    uri: String,
}

impl DestinationRequest {
    fn check(self) -> Result<Destination, String> {
        if self.protocol != "HTTP" {
            return Err(format!(
                "destination.protocol {}: this sandbox delivers by HTTP only",
                self.protocol
            ));
        }
        let uri: Uri =
            self.uri.parse().map_err(|error| format!("Invalid destination: destination.URI: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("Invalid destination: destination.URI scheme must be http".to_owned());
        }
        if !matches!(uri.host(), Some("sandbox.localdomain" | "sandbox")) {
            return Err("Invalid destination: destination.URI host must be sandbox.localdomain".to_owned());
        }
        let port = uri.port_u16().unwrap_or(80);
        Ok(Destination {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            host: format!("sandbox.localdomain:{port}"),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(schema: &str, types: &str, buffering: &str, uri: &str) -> Result<Subscription, String> {
        Subscription::parse(
            format!(
                r#"{{"schemaVersion":"{schema}","types":[{types}],"buffering":{buffering},
                    "destination":{{"protocol":"HTTP","URI":"{uri}"}}}}"#
            )
            .as_bytes(),
        )
    }

    #[test]
    fn the_documented_request_is_delivered_to_the_loopback_interface() {
        let subscription = parse(
            "2025-01-29",
            r#""platform","function","extension""#,
            r#"{"maxItems":1000,"maxBytes":262144,"timeoutMs":25}"#,
            "http://sandbox.localdomain:4243/telemetry",
        )
        .unwrap();
        assert_eq!(subscription.destination.address.to_string(), "127.0.0.1:4243");
        assert_eq!(subscription.destination.path, "/telemetry");
        assert_eq!(subscription.buffering.wait, Duration::from_millis(25));
        assert_eq!(subscription.types.len(), 3);
    }

    #[test]
    fn what_the_documents_forbid_is_refused_with_a_reason() {
        let good = ("2022-12-13", r#""platform""#, "{}", "http://sandbox.localdomain:1");
        assert!(parse(good.0, good.1, good.2, good.3).is_ok());
        for (request, reason) in [
            (parse("2024-01-01", good.1, good.2, good.3), "schemaVersion 2024-01-01"),
            (parse(good.0, "", good.2, good.3), "at least one"),
            (parse(good.0, r#""logs""#, good.2, good.3), "unknown variant"),
            (parse(good.0, good.1, r#"{"timeoutMs":10}"#, good.3), "buffering.timeoutMs must be >= 25"),
            (parse(good.0, good.1, r#"{"maxItems":10001}"#, good.3), "buffering.maxItems must be <= 10000"),
            (parse(good.0, good.1, good.2, "http://localhost:1"), "host must be sandbox.localdomain"),
            (parse(good.0, good.1, good.2, "https://sandbox.localdomain:1"), "scheme must be http"),
            (Subscription::parse(b"{"), "EOF"),
        ] {
            let error = request.unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let tcp = br#"{"schemaVersion":"2022-07-01","types":["platform"],"destination":{"protocol":"TCP","port":1}}"#;
        assert!(Subscription::parse(tcp).unwrap_err().contains("HTTP only"));
    }
}
