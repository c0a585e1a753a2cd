//! An exchange that breaks off after each of its bytes, by either side, in each way.
//!
//! Whatever a server would act on is the same, and nobody waits for the rest: where the connection would end, it ends.

use super::peer::Peer;
use super::play::{Case, Failures, Like, compare};
use super::stand::{Stand, Way};
use crate::harness::Outcome;

/// How a side leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Close,
    /// Sends no more, and reads what comes.
    HalfClose,
    Reset,
}

impl Leave {
    fn act(self, peer: &mut Peer) {
        match self {
            Self::Close => peer.close(),
            Self::HalfClose => {
                peer.half_close();
                peer.drain();
            }
            Self::Reset => peer.reset(),
        }
    }
}

/// The exchange: an invocation, its error in chunks with trailers, and a response with a length. Its Host is Lambda's, so that what Lambda
/// reads is as long on both ways.
fn exchange(stand: &Stand) -> Vec<(Vec<u8>, Vec<u8>)> {
    let host = stand.address(Way::Directly);
    let requests = [
        format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!(
            concat!(
                "POST /2018-06-01/runtime/invocation/8476a536/error HTTP/1.1\r\nHost: {}\r\n",
                "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n",
                "11\r\n{{\"errorMessage\":\"\r\nb\r\nI failed!\"}}\r\n0\r\nA: b\r\n\r\n"
            ),
            host
        ),
        format!(
            "POST /2018-06-01/runtime/invocation/8476a537/response HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\ntrue"
        ),
    ];
    let answers = [
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536\r\nContent-Length: 16\r\n\r\n{\"sku\":\"TA-404\"}",
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    ];
    requests
        .into_iter()
        .map(String::into_bytes)
        .zip(answers.map(|answer| answer.as_bytes().to_vec()))
        .collect()
}

/// The bytes of one side, and where each message of them ends.
fn ends<'a>(messages: impl Iterator<Item = &'a Vec<u8>>) -> Vec<usize> {
    messages
        .scan(0, |length, message| {
            *length += message.len();
            Some(*length)
        })
        .collect()
}

/// The client leaves after it has sent so many bytes.
fn client_sends(pairs: &[(Vec<u8>, Vec<u8>)], bytes: usize, leave: Leave) -> Case {
    let requests: Vec<Vec<u8>> = pairs.iter().map(|(request, _)| request.clone()).collect();
    let name = format!("the client sends {bytes} bytes, {leave:?}");
    Case::new(
        name,
        move |client| {
            let mut left = bytes;
            for request in &requests {
                client.send(&request[..request.len().min(left)]);
                left = left.saturating_sub(request.len());
                if left == 0 {
                    break;
                }
                client.answer("GET");
            }
            leave.act(client);
        },
        answering(pairs),
    )
}

/// The client leaves after it has read so many bytes.
fn client_reads(pairs: &[(Vec<u8>, Vec<u8>)], bytes: usize, leave: Leave) -> Case {
    let pairs = pairs.to_vec();
    let ends = ends(pairs.iter().map(|(_, answer)| answer));
    Case::new(
        format!("the client reads {bytes} bytes, {leave:?}"),
        {
            let pairs = pairs.clone();
            move |client| {
                for ((request, _), end) in pairs.iter().zip(&ends) {
                    client.send(request);
                    client.exactly(bytes.min(*end));
                    if bytes < *end {
                        break;
                    }
                }
                leave.act(client);
            }
        },
        answering(&pairs),
    )
}

/// Lambda leaves after it has read so many bytes.
fn lambda_reads(pairs: &[(Vec<u8>, Vec<u8>)], bytes: usize, leave: Leave) -> Case {
    let answers: Vec<Vec<u8>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
    let ends = ends(pairs.iter().map(|(request, _)| request));
    Case::new(format!("Lambda reads {bytes} bytes, {leave:?}"), asking(pairs), move |lambda| {
        for (answer, end) in answers.iter().zip(&ends) {
            if !lambda.exactly(bytes.min(*end)) || bytes <= *end {
                break;
            }
            lambda.send(answer);
        }
        leave.act(lambda);
    })
}

