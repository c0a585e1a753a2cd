//! An ELF file and what belongs to it, and the answers for addresses in it: DWARF first, then a packed symbol file, the
//! table of Go's runtime, and the symbol tables.

use std::path::{Path, PathBuf};

use crate::address::ModuleAddress;
use crate::answers::{Builder, Function, Leaf, Location, NONE, Node, SymbolNames};
use crate::build_id::BuildId;
use crate::demangle::Spelling;
use crate::dwarf::Dwarf;
use crate::dwarf::owners::Effort;
use crate::dwarf::split::Split;
use crate::dwarf::sweep::Question;
use crate::dwarf::walk::Reach;
use crate::dwarf::work::Work;
use crate::elf::{self, CodeRanges, Elf};
use crate::error::{Error, ErrorKind};
use crate::frame::{Missing, Origin};
use crate::go;
use crate::locate::{self, Candidate, Refusal, Refused, Search};
use crate::mmap::{Bytes, FileIdentity};
use crate::packed::PackedModule;
use crate::plt::{self, Stub};
use crate::symbols::{self, Symbol};
use object::{Object, ObjectSection, ObjectSegment};

/// An ELF file and what belongs to it.
pub(crate) struct ElfModule {
    binary: Elf,
    build_id: Option<BuildId>,
    code: CodeRanges,
    debug: Option<Elf>,
    /// Names of a program that has neither DWARF nor a debug file.
    packed: Option<Box<PackedModule>>,
    /// The symbol table that a stripped program carries along, compressed.
    mini_debug: Option<Elf>,
    refused: Vec<Refused>,
    dwarf: Option<Dwarf>,
}

/// How a question is answered.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Asked every few thousand steps whether there is time to go on. When it says no, the rest is named by symbols only, or
    /// not at all. `None`: there is no hurry.
    pub go_on: Option<&'a dyn Fn() -> bool>,
    /// Look up the symbol at the start of every function, for its name with the suffix of a clone. Without it that is done
    /// where DWARF has no whole name.
    pub linkage_names: bool,
    /// How readable names are spelled.
    pub spelling: Spelling,
}

/// Distinct addresses in order, and which of all the addresses of a question each is.
#[derive(Default)]
struct Asked {
    addresses: Vec<u64>,
    numbers: Vec<u32>,
}

impl Options<'_> {
    fn symbol_names(&self) -> SymbolNames {
        if self.linkage_names { SymbolNames::Always } else { SymbolNames::ForPlainNames }
    }
}

impl Asked {
    fn push(&mut self, address: u64, number: u32) {
        self.addresses.push(address);
        self.numbers.push(number);
    }

    /// Where `address` stands, which is one of them.
    fn index(&self, address: u64) -> usize {
        self.addresses.binary_search(&address).unwrap_or_default()
    }

    /// Those whose index is `wanted`.
    fn only(&self, wanted: impl Fn(usize) -> bool) -> Asked {
        let mut some = Asked::default();
        for index in (0..self.addresses.len()).filter(|index| wanted(*index)) {
            some.push(self.addresses[index], self.numbers[index]);
        }
        some
    }

    fn unanswered(&self, builder: &Builder) -> Asked {
        self.only(|index| !builder.is_answered(self.numbers[index] as usize))
    }
}

impl ElfModule {
    /// Reads the headers of the ELF file at `path`, whose bytes are given, and maps what `search` finds for it.
    pub(crate) fn open(
        path: &Path,
        bytes: Bytes,
        identity: FileIdentity,
        search: &Search,
    ) -> Result<ElfModule, Error> {
        let binary = Elf::from_bytes(path, identity, bytes)?;
        let view = binary.view()?;
        let build_id = elf::build_id(&view);
        let code = CodeRanges::of(&view);
        let (debug, mut refused) = if elf::has_dwarf(&view) {
            (None, Vec::new())
        } else {
            find_debug_file(&binary, &view, build_id.as_ref(), search)
        };
        let mini_debug = elf::mini_debug(&binary, &view);
        let main = debug.as_ref().unwrap_or(&binary);
        let max = unpacked_bytes_max(search);
        let dwarf = main.view().ok().filter(elf::has_dwarf).map(|view| {
            let (shared, not_used) = find_shared_file(main, &view, search);
            refused.extend(not_used);
            Dwarf::new(main.clone(), shared, split(&binary, main, build_id.as_ref(), search), max)
        });
        drop(view);
        let packed = match &dwarf {
            None => find_packed_file(build_id.as_ref(), search, &mut refused),
            Some(_) => None,
        };
        Ok(ElfModule { binary, build_id, code, debug, mini_debug, packed, refused, dwarf })
    }

