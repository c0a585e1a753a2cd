//! `PutLogEvents`: the rules for a batch, and which of its events are stored.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Time;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MS_MAX, EVENT_AGE_MS_MAX, EVENT_AHEAD_MS_MAX, group_name,
    stream_name,
};
use crate::options::Options;
use crate::refusal::Refusal;
use crate::state::{State, counted};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogEvents {
    log_group_name: Option<String>,
    log_stream_name: Option<String>,
    log_events: Option<Vec<InputLogEvent>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InputLogEvent {
    timestamp: Option<i64>,
    message: Option<String>,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) events: usize,
    pub(crate) event_bytes: usize,
    pub(crate) stored: usize,
}

impl PutLogEvents {
    /// What the request carries, whatever becomes of it.
    pub(crate) fn load(&self) -> Load {
        let events = self.log_events.as_deref().unwrap_or_default();
        let event_bytes = events.iter().filter_map(|event| event.message.as_deref()).map(counted).sum();
        Load { events: events.len(), event_bytes, stored: 0 }
    }

    /// Stores what may be stored and says what may not.
    pub(crate) fn run(
        self,
        state: &mut State,
        now: Time,
        options: &Options,
        load: &mut Load,
    ) -> Result<Value, Refusal> {
        let group = group_name(self.log_group_name.as_deref(), "logGroupName")?;
        let stream = stream_name(self.log_stream_name.as_deref(), "logStreamName")?;
        let events = shaped(self.log_events)?;
        let found = state.group(&group)?;
        if !found.streams.contains_key(&stream) {
            return Err(Refusal::stream_missing());
        }
        let windows = Windows::of(now, found.retention_days);
        check(&events, options.event_bytes_max)?;
        let (valid, rejected) = windows.part(&events);
        if let (Some((first, _)), Some((last, _))) = (valid.first(), valid.last())
            && last - first > BATCH_SPAN_MS_MAX
        {
            return Err(Refusal::invalid(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            ));
        }
        state.store((&group, &stream), valid, now.0, options)?;
        load.stored = valid.len();
        let mut answer = json!({ "nextSequenceToken": format!("{:056}", state.sequence) });
        if !rejected.is_null() {
            answer["rejectedLogEventsInfo"] = rejected;
        }
        Ok(answer)
    }
}

/// The events, if each has a time and a text and there are neither none nor too many.
fn shaped(events: Option<Vec<InputLogEvent>>) -> Result<Vec<(i64, String)>, Refusal> {
    let events = events.ok_or_else(|| Refusal::constraint("null", "logEvents", "Member must not be null"))?;
    if events.is_empty() {
        let rule = "Member must have length greater than or equal to 1";
        return Err(Refusal::constraint("'[]'", "logEvents", rule));
    }
    if events.len() > BATCH_EVENTS_MAX {
        let rule = "Member must have length less than or equal to 10000";
        return Err(Refusal::constraint("'[...]'", "logEvents", rule));
    }
    let shaped = |(index, event): (usize, InputLogEvent)| {
        let member = |name: &str| format!("logEvents.{}.member.{name}", index + 1);
        let null = |name: &str| Refusal::constraint("null", &member(name), "Member must not be null");
        let timestamp = event.timestamp.ok_or_else(|| null("timestamp"))?;
        let message = event.message.ok_or_else(|| null("message"))?;
        if timestamp < 0 {
            let rule = "Member must have value greater than or equal to 0";
            return Err(Refusal::constraint(&format!("'{timestamp}'"), &member("timestamp"), rule));
        }
        if message.is_empty() {
            let rule = "Member must have length greater than or equal to 1";
            return Err(Refusal::constraint("''", &member("message"), rule));
        }
        Ok((timestamp, message))
    };
    events.into_iter().enumerate().map(shaped).collect()
}

