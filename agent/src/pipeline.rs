//! The middle of every road: a bare record in, a line for the sink out.

use trace_record::batch::{Event, is_timely};
use trace_record::metrics::dimensions::ErrorTypes;
use trace_record::storm::Storm;
use trace_record::{Completion, Policy, Record, complete, metrics, render, source};

use crate::symbolize::Symbolizer;

/// Names, completes and redacts records.
pub struct Finisher {
    symbolizer: Symbolizer,
    policy: Policy,
    error_types: ErrorTypes,
    storm: Storm,
}

impl Finisher {
    /// Names frames and reads sources with `symbolizer`; the rest is `policy`'s. Of one fingerprint, `storm_limit` records a
    /// minute stay whole.
    #[must_use]
    pub fn new(symbolizer: Symbolizer, policy: Policy, storm_limit: u32) -> Self {
        Self { symbolizer, policy, error_types: ErrorTypes::default(), storm: Storm::new(storm_limit) }
    }

    /// Names the record's frames and completes it. A failure that was seen just now gets its metrics, and becomes a repeat if there
    /// were many like it.
    pub fn finish(&mut self, record: &mut Record, completion: &Completion) {
        self.symbolizer.name(record);
        complete(record, completion, &self.policy, self.symbolizer.sources());
        let Some(seen_ms) = completion.seen_ms else { return };
        if record.aws.is_none() {
            metrics::add(record, &self.policy.dimensions, &mut self.error_types, seen_ms);
        }
        self.storm.calm(record, seen_ms);
    }

    /// Names what a stored record left bare, and adds source text.
    ///
    /// Everything else stays as it was stored: the agent that wrote the record knew whose code is whose, and what it cut from the record
    /// or only counted is no longer there to be judged. The record is judged anew if frames got names, if it never was judged, or if
    /// the policy is the user's own. Even then the fingerprint stays, since metrics and searches know the failure by it.
    pub fn finish_stored(&mut self, record: &mut Record) {
        let mut named = record.clone();
        self.symbolizer.name(&mut named);
        let is_named = named.stack_trace != record.stack_trace || named.threads != record.threads;
        // What was tried in vain here says less than what the record says of the machine that failed.
        if is_named {
            *record = named;
        }
        if !is_named && record.fingerprint.is_some() && self.policy == Policy::default() {
            source::fill(record, self.symbolizer.sources());
            return;
        }
        let (fingerprint, version) = (record.fingerprint.take(), record.fingerprint_version);
        complete(record, &Completion::default(), &self.policy, self.symbolizer.sources());
        if fingerprint.is_some() {
            (record.fingerprint, record.fingerprint_version) = (fingerprint, version);
        }
    }
}

/// Renders a complete record as an event of at most `line_bytes_max` bytes.
///
/// It stands at the record's own time, or at `now_ms` if CloudWatch would refuse that time: the record still says when it
/// was.
#[must_use]
pub fn event(record: &Record, line_bytes_max: usize, now_ms: i64) -> Event {
    let own = record.timestamp.as_deref().and_then(trace_record::complete::parse_rfc3339);
    let timestamp_ms = own.filter(|own| is_timely(*own, now_ms)).unwrap_or(now_ms);
    Event { timestamp_ms, message: render::line(record, line_bytes_max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Detail;

    fn stored(record: &str, policy: Policy) -> (Record, Record) {
        let record: Record = serde_json::from_str(record).unwrap();
        let mut finished = record.clone();
        Finisher::new(Symbolizer::new(&[], &[]), policy, 0).finish_stored(&mut finished);
        (record, finished)
    }

    #[test]
    fn a_stored_record_stays_what_its_agent_made_of_it() {
        // A repeat has no stack, a cut record less than all of it, and whose code is whose was another machine's to say.
        for record in [
            r#"{"errorMessage":"m","errorType":"E","repeats":3,"fingerprint":"f","fingerprintVersion":2,"id":"i"}"#,
            r#"{"errorMessage":"m","stackTrace":[["/srv/a.py",3,"f",null]],"frames":[{"inApp":false}],"fingerprint":"f","fingerprintVersion":1}"#,
            r#"{"stackTrace":[[null,null,null,null]],"frames":[{"address":"0x1","module":"/gone","missing":"their reason"}],"fingerprint":"f","fingerprintVersion":2}"#,
        ] {
            let (stored, finished) = stored(record, Detail::default().policy().0);
            assert_eq!(stored, finished);
        }
    }

    #[test]
    fn a_stored_record_is_judged_where_nobody_did_or_the_user_asks() {
        let calls = r#""stackTrace":[["/srv/a.py",3,"f",null],["/lib/b.py",1,"g",null]]"#;
        let (_, bare) = stored(&format!(r#"{{"errorMessage":"m",{calls}}}"#), Policy::default());
        assert!(bare.fingerprint.is_some() && bare.id.is_some() && bare.culprit.is_some());
        let policy = Policy { own_code: "-/lib/".parse().unwrap(), ..Policy::default() };
        let known = format!(
            r#"{{"errorMessage":"m",{calls},"culprit":{{"index":1}},"fingerprint":"f","fingerprintVersion":1}}"#
        );
        let (_, judged) = stored(&known, policy);
        assert_eq!(judged.culprit.map(|culprit| culprit.index), Some(0));
        assert_eq!((judged.fingerprint.as_deref(), judged.fingerprint_version), (Some("f"), Some(1)));
    }

    #[test]
    fn an_event_stands_where_cloudwatch_takes_it() {
        let now_ms = 1_795_419_012_532;
        let at = |timestamp: &str| {
            let record = Record { timestamp: Some(timestamp.to_owned()), ..Record::default() };
            event(&record, 1_000, now_ms).timestamp_ms
        };
        assert_eq!(at("2026-11-23T07:30:12.000Z"), 1_795_419_012_000);
        for refused in
            ["1970-01-01T00:00:01.000Z", "2026-11-09T07:30:12.000Z", "2026-11-23T09:30:12.000Z", "yesterday"]
        {
            assert_eq!(at(refused), now_ms, "{refused}");
        }
    }
}
