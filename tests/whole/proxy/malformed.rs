//! What cannot be read: it reaches the other side as it is, and what that does about it comes back.

use super::play::{Case, Like, play_all};
use super::recorded::{ACCEPTED, EVENT, NEXT, POST_CHUNKED, filler};
use crate::harness::Outcome;

const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";

/// Bodies in chunks that are none. All end with the same bytes.
fn bad_chunks() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for size in [
        "xyz",
        "-5",
        "+5",
        "0x5",
        "",
        " ",
        "5 5",
        "5x",
        "\u{e4}",
        ";",
        ";a=b",
        "g",
        "1e",
        "fffffffffffffffff",
        "10000000000000000",
        "ffffffffffffffff",
        "8000000000000000",
        "7fffffffffffffff",
        "00000000000000000000000005x",
    ] {
        found.push((
            format!("a chunk of length {size:?}"),
            format!("{size}\r\nhello\r\n0\r\n\r\n, and the end"),
        ));
    }
    for (name, body) in [
        ("no line end after a chunk", "5\r\nhello0\r\n\r\n, and the end"),
        ("more in a chunk than its length", "3\r\nhello\r\n0\r\n\r\n, and the end"),
        ("a return alone after the length", "5\rhello\r\n0\r\n\r\n, and the end"),
        ("two line ends after a chunk", "5\r\nhello\r\n\r\n0\r\n\r\n, and the end"),
        ("a bad chunk after a good one", "5\r\nhello\r\n!\r\nx\r\n, and the end"),
        ("no chunk at all", "hello, and the end"),
    ] {
        found.push((name.to_owned(), body.to_owned()));
    }
    found
}

/// Fields that frame a body in no way, or in two.
const BAD_FRAMING: [&str; 26] = [
    "Content-Length: -5",
    "Content-Length: +5",
    "Content-Length: 5 5",
    "Content-Length: 0x5",
    "Content-Length: five",
    "Content-Length:",
    "Content-Length: 5.0",
    "Content-Length: 99999999999999999999",
    "Content-Length: 18446744073709551616",
    "Content-Length: 5, 6",
    "Content-Length: 5,",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: x",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunkedd",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding:",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: gzip\r\nContent-Length: 5",
    "Content-Length : 5",
    "Content-Length: 5\r\n ,6",
];

pub(super) fn chunks() -> Outcome {
    let mut cases = Vec::new();
    for (name, body) in bad_chunks() {
        cases.push(Case::refused(format!("{name} upward"), format!("{POST_CHUNKED}{body}"), REFUSAL));
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        cases.push(Case::answered(format!("{name} downward, Lambda closes"), &*answer, true));
        cases.push(Case::answered(format!("{name} downward, the client closes"), answer, false));
    }
    play_all(cases)
}

