//! A forwarder that keeps what passes through it, and what it heard as HTTP messages.
//!
//! It keeps the order between connections too: aws-lambda-ric 4.0.2 asks for the next event on one connection as soon as it has written a
//! failed stream to another, and Lambda refuses a question that overtakes the answer. So one thread does everything, and what a new
//! connection has brought with it goes out before anybody else's turn.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long a connection waits for somebody to listen at the other end: the extension's proxy opens while it registers.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long it takes at most until everybody has closed, once the processes have ended.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Fields that concern one connection only, and `Host`, which names its other end.
const OF_A_CONNECTION: [&str; 4] = ["host", "connection", "keep-alive", "proxy-connection"];

/// The field that names one attempt: a new one each time.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Listens at one address and passes everything on to another.
pub(super) struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
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
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let heard = Arc::<Mutex<Heard>>::default();
        let (stop, stopped) = oneshot::channel();
        let kept = Arc::clone(&heard);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(listener, to, kept, stopped))
        });
        Ok(Tap { address, heard, stop, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests and answers of the Runtime API, once everybody has closed their connections.
    pub(super) fn close(self) -> io::Result<(Vec<Message>, Vec<Message>)> {
        // If it has ended by itself, its result says why.
        let _ = self.stop.send(());
        self.thread.join().expect("a tap does not panic")?;
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        let of_runtime = |number: usize| {
            let requests = heard.requests.iter().filter(|(of, _)| *of == number);
            let bytes: Vec<u8> = requests.flat_map(|(_, bytes)| bytes).copied().collect();
            memchr::memmem::find(&bytes, b" /2018-06-01/runtime/").is_some()
        };
        Ok((messages(&heard.requests, of_runtime), messages(&heard.answers, of_runtime)))
    }
}

async fn serve(
    listener: TcpListener,
    to: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut copying = JoinSet::new();
    for number in 0.. {
        let client = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = &mut stopped => break,
        };
        // A client that nobody serves is closed, and notices.
        let Ok((client, server)) = open(client.into_std()?, to, number, &heard) else { continue };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        copying.spawn(copy(from_client, to_server, number, Direction::Request, Arc::clone(&heard)));
        copying.spawn(copy(from_server, to_client, number, Direction::Answer, Arc::clone(&heard)));
    }
    let all = async { while copying.join_next().await.is_some() {} };
    let late = |_| io::Error::other("a connection stays open although every process has ended");
    tokio::time::timeout(CLOSE_MAX, all).await.map_err(late)
}

/// Connects to the other end and passes on what the client has sent by now. It blocks: nobody else may go first.
fn open(
    mut client: TcpStream,
    to: SocketAddr,
    number: usize,
    heard: &Mutex<Heard>,
) -> io::Result<(tokio::net::TcpStream, tokio::net::TcpStream)> {
    let until = Instant::now() + CONNECT_MAX;
    let mut server = loop {
        match TcpStream::connect(to) {
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            connected => break connected?,
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    // Nothing yet, or the end, which the next who reads sees again.
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        heard.lock().unwrap().requests.push((number, buffer[..length].to_vec()));
        server.write_all(&buffer[..length])?;
    }
    server.set_nonblocking(true)?;
    Ok((tokio::net::TcpStream::from_std(client)?, tokio::net::TcpStream::from_std(server)?))
}

/// Passes on one direction until its end, and the end as such.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    direction: Direction,
    heard: Arc<Mutex<Heard>>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        {
            let mut heard = heard.lock().unwrap();
            let list = match direction {
                Direction::Request => &mut heard.requests,
                Direction::Answer => &mut heard.answers,
            };
            list.push((number, bytes.to_vec()));
        }
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // If the other side has gone there is nobody to tell.
    let _ = to.shutdown().await;
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
