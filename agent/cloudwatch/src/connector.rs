//! How the SDK's requests reach the service: HTTP/1.1 over a small pool, TLS by rustls on ring.
//!
//! What is trusted is the list of certificates in `webpki-roots`, or those of the file that `AWS_CA_BUNDLE` names, and then no others, as
//! in every AWS SDK. `HTTPS_PROXY` and `NO_PROXY` are followed, if the proxy is spoken to in plain HTTP.

use std::error::Error;
use std::fs::File;
use std::io::Read as _;
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
use tokio_rustls::rustls::crypto::{CryptoProvider, KeyProvider};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::sign::SigningKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
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
    /// How long an answer may take, if whoever asks has said it.
    answer_max: Option<Duration>,
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
        Ok(Self { client, clock, answer_max: None })
    }
}

impl HttpClient for Connector {
    /// Those who look for credentials and for a region want an answer sooner than the service can give one: nobody may be at the
    /// address of the instance's metadata. Their time to read is the time for all of it here, the connection too.
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self { answer_max: settings.read_timeout(), ..self.clone() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Only the service's own clock counts, not that of whoever gives the credentials.
        let is_to_service = request.headers().contains_key("x-amz-target");
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let (answer, clock, answer_max) = (self.client.request(request), self.clock.clone(), self.answer_max);
        HttpConnectorFuture::new(async move {
            let answer = match answer_max {
                Some(max) => tokio::time::timeout(max, answer)
                    .await
                    .map_err(|_| ConnectorError::timeout(format!("no answer within {max:?}").into()))?,
                None => answer.await,
            }
            .map_err(failure)?;
            let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
            if let Some(date) = date.filter(|_| is_to_service) {
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
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Loads no key: a client of AWS signs requests, and has no certificate. What would sign with one is left out of the layer.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("this client has no keys".to_owned()))
    }
}

/// Reads a file of certificates, each of which must be one.
fn read_bundle(path: &Path) -> Result<RootCertStore, String> {
    // A pipe may never end, and opening it may never return.
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(BUNDLE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BUNDLE_BYTES_MAX {
        return Err(format!("it is longer than the {BUNDLE_BYTES_MAX} bytes that are read at most"));
    }
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
        // A tunnel is asked for in plain text: a proxy that speaks TLS would not understand it, and the password would be readable.
        if proxy.uri().scheme_str() != Some("http") {
            let scheme = proxy.uri().scheme_str().unwrap_or_default();
            let words = format!(
                "HTTPS_PROXY or ALL_PROXY names a proxy by {scheme}://, and only http:// can be used"
            );
            return Box::pin(std::future::ready(Err(words.into())));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(word) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(word.clone());
        }
        Box::pin(async move { Ok(tunnel.call(to).await?) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
    use std::net::TcpListener;

    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;

    use super::*;

    fn way(proxy: &str) -> Way {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        Way { tcp, proxies: Arc::new(Matcher::builder().https(proxy).build()) }
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel_with_its_password() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = proxy.local_addr().unwrap();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = proxy.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let asked: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            asked
        });
        way(&format!("http://user:word@{address}"))
            .call(Uri::from_static("https://logs.example"))
            .await
            .unwrap();
        let asked = asked.join().unwrap();
        assert_eq!(asked[0], "CONNECT logs.example:443 HTTP/1.1");
        assert!(asked.contains(&"Proxy-Authorization: Basic dXNlcjp3b3Jk".to_owned()), "{asked:?}");
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_something_else_is_told_nothing() {
        for scheme in ["https", "socks5", "socks5h", "socks4"] {
            let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
            proxy.set_nonblocking(true).unwrap();
            let mut way = way(&format!("{scheme}://user:word@{}", proxy.local_addr().unwrap()));
            let connecting = tokio::time::timeout(
                Duration::from_millis(300),
                way.call(Uri::from_static("https://logs.example")),
            );
            let said = connecting.await.map(|way| way.err().map(|error| error.to_string()));
            let connected = proxy.accept().map(|_| ()).map_err(|error| error.kind());
            assert_eq!(connected, Err(ErrorKind::WouldBlock), "{scheme}: {said:?}");
            let said = said.unwrap().unwrap();
            assert!(said.contains(scheme) && said.contains("HTTPS_PROXY"), "{said}");
            assert!(!said.contains("word"), "{said}");
        }
    }

    #[test]
    fn a_bundle_that_has_no_end_is_not_read() {
        for path in ["/dev/zero", "/"] {
            let error = Connector::new(Some(Path::new(path)), ServiceClock::default()).unwrap_err();
            assert_eq!(error.reason, "it is no file");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_an_answer_in_time_is_told_that_there_is_none() {
        // The kernel takes the connection; nobody ever reads from it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(format!("http://{}/", silent.local_addr().unwrap())).unwrap();
        let settings = HttpConnectorSettings::builder().read_timeout(Duration::from_secs(1)).build();
        let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
        let connector = Connector::new(None, ServiceClock::default()).unwrap();
        let answer = connector.http_connector(&settings, &components).call(request);
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        assert!(answer.expect("it gives up").unwrap_err().is_timeout());
    }
}
