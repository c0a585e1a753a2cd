//! Errors with their causes, as anyhow and eyre print them, and what `lambda_runtime` logs of a failed invocation.

use super::{BACKTRACE, TRACING, backtrace};
use crate::failure::{Cause, Record, Relation};
use crate::normalize::CAUSES_DEPTH_MAX;
use crate::normalize::language::Held;

/// The number of lines above `Caused by:` that belong to the error. `None` if no error stands there.
pub(super) fn lines_above(held: &Held<'_>) -> Option<usize> {
    held.back().position(|line| line.starts_with("Error: ")).map(|above| above + 1)
}

/// Reads an error, the causes below it, and its frames.
pub(super) fn read(lines: &[&str]) -> Option<Record> {
    let first = lines.first()?;
    let (error_type, said, request_id) = match first.strip_prefix("Error: ") {
        Some(said) => (Some("Error".to_owned()), said, None),
        None => {
            let (span, said) = first.strip_prefix(TRACING)?.split_once("}: ")?;
            let id = span.split_once("requestId=\"").and_then(|(_, rest)| rest.split_once('"'));
            (None, said, id.map(|(id, _)| id.to_owned()))
        }
    };
    let causes_at = lines.iter().position(|line| *line == "Caused by:");
    let frames_at = lines.iter().position(|line| line.eq_ignore_ascii_case(BACKTRACE));
    // An error without causes and frames is told from a line of prose by its logger alone.
    if error_type.is_some() && causes_at.is_none() && frames_at.is_none() {
        return None;
    }
    let end = [causes_at, frames_at].into_iter().flatten().min().unwrap_or(lines.len());
    let mut message = said.to_owned();
    for line in &lines[1..end] {
        message.push('\n');
        message.push_str(line);
    }
    message.truncate(message.trim_end().len());
    let mut record = Record { error_message: message, error_type, request_id, ..Record::default() };
    if let Some(at) = causes_at {
        let (causes, skipped) = causes(&lines[at + 1..]);
        record.causes.extend(causes);
        if skipped > 0 {
            record.truncated.insert("causes".to_owned(), skipped);
        }
    }
    if let Some(at) = frames_at {
        let frames = lines[at + 1..].iter().copied().skip_while(|line| line.is_empty());
        backtrace::read(frames).reversed().put_into(&mut record);
    }
    Some(record)
}

/// The messages below `Caused by:`, each the cause of the one before; and how many are left out. A single one has no number, and lines
/// that have none of several continue the one above.
fn causes(lines: &[&str]) -> (Option<Cause>, u64) {
    let mut messages: Vec<String> = Vec::new();
    for line in lines {
        let Some(text) = line.strip_prefix("    ") else { break };
        let expected = messages.len();
        match (number(text), messages.last_mut()) {
            (Some((number, said)), _) if number == expected => messages.push(said.to_owned()),
            (_, None) => messages.push(text.to_owned()),
            (_, Some(last)) => {
                last.push('\n');
                last.push_str(text.strip_prefix("   ").unwrap_or(text));
            }
        }
    }
    let skipped = messages.len().saturating_sub(CAUSES_DEPTH_MAX);
    messages.truncate(CAUSES_DEPTH_MAX);
    let nest = |inner: Option<Cause>, message: String| {
        Some(Cause {
            error_message: message,
            relation: Some(Relation::Cause),
            causes: inner.into_iter().collect(),
            ..Cause::default()
        })
    };
    (messages.into_iter().rev().fold(None, nest), skipped as u64)
}

/// `0: cannot read config`, the number right-aligned.
fn number(text: &str) -> Option<(usize, &str)> {
    let (number, said) = text.trim_start().split_once(": ")?;
    Some((number.parse().ok()?, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Record {
        read(&text.lines().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_causes_of_anyhow_nest() {
        let record = error(
            "Error: loading handler\n\nCaused by:\n    0: cannot read config\n       for stage x\n    1: No such file\n\nStack backtrace:\n   0: shop::load\n             at ./src/main.rs:3:5\n",
        );
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("Error"), "loading handler")
        );
        assert_eq!(record.causes[0].error_message, "cannot read config\nfor stage x");
        assert_eq!(record.causes[0].causes[0].error_message, "No such file");
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("shop::load"));
        let single = error("Error: a\n\nCaused by:\n    b\n");
        assert_eq!(single.causes[0].error_message, "b");
    }

    #[test]
    fn what_the_runtime_logs_names_its_request() {
        let record =
            error("ERROR Lambda runtime invoke{requestId=\"8f50\" xrayTraceId=\"Root=1\"}: order not found");
        assert_eq!(
            (record.request_id.as_deref(), record.error_message.as_str()),
            (Some("8f50"), "order not found")
        );
    }

    #[test]
    fn a_chain_is_bounded() {
        let mut text = String::from("Error: a\n\nCaused by:\n");
        for number in 0..10_000 {
            text.push_str(&format!("    {number}: cause\n"));
        }
        assert_eq!(error(&text).truncated["causes"], 10_000 - CAUSES_DEPTH_MAX as u64);
    }
}
