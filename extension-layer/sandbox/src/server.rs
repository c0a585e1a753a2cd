//! One listener for all of Lambda's APIs.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::http::{self, Answer};
use crate::lifecycle::Job;
use crate::platform::Platform;
use crate::{extensions_api, invoke_api, runtime_api};

/// Bytes of one request's head. Clients send up to 1 MiB of X-Ray cause in a single header.
const HEAD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Serves until it is dropped; its connections end with it.
pub(crate) async fn run(listener: TcpListener, platform: Arc<Platform>, jobs: mpsc::Sender<Job>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, platform.clone(), jobs.clone()));
                }
                // Out of descriptors, most likely: one that is closed makes room.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, platform: Arc<Platform>, jobs: mpsc::Sender<Job>) {
    // Without it an answer in two segments waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (platform, jobs) = (platform.clone(), jobs.clone());
        async move { Ok::<_, Infallible>(route(&platform, &jobs, request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_buf_size(HEAD_BYTES_MAX).title_case_headers(true);
    // A client that goes away ends its connection, and with it a long poll; nobody else is concerned.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn route(platform: &Platform, jobs: &mpsc::Sender<Job>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let answer = match (request.method(), segments.as_slice()) {
        (_, ["2018-06-01", "runtime", path @ ..]) => runtime_api::handle(platform, request, path).await,
        (_, ["2020-01-01", "extension", path @ ..]) => extensions_api::handle(platform, request, path).await,
        (&Method::PUT, ["2022-07-01", "telemetry"]) => Ok(extensions_api::subscribe(platform, request).await),
        (&Method::POST, ["2015-03-31", "functions", name, "invocations"]) => {
            Ok(invoke_api::handle(platform, jobs, request, name).await)
        }
        _ => Err(request),
    };
    match answer {
        Ok(answer) => answer,
        Err(request) => {
            http::discard(request.into_body()).await;
            http::not_found()
        }
    }
}
