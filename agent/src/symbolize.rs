//! Naming the native frames of a record, and reading source lines for every record.
//!
//! A frame that cannot be named stays bare and says why; module, build-id and address stay with it, so that a machine
//! that has the files can finish it later.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use trace_record::failure::{Frame, Record, StackEntry};
use trace_record::source::SourceText;
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

/// Source lines from below the configured roots.
pub struct Sources(SourceRoots);

impl SourceText for Sources {
    fn line(&mut self, file: &str, line: u32) -> Option<String> {
        self.0.line(file, line)
    }
}

impl Symbolizer {
    /// Looks for debug files in `debug_dirs` first and then where the system keeps them, and reads sources below `source_roots`.
    #[must_use]
    pub fn new(debug_dirs: &[PathBuf], source_roots: &[PathBuf]) -> Self {
        let mut search = Search::system();
        search.debug_dirs.splice(0..0, debug_dirs.iter().cloned());
        Self { search, modules: HashMap::new(), sources: Sources(SourceRoots::new(source_roots.to_vec())) }
    }

    /// The sources, for whoever completes the record.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// Names every frame of `record` that has an address but no name. One address may become several entries: the
    /// functions that the compiler inlined there.
    pub fn name(&mut self, record: &mut Record) {
        let bare =
            |(entry, frame): (&StackEntry, &Frame)| frame.address.is_some() && entry.function.is_none();
        if record.frames.len() != record.stack_trace.len()
            || !record.stack_trace.iter().zip(&record.frames).any(bare)
        {
            return;
        }
        let entries = std::mem::take(&mut record.stack_trace);
        let frames = std::mem::take(&mut record.frames);
        for (entry, frame) in entries.into_iter().zip(frames) {
            let named = if bare((&entry, &frame)) { self.expand(&frame) } else { vec![(entry, frame)] };
            for (entry, frame) in named {
                record.stack_trace.push(entry);
                record.frames.push(frame);
            }
        }
    }

    /// The entries of one address, outermost first; one bare entry if nothing is found.
    fn expand(&mut self, frame: &Frame) -> Vec<(StackEntry, Frame)> {
        let answer = match (address(frame), &frame.module) {
            (Some(address), Some(module)) => match self.module(module, frame.build_id.as_deref()) {
                Ok(module) => {
                    let answer = module.symbolize(ModuleAddress(address));
                    match answer.missing {
                        Some(missing) => Err(missing.to_string()),
                        None => Ok(answer.frames),
                    }
                }
                Err(reason) => Err(reason.clone()),
            },
            (_, None) => Err("no module is mapped at this address".to_owned()),
            (None, _) => Err("the address is not a hexadecimal number".to_owned()),
        };
        match answer {
            Ok(frames) => frames.into_iter().rev().map(|named| self.entry(named, frame)).collect(),
            Err(missing) => vec![(StackEntry::default(), Frame { missing: Some(missing), ..frame.clone() })],
        }
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

fn address(frame: &Frame) -> Option<u64> {
    u64::from_str_radix(frame.address.as_deref()?.strip_prefix("0x")?, 16).ok()
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
