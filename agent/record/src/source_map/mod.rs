//! Source maps: from the code that ran back to the code that somebody wrote.
//!
//! TypeScript, bundlers and minifiers generate code, and what a stack shows are places in that. A generated file ends with
//! `//# sourceMappingURL=…`, which names a map: JSON as ECMA-426 specifies it.
//!
//! ```json
//! {"version":3,"sources":["src/index.ts"],"sourcesContent":["…"],"names":[],"mappings":"AAAA,…"}
//! {"version":3,"sections":[{"offset":{"line":0,"column":0},"map":{"version":3,"sources":…}}]}
//! ```
//!
//! - `mappings`: the positions of a map.
//! - `locate`: where the map of a file is, and what was read before.
//!
//! A map may be anything: whoever wrote the program wrote it, and sources in it may name any file. So it is bounded, and only
//! [`crate::SourceText`] reads files.

mod mappings;
mod locate;

use serde::Deserialize;

use crate::text;
use mappings::{NONE, Offset, Segment};

pub use locate::SourceMaps;

/// The longest map that is parsed, in bytes.
pub const MAP_BYTES_MAX: usize = 16 << 20;

/// The longest line of a source that is given out, in bytes. What is longer is cut off.
const LINE_BYTES_MAX: usize = 1_024;

/// The longest path of a source, in bytes: the system's `PATH_MAX`. A source with a longer one is unknown.
const PATH_BYTES_MAX: usize = 4_096;

/// One map.
#[derive(Debug)]
pub struct SourceMap {
    /// In the order of the generated code.
    segments: Vec<Segment>,
    sources: Vec<Source>,
    names: Vec<String>,
}

/// A place in the code that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original<'a> {
    /// The path of the file, or another URL if the map has that.
    pub file: &'a str,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1, if one was asked for.
    pub column: Option<u32>,
    /// The text of the line without the white space around it, if the map holds the source.
    pub text: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Source {
    path: String,
    text: Option<String>,
    /// Where each line of the text begins.
    line_starts: Vec<usize>,
}

impl SourceMap {
    /// Parses a map. `base` is the path that its sources are relative to: of the map, or of the code that holds it.
    #[must_use]
    pub fn parse(json: &[u8], base: &str) -> Option<Self> {
        if json.len() > MAP_BYTES_MAX {
            return None;
        }
        let file: MapFile = serde_json::from_slice(without_guard(json)).ok()?;
        if file.version != 3 {
            return None;
        }
        let mut map = Self { segments: Vec::new(), sources: Vec::new(), names: Vec::new() };
        if file.sections.is_empty() {
            map.add(file.map, Place::default(), base);
        }
        for section in file.sections {
            map.add(section.map, section.offset, base);
        }
        let place = |segment: &Segment| (segment.line, segment.column);
        if !map.segments.is_sorted_by_key(place) {
            map.segments.sort_by_key(place);
        }
        Some(map)
    }

    /// Where the code at a line and a column, both counted from 1, was written. Without a column the answer is known only if the
    /// whole line was written in one.
    #[must_use]
    pub fn original(&self, line: u32, column: Option<u32>) -> Option<Original<'_>> {
        let line = line.checked_sub(1)?;
        let segment = match column {
            Some(column) => self.before(line, column.checked_sub(1)?)?,
            None => self.only(line)?,
        };
        let source = self.sources.get(usize::try_from(segment.source).ok()?)?;
        Some(Original {
            file: Some(source.path.as_str()).filter(|path| !path.is_empty())?,
            line: segment.original_line + 1,
            column: column.map(|_| segment.original_column + 1),
            text: source.line(segment.original_line),
        })
    }

    /// The name that stood where the code at a line and a column, both counted from 1, was written. It is that of what is called
    /// there.
    #[must_use]
    pub fn name(&self, line: u32, column: u32) -> Option<&str> {
        let (line, column) = (line.checked_sub(1)?, column.checked_sub(1)?);
        let segment = self.before(line, column).filter(|segment| segment.column == column)?;
        self.names.get(usize::try_from(segment.name).ok()?).map(String::as_str)
    }

    /// How many bytes the map takes, about.
    fn weight(&self) -> usize {
        let sources = self.sources.iter().map(|source| {
            source.path.len() + source.text.as_ref().map_or(0, String::len) + 8 * source.line_starts.len()
        });
        let names = self.names.iter().map(|name| name.len() + size_of::<String>());
        self.segments.len() * size_of::<Segment>() + sources.sum::<usize>() + names.sum::<usize>()
    }

    fn add(&mut self, map: Map, at: Place, base: &str) {
        let count = |length: usize| u32::try_from(length).unwrap_or(NONE);
        let offset = Offset {
            line: at.line,
            column: at.column,
            source: count(self.sources.len()),
            name: count(self.names.len()),
        };
        mappings::decode(&map.mappings, offset, &mut self.segments);
        let root = map.source_root.unwrap_or_default();
        let mut texts = map.sources_content.into_iter();
        for source in map.sources {
            let path = source.map(|source| locate::resolved(base, &root, &source)).unwrap_or_default();
            let path = if path.len() > PATH_BYTES_MAX { String::new() } else { path };
            self.sources.push(Source::new(path, texts.next().flatten()));
        }
        self.names.extend(map.names);
    }

    /// The last segment of the line that begins at or before the column.
    fn before(&self, line: u32, column: u32) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| (segment.line, segment.column) <= (line, column));
        self.segments[..after].last().filter(|segment| segment.line == line)
    }

    /// The first segment of a line whose segments all came from one line.
    fn only(&self, line: u32) -> Option<&Segment> {
        let start = self.segments.partition_point(|segment| segment.line < line);
        let mut segments = self.segments[start..]
            .iter()
            .take_while(|segment| segment.line == line && segment.source != NONE);
        let first = segments.next()?;
        let is_same = |segment: &Segment| {
            (segment.source, segment.original_line) == (first.source, first.original_line)
        };
        segments.all(is_same).then_some(first)
    }
}

