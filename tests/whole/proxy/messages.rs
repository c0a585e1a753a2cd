//! Messages that are as they should be, or nearly: whatever a runtime and Lambda may say to each other passes unchanged.

use std::thread;
use std::time::{Duration, Instant};

use super::peer::{PATIENCE, Peer};
use super::play::{Case, play_all};
use super::recorded::{ACCEPTED, EVENT, GO_ERROR, INIT_ERROR, NEXT, NODE_STREAM, PYTHON_ERROR, pair, post};
use super::stand::{Stand, Way};
use super::wire::shown;
use crate::harness::{Outcome, equal, holds};

pub(super) fn what_runtimes_send() -> Outcome {
    play_all(vec![
        Case::exchanges(
            "an invocation after the other",
            vec![
                pair(NEXT, EVENT),
                pair(GO_ERROR, ACCEPTED),
                pair(NEXT, EVENT),
                pair(PYTHON_ERROR, ACCEPTED),
            ],
        ),
        Case::exchanges("a stream that fails", vec![pair(NEXT, EVENT), pair(NODE_STREAM, ACCEPTED)]),
        Case::exchanges(
            "an initialization that fails, and an answer that refuses it",
            vec![
                pair(INIT_ERROR, "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nnot"),
                pair(INIT_ERROR, ACCEPTED),
            ],
        ),
        slowly(
            "byte by byte",
            vec![pair(NEXT, EVENT), pair(GO_ERROR, ACCEPTED), pair(NODE_STREAM, ACCEPTED)],
        ),
        slowly(
            "byte by byte, chunks downward",
            vec![
                pair(
                    NEXT,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
                ),
                pair(NEXT, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ],
        ),
    ])
}

/// Every byte in a piece of its own, both ways.
fn slowly(name: &str, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Case {
    let answers: Vec<Vec<u8>> = pairs.iter().map(|(_, answer)| answer.clone()).collect();
    Case::new(
        name,
        move |client| {
            for (request, _) in &pairs {
                client.drip(request);
                client.answer("GET");
            }
        },
        move |lambda| {
            for answer in &answers {
                if lambda.request().is_some() {
                    lambda.drip(answer);
                }
            }
            lambda.drain();
        },
    )
}

pub(super) fn methods_and_targets() -> Outcome {
    let mut cases = Vec::new();
    for line in [
        "GET /2018-06-01/runtime/invocation/next?a=b&c=%20%zz HTTP/1.1",
        "GET /2018-06-01/runtime/invocation/next?a=/runtime/invocation/1/error HTTP/1.1",
        "GET /2018-06-01/runtime//invocation/next HTTP/1.1",
        "GET /2018-06-01/runtime/invocation/../invocation/next HTTP/1.1",
        "GET /2018-06-01/runtime/restore/next HTTP/1.1",
        "POST /2018-06-01/runtime/invocation/next HTTP/1.1",
        "POST /2018-06-01/runtime/invocation//error HTTP/1.1",
        "POST /2018-06-01/runtime/invocation/a%2Fb/error HTTP/1.1",
        "PUT /2018-06-01/runtime/invocation/1/error HTTP/1.1",
        "DELETE / HTTP/1.1",
        "PATCH /x HTTP/1.1",
        "TRACE /x HTTP/1.1",
        "FROBNICATE /2018-06-01/runtime/x HTTP/1.1",
        "get /2018-06-01/runtime/invocation/next HTTP/1.1",
        "M-SEARCH * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://127.0.0.1/2018-06-01/runtime/invocation/next HTTP/1.1",
        "GET /x HTTP/1.0",
        "GET /2018-06-01/runtime/invocation/next HTTP/1.0",
        "CONNECT example:80 HTTP/1.1",
        "GET /2020-01-01/extension/event/next HTTP/1.1",
        "GET / HTTP/1.1",
        "GET /~!$&'()*+,;=:@-._/%41 HTTP/1.1",
        "GET /k\u{e4}se HTTP/1.1",
        "GET /a\"b<c>{d}|e^f`g\\h HTTP/1.1",
    ] {
        let request = format!("{line}\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}");
        cases.push(Case::exchanges(
            line,
            vec![pair(request, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")],
        ));
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(64 * 1024));
    cases.push(Case::exchange("a path of 64 KiB", long, EVENT));
    play_all(cases)
}

pub(super) fn fields() -> Outcome {
    let mut cases = Vec::new();
    for (name, fields) in [
        (
            "duplicates stay apart and in order",
            "A: 1\r\na: 2\r\nB: x\r\nA: 1\r\nSet-Cookie: a\r\nset-cookie: b\r\n",
        ),
        ("odd letter case", "lAmBdA-RuNtImE-x: Y\r\nCONTENT-TYPE: Text/Plain\r\ncontent-LENGTH: 0\r\n"),
        ("blanks around values", "A:1\r\nB:   2   \r\nC:\t3\t\r\nD:\r\nE: \r\nF: a\tb\r\n"),
        ("odd names", "!#$%&'*+-.^_`|~9: x\r\n0: y\r\n"),
        ("colons and quotes in values", "A: b:c\r\nB: \"q\\\"\"\r\nC: ::\r\n"),
        (
            "names that look like ours",
            "X-Host: a\r\nHosts: b\r\nHos: c\r\nConnection-Id: d\r\nUpgrade-Insecure-Requests: 1\r\n",
        ),
        ("TE and Trailer stay", "TE: trailers\r\nTrailer: X\r\n"),
        (
            "fields of one connection",
            "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nA: b\r\n",
        ),
        ("a wish for another protocol", "Connection: Upgrade\r\nUpgrade: h2c\r\nA: b\r\n"),
        (
            "what frames stays, whatever Connection says",
            "Connection: Content-Length, Transfer-Encoding, TE\r\nTE: x\r\n",
        ),
        ("no Host at all", ""),
    ] {
        let request = format!("GET /x HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let request = if name == "no Host at all" { request.replace("Host: x\r\n", "") } else { request };
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let with_body = format!("POST /x HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 2\r\n\r\nab");
        let with_body = if fields.to_ascii_lowercase().contains("content-length: ") {
            request.clone()
        } else {
            with_body
        };
        cases.push(Case::exchanges(
            name,
            vec![pair(request, &*answer), pair(with_body, answer), pair(NEXT, EVENT)],
        ));
    }
    for (name, fields) in [("two of Host", "Host: a\r\nHost: b\r\n"), ("an odd Host", "hOsT:a\r\n")] {
        cases.push(Case::exchange(name, format!("GET /x HTTP/1.1\r\n{fields}A: b\r\n\r\n"), EVENT));
    }
    let bytes: Vec<u8> = (0x80..=0xff).collect();
    let (mut request, mut answer) =
        (b"GET /x HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), b"HTTP/1.1 200 OK\r\nA: ".to_vec());
    request.extend(&bytes);
    answer.extend(&bytes);
    request.extend(b"\r\n\r\n");
    answer.extend(b"\r\nContent-Length: 0\r\n\r\n");
    cases.push(Case::exchanges("values that are not UTF-8", vec![pair(request, answer), pair(NEXT, EVENT)]));

    let cause = format!("X-Cause: {}\r\n", "c".repeat(1024 * 1024 - 1));
    let request = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\n{cause}Content-Length: 2\r\n\r\n{{}}"
    );
    let answer = format!("HTTP/1.1 202 Accepted\r\n{cause}Content-Length: 2\r\n\r\n{{}}");
    cases.push(Case::exchanges("a value of 1 MiB both ways", vec![pair(request, answer), pair(NEXT, EVENT)]));
    for count in [127, 128, 129, 500, 20_000] {
        let fields: String = (0..count).map(|number| format!("X-{number}: {number}\r\n")).collect();
        let request = format!("POST /x HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 2\r\n\r\n{{}}");
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\n{{}}");
        cases.push(Case::exchange(format!("{count} fields upward"), &*request, EVENT));
        cases.push(Case::exchange(format!("{count} fields downward"), NEXT, &*answer));
        cases.push(Case::exchanges(
            format!("{count} fields both ways, and another exchange"),
            vec![pair(request, answer), pair(NEXT, EVENT)],
        ));
    }
    play_all(cases)
}

pub(super) fn pipelines() -> Outcome {
    let next = |number: usize| {
        format!("GET /2018-06-01/runtime/invocation/next?{number} HTTP/1.1\r\nHost: x\r\n\r\n")
    };
    let answer =
        |number: usize| format!("HTTP/1.1 200 OK\r\nA: {number}\r\nContent-Length: 5\r\n\r\n{number:05}");
    let mut cases = vec![
        pipeline("three in one write", (0..3).map(|number| pair(next(number), answer(number))).collect()),
        pipeline(
            "three with bodies of each kind",
            vec![
                pair(GO_ERROR, ACCEPTED),
                pair(post(1000), answer(1)),
                pair(next(2), EVENT),
                pair(NODE_STREAM, ACCEPTED),
            ],
        ),
        pipeline("200 in one write", (0..200).map(|number| pair(next(number), answer(number))).collect()),
        pipeline(
            "with 100 KiB before the last",
            vec![pair(post(100_000), answer(0)), pair(post(100_000), answer(1)), pair(next(2), EVENT)],
        ),
        pipeline(
            "empty lines between",
            vec![
                pair(next(0), answer(0)),
                pair(format!("\r\n{}", next(1)), answer(1)),
                pair(format!("\r\n\r\n{}", next(2)), answer(2)),
            ],
        ),
    ];
    let requests: String = (0..3).map(next).collect();
    cases.push(Case::new(
        "all answers in one write",
        move |client| {
            client.send(&requests);
            for _ in 0..3 {
                client.answer("GET");
            }
        },
        move |lambda| {
            for number in 0..3 {
                lambda.request();
                lambda.send(answer(number));
            }
            lambda.drain();
        },
    ));
    play_all(cases)
}

/// All requests at once.
fn pipeline(name: &str, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Case {
    let requests = pairs.iter().flat_map(|(request, _)| request.clone()).collect::<Vec<u8>>();
    let answers: Vec<Vec<u8>> = pairs.into_iter().map(|(_, answer)| answer).collect();
    let count = answers.len();
    Case::new(
        name,
        move |client| {
            client.send(&requests);
            for _ in 0..count {
                if client.answer("GET").is_none() {
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
            lambda.drain();
        },
    )
}

pub(super) fn informational_answers() -> Outcome {
    let final_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n";
    let mut cases: Vec<Case> = [
        "HTTP/1.1 100 Continue\r\n\r\n",
        hints,
        "HTTP/1.1 102 Processing\r\nA: b\r\n\r\n",
        "HTTP/1.1 199 x\r\nContent-Length: 5\r\n\r\n",
    ]
    .into_iter()
    .map(|early| {
        Case::exchanges(
            format!("{early:?} before an answer"),
            vec![
                pair(NEXT, format!("{early}{final_answer}")),
                pair(PYTHON_ERROR, format!("{early}{hints}{early}{final_answer}")),
                pair(NEXT, EVENT),
            ],
        )
    })
    .collect();
    let head = "POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    cases.push(Case::new(
        "the client waits for 100, and Lambda sends it",
        move |client| {
            client.send(head);
            if client.until("HTTP/1.1 100 Go on\r\nA: b\r\n\r\n") {
                client.send("hello");
                client.answer("POST");
            }
        },
        move |lambda| {
            lambda.until("\r\n\r\n");
            lambda.send("HTTP/1.1 100 Go on\r\nA: b\r\n\r\n");
            lambda.until("hello");
            lambda.send(final_answer);
            lambda.drain();
        },
    ));
    cases.push(Case::new(
        "the client does not wait for the 100 that never comes",
        move |client| {
            client.send(head);
            thread::sleep(Duration::from_millis(50));
            client.send("hello");
            client.answer("POST");
        },
        move |lambda| {
            if lambda.request().is_some() {
                lambda.send(final_answer);
            }
            lambda.drain();
        },
    ));
    cases.push(Case::new(
        "Lambda refuses instead, and the client does not send the body",
        move |client| {
            client.send(head);
            client.drain();
        },
        move |lambda| {
            lambda.until("\r\n\r\n");
            lambda
                .send("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        },
    ));
    cases.push(Case::exchanges(
        "Expect, and the body at once",
        vec![
            pair(format!("{head}hello"), format!("HTTP/1.1 100 Continue\r\n\r\n{final_answer}")),
            pair(NEXT, EVENT),
        ],
    ));
    cases.push(Case::exchange(
        "another expectation",
        "POST /x HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\nab",
        final_answer,
    ));
    play_all(cases)
}

/// A runtime that asks Lambda itself names Lambda's address, and so does the proxy, in the place of the runtime's Host.
pub(super) fn host() -> Outcome {
    let stand = Stand::start()?;
    let request = |host: &str| {
        format!("POST /x?a=b HTTP/1.1\r\nA: b\r\nhOST: {host}\r\nContent-Length: 2\r\nC: d\r\n\r\n{{}}")
    };
    let client = stand.connect(Way::Proxied)?;
    client.send(request(&stand.address(Way::Proxied).to_string()));
    let mut lambda = stand.accept(PATIENCE)?;
    let got = String::from_utf8(lambda.request().ok_or("half a request")?)?;
    let wanted = request(&stand.address(Way::Directly).to_string());
    holds(got.eq_ignore_ascii_case(&wanted), format!("{got:?} instead of {wanted:?}"))?;
    drop((client, lambda));
    stand.finish()
}

/// However an error reaches Lambda, there is one record of it, and one only.
pub(super) fn errors_are_recorded() -> Outcome {
    let stand = Stand::start()?;
    let head = |number: usize, fields: &str| {
        format!(
            "POST /2018-06-01/runtime/invocation/id-{number}/error HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n"
        )
    };
    let body =
        |number: usize| format!(r#"{{"errorMessage":"failed-{number}-of-all","errorType":"E{number}"}}"#);
    let with_length = |number: usize, fields: &str| {
        let body = body(number);
        format!("{}{body}", head(number, &format!("{fields}Content-Length: {}", body.len())))
    };
    let in_chunks = |number: usize| {
        let body = body(number);
        let (first, last) = body.split_at(9);
        format!(
            "{}9;x=y\r\n{first}\r\n{:X}\r\n{last}\r\n0\r\nA: b\r\n\r\n",
            head(number, "Transfer-Encoding: chunked"),
            last.len()
        )
    };
    let mut client = stand.connect(Way::Proxied)?;
    client.send(with_length(0, ""));
    let mut lambda = stand.accept(PATIENCE)?;
    let mut answer = |client: &mut Peer, number: usize| -> Outcome {
        let request = lambda.request().ok_or_else(|| format!("error {number} does not reach Lambda"))?;
        let wanted = format!("POST /2018-06-01/runtime/invocation/id-{number}/error ");
        holds(request.trim_ascii_start().starts_with(wanted.as_bytes()), shown(&request))?;
        lambda.send(ACCEPTED);
        holds(client.answer("POST").is_some(), format!("error {number} is not answered"))
    };
    answer(&mut client, 0)?;
    client.drip(with_length(1, "").as_bytes());
    answer(&mut client, 1)?;
    client.send(in_chunks(2));
    answer(&mut client, 2)?;
    client.drip(in_chunks(3).as_bytes());
    answer(&mut client, 3)?;
    client.send([with_length(4, ""), in_chunks(5), with_length(6, "A: b\r\n")].concat());
    for number in 4..=6 {
        answer(&mut client, number)?;
    }
    let fields: String = (0..300).map(|number| format!("X-{number}: y\r\n")).collect();
    client.send(with_length(7, &fields));
    answer(&mut client, 7)?;
    client.send(with_length(8, &format!("X-Cause: {}\r\n", "c".repeat(1024 * 1024 - 1))));
    answer(&mut client, 8)?;
    client.send(format!("\r\n{}", with_length(9, "")));
    answer(&mut client, 9)?;
    let until = Instant::now() + 5 * PATIENCE;
    for number in 0..10 {
        let message = format!("failed-{number}-of-all");
        let records = |log: &str| log.lines().filter(|line| line.contains(&message)).count();
        while records(&stand.log()) == 0 {
            holds(Instant::now() < until, format!("no record of error {number}\n{}", stand.log()))?;
            thread::sleep(Duration::from_millis(5));
        }
    }
    thread::sleep(Duration::from_millis(50));
    let log = stand.log();
    equal(log.matches("-of-all").count(), 10, &format!("records\n{log}"))?;
    drop((client, lambda));
    stand.finish()
}
