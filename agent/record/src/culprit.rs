//! Which frames are the user's own code, and which of them to look at first.

use crate::failure::{Culprit, Frame, Record, StackEntry};

/// Folders of other people's code, wherever they lie in a path.
const LIBRARY_FOLDERS: [&str; 9] = [
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/vendor/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/rustc/",
    "/.rustup/",
    "/lib/python",
];

/// Folders of Lambda's runtimes and layers.
const RUNTIME_FOLDERS: [&str; 3] = ["/var/runtime/", "/var/lang/", "/opt/"];

/// The beginnings of names of the languages' own functions, for frames that have no file.
const LIBRARY_NAMES: [&str; 7] = ["std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "__libc_"];

/// Folders of the system's libraries: the C library is often the only one with names and lines of its own.
const SYSTEM_MODULES: [&str; 3] = ["/lib/", "/lib64/", "/usr/lib"];

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

/// Marks every frame as the user's own code or not, and names the culprit: the innermost frame that is.
pub fn find(record: &mut Record) {
    if record.stack_trace.is_empty() {
        return;
    }
    record.frames.resize(record.stack_trace.len(), Frame::default());
    for (entry, frame) in record.stack_trace.iter().zip(&mut record.frames) {
        frame.in_app = in_app(entry, frame);
    }
    let own = record.frames.iter().rposition(|frame| frame.in_app == Some(true));
    record.culprit = own.map(|index| {
        let entry = &record.stack_trace[index];
        Culprit { index, file: entry.file.clone(), line: entry.line, function: entry.function.clone() }
    });
}

/// Whether an entry is the user's own code; `None` if nothing is known of it.
fn in_app(entry: &StackEntry, frame: &Frame) -> Option<bool> {
    if frame
        .module
        .as_deref()
        .is_some_and(|module| SYSTEM_MODULES.iter().any(|folder| module.starts_with(folder)))
    {
        return Some(false);
    }
    if entry.function.as_deref().is_some_and(|name| LIBRARY_NAMES.iter().any(|start| name.starts_with(start)))
    {
        return Some(false);
    }
    let file = entry.file.as_deref()?;
    let library = file.starts_with('<')
        || LIBRARY_FOLDERS.iter().any(|folder| file.contains(folder))
        || RUNTIME_FOLDERS.iter().any(|folder| file.starts_with(folder));
    Some(!library)
}

/// Takes the innermost frames that only report a panic off the record, and counts them in `truncated`.
pub fn trim_panic_machinery(record: &mut Record) {
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
    fn the_culprit_is_the_innermost_own_frame() {
        let mut record = record(&[
            (Some("/var/runtime/bootstrap.py"), "main"),
            (Some("/var/task/app.py"), "handler"),
            (Some("/var/task/app.py"), "load"),
            (Some("/var/lang/lib/python3.12/json/decoder.py"), "decode"),
            (Some("/var/task/lib/python3.12/site-packages/x.py"), "y"),
        ]);
        find(&mut record);
        let culprit = record.culprit.unwrap();
        assert_eq!((culprit.index, culprit.function.as_deref()), (2, Some("load")));
        assert_eq!(record.frames[4].in_app, Some(false));
    }

    #[test]
    fn a_frame_that_stayed_bare_is_nobodys() {
        let mut record = Record { stack_trace: vec![StackEntry::default()], ..Record::default() };
        find(&mut record);
        assert_eq!(record.culprit, None);
        assert_eq!(record.frames[0].in_app, None);
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
        trim_panic_machinery(&mut record);
        assert_eq!(record.stack_trace.len(), 1);
        assert_eq!(record.frames.len(), 1);
        assert_eq!(record.truncated["panicFrames"], 3);
    }
}
