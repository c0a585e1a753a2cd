//! Naming the native frames of a record, and reading source lines for every record.
//!
//! A frame that cannot be named stays bare and says why; module, build-id and address stay with it, so that a machine
//! that has the files can finish it later.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::symbols::fetch::Fetch;
use trace_record::failure::{Frame, Record, StackEntry};
use trace_record::source::SourceText;
use trace_record::source_map::{SourceMap, SourceMaps};
use trace_symbolizer::{Answers, BuildId, FrameRef, Module, ModuleAddress, Search, SourceRoots};

/// The most modules that are kept open; when they are reached, all are closed and opened again at need. A process has
/// a handful that frames touch.
const MODULES_MAX: usize = 64;

/// Finds the files of builds that are not on this machine. The extension asks nobody, and so the layer brings no client along.
pub trait FindSymbols: Send + Sync {
    /// A file with the symbols of a build, packed or as debug information. May block, and has its own limits.
    fn symbols(&self, id: &BuildId) -> Option<PathBuf>;
}

impl FindSymbols for Fetch {
    fn symbols(&self, id: &BuildId) -> Option<PathBuf> {
        Fetch::symbols(self, id)
    }
}

/// Names frames and reads sources. Keeps what it opened.
pub struct Symbolizer {
    search: Search,
    /// Who is asked for what is not on this machine; nobody, unless the user named somebody.
    finder: Option<Arc<dyn FindSymbols>>,
    modules: HashMap<ModuleKey, Result<Module, String>>,
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
        Self { search, finder: None, modules: HashMap::new(), sources }
    }

    /// Asks `finder` for the files of modules that are not on this machine.
    #[must_use]
    pub fn with_finder(self, finder: Option<Arc<dyn FindSymbols>>) -> Self {
        Self { finder, ..self }
    }

    /// The sources, for whoever completes the record.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// Names every frame of `record` that has no name or no line, but an address or an offset in a function. One address may become
    /// several entries: the functions that the compiler inlined there. Mangled names are made readable, wherever they stand.
    pub fn name(&mut self, record: &mut Record) {
        self.name_all(std::slice::from_mut(record));
    }

    /// [`name`](Symbolizer::name) for many records: each module is asked once for all of its addresses, which is what it is fast at.
    pub fn name_all(&mut self, records: &mut [Record]) {
        let mut questions = Questions::default();
        for (index, record) in records.iter().enumerate() {
            self.ask(record, index, &mut questions);
        }
        let answers = self.answer(&questions);
        let mut calls = questions.calls.into_iter().peekable();
        for (index, record) in records.iter_mut().enumerate() {
            let mut bare = Vec::new();
            while let Some(call) = calls.next_if(|call| call.record == index) {
                bare.push(call);
            }
            if !bare.is_empty() {
                self.expand(record, bare, &answers);
            }
            demangle(&mut record.stack_trace);
            record.threads.iter_mut().for_each(|thread| demangle(&mut thread.stack_trace));
        }
    }

    /// Adds the bare frames of a record to the questions.
    fn ask(&mut self, record: &Record, index: usize, questions: &mut Questions) {
        if record.frames.len() != record.stack_trace.len() {
            return;
        }
        for (frame_index, (entry, frame)) in record.stack_trace.iter().zip(&record.frames).enumerate() {
            if is_bare(entry, frame) {
                let place = self.address(entry.function.as_deref(), frame).map(|address| {
                    questions.add(
                        frame.module.as_deref().unwrap_or_default(),
                        frame.build_id.as_deref(),
                        address,
                    )
                });
                questions.calls.push(Call { record: index, frame: frame_index, place });
            }
        }
    }

    /// The answers of each module that is asked.
    fn answer(&mut self, questions: &Questions) -> Vec<Option<Answers>> {
        let answer = |((path, build_id), addresses): (&ModuleKey, &Vec<ModuleAddress>)| {
            Some(self.module(path, build_id.as_deref()).ok()?.symbolize_all(addresses))
        };
        questions.modules.iter().zip(&questions.addresses).map(answer).collect()
    }

    /// Puts the entries that were found, outermost first, in the place of the bare ones.
    fn expand(&mut self, record: &mut Record, bare: Vec<Call>, answers: &[Option<Answers>]) {
        let entries = std::mem::take(&mut record.stack_trace);
        let frames = std::mem::take(&mut record.frames);
        let mut bare = bare.into_iter().peekable();
        for (index, (entry, frame)) in entries.into_iter().zip(frames).enumerate() {
            let named = match bare.next_if(|call| call.frame == index).map(|call| call.place) {
                None => Err(None),
                Some(Err(missing)) => Err(Some(missing)),
                Some(Ok(place)) => match answers.get(place.module) {
                    Some(Some(answers)) => match answers.missing(place.address) {
                        None => Ok(answers.frames(place.address).collect::<Vec<_>>()),
                        Some(missing) => Err(Some(missing.to_string())),
                    },
                    _ => Err(None),
                },
            };
            match named {
                Ok(named) => {
                    for named in named.into_iter().rev() {
                        let (entry, frame) = self.entry(named, &frame);
                        record.stack_trace.push(entry);
                        record.frames.push(frame);
                    }
                }
                Err(missing) => {
                    record.stack_trace.push(entry);
                    record.frames.push(Frame { missing: missing.or(frame.missing), ..frame });
                }
            }
        }
    }

    /// Where in its module a call is, or why that is not known.
    fn address(&mut self, function: Option<&str>, frame: &Frame) -> Result<ModuleAddress, String> {
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
        Ok(ModuleAddress(address.ok_or("the address is not a hexadecimal number")?))
    }

    fn entry(&mut self, named: FrameRef<'_>, bare: &Frame) -> (StackEntry, Frame) {
        let source = named.file().zip(named.line()).and_then(|(file, line)| self.sources.line(file, line));
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let entry = StackEntry {
            file: owned(named.file()),
            line: named.line(),
            function: owned(named.function()),
            source,
        };
        let frame = Frame {
            column: named.column(),
            inlined: named.is_inlined().then_some(true),
            missing: None,
            ..bare.clone()
        };
        (entry, frame)
    }

    fn module(&mut self, path: &str, build_id: Option<&str>) -> Result<&Module, &String> {
        if self.modules.len() >= MODULES_MAX {
            self.modules.clear();
        }
        let (search, finder) = (&self.search, self.finder.as_deref());
        self.modules
            .entry((path.to_owned(), build_id.map(str::to_owned)))
            .or_insert_with(|| open(Path::new(path), build_id, search, finder))
            .as_ref()
    }
}

