//! The programs that addresses are asked of, opened once each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::symbols::fetch::{Fetch, Tried};
use trace_symbolizer::{
    Answers, CoreFile, Error, ErrorKind, Module, ModuleAddress, Options, Refusal, Refused, RuntimeAddress,
    Search, Spelling,
};

/// The most programs that are kept open; when they are reached, all are closed and opened again at need.
const OPEN_MAX: usize = 64;

/// Opens programs and asks them.
pub(super) struct Objects {
    search: Search,
    /// How names are spelled; for a tool's spelling, symbols are looked up for names with the suffix of a clone.
    spelling: Spelling,
    /// Who is asked for debug files that are not on this machine; nobody, unless the user named somebody.
    fetch: Option<Fetch>,
    /// How long a batch of addresses may take; the rest is named by symbols.
    time_max: Option<Duration>,
    open: HashMap<PathBuf, Result<Module, Error>>,
    cores: HashMap<PathBuf, CoreFile>,
}

impl Objects {
    pub(super) fn new(search: Search, spelling: Spelling, fetch: Option<Fetch>) -> Objects {
        Objects { search, spelling, fetch, time_max: None, open: HashMap::new(), cores: HashMap::new() }
    }

    /// Limits how long a batch of addresses may take.
    pub(super) fn within(self, time_max: Option<Duration>) -> Objects {
        Objects { time_max, ..self }
    }

    /// Where debug files were asked for since this was last called, and what came of it.
    pub(super) fn take_log(&self) -> Vec<Tried> {
        self.fetch.as_ref().map(Fetch::take_log).unwrap_or_default()
    }

    /// Opens a program, with the debug file that somebody else has if there is none here.
    fn open(&self, path: &Path) -> Result<Module, Error> {
        let module = Module::open(path, &self.search)?;
        let (Some(fetch), Some(build_id), true) = (&self.fetch, module.build_id(), module.is_bare()) else {
            return Ok(module);
        };
        match fetch.symbols(build_id) {
            Some(file) => Module::open(path, &Search { files: vec![file], ..self.search.clone() }),
            None => Ok(module),
        }
    }

    /// The program that a process had at an address when it was dumped to `path`, and the address in it. `None` if the file
    /// is no dump; no program if it had none there.
    pub(super) fn in_dump(&mut self, path: &Path, address: u64) -> Option<Option<(PathBuf, u64)>> {
        if !self.cores.contains_key(path) {
            let is_dump = self.module(path).as_ref().is_err_and(|error| error.kind() == ErrorKind::NotLinked);
            let core = is_dump.then(|| CoreFile::open(path).ok()).flatten()?;
            self.cores.insert(path.to_owned(), core);
        }
        let Some((program, offset)) = self.cores.get(path)?.find(RuntimeAddress(address)) else {
            return Some(None);
        };
        let program = program.to_owned();
        let found = self.module(&program).ok().and_then(|module| module.address_of_offset(offset));
        Some(found.map(|address| (program, address.0)))
    }

    /// Whether `path` is a program, or the dump of one.
    pub(super) fn is_there(&mut self, path: &Path) -> bool {
        self.module(path).is_ok() || CoreFile::open(path).is_ok()
    }

    /// The program at `path`.
    pub(super) fn module(&mut self, path: &Path) -> Result<&Module, &Error> {
        if !self.open.contains_key(path) {
            if self.open.len() >= OPEN_MAX {
                self.open.clear();
            }
            let module = self.open(path);
            if let Ok(module) = &module {
                say_what_was_refused(module.refused());
            }
            self.open.insert(path.to_owned(), module);
        }
        // It was put there just now, if it was not.
        self.open[path].as_ref()
    }

    /// What the program at `path` says of `addresses`, all together.
    pub(super) fn answers(&mut self, path: &Path, addresses: &[u64]) -> Result<Answers, &Error> {
        let started = Instant::now();
        let time_max = self.time_max;
        let is_time_left = || time_max.is_none_or(|max| started.elapsed() < max);
        let options = Options {
            go_on: time_max.map(|_| &is_time_left as &dyn Fn() -> bool),
            linkage_names: matches!(self.spelling, Spelling::Of(_)),
            spelling: self.spelling,
        };
        let addresses: Vec<ModuleAddress> = addresses.iter().map(|address| ModuleAddress(*address)).collect();
        self.module(path).map(|module| module.symbolize_within(&addresses, options))
    }
}

/// That a candidate is not there is the normal case; that it is there and not used is worth a line.
fn say_what_was_refused(refused: &[Refused]) {
    let is_there = |refused: &&Refused| !matches!(&refused.refusal, Refusal::Unusable(error) if error.kind() == ErrorKind::NotFound);
    for refused in refused.iter().filter(is_there) {
        anstream::eprintln!("trace-agent: debug file not used: {refused}");
    }
}
