//! Programs of Go without DWARF: the table that Go's own runtime prints its stack traces from. No `strip` removes it.

use object::{Object, ObjectSection, ObjectSegment, SectionKind};
use trace_pclntab::{Endian, GoTable, Memory, Rela};

use crate::answers::{Builder, Function, Leaf, Location, NONE, Node};
use crate::elf::{self, Elf};
use crate::frame::Origin;

/// Where the table is: in a section of its own, or, where the system's linker put a program of Go before 1.26 together
/// with C, somewhere among constants.
const SECTIONS: [&str; 3] = [".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro"];

/// Answers for addresses, given with their numbers, of which the table of `elf` knows something. The others are left.
pub(crate) fn answer(elf: &Elf, addresses: &[u64], numbers: &[u32], builder: &mut Builder) {
    let Ok(view) = elf.view() else { return };
    let Some(program) = Program::of(&view) else { return };
    let Some(table) = program.table() else { return };
    for (address, number) in addresses.iter().zip(numbers) {
        let mut parent = NONE;
        let frames = table.frames(*address);
        for (index, frame) in frames.iter().enumerate().rev() {
            let name = text_of(builder, frame.function);
            let start = (index + 1 == frames.len()).then_some(frame.start);
            let origin = Origin::GoTable;
            let function = builder.function(Function { name, linkage_name: NONE, origin, start });
            let file = text_of(builder, frame.file);
            let location = Location { file, line: frame.line.unwrap_or(0), ..Location::UNKNOWN };
            parent = builder.node(Node { function, location, parent });
        }
        if parent != NONE {
            builder.set(*number as usize, Leaf::Frame(parent));
        }
    }
}

fn text_of(builder: &mut Builder, text: &str) -> u32 {
    if text.is_empty() { NONE } else { builder.string(text) }
}

/// The memory of a program as its file lays it out.
struct Program<'a> {
    segments: Vec<(u64, &'a [u8])>,
    data: Vec<(u64, &'a [u8])>,
    relocations: Rela<'a>,
    /// Address and bytes of the table, or of a section that holds it.
    table: (u64, &'a [u8]),
    text_start: Option<u64>,
}

impl<'a> Program<'a> {
    /// `None` if nothing in the file can be a table.
    fn of(view: &'a object::File<'a>) -> Option<Program<'a>> {
        let section = |name: &str| {
            let section = view.section_by_name(name)?;
            Some((section.address(), section.data().ok()?))
        };
        let is_go =
            SECTIONS[..2].iter().any(|name| section(name).is_some()) || section(".note.go.buildid").is_some();
        if !is_go {
            return None;
        }
        let endian = if view.is_little_endian() { Endian::Little } else { Endian::Big };
        let relocations =
            section(".rela.dyn").or_else(|| section(".rela")).map_or(&[][..], |(_, bytes)| bytes);
        let holds_data = |section: &object::Section<'_, '_>| {
            !elf::is_executable(section.flags())
                && (section.kind() == SectionKind::Data || section.name() == Ok(".go.module"))
        };
        let text = view.section_by_name(".text").map(|section| section.address());
        Some(Program {
            segments: view.segments().filter_map(|part| Some((part.address(), part.data().ok()?))).collect(),
            data: view
                .sections()
                .filter(holds_data)
                .filter_map(|section| Some((section.address(), section.data().ok()?)))
                .collect(),
            relocations: Rela::new(relocations, endian, view.is_64()),
            table: SECTIONS.iter().find_map(|name| section(name))?,
            text_start: text,
        })
    }

    fn table(&'a self) -> Option<GoTable<'a>> {
        let (address, bytes) = self.table;
        GoTable::open(bytes, address, self.text_start, self).or_else(|| GoTable::search(bytes, address, self))
    }
}

impl Memory for Program<'_> {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.segments.iter().find_map(|(base, bytes)| {
            let start = usize::try_from(address.checked_sub(*base)?).ok()?;
            bytes.get(start..start.checked_add(length)?)
        })
    }

    fn data_section(&self, index: usize) -> Option<(u64, &[u8])> {
        self.data.get(index).copied()
    }

    fn relocated_word(&self, address: u64) -> Option<u64> {
        self.relocations.relocated_word(address)
    }

    fn relocated_to(&self, word: u64, index: usize) -> Option<u64> {
        self.relocations.relocated_to(word, index)
    }
}
