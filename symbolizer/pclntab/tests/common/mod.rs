//! An ELF file as the memory that the reader asks for.

use object::{Object, ObjectSection, ObjectSegment, SectionKind};
use trace_pclntab::{Endian, GoTable, Memory, Rela};

/// A program in a file, with copies of what the reader may ask for.
pub(crate) struct Program {
    /// Address and bytes of each segment.
    pub(crate) segments: Vec<(u64, Vec<u8>)>,
    data: Vec<(u64, Vec<u8>)>,
    rela: Vec<u8>,
    endian: Endian,
    is_64: bool,
    /// Address and bytes of the line table, or of a section that holds it.
    pub(crate) table: (u64, Vec<u8>),
}

impl Program {
    pub(crate) fn open(path: &std::path::Path) -> Program {
        let file = std::fs::read(path).unwrap();
        let file = object::File::parse(&*file).unwrap();
        let section = |name: &str| {
            let section = file.section_by_name(name)?;
            Some((section.address(), section.data().unwrap().to_vec()))
        };
        Program {
            segments: file.segments().map(|s| (s.address(), s.data().unwrap().to_vec())).collect(),
            data: file
                .sections()
                .filter(|s| s.kind() == SectionKind::Data || s.name() == Ok(".go.module"))
                .map(|s| (s.address(), s.data().unwrap().to_vec()))
                .collect(),
            rela: section(".rela.dyn").or(section(".rela")).map(|found| found.1).unwrap_or_default(),
            endian: if file.is_little_endian() { Endian::Little } else { Endian::Big },
            is_64: file.is_64(),
            table: [".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro"]
                .iter()
                .find_map(|name| section(name))
                .unwrap(),
        }
    }

    pub(crate) fn table(&self) -> Option<GoTable<'_>> {
        GoTable::open(&self.table.1, self.table.0, None, self)
            .or_else(|| GoTable::search(&self.table.1, self.table.0, self))
    }

    fn rela(&self) -> Rela<'_> {
        Rela::new(&self.rela, self.endian, self.is_64)
    }
}

impl Memory for Program {
    fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.segments.iter().find_map(|(base, bytes)| {
            let start = usize::try_from(address.checked_sub(*base)?).ok()?;
            bytes.get(start..start.checked_add(length)?)
        })
    }

    fn data_section(&self, index: usize) -> Option<(u64, &[u8])> {
        self.data.get(index).map(|(address, bytes)| (*address, &bytes[..]))
    }

    fn relocated_word(&self, address: u64) -> Option<u64> {
        self.rela().relocated_word(address)
    }

    fn relocated_to(&self, word: u64, index: usize) -> Option<u64> {
        self.rela().relocated_to(word, index)
    }
}
