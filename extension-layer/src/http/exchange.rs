//! One request and its answer, from either side.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::error::{Error, Result};
use crate::http::{Fields, Reader, ResponseHead, read_body};

/// Bytes of the longest answer of Lambda's Extensions and Telemetry APIs that is read: an event is a few hundred.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a refused request that are read and thrown away: more than Lambda takes of a response (6 MiB).
const LINGER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How long the sender of a refused request may pause in it.
const LINGER_WAIT: Duration = Duration::from_secs(1);

/// Where Lambda's APIs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `host:port`, as it is connected to and as the Host field says it.
    pub(crate) authority: String,
    /// What stands before every path; empty in Lambda, `/.rt/fn` under `cargo lambda watch`.
    pub(crate) path: String,
}

impl Endpoint {
    /// Reads `AWS_LAMBDA_RUNTIME_API`: `host:port`, with or without a scheme and a path.
    pub(crate) fn parse(value: &str) -> Result<Endpoint> {
        let malformed = || Error::Endpoint { value: value.to_owned() };
        let rest = value.strip_prefix("http://").unwrap_or(value);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain =
            !rest.contains("://") && authority.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
        // The port of HTTP where none is given; an IPv6 address has colons of its own, inside brackets.
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let host_and_port = authority.rsplit_once(':').filter(|(host, _)| {
            let is_bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty() && (is_bracketed || !host.contains(':'))
        });
        if !is_plain || host_and_port.is_none() {
            return Err(malformed());
        }
        Ok(Endpoint { path: path.trim_end_matches('/').to_owned(), authority })
    }

    /// Begins to connect. What is written meanwhile has to wait. Lambda gives an address; of the several that a name may have the one is taken at
    /// which emulators listen.
    pub(crate) fn connect_without_waiting(&self) -> io::Result<TcpStream> {
        let addresses = self.authority.to_socket_addrs()?;
        let address = addresses.min_by_key(SocketAddr::is_ipv6).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
        match net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&*self.authority)?;
        // Heads and bodies are written apart; none of them may wait for the other's acknowledgement.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A connection to Lambda's APIs that is opened when it is needed and again when it broke.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    open: Option<Reader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(endpoint: Endpoint) -> Connection {
        Connection { endpoint, open: None }
    }

    /// Sends a request and waits for its answer, for ever: the process may be frozen inside.
    ///
    /// A connection that was idle may be dead without our knowing, most of all after a thaw; a request that fails on one is
    /// sent again on a new one.
    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        self.exchange_while(method, path, fields, body, || ())
    }

    /// As [`Connection::exchange`], with something to do while Lambda works on its answer.
    pub(crate) fn exchange_while(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        meanwhile: impl FnOnce(),
    ) -> Result<Answer> {
        let mut meanwhile = Some(meanwhile);
        let mut request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\n",
            self.endpoint.path, self.endpoint.authority
        );
        for (name, value) in fields {
            request.extend([name, ": ", value, "\r\n"]);
        }
        if method != "GET" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let request = [request.as_bytes(), body].concat();

        if let Some(idle) = self.open.take()
            && let Ok(answer) = self.send(idle, method, &request, &mut meanwhile)
        {
            return Ok(answer);
        }
        let stream = self.endpoint.connect().map_err(Error::io("connecting to Lambda's API"))?;
        self.send(Reader::new(stream), method, &request, &mut meanwhile)
    }

    fn send(
        &mut self,
        mut reader: Reader<TcpStream>,
        method: &str,
        request: &[u8],
        meanwhile: &mut Option<impl FnOnce()>,
    ) -> Result<Answer> {
        reader.stream().write_all(request).map_err(Error::io("writing to Lambda's API"))?;
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile();
        }
        let head = reader.head()?.ok_or(Error::Closed { what: "an exchange with Lambda's API" })?;
        let head = ResponseHead::parse(head)?;
        let body = read_body(&mut reader, head.framing(method)?, ANSWER_BYTES_MAX)?;
        if head.keeps_alive() {
            self.open = Some(reader);
        }
        Ok(Answer { status: head.status, fields: head.fields, body })
    }
}

/// Answers a request that we serve ourselves.
pub(crate) fn respond(mut stream: &TcpStream, status: &str, keep_alive: bool) -> Result<()> {
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{connection}\r\n");
    stream.write_all(answer.as_bytes()).map_err(Error::io("answering"))
}

/// Closes a connection after an answer that did not wait for the whole request. Closed at once, with bytes unread, it would
/// be reset, and the other side would lose the answer.
pub(crate) fn linger(stream: &TcpStream) {
    // Whatever fails here, the connection is over.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(LINGER_WAIT));
    let _ = io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut io::sink());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_is_read_with_and_without_scheme_and_path() {
        let endpoint = |value| Endpoint::parse(value).map(|found| (found.authority, found.path)).ok();
        let expected = |authority: &str, path: &str| Some((authority.to_owned(), path.to_owned()));
        for (value, found) in [
            ("127.0.0.1:9001", expected("127.0.0.1:9001", "")),
            ("http://127.0.0.1:9000/.rt/fn", expected("127.0.0.1:9000", "/.rt/fn")),
            ("http://127.0.0.1:9000/.rt/", expected("127.0.0.1:9000", "/.rt")),
            ("127.0.0.1:9000/.rt", expected("127.0.0.1:9000", "/.rt")),
            ("localhost", expected("localhost:80", "")),
            ("[::1]:9001", expected("[::1]:9001", "")),
            ("http://[::1]", expected("[::1]:80", "")),
            ("", None),
            ("http://", None),
            (":9001", None),
            ("https://127.0.0.1:9001", None),
            ("::1", None),
            ("127.0.0.1:99999", None),
            ("user@127.0.0.1:9001", None),
            ("127.0.0.1:9001\r\nX: y", None),
        ] {
            assert_eq!(endpoint(value), found, "{value:?}");
        }
    }
}
