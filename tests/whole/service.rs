//! The stand-in of CloudWatch Logs beside moto's: the same signed calls to both. They agree, or the table of differences says
//! where and why; both sides of a difference are checked, so a table that is out of date fails too.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use trace_agent::peers::MOTO;
use trace_logs_service::{BATCH_BYTES_MAX, Key, Options, Service};

use crate::cloudwatch::Moto;
use crate::harness::{Outcome, Stop, equal, holds, lines, peer, said, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("the stand-in of CloudWatch Logs answers as moto does", the_stand_in_answers_as_moto_does),
        test("where the two differ is known, on both sides", where_the_two_differ_is_known),
        test("a signature by AWS's own signer is verified", a_signature_is_verified),
    ]
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

fn call(operation: &str, body: Value) -> Value {
    json!({ "operation": operation, "body": body })
}

fn put(events: Value) -> Value {
    call("PutLogEvents", json!({ "logGroupName": "/g", "logStreamName": "s", "logEvents": events }))
}

fn event(timestamp: i64, message: &str) -> Value {
    json!({ "timestamp": timestamp, "message": message })
}

/// A stand-in that knows one key, `test` with the secret `test`.
fn stand_in() -> Result<Service, Stop> {
    let key = Key { id: "test".to_owned(), secret: "test".to_owned(), token: None };
    Ok(Service::start(Options { credentials: Some(vec![key]), ..Options::default() })?)
}

