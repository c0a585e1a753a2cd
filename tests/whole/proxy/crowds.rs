//! Many connections at once, much at once, and what that costs.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::peer::{End, PATIENCE, Peer};
use super::recorded::{ACCEPTED, NEXT, POST_CHUNKED, filler, post};
use super::stand::{Stand, Way};
use super::wire::shown;
use crate::harness::{Outcome, Stop, equal, holds};

/// Runtimes that wait at once. Managed Instances allow 64 times the number of cores; more than any is the point.
const CROWD: usize = 1000;

/// The most memory that a waiting connection may take, in KiB.
const WAIT_KIB_MAX: usize = 16;

/// Lets this process open as many files as a crowd takes, or says why it cannot.
fn room() -> Outcome {
    const WANTED: u64 = 4096;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < WANTED) {
        limit.current = limit.maximum.map_or(Some(WANTED), |most| Some(most.min(WANTED)));
        setrlimit(Resource::Nofile, limit)?;
    }
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < WANTED => Err(Stop::Skip(format!("{current} open files are too few"))),
        _ => Ok(()),
    }
}

/// The numbers below `count` in an order that is none.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_u64;
    for last in (1..count).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, usize::try_from(state >> 33).expect("31 bits") % (last + 1));
    }
    order
}

pub(super) fn a_thousand_wait() -> Outcome {
    room()?;
    let stand = Stand::start()?;
    stand.is_well()?;
    let (threads, memory) = (stand.status("Threads")?, stand.status("VmRSS")?);
    let mut clients = Vec::new();
    for number in 0..CROWD {
        let client = stand.connect(Way::Proxied)?;
        client.send(format!("GET /2018-06-01/runtime/invocation/next?{number} HTTP/1.1\r\nHost: x\r\n\r\n"));
        clients.push(client);
    }
    let mut lambda: Vec<Option<Peer>> = (0..CROWD).map(|_| None).collect();
    for reached in 0..CROWD {
        let mut peer = stand.accept(PATIENCE).map_err(|_| format!("{reached} of {CROWD} reach Lambda"))?;
        let request = peer.request().ok_or("half a request")?;
        let text = String::from_utf8_lossy(&request).into_owned();
        let number = text.split_once('?').and_then(|(_, rest)| rest.split_once(' ')?.0.parse::<usize>().ok());
        let place = number.and_then(|number| lambda.get_mut(number)).ok_or_else(|| shown(&request))?;
        holds(place.replace(peer).is_none(), format!("{text} comes twice"))?;
    }
    let (many, grown) = (stand.status("Threads")?, stand.status("VmRSS")?.saturating_sub(memory));
    eprintln!(
        "{CROWD} wait: threads {threads} before, {many} now; {memory} KiB before, {grown} KiB more now"
    );
    for number in shuffled(CROWD) {
        let body = format!("{{\"number\":{number}}}");
        let peer = lambda[number].as_ref().expect("all have come");
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {number}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    for number in shuffled(CROWD) {
        let client = &mut clients[number];
        let answer = client.answer("GET").ok_or_else(|| format!("no answer to {number}"))?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let is_right =
            text.contains(&format!("Request-Id: {number}\r\n")) && text.ends_with(&format!(":{number}}}"));
        holds(is_right, format!("the answer to {number} is {text}"))?;
        // Its response goes to where its invocation came from.
        client.send(format!("POST /2018-06-01/runtime/invocation/{number}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"));
    }
    for number in shuffled(CROWD) {
        let peer = lambda[number].as_mut().expect("all have come");
        let request = peer.request().ok_or_else(|| format!("no response to {number}"))?;
        let wanted = format!("POST /2018-06-01/runtime/invocation/{number}/response ");
        holds(request.starts_with(wanted.as_bytes()), format!("{wanted} is {}", shown(&request)))?;
        peer.send(ACCEPTED);
        clients[number].answer("POST").ok_or_else(|| format!("no answer to the response to {number}"))?;
    }
    holds(many <= threads + 2, format!("{threads} threads have become {many}"))?;
    holds(grown <= CROWD * WAIT_KIB_MAX, format!("{grown} KiB for {CROWD} that wait"))?;
    drop((clients, lambda));
    stand.wait_quiet()?;
    let left = stand.status("Threads")?;
    holds(left <= threads + 2, format!("{threads} threads have become {left} after all had left"))?;
    stand.finish()
}

pub(super) fn a_thousand_say_nothing() -> Outcome {
    room()?;
    let stand = Stand::start()?;
    stand.is_well()?;
    let clients = (0..CROWD).map(|_| stand.connect(Way::Proxied)).collect::<Result<Vec<_>, _>>()?;
    // Half of them in the middle of a head.
    for client in clients.iter().step_by(2) {
        client.send("GET /2018-06-01/run");
    }
    stand.is_well()?;
    drop(clients);
    stand.wait_quiet()?;
    stand.finish()
}

pub(super) fn one_after_the_other() -> Outcome {
    let stand = Stand::start()?;
    stand.is_well()?;
    let memory = stand.status("VmRSS")?;
    for number in 0..1000 {
        let mut client = stand.connect(Way::Proxied)?;
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let mut lambda = stand.accept(PATIENCE)?;
        let request = lambda.request().ok_or("half a request")?;
        holds(request.starts_with(format!("GET /{number} ").as_bytes()), shown(&request))?;
        lambda.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{number:05}"));
        let answer = client.answer("GET").ok_or("no answer")?;
        holds(answer.ends_with(format!("{number:05}").as_bytes()), shown(&answer))?;
    }
    stand.wait_quiet()?;
    let grown = stand.status("VmRSS")?.saturating_sub(memory);
    holds(grown <= 512, format!("{grown} KiB more after 1,000 connections"))?;
    stand.finish()
}

/// With its descriptors used up the proxy lets the rest wait, without CPU, and serves them when others have left.
pub(super) fn out_of_files() -> Outcome {
    let stand = Stand::start_with(64)?;
    stand.is_well()?;
    let mut clients = Vec::new();
    for number in 0..60 {
        let client = stand.connect(Way::Proxied)?;
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n"));
        clients.push(client);
    }
    let mut lambda = Vec::new();
    while let Some(stream) = stand.try_accept(Duration::from_millis(200))? {
        let mut peer = Peer::new(stream)?;
        holds(peer.request().is_some(), "half a request")?;
        lambda.push(peer);
    }
    holds(!lambda.is_empty(), "nobody reaches Lambda")?;
    let before = stand.cpu()?;
    thread::sleep(Duration::from_millis(300));
    let taken = stand.cpu()?.saturating_sub(before);
    holds(taken < Duration::from_millis(30), format!("{taken:?} of CPU in 300 ms without descriptors"))?;
    // Each that has reached Lambda is answered and leaves; every other one is served in its turn.
    let until = Instant::now() + 4 * PATIENCE;
    let (mut served, mut refused) = (0, 0);
    while served + refused < clients.len() {
        holds(Instant::now() < until, format!("{served} served and {refused} refused of {}", clients.len()))?;
        while let Some(stream) = stand.try_accept(Duration::from_millis(1))? {
            let mut peer = Peer::new(stream)?;
            if peer.request().is_some() {
                lambda.push(peer);
            }
        }
        for peer in lambda.drain(..) {
            peer.send(ACCEPTED);
        }
        for client in &mut clients {
            if client.is_closed() {
                continue;
            }
            client.listen(Duration::from_millis(1));
            if client.got().starts_with(b"HTTP/1.1 202") {
                served += 1;
                client.close();
            } else if client.view().end != End::Open {
                refused += 1;
                client.close();
            }
        }
    }
    equal((served, refused), (clients.len(), 0), "clients that are served, and refused")?;
    drop(clients);
    stand.wait_quiet()?;
    stand.finish()
}

/// What a body of 6 MiB may add to the most memory that was ever used, in KiB.
const BODY_KIB_MAX: usize = 256;

pub(super) fn six_mebibytes() -> Outcome {
    const MIB: usize = 1024 * 1024;
    let stand = Stand::start()?;
    let length = 6 * MIB;
    let body = filler(length);
    let chunk = [b"10000\r\n".as_slice(), &filler(64 * 1024), b"\r\n"].concat();
    let chunks = [chunk.repeat(96), b"0\r\n\r\n".to_vec()].concat();
    let answer = |fields: &str, body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes(), body].concat()
    };
    // Code that was never used is memory too, the first time.
    exchange(&stand, NEXT.into(), answer("Content-Length: 100", &body[..100]))?;
    exchange(
        &stand,
        [POST_CHUNKED.as_bytes(), b"0\r\n\r\n"].concat(),
        answer("Transfer-Encoding: chunked", b"0\r\n\r\n"),
    )?;
    for (what, request, answer) in [
        ("up", post(length), ACCEPTED.into()),
        ("up in chunks", [POST_CHUNKED.as_bytes(), &chunks].concat(), ACCEPTED.into()),
        ("down", NEXT.into(), answer(&format!("Content-Length: {length}"), &body)),
        ("down in chunks", NEXT.into(), answer("Transfer-Encoding: chunked", &chunks)),
        ("up and down", post(length), answer(&format!("Content-Length: {length}"), &body)),
    ] {
        stand.reset_peak()?;
        let before = stand.status("VmHWM")?;
        let took = exchange(&stand, request, answer)?;
        let grown = stand.status("VmHWM")?.saturating_sub(before);
        eprintln!("6 MiB {what}: {grown} KiB more at most, {took:?}");
        holds(grown <= BODY_KIB_MAX, format!("6 MiB {what} take {grown} KiB"))?;
    }
    stand.finish()
}

