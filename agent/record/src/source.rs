//! The text of source lines, from wherever the program's files are.

use crate::failure::{Cause, Record, StackEntry};

/// Gives the text of one source line, or `None`.
///
/// Whoever implements this decides where it reads, and must read nowhere else: the paths come from the input and may
/// name any file of the machine.
pub trait SourceText {
    /// The text of `line` (counted from 1) of `file`, without the white space around it.
    fn line(&mut self, file: &str, line: u32) -> Option<String>;
}

/// No source text at all.
#[derive(Clone, Copy, Debug)]
pub struct NoSource;

impl SourceText for NoSource {
    fn line(&mut self, _: &str, _: u32) -> Option<String> {
        None
    }
}

/// Adds the source text to every entry that has a file and a line but no text.
pub fn fill(record: &mut Record, source: &mut dyn SourceText) {
    fill_entries(&mut record.stack_trace, source);
    fill_causes(&mut record.causes, source);
}

fn fill_causes(causes: &mut [Cause], source: &mut dyn SourceText) {
    for cause in causes {
        fill_entries(&mut cause.stack_trace, source);
        fill_causes(&mut cause.causes, source);
    }
}

fn fill_entries(entries: &mut [StackEntry], source: &mut dyn SourceText) {
    for entry in entries.iter_mut().filter(|entry| entry.source.is_none()) {
        if let (Some(file), Some(line)) = (&entry.file, entry.line) {
            entry.source = source.line(file, line).filter(|text| !text.is_empty());
        }
    }
}
