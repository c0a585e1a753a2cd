//! Which records are wanted, and what of that the service can be asked for.

use std::time::Duration;

use trace_record::Record;
use trace_record::complete::parse_rfc3339;

use super::Args;
use crate::cli::Usage;
use crate::read::Query;

/// The longest pattern that FilterLogEvents takes, in characters (API reference). What is longer is left to us alone.
const PATTERN_CHARACTERS_MAX: usize = 1_024;

/// The most log streams that FilterLogEvents takes (API reference).
const STREAMS_MAX: usize = 100;

/// What is wanted.
pub(super) struct Selection {
    pub(super) query: Query,
    fingerprints: Vec<String>,
    error_types: Vec<String>,
    function: Option<String>,
    request_id: Option<String>,
    id: Option<String>,
}

impl Selection {
    pub(super) fn new(args: &Args, now_ms: i64) -> Result<Self, Usage> {
        let start_ms = time("--since", &args.since, now_ms)?;
        let end_ms = args.until.as_deref().map(|until| time("--until", until, now_ms)).transpose()?;
        if end_ms.is_some_and(|end| end < start_ms) {
            return Err(Usage("--until is before --since; swap them".to_owned()));
        }
        if args.directory.is_none() && args.stream.len() > STREAMS_MAX {
            let count = args.stream.len();
            let text =
                format!("there are {count} --stream; name {STREAMS_MAX} at most, or use --stream-prefix");
            return Err(Usage(text));
        }
        let query = Query {
            group: args.group.clone(),
            streams: args.stream.clone(),
            stream_prefix: args.stream_prefix.clone(),
            start_ms: Some(start_ms),
            end_ms,
            pattern: args.filter_pattern.clone().or_else(|| pattern(terms(args))),
        };
        Ok(Self {
            query,
            fingerprints: args.fingerprint.clone(),
            error_types: args.error_type.clone(),
            function: args.function.clone(),
            request_id: args.request_id.clone(),
            id: args.id.clone(),
        })
    }

    /// Whether this record is wanted. What the service left out is a part of what is not.
    pub(super) fn has(&self, record: &Record) -> bool {
        fn among(wanted: &[String], value: Option<&String>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        }
        let is = |wanted: &Option<String>, values: &[&Option<String>]| {
            wanted.is_none() || values.contains(&wanted)
        };
        among(&self.fingerprints, record.fingerprint.as_ref())
            && among(&self.error_types, record.error_type.as_ref())
            && is(&self.function, &[&record.function_name])
            && is(&self.request_id, &[&record.request_id])
            && is(&self.id, &[&record.id, &record.amends])
    }
}

/// What every wanted record has one of. A pattern cannot say "this, and one of those", so it is made of what leaves out most.
fn terms(args: &Args) -> &[String] {
    let (id, request_id, function) =
        (args.id.as_slice(), args.request_id.as_slice(), args.function.as_slice());
    let by_weight = [id, request_id, &args.fingerprint, &args.error_type, function];
    by_weight.into_iter().find(|terms| !terms.is_empty()).unwrap_or_default()
}

/// One term, or any of several. A quoted term is looked for as it is, so only what stands in the JSON as it was typed is handed over.
fn pattern(terms: &[String]) -> Option<String> {
    let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    if terms.iter().any(|term| term.is_empty() || !term.chars().all(is_plain)) {
        return None;
    }
    let pattern = match terms {
        [] => return None,
        [term] => format!("\"{term}\""),
        _ => terms.iter().map(|term| format!("?\"{term}\"")).collect::<Vec<_>>().join(" "),
    };
    (pattern.len() <= PATTERN_CHARACTERS_MAX).then_some(pattern)
}

/// Reads a time, or how long ago it was, in milliseconds since 1970.
fn time(flag: &str, text: &str, now_ms: i64) -> Result<i64, Usage> {
    let ago = |duration: Duration| {
        now_ms.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)).max(0)
    };
    parse_rfc3339(text).or_else(|| humantime::parse_duration(text).ok().map(ago)).ok_or_else(|| {
        Usage(format!("{flag} is {text:?}; it must be how long ago, such as 10m, 2h or 3days, or a time such as 2026-11-26T10:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn times_are_read_in_both_forms() {
        let now_ms = 1_795_419_012_532;
        assert_eq!(time("", "10m", now_ms).unwrap(), now_ms - 600_000);
        assert_eq!(time("", "2026-11-23T07:30:12Z", now_ms).unwrap(), 1_795_419_012_000);
        assert_eq!(time("", "99999999days", now_ms).unwrap(), 0);
        for wrong in ["", "yesterday", "-5m", "10"] {
            assert!(
                time("--since", wrong, now_ms).unwrap_err().to_string().starts_with("--since is "),
                "{wrong}"
            );
        }
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn select(arguments: &[&str]) -> Result<Selection, String> {
        let line = Line::try_parse_from(["logs", "/g"].iter().chain(arguments))
            .map_err(|error| error.to_string())?;
        Selection::new(&line.args, 1_795_419_012_532).map_err(|error| error.to_string())
    }

    #[test]
    fn the_service_is_asked_for_what_leaves_out_most() {
        let pattern = |arguments: &[&str]| select(arguments).unwrap().query.pattern;
        assert_eq!(pattern(&[]), None);
        assert_eq!(pattern(&["--function", "f"]).as_deref(), Some("\"f\""));
        assert_eq!(pattern(&["--function", "f", "--type", "a.B"]).as_deref(), Some("\"a.B\""));
        let both = ["--type", "E", "--fingerprint", "ab", "--fingerprint", "cd"];
        assert_eq!(pattern(&both).as_deref(), Some("?\"ab\" ?\"cd\""));
        assert_eq!(pattern(&["--fingerprint", "ab", "--request-id", "r"]).as_deref(), Some("\"r\""));
        assert_eq!(pattern(&["--request-id", "r", "--id", "i"]).as_deref(), Some("\"i\""));
        assert_eq!(pattern(&["--id", "i", "--filter-pattern", "ERROR -x"]).as_deref(), Some("ERROR -x"));
    }

    #[test]
    fn only_plain_terms_are_handed_over() {
        let (long, many) = (&"e".repeat(PATTERN_CHARACTERS_MAX), [["--type", "12345678"]; 100].concat());
        for term in ["a\"b", "a\\", "", "Größe", "a\tb", long] {
            assert_eq!(select(&["--type", term]).unwrap().query.pattern, None, "{term}");
        }
        assert_eq!(select(&many).unwrap().query.pattern, None);
    }

    #[test]
    fn what_the_service_would_refuse_is_refused_here() {
        let reason = |arguments: &[&str]| select(arguments).err().unwrap_or_default();
        assert!(reason(&["--since", "1h", "--until", "2h"]).starts_with("--until is before --since"));
        let streams = [["--stream", "s"]; STREAMS_MAX + 1].concat();
        assert!(reason(&streams).starts_with("there are 101 --stream"));
        assert_eq!(reason(&[&streams[..], &["--directory", "d"]].concat()), "");
        assert!(reason(&["--directory", "d", "--filter-pattern", "x"]).contains("cannot be used with"));
    }
}
