//! What happens while a message is under way: each piece passes before the next one is sent, whoever speaks first is heard, and who
//! does not read holds up nobody else.
//!
//! Both sides act in turn here, in one thread.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::peer::{End, PATIENCE, Peer};
use super::recorded::{ACCEPTED, EVENT, NEXT, POST_CHUNKED, filler, post};
use super::stand::{Stand, Way};
use super::wire::shown;
use crate::harness::{Outcome, Stop, equal, holds};

pub(super) const WAYS: [Way; 2] = [Way::Directly, Way::Proxied];

/// A client, and the Lambda that it reaches.
pub(super) struct Pair<'a> {
    pub(super) stand: &'a Stand,
    pub(super) way: Way,
    pub(super) client: Peer,
    pub(super) lambda: Option<Peer>,
}

impl<'a> Pair<'a> {
    pub(super) fn open(stand: &'a Stand, way: Way) -> Result<Self, Stop> {
        Ok(Self { stand, way, client: stand.connect(way)?, lambda: None })
    }

    /// Lambda's end. The proxy connects when it has something to send.
    pub(super) fn lambda(&mut self) -> Result<&mut Peer, Stop> {
        if self.lambda.is_none() {
            self.lambda = Some(self.stand.accept(PATIENCE)?);
        }
        Ok(self.lambda.as_mut().expect("it was accepted"))
    }

    /// Sends from the client, and waits until Lambda has it.
    pub(super) fn up(&mut self, bytes: impl AsRef<[u8]>, what: &str) -> Outcome {
        let bytes = bytes.as_ref();
        self.client.send(bytes);
        // What ends with a head may end with another Host.
        let mark = if bytes.ends_with(b"\r\n\r\n") { 4 } else { 12 };
        let mark = bytes[bytes.len().saturating_sub(mark)..].to_vec();
        let way = self.way;
        let lambda = self.lambda()?;
        let has = lambda.until(mark);
        holds(has, format!("{way:?}: {what} does not reach Lambda, which has {}", shown(lambda.got())))
    }

    /// Sends from Lambda, and waits until the client has it.
    pub(super) fn down(&mut self, bytes: impl AsRef<[u8]>, what: &str) -> Outcome {
        let bytes = bytes.as_ref();
        self.lambda()?.send(bytes);
        let has = self.client.until(&bytes[bytes.len().saturating_sub(12)..]);
        holds(
            has,
            format!(
                "{:?}: {what} does not reach the client, which has {}",
                self.way,
                shown(self.client.got())
            ),
        )
    }

    /// Waits until the client sees its end.
    pub(super) fn client_ends(&mut self, what: &str) -> Result<End, Stop> {
        self.client.drain();
        let end = self.client.view().end;
        holds(end != End::Hung, format!("{:?}: the client waits in vain {what}", self.way))?;
        Ok(end)
    }

    pub(super) fn lambda_ends(&mut self, what: &str) -> Outcome {
        let way = self.way;
        let lambda = self.lambda()?;
        lambda.drain();
        holds(lambda.view().end != End::Hung, format!("{way:?}: Lambda waits in vain {what}"))
    }
}

/// Tries one idea on both ways, and ends the extension.
fn on_both(try_it: impl Fn(&Stand, Way) -> Outcome) -> Outcome {
    let stand = Stand::start()?;
    for way in WAYS {
        try_it(&stand, way)?;
    }
    stand.wait_quiet()?;
    stand.finish()
}

pub(super) fn upward() -> Outcome {
    on_both(|stand, way| {
        let mut pair = Pair::open(stand, way)?;
        pair.up(POST_CHUNKED, "the head of chunks")?;
        for number in 0..50 {
            pair.up(format!("9\r\n<{number:07}>\r\n"), "a chunk")?;
        }
        pair.up("15\r\n<first half", "half a chunk")?;
        pair.up("123456789>\r\n", "the other half of a chunk")?;
        pair.up("0\r\nA: b\r\n", "half of the trailers")?;
        pair.up("C: d\r\n\r\n", "the rest of the trailers")?;
        pair.down(ACCEPTED, "the answer")?;
        pair.up("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 450\r\n\r\n", "the head of a length")?;
        for number in 0..50 {
            pair.up(format!("<{number:07}>"), "a piece")?;
        }
        pair.down(ACCEPTED, "the answer")
    })
}

