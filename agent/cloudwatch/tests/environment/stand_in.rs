//! A server that gives canned answers: a stand-in for the faults that no emulator produces on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server on the loopback interface that answers one request for each connection.
pub(crate) struct StandIn {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: String,
    /// The body.
    pub(crate) body: String,
}

/// An answer with its head, as it goes over the wire. `headers` are whole lines.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

impl StandIn {
    /// Gives the answers in order; each is sent as it is, then the connection is closed.
    pub(crate) fn answering(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<String> = answers.into_iter().collect();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let request = Request::read(&stream);
                seen.lock().unwrap().push(request);
                // The client may have given up.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, requests }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Request {
    /// Reads one.
    pub(crate) fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut request = Self { head: String::new(), body: String::new() };
        while reader.read_line(&mut request.head).unwrap() > 2 {}
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_string(&mut request.body).unwrap();
        request
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The operation, such as `PutLogEvents`.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target")
            .and_then(|target| target.strip_prefix("Logs_20140328."))
            .unwrap_or_default()
    }
}
