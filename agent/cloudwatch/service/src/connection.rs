//! One connection: requests one after the other, until one of them is made to end it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use crate::clock::Time;
use crate::fault::{Chooser, Fault};
use crate::http::{Broken, Head, Reader, answer};
use crate::limits::BODY_BYTES_MAX;
use crate::operations;
use crate::options::Options;
use crate::put::Load;
use crate::refusal::Refusal;
use crate::signature;
use crate::state::{Request, State};

const AWS_JSON: &str = "application/x-amz-json-1.1";

/// What every connection sees.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) chooser: Mutex<Chooser>,
}

impl Shared {
    fn now(&self) -> Time {
        Time::now(self.options.clock_offset_ms)
    }
}

/// The guard, whatever became of the thread that held it before: the state is whole between two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says to those who wait that the service stops.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *lock(&self.stopped)
    }

    /// Waits, unless the service stops; whether it goes on.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut stopped = lock(&self.stopped);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if *stopped || left.is_zero() {
                return !*stopped;
            }
            stopped = self.changed.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
    Reset,
}

/// Serves one connection to its end.
pub(crate) fn serve(stream: &TcpStream, shared: &Shared, gate: &Gate) {
    let mut reader = Reader::new(stream);
    loop {
        let next = match reader.head() {
            Ok(head) => request(&mut reader, stream, &head, shared, gate),
            Err(broken) => refuse(stream, "", broken, shared),
        };
        match next {
            Next::Keep if !gate.is_stopped() => {}
            Next::Reset => {
                reset_at_close(stream);
                return;
            }
            Next::Keep | Next::Close => {
                // Whoever reads the answer first sees the end second.
                let _ = stream.shutdown(Shutdown::Write);
                return;
            }
        }
    }
}

