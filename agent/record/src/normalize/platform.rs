//! What the platform says when nobody else can: the process exited, a signal killed it, the deadline passed.
//!
//! The texts are those that the invoking client gets and that stand in the log
//! (`RequestId: <id> Error: Runtime exited with error: signal: segmentation fault`).

use crate::failure::{Exit, Kind, Record, Witness};
use crate::normalize::language::{Claim, Language, Opening, posts_nothing};

/// What the platform logs of a failure.
pub(crate) static LANGUAGE: Language = Language {
    name: "platform",
    begins: b"R",
    signs: &[" Error: ", " Task timed out after "],
    opens: |text, _| line(text.text).map(|_| Opening::Whole),
    continues: |_, _| Claim::No,
    read: |text| line(text.trim_end()),
    posted: posts_nothing,
};

/// The names that the platform prints for signals (Go's `os.Signal`), and the signals that they mean.
const SIGNALS: [(&str, &str); 10] = [
    ("segmentation fault", "SIGSEGV"),
    ("aborted", "SIGABRT"),
    ("killed", "SIGKILL"),
    ("bus error", "SIGBUS"),
    ("illegal instruction", "SIGILL"),
    ("floating point exception", "SIGFPE"),
    ("trace/breakpoint trap", "SIGTRAP"),
    ("terminated", "SIGTERM"),
    ("interrupt", "SIGINT"),
    ("hangup", "SIGHUP"),
];

/// The error types with which the platform itself ends an invocation or an initialization.
const TIMEOUTS: [&str; 3] = ["Sandbox.Timedout", "Sandbox.Timeout", "Runtime.InvokeTimeout"];

/// Reads a line in which the platform says that a request failed: `RequestId: <id> Error: <message>`, or
/// `<time> <id> Task timed out after 3.00 seconds`.
#[must_use]
pub fn line(line: &str) -> Option<Record> {
    let (request_id, message) = match line.strip_prefix("RequestId: ") {
        Some(rest) => rest.split_once(" Error: ")?,
        None => {
            // The end first: every line of a log comes here, and a search costs more than a look.
            let told = line.strip_suffix(" seconds")?;
            let before = told.rfind(" Task timed out after ")?;
            (line[..before].rsplit(' ').next()?, &line[before + 1..])
        }
    };
    let mut record = told(None, message)?;
    record.request_id = Some(request_id.to_owned());
    Some(record)
}

/// Makes the record of a failure of which only the platform knows: `error_type` as in `platform.runtimeDone`, and the
/// message that the client got, if there is one. `None` if neither tells of the process's end or the deadline.
#[must_use]
pub fn told(error_type: Option<&str>, message: &str) -> Option<Record> {
    let message = message.trim_end();
    let exit = exit(message);
    let timeout =
        message.contains("Task timed out after") || error_type.is_some_and(|name| TIMEOUTS.contains(&name));
    let oom = error_type == Some("Runtime.OutOfMemory");
    let kind = match &exit {
        _ if timeout => Kind::Timeout,
        _ if oom => Kind::Oom,
        Some(Exit { signal: Some(signal), .. }) if signal == "SIGABRT" => Kind::Abort,
        Some(Exit { signal: Some(_), .. }) => Kind::Signal,
        Some(_) => Kind::Exit,
        None if error_type == Some("Runtime.ExitError") => Kind::Exit,
        None => return None,
    };
    let unsaid = if timeout { "Sandbox.Timedout" } else { "Runtime.ExitError" };
    Some(Record {
        error_message: message.to_owned(),
        error_type: Some(error_type.unwrap_or(unsaid).to_owned()),
        kind: Some(kind),
        exit: exit.filter(|exit| *exit != Exit::default()),
        witnesses: vec![Witness::Platform],
        ..Record::default()
    })
}

/// The end of the process in `Runtime exited with error: exit status 7`, `… signal: killed` or `Runtime exited without
/// providing a reason`.
fn exit(message: &str) -> Option<Exit> {
    let rest = &message[message.find("Runtime exited ")?..];
    if let Some(status) = rest.strip_prefix("Runtime exited with error: exit status ") {
        return Some(Exit { code: status.parse().ok(), signal: None });
    }
    if let Some(name) = rest.strip_prefix("Runtime exited with error: signal: ") {
        let name = name.trim_end_matches(" (core dumped)");
        let signal = SIGNALS.iter().find(|(text, _)| *text == name).map_or(name, |(_, signal)| signal);
        return Some(Exit { code: None, signal: Some(signal.to_owned()) });
    }
    Some(Exit::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_and_signals_are_told_apart() {
        let segv =
            line("RequestId: 62f1 Error: Runtime exited with error: signal: segmentation fault").unwrap();
        assert_eq!(segv.kind, Some(Kind::Signal));
        assert_eq!(segv.error_type.as_deref(), Some("Runtime.ExitError"));
        assert_eq!(segv.exit, Some(Exit { code: None, signal: Some("SIGSEGV".into()) }));
        assert_eq!(segv.request_id.as_deref(), Some("62f1"));
        let status = line("RequestId: 62f1 Error: Runtime exited with error: exit status 7").unwrap();
        assert_eq!(status.exit, Some(Exit { code: Some(7), signal: None }));
        assert_eq!(status.kind, Some(Kind::Exit));
        let silent = line("RequestId: 62f1 Error: Runtime exited without providing a reason").unwrap();
        assert_eq!((silent.kind, silent.exit), (Some(Kind::Exit), None));
    }

    #[test]
    fn a_timeout_is_read_in_both_forms() {
        let old = line("2026-11-23T07:28:30.153Z d591674a Task timed out after 3.00 seconds").unwrap();
        assert_eq!(old.kind, Some(Kind::Timeout));
        assert_eq!(old.request_id.as_deref(), Some("d591674a"));
        let new = line("RequestId: d591674a Error: Task timed out after 3.00 seconds").unwrap();
        assert_eq!(new.error_message, "Task timed out after 3.00 seconds");
    }

    #[test]
    fn ordinary_lines_are_no_failures() {
        for text in
            ["", "RequestId: ", "RequestId: 1 Error: ", "RequestId: 1 Error: disk full", "Task timed out"]
        {
            assert_eq!(line(text), None, "{text:?}");
        }
    }
}
