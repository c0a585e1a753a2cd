//! The traces of backward-cpp.
//!
//! ```text
//! #5  | Source "/build/src/runtime.cpp", line 451, in operator()          outermost of what was inlined
//!       Source "/usr/include/c++/12/bits/std_function.h", line 591, in run_handler [0x55634c1a5015]
//! #4    Source "/var/task/lambda.cpp", line 20, in main [0x55634c1a1a78]
//!         19: }
//!       >  20: int main() { run_handler(my_handler); return 0; }          the source of the call above
//! #3    Object "/opt/lambda", at 0x55634c1a18f0, in _start
//! ```
//!
//! The calls of one number are one address. backward-cpp names each of them after what was inlined there instead of where it
//! is, so within a number the names are turned by one: the last is the function itself, and outermost.

use crate::failure::{Frame, StackEntry};
use crate::normalize::stack::Stack;

/// The line before the calls, the most recent of which comes last.
pub(super) const HEADER: &str = "Stack trace (most recent call last):";

/// How far a line of source is indented at least.
const SOURCE_INDENT: usize = 6;

/// True for a line that a trace is made of.
pub(super) fn is_part(line: &str) -> bool {
    let text = line.trim_start_matches(' ');
    number(line).is_some() || text.starts_with("| Source ") || line.len() - text.len() >= 4
}

/// What stands behind the number of `#5  | Source "f", line 451, in operator()`.
fn number(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('#')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| &rest[digits..])
}

/// Reads calls, and gives the line that ended them.
pub(super) fn read<'a>(lines: &[&'a str]) -> (Stack, Option<&'a str>) {
    let mut stack = Stack::default();
    let mut group: Vec<StackEntry> = Vec::new();
    let mut end = None;
    for line in lines {
        let text = match number(line) {
            Some(rest) => {
                close(&mut group, &mut stack);
                rest
            }
            None => line,
        };
        if let Some(entry) = call(text.trim_start_matches([' ', '|'])) {
            group.extend(entry);
        } else if let Some(source) = marked(line) {
            if let Some(entry) = group.last_mut() {
                entry.source = Some(source.to_owned());
            }
        } else if !is_part(line) {
            end = Some(*line);
            break;
        }
    }
    close(&mut group, &mut stack);
    (stack, end)
}

/// Ends a number: its names are turned, its calls follow one another from the outermost on.
fn close(group: &mut Vec<StackEntry>, stack: &mut Stack) {
    let names: Vec<Option<String>> = group.iter_mut().map(|entry| entry.function.take()).collect();
    let count = group.len();
    for (index, mut entry) in group.drain(..).enumerate() {
        entry.function = names[(index + count - 1) % count].clone();
        // All but the first were inlined into the one before.
        stack.push(entry, Frame { inlined: (index > 0).then_some(true), ..Frame::default() });
    }
}

/// `Source "f", line 451, in operator() [0x55]` or `Object "so", at 0x55, in _start`. The inner `None` is a call that nothing is
/// known of: its address is all ones.
fn call(text: &str) -> Option<Option<StackEntry>> {
    if let Some(rest) = text.strip_prefix("Object \"") {
        let (file, rest) = rest.split_once("\", at 0x")?;
        let (address, name) = rest.split_once(", in ")?;
        if !address.is_empty() && address.bytes().all(|digit| digit == b'f') {
            return Some(None);
        }
        return Some(Some(entry(file, None, name)));
    }
    let rest = text.strip_prefix("Source \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let (line, name) = rest.split_once(", in ")?;
    let name = match name.strip_suffix(']').and_then(|name| name.rsplit_once(" [0x")) {
        Some((name, _)) => name,
        None => name,
    };
    Some(Some(entry(file, line.parse().ok(), name)))
}

fn entry(file: &str, line: Option<u32>, name: &str) -> StackEntry {
    let function = Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
    StackEntry { file: Some(file.to_owned()), line, function, source: None }
}

/// The text in `      >  20: int main() { … }`.
fn marked(line: &str) -> Option<&str> {
    let rest = line.get(SOURCE_INDENT..)?.trim_start().strip_prefix('>')?;
    let (number, text) = rest.split_once(": ")?;
    number.trim().parse::<u32>().ok()?;
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_one_address_are_turned_back() {
        let lines = [
            "#6    Object \"/lib/ld.so\", at 0xffffffffffffffff, in ",
            "#5    Object \"/opt/lambda\", at 0x55634c1a18f0, in ",
            "#4  | Source \"/std_function.h\", line 291, in __invoke_r<a, b>",
            "    | Source \"/invoke.h\", line 143, in __invoke_impl<a, b>",
            "      Source \"/invoke.h\", line 61, in _M_invoke [0x55634c1a1ff1]",
            "#3    Source \"/var/task/lambda.cpp\", line 17, in my_handler [0x55634c1a1e8b]",
            "         16:   if (true)",
            "      >  17:     std::abort();",
            "Aborted (Signal sent by tkill() 1 0)",
        ];
        let (stack, end) = read(&lines);
        let calls: Vec<_> =
            stack.calls().iter().map(|(entry, _)| (entry.line, entry.function.as_deref())).collect();
        assert_eq!(
            calls,
            [
                (None, None),
                (Some(291), Some("_M_invoke")),
                (Some(143), Some("__invoke_r<a, b>")),
                (Some(61), Some("__invoke_impl<a, b>")),
                (Some(17), Some("my_handler"))
            ]
        );
        assert_eq!(stack.calls()[4].0.source.as_deref(), Some("std::abort();"));
        assert_eq!(stack.calls()[2].1.inlined, Some(true));
        assert_eq!(end, Some(lines[8]));
    }
}