pub(super) fn downward() -> Outcome {
    on_both(|stand, way| {
        let mut pair = Pair::open(stand, way)?;
        pair.up(NEXT, "a request")?;
        pair.down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "the head of chunks")?;
        for number in 0..50 {
            pair.down(format!("9\r\n<{number:07}>\r\n"), "a chunk")?;
        }
        pair.down("15\r\n<first half", "half a chunk")?;
        pair.down("123456789>\r\n", "the other half of a chunk")?;
        pair.down("0\r\nA: b\r\n", "half of the trailers")?;
        pair.down("C: d\r\n\r\n", "the rest of the trailers")?;
        pair.up(NEXT, "another request")?;
        pair.down("HTTP/1.1 200 OK\r\nContent-Length: 450\r\n\r\n", "the head of a length")?;
        for number in 0..50 {
            pair.down(format!("<{number:07}>"), "a piece")?;
        }
        pair.up(NEXT, "a third request")?;
        pair.down("HTTP/1.1 200 OK\r\n\r\n", "the head of an answer without end")?;
        for number in 0..50 {
            pair.down(format!("<{number:07}>"), "a piece")?;
        }
        pair.lambda()?.close();
        equal(pair.client_ends("for the end")?, End::Closed, "the end")
    })
}

/// Lambda may begin its answer with the request's first byte, and both go on together.
pub(super) fn both_ways() -> Outcome {
    on_both(|stand, way| {
        let mut pair = Pair::open(stand, way)?;
        pair.up(POST_CHUNKED, "the head")?;
        pair.down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "an answer before the body")?;
        for number in 0..50 {
            let chunk = format!("9\r\n<{number:07}>\r\n");
            pair.up(&chunk, "a chunk")?;
            pair.down(&chunk, "its echo")?;
        }
        pair.up("0\r\n\r\n", "the end of the body")?;
        pair.down("0\r\n\r\n", "the end of the answer")?;
        pair.up(NEXT, "another request")?;
        pair.down(EVENT, "its answer")
    })
}

pub(super) fn early_answers() -> Outcome {
    on_both(|stand, way| {
        // Lambda refuses the body, takes the rest of it, and goes on.
        let mut pair = Pair::open(stand, way)?;
        pair.up(
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<first piece>",
            "the first piece",
        )?;
        pair.down(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 12\r\n\r\n<12 letters>",
            "an answer before the end of the body",
        )?;
        pair.up([&filler(974), &b"<the last...>"[..]].concat(), "the rest of the body")?;
        pair.up(NEXT, "another request")?;
        pair.down(EVENT, "its answer")?;
        drop(pair);

        // It closes politely: says so, reads what is on its way, and closes.
        let refusal =
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 12\r\n\r\n<12 letters>";
        let mut pair = Pair::open(stand, way)?;
        pair.up(
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n<first piece>",
            "the first piece",
        )?;
        pair.down(refusal, "a refusal before the end of the body")?;
        pair.lambda()?.half_close();
        pair.client_ends("for the end after a refusal")?;
        pair.client.close();
        pair.lambda_ends("for the end of a client that was refused")?;
        drop(pair);

        // It closes at once, while the client sends and does not look.
        let mut pair = Pair::open(stand, way)?;
        pair.up(
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n<first piece>",
            "the first piece",
        )?;
        let sender = pair.client.stream().try_clone()?;
        let sends = thread::spawn(move || (&sender).write_all(&filler(7_000_000)));
        thread::sleep(Duration::from_millis(20));
        pair.lambda()?.send(refusal);
        // Closed with bytes unread, it resets.
        pair.lambda()?.close();
        pair.client_ends("for the end after an abrupt refusal")?;
        // Whether all of it found room on the way is the system's affair.
        let _ = sends.join();
        let got = pair.client.got();
        holds(
            got.is_empty() || got.ends_with(b"<12 letters>"),
            format!("{way:?}: a cut refusal: {}", shown(got)),
        )?;
        if way == Way::Proxied {
            holds(got.starts_with(b"HTTP/1.1 413 "), format!("the refusal is lost: {}", shown(got)))?;
        }
        drop(pair);

        // The whole answer, and the client leaves without ending its body.
        let mut pair = Pair::open(stand, way)?;
        pair.up(POST_CHUNKED, "the head")?;
        pair.down(ACCEPTED, "an answer before the body")?;
        pair.client.close();
        pair.lambda_ends("for the rest of a body")
    })
}