    /// Whether only symbols are known, if any.
    pub(crate) fn is_bare(&self) -> bool {
        self.dwarf.is_none() && self.packed.is_none()
    }

    /// Where the module has code.
    pub(crate) fn code(&self) -> &CodeRanges {
        &self.code
    }

    /// The machine that the module is for: `e_machine` of its header.
    pub(crate) fn machine(&self) -> u16 {
        self.binary.machine()
    }

    /// The addresses of code at which answers can change, sorted: between two of them all addresses have one answer.
    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let forever = || true;
        let work = Work::new(&forever);
        let mut boundaries: Vec<u64> = self.code.iter().flat_map(|range| [range.start, range.end]).collect();
        if let Some(dwarf) = &self.dwarf {
            work.allow(dwarf.main().elf().bytes().len());
            dwarf.boundaries(&self.code, &work, &mut boundaries);
        }
        symbols::boundaries(&self.symbol_files(), &mut boundaries);
        plt::boundaries(&self.binary, &mut boundaries);
        let ends: Vec<u64> = self.code.iter().map(|range| range.end).collect();
        boundaries.retain(|address| self.code.starts_in(*address) || ends.contains(address));
        boundaries.sort_unstable();
        boundaries.dedup();
        boundaries
    }

    /// The address at which a byte of the file is loaded.
    pub(crate) fn address_of_offset(&self, offset: u64) -> Option<ModuleAddress> {
        let view = self.binary.view().ok()?;
        let holds = |segment: &object::Segment<'_, '_>| {
            let (start, size) = segment.file_range();
            offset.checked_sub(start).is_some_and(|inside| inside < size)
        };
        let segment = view.segments().find(holds)?;
        Some(ModuleAddress((offset - segment.file_range().0).checked_add(segment.address())?))
    }

    /// Where the section of this name starts.
    pub(crate) fn section_start(&self, name: &str) -> Option<ModuleAddress> {
        let view = self.binary.view().ok()?;
        Some(ModuleAddress(view.section_by_name(name)?.address()))
    }

    /// The start of the symbol with exactly this name, as the symbol tables have it. Texts name calls so where the address that they
    /// give is one of a process that is gone.
    pub(crate) fn address_of(&self, symbol: &str) -> Option<ModuleAddress> {
        symbols::start_of(&self.symbol_files(), symbol)
    }

    /// The symbol of data at `address`: its name, start and size.
    pub(crate) fn data_at(&self, address: ModuleAddress) -> Option<(String, ModuleAddress, u64)> {
        let (name, start, size) = symbols::data_at(&self.symbol_files(), address.0)?;
        Some((name, ModuleAddress(start), size))
    }

    /// The path that the module was opened with.
    pub(crate) fn path(&self) -> &Path {
        self.binary.path()
    }

    /// The module's build-id, if the linker wrote one.
    pub(crate) fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// The separate debug file in use, if the module needed one and it was found.
    pub(crate) fn debug_file(&self) -> Option<&Path> {
        self.debug.as_ref().map(Elf::path).or(self.packed.as_ref().map(|packed| packed.path()))
    }

    /// The places where a debug file was looked for before [`crate::Module::debug_file`] was found, or in vain, in order,
    /// and why each was not used.
    pub(crate) fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The split files that were looked for in vain since this was last asked, and why each was not used.
    pub(crate) fn refused_split_files(&self) -> Vec<Refused> {
        self.dwarf.as_ref().map(Dwarf::refused_split_files).unwrap_or_default()
    }

    /// Why a part of the DWARF at hand was not used, as far as questions met it.
    pub(crate) fn dwarf_error(&self) -> Option<Error> {
        let main = self.dwarf.as_ref()?.main();
        main.problem().map(|problem| Error::caused_by(ErrorKind::Dwarf, main.elf().path(), problem))
    }

    fn symbol_files(&self) -> Vec<&Elf> {
        [Some(&self.binary), self.debug.as_ref(), self.mini_debug.as_ref()].into_iter().flatten().collect()
    }

    /// Answers for `addresses`, which are sorted and distinct.
    pub(crate) fn answer(&self, addresses: &[u64], options: Options<'_>, builder: &mut Builder) {
        let mut asked = Asked::default();
        for (number, address) in (0..).zip(addresses) {
            if self.code.starts_in(*address) {
                asked.push(*address, number);
            } else {
                builder.set(number as usize, Leaf::Missing(Missing::NotCode));
            }
        }
        let forever = || true;
        let work = Work::new(options.go_on.unwrap_or(&forever));
        let mut question = Question {
            addresses: &asked.addresses,
            numbers: &asked.numbers,
            code: &self.code,
            effort: Effort::Usual,
            reach: Reach::Usual,
            symbol_names: options.symbol_names(),
        };
        // Symbols cost little and take no memory: where time is short they are there before it is spent.
        let first = options.go_on.map(|_| self.find_symbols(&asked));
        if let Some(dwarf) = &self.dwarf {
            work.allow(dwarf.main().elf().bytes().len());
            dwarf.sweep(question, &work, builder);
        }
        let mut rest = asked.unanswered(builder);
        if let Some(packed) = &self.packed {
            packed.answer(&rest.addresses, &rest.numbers, builder);
            rest = asked.unanswered(builder);
        }
        go::answer(&self.binary, &rest.addresses, &rest.numbers, builder);
        rest = asked.unanswered(builder);
        let mut found = match first {
            Some(first) => {
                rest.addresses.iter().map(|address| first[asked.index(*address)].clone()).collect()
            }
            None => self.find_symbols(&rest),
        };
        // A function that the usual places do not hold: a symbol knows it, so DWARF may as well.
        let hidden = rest
            .only(|index| found[index].as_ref().is_some_and(|symbol| symbol.reach == symbols::Reach::Size));
        if let Some(dwarf) = &self.dwarf
            && !hidden.addresses.is_empty()
            && !work.is_stopped()
        {
            question = Question {
                addresses: &hidden.addresses,
                numbers: &hidden.numbers,
                effort: Effort::AllRoots,
                reach: Reach::Everywhere,
                ..question
            };
            dwarf.sweep(question, &work, builder);
            let still = asked.unanswered(builder);
            found = still.addresses.iter().map(|address| found[rest.index(*address)].clone()).collect();
            rest = still;
        }
        self.complete_functions(builder);
        let nothing = self.why_nothing(&work, rest.addresses.is_empty() || found.iter().any(Option::is_some));
        for (symbol, number) in found.iter().zip(&rest.numbers) {
            builder.set(*number as usize, Leaf::Missing(nothing));
            name_by_symbol(symbol.as_ref(), *number as usize, builder);
        }
    }

    /// The symbol, or the stub, that names each address.
    fn find_symbols(&self, asked: &Asked) -> Vec<Option<Symbol>> {
        let mut found = symbols::find(&self.symbol_files(), &asked.addresses);
        let nearest = |symbol: &Option<Symbol>| {
            symbol.as_ref().is_none_or(|symbol| symbol.reach == symbols::Reach::Nearest)
        };
        let bare = asked.only(|index| nearest(&found[index]));
        for (stub, address) in plt::find(&self.binary, &bare.addresses).into_iter().zip(&bare.addresses) {
            if let Some(Stub { name, start }) = stub {
                found[asked.index(*address)] = Some(Symbol { name, start, reach: symbols::Reach::Stub });
            }
        }
        found
    }

    /// Why an address of code has no frames. `has_symbols` if it is known already that the module has some.
    fn why_nothing(&self, work: &Work<'_>, has_symbols: bool) -> Missing {
        if work.is_stopped() {
            Missing::Unfinished
        } else if self.dwarf.is_none()
            && self.packed.is_none()
            && !has_symbols
            && !symbols::any(&self.symbol_files())
        {
            Missing::NoSymbols
        } else {
            Missing::NotCovered
        }
    }

    /// Gives functions whose plain name DWARF has the whole name of the symbol at their start.
    fn complete_functions(&self, builder: &mut Builder) {
        let mut unfinished = builder.take_unfinished();
        unfinished.sort_unstable();
        let mut starts: Vec<u64> = unfinished.iter().map(|(start, _)| *start).collect();
        starts.dedup();
        let found = symbols::find(&self.symbol_files(), &starts);
        for (start, function) in unfinished {
            let symbol = starts.binary_search(&start).ok().and_then(|index| found.get(index)?.as_ref());
            if let Some(symbol) = symbol.filter(|symbol| symbol.start == start) {
                builder.complete_function(function, &symbol.name);
            }
        }
    }
}

