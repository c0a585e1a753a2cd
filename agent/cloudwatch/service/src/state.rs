//! What the service holds, and what a test counts in it.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

use crate::limits::{BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES};
use crate::options::{Keep, Options};
use crate::refusal::Refusal;

/// Everything that arrived.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The log groups by name.
    pub groups: BTreeMap<String, Group>,
    /// The requests in the order in which they were answered. A request's number is its place here, or would be if all were kept.
    pub requests: Vec<Request>,
    /// Deleted streams that had events: what a shipper delivered before is not lost by it.
    pub deleted: Vec<Stream>,
    /// Requests by operation and outcome: `ok`, the name of an error, or of the fault that was played.
    pub counts: BTreeMap<(String, String), u64>,
    /// Events of which only the identity is kept.
    pub events_without_message: u64,
    pub(crate) request_number: u64,
    pub(crate) sequence: u64,
    kept_bytes: usize,
    events: usize,
}

/// A log group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// `STANDARD`, `INFREQUENT_ACCESS` or `DELIVERY`.
    pub class: String,
    /// The key by which it would be encrypted.
    pub kms_key_id: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How long its events are kept; for ever, if nothing is said.
    pub retention_days: Option<i64>,
    /// Its streams by name.
    pub streams: BTreeMap<String, Stream>,
}

/// A log stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// Its events in the order in which they arrived.
    pub events: Vec<Event>,
    /// Successful `PutLogEvents`.
    pub puts: u64,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own time, in milliseconds since 1970.
    pub timestamp: i64,
    /// When it arrived, in milliseconds since 1970.
    pub ingested: i64,
    /// Its text, if that is kept.
    pub message: Option<String>,
    /// What makes it the same event as another: a hash of its member `id`, if it is a JSON object that has one, else of all of it.
    pub identity: u64,
    /// The number of the request that brought it.
    pub request: u64,
    /// Its place among all events that ever arrived.
    pub sequence: u64,
}

/// A request that was answered, or was not on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, as in [`Event::request`].
    pub number: u64,
    /// The operation, without `Logs_20140328.`; what was said instead, if that is none.
    pub operation: String,
    /// `ok`, the name of an error, or of the fault that was played.
    pub outcome: String,
    /// The HTTP status that was sent; 0 where there was no answer.
    pub status: u16,
    /// Bytes of the body on the wire.
    pub bytes: usize,
    /// Events in the request.
    pub events: usize,
    /// Bytes of these events as CloudWatch counts them.
    pub event_bytes: usize,
    /// Of these events, how many were stored.
    pub stored: usize,
}

/// Counts over every stored event.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Stored events.
    pub events: u64,
    /// Different ones among them, by identity.
    pub distinct: u64,
    /// Events that had been stored before.
    pub duplicates: u64,
    /// Events that are older than the one before them in their stream.
    pub inversions: u64,
    /// `PutLogEvents` that stored something.
    pub puts: u64,
    /// How full these were: their bytes as CloudWatch counts them, by the most that they may hold. 0 without any.
    pub fill: f64,
}

