//! The record in the words of others. `docs/mappings.md` has the two tables, member by member.
//!
//! What the other schema has no word for stays out: these are for tools that know nothing else, and the record itself is the
//! complete form.

use serde_json::{Map, Value, json};

use crate::complete::parse_rfc3339;
use crate::failure::{Cause, Record, Relation, StackEntry};

/// The severity of an error, and of a failure that the program handled, in the log data model of OpenTelemetry.
const ERROR: (&str, u32) = ("ERROR", 17);
const WARN: (&str, u32) = ("WARN", 13);

/// The version of ECS that the names are from.
const ECS_VERSION: &str = "8.17.0";

/// A log record of OpenTelemetry, as OTLP writes one in JSON: its `eventName` is `exception`, and its attributes are those of the semantic
/// conventions.
#[must_use]
pub fn otel(record: &Record) -> Value {
    let mut attributes = Vec::new();
    let mut add = |name: &str, value: Option<Value>| {
        attributes.extend(value.map(|value| json!({ "key": name, "value": value })));
    };
    let text = |text: &Option<String>| text.as_ref().map(|text| json!({ "stringValue": text }));
    let error_type = record.error_type.clone().or_else(|| kind(record));
    add("exception.type", text(&error_type));
    add("exception.message", text(&Some(record.error_message.clone())));
    add("exception.stacktrace", text(&Some(stack_trace(record))));
    add("error.type", text(&error_type));
    if let Some(culprit) = &record.culprit {
        add("code.file.path", text(&culprit.file));
        add("code.line.number", culprit.line.map(|line| json!({ "intValue": line.to_string() })));
        add("code.function.name", text(&culprit.function));
    }
    add("faas.name", text(&record.function_name));
    add("faas.version", text(&record.function_version));
    add("faas.invocation_id", text(&record.request_id));
    add("faas.coldstart", record.cold_start.map(|cold| json!({ "boolValue": cold })));
    add("host.name", text(&host(record)));
    add("telemetry.sdk.language", text(&record.runtime));
    add(
        "process.exit.code",
        record.exit.as_ref().and_then(|exit| exit.code).map(|code| json!({ "intValue": code.to_string() })),
    );
    add("trace_agent.id", text(&record.id));
    add("trace_agent.fingerprint", text(&record.fingerprint));
    add("trace_agent.kind", text(&kind(record)));
    let (severity, number) = severity(record);
    let time = record.timestamp.as_deref().and_then(parse_rfc3339).map(|time_ms| format!("{time_ms}000000"));
    let mut log = Map::new();
    log.extend(time.map(|time| ("timeUnixNano".to_owned(), json!(time))));
    log.extend(members([
        ("severityNumber", json!(number)),
        ("severityText", json!(severity)),
        ("eventName", json!("exception")),
        ("body", json!({ "stringValue": record.error_message })),
        ("attributes", json!(attributes)),
    ]));
    if let Some((trace, span)) = record.trace_id.as_deref().and_then(x_ray) {
        log.insert("traceId".to_owned(), json!(trace));
        log.extend(span.map(|span| ("spanId".to_owned(), json!(span))));
    }
    Value::Object(log)
}

/// A document of the Elastic Common Schema. A name with points in it is one member, which Elasticsearch takes for nested ones.
#[must_use]
pub fn ecs(record: &Record) -> Value {
    let mut document = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        document.extend(value.map(|value| (name.to_owned(), value)));
    };
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    add("@timestamp", text(&record.timestamp));
    add("ecs.version", Some(json!(ECS_VERSION)));
    add("event.kind", Some(json!("event")));
    add("event.category", Some(json!(["process"])));
    add("event.type", Some(json!(["error"])));
    add("event.outcome", Some(json!("failure")));
    add("event.id", text(&record.id));
    add("log.level", Some(json!(severity(record).0.to_ascii_lowercase())));
    add("message", Some(json!(record.error_message)));
    add("error.type", text(&record.error_type.clone().or_else(|| kind(record))));
    add("error.message", Some(json!(record.error_message)));
    add("error.stack_trace", Some(json!(stack_trace(record))));
    add("error.id", text(&record.fingerprint));
    add("error.code", text(&kind(record)));
    if let Some(culprit) = &record.culprit {
        add("log.origin.file.name", text(&culprit.file));
        add("log.origin.file.line", culprit.line.map(|line| json!(line)));
        add("log.origin.function", text(&culprit.function));
    }
    add("faas.name", text(&record.function_name));
    add("faas.version", text(&record.function_version));
    add("faas.execution", text(&record.request_id));
    add("faas.coldstart", record.cold_start.map(|cold| json!(cold)));
    add("host.name", text(&host(record)));
    add("trace.id", record.trace_id.as_deref().and_then(x_ray).map(|(trace, _)| json!(trace)));
    add("process.exit_code", record.exit.as_ref().and_then(|exit| exit.code).map(|code| json!(code)));
    Value::Object(document)
}

fn members<const N: usize>(members: [(&str, Value); N]) -> impl Iterator<Item = (String, Value)> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value))
}

fn kind(record: &Record) -> Option<String> {
    record.kind.as_ref().map(|kind| kind.as_str().to_owned())
}

fn host(record: &Record) -> Option<String> {
    Some(record.host.as_ref()?.get("name")?.as_str()?.to_owned())
}

fn severity(record: &Record) -> (&'static str, u32) {
    if record.handled == Some(true) { WARN } else { ERROR }
}

