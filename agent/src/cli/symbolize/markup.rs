//! Symbolizer markup: text in which a program that has no symbols says where its modules are (`{{{module:…}}}`,
//! `{{{mmap:…}}}`) and what is to be named (`{{{pc:…}}}`, `{{{bt:…}}}`, `{{{symbol:…}}}`, `{{{data:…}}}`). Printed as
//! `llvm-symbolizer --filter-markup` does; the elements are LLVM's, defined in its "Symbolizer Markup Format".
//!
//! Modules are found by build-id alone, in the `.build-id` trees of the debug folders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use trace_symbolizer::{Dialect, FrameRef, ModuleAddress, Spelling, demangle_as};

use super::objects::Objects;

/// Modules and mappings remembered at most; a process has some hundred.
const CONTEXT_MAX: usize = 1 << 16;

/// What the text has told so far.
pub(super) struct Markup {
    debug_dirs: Vec<PathBuf>,
    modules: BTreeMap<u64, Described>,
    maps: Vec<Map>,
    /// The module whose line is being put together, and its mappings.
    open: Option<(u64, Vec<Map>)>,
}

struct Described {
    name: String,
    build_id: String,
}

#[derive(Clone)]
struct Map {
    start: u64,
    size: u64,
    module: u64,
    mode: String,
    /// Where the mapping begins in the module's own addresses.
    relative: u64,
}