impl State {
    /// Counts over every stored event.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let mut seen = HashSet::new();
        let streams = self.groups.values().flat_map(|group| group.streams.values());
        for stream in streams.chain(&self.deleted) {
            for event in &stream.events {
                tally.events += 1;
                tally.distinct += u64::from(seen.insert(event.identity));
            }
            let pairs = stream.events.iter().zip(stream.events.iter().skip(1));
            tally.inversions +=
                pairs.filter(|(before, after)| after.timestamp < before.timestamp).count() as u64;
        }
        tally.duplicates = tally.events - tally.distinct;
        let puts = self.requests.iter().filter(|request| request.stored > 0);
        let bytes = puts.inspect(|_| tally.puts += 1).map(|request| request.event_bytes as f64).sum::<f64>();
        if tally.puts > 0 {
            tally.fill = bytes / (tally.puts as f64 * BATCH_BYTES_MAX as f64);
        }
        tally
    }

    /// The kept messages of a group, each stream in the order of arrival.
    #[must_use]
    pub fn messages(&self, group: &str) -> Vec<&str> {
        let streams = self.groups.get(group).into_iter().flat_map(|group| group.streams.values());
        streams.flat_map(|stream| &stream.events).filter_map(|event| event.message.as_deref()).collect()
    }

    /// How many requests for `operation` ended with `outcome`.
    #[must_use]
    pub fn count(&self, operation: &str, outcome: &str) -> u64 {
        self.counts.get(&(operation.to_owned(), outcome.to_owned())).copied().unwrap_or_default()
    }

    pub(crate) fn group(&self, name: &str) -> Result<&Group, Refusal> {
        self.groups.get(name).ok_or_else(Refusal::group_missing)
    }

    pub(crate) fn group_mut(&mut self, name: &str) -> Result<&mut Group, Refusal> {
        self.groups.get_mut(name).ok_or_else(Refusal::group_missing)
    }

    /// Stores events in a stream that exists; all or, where there is no room, none of them.
    pub(crate) fn store(
        &mut self,
        (group, stream): (&str, &str),
        events: &[(i64, String)],
        ingested: i64,
        options: &Options,
    ) -> Result<(), Refusal> {
        if self.events + events.len() > options.events_max {
            let message = "The stand-in holds as many events as it may; raise Options::events_max";
            return Err(Refusal { status: 503, ..Refusal::new("ServiceUnavailableException", message) });
        }
        let stream = self.groups.get_mut(group).ok_or_else(Refusal::group_missing)?.streams.get_mut(stream);
        let stream = stream.ok_or_else(Refusal::stream_missing)?;
        stream.puts += 1;
        for (timestamp, message) in events {
            let fits = self.kept_bytes + message.len() <= options.kept_bytes_max;
            let kept = (options.keep == Keep::Messages && fits).then(|| message.clone());
            match &kept {
                Some(message) => self.kept_bytes += message.len(),
                None => self.events_without_message += 1,
            }
            stream.events.push(Event {
                timestamp: *timestamp,
                ingested,
                identity: identity(message),
                message: kept,
                request: self.request_number,
                sequence: self.sequence,
            });
            self.sequence += 1;
        }
        self.events += events.len();
        Ok(())
    }

    /// Takes a stream out of its group; its events still count as delivered.
    pub(crate) fn delete_stream(&mut self, group: &str, stream: &str) -> Result<(), Refusal> {
        let taken = self.group_mut(group)?.streams.remove(stream).ok_or_else(Refusal::stream_missing)?;
        if !taken.events.is_empty() {
            self.deleted.push(taken);
        }
        Ok(())
    }

    /// Deletes each stream that has had so many puts.
    pub(crate) fn delete_streams_of(&mut self, puts: Option<u64>) {
        for group in self.groups.values_mut() {
            let full = group.streams.extract_if(.., |_, stream| Some(stream.puts) == puts);
            self.deleted.extend(full.map(|(_, stream)| stream));
        }
    }

    /// Remembers a request that is over.
    pub(crate) fn note(&mut self, request: Request, requests_max: usize) {
        *self.counts.entry((request.operation.clone(), request.outcome.clone())).or_default() += 1;
        self.request_number += 1;
        if self.requests.len() < requests_max {
            self.requests.push(request);
        }
    }
}

/// Bytes of an event as CloudWatch counts them.
pub(crate) fn counted(message: &str) -> usize {
    message.len() + EVENT_OVERHEAD_BYTES
}

fn identity(message: &str) -> u64 {
    #[derive(Deserialize)]
    struct Identified {
        id: String,
    }
    let mut hasher = DefaultHasher::new();
    let id = message.starts_with('{').then(|| serde_json::from_str::<Identified>(message).ok()).flatten();
    match id {
        Some(identified) => ("id", identified.id).hash(&mut hasher),
        None => ("message", message).hash(&mut hasher),
    }
    hasher.finish()
}
