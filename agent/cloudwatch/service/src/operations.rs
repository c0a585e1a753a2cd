//! The operations by name: JSON in, JSON or a refusal out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::Time;
use crate::limits::{RETENTION_DAYS, group_name, stream_name};
use crate::options::Options;
use crate::put::{Load, PutLogEvents};
use crate::read::{FilterLogEvents, GetLogEvents, group_of};
use crate::refusal::Refusal;
use crate::state::{Group, State, Stream, counted};

/// The operations that the stand-in plays.
const OPERATIONS: [&str; 10] = [
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteLogStream",
    "DescribeLogGroups",
    "DescribeLogStreams",
    "FilterLogEvents",
    "GetLogEvents",
    "PutLogEvents",
    "PutRetentionPolicy",
];

/// Groups or streams of one page of a description.
const PAGE_NAMES_MAX: usize = 50;

/// The account of which everything here is.
const ACCOUNT: &str = "123456789012";

/// The operation that `target` names.
pub(crate) fn named(target: &str) -> Option<&'static str> {
    let name = target.strip_prefix("Logs_20140328.")?;
    OPERATIONS.into_iter().find(|operation| *operation == name)
}

/// Does what `operation` says; `load` says what a `PutLogEvents` carried, even where it is refused.
pub(crate) fn run(
    operation: &str,
    body: &[u8],
    state: &mut State,
    now: Time,
    options: &Options,
    load: &mut Load,
) -> Result<Value, Refusal> {
    match operation {
        "PutLogEvents" => {
            let request: PutLogEvents = read(body)?;
            *load = request.load();
            request.run(state, now, options, load)
        }
        "CreateLogGroup" => read::<CreateLogGroup>(body)?.run(state, now),
        "CreateLogStream" => {
            let (group, stream) = read::<OfStream>(body)?.names()?;
            let streams = &mut state.group_mut(&group)?.streams;
            if streams.contains_key(&stream) {
                return Err(exists("stream"));
            }
            streams.insert(stream, Stream { created: now.0, ..Stream::default() });
            Ok(json!({}))
        }
        "DeleteLogStream" => {
            let (group, stream) = read::<OfStream>(body)?.names()?;
            state.delete_stream(&group, &stream)?;
            Ok(json!({}))
        }
        "DeleteLogGroup" => {
            let group = group_name(read::<OfGroup>(body)?.log_group_name.as_deref(), "logGroupName")?;
            let streams: Vec<String> = state.group(&group)?.streams.keys().cloned().collect();
            for stream in streams {
                state.delete_stream(&group, &stream)?;
            }
            state.groups.remove(&group);
            Ok(json!({}))
        }
        "PutRetentionPolicy" => {
            let request: PutRetentionPolicy = read(body)?;
            let group = group_name(request.log_group_name.as_deref(), "logGroupName")?;
            let days = request.retention_in_days.filter(|days| RETENTION_DAYS.contains(days));
            let Some(days) = days else {
                let said = request.retention_in_days.map_or("null".to_owned(), |days| format!("'{days}'"));
                let rule = format!("Member must satisfy enum value set: {RETENTION_DAYS:?}");
                return Err(Refusal::constraint(&said, "retentionInDays", &rule));
            };
            state.group_mut(&group)?.retention_days = Some(days);
            Ok(json!({}))
        }
        "DescribeLogGroups" => read::<DescribeLogGroups>(body)?.run(state),
        "DescribeLogStreams" => read::<DescribeLogStreams>(body)?.run(state),
        "GetLogEvents" => read::<GetLogEvents>(body)?.run(state),
        "FilterLogEvents" => read::<FilterLogEvents>(body)?.run(state),
        _ => Err(Refusal::new("UnknownOperationException", "")),
    }
}

/// The request, if it is JSON of the right shape; members that no model knows are passed over.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::new("SerializationException", error.to_string()))
}