/// The rules for which the whole batch is refused, the span aside.
fn check(events: &[(i64, String)], event_bytes_max: usize) -> Result<(), Refusal> {
    if let Some((_, message)) = events.iter().find(|(_, message)| message.len() > event_bytes_max) {
        let bytes = message.len();
        return Err(Refusal::invalid(format!(
            "Log event too large: {bytes} bytes exceeds limit of {event_bytes_max}"
        )));
    }
    let bytes: usize = events.iter().map(|(_, message)| counted(message)).sum();
    if bytes > BATCH_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )));
    }
    if !events.is_sorted_by_key(|(timestamp, _)| timestamp) {
        return Err(Refusal::invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    Ok(())
}

/// Between which times an event is stored, in milliseconds since 1970.
struct Windows {
    /// What is older is too old.
    oldest: i64,
    /// What is older has expired by the group's retention.
    unexpired: i64,
    /// What is newer is too new.
    newest: i64,
}

impl Windows {
    fn of(now: Time, retention_days: Option<i64>) -> Self {
        let unexpired = retention_days.map_or(i64::MIN, |days| now.0 - days * DAY_MS);
        Self { oldest: now.0 - EVENT_AGE_MS_MAX, unexpired, newest: now.0 + EVENT_AHEAD_MS_MAX }
    }

    /// The valid events among sorted ones, and where the others are: the ends of the old and the expired ones are
    /// exclusive, the start of the new ones is inclusive.
    fn part<'a>(&self, events: &'a [(i64, String)]) -> (&'a [(i64, String)], Value) {
        let before = |time: i64| events.partition_point(|(timestamp, _)| *timestamp < time);
        let (old, expired) = (before(self.oldest), before(self.unexpired));
        let new = events.partition_point(|(timestamp, _)| *timestamp <= self.newest);
        let mut rejected = Value::Null;
        if old > 0 {
            rejected["tooOldLogEventEndIndex"] = old.into();
        }
        if expired > old {
            rejected["expiredLogEventEndIndex"] = expired.into();
        }
        if new < events.len() {
            rejected["tooNewLogEventStartIndex"] = new.into();
        }
        (events.get(old.max(expired)..new).unwrap_or_default(), rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{EVENT_BYTES_MAX, EVENT_BYTES_MAX_BEFORE_2025};
    use crate::state::{Group, Stream};

    const NOW: i64 = 1_800_000_000_000;

    struct Bed {
        state: State,
        options: Options,
    }

    impl Bed {
        fn new() -> Self {
            let mut state = State::default();
            let mut group = Group::default();
            group.streams.insert("s".to_owned(), Stream::default());
            state.groups.insert("g".to_owned(), group);
            Self { state, options: Options::default() }
        }

        fn put(&mut self, events: Vec<(i64, String)>) -> Result<Value, Refusal> {
            let events = events.into_iter();
            let events =
                events.map(|(time, message)| InputLogEvent { timestamp: Some(time), message: Some(message) });
            let request = PutLogEvents {
                log_group_name: Some("g".to_owned()),
                log_stream_name: Some("s".to_owned()),
                log_events: Some(events.collect()),
            };
            let mut load = request.load();
            request.run(&mut self.state, Time(NOW), &self.options, &mut load)
        }

        fn stored(&self) -> Vec<i64> {
            self.state.groups["g"].streams["s"].events.iter().map(|event| event.timestamp).collect()
        }
    }

    fn times(times: &[i64]) -> Vec<(i64, String)> {
        times.iter().map(|time| (*time, "m".to_owned())).collect()
    }

    fn message(answer: Result<Value, Refusal>) -> String {
        let refusal = answer.unwrap_err();
        assert_eq!((refusal.status, refusal.kind), (400, "InvalidParameterException"));
        refusal.message
    }

    #[test]
    fn one_to_10000_events_are_taken() {
        let mut bed = Bed::new();
        assert!(message(bed.put(vec![])).contains("greater than or equal to 1"));
        assert!(bed.put(times(&[NOW])).is_ok());
        assert!(bed.put(times(&[NOW; 10_000])).is_ok());
        assert!(message(bed.put(times(&[NOW; 10_001]))).contains("less than or equal to 10000"));
        assert_eq!(bed.stored().len(), 10_001);
    }

    #[test]
    fn a_batch_has_1048576_bytes_with_26_for_each_event() {
        let mut bed = Bed::new();
        // Two bytes a character: bytes count, not characters.
        let half = (BATCH_BYTES_MAX / 2 - 26) / 2;
        let batch = |more: &str| vec![(NOW, "ä".repeat(half)), (NOW, "ä".repeat(half) + more)];
        assert!(bed.put(batch("")).is_ok());
        let said = message(bed.put(batch("x")));
        assert_eq!(said, "Upload too large: 1048577 bytes exceeds limit of 1048576");
    }

    #[test]
    fn an_event_has_the_limit_of_its_region() {
        let mut bed = Bed::new();
        assert!(bed.put(vec![(NOW, "x".repeat(EVENT_BYTES_MAX))]).is_ok());
        let said = message(bed.put(vec![(NOW, "x".repeat(EVENT_BYTES_MAX + 1))]));
        assert_eq!(said, "Log event too large: 1048551 bytes exceeds limit of 1048550");
        bed.options.event_bytes_max = EVENT_BYTES_MAX_BEFORE_2025;
        assert!(bed.put(vec![(NOW, "x".repeat(262_144))]).is_ok());
        let said = message(bed.put(vec![(NOW, "x".repeat(262_145))]));
        assert_eq!(said, "Log event too large: 262145 bytes exceeds limit of 262144");
    }

    #[test]
    fn an_empty_message_and_a_negative_time_are_refused() {
        let mut bed = Bed::new();
        let said = message(bed.put(vec![(NOW, "x".to_owned()), (NOW, String::new())]));
        assert!(said.contains("'logEvents.2.member.message'"), "{said}");
        assert!(message(bed.put(times(&[-1]))).contains("'logEvents.1.member.timestamp'"));
        assert_eq!(bed.stored().len(), 0);
    }

    #[test]
    fn times_may_be_equal_and_must_not_fall() {
        let mut bed = Bed::new();
        assert!(bed.put(times(&[NOW, NOW, NOW + 1])).is_ok());
        assert!(message(bed.put(times(&[NOW, NOW - 1]))).contains("chronological order"));
        // Nothing is required from one request to the next.
        assert!(bed.put(times(&[NOW - 1])).is_ok());
        assert_eq!(bed.state.tally().inversions, 1);
    }

    #[test]
    fn valid_events_span_24_hours_at_most() {
        let mut bed = Bed::new();
        assert!(bed.put(times(&[NOW - BATCH_SPAN_MS_MAX, NOW])).is_ok());
        assert!(message(bed.put(times(&[NOW - BATCH_SPAN_MS_MAX - 1, NOW]))).contains("24 hours"));
        // An event that is not stored does not count.
        assert!(bed.put(times(&[NOW - EVENT_AGE_MS_MAX - 1, NOW])).is_ok());
    }

    #[test]
    fn old_and_new_events_are_rejected_and_the_others_stored() {
        let mut bed = Bed::new();
        let (old, new) = (NOW - EVENT_AGE_MS_MAX, NOW + EVENT_AHEAD_MS_MAX);
        let answer = bed.put(times(&[old - 2, old - 1, old])).unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({ "tooOldLogEventEndIndex": 2 }));
        let answer = bed.put(times(&[NOW, new, new + 1, new + 2])).unwrap();
        assert_eq!(answer["rejectedLogEventsInfo"], json!({ "tooNewLogEventStartIndex": 2 }));
        let answer = bed.put(times(&[old - 1, new + 1])).unwrap();
        let both = json!({ "tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 1 });
        assert_eq!(answer["rejectedLogEventsInfo"], both);
        assert_eq!(bed.stored(), [old, NOW, new]);
        assert_eq!(bed.put(times(&[NOW])).unwrap().get("rejectedLogEventsInfo"), None);
    }

    #[test]
    fn expired_events_are_told_from_old_ones() {
        let mut bed = Bed::new();
        bed.state.groups.get_mut("g").unwrap().retention_days = Some(7);
        let expired = NOW - 7 * DAY_MS;
        let answer = bed.put(times(&[NOW - EVENT_AGE_MS_MAX - 1, expired - 1, expired])).unwrap();
        let both = json!({ "tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2 });
        assert_eq!(answer["rejectedLogEventsInfo"], both);
        assert_eq!(bed.stored(), [expired]);
    }

    #[test]
    fn what_does_not_fit_into_the_stand_in_is_refused_as_a_whole() {
        let mut bed = Bed::new();
        bed.options.events_max = 3;
        assert!(bed.put(times(&[NOW, NOW])).is_ok());
        assert_eq!(bed.put(times(&[NOW, NOW])).unwrap_err().status, 503);
        assert!(bed.put(times(&[NOW])).is_ok());
        assert_eq!(bed.stored().len(), 3);
    }

    #[test]
    fn an_id_makes_two_events_the_same_and_messages_are_kept_within_a_bound() {
        let mut bed = Bed::new();
        bed.options.kept_bytes_max = 40;
        let line = |n: i32| (NOW, format!("{{\"n\":{n},\"id\":\"seven\"}}"));
        assert!(bed.put(vec![line(1), line(2), line(3), (NOW, "x".to_owned())]).is_ok());
        let tally = bed.state.tally();
        assert_eq!((tally.events, tally.distinct, tally.duplicates), (4, 2, 2));
        assert_eq!(bed.state.events_without_message, 2);
    }
}
