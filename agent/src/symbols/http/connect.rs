//! A connection to a server, plain or through TLS.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::Url;

/// How many addresses of a host are asked; large services name 8.
const ADDRESSES_MAX: usize = 8;

/// What TLS trusts: read from the system with the first `https`, since that takes milliseconds.
#[derive(Default)]
pub(super) struct Trust(OnceLock<Arc<ClientConfig>>);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.0.get() {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(io::Error::other(
                "this machine trusts no certificate (ca-certificates is not installed)",
            ));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.0.get_or_init(|| Arc::new(config)).clone())
    }
}

/// A stream of bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a URL's server within `limit`.
pub(super) async fn open(url: &Url, limit: Duration, trust: &Trust) -> io::Result<TokioIo<Box<dyn Stream>>> {
    timeout(limit, connect(url, trust))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("not within {limit:?}"))))
}

/// Asks all addresses of a host at once, so that one that leads nowhere, as IPv6 does on some networks, does not use up the time of the
/// others.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    for address in lookup_host((host, port)).await?.take(ADDRESSES_MAX) {
        tries.spawn(TcpStream::connect(address));
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(error) => failed = io::Error::other(error),
        }
    }
    Err(failed)
}

async fn connect(url: &Url, trust: &Trust) -> io::Result<TokioIo<Box<dyn Stream>>> {
    let stream = reach(url.host(), url.port()).await?;
    if !url.secure() {
        return Ok(TokioIo::new(Box::new(stream)));
    }
    let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(trust.config()?).connect(name, stream).await?;
    Ok(TokioIo::new(Box::new(stream)))
}