/// A piece of a line.
enum Piece<'a> {
    Text(&'a str),
    /// The whole element, its tag and its fields.
    Element(&'a str, &'a str, Vec<&'a str>),
}

impl Markup {
    pub(super) fn new(debug_dirs: Vec<PathBuf>) -> Markup {
        Markup { debug_dirs, modules: BTreeMap::new(), maps: Vec::new(), open: None }
    }

    /// Whether a line may have elements, or ends one that is being put together.
    pub(super) fn is_concerned(&self, line: &str) -> bool {
        self.open.is_some() || line.contains("{{{")
    }

    /// What is printed for a line.
    pub(super) fn line(&mut self, line: &str, objects: &mut Objects) -> String {
        let mut out = String::new();
        let pieces = pieces(line);
        for (index, piece) in pieces.iter().enumerate() {
            let Piece::Element(_, tag, fields) = piece else { continue };
            if self.context(tag, fields, &pieces[..index], objects, &mut out).is_some() {
                // What stands behind an element of context is left out.
                return out;
            }
        }
        self.close_module(&mut out);
        pieces.iter().for_each(|piece| self.piece(piece, objects, &mut out));
        out
    }

    /// What is printed at the end of the text.
    pub(super) fn finish(&mut self) -> String {
        let mut out = String::new();
        self.close_module(&mut out);
        out
    }

    /// Takes an element that says where things are. `None` if it is none, or damaged.
    fn context(
        &mut self,
        tag: &str,
        fields: &[&str],
        before: &[Piece<'_>],
        objects: &mut Objects,
        out: &mut String,
    ) -> Option<()> {
        match (tag, fields) {
            ("reset", []) => {
                self.close_module(out);
                before.iter().for_each(|piece| self.piece(piece, objects, out));
                if !self.modules.is_empty() {
                    out.push_str("[[[reset]]]\n");
                }
                self.modules.clear();
                self.maps.clear();
            }
            ("module", [id, name, "elf", build_id]) if self.modules.len() < CONTEXT_MAX => {
                let id = number(id)?;
                self.close_module(out);
                before.iter().for_each(|piece| self.piece(piece, objects, out));
                out.push_str(&format!("[[[ELF module #{id:#x} \"{name}\"; BuildID={build_id}"));
                let described = Described { name: (*name).to_owned(), build_id: build_id.to_lowercase() };
                self.modules.insert(id, described);
                self.open = Some((id, Vec::new()));
            }
            ("mmap", [start, size, "load", module, mode, relative]) if self.maps.len() < CONTEXT_MAX => {
                let map = Map {
                    start: number(start)?,
                    size: number(size)?,
                    module: number(module)?,
                    mode: (*mode).to_owned(),
                    relative: number(relative)?,
                };
                if self.open.as_ref().is_none_or(|(id, _)| *id != map.module) {
                    let name = self.modules.get(&map.module)?.name.clone();
                    self.close_module(out);
                    before.iter().for_each(|piece| self.piece(piece, objects, out));
                    out.push_str(&format!("[[[ELF module #{:#x} \"{name}\"; adds", map.module));
                    self.open = Some((map.module, Vec::new()));
                }
                self.maps.push(map.clone());
                if let Some((_, maps)) = &mut self.open {
                    maps.push(map);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn close_module(&mut self, out: &mut String) {
        let Some((_, mut maps)) = self.open.take() else { return };
        maps.sort_by_key(|map| map.start);
        for (index, map) in maps.iter().enumerate() {
            out.push_str(if index == 0 { " " } else { "," });
            let last = map.start.saturating_add(map.size).saturating_sub(1);
            out.push_str(&format!("[{:#x}-{last:#x}]({})", map.start, map.mode));
        }
        out.push_str("]]]\n");
    }

    fn piece(&self, piece: &Piece<'_>, objects: &mut Objects, out: &mut String) {
        let (whole, tag, fields) = match piece {
            Piece::Text(text) => return out.push_str(text),
            Piece::Element(whole, tag, fields) => (whole, tag, fields),
        };
        let said = match (*tag, fields.as_slice()) {
            ("symbol", [name]) => Some(demangle_as(name, Spelling::Of(Dialect::Llvm)).into_owned()),
            ("pc", [address, kind @ ..]) => self.place(address, kind, objects),
            ("bt", [frame, address, kind @ ..]) => self.call(frame, address, kind, objects),
            ("data", [address]) => self.data(address, objects),
            // Others may know it.
            _ => return out.push_str(whole),
        };
        match said {
            Some(said) => out.push_str(&said),
            // As LLVM marks what it could not look up.
            None => out.push_str(&format!("[[[{}]]]", &whole[3..whole.len() - 3])),
        }
    }

    /// `FUNCTION[FILE:LINE]`: the function that holds the code, the innermost line.
    fn place(&self, address: &str, kind: &[&str], objects: &mut Objects) -> Option<String> {
        let (path, _, at) = self.find(instruction(address, kind, false)?)?;
        let answers = objects.answers(&path, &[at]).ok()?;
        let frames: Vec<FrameRef<'_>> = answers.frames(0).collect();
        let (inner, outer) = (frames.first()?, frames.last()?);
        let function = outer.linkage_function().or(outer.function()).unwrap_or("??");
        Some(format!("{function}[{}:{}]", inner.file().unwrap_or("??"), inner.line().unwrap_or(0)))
    }

    /// A line for each frame of one call of a backtrace.
    fn call(&self, frame: &str, address: &str, kind: &[&str], objects: &mut Objects) -> Option<String> {
        let frame = number(frame)?;
        let (path, name, at) = self.find(instruction(address, kind, true)?)?;
        let answers = objects.answers(&path, &[at]).ok()?;
        let frames: Vec<FrameRef<'_>> = answers.frames(0).collect();
        let lines: Vec<String> = frames
            .iter()
            .enumerate()
            .map(|(index, named)| {
                let number = match index + 1 == frames.len() {
                    true => format!("#{frame}"),
                    false => format!("#{frame}.{}", index + 1),
                };
                let function = named.linkage_function().or(named.function()).unwrap_or("??");
                let (file, line) = (named.file().unwrap_or("??"), named.line().unwrap_or(0));
                let column = named.column().unwrap_or(0);
                format!(
                    "    {number:<6}{at_run:#018x} {function} {file}:{line}:{column} ({name}+{at:#x})",
                    at_run = self.at_run(at, &name)
                )
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn data(&self, address: &str, objects: &mut Objects) -> Option<String> {
        let (path, _, at) = self.find(number(address)?)?;
        Some(objects.module(&path).ok()?.data_at(ModuleAddress(at))?.0)
    }

    /// The debug file of the module that is mapped at an address, the module's name, and the address in it.
    fn find(&self, address: u64) -> Option<(PathBuf, String, u64)> {
        let map = self
            .maps
            .iter()
            .find(|map| address.checked_sub(map.start).is_some_and(|offset| offset < map.size))?;
        let module = self.modules.get(&map.module)?;
        let (first, rest) = module.build_id.split_at_checked(2)?;
        let is_id = module.build_id.bytes().all(|digit| digit.is_ascii_hexdigit());
        let below = format!(".build-id/{first}/{rest}.debug");
        let mut places = self.debug_dirs.iter().map(|folder| folder.join(&below));
        let path = places.find(|path| is_id && path.is_file())?;
        Some((path, module.name.clone(), address - map.start + map.relative))
    }

    /// The address in the process of an address in a module.
    fn at_run(&self, address: u64, name: &str) -> u64 {
        let is_it = |map: &&Map| {
            self.modules.get(&map.module).is_some_and(|module| module.name == name)
                && address.checked_sub(map.relative).is_some_and(|offset| offset < map.size)
        };
        self.maps.iter().find(is_it).map_or(address, |map| address - map.relative + map.start)
    }
}

/// The address of an instruction: a return address is one behind a call. `is_call` is what it is if it does not say.
fn instruction(address: &str, kind: &[&str], is_call: bool) -> Option<u64> {
    let address = number(address)?;
    match kind {
        ["ra"] => address.checked_sub(1),
        ["pc"] => Some(address),
        [] if is_call => address.checked_sub(1),
        [] => Some(address),
        _ => None,
    }
}

/// A number as the format has it: decimal, or hexadecimal behind `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Cuts a line into text and elements.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find("{{{") {
        let Some(length) = rest[start..].find("}}}") else { break };
        let whole = &rest[start..start + length + 3];
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let mut fields = whole[3..whole.len() - 3].split(':');
        let tag = fields.next().unwrap_or_default();
        pieces.push(Piece::Element(whole, tag, fields.collect()));
        rest = &rest[start + whole.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}
