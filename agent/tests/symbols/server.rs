//! Web servers that do as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server on loopback; it lives as long as the test program.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Asked>,
}

#[derive(Default)]
struct Asked {
    count: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

impl Server {
    /// `answer` gets the path that is asked for, and the connection to write to.
    pub(crate) fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Asked> = Arc::default();
        let counted = asked.clone();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (answer, asked) = (answer.clone(), counted.clone());
                std::thread::spawn(move || {
                    asked.count.fetch_add(1, Ordering::SeqCst);
                    let head = head(&stream);
                    let path = path(&head);
                    asked.heads.lock().unwrap().push(head);
                    answer(&path, &mut stream);
                });
            }
        });
        Self { url, asked }
    }

    /// A server that answers each path that ends so with these bytes, whole and well.
    pub(crate) fn with(path: impl Into<String>, body: Vec<u8>) -> Self {
        let path = path.into();
        Self::start(move |asked, stream| match asked.ends_with(&path) {
            true => ok(stream, "", &body),
            false => absent(stream),
        })
    }

    /// How often it was connected to.
    pub(crate) fn count(&self) -> usize {
        self.asked.count.load(Ordering::SeqCst)
    }

    /// What it was asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.heads().iter().map(|head| path(head)).collect()
    }

    /// The same, with all headers.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.asked.heads.lock().unwrap().clone()
    }
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    lines.join("\r\n")
}

fn path(head: &str) -> String {
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Writes what it can: the other side may have seen enough.
pub(crate) fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

pub(crate) fn ok(stream: &mut TcpStream, headers: &str, body: &[u8]) {
    send(stream, format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    send(stream, body);
}

pub(crate) fn absent(stream: &mut TcpStream) {
    send(stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found");
}

/// In pieces, each with its length before it; with an end, or broken off.
pub(crate) fn chunked(stream: &mut TcpStream, headers: &str, body: &[u8], whole: bool) {
    send(stream, format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    for chunk in body.chunks(1000) {
        send(stream, format!("{:x}\r\n", chunk.len()).as_bytes());
        send(stream, chunk);
        send(stream, b"\r\n");
    }
    if whole {
        send(stream, b"0\r\n\r\n");
    }
}
