//! How the SDK's requests reach the service: HTTP/1.1 over a small pool, TLS by rustls on ring.
//!
//! What is trusted is the list of certificates in `webpki-roots`, or those of the file that `AWS_CA_BUNDLE` names, and then no others, as
//! in every AWS SDK. `HTTPS_PROXY` and `NO_PROXY` are followed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::clock::ServiceClock;
use crate::fault;

/// How long a connection may take to be made, TLS included: the SDK's own default.
const CONNECT_MAX: Duration = Duration::from_millis(3_100);

/// How long a connection that is not used stays open. The service closes it a little later.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The most connections that are kept for later: as many as batches are on their way.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// The largest bundle that is read, in bytes. The list of every public authority has a quarter of a megabyte.
const BUNDLE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Why a file of certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AWS_CA_BUNDLE names {}, which cannot be used: {reason}; name a file of certificates in PEM, or unset it", path.display())]
pub struct BundleError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The client that every request goes through, those for credentials too.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    client: Client<Timed, SdkBody>,
    clock: ServiceClock,
}

impl Connector {
    /// A client that trusts the certificates in `bundle`, or the usual ones. Nothing is connected yet.
    pub(crate) fn new(bundle: Option<&Path>, clock: ServiceClock) -> Result<Self, BundleError> {
        let roots = match bundle {
            Some(path) => {
                read_bundle(path).map_err(|reason| BundleError { path: path.to_owned(), reason })?
            }
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let way = Way { tcp, proxies: Arc::new(Matcher::from_env()) };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(Timed(HttpsConnector::from((way, tls(roots)))));
        Ok(Self { client, clock })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let (answer, clock) = (self.client.request(request), self.clock.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(failure)?;
            if let Some(date) = answer.headers().get("date").and_then(|date| date.to_str().ok()) {
                clock.note(date);
            }
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Says whether the request may have arrived: an answer that is no HTTP comes from somebody else than the service.
fn failure(error: hyper_util::client::legacy::Error) -> ConnectorError {
    let is_other = fault::find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse);
    if is_other { ConnectorError::other(error.into(), None) } else { ConnectorError::io(error.into()) }
}

fn tls(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Reads a file of certificates, each of which must be one.
fn read_bundle(path: &Path) -> Result<RootCertStore, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > BUNDLE_BYTES_MAX {
        return Err(format!("it has {length} bytes, and {BUNDLE_BYTES_MAX} are the most that is read"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
        let number = index + 1;
        let certificate = certificate.map_err(|error| format!("certificate {number} is damaged: {error}"))?;
        roots.add(certificate).map_err(|error| format!("certificate {number} is none: {error}"))?;
    }
    if roots.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(roots) }
}

/// Connections that are made in [`CONNECT_MAX`] or not at all.
#[derive(Clone, Debug)]
struct Timed(HttpsConnector<Way>);

type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, ConnectionError>> + Send>>;
type ConnectionError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Timed {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectionError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_MAX, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {CONNECT_MAX:?}").into()),
            }
        })
    }
}

/// The way to a host: straight, or through a proxy.
#[derive(Clone, Debug)]
struct Way {
    tcp: TcpConnector,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectionError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        // Only what is encrypted may pass a proxy: what is not goes to this machine, as in tests.
        let is_encrypted = to.scheme_str() == Some("https");
        let proxy = is_encrypted.then(|| self.proxies.intercept(&to)).flatten();
        let mut tcp = self.tcp.clone();
        let Some(proxy) = proxy else { return Box::pin(async move { Ok(tcp.call(to).await?) }) };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(word) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(word.clone());
        }
        Box::pin(async move { Ok(tunnel.call(to).await?) })
    }
}
