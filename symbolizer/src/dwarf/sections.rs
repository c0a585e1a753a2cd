//! The debug sections of one file, each brought in when it is first asked for: a compressed one costs memory, and most
//! questions need only some of them.

use std::cell::{Cell, OnceCell};

use object::Object;

use crate::elf::{self, Elf};
use crate::mmap::Bytes;

use super::cursor::Cursor;
use super::unit::Headers;

/// The sections that lead to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Id {
    Info,
    Abbrev,
    Line,
    LineStr,
    Str,
    StrOffsets,
    Addr,
    Ranges,
    Rnglists,
    Aranges,
    CuIndex,
}

const SECTIONS: usize = Id::CuIndex as usize + 1;

impl Id {
    /// The name in a file of the given kind.
    fn name(self, kind: FileKind) -> &'static str {
        match (self, kind) {
            (Id::Info, FileKind::Whole) => ".debug_info",
            (Id::Info, FileKind::Split) => ".debug_info.dwo",
            (Id::Abbrev, FileKind::Whole) => ".debug_abbrev",
            (Id::Abbrev, FileKind::Split) => ".debug_abbrev.dwo",
            (Id::Line, FileKind::Whole) => ".debug_line",
            (Id::Line, FileKind::Split) => ".debug_line.dwo",
            (Id::Str, FileKind::Whole) => ".debug_str",
            (Id::Str, FileKind::Split) => ".debug_str.dwo",
            (Id::StrOffsets, FileKind::Whole) => ".debug_str_offsets",
            (Id::StrOffsets, FileKind::Split) => ".debug_str_offsets.dwo",
            (Id::Rnglists, FileKind::Whole) => ".debug_rnglists",
            (Id::Rnglists, FileKind::Split) => ".debug_rnglists.dwo",
            // What follows has one name: a split file does without, or it is a package's index.
            (Id::LineStr, _) => ".debug_line_str",
            (Id::Addr, _) => ".debug_addr",
            (Id::Ranges, _) => ".debug_ranges",
            (Id::Aranges, _) => ".debug_aranges",
            (Id::CuIndex, _) => ".debug_cu_index",
        }
    }
}

/// What the sections of a file are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A program, a shared object, a debug file, a file that several debug files share.
    Whole,
    /// A `.dwo` file or a `.dwp` package of such.
    Split,
}

/// Stands for one file in keys of what was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId(pub(crate) u16);

/// Where a thing stands in the debug sections of a module's files. No two files share an id, so a key is never
/// another thing's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

impl Key {
    /// Sections are smaller than 2^42 bytes: a file of 4 TiB.
    pub(crate) fn new(file: FileId, section: Id, offset: usize) -> Key {
        Key(u64::from(file.0) << 48 | (section as u64) << 42 | (offset as u64 & ((1 << 42) - 1)))
    }
}

impl Key {
    /// The place so many bytes behind this one, in the same section.
    pub(crate) fn behind(self, bytes: usize) -> Key {
        Key(self.0 + bytes as u64)
    }
}

/// The debug sections of one file.
#[derive(Debug)]
pub(crate) struct Sections {
    elf: Elf,
    id: FileId,
    kind: FileKind,
    big_endian: bool,
    loaded: [OnceCell<Bytes>; SECTIONS],
    /// Where the units start, in order.
    unit_starts: OnceCell<Vec<usize>>,
    /// Why a section is missing that the file has. The first one is kept.
    problem: OnceCell<String>,
    /// Bytes that may still come out of compressed sections.
    decompressed_bytes_left: Cell<u64>,
}

impl Sections {
    /// The sections of `elf`, none of them brought in yet.
    pub(crate) fn of(elf: Elf, id: FileId, kind: FileKind, decompressed_bytes_max: u64) -> Sections {
        let big_endian = elf.view().is_ok_and(|view| !view.is_little_endian());
        Sections {
            elf,
            id,
            kind,
            big_endian,
            loaded: Default::default(),
            unit_starts: OnceCell::new(),
            problem: OnceCell::new(),
            decompressed_bytes_left: Cell::new(decompressed_bytes_max),
        }
    }

    pub(crate) fn elf(&self) -> &Elf {
        &self.elf
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The bytes of a section; none if the file has no such section or it cannot be used.
    #[inline]
    pub(crate) fn get(&self, section: Id) -> &[u8] {
        self.loaded[section as usize].get_or_init(|| self.load(section))
    }

    /// A cursor at `offset` of a section.
    #[inline]
    pub(crate) fn at(&self, section: Id, offset: usize) -> Cursor<'_> {
        Cursor::new(self.get(section), offset, self.big_endian)
    }

    /// Where the unit starts that holds `offset` of `.debug_info`.
    pub(crate) fn unit_start(&self, offset: usize) -> Option<usize> {
        let starts = self.unit_starts.get_or_init(|| Headers::of(self).map(|header| header.start).collect());
        let after = starts.partition_point(|start| *start <= offset);
        starts.get(after.checked_sub(1)?).copied()
    }

    /// Why a section that the file has is not used.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.get().map(String::as_str)
    }

    #[cold]
    fn load(&self, section: Id) -> Bytes {
        let mut left = self.decompressed_bytes_left.get();
        let name = section.name(self.kind);
        let loaded = match self.elf.view() {
            Ok(view) => elf::section(&self.elf, &view, name, &mut left),
            Err(error) => Err(error.to_string()),
        };
        self.decompressed_bytes_left.set(left);
        loaded.unwrap_or_else(|problem| {
            self.problem.get_or_init(|| problem);
            Bytes::owned(Vec::new())
        })
    }
}
