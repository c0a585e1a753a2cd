//! What DWARF knows about an address: the functions inlined there and the line of each. [`addr2line`] does the
//! walking; here the sections are handed over, and each answer is checked for what a hostile or merely linked
//! file can make of it.

use std::ops::Range;

use gimli::RunTimeEndian;
use object::Object;

use crate::address::ModuleAddress;
use crate::demangle::NAME_BYTES_MAX;
use crate::elf::{self, Elf};
use crate::error::{Error, ErrorKind};
use crate::mmap::Bytes;
use crate::reader::{Reader, within_allowance};
use crate::text::head;

/// Frames of one address at most. Compilers stop inlining far below; nesting is also limited by the stack that
/// the reader allows.
const FRAMES_MAX: usize = 256;

/// Bytes of one file name at most: the system's `PATH_MAX`. What is longer names no file.
const PATH_BYTES_MAX: usize = 4_096;

/// The DWARF of one file.
pub(crate) struct Dwarf {
    context: addr2line::Context<Reader>,
}

/// One function at an address, as DWARF describes it.
#[derive(Debug)]
pub(crate) struct DwarfFrame {
    /// The linkage name if it is recorded, else the plain one.
    pub(crate) name: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

/// What DWARF says about an address.
#[derive(Debug)]
pub(crate) struct Found {
    /// Innermost first. A single frame without a name is a row of the line table without a function.
    pub(crate) frames: Vec<DwarfFrame>,
    /// Start of the range of the outermost function that holds the address: of the function itself, or of a part
    /// that was split off.
    pub(crate) entry: Option<ModuleAddress>,
}

impl Dwarf {
    /// Reads the sections and the roots of all units.
    ///
    /// What cannot be read is left out as far as the rest makes sense without it, and the first such problem is
    /// returned beside what remains. Nothing and no problem if the file has no DWARF.
    pub(crate) fn load(elf: &Elf) -> (Option<Dwarf>, Option<Error>) {
        let view = match elf.view() {
            Ok(view) if elf::has_dwarf(&view) => view,
            Ok(_) => return (None, None),
            Err(error) => return (None, Some(error)),
        };
        let endian = if view.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let mut problem = None;
        let mut decompressed_bytes_left = elf::DECOMPRESSED_BYTES_MAX;
        let section = |id: gimli::SectionId| -> Result<Reader, gimli::Error> {
            let bytes =
                elf::section(elf, &view, id.name(), &mut decompressed_bytes_left).unwrap_or_else(|cause| {
                    problem.get_or_insert(Error::caused_by(ErrorKind::Dwarf, elf.path(), cause));
                    Bytes::owned(Vec::new())
                });
            Ok(Reader::new(bytes, endian))
        };
        let context = within_allowance(|| {
            let mut dwarf = gimli::Dwarf::load(section)?;
            dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
            addr2line::Context::from_dwarf(dwarf)
        });
        match context {
            Ok(context) => (Some(Dwarf { context }), problem),
            Err(cause) => {
                (None, problem.or_else(|| Some(Error::caused_by(ErrorKind::Dwarf, elf.path(), cause))))
            }
        }
    }

    /// The frames at `address`, none if no unit covers it.
    pub(crate) fn find(&self, address: ModuleAddress) -> Result<Found, gimli::Error> {
        within_allowance(|| {
            let mut walk = self.context.find_frames(address.0).skip_all_loads()?;
            let mut frames = Vec::new();
            let mut outermost = None;
            while let Some(frame) = walk.next()? {
                if frames.len() == FRAMES_MAX {
                    break;
                }
                outermost = frame.dw_die_offset;
                frames.push(DwarfFrame::new(frame)?);
            }
            let entry = match outermost {
                Some(function) => self.entry(address, function)?,
                None => None,
            };
            Ok(Found { frames, entry })
        })
    }

    /// Start of the range of `function` that holds `address`.
    fn entry(
        &self,
        address: ModuleAddress,
        function: gimli::UnitOffset,
    ) -> Result<Option<ModuleAddress>, gimli::Error> {
        // This is the unit that `find_frames` took the function from: both choose the first with an answer.
        let Some(unit) = self.context.find_dwarf_and_unit(address.0).skip_all_loads() else {
            return Ok(None);
        };
        let mut ranges = unit.die_ranges(&unit.entry(function)?)?;
        while let Some(gimli::Range { begin, end }) = ranges.next()? {
            if (Range { start: begin, end }).contains(&address.0) {
                return Ok(Some(ModuleAddress(begin)));
            }
        }
        Ok(None)
    }
}

impl DwarfFrame {
    fn new(frame: addr2line::Frame<'_, Reader>) -> Result<DwarfFrame, gimli::Error> {
        let name = match &frame.function {
            Some(function) => Some(head(&function.raw_name()?, NAME_BYTES_MAX).to_owned()),
            None => None,
        };
        let (file, line, column) = match frame.location {
            Some(location) => (location.file, location.line, location.column),
            None => (None, None, None),
        };
        Ok(DwarfFrame {
            name: name.filter(|name| !name.is_empty()),
            file: file.filter(|file| !file.is_empty() && file.len() <= PATH_BYTES_MAX).map(str::to_owned),
            // Line 0 means: from no source line. Column 0: the line as a whole.
            line: line.filter(|line| *line != 0),
            column: column.filter(|column| *column != 0),
        })
    }
}