/// The answers to `calls`, made one after the other.
fn answers(python: &Path, endpoint: &str, secret: &str, calls: &[Value]) -> Result<Vec<Value>, Stop> {
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/logs_calls.py"))
        .args([endpoint, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let text: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let mut input = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    holds(output.status.success(), said(&output))?;
    let answers = lines(&output.stdout)?;
    equal(answers.len(), calls.len(), "answers")?;
    Ok(answers)
}

/// The answers of both: ours, then moto's.
fn both(calls: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Stop> {
    let moto = Moto::start()?;
    let service = stand_in()?;
    let python = peer(MOTO)?.join("python3");
    let ours = answers(&python, &service.endpoint(), "test", calls)?;
    Ok((ours, answers(&python, &moto.endpoint, "test", calls)?))
}

/// What must be equal of an answer: status, error, and of its body what does not depend on when and where it was made.
fn essence(answer: &Value) -> Value {
    let body = &answer["body"];
    let named = |list: &str, members: &[&str]| -> Value {
        let entries = body[list].as_array().cloned().unwrap_or_default();
        let only = |entry: &Value| -> Value {
            members.iter().map(|member| ((*member).to_owned(), entry[*member].clone())).collect()
        };
        entries.iter().map(only).collect()
    };
    json!({
        "status": answer["status"],
        "type": answer["type"],
        "events": named("events", &["timestamp", "message", "logStreamName"]),
        "groups": named("logGroups", &["logGroupName", "retentionInDays", "kmsKeyId", "metricFilterCount"]),
        "streams": named("logStreams", &["logStreamName", "firstEventTimestamp", "lastEventTimestamp"]),
        "rejected": body["rejectedLogEventsInfo"],
        "more": body.get("nextToken").is_some_and(|token| !token.is_null()),
    })
}

fn the_stand_in_answers_as_moto_does() -> Outcome {
    let now = now();
    let group = json!({ "logGroupName": "/g" });
    let stream = json!({ "logGroupName": "/g", "logStreamName": "s" });
    let with = |object: &Value, more: Value| {
        let mut object = object.clone();
        object.as_object_mut().expect("it is one").extend(more.as_object().cloned().unwrap_or_default());
        object
    };
    let mut packed = put(json!([event(now, "packed")]));
    packed["gzip"] = true.into();
    let calls = [
        put(json!([event(now, "no group")])),
        call("CreateLogStream", stream.clone()),
        call(
            "CreateLogGroup",
            with(
                &group,
                json!({ "tags": { "a": "b" }, "kmsKeyId": "k", "logGroupClass": "INFREQUENT_ACCESS" }),
            ),
        ),
        call("CreateLogGroup", group.clone()),
        call("DescribeLogGroups", json!({})),
        call("DescribeLogGroups", json!({ "logGroupNamePrefix": "/none" })),
        put(json!([event(now, "no stream")])),
        call("CreateLogStream", stream.clone()),
        call("CreateLogStream", stream.clone()),
        call("CreateLogStream", json!({ "logGroupName": "/g", "logStreamName": "t" })),
        call("PutRetentionPolicy", with(&group, json!({ "retentionInDays": 30 }))),
        call("PutRetentionPolicy", json!({ "logGroupName": "/none", "retentionInDays": 30 })),
        call("DescribeLogGroups", json!({ "logGroupNamePrefix": "/" })),
        put(json!([
            event(now - 5, "größe €\t\"\\\u{0}"),
            event(now, "two words"),
            event(now, "{\"id\":\"7\"}")
        ])),
        packed,
        put(json!([event(now, "b"), event(now - 1, "a")])),
        put(json!([event(now - 10, "earlier than the request before")])),
        call("GetLogEvents", with(&stream, json!({ "startFromHead": true }))),
        call("GetLogEvents", with(&stream, json!({ "limit": 2 }))),
        call("GetLogEvents", with(&stream, json!({ "startTime": now, "startFromHead": true }))),
        call("GetLogEvents", json!({ "logGroupName": "/none", "logStreamName": "s" })),
        call("GetLogEvents", json!({ "logGroupName": "/g", "logStreamName": "none" })),
        call("FilterLogEvents", group.clone()),
        call("FilterLogEvents", with(&group, json!({ "filterPattern": "\"two words\"" }))),
        call("FilterLogEvents", with(&group, json!({ "filterPattern": "packed" }))),
        call("FilterLogEvents", with(&group, json!({ "startTime": now - 5, "endTime": now - 5 }))),
        call("FilterLogEvents", with(&group, json!({ "limit": 2 }))),
        call("FilterLogEvents", with(&group, json!({ "logStreamNames": ["s"] }))),
        call("FilterLogEvents", json!({ "logGroupName": "/none" })),
        call("DescribeLogStreams", group.clone()),
        call("DescribeLogStreams", with(&group, json!({ "orderBy": "LogStreamName", "descending": true }))),
        call("DescribeLogStreams", with(&group, json!({ "logStreamNamePrefix": "t" }))),
        call("DescribeLogStreams", with(&group, json!({ "limit": 1 }))),
        call("DescribeLogStreams", with(&group, json!({ "limit": 51 }))),
        call(
            "DescribeLogStreams",
            with(&group, json!({ "orderBy": "LastEventTime", "logStreamNamePrefix": "s" })),
        ),
        call("DescribeLogStreams", json!({ "logGroupName": "/none" })),
        call("DeleteLogStream", stream.clone()),
        call("DeleteLogStream", stream),
        call("DeleteLogGroup", group.clone()),
        call("DeleteLogGroup", group),
    ];
    let (ours, motos) = both(&calls)?;
    let pairs = calls.iter().zip(ours.iter().zip(&motos));
    let apart = pairs.filter(|(_, (ours, moto))| essence(ours) != essence(moto));
    let apart: Vec<String> =
        apart.map(|(call, (ours, moto))| format!("{call}\n  ours {ours}\n  moto {moto}")).collect();
    holds(apart.is_empty(), apart.join("\n"))
}

/// A call about the stream in which events outside of the windows are put.
fn windows(events: Value) -> Value {
    call("PutLogEvents", json!({ "logGroupName": "/g", "logStreamName": "windows", "logEvents": events }))
}

/// What moto gives of all that it has taken by then, in which our side refused most: a page.
const MOTO_PAGE: usize = 10_000;

/// A call to which the two answer differently.
struct Difference {
    why: &'static str,
    call: Value,
    ours: Value,
    moto: Value,
}

/// An answer as it stands in the table: the status, the error, where events were rejected, and what came back: how many events, or
/// of which class a group is.
fn brief(answer: &Value) -> Value {
    let body = &answer["body"];
    let read = match body["events"].as_array() {
        Some(events) => events.len().into(),
        None => body["logGroups"][0]["logGroupClass"].clone(),
    };
    json!([answer["status"], answer["type"], body["rejectedLogEventsInfo"], read])
}

fn differences(now: i64) -> Vec<Difference> {
    let taken = json!([200, null, null, null]);
    let invalid = json!([400, "InvalidParameterException", null, null]);
    let lax =
        |why: &'static str, call: Value| Difference { why, call, ours: invalid.clone(), moto: taken.clone() };
    let many: Vec<Value> = (0..=10_000).map(|_| event(now, "m")).collect();
    let large = "x".repeat(BATCH_BYTES_MAX - 25);
    let half = "x".repeat(BATCH_BYTES_MAX / 2 - 25);
    let (old, new) = (now - 14 * DAY_MS - MINUTE_MS, now + 121 * MINUTE_MS);
    vec![
        lax("moto takes no events", put(json!([]))),
        lax("moto takes more than 10,000 events", put(many.into())),
        lax("moto takes an empty message", put(json!([event(now, "")]))),
        lax("moto takes an event of more than 1 MiB", put(json!([event(now, &large)]))),
        lax("moto takes a batch of more than 1 MiB", put(json!([event(now, &half), event(now, &half)]))),
        lax(
            "moto takes a batch over more than 24 hours",
            put(json!([event(now - 2 * DAY_MS, "a"), event(now, "b")])),
        ),
        lax(
            "moto takes any number of days",
            call("PutRetentionPolicy", json!({ "logGroupName": "/g", "retentionInDays": 2 })),
        ),
        lax(
            "moto takes a colon in the name of a stream",
            call("CreateLogStream", json!({ "logGroupName": "/g", "logStreamName": "a:b" })),
        ),
        Difference {
            why: "moto gives every event to a pattern over JSON, which ours does not know",
            call: call("FilterLogEvents", json!({ "logGroupName": "/g", "filterPattern": "{ $.id = 7 }" })),
            ours: invalid.clone(),
            moto: json!([200, null, null, MOTO_PAGE]),
        },
        Difference {
            why: "moto forgets the class of a group",
            call: call("DescribeLogGroups", json!({ "logGroupNamePrefix": "/short" })),
            ours: json!([200, null, null, "INFREQUENT_ACCESS"]),
            moto: taken.clone(),
        },
        Difference {
            why: "moto's end of the events that are too old is inclusive",
            call: windows(json!([event(old - 1, "a"), event(old, "b"), event(now, "c")])),
            ours: json!([200, null, { "tooOldLogEventEndIndex": 2 }, null]),
            moto: json!([200, null, { "tooOldLogEventEndIndex": 1 }, null]),
        },
        Difference {
            why: "moto says the last event that is too new, not the first",
            call: windows(json!([event(now, "d"), event(new, "b"), event(new, "c"), event(new, "d")])),
            ours: json!([200, null, { "tooNewLogEventStartIndex": 1 }, null]),
            moto: json!([200, null, { "tooNewLogEventStartIndex": 3 }, null]),
        },
        Difference {
            why: "moto's end of the time of a stream's events is inclusive",
            call: call(
                "GetLogEvents",
                json!({ "logGroupName": "/g", "logStreamName": "windows", "endTime": now, "startFromHead": true }),
            ),
            ours: json!([200, null, null, 0]),
            moto: json!([200, null, null, 2]),
        },
        Difference {
            why: "moto passes over the prefix of streams",
            call: call("FilterLogEvents", json!({ "logGroupName": "/g", "logStreamNamePrefix": "none" })),
            ours: json!([200, null, null, 0]),
            moto: json!([200, null, null, MOTO_PAGE]),
        },
        Difference {
            why: "moto knows no expiry",
            call: call(
                "PutLogEvents",
                json!({ "logGroupName": "/short", "logStreamName": "s", "logEvents": [event(now - 8 * DAY_MS, "m")] }),
            ),
            ours: json!([200, null, { "expiredLogEventEndIndex": 1 }, null]),
            moto: taken,
        },
        Difference {
            why: "moto reads what is no JSON as a request without members",
            call: json!({ "operation": "PutLogEvents", "raw": "{\"logGroupName\":" }),
            ours: json!([400, "SerializationException", null, null]),
            moto: json!([400, "ResourceNotFoundException", null, null]),
        },
        Difference {
            why: "moto knows no operation of that name either, and fails inside",
            call: call("DescribeNothing", json!({})),
            ours: json!([400, "UnknownOperationException", null, null]),
            moto: json!([500, null, null, null]),
        },
    ]
}

fn where_the_two_differ_is_known() -> Outcome {
    let table = differences(now());
    let mut calls = vec![
        call("CreateLogGroup", json!({ "logGroupName": "/g" })),
        call("CreateLogStream", json!({ "logGroupName": "/g", "logStreamName": "s" })),
        call("CreateLogStream", json!({ "logGroupName": "/g", "logStreamName": "windows" })),
        call("CreateLogGroup", json!({ "logGroupName": "/short", "logGroupClass": "INFREQUENT_ACCESS" })),
        call("CreateLogStream", json!({ "logGroupName": "/short", "logStreamName": "s" })),
        call("PutRetentionPolicy", json!({ "logGroupName": "/short", "retentionInDays": 7 })),
    ];
    let before = calls.len();
    calls.extend(table.iter().map(|difference| difference.call.clone()));
    calls.push(call(
        "GetLogEvents",
        json!({ "logGroupName": "/g", "logStreamName": "windows", "startFromHead": true }),
    ));
    let (ours, motos) = both(&calls)?;
    for (who, answers) in [("ours", &ours), ("moto", &motos)] {
        let prepared = answers.iter().take(before).all(|answer| answer["status"] == 200);
        holds(prepared, format!("{who} refuses what comes before: {:?}", &answers[..before]))?;
        let read = answers.last().map(essence).unwrap_or_default();
        let stored = read["events"].as_array().into_iter().flatten().map(|event| event["message"].clone());
        equal(
            stored.collect::<Value>(),
            json!(["c", "d"]),
            &format!("what {who} has stored of the windows"),
        )?;
    }
    let answers = ours.iter().zip(&motos).skip(before);
    let mut wrong = Vec::new();
    for (difference, (ours, moto)) in table.iter().zip(answers) {
        for (who, answer, expected) in [("ours", ours, &difference.ours), ("moto", moto, &difference.moto)] {
            if brief(answer) != *expected {
                wrong.push(format!("{}: {who} {}, expected {expected}", difference.why, brief(answer)));
            }
        }
    }
    holds(wrong.is_empty(), wrong.join("\n"))
}

fn a_signature_is_verified() -> Outcome {
    let python = peer(MOTO)?.join("python3");
    let service = stand_in()?;
    let calls = [call("CreateLogGroup", json!({ "logGroupName": "/g" }))];
    let wrong = answers(&python, &service.endpoint(), "not the secret", &calls)?;
    equal(&wrong[0]["type"], &json!("InvalidSignatureException"), "signed with a wrong secret")?;
    equal(service.state().groups.len(), 0, "groups")?;
    let right = answers(&python, &service.endpoint(), "test", &calls)?;
    equal(&right[0]["status"], &json!(200), "signed with the right one")?;
    equal(service.state().groups.len(), 1, "groups")
}