/// Lambda leaves after it has sent so many bytes.
fn lambda_sends(pairs: &[(Vec<u8>, Vec<u8>)], bytes: usize, leave: Leave) -> Case {
    let answers: Vec<Vec<u8>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
    Case::new(format!("Lambda sends {bytes} bytes, {leave:?}"), asking(pairs), move |lambda| {
        let mut left = bytes;
        for answer in &answers {
            if lambda.request().is_none() {
                return;
            }
            lambda.send(&answer[..answer.len().min(left)]);
            if left < answer.len() {
                break;
            }
            left -= answer.len();
        }
        leave.act(lambda);
    })
}

/// A Lambda that answers each complete request, and closes after what is none.
fn answering(pairs: &[(Vec<u8>, Vec<u8>)]) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    let answers: Vec<Vec<u8>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
    move |lambda| {
        for answer in &answers {
            if lambda.request().is_none() {
                return;
            }
            lambda.send(answer);
        }
        lambda.drain();
    }
}

/// A client that goes on until the connection ends.
fn asking(pairs: &[(Vec<u8>, Vec<u8>)]) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    let requests: Vec<Vec<u8>> = pairs.iter().map(|(request, _)| request.clone()).collect();
    move |client| {
        for request in &requests {
            client.send(request);
            if client.answer("GET").is_none() {
                return;
            }
        }
    }
}

pub(super) fn by_the_client() -> Outcome {
    let stand = Stand::start()?.with_worker()?;
    let pairs = exchange(&stand);
    let mut failures = Failures::default();
    let sent: usize = pairs.iter().map(|(request, _)| request.len()).sum();
    for bytes in 0..=sent {
        for leave in [Leave::Close, Leave::HalfClose, Leave::Reset] {
            failures.note(compare(&stand, &client_sends(&pairs, bytes, leave).like(Like::ACTED)))?;
        }
    }
    failures.end(stand)
}

pub(super) fn by_a_client_that_reads() -> Outcome {
    let stand = Stand::start()?.with_worker()?;
    let pairs = exchange(&stand);
    let mut failures = Failures::default();
    let read: usize = pairs.iter().map(|(_, answer)| answer.len()).sum();
    for bytes in 0..=read {
        for leave in [Leave::Close, Leave::Reset] {
            failures.note(compare(&stand, &client_reads(&pairs, bytes, leave).like(Like::ACTED)))?;
        }
    }
    failures.end(stand)
}

/// Between two exchanges Lambda may close too, but then the proxy may ask another connection: see `streams::idle`.
pub(super) fn by_lambda() -> Outcome {
    let stand = Stand::start()?.with_worker()?;
    let pairs = exchange(&stand);
    let mut failures = Failures::default();
    let sent = ends(pairs.iter().map(|(_, answer)| answer));
    for bytes in (0..sent[2]).filter(|bytes| !sent.contains(bytes)) {
        // What came of a body before Lambda left is what the client gets; of a head that is none, nothing need come.
        let is_in_head = pairs.iter().zip(&sent).any(|((_, answer), end)| {
            let head = memchr::memmem::find(answer, b"\r\n\r\n").map_or(0, |at| at + 4);
            let begin = end - answer.len();
            (begin..begin + head).contains(&bytes)
        });
        for leave in [Leave::Close, Leave::Reset] {
            // A reset stays one: it may be all that tells the client that something is missing.
            let like = match (is_in_head, leave) {
                (true, Leave::Reset) => Like::ACTED_AND_SAME_END,
                (true, _) => Like::ACTED,
                (false, Leave::Reset) => Like::SAME,
                (false, _) => Like::EQUAL,
            };
            failures.note(compare(&stand, &lambda_sends(&pairs, bytes, leave).like(like)))?;
        }
    }
    failures.end(stand)
}

pub(super) fn by_a_lambda_that_reads() -> Outcome {
    let stand = Stand::start()?.with_worker()?;
    let pairs = exchange(&stand);
    let mut failures = Failures::default();
    let read = ends(pairs.iter().map(|(request, _)| request));
    for bytes in 0..=read[2] {
        // After a whole request the answer is due: there it leaves without one.
        for leave in [Leave::Close, Leave::Reset] {
            failures.note(compare(&stand, &lambda_reads(&pairs, bytes, leave).like(Like::ACTED)))?;
        }
    }
    failures.end(stand)
}
