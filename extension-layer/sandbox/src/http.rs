//! Bodies in, answers out.
//!
//! Every body is read to its end before its request is answered, also where the head alone decides: a sender whose
//! connection is closed while it still writes sees a broken pipe in place of the answer.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::fault::error_body;
use crate::state::Refusal;

/// Bytes of a body that is too large which are still read, so that its sender hears of it. Above the largest
/// streamed response (200 MB).
const DISCARDED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The answer to a request.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A body that was read to its end.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    Truncated,
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self {
                status: 413,
                error_type: "RequestEntityTooLarge",
                message: "Exceeded maximum allowed payload size".to_owned(),
            },
            BodyError::Truncated => Self {
                status: 400,
                error_type: "TruncatedHTTPRequest",
                message: "HTTP request detected as truncated".to_owned(),
            },
        }
    }
}

/// Reads a body of at most `bytes_max`, whatever its framing.
pub(crate) async fn read(mut incoming: Incoming, bytes_max: usize) -> Result<Body, BodyError> {
    let (mut bytes, mut length, mut trailers) = (BytesMut::new(), 0_usize, HeaderMap::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| BodyError::Truncated)?;
        match frame.into_data() {
            Ok(data) => {
                length += data.len();
                if length <= bytes_max {
                    bytes.extend_from_slice(&data);
                } else if length > DISCARDED_BYTES_MAX {
                    return Err(BodyError::TooLarge);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    if length > bytes_max {
        return Err(BodyError::TooLarge);
    }
    Ok(Body { bytes: bytes.freeze(), trailers })
}

/// Reads a body that nobody wants.
pub(crate) async fn discard(incoming: Incoming) {
    // However it ends, the answer is the same.
    let _ = read(incoming, 0).await;
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// `202 {"status":"OK"}`: what the Runtime and Extensions APIs say to whatever they took.
pub(crate) fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

pub(crate) fn refused(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, error_body(refusal.error_type, &refusal.message).to_vec())
}

pub(crate) fn not_found() -> Answer {
    json(StatusCode::NOT_FOUND, error_body("NotFound", "no API of Lambda has this method and path"))
}

/// Sets a header to a value that was checked with [`is_header_value`] or is made of ASCII.
pub(crate) fn set_header(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Whether an HTTP header can carry this value.
pub(crate) fn is_header_value(value: &str) -> bool {
    HeaderValue::from_bytes(value.as_bytes()).is_ok()
}

/// A header's value as text; `None` if it is missing, empty or not UTF-8.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.as_bytes();
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}
