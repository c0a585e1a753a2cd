//! What faulthandler says of a process that dies.
//!
//! ```text
//! Fatal Python error: Segmentation fault
//!
//! Current thread 0x00007f8e (most recent call first):
//!   File "/var/task/lambda_function.py", line 5 in poke
//! ```

use super::frames;
use crate::failure::{Kind, Record, Thread};

/// The beginning of the first line.
pub(super) const HEADER: &str = "Fatal Python error: ";

/// The signals that faulthandler handles, in its words.
const SIGNALS: [(&str, &str); 5] = [
    ("Segmentation fault", "SIGSEGV"),
    ("Aborted", "SIGABRT"),
    ("Bus error", "SIGBUS"),
    ("Illegal instruction", "SIGILL"),
    ("Floating point exception", "SIGFPE"),
];

/// The most other threads that a record keeps.
const THREADS_MAX: usize = 32;

/// True for a line of what follows the header.
pub(super) fn is_part(line: &str) -> bool {
    thread(line).is_some()
        || line.starts_with("  ")
        || ["Extension modules: ", "Python runtime state: ", "Current thread's C stack trace "]
            .iter()
            .any(|begin| line.starts_with(begin))
}

/// The name of the thread whose calls follow, and whether it is the one that died.
fn thread(line: &str) -> Option<(&str, bool)> {
    let name = line.strip_suffix(" (most recent call first):")?;
    match name.strip_prefix("Current thread ") {
        Some(name) => Some((name, true)),
        None => name.strip_prefix("Thread ").map(|name| (name, false)),
    }
}

/// Reads a report. The thread that died is the failure; the others are kept apart.
pub(super) fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let said = lines.first()?.strip_prefix(HEADER)?;
    let signal = SIGNALS.iter().find(|(name, _)| said.trim_end() == *name).map(|(_, signal)| *signal);
    let mut record = Record {
        error_message: said.trim_end().to_owned(),
        error_type: Some(signal.unwrap_or(HEADER.trim_end_matches(": ")).to_owned()),
        kind: Some(if signal.is_none_or(|name| name == "SIGABRT") { Kind::Abort } else { Kind::Signal }),
        ..Record::default()
    };
    for (at, line) in lines.iter().enumerate() {
        let Some((name, is_current)) = thread(line) else { continue };
        let (stack, _) = frames::read(&lines[at + 1..]);
        if is_current {
            stack.reversed().put_into(&mut record);
        } else if record.threads.len() < THREADS_MAX {
            let stack_trace = stack.reversed().into_entries();
            record.threads.push(Thread { name: format!("thread {name}"), state: None, stack_trace });
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_died_is_the_failure() {
        // CPython 3.11.7, `faulthandler.enable()`.
        let record = read("Fatal Python error: Segmentation fault\n\nThread 0x00007f01 (most recent call first):\n  File \"/w.py\", line 9 in wait\n\nCurrent thread 0x00007f8e (most recent call first):\n  File \"/a.py\", line 5 in poke\n  File \"/a.py\", line 8 in <module>\n\nExtension modules: _ctypes (total: 1)\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("SIGSEGV"), "Segmentation fault")
        );
        assert_eq!(record.stack_trace[1].function.as_deref(), Some("poke"));
        assert_eq!(record.threads[0].stack_trace[0].line, Some(9));
    }
}
