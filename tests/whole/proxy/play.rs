//! Plays a case twice, directly and through the proxy, and compares what both sides saw.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::peer::{End, PATIENCE, Peer, View};
use super::stand::{Stand, Way};
use super::wire::{parting, plain, requests, shown};
use crate::harness::{Outcome, Stop, holds};

/// How long the end of a play is looked for before it is looked for again.
const TICK: Duration = Duration::from_micros(200);

/// The longest play: a few waits that are in vain.
const PLAY_MAX: Duration = Duration::from_secs(15);

/// The method of the exchange that follows each play, which no case uses.
const CONTROL: &[u8] = b"OPTIONS /control HTTP/1.1\r\n";

/// What one side does.
pub(super) type Script = Box<dyn Fn(&mut Peer) + Send + Sync>;

/// How alike both plays must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Like {
    bytes: Bytes,
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Equal,
    /// Of a message that breaks off, some may be missing. Lambda sees the same complete requests, and the client no other answers.
    Acted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Same,
    /// Where one connection ends, so does the other; a close may become a reset and the other way round.
    Alike,
}

impl Like {
    pub(super) const SAME: Self = Self { bytes: Bytes::Equal, ends: Ends::Same };
    pub(super) const EQUAL: Self = Self { bytes: Bytes::Equal, ends: Ends::Alike };
    pub(super) const ACTED: Self = Self { bytes: Bytes::Acted, ends: Ends::Alike };
    pub(super) const ACTED_AND_SAME_END: Self = Self { bytes: Bytes::Acted, ends: Ends::Same };
}

/// What a client and a Lambda do to each other.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) like: Like,
    pub(super) client: Script,
    pub(super) lambda: Script,
}

impl Case {
    pub(super) fn new(
        name: impl Into<String>,
        client: impl Fn(&mut Peer) + Send + Sync + 'static,
        lambda: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), like: Like::EQUAL, client: Box::new(client), lambda: Box::new(lambda) }
    }

    pub(super) fn like(mut self, like: Like) -> Self {
        self.like = like;
        self
    }

    /// One exchange after the other on one connection. Lambda closes after an answer that lasts until then.
    pub(super) fn exchanges(name: impl Into<String>, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let answers: Vec<Vec<u8>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
        Self::new(
            name,
            move |client| {
                for (request, _) in &pairs {
                    client.send(request);
                    let method = request.split(|byte| *byte == b' ').next().unwrap_or_default();
                    if client.answer(&String::from_utf8_lossy(method)).is_none() {
                        return;
                    }
                }
            },
            move |lambda| {
                for answer in &answers {
                    if lambda.request().is_none() {
                        return;
                    }
                    lambda.send(answer);
                }
                let is_endless = answers.last().is_some_and(|answer| {
                    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
                    !text.contains("content-length:") && !text.contains("transfer-encoding:")
                });
                if !is_endless {
                    lambda.drain();
                }
            },
        )
    }

    pub(super) fn exchange(
        name: impl Into<String>,
        request: impl Into<Vec<u8>>,
        answer: impl Into<Vec<u8>>,
    ) -> Self {
        Self::exchanges(name, vec![(request.into(), answer.into())])
    }

    /// What is no proper request: Lambda reads as far as its last bytes, answers, and closes.
    pub(super) fn refused(
        name: impl Into<String>,
        request: impl Into<Vec<u8>>,
        answer: &'static [u8],
    ) -> Self {
        let request: Vec<u8> = request.into();
        let mark = request[request.len().saturating_sub(12)..].to_vec();
        Self::new(
            name,
            move |client| {
                client.send(&request);
                client.drain();
            },
            move |lambda| {
                if lambda.until(&mark) {
                    lambda.send(answer);
                }
            },
        )
    }

    /// What is no proper answer, to a request that is one. Lambda closes after it if `closes`, and else the client.
    pub(super) fn answered(name: impl Into<String>, answer: impl Into<Vec<u8>>, closes: bool) -> Self {
        let answer: Vec<u8> = answer.into();
        let mark = answer[answer.len().saturating_sub(12)..].to_vec();
        Self::new(
            name,
            move |client| {
                client.send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n");
                if closes {
                    client.drain();
                } else {
                    client.until(&mark);
                }
            },
            move |lambda| {
                if lambda.request().is_some() {
                    lambda.send(&answer);
                    if !closes {
                        lambda.drain();
                    }
                }
            },
        )
    }
}