/// A client that sends no more still reads: its end goes to Lambda, and Lambda's answer back.
pub(super) fn half_closed() -> Outcome {
    on_both(|stand, way| {
        for request in [NEXT.to_owned(), String::from_utf8_lossy(&post(20)).into_owned()] {
            let mut pair = Pair::open(stand, way)?;
            pair.up(&request, "a request")?;
            pair.client.half_close();
            thread::sleep(Duration::from_millis(50));
            pair.down(EVENT, "the answer to a client that sends no more")?;
            pair.lambda_ends("for the end of a client that sends no more")?;
            pair.lambda()?.close();
            equal(pair.client_ends("for Lambda's end")?, End::Closed, "the end")?;
        }
        Ok(())
    })
}

/// A runtime that dies while it waits for an invocation must not be given one, and one whose Lambda leaves must not wait.
pub(super) fn waiting() -> Outcome {
    on_both(|stand, way| {
        for is_reset in [false, true] {
            let leave = |peer: &mut Peer| if is_reset { peer.reset() } else { peer.close() };
            let mut pair = Pair::open(stand, way)?;
            pair.up(NEXT, "a request")?;
            leave(&mut pair.client);
            let from = Instant::now();
            pair.lambda_ends("for the end of a runtime that died")?;
            holds(from.elapsed() < Duration::from_millis(500), "Lambda learns late that the runtime died")?;

            let mut pair = Pair::open(stand, way)?;
            pair.up(NEXT, "a request")?;
            leave(pair.lambda()?);
            let end = pair.client_ends("for a Lambda that left")?;
            equal(
                end,
                if is_reset { End::Reset } else { End::Closed },
                &format!("{way:?}, the end of a wait"),
            )?;
            equal(pair.client.got().len(), 0, "bytes of an answer that Lambda did not give")?;

            // In the middle of a body.
            let mut pair = Pair::open(stand, way)?;
            pair.up(
                "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n<first piece>",
                "the first piece",
            )?;
            let sender = pair.client.stream().try_clone()?;
            let sends = thread::spawn(move || (&sender).write_all(&filler(7_999_987)));
            thread::sleep(Duration::from_millis(20));
            leave(pair.lambda()?);
            pair.client_ends("for a Lambda that left in a body")?;
            // Whether all of it found room on the way is the system's affair.
            let _ = sends.join();
        }
        Ok(())
    })
}

/// Lambda closes a connection on which nothing goes on. The runtime may see that, or go on: its next request is answered, once.
pub(super) fn idle() -> Outcome {
    on_both(|stand, way| {
        for is_reset in [false, true] {
            let mut pair = Pair::open(stand, way)?;
            pair.up(NEXT, "a request")?;
            pair.down(EVENT, "its answer")?;
            if is_reset {
                pair.lambda()?.reset()
            } else {
                pair.lambda()?.close()
            }
            pair.lambda = None;
            pair.client.listen(Duration::from_millis(50));
            if pair.client.view().end != End::Open {
                pair.client = stand.connect(way)?;
            }
            pair.up(post(30), "a request after Lambda had closed")?;
            pair.down(ACCEPTED, "its answer")?;
            holds(stand.try_accept(Duration::from_millis(20))?.is_none(), "the request is sent twice")?;
        }
        Ok(())
    })
}

/// A connection that says `Connection: close` ends, and another one is served.
pub(super) fn closing() -> Outcome {
    on_both(|stand, way| {
        let mut pair = Pair::open(stand, way)?;
        pair.up(
            "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: the last one\r\n\r\n",
            "a last request",
        )?;
        pair.down(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n<12 letters>",
            "the last answer",
        )?;
        pair.lambda()?.close();
        equal(pair.client_ends("for the end of its last exchange")?, End::Closed, "the end")?;

        // A client of HTTP/1.0 knows by the close that it has all.
        let mut pair = Pair::open(stand, way)?;
        pair.up("GET /x HTTP/1.0\r\nHost: x\r\nA: the last one\r\n\r\n", "a request of HTTP/1.0")?;
        pair.down("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<12 letters>", "its answer")?;
        pair.lambda()?.close();
        equal(pair.client_ends("for the end of an exchange of HTTP/1.0")?, End::Closed, "the end")
    })
}

