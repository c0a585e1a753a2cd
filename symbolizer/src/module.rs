//! One loaded program or shared object, and the answer for an address in it: DWARF first, the symbol tables where
//! it is silent.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::address::ModuleAddress;
use crate::build_id::BuildId;
use crate::demangle::{demangle, is_mangled};
use crate::dwarf::{Dwarf, DwarfFrame};
use crate::elf::{self, CodeRanges, Elf};
use crate::error::Error;
use crate::frame::{Answer, Frame, Missing, Origin};
use crate::locate::{self, Candidate, Refusal, Refused, Search};
use crate::symbols::{Symbol, SymbolTable};

/// A program or shared object that answers for its addresses.
///
/// It keeps the files mapped and what it parsed of them, so it is made once and asked often. It may move to
/// another thread, but serves one at a time.
pub struct Module {
    binary: Elf,
    build_id: Option<BuildId>,
    code: CodeRanges,
    debug: Option<Elf>,
    refused: Vec<Refused>,
    dwarf: Option<Dwarf>,
    dwarf_error: Option<Error>,
    /// Read when DWARF is first silent or needs help with a name.
    symbols: OnceCell<SymbolTable>,
}

impl Module {
    /// Maps the ELF file at `path` and, if it has no DWARF of its own, the debug file that `search` finds for it.
    ///
    /// # Errors
    /// The file is absent, no regular file, not ELF, not linked, or its headers are corrupt. Trouble with the debug
    /// file or with DWARF is no error: see [`Module::refused`] and [`Module::dwarf_error`].
    pub fn open(path: &Path, search: &Search) -> Result<Module, Error> {
        let binary = Elf::open(path)?;
        let view = binary.view()?;
        let build_id = elf::build_id(&view);
        let code = CodeRanges::of(&view);
        let (debug, refused) = if elf::has_dwarf(&view) {
            (None, Vec::new())
        } else {
            find_debug_file(&binary, &view, build_id.as_ref(), search)
        };
        let (dwarf, dwarf_error) = Dwarf::load(debug.as_ref().unwrap_or(&binary));
        drop(view);
        Ok(Module { binary, build_id, code, debug, refused, dwarf, dwarf_error, symbols: OnceCell::new() })
    }

    /// What is known about `address`. Never fails: what cannot be read is not known.
    pub fn symbolize(&self, address: ModuleAddress) -> Answer {
        if !self.code.contains(address) {
            return Answer { frames: Vec::new(), missing: Some(Missing::NotCode) };
        }
        let frames = self.dwarf_frames(address).or_else(|| self.symbol_frame(address)).unwrap_or_default();
        let missing = if !frames.is_empty() {
            None
        } else if self.dwarf.is_none() && self.symbols().is_empty() {
            Some(Missing::NoSymbols)
        } else {
            Some(Missing::NotCovered)
        };
        Answer { frames, missing }
    }

    /// The start of the symbol with exactly this name, as the symbol tables have it. Texts name calls so where the address that they
    /// give is one of a process that is gone.
    pub fn address_of(&self, symbol: &str) -> Option<ModuleAddress> {
        self.symbols().start_of(symbol)
    }

    /// The path that the module was opened with.
    pub fn path(&self) -> &Path {
        self.binary.path()
    }

    /// The module's build-id, if the linker wrote one.
    pub fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// The separate debug file in use, if the module needed one and it was found.
    pub fn debug_file(&self) -> Option<&Path> {
        self.debug.as_ref().map(Elf::path)
    }

    /// The places where a debug file was looked for before [`Module::debug_file`] was found, or in vain, in order,
    /// and why each was not used.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Why the DWARF at hand is not used, or not all of it.
    pub fn dwarf_error(&self) -> Option<&Error> {
        self.dwarf_error.as_ref()
    }

    fn symbols(&self) -> &SymbolTable {
        self.symbols
            .get_or_init(|| SymbolTable::of([Some(&self.binary), self.debug.as_ref()].into_iter().flatten()))
    }

    /// `None` if DWARF has nothing to say or nothing that makes sense.
    fn dwarf_frames(&self, address: ModuleAddress) -> Option<Vec<Frame>> {
        let mut found = self.dwarf.as_ref()?.find(address).ok()?;
        // A linker that drops a function leaves its description behind, moved to address 0 or so. It may reach
        // into real code.
        if found.entry.is_some_and(|entry| !self.code.contains(entry)) {
            return None;
        }
        let outermost = found.frames.pop()?;
        let outermost = match found.entry {
            Some(entry) => {
                let symbol = self.symbols().find(entry).filter(|symbol| symbol.start == entry);
                outermost_frame(outermost, symbol.map(|symbol| symbol.name))
            }
            None => self.frame_without_function(address, outermost),
        };
        Some(found.frames.into_iter().map(inlined_frame).chain([outermost]).collect())
    }

    /// A row of the line table that belongs to no function that DWARF describes: assembly, or a unit whose
    /// functions are in a file that is not here. The symbol that covers it has the name.
    fn frame_without_function(&self, address: ModuleAddress, row: DwarfFrame) -> Frame {
        let named = self.symbols().find(address).map(symbol_frame);
        let bare = Frame {
            function: row.name,
            linkage_name: None,
            file: None,
            line: None,
            column: None,
            inlined: false,
            origin: Origin::Dwarf,
        };
        Frame { file: row.file, line: row.line, column: row.column, ..named.unwrap_or(bare) }
    }

