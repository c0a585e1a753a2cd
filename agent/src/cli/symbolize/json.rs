//! Answers as JSON: our own, and as `llvm-symbolizer` prints them.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use trace_symbolizer::FrameRef;

use super::question::{Place, Question};
use super::style::{Functions, Style};

/// One answer as JSON of our own.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    pub(super) address: String,
    pub(super) frames: Vec<Frame<'a>>,
    pub(super) missing: Option<String>,
}

/// One frame as JSON of our own, innermost first.
#[derive(Debug, Serialize)]
pub(super) struct Frame<'a> {
    pub(super) function: Option<&'a str>,
    pub(super) file: Option<&'a str>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) inlined: bool,
    pub(super) source: Option<String>,
    /// The source was changed after the program was made: the line may be another.
    #[serde(rename = "sourceIsNewer", skip_serializing_if = "std::ops::Not::not")]
    pub(super) source_is_newer: bool,
    /// The lines around, with their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) context: Vec<(u32, String)>,
    /// Where the name comes from.
    pub(super) origin: &'static str,
    pub(super) module: &'a str,
}

/// An answer as `llvm-symbolizer --output-style=JSON` prints it.
pub(super) fn llvm(style: &Style, question: &Question, address: u64, frames: &[FrameRef<'_>]) -> Value {
    let module = question.object.as_deref().map(Path::to_string_lossy).unwrap_or_default();
    if frames.is_empty() && !matches!(question.place, Place::Address(_)) {
        return json!({ "Loc": [], "ModuleName": module, "SymName": question.typed });
    }
    let shown = if style.inlines { frames.len() } else { frames.len().min(1) };
    let mut symbols: Vec<Value> = frames[..shown]
        .iter()
        .map(|frame| {
            let named = if style.inlines { Some(frame) } else { frames.last() };
            symbol(style, named.copied(), Some(*frame))
        })
        .collect();
    if symbols.is_empty() {
        symbols.push(symbol(style, None, None));
    }
    json!({ "Address": format!("{address:#x}"), "ModuleName": module, "Symbol": symbols })
}

/// What is not known is empty, as LLVM has it.
fn symbol(style: &Style, named: Option<FrameRef<'_>>, place: Option<FrameRef<'_>>) -> Value {
    let known = |text: &str| if text == "??" { String::new() } else { text.to_owned() };
    let function = if style.functions == Functions::No { String::new() } else { known(&style.name(named)) };
    json!({
        "Column": place.and_then(|frame| frame.column()).unwrap_or(0),
        "Discriminator": place.map_or(0, |frame| frame.discriminator()),
        "FileName": known(style.file(place)),
        "FunctionName": function,
        "Line": place.and_then(|frame| frame.line()).unwrap_or(0),
        "StartAddress": place.and_then(|frame| frame.low_pc()).map(|start| start.to_string()).unwrap_or_default(),
        "StartFileName": place.and_then(|frame| frame.declaring_file()).unwrap_or_default(),
        "StartLine": place.and_then(|frame| frame.declaring_line()).unwrap_or(0),
    })
}

/// That a program cannot be read, as `llvm-symbolizer` says it.
pub(super) fn llvm_error(question: &Question, message: &str) -> Value {
    let module = question.object.as_deref().map(Path::to_string_lossy).unwrap_or_default();
    let address = match question.place {
        Place::Address(address) => format!("{address:#x}"),
        _ => "0x0".to_owned(),
    };
    json!({ "Address": address, "Error": { "Message": message }, "ModuleName": module })
}