/// One exchange on a connection of its own, whole: how long it took.
fn exchange(stand: &Stand, request: Vec<u8>, answer: Vec<u8>) -> Result<Duration, Stop> {
    let from = Instant::now();
    let mut client = stand.connect(Way::Proxied)?;
    let sender = client.stream().try_clone()?;
    let sends = thread::spawn(move || std::io::Write::write_all(&mut &sender, &request));
    let mut lambda = stand.accept(PATIENCE)?;
    lambda.request().ok_or("half a request")?;
    sends.join().expect("sending does not panic")?;
    let length = answer.len();
    let answers = thread::spawn(move || lambda.send(&answer));
    holds(client.exactly(length), "half an answer")?;
    holds(answers.join().expect("sending does not panic"), "the answer is not taken")?;
    Ok(from.elapsed())
}

pub(super) fn shut_down_in_the_middle() -> Outcome {
    let mut stand = Stand::start()?;
    stand.is_well()?;
    let mut open = Vec::new();
    for bytes in ["", "GET /x HT", NEXT, POST_CHUNKED, "garbage, and more of it\r\n\r\n"] {
        let client = stand.connect(Way::Proxied)?;
        client.send(bytes);
        open.push(client);
        if bytes.ends_with("\r\n\r\n") {
            open.extend(stand.try_accept(Duration::from_millis(200))?.map(Peer::new).transpose()?);
        }
    }
    stand.shut_down()?;
    for peer in &mut open {
        peer.drain();
        holds(peer.view().end != End::Hung, "a connection outlives the extension")?;
    }
    holds(open.len() >= 7, "nobody reached Lambda")
}
