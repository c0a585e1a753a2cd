//! Naming the native frames of a record, and reading source lines for every record.
//!
//! A frame that cannot be named stays bare and says why; module, build-id and address stay with it, so that a machine
//! that has the files can finish it later.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trace_record::failure::{Frame, Record, StackEntry};
use trace_record::source::SourceText;
use trace_record::source_map::{SourceMap, SourceMaps};
use trace_symbolizer::{Module, ModuleAddress, Search, SourceRoots};

/// The most modules that are kept open; when they are reached, all are closed and opened again at need. A process has
/// a handful that frames touch.
const MODULES_MAX: usize = 64;

/// Names frames and reads sources. Keeps what it opened.
pub struct Symbolizer {
    search: Search,
    modules: HashMap<(String, Option<String>), Result<Module, String>>,
    sources: Sources,
}

/// Source lines and source maps from below the configured roots.
pub struct Sources {
    roots: SourceRoots,
    maps: SourceMaps,
}

impl SourceText for Sources {
    fn line(&mut self, file: &str, line: u32) -> Option<String> {
        self.roots.line(file, line)
    }

    fn map(&mut self, file: &str) -> Option<Arc<SourceMap>> {
        let Self { roots, maps } = self;
        maps.of(file, &mut |path| roots.file(path))
    }
}

impl Symbolizer {
    /// Looks for debug files in `debug_dirs` first and then where the system keeps them, and reads sources below `source_roots`.
    #[must_use]
    pub fn new(debug_dirs: &[PathBuf], source_roots: &[PathBuf]) -> Self {
        let mut search = Search::system();
        search.debug_dirs.splice(0..0, debug_dirs.iter().cloned());
        let sources = Sources { roots: SourceRoots::new(source_roots.to_vec()), maps: SourceMaps::default() };
        Self { search, modules: HashMap::new(), sources }
    }

    /// The sources, for whoever completes the record.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// Names every frame of `record` that has no name or no line, but an address or an offset in a function. One address may become
    /// several entries: the functions that the compiler inlined there. Mangled names are made readable, wherever they stand.
    pub fn name(&mut self, record: &mut Record) {
        let is_bare = |(entry, frame): (&StackEntry, &Frame)| match entry.function {
            None => frame.address.is_some(),
            Some(_) => frame.offset.is_some() && entry.line.is_none(),
        };
        let fits = record.frames.len() == record.stack_trace.len();
        if fits && record.stack_trace.iter().zip(&record.frames).any(is_bare) {
            let entries = std::mem::take(&mut record.stack_trace);
            let frames = std::mem::take(&mut record.frames);
            for (entry, frame) in entries.into_iter().zip(frames) {
                let named = if is_bare((&entry, &frame)) {
                    self.expand(&entry, &frame)
                } else {
                    vec![(entry, frame)]
                };
                for (entry, frame) in named {
                    record.stack_trace.push(entry);
                    record.frames.push(frame);
                }
            }
        }
        demangle(&mut record.stack_trace);
        record.threads.iter_mut().for_each(|thread| demangle(&mut thread.stack_trace));
    }

    /// The entries of one call, outermost first; the bare entry if nothing is found.
    fn expand(&mut self, entry: &StackEntry, frame: &Frame) -> Vec<(StackEntry, Frame)> {
        match self.find(entry.function.as_deref(), frame) {
            Ok(frames) => frames.into_iter().rev().map(|named| self.entry(named, frame)).collect(),
            Err(missing) => vec![(entry.clone(), Frame { missing: Some(missing), ..frame.clone() })],
        }
    }

    /// What the module says of the call, innermost first, or why it says nothing.
    fn find(
        &mut self,
        function: Option<&str>,
        frame: &Frame,
    ) -> Result<Vec<trace_symbolizer::Frame>, String> {
        let path = frame.module.as_deref().ok_or("no module is mapped at this address")?;
        let module = self.module(path, frame.build_id.as_deref()).map_err(Clone::clone)?;
        let address = match (function, &frame.offset) {
            (Some(function), Some(offset)) => {
                let start =
                    module.address_of(function).ok_or_else(|| format!("{path} has no symbol {function}"))?;
                hexadecimal(offset).and_then(|offset| start.0.checked_add(offset))
            }
            _ => frame.address.as_deref().and_then(hexadecimal),
        };
        let answer =
            module.symbolize(ModuleAddress(address.ok_or("the address is not a hexadecimal number")?));
        answer.missing.map_or(Ok(answer.frames), |missing| Err(missing.to_string()))
    }

    fn entry(&mut self, named: trace_symbolizer::Frame, bare: &Frame) -> (StackEntry, Frame) {
        let source =
            named.file.as_deref().zip(named.line).and_then(|(file, line)| self.sources.line(file, line));
        let entry = StackEntry { file: named.file, line: named.line, function: named.function, source };
        let frame = Frame {
            column: named.column,
            inlined: named.inlined.then_some(true),
            missing: None,
            ..bare.clone()
        };
        (entry, frame)
    }

    fn module(&mut self, path: &str, build_id: Option<&str>) -> Result<&Module, &String> {
        if self.modules.len() >= MODULES_MAX {
            self.modules.clear();
        }
        let search = &self.search;
        self.modules
            .entry((path.to_owned(), build_id.map(str::to_owned)))
            .or_insert_with(|| open(Path::new(path), build_id, search))
            .as_ref()
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn demangle(entries: &mut [StackEntry]) {
    for name in entries.iter_mut().filter_map(|entry| entry.function.as_mut()) {
        if let Cow::Owned(readable) = trace_symbolizer::demangle(name) {
            *name = readable;
        }
    }
}

/// Opens the very file that the process had mapped: at its path, or by its build-id in a debug folder. A file with another
/// build-id has other names at the same addresses and is never used.
fn open(path: &Path, build_id: Option<&str>, search: &Search) -> Result<Module, String> {
    let at_path = Module::open(path, search).map_err(|error| error.to_string()).and_then(|module| {
        let found = module.build_id().map(ToString::to_string);
        if build_id.is_none() || found.as_deref() == build_id {
            return Ok(module);
        }
        let (found, wanted) = (found.as_deref().unwrap_or("none"), build_id.unwrap_or("none"));
        Err(format!("{} has build-id {found}, the process had {wanted}", path.display()))
    });
    at_path.or_else(|reason| {
        let stored = build_id
            .filter(|id| id.len() > 2 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|id| {
                let below = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
                search.debug_dirs.iter().find_map(|directory| {
                    let module = Module::open(&directory.join(&below), search).ok()?;
                    (module.build_id()?.to_string() == id).then_some(module)
                })
            });
        stored.ok_or(reason)
    })
}