/// While Lambda is away the client sees an end at once, or the proxy's word that there is nobody; afterwards all is well.
pub(super) fn away() -> Outcome {
    let mut stand = Stand::start()?;
    stand.is_well()?;
    stand.go_away();
    let mut clients = Vec::new();
    for bytes in [NEXT.as_bytes(), &post(1000), b"garbage\r\n\r\n"] {
        let mut client = stand.connect(Way::Proxied)?;
        client.send(bytes);
        client.drain();
        holds(client.view().end != End::Hung, "a client waits for a Lambda that is away")?;
        let got = client.got();
        holds(got.is_empty() || got.starts_with(b"HTTP/1.1 502 "), shown(got))?;
        clients.push(client);
    }
    stand.come_back()?;
    stand.is_well()?;
    drop(clients);
    stand.wait_quiet()?;
    stand.finish()
}

/// A Lambda that accepts no connection lets those wait that want one, and no others.
pub(super) fn not_accepted() -> Outcome {
    let stand = Stand::start()?;
    let mut pair = Pair::open(&stand, Way::Proxied)?;
    pair.up(NEXT, "a request")?;
    pair.down(EVENT, "its answer")?;
    // Connections up to where the queue of the listener is full.
    let mut queue = Vec::new();
    while let Ok(stream) =
        TcpStream::connect_timeout(&stand.address(Way::Directly), Duration::from_millis(50))
    {
        queue.push(stream);
        holds(queue.len() < 5000, "Lambda's queue has no end")?;
    }
    let waiting: Vec<Peer> = (0..4).map(|_| stand.connect(Way::Proxied)).collect::<Result<_, _>>()?;
    for client in &waiting {
        client.send(NEXT);
    }
    thread::sleep(Duration::from_millis(20));
    let from = Instant::now();
    pair.up(NEXT, "a request beside those that wait for a connection")?;
    pair.down(EVENT, "its answer")?;
    holds(from.elapsed() < Duration::from_millis(500), "who waits for a connection holds up another")?;
    idles(&stand, "a wait for a connection")?;
    // The system tries again after a second, and then after two more.
    let until = Instant::now() + Duration::from_secs(5);
    let mut served = 0;
    while served < waiting.len() {
        holds(
            Instant::now() < until,
            format!("{served} of {} are served when there is room again", waiting.len()),
        )?;
        let Some(stream) = stand.try_accept(Duration::from_millis(10))? else { continue };
        if queue.iter().any(|queued| queued.local_addr().ok() == stream.peer_addr().ok()) {
            continue;
        }
        let mut lambda = Peer::new(stream)?;
        holds(lambda.request().is_some(), "half a request")?;
        lambda.send(EVENT);
        served += 1;
    }
    for mut client in waiting {
        holds(client.answer("GET").is_some(), "who waited for a connection is not answered")?;
    }
    drop((pair, queue));
    stand.wait_quiet()?;
    stand.finish()
}

/// Lambda freezes the environment between invocations, in the middle of anything: what came meanwhile is served after the thaw.
pub(super) fn frozen() -> Outcome {
    let stand = Stand::start()?;
    let process = i32::try_from(stand.pid()).ok().and_then(Pid::from_raw).ok_or("no process")?;
    let mut waiting = Pair::open(&stand, Way::Proxied)?;
    waiting.up(NEXT, "a request")?;
    let mut sending = Pair::open(&stand, Way::Proxied)?;
    sending.up(format!("{POST_CHUNKED}5\r\n12"), "half a chunk")?;
    let mut leaving = Pair::open(&stand, Way::Proxied)?;
    leaving.up(NEXT, "a request")?;
    let mut left = Pair::open(&stand, Way::Proxied)?;
    left.up(NEXT, "a request")?;
    kill_process(process, Signal::STOP)?;
    waiting.lambda()?.send(EVENT);
    sending.client.send("345\r\n0\r\n\r\n");
    leaving.client.close();
    left.lambda()?.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<12 letters>");
    left.lambda()?.reset();
    let mut new = Pair::open(&stand, Way::Proxied)?;
    new.client.send(NEXT);
    thread::sleep(Duration::from_millis(300));
    kill_process(process, Signal::CONT)?;
    holds(waiting.client.until("TA-404"), "an answer that came in the freeze is lost")?;
    holds(sending.lambda()?.until("0\r\n\r\n"), "half a chunk that came in the freeze is lost")?;
    sending.down(ACCEPTED, "an answer after the freeze")?;
    leaving.lambda_ends("for a runtime that left in the freeze")?;
    equal(
        left.client_ends("for a Lambda that left in the freeze")?,
        End::Reset,
        "the end of an answer that breaks off",
    )?;
    holds(left.client.got().ends_with(b"<12 letters>"), "what came before a reset in the freeze is lost")?;
    new.lambda()?.until("\r\n\r\n");
    new.down(EVENT, "an answer to a request of the freeze")?;
    drop((waiting, sending, leaving, left, new));
    stand.wait_quiet()?;
    stand.finish()
}