pub(super) fn framing() -> Outcome {
    let mut cases = Vec::new();
    for fields in BAD_FRAMING {
        let request = format!(
            "POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: x\r\n{fields}\r\nA: b\r\n\r\nhello, and the end"
        );
        cases.push(Case::refused(format!("{fields:?} upward"), request, REFUSAL));
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\nA: b\r\n\r\nhello, and the end");
        cases.push(Case::answered(format!("{fields:?} downward, Lambda closes"), &*answer, true));
        cases.push(Case::answered(format!("{fields:?} downward, the client closes"), answer, false));
    }
    for (name, request) in [
        (
            "both framings, chunks",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "both framings the other way round",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        ("a list of equal lengths", "Content-Length: 5, 5\r\n\r\nhello"),
        ("a length with zeros", "Content-Length: 0000000000000000000000005\r\n\r\nhello"),
    ] {
        cases.push(Case::refused(
            format!("{name} upward"),
            format!("POST /x HTTP/1.1\r\nHost: x\r\n{request}"),
            REFUSAL,
        ));
        cases.push(Case::answered(format!("{name} downward"), format!("HTTP/1.1 200 OK\r\n{request}"), true));
    }
    play_all(cases)
}

pub(super) fn heads() -> Outcome {
    let mut cases = Vec::new();
    for (name, request) in [
        ("a line without a colon", "GET /x HTTP/1.1\r\nHost: x\r\nnothing\r\nA: b\r\n\r\n"),
        ("a blank before the colon", "GET /x HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"),
        ("a blank before the colon of Host", "GET /x HTTP/1.1\r\nHost : x\r\nA: b\r\n\r\n"),
        ("a folded line", "GET /x HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\tD: e\r\n\r\n"),
        ("a folded first line", "GET /x HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n"),
        ("an empty name", "GET /x HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
        ("a name that is not ASCII", "GET /x HTTP/1.1\r\nHost: x\r\n\u{e4}: b\r\n\r\n"),
        ("a zero in a value", "GET /x HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"),
        ("a return in a value", "GET /x HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n"),
        ("an escape in a value", "GET /x HTTP/1.1\r\nHost: x\r\nA: b\x1b[0m\x7f\r\n\r\n"),
        ("line ends of one byte", "GET /x HTTP/1.1\nHost: x\nA: b\n\n"),
        ("line ends of either kind", "GET /x HTTP/1.1\r\nHost: x\nA: b\r\n\n"),
        ("no version", "GET /x\r\nHost: x\r\n\r\n"),
        ("an older version", "GET /x HTTP/0.9\r\nHost: x\r\n\r\n"),
        ("a newer version", "GET /x HTTP/2.0\r\nHost: x\r\n\r\n"),
        ("version 1.2", "GET /x HTTP/1.2\r\nHost: x\r\n\r\n"),
        ("a version in small letters", "GET /x http/1.1\r\nHost: x\r\n\r\n"),
        ("no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("two blanks", "GET  /x  HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a target with blanks", "GET /x y z HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a blank at the end", "GET /x HTTP/1.1 \r\nHost: x\r\n\r\n"),
        ("a blank at the beginning", " GET /x HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("a method that is no token", "G@T /x HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no method", "/x HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("one word", "hello\r\nHost: x\r\n\r\n"),
        ("an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a zero in the target", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/0.9", "GET /\r\n"),
        ("SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        ("a returns in place of line ends", "GET /x HTTP/1.1\rHost: x\r\rhello\r\n\r\n"),
    ] {
        cases.push(Case::refused(name, request, REFUSAL));
    }
    for (name, answer) in [
        ("no status line", "hello, this is no HTTP"),
        ("binary", "\0\x01\x02\x03\r\n\r\n\0\0\0\0\0\0\0\0"),
        ("a status that is no number", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of zero", "HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n"),
        ("a newer version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("no blank", "HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("ICY", "ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a line without a colon", "HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 2\r\n\r\nok"),
        ("a blank before the colon", "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok"),
        ("a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
        ("a zero in a value", "HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 2\r\n\r\nok"),
        ("line ends of one byte", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        ("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"),
        (
            "two answers",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        ),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
    ] {
        cases.push(Case::answered(format!("{name} as an answer, Lambda closes"), answer, true));
        // Of half a head nothing may come before the other half.
        if name != "half a head" {
            cases.push(Case::answered(format!("{name} as an answer, the client closes"), answer, false));
        }
    }
    cases.push(Case::new(
        "another request after what was refused",
        |client| {
            client.send("GET /x HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n");
            client.answer("GET");
            client.send(NEXT);
            client.answer("GET");
        },
        |lambda| {
            lambda.until("nothing\r\n\r\n");
            lambda.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
            lambda.until("\r\n\r\n");
            lambda.send(EVENT);
            lambda.drain();
        },
    ));
    cases.push(Case::new(
        "garbage after a good exchange",
        |client| {
            client.send(NEXT);
            client.answer("GET");
            client.send("what?\r\n\r\n");
            client.drain();
        },
        |lambda| {
            lambda.request();
            lambda.send(EVENT);
            lambda.until("what?\r\n\r\n");
            lambda.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
        },
    ));
    play_all(cases)
}

pub(super) fn garbage() -> Outcome {
    // A ClientHello of TLS 1.2 with a name: its first bytes are all that is wanted of it.
    let mut hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec();
    hello.extend((0..190u8).map(|at| at.wrapping_mul(37) ^ 0x5a));
    hello.extend(b"\x00\x0b\x00\x02");
    let alert = b"\x15\x03\x01\x00\x02\x02\x46";
    // Bytes as from a die that falls the same each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(64 * 1024);
    while noise.len() < 64 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    let long = [filler(2 * 1024 * 1024), b", and the end".to_vec()].concat();
    let endless: Vec<u8> = [b"GET /x HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), long.clone()].concat();
    let flood: String = (0..150_000).map(|number| format!("X-{number}: \r\n")).collect();
    let flood = format!("GET /x HTTP/1.1\r\nHost: x\r\n{flood}");
    let too_large: &[u8] =
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    play_all(vec![
        Case::refused("a ClientHello", hello, alert),
        Case::refused("noise", noise, REFUSAL),
        Case::refused("zeros", [vec![0; 4096], b", and the end".to_vec()].concat(), REFUSAL),
        Case::refused("a sentence without a line end", "this is no HTTP, whatever comes next", REFUSAL),
        Case::refused("a word of 2 MiB", long.clone(), too_large),
        Case::refused("a head without end, in one field", endless, too_large),
        Case::refused("a head without end, of 150,000 fields", flood, too_large),
        Case::answered(
            "an answer's head without end",
            [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), long.clone()].concat(),
            true,
        ),
        Case::answered("an answer of 2 MiB that is none", long, true),
        Case::new("nothing at all, and a close", |_| (), |lambda| lambda.drain()),
        Case::new(
            "empty lines, and a close",
            |client| {
                client.send("\r\n\r\n");
            },
            |lambda| lambda.drain(),
        )
        .like(Like::ACTED),
        Case::exchanges(
            "a proper exchange",
            vec![
                (NEXT.into(), EVENT.into()),
                (POST_CHUNKED.replace("\r\n\r\n", "\r\n\r\n0\r\n\r\n").into(), ACCEPTED.into()),
            ],
        ),
    ])
}