/// What both sides saw of a play: Lambda one view for each connection.
pub(super) struct Played {
    client: View,
    lambda: Vec<View>,
}

impl Played {
    /// What Lambda saw, on all its connections.
    fn lambda(&self) -> Vec<u8> {
        plain(&self.lambda.iter().flat_map(|view| view.got.iter().copied()).collect::<Vec<u8>>())
    }

    fn lambda_end(&self) -> End {
        let last = self.lambda.iter().rfind(|view| !view.got.is_empty());
        last.map(|view| view.end).unwrap_or(End::Closed)
    }

    fn hangs(&self) -> bool {
        self.client.end == End::Hung || self.lambda.iter().any(|view| view.end == End::Hung)
    }

    fn shown(&self) -> String {
        let mut text = format!("client {:?} {}", self.client.end, shown(&self.client.got));
        for view in &self.lambda {
            text.push_str(&format!("\n    Lambda {:?} {}", view.end, shown(&view.got)));
        }
        text
    }
}

/// Plays every case, and tells of all that part.
pub(super) fn play_all(cases: Vec<Case>) -> Outcome {
    let stand = Stand::start()?.with_worker()?;
    let mut failures = Failures::default();
    for case in &cases {
        failures.note(compare(&stand, case))?;
    }
    failures.end(stand)
}

/// What went wrong so far. So many is enough to know: each costs a few waits.
#[derive(Default)]
pub(super) struct Failures {
    told: Vec<String>,
    played: usize,
}

impl Failures {
    const MAX: usize = 8;

    pub(super) fn note(&mut self, outcome: Outcome) -> Outcome {
        self.played += 1;
        match outcome {
            Err(Stop::Fail(message)) => self.told.push(message),
            other => return other,
        }
        holds(self.told.len() < Self::MAX, self.text())
    }

    fn text(&self) -> String {
        format!("{} of {} played:\n\n{}", self.told.len(), self.played, self.told.join("\n\n"))
    }

    pub(super) fn end(&self, stand: Stand) -> Outcome {
        holds(self.told.is_empty(), self.text())?;
        stand.finish()
    }
}

/// Plays a case twice.
pub(super) fn compare(stand: &Stand, case: &Case) -> Outcome {
    let directly = play(stand, case, Way::Directly)?;
    holds(!directly.hangs(), format!("{}: the case itself hangs\n    {}", case.name, directly.shown()))?;
    let proxied = play(stand, case, Way::Proxied).map_err(|stop| match stop {
        Stop::Fail(message) => Stop::Fail(format!("{}: {message}", case.name)),
        skip @ Stop::Skip(_) => skip,
    })?;
    differ(case.like, &directly, &proxied).map_or(Ok(()), |what| {
        let (directly, proxied) = (directly.shown(), proxied.shown());
        Err(Stop::Fail(format!(
            "{}: {what}\n  directly\n    {directly}\n  proxied\n    {proxied}",
            case.name
        )))
    })
}