/// The most CPU time that the extension may take in [`IDLE`] while nothing can go on.
const IDLE_CPU_MAX: Duration = Duration::from_millis(10);

const IDLE: Duration = Duration::from_millis(150);

/// Fails if the extension is busy while it has to wait: an event that is told again and again, and not dealt with.
pub(super) fn idles(stand: &Stand, what: &str) -> Outcome {
    thread::sleep(Duration::from_millis(20));
    let before = stand.cpu()?;
    thread::sleep(IDLE);
    let taken = stand.cpu()?.saturating_sub(before);
    holds(taken < IDLE_CPU_MAX, format!("{what}: it takes {taken:?} of CPU in {IDLE:?} of waiting"))
}

/// Brings a connection into a state.
type Reach = fn(&mut Pair<'_>) -> Outcome;

/// Every state in which a connection can stand still, all of them at once: none of them costs CPU, and none holds up another connection.
pub(super) fn standing_still() -> Outcome {
    let stand = Stand::start()?;
    stand.is_well()?;
    let mut pairs = Vec::new();
    let states: [(&str, Reach); 14] = [
        ("a client that says nothing", |_| Ok(())),
        ("half a head", |pair| sent(&pair.client, "GET /x HTT")),
        ("half a body", |pair| {
            pair.up("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf a body", "half a body")
        }),
        ("half a chunk", |pair| pair.up(format!("{POST_CHUNKED}99\r\nhalf a chunk"), "half a chunk")),
        ("a wait for an invocation", |pair| pair.up(NEXT, "a request")),
        ("a wait, and another request", |pair| {
            pair.up(NEXT, "a request")?;
            sent(&pair.client, NEXT)
        }),
        ("a wait of a client that sends no more", |pair| {
            pair.up(NEXT, "a request")?;
            pair.client.half_close();
            Ok(())
        }),
        ("half an answer's head", |pair| {
            pair.up(NEXT, "a request")?;
            sent(pair.lambda()?, "HTTP/1.1 200 O")
        }),
        ("half an answer", |pair| {
            pair.up(NEXT, "a request")?;
            pair.down("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf an answer", "half an answer")
        }),
        ("an answer without end", |pair| {
            pair.up(NEXT, "a request")?;
            pair.down("HTTP/1.1 200 OK\r\n\r\nhalf an answer", "half an answer")
        }),
        ("an idle connection", |pair| {
            pair.up(NEXT, "a request")?;
            pair.down(EVENT, "its answer")
        }),
        ("an idle connection that Lambda closed", |pair| {
            pair.up(NEXT, "a request")?;
            pair.down(EVENT, "its answer")?;
            pair.lambda()?.close();
            Ok(())
        }),
        ("a tunnel", |pair| pair.up("what is this?\r\n\r\nnothing known", "garbage")),
        ("a tunnel whose client sends no more", |pair| {
            pair.up("what is this?\r\n\r\nnothing known", "garbage")?;
            pair.client.half_close();
            Ok(())
        }),
    ];
    for (what, reach) in states {
        let mut pair = Pair::open(&stand, Way::Proxied)?;
        reach(&mut pair).map_err(|stop| match stop {
            Stop::Fail(message) => Stop::Fail(format!("{what}: {message}")),
            skip @ Stop::Skip(_) => skip,
        })?;
        idles(&stand, what)?;
        pairs.push(pair);
        let from = Instant::now();
        stand.is_well()?;
        holds(from.elapsed() < Duration::from_secs(1), format!("{what} holds up another connection"))?;
    }
    drop(pairs);
    stand.wait_quiet()?;
    stand.finish()
}

fn sent(peer: &Peer, bytes: &str) -> Outcome {
    holds(peer.send(bytes), "nothing could be sent")
}