/// Answers with what the symbol tables say, and with the row of the line table if there is one: assembly, or a
/// unit whose functions are in a file that is not here.
fn name_by_symbol(symbol: Option<&Symbol>, address: usize, builder: &mut Builder) {
    let row = builder.row(address);
    if symbol.is_none() && row.is_none() {
        return;
    }
    let function = match symbol {
        Some(symbol) => {
            let name = builder.string(&symbol.name);
            let origin = match symbol.reach {
                symbols::Reach::Size | symbols::Reach::Start | symbols::Reach::Stub => Origin::SymbolTable,
                symbols::Reach::Nearest => Origin::NearestSymbol,
            };
            builder.push_function(Function { name, linkage_name: name, origin, start: Some(symbol.start) })
        }
        None => builder.push_function(Function {
            name: NONE,
            linkage_name: NONE,
            origin: Origin::Dwarf,
            start: None,
        }),
    };
    let node = builder.node(Node { function, location: row.unwrap_or(Location::UNKNOWN), parent: NONE });
    builder.set(address, Leaf::Frame(node));
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

/// Opens the packed symbol file of the module, if there is one.
fn find_packed_file(
    build_id: Option<&BuildId>,
    search: &Search,
    refused: &mut Vec<Refused>,
) -> Option<Box<PackedModule>> {
    for candidate in locate::packed_candidates(build_id?, search) {
        let open = || {
            let (bytes, _) = Bytes::map(&candidate.path).map_err(Refusal::Unusable)?;
            let packed = PackedModule::open(&candidate.path, bytes).map_err(Refusal::Unusable)?;
            locate::examine(&candidate.proof, packed.build_id(), || 0)?;
            Ok(packed)
        };
        match open() {
            Ok(packed) => return Some(Box::new(packed)),
            Err(refusal) => refused.push(Refused { path: candidate.path, refusal }),
        }
    }
    None
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

/// Opens the file that `main` shares with other debug files, if it refers to one.
fn find_shared_file(main: &Elf, view: &object::File<'_>, search: &Search) -> (Option<Elf>, Vec<Refused>) {
    let Some(link) = elf::shared_link(view) else { return (None, Vec::new()) };
    let mut refused = Vec::new();
    for candidate in locate::shared_candidates(&real_directory(main.path()), &link, search) {
        match open_shared_file(main, &candidate) {
            Ok(shared) => return (Some(shared), refused),
            Err(refusal) => refused.push(Refused { path: candidate.path, refusal }),
        }
    }
    (None, refused)
}

fn open_shared_file(main: &Elf, candidate: &Candidate) -> Result<Elf, Refusal> {
    let shared = Elf::open(&candidate.path).map_err(Refusal::Unusable)?;
    if shared.identity() == main.identity() {
        return Err(Refusal::SameFile);
    }
    let view = shared.view().map_err(Refusal::Unusable)?;
    locate::examine(&candidate.proof, elf::build_id(&view).as_ref(), || crc32fast::hash(shared.bytes()))?;
    drop(view);
    Ok(shared)
}

fn unpacked_bytes_max(search: &Search) -> u64 {
    search.unpacked_bytes_max.unwrap_or(elf::DECOMPRESSED_BYTES_MAX).min(elf::DECOMPRESSED_BYTES_MAX)
}

/// Where the split files of the module may be.
fn split(binary: &Elf, main: &Elf, build_id: Option<&BuildId>, search: &Search) -> Split {
    let packages = locate::package_candidates(binary.path(), main.path(), build_id, search);
    let folders = [real_directory(binary.path())].into_iter().chain(search.debug_dirs.iter().cloned());
    Split::new(packages, folders.collect(), search.path_maps.clone(), unpacked_bytes_max(search))
}

/// The directory of the file that `path` leads to, past symbolic links: a debug link is relative to that.
fn real_directory(path: &Path) -> PathBuf {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.parent().map(Path::to_owned).unwrap_or_default()
}
