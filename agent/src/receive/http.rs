//! Failures as HTTP bodies: any path, POST, one error body, NDJSON, or a printed trace.
//!
//! The answer is 200 once the spool has taken every failure of the body, so the sender may forget it; 503 with
//! `Retry-After` if the spool is full.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The largest body, in bytes: Lambda's own limit for what a runtime may post (6 MiB), with room for its envelope.
pub const BODY_BYTES_MAX: usize = 6 * 1024 * 1024 + 64 * 1024;

/// The most connections at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;

/// How long a peer may take for the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// How long a peer may take for the body of a request.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// What the pipeline says to a body.
pub enum Taken {
    /// Every failure in it is safe; their number.
    Safe(usize),
    /// Not now.
    Full,
}

/// Answers requests on `listener` for ever. `take` is called on a thread that may block.
pub async fn serve<F>(listener: TcpListener, take: F)
where
    F: Fn(&[u8]) -> Taken + Send + Sync + 'static,
{
    let take = Arc::new(take);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, or the peer has gone already: neither gets better by trying at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let take = Arc::clone(&take);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&take)));
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
            // A peer that breaks off or speaks no HTTP has told us nothing that could be kept.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

async fn answer<F>(request: Request<Incoming>, take: Arc<F>) -> Result<Response<Full<Bytes>>, Infallible>
where
    F: Fn(&[u8]) -> Taken + Send + Sync + 'static,
{
    if request.method() != Method::POST {
        return Ok(say(
            StatusCode::METHOD_NOT_ALLOWED,
            "POST a failure: an error body, NDJSON or a printed trace\n",
        ));
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_WAIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(say(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body is over {BODY_BYTES_MAX} bytes\n"),
            ));
        }
        Ok(Err(_)) => return Ok(say(StatusCode::BAD_REQUEST, "the body broke off\n")),
        Err(_) => return Ok(say(StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n")),
    };
    Ok(match tokio::task::spawn_blocking(move || take(&body)).await {
        Ok(Taken::Safe(0)) => say(StatusCode::UNPROCESSABLE_ENTITY, "no failure was found in the body\n"),
        Ok(Taken::Safe(count)) => say(StatusCode::OK, &format!("{{\"records\":{count}}}\n")),
        Ok(Taken::Full) => {
            let mut answer = say(StatusCode::SERVICE_UNAVAILABLE, "the spool is full; try again\n");
            answer.headers_mut().insert(RETRY_AFTER, hyper::header::HeaderValue::from_static("1"));
            answer
        }
        Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read\n"),
    })
}

fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}