/// From now on, closing the connection resets it.
pub(crate) fn reset_at_close(stream: &TcpStream) {
    // A socket that cannot do it is closed in the usual way.
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// Notes a request that could not be read, and says so to whoever is there to hear it.
fn refuse(stream: &TcpStream, operation: &str, broken: Broken, shared: &Shared) -> Next {
    let Broken::Refused(status) = broken else { return Next::Close };
    let number = {
        let mut state = lock(&shared.state);
        let number = state.request_number;
        let request = Request {
            number,
            operation: operation.to_owned(),
            outcome: format!("HTTP {status}"),
            status,
            bytes: 0,
            events: 0,
            event_bytes: 0,
            stored: 0,
        };
        state.note(request, shared.options.requests_max);
        number
    };
    send(stream, &answer(status, "text/plain", b"", (shared.now(), number), None));
    Next::Close
}

fn request(reader: &mut Reader<'_>, stream: &TcpStream, head: &Head, shared: &Shared, gate: &Gate) -> Next {
    let target = head.header("x-amz-target").unwrap_or_default();
    let operation = target.strip_prefix("Logs_20140328.").unwrap_or(target).to_owned();
    let fault = lock(&shared.chooser).choose(&operation);
    let body = match fault {
        Some(Fault::ResetBeforeBody) => Vec::new(),
        _ => match reader.body(head) {
            Ok(body) => body,
            Err(broken) => return refuse(stream, &operation, broken, shared),
        },
    };
    let latency = lock(&shared.chooser).faults.latency;
    if !gate.wait(latency) {
        return Next::Close;
    }
    let answer = done(head, &operation, &body, fault, shared);
    match fault {
        Some(Fault::ResetBeforeBody | Fault::ResetAfterBody) => Next::Reset,
        Some(Fault::Hang) => {
            reader.until_gone();
            Next::Close
        }
        Some(Fault::LostAnswer) => Next::Close,
        Some(Fault::HalfAnswer) => {
            send(stream, half(&answer));
            Next::Close
        }
        Some(Fault::SlowAnswer) => {
            let slow_byte = lock(&shared.chooser).faults.slow_byte;
            let all = answer.iter().all(|byte| send(stream, &[*byte]) && gate.wait(slow_byte));
            if all { Next::Keep } else { Next::Close }
        }
        Some(Fault::Noise) => {
            send(stream, b"\x16\x03\x01 this is no answer\r\n\r\n");
            Next::Close
        }
        _ if send(stream, &answer) && !closes(head) => Next::Keep,
        _ => Next::Close,
    }
}

/// The head of an answer and the first half of its body.
fn half(answer: &[u8]) -> &[u8] {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    &answer[..head + (answer.len() - head) / 2]
}

fn closes(head: &Head) -> bool {
    head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

/// What a request came to, before it is written down as an answer.
struct Outcome {
    name: String,
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    retry_after: Option<u32>,
}

impl Outcome {
    fn refused(refusal: &Refusal) -> Self {
        let (name, body) = (refusal.kind.to_owned(), refusal.body());
        Self { name, status: refusal.status, content_type: AWS_JSON, body, retry_after: None }
    }

    fn bare(status: u16, body: &str) -> Self {
        let body = body.as_bytes().to_vec();
        Self { name: String::new(), status, content_type: "text/html", body, retry_after: None }
    }
}

/// Does the request unless a fault forbids it, notes it, and gives the bytes of the answer. All under one lock, so that whoever
/// has read an answer also finds it in the state.
fn done(head: &Head, operation: &str, body: &[u8], fault: Option<Fault>, shared: &Shared) -> Vec<u8> {
    let now = shared.now();
    let mut load = Load::default();
    let mut state = lock(&shared.state);
    let mut outcome = match fault.and_then(instead) {
        Some(outcome) => outcome,
        None => match perform(head, body, &mut state, now, shared, &mut load) {
            Ok(body) => Outcome {
                name: "ok".to_owned(),
                status: 200,
                content_type: AWS_JSON,
                body,
                retry_after: None,
            },
            Err(refusal) => Outcome::refused(&refusal),
        },
    };
    let silent = matches!(
        fault,
        Some(Fault::Hang | Fault::ResetBeforeBody | Fault::ResetAfterBody | Fault::LostAnswer | Fault::Noise)
    );
    if let Some(fault) = fault {
        fault.name().clone_into(&mut outcome.name);
        if fault == Fault::Garbage {
            (outcome.status, outcome.body) = (200, b"{\"nextSequenceToken\": <html>".to_vec());
        }
    }
    let number = state.request_number;
    let request = Request {
        number,
        operation: operation.to_owned(),
        outcome: outcome.name,
        status: if silent { 0 } else { outcome.status },
        bytes: body.len(),
        events: load.events,
        event_bytes: load.event_bytes,
        stored: load.stored,
    };
    state.note(request, shared.options.requests_max);
    answer(outcome.status, outcome.content_type, &outcome.body, (now, number), outcome.retry_after)
}

/// What is answered instead of doing what was asked; nothing if the fault lets it be done.
fn instead(fault: Fault) -> Option<Outcome> {
    let said =
        |status, kind, message: &str| Outcome::refused(&Refusal { status, ..Refusal::new(kind, message) });
    Some(match fault {
        Fault::Throttle { retry_after } => {
            Outcome { retry_after, ..said(400, "ThrottlingException", "Rate exceeded") }
        }
        Fault::Internal => said(500, "InternalFailure", "The service failed inside."),
        Fault::Unavailable => {
            said(503, "ServiceUnavailableException", "The service cannot complete the request.")
        }
        Fault::Bare500 => Outcome::bare(500, ""),
        Fault::Bare503 => Outcome::bare(503, "<html><body><h1>503 Service Unavailable</h1></body></html>"),
        Fault::TooLarge => Outcome::bare(413, "<html><body><h1>413 Content Too Large</h1></body></html>"),
        Fault::ExpiredToken => {
            said(400, "ExpiredTokenException", "The security token included in the request is expired")
        }
        Fault::Hang | Fault::ResetBeforeBody | Fault::ResetAfterBody => Outcome::bare(0, ""),
        Fault::SlowAnswer | Fault::HalfAnswer | Fault::LostAnswer | Fault::Garbage | Fault::Noise => {
            return None;
        }
    })
}

fn perform(
    head: &Head,
    body: &[u8],
    state: &mut State,
    now: Time,
    shared: &Shared,
    load: &mut Load,
) -> Result<Vec<u8>, Refusal> {
    let typed = head.header("content-type").is_some_and(|value| value.starts_with(AWS_JSON));
    let operation = head.header("x-amz-target").and_then(operations::named);
    let Some(operation) = operation.filter(|_| typed && head.method == "POST") else {
        return Err(Refusal::new("UnknownOperationException", ""));
    };
    let (expired, denied, delete_after) = {
        let chooser = lock(&shared.chooser);
        let faults = &chooser.faults;
        (faults.expired_tokens.clone(), faults.denied.clone(), faults.delete_stream_after_puts)
    };
    signature::check(head, body, shared.options.credentials.as_deref(), &expired, now)?;
    if denied.iter().any(|denied| denied == operation) {
        let message = format!(
            "User: arn:aws:sts::123456789012:assumed-role/stand-in is not authorized to perform: logs:{operation} because \
             no identity-based policy allows the logs:{operation} action"
        );
        return Err(Refusal::new("AccessDeniedException", message));
    }
    let unpacked;
    let body = match head.header("content-encoding") {
        Some("gzip") => {
            unpacked = unpack(body)?;
            &unpacked
        }
        Some(_) => return Err(Refusal::new("SerializationException", "unknown Content-Encoding")),
        None => body,
    };
    let answer = operations::run(operation, body, state, now, &shared.options, load)?;
    if load.stored > 0 && delete_after.is_some() {
        state.delete_streams_of(delete_after);
    }
    Ok(answer.to_string().into_bytes())
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(body).take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Refusal::new("SerializationException", format!("the body is no gzip: {error}")))?;
    if unpacked.len() > BODY_BYTES_MAX {
        let message = "the unpacked body is too large";
        return Err(Refusal { status: 413, ..Refusal::new("RequestEntityTooLargeException", message) });
    }
    Ok(unpacked)
}
