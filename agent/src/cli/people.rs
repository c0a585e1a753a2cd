//! A record for people: the error, then the calls, most recent last, the culprit marked.
//!
//! Styles are written always; `anstream` takes them out where the output is no terminal.

use std::fmt::{self, Display, Formatter};

use anstyle::{AnsiColor, Color, Style};
use trace_record::Record;
use trace_record::failure::{Cause, Frame, Relation, StackEntry};

const ERROR: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));
const CULPRIT: Style = Style::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
const FAINT: Style = Style::new().dimmed();

/// The longest run of library calls that is printed. The JSON has them all.
const LIBRARY_CALLS_MAX: usize = 3;

/// A record, printed for people.
pub struct ForPeople<'a>(pub &'a Record);

impl Display for ForPeople<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.0;
        said(
            f,
            record.error_type.as_deref(),
            &record.error_message,
            record.kind.as_ref().map(|kind| kind.as_str()),
        )?;
        context(f, record)?;
        stack(f, record)?;
        if let (Some(location), true) = (&record.location, record.stack_trace.is_empty()) {
            writeln!(f, "    at {}:{}", location.file, location.line)?;
        }
        causes(f, &record.causes, 1)
    }
}

/// Prints the calls. A long run of library calls is only counted, unless it stands at the end, where the failure is.
fn stack(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    let own = |index: usize| record.frames.get(index).is_none_or(|frame| frame.in_app != Some(false));
    let length = record.stack_trace.len();
    let mut index = 0;
    while index < length {
        let run = (index..length).take_while(|index| !own(*index)).count();
        let shown = if index + run == length { LIBRARY_CALLS_MAX } else { 0 };
        if run > LIBRARY_CALLS_MAX {
            writeln!(f, "    {FAINT}... {} calls of libraries{FAINT:#}", run - shown)?;
            index += run - shown;
            if index >= length || shown == 0 {
                continue;
            }
        }
        for index in index..(index + run.clamp(1, LIBRARY_CALLS_MAX)).min(length) {
            let culprit = record.culprit.as_ref().is_some_and(|culprit| culprit.index == index);
            entry(f, &record.stack_trace[index], record.frames.get(index), culprit)?;
        }
        index += run.clamp(1, LIBRARY_CALLS_MAX);
    }
    Ok(())
}

fn said(f: &mut Formatter<'_>, error_type: Option<&str>, message: &str, kind: Option<&str>) -> fmt::Result {
    let name = error_type.or(kind).unwrap_or("failure");
    write!(f, "{ERROR}{}{ERROR:#}", Plain(name))?;
    match message {
        "" => writeln!(f),
        message => writeln!(f, ": {}", Plain(message)),
    }
}

fn context(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    let words = [
        record.function_name.as_deref().map(|name| format!("function {name}")),
        record.request_id.as_deref().map(|id| format!("request {id}")),
        record.timestamp.clone(),
        record
            .fingerprint
            .as_deref()
            .map(|fingerprint| format!("fingerprint {}", fingerprint.get(..12).unwrap_or(fingerprint))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { Ok(()) } else { writeln!(f, "  {FAINT}{}{FAINT:#}", Plain(&words.join(" · "))) }
}

fn entry(f: &mut Formatter<'_>, entry: &StackEntry, frame: Option<&Frame>, culprit: bool) -> fmt::Result {
    let (mark, style) = if culprit { (">", CULPRIT) } else { (" ", Style::new()) };
    write!(f, "  {style}{mark} ")?;
    match (&entry.function, frame) {
        (Some(function), _) => write!(f, "{}", Plain(function))?,
        (None, Some(frame)) if entry.file.is_none() && frame.address.is_some() => write!(
            f,
            "{} in {}",
            frame.address.as_deref().unwrap_or_default(),
            Plain(frame.module.as_deref().unwrap_or("no module")),
        )?,
        (None, _) => write!(f, "?")?,
    }
    write!(f, "{style:#}")?;
    if let Some(file) = &entry.file {
        write!(f, "  {FAINT}{}", Plain(file))?;
        if let Some(line) = entry.line {
            write!(f, ":{line}")?;
        }
        write!(f, "{FAINT:#}")?;
    }
    if frame.is_some_and(|frame| frame.inlined == Some(true)) {
        write!(f, " {FAINT}(inlined){FAINT:#}")?;
    }
    if let Some(missing) = frame.and_then(|frame| frame.missing.as_deref()) {
        write!(f, "  {FAINT}({}){FAINT:#}", Plain(missing))?;
    }
    writeln!(f)?;
    match &entry.source {
        Some(source) => writeln!(f, "        {}", Plain(source)),
        None => Ok(()),
    }
}

fn causes(f: &mut Formatter<'_>, list: &[Cause], depth: usize) -> fmt::Result {
    /// Deeper chains are in the JSON.
    const DEPTH_MAX: usize = 8;
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for cause in list {
        let relation = match cause.relation {
            Some(Relation::Context) => "while handling",
            Some(Relation::Suppressed) => "suppressed",
            Some(Relation::Member) => "member",
            Some(Relation::Cause) | None => "caused by",
        };
        write!(f, "{:1$}{FAINT}{relation}{FAINT:#} ", "", depth * 2)?;
        said(f, cause.error_type.as_deref(), &cause.error_message, None)?;
        for entry in &cause.stack_trace {
            self::entry(f, entry, None, false)?;
        }
        causes(f, &cause.causes, depth + 1)?;
    }
    Ok(())
}

/// Text of somebody else's, safe for a terminal: control characters are shown and not obeyed.
pub struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\n      ")?,
                '\t' => f.write_str("\t")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_record::culprit::OwnCode;

    #[test]
    fn a_record_reads_like_a_traceback() {
        let mut record: Record = serde_json::from_str(
            r#"{"errorMessage":"I failed!","errorType":"Exception","stackTrace":[["/var/runtime/b.py",9,"main",null],["/var/task/app.py",3,"handler","raise Exception('I failed!')"]],"causes":[{"errorMessage":"k","errorType":"KeyError","relation":"context"}]}"#,
        )
        .unwrap();
        trace_record::culprit::find(&mut record, &OwnCode::default());
        let text = anstream::adapter::strip_str(&ForPeople(&record).to_string()).to_string();
        assert_eq!(
            text,
            concat!(
                "Exception: I failed!\n",
                "    main  /var/runtime/b.py:9\n",
                "  > handler  /var/task/app.py:3\n",
                "        raise Exception('I failed!')\n",
                "  while handling KeyError: k\n",
            )
        );
    }

    #[test]
    fn a_run_of_library_calls_is_counted() {
        let library = r#"["/usr/lib/python3.12/json/x.py",1,"lib",null]"#;
        let own = r#"["/var/task/app.py",3,"handler",null]"#;
        let stack = [vec![library; 5], vec![own], vec![library; 6]].concat().join(",");
        let mut record: Record =
            serde_json::from_str(&format!(r#"{{"errorType":"E","stackTrace":[{stack}]}}"#)).unwrap();
        trace_record::culprit::find(&mut record, &OwnCode::default());
        let text = anstream::adapter::strip_str(&ForPeople(&record).to_string()).to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines[..4],
            ["E", "... 5 calls of libraries", "> handler  /var/task/app.py:3", "... 3 calls of libraries"]
        );
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_message() {
        assert_eq!(Plain("a\u{1b}[31mred\u{7}").to_string(), "a\\u{1b}[31mred\\u{7}");
    }
}
