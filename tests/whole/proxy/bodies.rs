//! Bodies: every way in which one is delimited, and every way in which it ends or does not.

use std::thread;
use std::time::Duration;

use super::peer::Peer;
use super::play::{Case, Like, play_all};
use super::recorded::{ACCEPTED, EVENT, NEXT, POST_CHUNKED, chunked, filler, pair, post, with_body};
use crate::harness::Outcome;

pub(super) fn delimited() -> Outcome {
    const MIB: usize = 1024 * 1024;
    let answer = |length: usize| {
        with_body(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"), &filler(length))
    };
    let chunks_down = |pieces, length| {
        with_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked(pieces, length))
    };
    let chunks_up = |pieces, length| with_body(POST_CHUNKED, &chunked(pieces, length));
    let no_answer = |status: &str, fields: &str| format!("HTTP/1.1 {status}\r\n{fields}\r\n");
    let head = "HEAD /2018-06-01/runtime/x HTTP/1.1\r\nHost: x\r\n\r\n";
    play_all(vec![
        Case::exchange("6 MiB up", post(6 * MIB), ACCEPTED),
        Case::exchange("6 MiB up in chunks of 64 KiB", chunks_up(96, 64 * 1024), ACCEPTED),
        Case::exchange("20,000 chunks of one byte up", chunks_up(20_000, 1), ACCEPTED),
        Case::exchange("6 MiB down", NEXT, answer(6 * MIB)),
        Case::exchange("6 MiB down in chunks of 64 KiB", NEXT, chunks_down(96, 64 * 1024)),
        Case::exchange("one chunk of 6 MiB down", NEXT, chunks_down(1, 6 * MIB)),
        Case::exchange("20,000 chunks of one byte down", NEXT, chunks_down(20_000, 1)),
        Case::exchanges(
            "bodies up and down in turn",
            vec![
                pair(post(MIB), answer(MIB)),
                pair(chunks_up(3, 70_000), chunks_down(3, 70_000)),
                pair(NEXT, EVENT),
            ],
        ),
        Case::exchanges(
            "an empty body",
            vec![pair(post(0), answer(0)), pair(chunks_up(0, 0), chunks_down(0, 0)), pair(NEXT, EVENT)],
        ),
        Case::exchanges(
            "a body of a GET",
            vec![
                pair(
                    "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
                    EVENT,
                ),
                pair(NEXT, EVENT),
            ],
        ),
        until_close("an answer that lasts until Lambda closes", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nall of it"),
        until_close("one of HTTP/1.0", "HTTP/1.0 200 OK\r\nA: b\r\n\r\nall of it"),
        until_close("one without a byte", "HTTP/1.1 200 OK\r\n\r\n"),
        until_close("one of 6 MiB", with_body("HTTP/1.1 200 OK\r\n\r\n", &filler(6 * MIB))),
        broken_off("one that ends with a reset", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nnot all of it"),
        broken_off(
            "a length that ends with a reset",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it",
        ),
        broken_off(
            "chunks that end with a reset",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        cut_off(
            "a length that ends with a close",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it",
        ),
        cut_off(
            "chunks that end with a close",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        Case::exchanges(
            "HEAD with a length and no body",
            vec![pair(head, no_answer("200 OK", "Content-Length: 500\r\n")), pair(NEXT, EVENT)],
        ),
        Case::exchanges(
            "HEAD with chunks and no body",
            vec![pair(head, no_answer("200 OK", "Transfer-Encoding: chunked\r\n")), pair(NEXT, EVENT)],
        ),
        Case::exchanges(
            "HEAD without a length",
            vec![pair(head, no_answer("200 OK", "")), pair(NEXT, EVENT)],
        ),
        Case::exchanges("204", vec![pair(NEXT, no_answer("204 No Content", "")), pair(NEXT, EVENT)]),
        Case::exchanges(
            "204 with a coding",
            vec![
                pair(NEXT, no_answer("204 No Content", "Transfer-Encoding: chunked\r\n")),
                pair(NEXT, EVENT),
            ],
        ),
        Case::exchanges(
            "304 with a length",
            vec![pair(NEXT, no_answer("304 Not Modified", "Content-Length: 10\r\n")), pair(NEXT, EVENT)],
        ),
        Case::exchanges(
            "205 and other statuses",
            [
                "205 Reset Content",
                "299 x",
                "302 Found",
                "404 Not Found",
                "500 Internal Server Error",
                "599 x",
                "999 x",
            ]
            .map(|status| pair(NEXT, no_answer(status, "Content-Length: 0\r\n")))
            .to_vec(),
        ),
        Case::exchanges(
            "status lines",
            ["200", "200 ", "200 \u{fc}ber", "200 a  b", "418 I'm a teapot"]
                .map(|status| pair(NEXT, no_answer(status, "Content-Length: 0\r\n")))
                .to_vec(),
        ),
        Case::exchanges(
            "HTTP/1.0 answers with a length",
            vec![pair(NEXT, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")],
        ),
    ])
}

fn until_close(name: &str, answer: impl Into<Vec<u8>>) -> Case {
    ends(name, answer.into(), |_| ()).like(Like::SAME)
}

/// A reset must stay one: of an answer that lasts until the close, a clean close would make a whole one.
fn broken_off(name: &str, answer: impl Into<Vec<u8>>) -> Case {
    ends(name, answer.into(), |lambda| {
        // It must not overtake what was sent.
        thread::sleep(Duration::from_millis(20));
        lambda.reset();
    })
    .like(Like::SAME)
}

fn cut_off(name: &str, answer: impl Into<Vec<u8>>) -> Case {
    ends(name, answer.into(), |_| ())
}

fn ends(name: &str, answer: Vec<u8>, end: impl Fn(&mut Peer) + Send + Sync + 'static) -> Case {
    Case::new(
        name,
        |client| {
            client.send(NEXT);
            client.drain();
        },
        move |lambda| {
            if lambda.request().is_some() {
                lambda.send(&answer);
                end(lambda);
            }
        },
    )
}

pub(super) fn chunks_and_trailers() -> Outcome {
    let mut cases = Vec::new();
    for (name, body) in [
        ("trailers", "3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n".to_owned()),
        ("duplicate and odd trailers", "3\r\nabc\r\n0\r\nA: b\r\na: b\r\nX:\u{e4}\r\n\r\n".to_owned()),
        (
            "trailers that frame",
            "3\r\nabc\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
        ),
        ("extensions", "3;a\r\nabc\r\n1;a=b;c=\"d;e\"\r\nx\r\n0;last\r\n\r\n".to_owned()),
        (
            "digits of every kind",
            "0003\r\nabc\r\nA\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n".to_owned(),
        ),
        ("blanks after the digits", "3 \r\nabc\r\n3\t\r\nabc\r\n0 \r\n\r\n".to_owned()),
        ("blanks before an extension", "3 ; a = b\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("content that looks like framing", "7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n".to_owned()),
        ("an extension of 3 KiB", format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(3072))),
        ("an extension of 64 KiB", format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(65_536))),
        ("a trailer of 64 KiB", format!("3\r\nabc\r\n0\r\nA: {}\r\n\r\n", "x".repeat(65_536))),
        (
            "500 trailers",
            format!("0\r\n{}\r\n", (0..500).map(|number| format!("X-{number}: y\r\n")).collect::<String>()),
        ),
        ("line ends of one byte", "3\nabc\r\n0\n\n".to_owned()),
    ] {
        let request = format!("{POST_CHUNKED}{body}");
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A, B\r\n\r\n{body}");
        cases.push(Case::exchanges(
            format!("{name} upward"),
            vec![pair(request, ACCEPTED), pair(NEXT, EVENT)],
        ));
        cases.push(Case::exchanges(format!("{name} downward"), vec![pair(NEXT, answer), pair(NEXT, EVENT)]));
    }
    for coding in [
        "Chunked",
        "gzip, chunked",
        "gzip,chunked",
        "identity, chunked",
        " chunked ",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        let request =
            format!("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nab\r\n0\r\n\r\n");
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nab\r\n0\r\n\r\n");
        cases.push(Case::exchanges(
            format!("the coding {coding:?}"),
            vec![pair(request, answer), pair(NEXT, EVENT)],
        ));
    }
    play_all(cases)
}
