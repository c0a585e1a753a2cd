//! What invoked the function, read from the event: enough to find the message or the record again, and nothing of what it carries.
//!
//! The shapes are those of AWS's documentation ("Using Lambda with other services"). The same records come back under a new request id each
//! time they are tried, so what groups the tries is here: the source, and the first sequence number or the message ids.

use serde_json::{Map, Value, json};

use crate::complete::parse_rfc3339;
use crate::normalize::json::parse;
use crate::text;

/// How many message ids are named; the largest batch has 10,000 messages, and `records` says how many there were.
const IDS_MAX: usize = 10;

/// The longest text that is copied from an event, in bytes. ARNs and ids are far shorter.
const TEXT_BYTES_MAX: usize = 512;

/// What invoked the function. `None` if the event is of no source that is known: then it is the caller's own.
///
/// `event` may be cut: what comes before the cut is read, and `truncated` says that ids may be missing.
#[must_use]
pub fn of(event: &[u8], now_ms: i64) -> Option<Map<String, Value>> {
    let (event, rest) = parse::object(event)?;
    let mut trigger = Trigger { members: Map::new(), now_ms };
    records(&event, &mut trigger)
        .or_else(|| kafka(&event, &mut trigger))
        .or_else(|| http(&event, &mut trigger))
        .or_else(|| event_bus(&event, &mut trigger))
        .or_else(|| log_subscription(&event, &mut trigger))?;
    if rest == parse::Rest::Cut {
        trigger.members.insert("truncated".to_owned(), json!(true));
    }
    Some(trigger.members)
}

/// The members so far, and when they are read.
struct Trigger {
    members: Map<String, Value>,
    now_ms: i64,
}

impl Trigger {
    fn text(&mut self, name: &str, value: Option<&Value>) {
        if let Some(value) = value.and_then(Value::as_str).filter(|value| !value.is_empty()) {
            self.members.insert(name.to_owned(), json!(text::prefix(value, TEXT_BYTES_MAX)));
        }
    }

    fn number(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), json!(value));
        }
    }

    /// The age of something that happened at this time. Clocks differ: what has not happened yet is new.
    fn age(&mut self, at_ms: Option<i64>) {
        self.number("ageMs", at_ms.map(|at_ms| self.now_ms.saturating_sub(at_ms).max(0)));
    }
}

/// SQS, Kinesis, DynamoDB, S3, SNS and whoever else sends `Records`.
fn records(event: &Map<String, Value>, trigger: &mut Trigger) -> Option<()> {
    let records = event.get("Records")?.as_array()?;
    let first = records.first()?;
    let last = records.last()?;
    // SNS spells it `EventSource`.
    let source = first.get("eventSource").or_else(|| first.get("EventSource"))?;
    trigger.text("eventSource", Some(source));
    trigger.text("eventSourceArn", first.get("eventSourceARN").or_else(|| first.get("EventSubscriptionArn")));
    trigger.number("records", i64::try_from(records.len()).ok());
    match source.as_str()? {
        "aws:sqs" => queue(records, trigger),
        "aws:kinesis" => {
            stream(first, last, "kinesis", "sequenceNumber", trigger);
            let shard = first.get("eventID").and_then(Value::as_str).and_then(|id| id.split_once(':'));
            trigger.text("shardId", shard.map(|(shard, _)| json!(shard)).as_ref());
            trigger.age(seconds(first.pointer("/kinesis/approximateArrivalTimestamp")));
        }
        "aws:dynamodb" => {
            stream(first, last, "dynamodb", "SequenceNumber", trigger);
            trigger.age(seconds(first.pointer("/dynamodb/ApproximateCreationDateTime")));
        }
        "aws:sns" => {
            trigger.text("messageId", first.pointer("/Sns/MessageId"));
            trigger.age(time(first.pointer("/Sns/Timestamp")));
        }
        "aws:s3" => {
            trigger.text("bucket", first.pointer("/s3/bucket/name"));
            trigger.text("key", first.pointer("/s3/object/key"));
            trigger.age(time(first.get("eventTime")));
        }
        _ => {}
    }
    Some(())
}