/// The stack as text, in the order and the words of Python's tracebacks: of all runtimes' the one whose most recent call
/// stands last, as ours does.
fn stack_trace(record: &Record) -> String {
    let mut text = String::new();
    causes(&mut text, &record.causes);
    entries(&mut text, &record.stack_trace);
    said(&mut text, record.error_type.as_deref(), &record.error_message);
    text.truncate(text.trim_end().len());
    text
}

/// Python prints what happened first first.
fn causes(text: &mut String, list: &[Cause]) {
    for cause in list {
        causes(text, &cause.causes);
        entries(text, &cause.stack_trace);
        said(text, cause.error_type.as_deref(), &cause.error_message);
        text.push_str(match cause.relation {
            Some(Relation::Context) => {
                "\nDuring handling of the above exception, another exception occurred:\n\n"
            }
            Some(Relation::Suppressed) => {
                "\nThe above exception was suppressed by the following exception:\n\n"
            }
            Some(Relation::Member) => "\nThe above exception is a member of the following exception:\n\n",
            Some(Relation::Cause) | None => {
                "\nThe above exception was the direct cause of the following exception:\n\n"
            }
        });
    }
}

fn entries(text: &mut String, entries: &[StackEntry]) {
    if entries.is_empty() {
        return;
    }
    text.push_str("Traceback (most recent call last):\n");
    for entry in entries {
        let file = entry.file.as_deref().unwrap_or("<unknown>");
        let line = entry.line.map_or(String::new(), |line| format!(", line {line}"));
        let function = entry.function.as_deref().unwrap_or("<unknown>");
        text.push_str(&format!("  File \"{file}\"{line}, in {function}\n"));
        if let Some(source) = &entry.source {
            text.push_str(&format!("    {source}\n"));
        }
    }
}

fn said(text: &mut String, error_type: Option<&str>, message: &str) {
    let words: Vec<&str> = error_type.into_iter().chain((!message.is_empty()).then_some(message)).collect();
    text.push_str(&words.join(": "));
    text.push('\n');
}

/// The trace and span of an X-Ray header (`Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`), as W3C
/// writes them.
fn x_ray(header: &str) -> Option<(String, Option<&str>)> {
    let part = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name));
    let is_hex =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trace = part("Root=").unwrap_or(header).strip_prefix("1-")?.replace('-', "");
    is_hex(&trace, 32).then(|| (trace, part("Parent=").filter(|span| is_hex(span, 16))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        serde_json::from_str(
            r#"{"errorMessage":"I failed!","errorType":"Exception","stackTrace":[["/var/task/app.py",3,"handler","raise Exception('I failed!')"],[null,null,null,null]],
                "causes":[{"errorMessage":"k","errorType":"KeyError","relation":"context","stackTrace":[]}],
                "culprit":{"index":0,"file":"/var/task/app.py","line":3,"function":"handler"},"kind":"exception","timestamp":"2026-11-26T10:00:00.500Z",
                "functionName":"shop","requestId":"r","fingerprint":"ab","id":"cd","traceId":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_stack_reads_like_a_traceback() {
        assert_eq!(
            stack_trace(&record()),
            concat!(
                "KeyError: k\n\nDuring handling of the above exception, another exception occurred:\n\n",
                "Traceback (most recent call last):\n",
                "  File \"/var/task/app.py\", line 3, in handler\n",
                "    raise Exception('I failed!')\n",
                "  File \"<unknown>\", in <unknown>\n",
                "Exception: I failed!"
            )
        );
        assert_eq!(stack_trace(&Record::default()), "");
    }

    #[test]
    fn open_telemetry_gets_a_log_record() {
        let log = otel(&record());
        assert_eq!(
            (&log["timeUnixNano"], &log["severityNumber"]),
            (&json!("1795687200500000000"), &json!(17))
        );
        assert_eq!(
            (&log["traceId"], &log["spanId"]),
            (&json!("5759e988bd862e3fe1be46a994272793"), &json!("53995c3f42cd8ad8"))
        );
        let attribute = |name: &str| {
            let attributes = log["attributes"].as_array().unwrap();
            attributes
                .iter()
                .find(|attribute| attribute["key"] == name)
                .map(|attribute| attribute["value"].clone())
        };
        assert_eq!(attribute("exception.type"), Some(json!({"stringValue": "Exception"})));
        assert_eq!(attribute("code.line.number"), Some(json!({"intValue": "3"})));
        assert_eq!(attribute("faas.version"), None);
    }

    #[test]
    fn ecs_gets_a_document() {
        let document = ecs(&record());
        for (name, value) in [
            ("@timestamp", json!("2026-11-26T10:00:00.500Z")),
            ("error.type", json!("Exception")),
            ("error.message", json!("I failed!")),
            ("error.id", json!("ab")),
            ("log.origin.file.line", json!(3)),
            ("trace.id", json!("5759e988bd862e3fe1be46a994272793")),
            ("event.type", json!(["error"])),
        ] {
            assert_eq!(document[name], value, "{name}");
        }
        assert_eq!(ecs(&Record::default()).get("process.exit_code"), None);
    }

    #[test]
    fn a_failure_without_a_type_is_named_by_its_kind() {
        let record: Record = serde_json::from_str(r#"{"errorMessage":"x","kind":"timeout"}"#).unwrap();
        assert_eq!(ecs(&record)["error.type"], "timeout");
    }

    #[test]
    fn odd_trace_headers_are_left_out() {
        for header in ["", "Root=", "Root=1-x", "1-", "Root=1-5759e988-bd862e3fe1be46a99427279€"] {
            assert_eq!(x_ray(header), None, "{header}");
        }
    }
}
