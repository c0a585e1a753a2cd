//! Raw HTTP over one connection: as little as there can be between a bench and what it measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// One connection to an HTTP server, kept.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream), address: address.to_owned() }
    }

    /// Sends a request, reads the whole answer, and gives its head.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> String {
        let (address, length) = (&self.address, body.len());
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.reader.get_mut().write_all(request.as_bytes()).unwrap();
        read_message(&mut self.reader).expect("the server closed the connection")
    }
}

/// Reads a message with its body and gives its head; `None` at the end of the connection.
pub(crate) fn read_message(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head)
}

/// The value of a header.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
