//! What is said of files: a line for each, for people or as JSON.

use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::people::Plain;
use crate::symbols::store::Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object for each file
    Json,
}

/// What is said of one file.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    /// What it was called where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<&'a str>,
    /// What was done or found; a listing has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'a str>,
    /// Why it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl<'a> Line<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        Self {
            build_id: Some(entry.build_id.to_string()),
            kind: Some(entry.kind.word()),
            bytes: Some(entry.bytes),
            ..Self::default()
        }
    }

    pub(super) fn failed(entry: Option<&'a Entry>, outcome: &'a str, error: String) -> Self {
        Self { outcome: Some(outcome), error: Some(error), ..entry.map_or_else(Self::default, Self::of) }
    }
}

/// Where lines go: to standard output, past a bar that is drawn if standard error is a terminal.
pub(super) struct Out {
    format: Format,
    bar: ProgressBar,
    all: usize,
    failed: usize,
}

impl Out {
    pub(super) fn new(format: Format, all: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}")
            .expect("the template is a constant, and tests print it");
        Self { format, bar: ProgressBar::new(all as u64).with_style(style), all, failed: 0 }
    }

    /// Says what came of one file, which is called `path` where it is.
    pub(super) fn say(&mut self, line: Line<'_>, path: &Path) -> anyhow::Result<()> {
        self.failed += usize::from(line.error.is_some());
        let path = path.to_string_lossy();
        let printed = match self.format {
            Format::Json => serde_json::to_string(&Line { name: line.name.or(Some(&path)), ..line })?,
            Format::Text => text(&line, &path),
        };
        self.bar.suspend(|| writeln!(io::stdout(), "{printed}"))?;
        self.bar.inc(1);
        Ok(())
    }

    pub(super) fn end(self, done: &str) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} of {} files could not be {done}", self.all),
        }
    }
}

fn text(line: &Line<'_>, path: &str) -> String {
    if let Some(error) = &line.error {
        return format!("{}: {}: {}", line.outcome.unwrap_or("failed"), Plain(path), Plain(error));
    }
    let (id, kind) = (line.build_id.as_deref().unwrap_or("-"), line.kind.unwrap_or("-"));
    let bytes = line.bytes.unwrap_or_default();
    let outcome = line.outcome.map(|outcome| format!("  {outcome}")).unwrap_or_default();
    format!("{id}  {kind:<10}  {bytes:>12}  {}{outcome}", Plain(line.name.unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_line_of_either_format() {
        let line = || Line {
            build_id: Some("abcd".to_owned()),
            kind: Some("debuginfo"),
            bytes: Some(12),
            outcome: Some("good"),
            ..Line::default()
        };
        assert_eq!(text(&line(), "ab/cd/debuginfo"), "abcd  debuginfo             12  ab/cd/debuginfo  good");
        let json = serde_json::to_string(&line()).unwrap();
        assert_eq!(json, r#"{"buildId":"abcd","kind":"debuginfo","bytes":12,"outcome":"good"}"#);
        let failed = Line::failed(None, "refused", "it is \u{1b}[31mno ELF file".to_owned());
        assert_eq!(text(&failed, "x"), "refused: x: it is \\u{1b}[31mno ELF file");
    }

    #[test]
    fn a_file_that_failed_fails_the_command() {
        let mut out = Out::new(Format::Json, 2);
        out.say(Line::default(), Path::new("a")).unwrap();
        out.say(Line::failed(None, "refused", "why".to_owned()), Path::new("b")).unwrap();
        assert_eq!(out.end("pushed").unwrap_err().to_string(), "1 of 2 files could not be pushed");
    }
}