fn queue(records: &[Value], trigger: &mut Trigger) {
    let ids = records.iter().filter_map(|record| record.get("messageId")?.as_str());
    let ids: Vec<&str> = ids.take(IDS_MAX).map(|id| text::prefix(id, TEXT_BYTES_MAX)).collect();
    trigger.members.insert("messageIds".to_owned(), json!(ids));
    let attribute =
        |record: &Value, name: &str| record.get("attributes")?.get(name)?.as_str()?.parse::<i64>().ok();
    // The message that was tried most often is the one to look at.
    let attempt = records.iter().filter_map(|record| attribute(record, "ApproximateReceiveCount")).max();
    trigger.number("attempt", attempt);
    trigger.age(records.iter().filter_map(|record| attribute(record, "SentTimestamp")).min());
}

fn stream(first: &Value, last: &Value, of: &str, name: &str, trigger: &mut Trigger) {
    trigger.text("firstSequenceNumber", first.get(of).and_then(|record| record.get(name)));
    trigger.text("lastSequenceNumber", last.get(of).and_then(|record| record.get(name)));
}

/// Amazon MSK and self-managed Kafka: `records` has an array for each partition.
fn kafka(event: &Map<String, Value>, trigger: &mut Trigger) -> Option<()> {
    let source = event.get("eventSource")?.as_str().filter(|source| source.ends_with("afka"))?;
    let partitions = event.get("records")?.as_object()?;
    trigger.text("eventSource", Some(&json!(source)));
    trigger.text("eventSourceArn", event.get("eventSourceArn"));
    let records: Vec<&Value> = partitions.values().filter_map(Value::as_array).flatten().collect();
    trigger.number("records", i64::try_from(records.len()).ok());
    let first = records.first()?;
    trigger.text("topic", first.get("topic"));
    trigger.number("partition", first.get("partition").and_then(Value::as_i64));
    trigger.number("offset", first.get("offset").and_then(Value::as_i64));
    trigger.age(first.get("timestamp").and_then(Value::as_i64));
    Some(())
}

/// API Gateway (both payload versions), function URLs and Application Load Balancers. No path: it may hold names and tokens.
fn http(event: &Map<String, Value>, trigger: &mut Trigger) -> Option<()> {
    let context = event.get("requestContext")?;
    if let Some(balancer) = context.get("elb") {
        trigger.text("eventSource", Some(&json!("aws:elb")));
        trigger.text("eventSourceArn", balancer.get("targetGroupArn"));
        trigger.text("method", event.get("httpMethod"));
        return Some(());
    }
    let domain = context.get("domainName").and_then(Value::as_str).unwrap_or_default();
    let source = if domain.contains(".lambda-url.") { "aws:lambda-url" } else { "aws:apigateway" };
    let method = context.pointer("/http/method").or_else(|| event.get("httpMethod"));
    // A caller's own event may have a `requestContext` too.
    context.get("apiId").or(method)?;
    trigger.text("eventSource", Some(&json!(source)));
    trigger.text("apiId", context.get("apiId"));
    trigger.text("stage", context.get("stage"));
    trigger.text("method", method);
    trigger.text("route", context.get("routeKey").or_else(|| context.get("resourcePath")));
    trigger.text("httpRequestId", context.get("requestId"));
    trigger.age(context.get("timeEpoch").or_else(|| context.get("requestTimeEpoch")).and_then(Value::as_i64));
    Some(())
}

/// EventBridge, its schedules included.
fn event_bus(event: &Map<String, Value>, trigger: &mut Trigger) -> Option<()> {
    event.get("detail")?;
    trigger.text("eventSource", Some(event.get("source")?));
    trigger.text("detailType", Some(event.get("detail-type")?));
    trigger.text("eventSourceArn", event.get("resources").and_then(|resources| resources.get(0)));
    trigger.text("messageId", event.get("id"));
    trigger.age(time(event.get("time")));
    Some(())
}

/// A subscription of CloudWatch Logs. What it carries is compressed, and stays so.
fn log_subscription(event: &Map<String, Value>, trigger: &mut Trigger) -> Option<()> {
    event.get("awslogs")?.get("data")?;
    trigger.text("eventSource", Some(&json!("aws:logs")));
    Some(())
}

/// A time in seconds since 1970, with a fraction, in milliseconds.
fn seconds(value: Option<&Value>) -> Option<i64> {
    // Times of this century have 13 digits in milliseconds; a cast of more saturates.
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and an absurd time is an absurd age")]
    value?.as_f64().map(|seconds| (seconds * 1_000.0).round() as i64)
}

