//! The text of source lines, from wherever the program's files are, and the places that somebody wrote instead of those that a
//! compiler made.

use std::sync::Arc;

use crate::failure::{Cause, Frame, Location, Record, StackEntry};
use crate::source_map::SourceMap;

/// The ends of files whose code may have been generated from other code.
const SCRIPTS: [&str; 4] = [".js", ".mjs", ".cjs", ".jsx"];

/// The longest name that a minifier is taken to have given, in bytes.
const MINIFIED_BYTES_MAX: usize = 2;

/// Gives the text of one source line, or `None`.
///
/// Whoever implements this decides where it reads, and must read nowhere else: the paths come from the input and may
/// name any file of the machine.
pub trait SourceText {
    /// The text of `line` (counted from 1) of `file`, without the white space around it.
    fn line(&mut self, file: &str, line: u32) -> Option<String>;

    /// The source map of the generated code in `file`, if it has one; [`SourceMaps`](crate::source_map::SourceMaps)
    /// finds and remembers them.
    fn map(&mut self, _file: &str) -> Option<Arc<SourceMap>> {
        None
    }
}

/// No source text at all.
#[derive(Clone, Copy, Debug)]
pub struct NoSource;

impl SourceText for NoSource {
    fn line(&mut self, _: &str, _: u32) -> Option<String> {
        None
    }
}

/// Maps every entry in generated code back to what was written, and adds the source text to every entry that has a file and a line
/// but no text.
pub fn fill(record: &mut Record, source: &mut dyn SourceText) {
    map_entries(&mut record.stack_trace, &mut record.frames, source);
    if let Some(location) = &mut record.location {
        map_location(location, source);
    }
    fill_entries(&mut record.stack_trace, source);
    fill_causes(&mut record.causes, source);
}

fn fill_causes(causes: &mut [Cause], source: &mut dyn SourceText) {
    for cause in causes {
        map_entries(&mut cause.stack_trace, &mut [], source);
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

/// The innermost entry goes first, so that the call next to it still stands where the generated code has it.
fn map_entries(entries: &mut [StackEntry], frames: &mut [Frame], source: &mut dyn SourceText) {
    let column = |frames: &[Frame], index: usize| frames.get(index).and_then(|frame| frame.column);
    for index in (0..entries.len()).rev() {
        let (outer, inner) = entries.split_at_mut(index);
        let entry = &mut inner[0];
        let (Some(file), Some(line)) = (&entry.file, entry.line) else { continue };
        let Some(map) = map(file, source) else { continue };
        let Some(original) = map.original(line, column(frames, index)) else { continue };
        let called_from = outer.last().filter(|outer| outer.file.as_ref() == Some(file));
        let call = called_from
            .and_then(|outer| outer.line)
            .zip(index.checked_sub(1).and_then(|outer| column(frames, outer)));
        if let (Some(name), Some(function)) =
            (call.and_then(|(line, column)| map.name(line, column)), entry.function.as_mut())
        {
            rename(function, name);
        }
        entry.source = original.text.filter(|text| !text.is_empty()).map(str::to_owned);
        entry.line = Some(original.line);
        entry.file = Some(original.file.to_owned());
        if let Some(frame) = frames.get_mut(index) {
            frame.column = original.column;
        }
    }
}

fn map_location(location: &mut Location, source: &mut dyn SourceText) {
    let Some(map) = map(&location.file, source) else { return };
    if let Some(original) = map.original(location.line, location.column) {
        *location = Location { file: original.file.to_owned(), line: original.line, column: original.column };
    }
}

fn map(file: &str, source: &mut dyn SourceText) -> Option<Arc<SourceMap>> {
    SCRIPTS.iter().any(|end| file.ends_with(end)).then(|| source.map(file)).flatten()
}

/// Gives a function the name under which it is called. A longer name is taken to be its own: the call may be made through a
/// variable of another name.
fn rename(function: &mut String, called: &str) {
    let (start, own) = match function.rsplit_once(['.', ' ']) {
        Some((_, own)) => (function.len() - own.len(), own),
        None => (0, function.as_str()),
    };
    if own.len() <= MINIFIED_BYTES_MAX && !called.is_empty() {
        function.truncate(if function.starts_with("new ") { start } else { 0 });
        function.push_str(called);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle on one line: `a.ts` line 1 at column 1, line 2 at column 11 where `check` is called, line 3 at column 21.
    struct Bundle;

    impl SourceText for Bundle {
        fn line(&mut self, file: &str, line: u32) -> Option<String> {
            Some(format!("{file}:{line}"))
        }

        fn map(&mut self, file: &str) -> Option<Arc<SourceMap>> {
            assert_eq!(file, "/dist/x.js");
            let json = br#"{"version":3,"sources":["../a.ts"],"sourcesContent":["one\n two\n"],"names":["check"],"mappings":"AAAA,UACAA,UACA"}"#;
            SourceMap::parse(json, "/dist/x.js.map").map(Arc::new)
        }
    }

    fn entry(file: &str, function: &str) -> StackEntry {
        StackEntry {
            file: Some(file.into()),
            line: Some(1),
            function: Some(function.into()),
            source: Some("the generated line".into()),
        }
    }

    fn frame(column: u32) -> Frame {
        Frame { column: Some(column), ..Frame::default() }
    }

    #[test]
    fn calls_in_generated_code_are_mapped() {
        let mut record = Record {
            stack_trace: vec![
                entry("node:internal/main", "main"),
                entry("/dist/x.js", "Service.place"),
                entry("/dist/x.js", "t.n"),
            ],
            frames: vec![frame(1), frame(11), frame(25)],
            location: Some(Location { file: "/dist/x.js".into(), line: 1, column: Some(1) }),
            ..Record::default()
        };
        fill(&mut record, &mut Bundle);
        let [outer, place, check] = &record.stack_trace[..] else { panic!() };
        assert_eq!(outer, &entry("node:internal/main", "main"));
        assert_eq!((place.file.as_deref(), place.line), (Some("/a.ts"), Some(2)));
        assert_eq!(
            (place.function.as_deref(), place.source.as_deref()),
            (Some("Service.place"), Some("two"))
        );
        assert_eq!((check.function.as_deref(), check.line), (Some("check"), Some(3)));
        // The map has no third line, so that the file is asked.
        assert_eq!(check.source.as_deref(), Some("/a.ts:3"));
        assert_eq!(record.frames[2].column, Some(1));
        assert_eq!(record.location, Some(Location { file: "/a.ts".into(), line: 1, column: Some(1) }));
    }

    #[test]
    fn causes_have_no_columns_and_stay_where_a_line_holds_more() {
        let stack_trace = vec![entry("/dist/x.js", "f")];
        let mut record =
            Record { causes: vec![Cause { stack_trace, ..Cause::default() }], ..Record::default() };
        fill(&mut record, &mut Bundle);
        assert_eq!(record.causes[0].stack_trace, [entry("/dist/x.js", "f")]);
    }

    #[test]
    fn only_short_names_are_replaced() {
        for (function, called, wanted) in [
            ("n", "validate", "validate"),
            ("t.n", "validate", "validate"),
            ("new t", "Order", "new Order"),
            ("handler", "callback", "handler"),
            ("Service.place", "place", "Service.place"),
        ] {
            let mut name = function.to_owned();
            rename(&mut name, called);
            assert_eq!(name, wanted);
        }
    }
}
