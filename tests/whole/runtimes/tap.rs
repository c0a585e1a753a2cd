//! A forwarder that keeps what passes through it, and what it heard as HTTP messages.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a connection waits for somebody to listen at the other end: the extension's proxy opens while it registers.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Fields that concern one connection only, and `Host`, which names its other end.
const OF_A_CONNECTION: [&str; 4] = ["host", "connection", "keep-alive", "proxy-connection"];

/// The field that names one attempt: a new one each time.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Listens at one address and passes everything on to another.
pub(super) struct Tap {
    address: SocketAddr,
    to: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    closing: Arc<AtomicBool>,
    accepting: JoinHandle<Vec<JoinHandle<()>>>,
}

/// What passed in each direction, in the order in which it was read: the connection's number, and bytes.
#[derive(Default)]
struct Heard {
    requests: Vec<(usize, Vec<u8>)>,
    answers: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Direction {
    Request,
    Answer,
}

impl Tap {
    /// Listens at any port of `host`, for `to`.
    pub(super) fn start(host: Ipv4Addr, to: SocketAddr) -> io::Result<Tap> {
        let listener = TcpListener::bind((host, 0))?;
        let address = listener.local_addr()?;
        let (heard, closing) = (Arc::<Mutex<Heard>>::default(), Arc::new(AtomicBool::new(false)));
        let (kept, ends) = (Arc::clone(&heard), Arc::clone(&closing));
        let accepting = thread::spawn(move || {
            let mut copying = Vec::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else { break };
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let heard = Arc::clone(&kept);
                copying.push(thread::spawn(move || {
                    // A connection that breaks is closed on both sides; whoever uses it notices.
                    let _ = forward(&stream, to, number, &heard);
                }));
            }
            copying
        });
        Ok(Tap { address, to, heard, closing, accepting })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests and answers of the Runtime API, once everybody has closed their connections.
    pub(super) fn close(self) -> (Vec<Message>, Vec<Message>) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        for copying in self.accepting.join().expect("accepting does not panic") {
            copying.join().expect("copying does not panic");
        }
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        let of_runtime = |number: usize| {
            let requests = heard.requests.iter().filter(|(of, _)| *of == number);
            let bytes: Vec<u8> = requests.flat_map(|(_, bytes)| bytes).copied().collect();
            memchr::memmem::find(&bytes, b" /2018-06-01/runtime/").is_some()
        };
        (messages(&heard.requests, of_runtime), messages(&heard.answers, of_runtime))
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} for {}", self.address, self.to)
    }
}

/// Copies both directions of one connection until both are closed.
fn forward(client: &TcpStream, to: SocketAddr, number: usize, heard: &Mutex<Heard>) -> io::Result<()> {
    let server = connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server, number, Direction::Request, heard));
        copy(&server, client, number, Direction::Answer, heard);
    });
    Ok(())
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let until = Instant::now() + CONNECT_MAX;
    loop {
        match TcpStream::connect(to) {
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            connected => return connected,
        }
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, number: usize, direction: Direction, heard: &Mutex<Heard>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        let mut kept = heard.lock().unwrap();
        let list = match direction {
            Direction::Request => &mut kept.requests,
            Direction::Answer => &mut kept.answers,
        };
        list.push((number, bytes.to_vec()));
        drop(kept);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // The end of one direction is passed on as such; if the other side has gone there is nothing to pass on.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// A request or an answer, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Start line and fields, each with its end.
    lines: Vec<Vec<u8>>,
    /// What follows, with the sizes of its chunks and its trailers.
    body: Vec<u8>,
}

impl Message {
    /// Without what concerns one connection only.
    pub(super) fn end_to_end(mut self) -> Message {
        self.lines.retain(|line| {
            !OF_A_CONNECTION.iter().any(|name| field(line).is_some_and(|(known, _)| known == *name))
        });
        self
    }

    /// Without what is another one in each run.
    pub(super) fn of_any_run(mut self) -> Message {
        for line in &mut self.lines {
            if field(line).is_some_and(|(name, _)| name == INVOCATION_ID) {
                *line = format!("{INVOCATION_ID}: …\r\n").into_bytes();
            }
        }
        self
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [self.lines.concat(), self.body.clone()].concat();
        write!(formatter, "\n{}", String::from_utf8_lossy(&bytes).replace('\r', "\u{240d}"))
    }
}

/// Name in lower case and value of a field.
fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = memchr::memchr(b':', line)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Some((text(&line[..colon]).to_ascii_lowercase(), text(&line[colon + 1..])))
}

/// The messages of the connections that `counts`, in the order in which they began.
fn messages(heard: &[(usize, Vec<u8>)], counts: impl Fn(usize) -> bool) -> Vec<Message> {
    let mut numbers: Vec<usize> = heard.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut found: Vec<(usize, Message)> = Vec::new();
    for number in numbers.into_iter().filter(|number| counts(*number)) {
        // Where each byte of the connection stands in the order of all.
        let of_it = || heard.iter().enumerate().filter(|(_, (of, _))| *of == number);
        let bytes: Vec<u8> = of_it().flat_map(|(_, (_, bytes))| bytes).copied().collect();
        let order: Vec<usize> =
            of_it().flat_map(|(at, (_, bytes))| std::iter::repeat_n(at, bytes.len())).collect();
        let mut at = 0;
        while at < bytes.len() {
            let (message, length) = message(&bytes[at..]);
            found.push((order[at], message));
            at += length;
        }
    }
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, message)| message).collect()
}

/// The first message and its length. One that was cut short is what there is of it.
fn message(bytes: &[u8]) -> (Message, usize) {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let lines: Vec<Vec<u8>> =
        bytes[..end].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let value = |name: &str| lines.iter().filter_map(|line| field(line)).find(|(known, _)| known == name);
    let length = match (value("transfer-encoding"), value("content-length")) {
        (Some((_, coding)), _) if coding.eq_ignore_ascii_case("chunked") => chunked(&bytes[end..]),
        (_, Some((_, length))) => length.parse().unwrap_or(0),
        _ => 0,
    };
    let body = &bytes[end..bytes.len().min(end + length)];
    (Message { lines, body: body.to_vec() }, end + body.len())
}

/// The length of a chunked body with its trailers.
fn chunked(bytes: &[u8]) -> usize {
    let mut at = 0;
    let line = |at: usize| {
        memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()).map(|end| &bytes[at..=at + end])
    };
    let mut is_last = false;
    while let Some(text) = line(at) {
        at += text.len();
        if is_last {
            if text == b"\r\n" {
                return at;
            }
            continue;
        }
        let digits = String::from_utf8_lossy(text);
        let digits = digits.split(';').next().unwrap_or_default().trim();
        match usize::from_str_radix(digits, 16) {
            Ok(0) => is_last = true,
            Ok(size) => at += size + 2,
            Err(_) => break,
        }
    }
    bytes.len()
}
