//! Records on standard output, in the form that was asked for.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};

use anstyle::Style;
use trace_record::Record;

use super::Format;
use super::summary::Summary;
use super::tail::Line;
use crate::cli::people::{ForPeople, Plain};
use crate::pipeline::Finisher;

const HEAD: Style = Style::new().bold();

/// Where the records go.
pub(super) struct Printer {
    /// Names bare frames, if that is wanted.
    pub(super) finisher: Option<Finisher>,
    pub(super) format: Format,
    /// Adds records up instead of printing them.
    pub(super) summary: Option<Summary>,
    /// How many more are wanted, if not all.
    pub(super) limit: Option<u64>,
}

impl Printer {
    /// Prints a page. False once enough was printed.
    pub(super) fn page(&mut self, lines: Vec<Line>) -> anyhow::Result<bool> {
        for line in lines {
            if self.limit == Some(0) {
                return Ok(false);
            }
            self.limit = self.limit.map(|left| left - 1);
            match &mut self.summary {
                Some(summary) => summary.add(&line.record),
                None => self.line(line)?,
            }
        }
        // What was asked for while it happens is shown when it does.
        io::stdout().flush()?;
        Ok(self.limit != Some(0))
    }

    fn line(&mut self, line: Line) -> anyhow::Result<()> {
        let stored = line.record;
        let mut record = stored.clone();
        if let Some(finisher) = &mut self.finisher {
            finisher.finish_stored(&mut record);
        }
        match self.format {
            Format::Pretty => Ok(writeln!(anstream::stdout(), "{}", Headed(record))?),
            Format::Json if record == stored => Ok(writeln!(io::stdout(), "{}", line.message)?),
            Format::Json => Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&record)?)?),
        }
    }

    /// Prints what was added up.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Some(summary) = self.summary else { return Ok(()) };
        match self.format {
            Format::Pretty => write!(anstream::stdout(), "{summary}")?,
            Format::Json => {
                for row in summary.rows() {
                    writeln!(io::stdout(), "{}", serde_json::to_string(row)?)?;
                }
            }
        }
        if summary.other > 0 {
            anstream::eprintln!("trace-agent: {} failures of further fingerprints", summary.other);
        }
        Ok(())
    }
}

/// A record for people, under a line with everything that it can be looked for by, and how many it stands for.
struct Headed(Record);

impl Display for Headed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut record = self.0.clone();
        let named = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
        // What stands in the head is not said again below it.
        let parts = [
            record.timestamp.take(),
            named("function", record.function_name.take()),
            named("request", record.request_id.take()),
            named("fingerprint", record.fingerprint.take()),
            named("id", record.id.take()),
            named("amends", record.amends.take()),
            record.repeats.map(|repeats| format!("{repeats} more like it")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        writeln!(f, "{HEAD}{}{HEAD:#}", Plain(&parts.join("  ")))?;
        write!(f, "{}", ForPeople(&record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_a_record_can_be_looked_for_by() {
        let record: Record = serde_json::from_str(
            r#"{"errorMessage":"m","errorType":"E","timestamp":"2026-11-23T07:30:12.532Z","functionName":"f","requestId":"r","fingerprint":"0123456789abcdef","id":"i","amends":"a","repeats":4}"#,
        )
        .unwrap();
        let text = anstream::adapter::strip_str(&Headed(record).to_string()).to_string();
        assert_eq!(
            text,
            "2026-11-23T07:30:12.532Z  function f  request r  fingerprint 0123456789abcdef  id i  amends a  4 more like it\nE: m\n"
        );
    }

    #[test]
    fn a_head_tells_a_terminal_nothing() {
        let evil = "\u{1b}[2J\u{7}".to_owned();
        let record = Record {
            timestamp: Some(evil.clone()),
            function_name: Some(evil.clone()),
            request_id: Some(evil.clone()),
            fingerprint: Some(evil.clone()),
            id: Some(evil.clone()),
            amends: Some(evil),
            ..Record::default()
        };
        let text = Headed(record).to_string();
        assert!(!text.contains("\u{1b}[2J") && !text.contains('\u{7}'), "{text:?}");
    }
}