fn time(value: Option<&Value>) -> Option<i64> {
    parse_rfc3339(value?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_419_012_532;

    fn read(event: &str) -> Value {
        of(event.as_bytes(), NOW_MS).map_or(Value::Null, Value::Object)
    }

    // The events are those of AWS's documentation, shortened to the members that matter.

    #[test]
    fn a_queue_names_its_messages_and_the_attempt() {
        let event = r#"{"Records":[
            {"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","body":"Test message.","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1795419002532"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:my-queue"},
            {"messageId":"2e1424d4-f796-459a-8184-9c92662be6da","body":"secret","attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1795419010532"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:my-queue"}]}"#;
        assert_eq!(
            read(event),
            json!({"eventSource": "aws:sqs", "eventSourceArn": "arn:aws:sqs:us-east-2:123456789012:my-queue", "records": 2,
                   "messageIds": ["059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"],
                   "attempt": 3, "ageMs": 10_000})
        );
    }

    #[test]
    fn a_stream_names_its_shard_and_sequence_numbers() {
        let kinesis = r#"{"Records":[{"kinesis":{"sequenceNumber":"49590338271490256608559692538361571095921575989136588898","approximateArrivalTimestamp":1795419012.032},"eventSource":"aws:kinesis","eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"},
            {"kinesis":{"sequenceNumber":"49590338271490256608559692540925702759324208523137515618"},"eventSource":"aws:kinesis"}]}"#;
        let read_kinesis = read(kinesis);
        assert_eq!(read_kinesis["shardId"], "shardId-000000000006");
        assert_eq!(
            read_kinesis["lastSequenceNumber"],
            "49590338271490256608559692540925702759324208523137515618"
        );
        assert_eq!((&read_kinesis["ageMs"], &read_kinesis["records"]), (&json!(500), &json!(2)));
        let table = r#"{"Records":[{"eventSource":"aws:dynamodb","dynamodb":{"SequenceNumber":"111","ApproximateCreationDateTime":1795419012}}]}"#;
        assert_eq!(read(table)["firstSequenceNumber"], "111");
    }

    #[test]
    fn requests_topics_buckets_schedules_and_logs_are_known() {
        for (event, source) in [
            (
                r#"{"version":"2.0","requestContext":{"apiId":"a","domainName":"id.lambda-url.us-west-2.on.aws","http":{"method":"POST","path":"/secret"}}}"#,
                "aws:lambda-url",
            ),
            (
                r#"{"httpMethod":"GET","requestContext":{"apiId":"1234567890","stage":"prod","resourcePath":"/{proxy+}"}}"#,
                "aws:apigateway",
            ),
            (
                r#"{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/l/1"}},"httpMethod":"GET"}"#,
                "aws:elb",
            ),
            (
                r#"{"Records":[{"EventSource":"aws:sns","EventSubscriptionArn":"arn","Sns":{"MessageId":"95df01b4","Timestamp":"2026-11-23T07:30:12.000Z"}}]}"#,
                "aws:sns",
            ),
            (
                r#"{"Records":[{"eventSource":"aws:s3","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
                "aws:s3",
            ),
            (
                r#"{"id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.events","time":"2026-11-23T07:30:00Z","resources":["arn:aws:events:us-east-1:123456789012:rule/r"],"detail":{}}"#,
                "aws.events",
            ),
            (r#"{"awslogs":{"data":"H4sI"}}"#, "aws:logs"),
            (
                r#"{"eventSource":"aws:kafka","eventSourceArn":"arn","records":{"mytopic-0":[{"topic":"mytopic","partition":0,"offset":15,"timestamp":1795419012000}]}}"#,
                "aws:kafka",
            ),
        ] {
            let trigger = read(event);
            assert_eq!(trigger["eventSource"], source, "{event}");
            assert!(!trigger.to_string().contains("secret"), "{trigger}");
        }
    }

    #[test]
    fn a_cut_event_says_what_it_still_knows() {
        let whole = r#"{"Records":[{"messageId":"059f36b4","eventSource":"aws:sqs","body":"long"},{"messageId":"2e14"#;
        let trigger = read(whole);
        assert_eq!((&trigger["messageIds"][0], &trigger["truncated"]), (&json!("059f36b4"), &json!(true)));
    }

    #[test]
    fn a_callers_own_event_has_no_trigger() {
        for event in [
            "{}",
            "null",
            "[]",
            "",
            r#"{"Records":[]}"#,
            r#"{"Records":[1]}"#,
            r#"{"requestContext":{}}"#,
            "{\"a\":",
        ] {
            assert_eq!(read(event), Value::Null, "{event}");
        }
    }
}