fn exists(what: &str) -> Refusal {
    Refusal::new("ResourceAlreadyExistsException", format!("The specified log {what} already exists"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfGroup {
    log_group_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfStream {
    log_group_name: Option<String>,
    log_stream_name: Option<String>,
}

impl OfStream {
    fn names(self) -> Result<(String, String), Refusal> {
        let group = group_name(self.log_group_name.as_deref(), "logGroupName")?;
        Ok((group, stream_name(self.log_stream_name.as_deref(), "logStreamName")?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutRetentionPolicy {
    log_group_name: Option<String>,
    retention_in_days: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateLogGroup {
    log_group_name: Option<String>,
    log_group_class: Option<String>,
    kms_key_id: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

impl CreateLogGroup {
    fn run(self, state: &mut State, now: Time) -> Result<Value, Refusal> {
        let name = group_name(self.log_group_name.as_deref(), "logGroupName")?;
        let class = self.log_group_class.unwrap_or_else(|| "STANDARD".to_owned());
        if !["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"].contains(&class.as_str()) {
            let rule = "Member must satisfy enum value set: [STANDARD, INFREQUENT_ACCESS, DELIVERY]";
            return Err(Refusal::constraint(&format!("'{class}'"), "logGroupClass", rule));
        }
        if state.groups.contains_key(&name) {
            return Err(exists("group"));
        }
        let (kms_key_id, tags) = (self.kms_key_id, self.tags.unwrap_or_default());
        state.groups.insert(name, Group { created: now.0, class, kms_key_id, tags, ..Group::default() });
        Ok(json!({}))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl DescribeLogGroups {
    fn run(self, state: &State) -> Result<Value, Refusal> {
        let limit = limit(self.limit)?;
        let prefix = self.log_group_name_prefix.unwrap_or_default();
        let after = self.next_token.as_deref();
        let mut found = state
            .groups
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix) && after.is_none_or(|after| name.as_str() > after));
        let page: Vec<(&String, &Group)> = found.by_ref().take(limit).collect();
        let mut answer =
            json!({ "logGroups": page.iter().map(|(name, group)| shown(name, group)).collect::<Vec<_>>() });
        if let (Some((last, _)), Some(_)) = (page.last(), found.next()) {
            answer["nextToken"] = last.as_str().into();
        }
        Ok(answer)
    }
}

fn shown(name: &str, group: &Group) -> Value {
    let mut shown = json!({
        "logGroupName": name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": format!("{}:*", arn(name)),
        "logGroupArn": arn(name),
        "logGroupClass": group.class,
        "storedBytes": group.streams.values().map(bytes).sum::<usize>(),
    });
    if let Some(days) = group.retention_days {
        shown["retentionInDays"] = days.into();
    }
    if let Some(key) = &group.kms_key_id {
        shown["kmsKeyId"] = key.as_str().into();
    }
    shown
}

fn arn(group: &str) -> String {
    format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}")
}

fn bytes(stream: &Stream) -> usize {
    stream.events.iter().map(|event| counted(event.message.as_deref().unwrap_or_default())).sum()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: Option<bool>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl DescribeLogStreams {
    fn run(self, state: &State) -> Result<Value, Refusal> {
        let name = group_of(self.log_group_name, self.log_group_identifier)?;
        let limit = limit(self.limit)?;
        let by_time = match self.order_by.as_deref() {
            None | Some("LogStreamName") => false,
            Some("LastEventTime") => true,
            Some(other) => {
                let rule = "Member must satisfy enum value set: [LogStreamName, LastEventTime]";
                return Err(Refusal::constraint(&format!("'{other}'"), "orderBy", rule));
            }
        };
        if by_time && self.log_stream_name_prefix.is_some() {
            return Err(Refusal::invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let prefix = self.log_stream_name_prefix.unwrap_or_default();
        let group = state.group(&name)?;
        let mut streams: Vec<(&String, &Stream)> =
            group.streams.iter().filter(|(stream, _)| stream.starts_with(&prefix)).collect();
        if by_time {
            let last = |stream: &Stream| stream.events.iter().map(|event| event.timestamp).max();
            streams.sort_by_key(|(_, stream)| last(stream));
        }
        if self.descending.unwrap_or(false) {
            streams.reverse();
        }
        let start = match &self.next_token {
            Some(token) => streams.iter().position(|(stream, _)| *stream == token).map(|at| at + 1),
            None => Some(0),
        };
        let start = start.ok_or_else(|| Refusal::invalid("The specified nextToken is invalid."))?;
        let rest = streams.get(start..).unwrap_or_default();
        let page = rest.get(..limit).unwrap_or(rest);
        let streams = page.iter().map(|(stream, held)| described(&name, stream, held)).collect::<Vec<_>>();
        let mut answer = json!({ "logStreams": streams });
        if let Some((last, _)) = page.last()
            && page.len() < rest.len()
        {
            answer["nextToken"] = last.as_str().into();
        }
        Ok(answer)
    }
}

fn described(group: &str, name: &str, stream: &Stream) -> Value {
    let mut shown = json!({
        "logStreamName": name,
        "creationTime": stream.created,
        "arn": format!("{}:log-stream:{name}", arn(group)),
        // AWS has not counted it since 2019.
        "storedBytes": 0,
    });
    let times = || stream.events.iter().map(|event| event.timestamp);
    if let (Some(first), Some(last), Some(event)) = (times().min(), times().max(), stream.events.last()) {
        shown["firstEventTimestamp"] = first.into();
        shown["lastEventTimestamp"] = last.into();
        shown["lastIngestionTime"] = event.ingested.into();
        shown["uploadSequenceToken"] = format!("{:056}", event.sequence + 1).into();
    }
    shown
}

fn limit(asked: Option<i64>) -> Result<usize, Refusal> {
    let Some(asked) = asked else { return Ok(PAGE_NAMES_MAX) };
    let limit = usize::try_from(asked).ok().filter(|limit| (1..=PAGE_NAMES_MAX).contains(limit));
    limit.ok_or_else(|| {
        let rule = "Member must have value less than or equal to 50 and greater than or equal to 1";
        Refusal::constraint(&format!("'{asked}'"), "limit", rule)
    })
}
