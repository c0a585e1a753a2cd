//! Printed failures of Rust.
//!
//! ```text
//! thread 'main' (8110) panicked at src/orders/mod.rs:37:13:      from 1.73; the number from 1.91
//! length 3 over limit 2
//! stack backtrace:                                               with RUST_BACKTRACE
//!    2: shop::orders::limits::enforce
//!              at ./src/orders/mod.rs:37:13
//! note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
//!
//! thread 'main' panicked at 'length 3 over limit 2', src/orders/mod.rs:37:13      before
//!
//! Error: loading handler                                         anyhow and eyre, returned from main
//!
//! Caused by:
//!     0: cannot read config
//!     1: No such file or directory (os error 2)
//! ```
//!
//! - [`backtrace`]: the frames, in the short and the full form, of std and of the `backtrace` crate.
//! - [`panic`]: what is around them when the program panics.
//! - [`chain`]: errors with causes.

mod backtrace;
mod chain;
mod panic;

use crate::failure::{Kind, Record};
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;

/// How Rust prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"tpfmCSE",
    signs: &[
        "panicked at ",
        FATAL,
        "memory allocation of ",
        " has overflowed its stack",
        "Lambda runtime invoke{",
        "Caused by:",
        "Stack backtrace:",
    ],
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "rust";

/// The line before the frames.
const BACKTRACE: &str = "stack backtrace:";

/// The beginning of what the tracing layer of `lambda_runtime` logs of a failed invocation.
const TRACING: &str = "ERROR Lambda runtime invoke{";

/// What it logs of a panic, which std has printed before.
const TRACED_PANIC: &str = "user handler panicked";

/// The last words of a process that ran out of stack, and of others that std ends.
const FATAL: &str = "fatal runtime error: ";

/// A panic's header was read: the first line of its message comes, whatever it says.
const HEADER: State = State(0);
/// The message may go on; frames or a note may follow.
const MESSAGE: State = State(1);
/// The older form: the message ends with the location.
const QUOTED: State = State(2);
/// Frames are being read.
const FRAMES: State = State(3);
/// A thread ran out of stack: the runtime's last words follow.
const OVERFLOWED: State = State(4);
/// An error was read; causes or frames may follow.
const CHAIN: State = State(5);
/// Frames without their marker are being read: a hook prints them so, or a message quotes them.
const BARE_FRAMES: State = State(6);

fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    let text = line.text;
    if panic::is_header(text) {
        return Some(Opening::Here(match panic::quoted(text) {
            None => HEADER,
            Some(quoted) if panic::ends_quoted(quoted) => MESSAGE,
            Some(_) => QUOTED,
        }));
    }
    if text.starts_with(FATAL) || panic::is_failed_allocation(text) {
        return Some(Opening::Whole);
    }
    if text.starts_with("thread ") && text.ends_with(" has overflowed its stack") {
        return Some(Opening::Here(OVERFLOWED));
    }
    if text.starts_with(TRACING) && !text.contains(TRACED_PANIC) {
        return Some(Opening::Here(CHAIN));
    }
    let below_error = matches!(text, "Caused by:" | "Stack backtrace:");
    below_error
        .then(|| chain::lines_above(held))
        .flatten()
        .map(|lines| Opening::Before { lines, state: if text == "Caused by:" { CHAIN } else { FRAMES } })
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    match state {
        HEADER | MESSAGE | QUOTED | BARE_FRAMES if text == BACKTRACE => Claim::Own(FRAMES),
        HEADER | MESSAGE | QUOTED if backtrace::is_first(text) => Claim::Own(BARE_FRAMES),
        HEADER if line.is_indented() || line.is_blank() => Claim::Message(MESSAGE),
        HEADER => Claim::Likely(MESSAGE),
        MESSAGE | QUOTED if text.starts_with("note: run with `RUST_BACKTRACE") => Claim::Last,
        MESSAGE | QUOTED | BARE_FRAMES if panic::is_header(text) => Claim::No,
        MESSAGE => Claim::Message(MESSAGE),
        QUOTED if panic::ends_quoted(text) => Claim::Own(MESSAGE),
        QUOTED => Claim::Message(QUOTED),
        FRAMES if backtrace::is_part(text) => Claim::Own(FRAMES),
        BARE_FRAMES if backtrace::is_part(text) => Claim::Own(BARE_FRAMES),
        FRAMES | BARE_FRAMES if text.starts_with("note: Some details are omitted") => Claim::Last,
        BARE_FRAMES => Claim::Message(BARE_FRAMES),
        OVERFLOWED if text.starts_with(FATAL) => Claim::Last,
        OVERFLOWED => Claim::Message(OVERFLOWED),
        CHAIN if matches!(text, "Caused by:" | "Location:") => Claim::Own(CHAIN),
        CHAIN if text.eq_ignore_ascii_case(BACKTRACE) => Claim::Own(FRAMES),
        CHAIN if text.starts_with("    ") => Claim::Likely(CHAIN),
        CHAIN if line.is_blank() => Claim::Message(CHAIN),
        _ => Claim::No,
    }
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.trim_start_matches(['\n', '\r']).lines().collect();
    let first = lines.first()?;
    let mut record = if panic::is_header(first) {
        panic::read(&lines)?
    } else if first.starts_with(FATAL) || first.ends_with(" has overflowed its stack") {
        fatal(&lines)?
    } else if panic::is_failed_allocation(first) {
        Record {
            error_message: (*first).to_owned(),
            error_type: Some("SIGABRT".to_owned()),
            kind: Some(Kind::Abort),
            ..Record::default()
        }
    } else {
        chain::read(&lines)?
    };
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// `fatal runtime error: stack overflow, aborting`, perhaps below a line that names the thread.
fn fatal(lines: &[&str]) -> Option<Record> {
    let said = lines.iter().find_map(|line| line.strip_prefix(FATAL))?;
    Some(Record {
        error_message: said.trim_end().to_owned(),
        error_type: Some(FATAL.trim_end_matches(": ").to_owned()),
        kind: Some(Kind::Abort),
        ..Record::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_overflow_is_told_by_the_runtimes_last_words() {
        // rustc 1.95.0.
        let record = read("\nthread 'main' (23502) has overflowed its stack\nfatal runtime error: stack overflow, aborting\n").unwrap();
        assert_eq!(record.error_type.as_deref(), Some("fatal runtime error"));
        assert_eq!(record.error_message, "stack overflow, aborting");
        assert_eq!(record.kind, Some(Kind::Abort));
    }

    #[test]
    fn other_texts_are_not_taken() {
        for text in [
            "",
            "panic: x\n\ngoroutine 1 [running]:",
            "thread pool is full",
            "Error: x\n    at f (a.js:1:1)",
            "memory allocation of the year",
            "Caused by: x",
            "Error: only words",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