/// Path and build-id, as a record has them.
type ModuleKey = (String, Option<String>);

/// What is asked of the modules for some records.
#[derive(Default)]
struct Questions {
    modules: Vec<ModuleKey>,
    /// By module.
    addresses: Vec<Vec<ModuleAddress>>,
    /// In the order of the records and their frames.
    calls: Vec<Call>,
}

/// A bare frame.
struct Call {
    record: usize,
    frame: usize,
    place: Result<Place, String>,
}

/// Where the answer for a frame stands.
struct Place {
    module: usize,
    address: usize,
}

impl Questions {
    fn add(&mut self, path: &str, build_id: Option<&str>, address: ModuleAddress) -> Place {
        // A process has a handful of modules, and the frames of one stand together: the last is nearly always it.
        let known = self.modules.iter().rposition(|(known, id)| known == path && id.as_deref() == build_id);
        let module = known.unwrap_or_else(|| {
            self.modules.push((path.to_owned(), build_id.map(str::to_owned)));
            self.addresses.push(Vec::new());
            self.modules.len() - 1
        });
        let addresses = &mut self.addresses[module];
        addresses.push(address);
        Place { module, address: addresses.len() - 1 }
    }
}

/// Whether a frame lacks what its address or offset can tell.
fn is_bare(entry: &StackEntry, frame: &Frame) -> bool {
    match entry.function {
        None => frame.address.is_some(),
        Some(_) => frame.offset.is_some() && entry.line.is_none(),
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

/// Opens the very file that the process had mapped: at its path, or what is kept of it by its build-id. A file with another
/// build-id has other names at the same addresses and is never used.
fn open(
    path: &Path,
    build_id: Option<&str>,
    search: &Search,
    finder: Option<&dyn FindSymbols>,
) -> Result<Module, String> {
    let at_path = Module::open(path, search).map_err(|error| error.to_string()).and_then(|module| {
        let found = module.build_id().map(ToString::to_string);
        if build_id.is_none() || found.as_deref() == build_id {
            return Ok(module);
        }
        let (found, wanted) = (found.as_deref().unwrap_or("none"), build_id.unwrap_or("none"));
        Err(format!("{} has build-id {found}, the process had {wanted}", path.display()))
    });
    if let Ok(module) = &at_path
        && (!module.is_bare() || finder.is_none())
    {
        return at_path;
    }
    let kept = build_id.and_then(|id| id.parse().ok()).and_then(|id| by_build_id(&id, search, finder));
    match (at_path, kept) {
        (_, Some(kept)) => Ok(kept),
        (at_path, None) => at_path,
    }
}

/// Opens what a folder of symbols, or one of the sources, has of a build.
fn by_build_id(id: &BuildId, search: &Search, finder: Option<&dyn FindSymbols>) -> Option<Module> {
    let digits = id.to_string();
    let (first, rest) = digits.split_at(2);
    let below = [
        format!(".build-id/{first}/{rest}.debug"),
        format!("{first}/{rest}/debuginfo"),
        format!("{first}/{rest}/packed"),
        format!("{first}/{rest}/executable"),
    ];
    let open = |path: &Path| Module::open(path, search).ok().filter(|module| module.build_id() == Some(id));
    let in_folders = search.debug_dirs.iter().flat_map(|folder| below.iter().map(|below| folder.join(below)));
    in_folders.into_iter().find_map(|path| open(&path)).or_else(|| open(&finder?.symbols(id)?))
}
