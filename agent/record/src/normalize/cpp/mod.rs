//! Printed failures of C++ and C.
//!
//! ```text
//! terminate called after throwing an instance of 'std::invalid_argument'      the C++ runtime
//!   what():  order missing
//! double free or corruption (top)                                             the C library
//! crash: crash.cpp:78: int main(int, char**): Assertion `zero == 1' failed.
//! ==29144==ERROR: AddressSanitizer: SEGV on unknown address 0x0 (pc 0x… T0)   a sanitizer
//!     #0 0x5574493e666a in shop::deref(int*) /var/task/crash.cpp:37
//! Stack trace (most recent call last):                                        backward-cpp, as in aws-lambda-cpp
//! #0    Source "/var/task/lambda.cpp", line 7, in deref [0x5647c73069cd]
//! Segmentation fault (Address not mapped to object [(nil)])
//! /opt/dump(_ZN4shop5derefEPi+0x0)[0x55f6350e5401]                            backtrace_symbols
//! ```
//!
//! - [`said`]: what is said of the failure.
//! - [`backward`]: the traces of backward-cpp, whose inlined calls need care.
//! - [`calls`]: the calls of all others, one a line.

mod said;
mod backward;
mod calls;

use crate::failure::Record;
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;

/// How C++ and C print failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"tplfdmrc*SABFIP=W/.0",
    signs: &[
        "(most recent call last):",
        "Sanitizer: ",
        " ***",
        "terminate called ",
        "pure virtual method called",
        "libc++abi: terminating",
        ": Assertion `",
        ": runtime error: ",
        "(): ",
        "double free or corruption",
        "corrupted ",
        "break adjusted to free malloc space",
        "Segmentation fault",
        "Aborted",
        "Bus error",
        "Floating point exception",
        "Illegal instruction",
        "Trace/breakpoint trap",
        "[0x",
        "0# ",
    ],
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "cpp";

/// Something was said of a failure; more of it, or calls, may follow.
const SAID: State = State(0);
/// A trace of backward-cpp is being read.
const BACKWARD: State = State(1);
/// The head of a report is being read: calls follow.
const REPORT: State = State(2);
/// Calls are being read.
const CALLS: State = State(3);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    let text = line.text;
    if text == backward::HEADER {
        return Some(Opening::Here(BACKWARD));
    }
    if said::is_report(text) {
        return Some(Opening::Here(REPORT));
    }
    if said::read(text).is_some() {
        return Some(Opening::Here(SAID));
    }
    (calls::is_symbols(text) || calls::is_first_numbered(text)).then_some(Opening::Here(CALLS))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    match state {
        SAID | BACKWARD if text == backward::HEADER => Claim::Own(BACKWARD),
        SAID if text.starts_with(said::WHAT) || text.starts_with("terminate called ") => Claim::Own(SAID),
        SAID | REPORT | CALLS if calls::is_call(text) => Claim::Own(CALLS),
        SAID => Claim::Message(SAID),
        BACKWARD if backward::is_part(text) => Claim::Own(BACKWARD),
        BACKWARD if said::signal(text).is_some() => Claim::Last,
        REPORT if !line.is_blank() => Claim::Likely(REPORT),
        _ => Claim::No,
    }
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().skip_while(|line| line.is_empty()).collect();
    let first = lines.first()?;
    let mut record = match said::read_all(&lines) {
        Some(record) => record,
        None if *first == backward::HEADER || calls::is_symbols(first) || calls::is_first_numbered(first) => {
            Record::default()
        }
        None => return None,
    };
    if let Some(at) = lines.iter().position(|line| *line == backward::HEADER) {
        let (stack, rest) = backward::read(&lines[at + 1..]);
        stack.put_into(&mut record);
        // What backward-cpp says at the end is less than what the C++ runtime said before.
        if let (None, Some((signal, kind))) = (&record.error_type, rest.and_then(said::signal)) {
            record.error_type = Some(signal.to_owned());
            record.error_message = rest.unwrap_or_default().to_owned();
            record.kind = Some(kind);
        }
    } else if let Some(stack) = calls::first(&lines) {
        stack.put_into(&mut record);
    }
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_says_goes_before_what_the_signal_says() {
        let record = read("terminate called after throwing an instance of 'std::invalid_argument'\n  what():  order\nmissing\nStack trace (most recent call last):\n#0    Source \"/var/task/lambda.cpp\", line 7, in deref [0x5647c73069cd]\nAborted (Signal sent by tkill() 29812 0)\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("std::invalid_argument"), "order\nmissing")
        );
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("deref"));
    }

    #[test]
    fn a_trace_alone_ends_with_its_signal() {
        let record = read("Stack trace (most recent call last):\n#0    Object \"/opt/lambda\", at 0x55634c1a18f0, in _start\nSegmentation fault (Address not mapped to object [(nil)])\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("SIGSEGV"), "Segmentation fault (Address not mapped to object [(nil)])")
        );
        assert_eq!(
            (record.stack_trace[0].file.as_deref(), record.stack_trace[0].line),
            (Some("/opt/lambda"), None)
        );
    }

    #[test]
    fn other_texts_are_not_taken() {
        for text in [
            "",
            "Aborted by user",
            "free(): of charge",
            "*** all is well ***",
            "Segmentation fault in the market",
            "#0 {main}",
            "a.cpp:1:2: error: x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
