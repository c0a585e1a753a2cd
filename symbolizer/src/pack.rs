//! Making a packed symbol file: every address at which an answer can change is asked for, and the answers are kept.
//!
//! The engine that answers questions is the one that fills the file, so the two cannot disagree.

use trace_packed::{FunctionId, Header, NameSource, NodeId, Packer};

use crate::address::ModuleAddress;
use crate::answers::{Answers, FrameRef};
use crate::build_id::BuildId;
use crate::elf_module::ElfModule;
use crate::frame::Origin;
use crate::module::Module;

/// Addresses asked for at a time: answers of as many take some ten megabytes.
const BATCH: usize = 1 << 17;

/// What is kept in a packed file beside names, files and lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Columns: they double the number of ranges.
    pub columns: bool,
    /// The names that the linker saw, which may take as much as all else.
    pub linkage_names: bool,
}

/// What a packed file was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Ranges of addresses that have one answer each.
    pub ranges: usize,
    /// Whether all split files were found, so that no inlined function is missing.
    pub complete: bool,
}

/// Packs what `module` knows, whose ELF file is given. `progress` is told how many of how many addresses are done.
pub(crate) fn pack(
    module: &Module,
    elf: &ElfModule,
    keep: Keep,
    progress: &mut dyn FnMut(usize, usize),
) -> (Vec<u8>, Packing) {
    let boundaries = elf.boundaries();
    let text: Vec<(u64, u64)> =
        elf.code().iter().map(|range| (range.start, range.end - range.start)).collect();
    let mut packer = Packer::new(Header {
        build_id: module.build_id().map_or(&[][..], BuildId::as_bytes),
        architecture: elf.machine(),
        complete_inlines: true,
        text: &text,
        keep_linkage_names: keep.linkage_names,
        keep_columns: keep.columns,
    });
    let mut done = 0;
    for batch in boundaries.chunks(BATCH) {
        let addresses: Vec<ModuleAddress> = batch.iter().map(|address| ModuleAddress(*address)).collect();
        let answers = module.symbolize_all(&addresses);
        let mut nodes = Nodes::new(&answers);
        for (index, start) in batch.iter().enumerate() {
            let end = boundaries.get(done + index + 1).copied().unwrap_or(*start);
            if let Some(node) = nodes.pack(&mut packer, index).filter(|_| *start < end) {
                packer.range(*start, end, node);
            }
        }
        done += batch.len();
        progress(done, boundaries.len());
    }
    let complete = module.refused_split_files().is_empty();
    packer.set_complete_inlines(complete);
    let ranges = packer.range_count();
    (packer.finish(), Packing { ranges, complete })
}

/// The frames of some answers, each packed once.
struct Nodes<'a> {
    answers: &'a Answers,
    /// By number of the frame.
    packed: Vec<Option<NodeId>>,
    /// By number of the function, with the file that it was last met in.
    functions: Vec<Option<(u32, FunctionId)>>,
}

impl<'a> Nodes<'a> {
    fn new(answers: &'a Answers) -> Nodes<'a> {
        let (nodes, functions) = answers.counts();
        Nodes { answers, packed: vec![None; nodes], functions: vec![None; functions] }
    }

    fn pack(&mut self, packer: &mut Packer, index: usize) -> Option<NodeId> {
        let frames: Vec<FrameRef<'a>> = self.answers.frames(index).collect();
        let mut parent = None;
        for frame in frames.into_iter().rev() {
            let number = frame.number();
            parent = match self.packed.get(number).copied().flatten() {
                Some(known) => Some(known),
                None => {
                    let function = self.function(packer, frame);
                    let node =
                        packer.node(function, frame.line().unwrap_or(0), frame.column().unwrap_or(0), parent);
                    if let Some(place) = self.packed.get_mut(number) {
                        *place = Some(node);
                    }
                    Some(node)
                }
            };
        }
        parent
    }

    fn function(&mut self, packer: &mut Packer, frame: FrameRef<'a>) -> FunctionId {
        let (number, file) = frame.function_and_file();
        if let Some(Some((known_file, known))) = self.functions.get(number)
            && *known_file == file
        {
            return *known;
        }
        let source = match frame.origin() {
            Origin::Dwarf => NameSource::Dwarf,
            Origin::GoTable => NameSource::Pclntab,
            Origin::SymbolTable => NameSource::Symtab,
            Origin::NearestSymbol => NameSource::SymtabNearest,
        };
        let function = packer.function(frame.function(), frame.linkage_name(), frame.file(), source);
        if let Some(place) = self.functions.get_mut(number) {
            *place = Some((file, function));
        }
        function
    }
}

/// Where a name in a packed file came from.
pub(crate) fn origin(source: NameSource) -> Origin {
    match source {
        NameSource::Dwarf => Origin::Dwarf,
        NameSource::Pclntab => Origin::GoTable,
        NameSource::Symtab => Origin::SymbolTable,
        NameSource::SymtabNearest => Origin::NearestSymbol,
    }
}
