//! From what runtimes write to records.
//!
//! Everything that is read goes through two steps: the detector ([`lines`]) finds where in a stream of lines a failure begins
//! and ends, and the reader of its language makes a record of it. What both must know of a language is one value of one table,
//! `LANGUAGES`; a language is one module, and a new one is one module and one row.
//!
//! - [`json`]: JSON: what a runtime posts to `/invocation/{id}/error` or `/init/error`, and JSON log lines.
//! - [`native`]: a native report, whose frames are addresses.
//! - [`platform`]: what the platform says when nobody else can (exits, signals, timeouts).
//! - [`telemetry`]: batches of the Telemetry API, which carry log lines and what the platform says.
//! - [`input`]: any of these, in a text or in a stream of bytes.
//!
//! What comes out is a bare record: it is completed later, once, by [`crate::complete()`].

mod line;
mod language;
mod lookback;
mod ansi;
mod stack;
mod tree;
mod python;
mod node;
mod java;
mod ruby;
mod dotnet;
mod go;
mod rust;
mod cpp;
mod php;
mod perl;
mod shell;
mod swift;
mod dart;
mod elixir;
pub mod json;
pub mod native;
pub mod platform;
pub mod telemetry;
mod signs;
pub mod lines;
pub mod input;

use crate::complete::parse_rfc3339;
use crate::failure::{Record, Witness};
use crate::text;
use language::Language;
use line::Line;

pub use input::{Explanation, Reading, Stream, explain, text};

/// The most frames that one record keeps. Deeper than any runtime's own limit (CPython prints 1,000 and the last
/// line's repeats), and what remains after it is counted in `truncated`.
pub const FRAMES_MAX: usize = 4_096;

/// The longest chain of causes that is kept. Causes nest, and whoever walks or prints them needs stack for each; JSON parsers
/// stop at 128 levels, of which each cause takes two.
pub const CAUSES_DEPTH_MAX: usize = 50;

/// The most causes that one record keeps in all. What remains is counted in `truncated`.
pub const CAUSES_MAX: usize = 256;

/// The longest `raw` that a record keeps of an input which no reader takes, in bytes.
pub const RAW_BYTES_MAX: usize = 8 * 1024;

/// Everything that a failure may be printed as. Where two take the same line, the earlier one has it.
static LANGUAGES: [&Language; 16] = [
    &json::LANGUAGE,
    &python::LANGUAGE,
    &node::LANGUAGE,
    &java::LANGUAGE,
    &dotnet::LANGUAGE,
    &ruby::LANGUAGE,
    &go::LANGUAGE,
    &rust::LANGUAGE,
    &cpp::LANGUAGE,
    &php::LANGUAGE,
    &perl::LANGUAGE,
    &shell::LANGUAGE,
    &swift::LANGUAGE,
    &dart::LANGUAGE,
    &elixir::LANGUAGE,
    &platform::LANGUAGE,
];

/// For each byte with which a text may begin, the languages that want to see such a line: a bit for each row of
/// [`LANGUAGES`].
static BEGINNINGS: [u32; 256] = {
    let mut table = [0; 256];
    let mut row = 0;
    while row < LANGUAGES.len() {
        let begins = LANGUAGES[row].begins;
        let mut at = 0;
        while at < begins.len() {
            table[begins[at] as usize] |= 1 << row;
            at += 1;
        }
        row += 1;
    }
    table
};

/// The languages that want to see `line`, by its first byte; all of them if a logger's prefix hides that and does not say
/// that all is well.
fn languages_beginning_with(line: &Line<'_>) -> u32 {
    match line.prefix {
        Some(prefix) if prefix.may_be_failure() => return u32::MAX,
        Some(_) => return 0,
        None => {}
    }
    let bytes = line.raw.as_bytes();
    let mut at = 0;
    let first = loop {
        match bytes.get(at) {
            Some(b' ' | b'\t') => at += 1,
            // The two bytes of a no-break space.
            Some(0xc2) if bytes.get(at + 1) == Some(&0xa0) => at += 2,
            Some(first) => break *first,
            None => return 0,
        }
    };
    BEGINNINGS[usize::from(first)]
}

/// The languages that want to see `line`: by its first byte, and by the signs in it.
fn languages_of(line: &Line<'_>) -> u32 {
    match languages_beginning_with(line) {
        0 => 0,
        beginning => signs::languages(beginning, line.raw),
    }
}

/// Reads a text with the reader of one language. A logger's prefix on the first line is context, not text.
fn read_with(language: &Language, text: &str) -> Option<Record> {
    let line = Line::new(&text[..memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len())]);
    let prefix = line.prefix.unwrap_or_default();
    let mut record = (language.read)(&text[line.raw.len() - line.text.len()..])?;
    record.request_id = record.request_id.or_else(|| prefix.request_id.map(str::to_owned));
    let time = prefix.time.filter(|time| parse_rfc3339(time).is_some());
    record.timestamp = record.timestamp.or_else(|| time.map(str::to_owned));
    Some(record)
}

/// The names of the readers, in the order in which they are asked.
pub fn readers() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|language| language.name)
}

/// Reads a text with one reader, whatever it looks like. `None` if there is no such reader or it does not take the text.
#[must_use]
pub fn read_as(reader: &str, text: &str) -> Option<Record> {
    read_with(LANGUAGES.iter().find(|language| language.name == reader)?, text)
}

/// Reads a body that was posted as an error: one that no reader takes is kept, bounded, in `raw`.
#[must_use]
pub fn posted(bytes: &[u8]) -> Record {
    let mut record = json::read_posted(bytes).unwrap_or_else(|| {
        let lossy = String::from_utf8_lossy(bytes);
        Record { raw: Some(text::prefix(&lossy, RAW_BYTES_MAX).to_owned()), ..Record::default() }
    });
    record.witnesses = vec![Witness::RuntimeApi];
    record
}
