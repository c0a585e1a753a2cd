//! The calls between a panic and the hook that saw it.

use crate::failure::{Record, StackEntry};

/// The functions between a panic and the hook that reports it. They stand at the end of every trace and say nothing of the
/// failure.
const PANIC_MACHINERY: [&str; 12] = [
    "core::panicking::",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::result::unwrap_failed",
    "rust_begin_unwind",
    "__rustc::rust_begin_unwind",
    "std::panicking::begin_panic",
    "std::panicking::panic_handler",
    "std::panicking::panic_with_hook",
    "std::panicking::rust_panic_with_hook",
    "std::sys::backtrace::__rust_end_short_backtrace",
    "std::sys_common::backtrace::__rust_end_short_backtrace",
];

/// Takes the innermost frames that only report a panic off the record, and counts them in `truncated`.
pub fn trim(record: &mut Record) {
    let machinery = |entry: &StackEntry| {
        entry
            .function
            .as_deref()
            .is_some_and(|name| PANIC_MACHINERY.iter().any(|start| name.starts_with(start)))
    };
    // What is called by the machinery is the machinery's too: shims, and the closure of the hook.
    let Some(last) = record.stack_trace.iter().rposition(machinery) else { return };
    let before = record.stack_trace[..last].iter().rposition(|entry| !machinery(entry));
    let keep = before.map_or(0, |before| before + 1);
    let cut = record.stack_trace.len() - keep;
    record.stack_trace.truncate(keep);
    record.frames.truncate(keep);
    record.truncated.insert("panicFrames".to_owned(), cut as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Frame;

    fn record(entries: &[(Option<&str>, &str)]) -> Record {
        let stack_trace = entries
            .iter()
            .map(|(file, function)| StackEntry {
                file: file.map(str::to_owned),
                line: Some(1),
                function: Some((*function).to_owned()),
                source: None,
            })
            .collect();
        Record { stack_trace, ..Record::default() }
    }

    #[test]
    fn the_panic_machinery_is_taken_off_and_counted() {
        let mut record = record(&[
            (Some("src/main.rs"), "app::price"),
            (Some("/rustc/1/library/core/src/panicking.rs"), "core::panicking::panic_fmt"),
            (Some("/rustc/1/library/std/src/panicking.rs"), "std::panicking::rust_panic_with_hook"),
            (
                Some("/rustc/1/library/alloc/src/boxed.rs"),
                "<alloc::boxed::Box<dyn Fn(&PanicHookInfo)> as Fn>::call",
            ),
        ]);
        record.frames.resize(4, Frame::default());
        trim(&mut record);
        assert_eq!(record.stack_trace.len(), 1);
        assert_eq!(record.frames.len(), 1);
        assert_eq!(record.truncated["panicFrames"], 3);
    }
}