    fn symbol_frame(&self, address: ModuleAddress) -> Option<Vec<Frame>> {
        Some(vec![symbol_frame(self.symbols().find(address)?)])
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// A function that was inlined has no symbol; its linkage name stands in the DWARF, or nowhere.
fn inlined_frame(frame: DwarfFrame) -> Frame {
    Frame {
        function: frame.name.as_deref().map(|name| demangle(name).into_owned()),
        linkage_name: frame.name.filter(|name| is_mangled(name)),
        file: frame.file,
        line: frame.line,
        column: frame.column,
        inlined: true,
        origin: Origin::Dwarf,
    }
}

/// Who the function is, DWARF says; but with few debug information it knows only the last part of the name, and
/// the `symbol` at the function's entry has all of it. The symbol also keeps the suffix of a clone.
fn outermost_frame(frame: DwarfFrame, symbol: Option<Cow<'_, str>>) -> Frame {
    let known = match (&frame.name, &symbol) {
        (Some(name), _) if is_mangled(name) => Some((name.as_str(), Origin::Dwarf)),
        (_, Some(symbol)) if is_mangled(symbol) => Some((symbol.as_ref(), Origin::SymbolTable)),
        (Some(name), _) => Some((name.as_str(), Origin::Dwarf)),
        (None, Some(symbol)) => Some((symbol.as_ref(), Origin::SymbolTable)),
        (None, None) => None,
    };
    let function = known.map(|(name, _)| demangle(name).into_owned());
    let origin = known.map_or(Origin::Dwarf, |(_, origin)| origin);
    let linkage_name = symbol.map(Cow::into_owned).or(frame.name.filter(|name| is_mangled(name)));
    Frame {
        function,
        linkage_name,
        file: frame.file,
        line: frame.line,
        column: frame.column,
        inlined: false,
        origin,
    }
}

fn symbol_frame(symbol: Symbol<'_>) -> Frame {
    Frame {
        function: Some(demangle(&symbol.name).into_owned()),
        linkage_name: Some(symbol.name.into_owned()),
        file: None,
        line: None,
        column: None,
        inlined: false,
        origin: if symbol.nearest { Origin::NearestSymbol } else { Origin::SymbolTable },
    }
}

/// Opens the candidates in order until one proves to belong to the module.
fn find_debug_file(
    binary: &Elf,
    view: &object::File<'_>,
    build_id: Option<&BuildId>,
    search: &Search,
) -> (Option<Elf>, Vec<Refused>) {
    let link = elf::debug_link(view);
    let (candidates, bad_link) =
        locate::candidates(&real_directory(binary.path()), build_id, link.as_ref(), search);
    let mut refused = Vec::new();
    for candidate in candidates {
        match open_debug_file(binary, &candidate) {
            Ok(debug) => return (Some(debug), refused),
            Err(refusal) => refused.push(Refused { path: candidate.path, refusal }),
        }
    }
    refused.extend(bad_link);
    (None, refused)
}

fn open_debug_file(binary: &Elf, candidate: &Candidate) -> Result<Elf, Refusal> {
    let debug = Elf::open(&candidate.path).map_err(Refusal::Unusable)?;
    if debug.identity() == binary.identity() {
        return Err(Refusal::SameFile);
    }
    let view = debug.view().map_err(Refusal::Unusable)?;
    let found = elf::build_id(&view);
    locate::examine(&candidate.proof, found.as_ref(), || crc32fast::hash(debug.bytes()))?;
    if !elf::has_dwarf(&view) && !elf::has_symbol_table(&view) {
        return Err(Refusal::Stripped);
    }
    drop(view);
    Ok(debug)
}

/// The directory of the file that `path` leads to, past symbolic links: a debug link is relative to that.
fn real_directory(path: &Path) -> PathBuf {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_at_its_entry_completes_what_dwarf_calls_a_function() {
        for (dwarf, symbol, function, linkage_name, origin) in [
            // With -g1, g++ records the last part of the name only.
            (Some("run"), Some("_ZN3app3runEi"), "app::run(int)", "_ZN3app3runEi", Origin::SymbolTable),
            (Some("_ZN3app3runEi"), None, "app::run(int)", "_ZN3app3runEi", Origin::Dwarf),
            (
                Some("_ZN3app3runEi"),
                Some("_ZN3app3runEi.cold"),
                "app::run(int)",
                "_ZN3app3runEi.cold",
                Origin::Dwarf,
            ),
            (Some("mix"), Some("mix.constprop.0"), "mix", "mix.constprop.0", Origin::Dwarf),
            (None, Some("mix"), "mix", "mix", Origin::SymbolTable),
        ] {
            let frame = DwarfFrame { name: dwarf.map(str::to_owned), file: None, line: None, column: None };
            let frame = outermost_frame(frame, symbol.map(Cow::Borrowed));
            assert_eq!(frame.function.as_deref(), Some(function));
            assert_eq!(frame.linkage_name.as_deref(), Some(linkage_name));
            assert_eq!(frame.origin, origin, "{function}");
        }
    }

    #[test]
    fn a_module_may_move_to_another_thread() {
        fn assert_send<T: Send>() {}
        assert_send::<Module>();
    }
}
