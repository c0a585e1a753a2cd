//! The Runtime API proxy: stands between the runtime and Lambda, passes everything on, and keeps a copy of errors.
//!
//! Every path is byte-transparent: a request reaches Lambda with the start line, the fields, the chunks and the trailers
//! that the runtime sent, in its order, and an answer comes back likewise. Only `Host` is ours, and the fields that
//! concern a single connection (RFC 9110 7.6.1) end here; `Transfer-Encoding`, `TE` and `Trailer` stay, since the framing
//! of the body stays. What cannot be read as HTTP is passed on as it is. Nothing is buffered but heads and the copies, which are bounded.
//!
//! The proxy has no time limit anywhere: the process may be frozen inside any call, and the other side is Lambda. It
//! fails as the connection without it would: if Lambda closes or resets, so is the runtime's connection; if the runtime closes
//! while it waits for an invocation, so is Lambda's, or the next event would go to a runtime that is dead.
//!
//! One thread serves all connections and waits for none of them: Managed Instances wait for a thousand invocations at a time, and a sandbox has
//! a thousand threads in all. The modules stand in the order in which a request meets them.

mod route;
mod heads;
mod watch;
mod wire;
mod exchange;
mod poller;

use std::collections::hash_map::RandomState;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::bare::Source;
use crate::capture::Capture;
use crate::config::ResponseFailures;
use crate::http::{Endpoint, RequestHead};
use crate::link::{Failure, Inside, Message, Posted, Worker};
use crate::say::spawn;
use crate::turn::{Answer, Turn};
use poller::Poller;
use route::Route;
use watch::{Asked, Copied};

/// What the proxy tells, and to whom.
pub(crate) struct Proxy {
    lambda: Endpoint,
    worker: Arc<Worker>,
    turn: Arc<Turn>,
    /// What the handler had to say of itself, which it said before its runtime posted anything.
    capture: Option<Arc<Capture>>,
    asked: Asked,
    /// What the wrapper knows us by.
    nonce: String,
}

impl Proxy {
    /// A proxy to `lambda`. Responses that hold a failure are told of as `counts` says.
    pub(crate) fn new(
        lambda: Endpoint,
        worker: Arc<Worker>,
        turn: Arc<Turn>,
        capture: Option<Arc<Capture>>,
        counts: ResponseFailures,
    ) -> Proxy {
        Proxy { lambda, worker, turn, capture, asked: Asked::new(counts), nonce: nonce() }
    }

    /// Starts to accept on `listener`, and says so where wrappers look.
    pub(crate) fn start(self, listener: TcpListener, meeting: &Path) -> io::Result<()> {
        let here = format!("{} {}\n", listener.local_addr()?, self.nonce);
        let poller = Poller::new(listener)?;
        spawn("proxy", move || poller.run(self))?;
        // Without it no wrapper comes; who knows the address still may.
        let _ = write_meeting(meeting, &here);
        Ok(())
    }

    fn drain_capture(&self) {
        if let Some(capture) = &self.capture {
            capture.drain();
        }
    }

    /// The runtime asks for an invocation: what it had to say of the last one is said.
    fn runtime_waits(&self, connection: u64) {
        self.turn.runtime_waits(connection);
        self.drain_capture();
        self.worker.tell(&Message::RuntimeNext);
    }

    /// The runtime was given an invocation, with what begins as `event` does.
    fn given(&mut self, request_id: &str, event: Vec<u8>) {
        self.asked.given(request_id, &event);
        self.worker.given(request_id, event);
    }

    /// The runtime posted an error.
    fn failed(&mut self, route: &Route, request: &RequestHead, copied: Copied) {
        let (source, request_id) = match route {
            Route::Error(request_id) => (Source::Invocation, Some(request_id)),
            _ => (Source::Init, None),
        };
        let failure = Failure::new(source, request_id.cloned(), &copied.bytes);
        let posted = Posted::new(request.clone(), copied.bytes, copied.is_truncated);
        self.drain_capture();
        self.worker.report(&Message::Posted(posted), Some(failure));
        if let Some(request_id) = request_id {
            self.asked.answered(request_id);
            self.turn.runtime_answered(request_id, Answer::Error);
        }
    }

    /// Lambda took the runtime's response, which may hold a failure.
    fn responded(&mut self, request_id: &str, failure: Option<(Inside, Vec<u8>)>) {
        let answer = match failure {
            Some((inside, body)) => {
                let source = if inside == Inside::Batch { Source::Batch } else { Source::Invocation };
                let failure = Failure::new(source, Some(request_id.to_owned()), &body);
                self.drain_capture();
                let message = Message::Response { request_id: request_id.to_owned(), inside, body };
                self.worker.report(&message, Some(failure));
                Answer::Error
            }
            None => Answer::Response,
        };
        self.asked.answered(request_id);
        self.turn.runtime_answered(request_id, answer);
    }
}

/// Writes where the proxy is. Nobody sees a half of it, and if it cannot be written there is none: an old one would be no help.
fn write_meeting(path: &Path, here: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    // They may not be there.
    let _ = fs::remove_file(&new);
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(here.as_bytes())?;
    fs::rename(new, path)
}

/// Something that no earlier proxy was known by. It is no secret: it tells this one from what else may listen at an old address.
fn nonce() -> String {
    // The keys of the standard library's hash maps are the system's random bytes.
    (0..2).map(|_| format!("{:016x}", RandomState::new().build_hasher().finish())).collect()
}

#[cfg(test)]
mod tests;