impl Source {
    fn new(path: String, text: Option<String>) -> Self {
        let line_starts = text.as_ref().map_or_else(Vec::new, |text| {
            let ends = memchr::memchr_iter(b'\n', text.as_bytes());
            std::iter::once(0).chain(ends.map(|end| end + 1)).collect()
        });
        Self { path, text, line_starts }
    }

    fn line(&self, line: u32) -> Option<&str> {
        let line = usize::try_from(line).ok()?;
        let text = self.text.as_ref()?;
        let start = *self.line_starts.get(line)?;
        let end = self.line_starts.get(line + 1).map_or(text.len(), |next| next - 1);
        Some(text::prefix(text.get(start..end)?.trim(), LINE_BYTES_MAX))
    }
}

/// Some servers put `)]}'` and a line end before JSON, so that no page can run it as code.
fn without_guard(json: &[u8]) -> &[u8] {
    if !json.starts_with(b")]}'") {
        return json;
    }
    memchr::memchr(b'\n', json).map_or(&[], |end| &json[end..])
}

/// The JSON of a map, or of an indexed map: its sections have maps, which have none.
#[derive(Deserialize)]
struct MapFile {
    version: u32,
    #[serde(default)]
    sections: Vec<Section>,
    #[serde(flatten)]
    map: Map,
}

#[derive(Deserialize)]
struct Section {
    offset: Place,
    map: Map,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Place {
    line: u32,
    column: u32,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Map {
    source_root: Option<String>,
    sources: Vec<Option<String>>,
    sources_content: Vec<Option<String>>,
    names: Vec<String>,
    mappings: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> SourceMap {
        SourceMap::parse(json.as_bytes(), "/var/task/dist/index.js.map").unwrap()
    }

    /// Two lines: the first is all of `a.ts` line 2, the second of two lines of `b.ts`.
    const MAP: &str = r#"{"version":3,"sourceRoot":"../src","sources":["a.ts","b.ts"],
        "sourcesContent":["first\n  second  \nthird",null],"names":["pay"],
        "mappings":"AACE,IAAI;ACAJA,IACA,C"}"#;

    #[test]
    fn a_place_is_mapped_with_its_column() {
        let map = map(MAP);
        let first = map.original(1, Some(1)).unwrap();
        assert_eq!(
            first,
            Original { file: "/var/task/src/a.ts", line: 2, column: Some(3), text: Some("second") }
        );
        assert_eq!(map.original(1, Some(500)).unwrap().column, Some(7));
        let second = map.original(2, Some(5)).unwrap();
        assert_eq!((second.file, second.line, second.text), ("/var/task/src/b.ts", 3, None));
        assert_eq!(map.name(2, 1), Some("pay"));
        assert_eq!(map.name(2, 2), None);
        // The compiler's own code.
        assert_eq!(map.original(2, Some(6)), None);
        for (line, column) in [(0, 1), (1, 0), (3, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(map.original(line, Some(column)), None);
        }
    }

    #[test]
    fn a_line_is_mapped_without_a_column_if_it_is_of_one_piece() {
        let map = map(MAP);
        assert_eq!(map.original(1, None).unwrap().line, 2);
        assert_eq!(map.original(1, None).unwrap().column, None);
        assert_eq!(map.original(2, None), None);
    }

    #[test]
    fn sections_are_joined() {
        let map = map(r#"{"version":3,"sections":[
                {"offset":{"line":0,"column":0},"map":{"version":3,"sources":["a.ts"],"names":["a"],"mappings":"AAAAA"}},
                {"offset":{"line":0,"column":10},"map":{"version":3,"sources":["b.ts"],"names":["b"],"mappings":"AAAAA;AACA"}}]}"#);
        let file = |line, column| map.original(line, Some(column)).map(|original| original.file.to_owned());
        assert_eq!(file(1, 10).as_deref(), Some("/var/task/dist/a.ts"));
        assert_eq!(file(1, 11).as_deref(), Some("/var/task/dist/b.ts"));
        assert_eq!(file(2, 1).as_deref(), Some("/var/task/dist/b.ts"));
        assert_eq!(map.name(1, 11), Some("b"));
    }

    #[test]
    fn a_broken_map_is_no_map_or_a_smaller_one() {
        let base = "/a.js";
        for json in [
            "",
            "{}",
            "[]",
            "{\"version\":2,\"mappings\":\"\"}",
            ")]}'",
            "\u{feff}",
            "{\"version\":3,\"sources\":7}",
        ] {
            assert!(SourceMap::parse(json.as_bytes(), base).is_none(), "{json}");
        }
        let guarded =
            SourceMap::parse(b")]}'\n{\"version\":3,\"sources\":[null],\"mappings\":\"AAAA,CCAAA\"}", base)
                .unwrap();
        assert_eq!(guarded.original(1, Some(1)), None);
        assert_eq!(guarded.original(1, Some(2)), None);
        assert_eq!(guarded.name(1, 2), None);
        let huge = format!(
            "{{\"version\":3,\"sources\":[\"{}\"],\"mappings\":\"AAAA\"}}",
            "x".repeat(PATH_BYTES_MAX)
        );
        assert_eq!(SourceMap::parse(huge.as_bytes(), base).unwrap().original(1, Some(1)), None);
        let deep = format!("{{\"version\":3,\"x\":{}}}", "[".repeat(100_000));
        assert!(SourceMap::parse(deep.as_bytes(), base).is_none());
        assert!(SourceMap::parse(&vec![b' '; MAP_BYTES_MAX + 1], base).is_none());
    }
}
