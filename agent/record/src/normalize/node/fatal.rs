//! The death of the engine itself.
//!
//! ```text
//! FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
//! ----- Native stack trace -----
//!
//!  1: 0xb78db3 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]
//!  4: 0x10fb205  [node]
//! ```

use crate::failure::{Frame, Kind, Record, StackEntry};
use crate::normalize::stack::Stack;

/// What the line begins with, which is also as much of a type as there is.
const TYPE: &str = "FATAL ERROR";

/// Addresses above belong to libraries and to programs that are loaded anywhere: they name nothing in a file.
const FIXED_ADDRESSES_END: u64 = 1 << 32;

/// The message of a line that tells of the engine's death.
pub(super) fn message(line: &str) -> Option<&str> {
    line.strip_prefix(TYPE)?.strip_prefix(": ")
}

/// True for a line that belongs to the native stack.
pub(super) fn is_part(line: &str) -> bool {
    line.starts_with("----- ") && line.ends_with(" stack trace -----") || call(line).is_some()
}

/// Reads the text from that line on.
pub(super) fn read(text: &str) -> Option<Record> {
    let mut lines = text.lines();
    let message = message(lines.next()?)?;
    let mut stack = Stack::default();
    lines.filter_map(call).for_each(|(entry, frame)| stack.push(entry, frame));
    let kind = if message.ends_with("out of memory") { Kind::Oom } else { Kind::Abort };
    let mut record = Record {
        error_type: Some(TYPE.to_owned()),
        error_message: message.to_owned(),
        kind: Some(kind),
        ..Record::default()
    };
    stack.reversed().put_into(&mut record);
    Some(record)
}

/// ` 1: 0xb78db3 node::Abort() [node]`; the name may be missing.
fn call(line: &str) -> Option<(StackEntry, Frame)> {
    let (number, rest) = line.trim_start_matches(' ').split_once(": 0x")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let (address, rest) = rest.split_once(' ')?;
    let returns_to = u64::from_str_radix(address, 16).ok().filter(|_| is_number)?;
    let (name, module) = rest.strip_suffix(']')?.rsplit_once('[')?;
    let function = Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
    // The line names the instruction after the call.
    let called_at = returns_to.checked_sub(1).filter(|address| *address < FIXED_ADDRESSES_END);
    let frame = Frame {
        module: Some(module.to_owned()),
        address: called_at.map(|address| format!("{address:#x}")),
        ..Frame::default()
    };
    Some((StackEntry { file: Some(module.to_owned()), function, ..StackEntry::default() }, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_heap_is_read() {
        // Node 20.20.2.
        let record = read(concat!(
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n",
            "----- Native stack trace -----\n",
            "\n",
            " 1: 0xb78db3 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]\n",
            " 4: 0x10fb205  [node]\n",
            "10: 0x7f1c4be99ef6 \n",
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("FATAL ERROR"));
        assert_eq!(
            record.error_message,
            "Reached heap limit Allocation failed - JavaScript heap out of memory"
        );
        assert_eq!(record.kind, Some(Kind::Oom));
        let functions: Vec<_> = record.stack_trace.iter().map(|entry| entry.function.as_deref()).collect();
        assert_eq!(functions, [None, Some("node::OOMErrorHandler(char const*, v8::OOMDetails const&)")]);
        assert_eq!(record.frames[0].address.as_deref(), Some("0x10fb204"));
        assert_eq!(record.frames[0].module.as_deref(), Some("node"));
    }
}
