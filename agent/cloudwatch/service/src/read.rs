//! `GetLogEvents` and `FilterLogEvents`: pages of what is stored, in the order of the events' own times.
//!
//! A token names the event at which a page ended, by time and by its place among all events, so a page is the same however many
//! events arrive meanwhile.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::{group_name, stream_name};
use crate::pattern::Pattern;
use crate::refusal::Refusal;
use crate::state::{Event, State, counted};

/// Events of one page.
const PAGE_EVENTS_MAX: usize = 10_000;

/// Bytes of one page, counted as `PutLogEvents` counts them.
const PAGE_BYTES_MAX: usize = 1_048_576;

/// Streams that `FilterLogEvents` takes by name.
const STREAM_NAMES_MAX: usize = 100;

/// Where an event stands: its time, then its place among all that ever arrived.
type Place = (i64, u64);

fn place(event: &Event) -> Place {
    (event.timestamp, event.sequence)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: Option<bool>,
}

impl GetLogEvents {
    pub(crate) fn run(self, state: &State) -> Result<Value, Refusal> {
        let group = group_of(self.log_group_name, self.log_group_identifier)?;
        let stream = stream_name(self.log_stream_name.as_deref(), "logStreamName")?;
        let limit = limit(self.limit)?;
        let found = state.group(&group)?.streams.get(&stream).ok_or_else(Refusal::stream_missing)?;
        // The start is inclusive and the end exclusive.
        let within = |event: &&Event| {
            self.start_time.is_none_or(|start| event.timestamp >= start)
                && self.end_time.is_none_or(|end| event.timestamp < end)
        };
        let mut events: Vec<&Event> = found.events.iter().filter(within).collect();
        events.sort_by_key(|event| place(event));
        let token = self.next_token.as_deref().map(direction).transpose()?;
        let page = match token {
            Some((Direction::Forward, after)) => first(after_place(&events, after), limit),
            Some((Direction::Backward, before)) => {
                last(&events[..events.partition_point(|event| place(event) < before)], limit)
            }
            None if self.start_from_head.unwrap_or(false) => first(&events, limit),
            None => last(&events, limit),
        };
        let (start, end) = match (page.first(), page.last(), token) {
            (Some(first), Some(last), _) => (place(first), place(last)),
            // At an end the token comes back as it was given.
            (_, _, Some((_, at))) => (at, at),
            _ => ((0, 0), (-1, 0)),
        };
        let shown = page.iter().map(|event| {
            json!({ "timestamp": event.timestamp, "ingestionTime": event.ingested, "message": text(event) })
        });
        Ok(json!({
            "events": shown.collect::<Vec<Value>>(),
            "nextForwardToken": format!("f/{}", token_of(end)),
            "nextBackwardToken": format!("b/{}", token_of(start)),
        }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl FilterLogEvents {
    pub(crate) fn run(self, state: &State) -> Result<Value, Refusal> {
        let group = group_of(self.log_group_name, self.log_group_identifier)?;
        let limit = limit(self.limit)?;
        if self.log_stream_names.is_some() && self.log_stream_name_prefix.is_some() {
            return Err(Refusal::invalid(
                "logStreamNames and logStreamNamePrefix cannot be specified together.",
            ));
        }
        let named = self.log_stream_names.as_deref();
        if named.is_some_and(|names| names.is_empty() || names.len() > STREAM_NAMES_MAX) {
            let rule = "Member must have length between 1 and 100";
            return Err(Refusal::constraint("'[...]'", "logStreamNames", rule));
        }
        let pattern = Pattern::parse(self.filter_pattern.as_deref().unwrap_or_default())?;
        let found = state.group(&group)?;
        if named.is_some_and(|names| names.iter().any(|name| !found.streams.contains_key(name))) {
            return Err(Refusal::stream_missing());
        }
        let asked = |name: &str| {
            named.is_none_or(|names| names.iter().any(|asked| asked == name))
                && self.log_stream_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
        };
        // Both ends are inclusive.
        let within = |event: &Event| {
            self.start_time.is_none_or(|start| event.timestamp >= start)
                && self.end_time.is_none_or(|end| event.timestamp <= end)
        };
        let after = self.next_token.as_deref().map(place_of).transpose()?;
        let mut events: Vec<(&String, &Event)> = Vec::new();
        for (name, stream) in found.streams.iter().filter(|(name, _)| asked(name)) {
            let matching = stream.events.iter().filter(|event| {
                within(event)
                    && after.is_none_or(|after| place(event) > after)
                    && pattern.matches(text(event))
            });
            events.extend(matching.map(|event| (name, event)));
        }
        events.sort_by_key(|(_, event)| place(event));
        let page = &events[..fitting(events.iter().map(|(_, event)| *event), limit)];
        let shown = page.iter().map(|(stream, event)| {
            json!({
                "logStreamName": stream,
                "timestamp": event.timestamp,
                "ingestionTime": event.ingested,
                "message": text(event),
                "eventId": format!("{:020}{:036}", event.timestamp, event.sequence),
            })
        });
        let mut answer = json!({ "events": shown.collect::<Vec<Value>>(), "searchedLogStreams": [] });
        if let Some((_, last)) = page.last()
            && page.len() < events.len()
        {
            answer["nextToken"] = token_of(place(last)).into();
        }
        Ok(answer)
    }
}

/// The name of the group that is meant: by name, or by name or ARN as its identifier.
pub(crate) fn group_of(name: Option<String>, identifier: Option<String>) -> Result<String, Refusal> {
    match (name, identifier) {
        (Some(_), Some(_)) => {
            Err(Refusal::invalid("Only one of logGroupName and logGroupIdentifier may be specified."))
        }
        (None, Some(identifier)) => {
            let name = identifier.rsplit_once(":log-group:").map_or(identifier.as_str(), |(_, name)| name);
            group_name(Some(name.trim_end_matches(":*")), "logGroupIdentifier")
        }
        (name, None) => group_name(name.as_deref(), "logGroupName"),
    }
}

fn text(event: &Event) -> &str {
    event.message.as_deref().unwrap_or_default()
}

fn limit(asked: Option<i64>) -> Result<usize, Refusal> {
    let Some(asked) = asked else { return Ok(PAGE_EVENTS_MAX) };
    let limit = usize::try_from(asked).ok().filter(|limit| (1..=PAGE_EVENTS_MAX).contains(limit));
    limit.ok_or_else(|| {
        Refusal::constraint(&format!("'{asked}'"), "limit", "Member must have value between 1 and 10000")
    })
}

/// How many events from the first on one page holds: one at least.
fn fitting<'a>(events: impl Iterator<Item = &'a Event>, limit: usize) -> usize {
    let mut bytes = 0;
    let within = |event: &&Event| {
        bytes += counted(text(event));
        bytes <= PAGE_BYTES_MAX
    };
    let mut events = events.peekable();
    let least = usize::from(events.peek().is_some());
    events.take_while(within).take(limit).count().max(least)
}

fn first<'a, 'b>(events: &'b [&'a Event], limit: usize) -> &'b [&'a Event] {
    &events[..fitting(events.iter().copied(), limit)]
}

fn last<'a, 'b>(events: &'b [&'a Event], limit: usize) -> &'b [&'a Event] {
    &events[events.len() - fitting(events.iter().rev().copied(), limit)..]
}

fn after_place<'a, 'b>(events: &'b [&'a Event], after: Place) -> &'b [&'a Event] {
    &events[events.partition_point(|event| place(event) <= after)..]
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

fn token_of((timestamp, sequence): Place) -> String {
    format!("{timestamp}.{sequence}")
}

fn place_of(token: &str) -> Result<Place, Refusal> {
    let parts = token.split_once('.');
    let parsed = parts.and_then(|(time, sequence)| Some((time.parse().ok()?, sequence.parse().ok()?)));
    parsed.ok_or_else(|| Refusal::invalid("The specified nextToken is invalid."))
}

fn direction(token: &str) -> Result<(Direction, Place), Refusal> {
    match token.split_at_checked(2) {
        Some(("f/", at)) => Ok((Direction::Forward, place_of(at)?)),
        Some(("b/", at)) => Ok((Direction::Backward, place_of(at)?)),
        _ => Err(Refusal::invalid("The specified nextToken is invalid.")),
    }
}
