//! As much of HTTP/1.1 as the stand-ins for Lambda and for CloudWatch need: requests and answers with a length, kept connections.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// The head, in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// One side of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Reads a head and its body. `None` at the end of the connection.
    fn message(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Ok(None);
            }
        }
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        io::Read::read_exact(&mut self.stream, &mut body)?;
        Ok(Some((head, body)))
    }

    /// The next request.
    pub(super) fn request(&mut self) -> io::Result<Option<Request>> {
        let Some((head, body)) = self.message()? else { return Ok(None) };
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(Some(Request { method, path, head: head.to_lowercase(), body }))
    }

    pub(super) fn answer(&mut self, status: &str, fields: &str, body: &str) -> io::Result<()> {
        let answer = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.get_mut().write_all(answer.as_bytes())
    }

    /// Posts JSON, and gives the status of the answer.
    pub(super) fn post(&mut self, body: &[u8]) -> io::Result<u16> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: sandbox.localdomain\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_ref().set_read_timeout(Some(Duration::from_secs(5)))?;
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (head, _) = self.message()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
    }
}