/// What is not as it must be.
fn differ(like: Like, directly: &Played, proxied: &Played) -> Option<String> {
    if proxied.hangs() {
        return Some("somebody waits in vain".to_owned());
    }
    let (lambda, got) = (directly.lambda(), proxied.lambda());
    let (client, answered) = (plain(&directly.client.got), plain(&proxied.client.got));
    if like.bytes == Bytes::Acted {
        if requests(&lambda) != requests(&got) {
            let (wanted, is) = (requests(&lambda).len(), requests(&got).len());
            return Some(format!("Lambda acts on {is} requests instead of {wanted}, or on others"));
        }
        if !client.starts_with(&answered) {
            return Some(format!("the client's answers: {}", parting(&client, &answered)));
        }
    } else {
        if lambda != got {
            return Some(format!("Lambda's view: {}", parting(&lambda, &got)));
        }
        if client != answered {
            return Some(format!("the client's view: {}", parting(&client, &answered)));
        }
    }
    let ends = [
        ("Lambda's", directly.lambda_end(), proxied.lambda_end()),
        ("the client's", directly.client.end, proxied.client.end),
    ];
    let is_over = |end| matches!(end, End::Closed | End::Reset);
    for (whose, directly, proxied) in ends {
        let is_like = match like.ends {
            Ends::Same => directly == proxied,
            Ends::Alike => is_over(directly) == is_over(proxied),
        };
        if !is_like {
            return Some(format!("{whose} end is {proxied:?} instead of {directly:?}"));
        }
    }
    None
}

/// Plays a case. Through the proxy it is over when the proxy has served another exchange, and holds nothing of this one.
fn play(stand: &Stand, case: &Case, way: Way) -> Result<Played, Stop> {
    let until = Instant::now() + PLAY_MAX;
    thread::scope(|scope| {
        let client = scope.spawn(|| act(stand.connect(way), &case.client));
        let mut lambda: Vec<ScopedJoinHandle<'_, Result<Option<View>, Stop>>> = Vec::new();
        let mut control: Option<ScopedJoinHandle<'_, bool>> = None;
        let mut quiet_until = None;
        loop {
            while let Some(stream) = stand.try_accept(TICK)? {
                lambda.push(scope.spawn(move || {
                    let peer = Peer::new(stream)?;
                    if way == Way::Proxied && is_control(&peer) {
                        serve_control(peer);
                        return Ok(None);
                    }
                    act(Ok(peer), &case.lambda).map(Some)
                }));
            }
            let has_acted = client.is_finished() && lambda.iter().all(ScopedJoinHandle::is_finished);
            if has_acted && way == Way::Directly && !lambda.is_empty() {
                break;
            }
            if client.is_finished() && way == Way::Proxied && control.is_none() {
                control = Some(scope.spawn(|| ask_control(stand)));
            }
            if has_acted && control.as_ref().is_some_and(ScopedJoinHandle::is_finished) {
                if stand.is_quiet()? {
                    break;
                }
                let quiet_until = *quiet_until.get_or_insert_with(|| Instant::now() + PATIENCE);
                holds(
                    Instant::now() < quiet_until,
                    "the proxy keeps a connection after both sides have ended",
                )?;
            }
            holds(Instant::now() < until, "the play does not end")?;
        }
        if let Some(control) = control {
            let is_well = control.join().expect("a control does not panic");
            holds(is_well, format!("the exchange after it goes wrong\n{}", stand.log()))?;
        }
        let client = client.join().expect("a script does not panic")?;
        let views = lambda.into_iter().map(|script| script.join().expect("a script does not panic"));
        let lambda = views.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(Played { client, lambda })
    })
}

fn act(peer: Result<Peer, Stop>, script: &Script) -> Result<View, Stop> {
    let mut peer = peer?;
    script(&mut peer);
    Ok(peer.view())
}

/// True if the connection begins with the control.
fn is_control(peer: &Peer) -> bool {
    let mut begin = [0; CONTROL.len()];
    loop {
        match peer.stream().peek(&mut begin) {
            Ok(read) if read == CONTROL.len() => return begin == CONTROL,
            // A control comes in one piece, or nearly.
            Ok(read) if read > 0 && begin[..read] == CONTROL[..read] => thread::sleep(TICK),
            _ => return false,
        }
    }
}

fn serve_control(mut peer: Peer) {
    if peer.request().is_some() {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
        peer.drain();
    }
}

fn ask_control(stand: &Stand) -> bool {
    let Ok(mut peer) = stand.connect(Way::Proxied) else { return false };
    peer.send([CONTROL, b"Host: x\r\n\r\n"].concat());
    peer.answer("OPTIONS").is_some_and(|answer| answer.ends_with(b"\r\n\r\nwell"))
}
