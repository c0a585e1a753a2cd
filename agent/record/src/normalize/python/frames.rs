//! The calls of a Python traceback.

use crate::failure::{Frame, StackEntry};
use crate::normalize::stack::Stack;

/// Reads frames from the first line on, and says how many lines they took.
///
/// A "[Previous line repeated 1197 more times]" is written out, as the language itself would list it.
pub(super) fn read(lines: &[&str]) -> (Stack, usize) {
    let mut stack = Stack::default();
    let mut used = 0;
    while let Some(line) = lines.get(used) {
        let indent = line.len() - line.trim_start().len();
        if let Some(entry) = file_line(line).filter(|_| indent > 0) {
            stack.push(entry, Frame::default());
        } else if let Some(count) = repeats(line) {
            stack.repeat(1, count);
        } else if indent >= 4 {
            // The first line of source; markers and the other lines of a statement follow.
            if let Some(last) = stack.last_mut().filter(|last| last.source.is_none()) {
                last.source = Some(line.trim().to_owned());
            }
        } else {
            break;
        }
        used += 1;
    }
    (stack, used)
}

/// `  File "path", line 3, in function`, or the `  File "path" Line 4` of awslambdaric's syntax errors, which names no
/// function: then the location is the innermost entry.
pub(super) fn file_line(line: &str) -> Option<StackEntry> {
    let text = line.trim_start();
    let rest = text.strip_prefix("File \"")?;
    // A file name may hold a quote, and words that look like these; the last ones that are followed by a line number count.
    let (end, rest) = ["\", line ", "\" Line "]
        .iter()
        .filter_map(|mark| rest.rfind(mark).map(|end| (end, &rest[end + mark.len()..])))
        .find(|(_, rest)| rest.starts_with(|digit: char| digit.is_ascii_digit()))?;
    let digits = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    Some(StackEntry {
        file: Some(text["File \"".len()..][..end].to_owned()),
        line: rest[..digits].parse().ok(),
        // faulthandler writes no comma.
        function: rest[digits..]
            .strip_prefix(", in ")
            .or(rest[digits..].strip_prefix(" in "))
            .map(str::to_owned),
        source: None,
    })
}

/// The count of `[Previous line repeated 1197 more times]`.
pub(super) fn repeats(line: &str) -> Option<u64> {
    let rest = line.trim_start().strip_prefix("[Previous line repeated ")?;
    rest[..rest.find(' ')?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::FRAMES_MAX;

    #[test]
    fn repeats_are_written_out_and_bounded() {
        let read = |count: &str| {
            let line = format!("  [Previous line repeated {count} more times]");
            read(&["  File \"a.py\", line 2, in f", "    f()", &line]).0.len()
        };
        assert_eq!(read("996"), 997);
        assert_eq!(read("99999999999"), FRAMES_MAX);
        assert_eq!(read(&"9".repeat(40)), 1);
    }

    #[test]
    fn a_file_name_may_hold_anything() {
        let entry = file_line("  File \"/var/task/my module (1), line 5.py\", line 2, in risky").unwrap();
        assert_eq!(
            (entry.file.as_deref(), entry.line),
            (Some("/var/task/my module (1), line 5.py"), Some(2))
        );
        for line in ["", "  File \"", "  File \"a\", line x, in f", "File a.py, line 3"] {
            assert_eq!(file_line(line), None, "{line}");
        }
    }
}
